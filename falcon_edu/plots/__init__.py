"""Pictures: NumPy arrays in, matplotlib Axes out.

Every function draws on the `ax` it is given, or on a new `Figure`, which a notebook shows when a
cell ends with `attention_map(...).figure`. It says in words what it drew: `ax.alt_text` is for
readers who can't see the picture. The functions `..._alt` give the same words without a picture.

One style for the whole course: rows are queries and columns are keys, yellow is 1 and dark violet
is 0, orange frames what is selected, blue is what is measured and grey what it is compared with.
"""

from falcon_edu.plots.attention import (
    attention_grid,
    attention_grid_alt,
    attention_map,
    attention_map_alt,
    attention_text,
    attention_text_alt,
)
from falcon_edu.plots.bars import bar_chart, bar_chart_alt
from falcon_edu.plots.blocks import block_diagram, block_diagram_alt
from falcon_edu.plots.dials import dials, dials_alt
from falcon_edu.plots.heads import head_scores, head_scores_alt
from falcon_edu.plots.heatmap import heatmap, heatmap_alt
from falcon_edu.plots.lens import lens_map, lens_map_alt
from falcon_edu.plots.lines import line_chart, line_chart_alt
from falcon_edu.plots.next_token import next_token_bars, next_token_bars_alt
from falcon_edu.plots.parts import falcon_diagram, falcon_diagram_alt
from falcon_edu.plots.points import named_points, named_points_alt
from falcon_edu.plots.scatter import scatter, scatter_alt
from falcon_edu.plots.shards import shards, shards_alt
from falcon_edu.plots.strips import strips, strips_alt
from falcon_edu.plots.style import Figure, blank, token_labels
from falcon_edu.plots.tokens import token_boxes, token_boxes_alt

__all__ = [
    "Figure",
    "attention_grid",
    "attention_grid_alt",
    "attention_map",
    "attention_map_alt",
    "attention_text",
    "attention_text_alt",
    "bar_chart",
    "bar_chart_alt",
    "blank",
    "block_diagram",
    "block_diagram_alt",
    "dials",
    "dials_alt",
    "falcon_diagram",
    "falcon_diagram_alt",
    "head_scores",
    "head_scores_alt",
    "heatmap",
    "heatmap_alt",
    "lens_map",
    "lens_map_alt",
    "line_chart",
    "line_chart_alt",
    "named_points",
    "named_points_alt",
    "next_token_bars",
    "next_token_bars_alt",
    "scatter",
    "scatter_alt",
    "shards",
    "shards_alt",
    "strips",
    "strips_alt",
    "token_boxes",
    "token_boxes_alt",
    "token_labels",
]

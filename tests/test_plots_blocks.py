"""The drawing of a block has the parts of that block, and its lines meet its boxes."""

from itertools import pairwise

from falcon_edu import plots
from falcon_edu.plots import blocks

import pytest
from matplotlib import patches

LAYOUTS = list(blocks.LAYOUTS)


@pytest.mark.parametrize(
    ("layout", "parts"),
    [
        ("sequential", ["norm", "attention", "norm", "MLP"]),
        ("parallel", ["norm", "attention", "MLP"]),
        ("parallel, two norms", ["norm", "norm", "attention", "MLP"]),
    ],
)
def test_block_has_its_parts(layout, parts):
    axes = plots.block_diagram(layout, title="T")
    assert [text.get_text() for text in axes.texts if text.get_text()] == parts
    assert len([patch for patch in axes.patches if isinstance(patch, patches.Circle)]) == 2
    assert axes.alt_text.startswith("T: ")
    assert axes.get_title(loc="left") == "T"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_lines_meet_boxes(layout):
    """Each way begins and ends at the edge of a box, on the stream, or on another way."""
    boxes, ways, width = blocks.LAYOUTS[layout]
    edges = {
        (round(x, 6), height)
        for what, left, height in boxes
        for x in (left, left + blocks.WIDE[what])
    }
    for way in ways:
        x, y = way[-1]
        assert y == blocks.STREAM or (round(x, 6), y) in edges
        x, y = way[0]
        is_fork = any(
            min(a[0], b[0]) <= x <= max(a[0], b[0]) and min(a[1], b[1]) <= y <= max(a[1], b[1])
            for other in ways
            if other is not way
            for a, b in pairwise(other)
        )
        assert y == blocks.STREAM or (round(x, 6), y) in edges or is_fork
        assert all(0 <= x <= width for x, _ in way)


def test_alt_texts_differ():
    assert len({plots.block_diagram_alt(layout, "T") for layout in LAYOUTS}) == len(LAYOUTS)


def test_unknown_layout_is_refused():
    with pytest.raises(ValueError, match="must be one of"):
        plots.block_diagram("serial")

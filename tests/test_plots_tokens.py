"""Texts in boxes: a box for each token, side by side, with what is in it."""

from itertools import pairwise

from falcon_edu import plots

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

LINES = [["M", "ia", " has", " a", " kite"], ["Mia", "$", "\n"]]


def test_every_token_has_its_box_with_its_text():
    axes = plots.token_boxes(LINES, ["one", "two"], title="Tales")
    shown = ["M", "ia", "·has", "·a", "·kite", "Mia", "$", "↵"]
    assert [text.get_text() for text in axes.texts] == shown
    assert len(axes.patches) == 8
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "two"]
    assert axes.alt_text == "Tales: one M|ia|·has|·a|·kite (5 tokens) and two Mia|$|↵ (3 tokens)."


def test_boxes_stand_side_by_side_and_hold_their_text():
    axes = plots.token_boxes(LINES)
    boxes = [patch.get_bbox() for patch in axes.patches[:5]]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
    renderer = FigureCanvasAgg(axes.figure).get_renderer()
    for text, patch in zip(axes.texts, axes.patches, strict=True):
        inside, around = text.get_window_extent(renderer), patch.get_window_extent(renderer)
        assert around.x0 < inside.x0
        assert inside.x1 < around.x1
    assert boxes[-1].x1 <= axes.get_xlim()[1]


def test_selected_boxes_are_framed():
    axes = plots.token_boxes(LINES, selected=[(1, 0)])
    (framed,) = [artist for artist in axes.patches + axes.artists if not artist.get_fill()]
    assert framed.get_bbox().bounds == pytest.approx(axes.patches[5].get_bbox().bounds)


@pytest.mark.parametrize(("lines", "labels"), [([], None), (LINES, ["one"])])
def test_impossible_lines_are_refused(lines, labels):
    with pytest.raises(ValueError, match="one label for each"):
        plots.token_boxes(lines, labels)

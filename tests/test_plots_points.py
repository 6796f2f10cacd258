"""Named points stand where their numbers are, and the alt text names those at the ends."""

from falcon_edu import plots
from falcon_edu.plots.style import BLUE, ORANGE

import numpy as np
import pytest
from matplotlib.colors import to_hex

POINTS = [[0.2, 3.0], [0.9, 0.01], [0.5, 0.5]]
LABELS = ["0.0", "0.1", "1.0"]


def test_points_are_where_they_should_be():
    axes = plots.named_points(POINTS, LABELS, selected=["0.1"], log_y=True)
    (dots,) = axes.collections
    np.testing.assert_allclose(dots.get_offsets(), POINTS)
    assert [to_hex(color) for color in dots.get_facecolors()] == [BLUE, ORANGE, BLUE]
    assert {text.get_text(): list(text.xy) for text in axes.texts} == dict(
        zip(LABELS, POINTS, strict=True)
    )
    assert axes.get_yscale() == "log"


def test_points_alt_text_names_the_ends():
    assert plots.named_points(POINTS, LABELS, title="Heads").alt_text == (
        "Heads: 3 points; x is least for 0.0 and largest for 0.1; "
        "y is least for 0.1 and largest for 0.0."
    )
    assert plots.named_points(POINTS, LABELS, alt="Seen.").alt_text == "Seen."


@pytest.mark.parametrize("points", [POINTS[:2], [1, 2, 3], []])
def test_points_and_labels_must_be_as_many(points):
    with pytest.raises(ValueError, match="one for each of 3 labels"):
        plots.named_points(points, LABELS)

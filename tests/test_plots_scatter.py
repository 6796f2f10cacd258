"""Points are drawn where they are, each group in its own way."""

from falcon_edu import plots

import numpy as np
import pytest


def test_groups_are_drawn_apart():
    axes = plots.scatter([[0, 1], [2, 3], [4, 5]], ["b", "a", "b"], title="T", x_label="x")
    first, second = axes.collections
    assert first.get_offsets().tolist() == [[2, 3]]
    assert second.get_offsets().tolist() == [[0, 1], [4, 5]]
    assert first.get_facecolor().tolist() != second.get_facecolor().tolist()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    assert axes.alt_text == "T: 3 points in 2 groups, a 1 and b 2."
    assert axes.get_xlabel() == "x"


def test_alt_text_of_ones_own():
    assert plots.scatter([[0, 1]], ["a"], alt="One point.").figure.alt_text == "One point."


@pytest.mark.parametrize(
    ("points", "groups", "message"),
    [
        ([[0, 1]], ["a", "b"], "one for each of 2"),
        (np.zeros((0, 2)), [], "at least one"),
        ([[0, 1, 2]], ["a"], "must be"),
        (np.zeros((7, 2)), list("abcdefg"), "room for 6"),
    ],
)
def test_impossible_points_are_refused(points, groups, message):
    with pytest.raises(ValueError, match=message):
        plots.scatter(points, groups)

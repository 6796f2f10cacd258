"""Strips have a box for each name, as wide as said, and a color for each kind."""

from falcon_edu import plots

import pytest
from matplotlib.colors import to_hex

LINES = [["q0", "q1", "k0"], ["q0", "k0", "v0", "q1", "k1", "v1"]]


def boxes_of(axes):
    return [(round(p.get_x(), 2), round(p.get_width(), 2)) for p in axes.patches]


def test_every_name_has_a_box_in_the_color_of_its_kind():
    axes = plots.strips(LINES, ["a", "b"], title="Rows")
    names = [text.get_text() for text in axes.texts]
    assert names == [*LINES[0], *LINES[1]]
    colors = {}
    for name, patch in zip(names, axes.patches, strict=True):
        colors.setdefault(name[0], set()).add(to_hex(patch.get_facecolor()))
    assert all(len(shades) == 1 for shades in colors.values())
    assert len(set.union(*colors.values())) == 3
    assert axes.alt_text == "Rows: a q0|q1|k0 and b q0|k0|v0|q1|k1|v1."
    assert axes.get_title(loc="left") == "Rows"


def test_strips_are_as_long_as_they_are_or_stretched_to_one_length():
    axes = plots.strips(LINES, ["a", "b"])
    assert {width for _, width in boxes_of(axes)} == {0.92}
    axes = plots.strips(LINES, ["a", "b"], stretch=True)
    assert boxes_of(axes)[:3] == [(0.04, 1.92), (2.04, 1.92), (4.04, 1.92)]
    assert boxes_of(axes)[3:5] == [(0.04, 0.92), (1.04, 0.92)]


def test_given_words_are_the_alt_text():
    assert plots.strips(LINES, ["a", "b"], alt="Two strips.").figure.alt_text == "Two strips."


@pytest.mark.parametrize(("lines", "labels"), [([], []), ([["q0"]], []), ([[]], ["a"])])
def test_what_does_not_fit_is_refused(lines, labels):
    with pytest.raises(ValueError, match="at least one line"):
        plots.strips(lines, labels)

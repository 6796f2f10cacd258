"""The general charts show the numbers that they are given."""

from falcon_edu import plots
from falcon_edu.plots import style

import numpy as np
import pytest


def test_lines_are_drawn_where_they_are_given():
    axes = plots.line_chart(
        {"a": [1, 2], "b": ([5, 7, 9], [3, 2, 1])}, x=[0, 10], title="T", marks={"here": 4}
    )
    first, second, mark = axes.lines
    assert first.get_xydata().tolist() == [[0, 1], [10, 2]]
    assert second.get_xydata().tolist() == [[5, 3], [7, 2], [9, 1]]
    assert set(mark.get_xdata()) == {4}
    assert first.get_color() != second.get_color()
    assert axes.alt_text == "T: a goes from 1 to 2 and b goes from 3 to 1."
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]


def test_scales_of_lines():
    axes = plots.line_chart({"a": [1, 10]}, y_limits=(1, 100), log_y=True, alt="Ten times.")
    assert axes.get_yscale() == "log"
    assert axes.get_xscale() == "linear"
    assert axes.get_ylim() == (1, 100)
    assert axes.alt_text == "Ten times."


@pytest.mark.parametrize("lines", [{}, {"a": []}, {"a": ([1], [1, 2])}, {"a": [[1, 2]]}])
def test_impossible_lines_are_refused(lines):
    with pytest.raises(ValueError, match="line"):
        plots.line_chart(lines)


def test_heatmap_has_a_fixed_scale_and_its_numbers():
    values = [[0.25, np.nan], [1.0, -1.0]]
    axes = plots.heatmap(
        values, ["x", "y"], ["p", "q"], title="T", limits=(-1, 1), digits=1, is_diverging=True
    )
    (image,) = axes.images
    assert image.get_clim() == (-1, 1)
    assert image.cmap.name == style.DIVERGING.name
    np.testing.assert_array_equal(image.get_array().filled(np.nan), values)
    assert [text.get_text() for text in axes.texts] == ["0.2", "1.0", "-1.0"]
    assert axes.alt_text == "T: from -1.0 for y, q to 1.0 for y, p."


def test_heatmap_writes_no_negative_zero():
    axes = plots.heatmap([[-0.001, 1]], ["x"], ["p", "q"], limits=(-1, 1), title="T")
    assert [text.get_text() for text in axes.texts] == ["0.00", "1.00"]
    assert axes.alt_text == "T: from 0.00 for x, p to 1.00 for x, q."


def test_large_heatmap_has_no_numbers():
    axes = plots.heatmap(np.zeros((20, 20)), list("abcdefghijklmnopqrst"), ["c"] * 20)
    assert not axes.texts


@pytest.mark.parametrize("values", [np.zeros((2, 3)), np.zeros(2), np.full((2, 2), np.nan)])
def test_impossible_heatmap_is_refused(values):
    with pytest.raises(ValueError, match="must be numbers of shape"):
        plots.heatmap(values, ["x", "y"], ["p", "q"])


def test_bars_are_as_long_as_their_numbers():
    axes = plots.bar_chart({"a": [1, 3], "b": [2, 4]}, ["x", "y"], title="T")
    widths = [[bar.get_width() for bar in case] for case in axes.containers]
    assert widths == [[1, 3], [2, 4]]
    assert axes.alt_text == "T (a against b): x 1 against 2 and y 3 against 4."
    top, bottom = axes.get_ylim()[::-1]
    assert top < bottom  # the first label is on top


def test_numbers_of_negative_bars_do_not_reach_the_labels():
    axes = plots.bar_chart([-0.25, 1.5, -1.25], ["x", "y", "z"])
    axes.figure.to_png()
    inside = axes.get_window_extent()
    for text in axes.texts:
        assert text.get_window_extent().x0 >= inside.x0


@pytest.mark.parametrize("bars", [[1], [1, 2, 3], {"a": [1, 2], "b": [1]}])
def test_impossible_bars_are_refused(bars):
    with pytest.raises(ValueError, match="one for each label"):
        plots.bar_chart(bars, ["x", "y"])


def test_blank_is_measured_in_inches():
    axes = plots.blank(3, 2, title="Road", alt="A road.")
    box = axes.get_window_extent()
    assert (box.width / style.DPI, box.height / style.DPI) == pytest.approx((3, 2))
    assert axes.figure.alt_text == "A road."

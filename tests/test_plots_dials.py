"""Dials: hands that point where they should, and words for them."""

from falcon_edu import plots

import numpy as np
import pytest
from matplotlib.collections import LineCollection

ROWS, COLUMNS = ["fast", "slow"], ["0", "1", "2"]
ANGLES = np.array([[0, np.pi / 2, np.pi], [0, 0.1, 0.2]])


def hands(ax):
    """From center to tip, `(dials, 2, 2)`, as they are seen: y upwards."""
    (lines,) = [c for c in ax.collections if isinstance(c, LineCollection)]
    ends = np.array(lines.get_segments()) * [1, -1]
    return ends.reshape(2, 3, 2, 2)


def test_hands_point_at_the_angles():
    ends = hands(plots.dials(ANGLES, ROWS, COLUMNS))
    x, y = np.moveaxis(ends[:, :, 1] - ends[:, :, 0], -1, 0)
    np.testing.assert_allclose(np.arctan2(y, x), ANGLES, atol=1e-9)


def test_dials_stand_in_their_cells():
    ax = plots.dials(ANGLES, ROWS, COLUMNS)
    np.testing.assert_array_equal(hands(ax)[1, 2, 0], [2, -1])
    assert [label.get_text() for label in ax.get_yticklabels()] == ROWS
    low, high = ax.get_ylim()
    assert low > high  # the first row is on top


def test_alt_text_counts_turns():
    ax = plots.dials(ANGLES, ROWS, COLUMNS, title="Hands")
    assert ax.alt_text == (
        "Hands: 2 rows of 3 dials; from the first to the last, fast turns by 0.50 and slow by 0.03."
    )
    assert plots.dials(ANGLES, ROWS, COLUMNS, alt="Mine.").alt_text == "Mine."


@pytest.mark.parametrize(("angles", "columns"), [(ANGLES, ["0"]), (np.zeros((2, 0)), [])])
def test_wrong_labels_are_refused(angles, columns):
    with pytest.raises(ValueError, match=r"`angles` must be of shape \(2, "):
        plots.dials(angles, ROWS, columns)

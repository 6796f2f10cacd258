"""The drawing of who holds what: every part is where it lies, and named after its devices."""

from falcon_edu import plots

import pytest

WHOLE = dict.fromkeys(range(4), ((0, 6), (0, 4)))
ROWS = {device: ((device, device + 1), (0, 2)) for device in range(4)}
PAIRS = {device: ((0, 8), (4 * (device % 2), 4 * (device % 2) + 4)) for device in range(4)}
CORNERS = {2 * i + j: ((i, i + 1), (j, j + 1)) for i in range(2) for j in range(2)}


def drawn(ax):
    """Boxes as (left, top, width, height) in parts of the matrix, and the words on them."""
    return [patch.get_bbox() for patch in ax.patches], [text.get_text() for text in ax.texts]


@pytest.mark.parametrize(
    ("matrix", "words", "said"),
    [
        (WHOLE, ["0 to 3"], "m whole on every device"),
        (ROWS, ["0", "1", "2", "3"], "m in 4 parts, 4 down and 1 across, on 1 device each"),
        (PAIRS, ["0 2", "1 3"], "m in 2 parts, 1 down and 2 across, on 2 devices each"),
        (CORNERS, ["0", "1", "2", "3"], "m in 4 parts, 2 down and 2 across, on 1 device each"),
    ],
)
def test_devices_are_named_and_said(matrix, words, said):
    ax = plots.shards([matrix], ["m"], title="Mesh")
    boxes, texts = drawn(ax)
    assert texts == [*words, "m"]
    assert len(boxes) == len(words)
    assert ax.alt_text == plots.shards_alt([matrix], ["m"], title="Mesh") == f"Mesh: {said}."


def test_parts_lie_where_they_are():
    boxes, _ = drawn(plots.shards([PAIRS, CORNERS], ["a", "b"]))
    side = boxes[0].height
    assert boxes[0].width == pytest.approx(side / 2)
    assert boxes[1].x0 == pytest.approx(boxes[0].x0 + side / 2)
    second = boxes[2:]
    assert second[0].x0 > boxes[1].x1  # the next matrix stands beside the first
    assert second[3].x0 == pytest.approx(second[0].x0 + side / 2)
    assert second[3].y0 == pytest.approx(second[0].y0 + side / 2)


def test_other_words_can_be_said():
    assert plots.shards([ROWS], ["m"], alt="Four strips.").alt_text == "Four strips."


@pytest.mark.parametrize(("parts", "names"), [([], []), ([ROWS], []), ([{}], ["m"])])
def test_impossible_parts_are_refused(parts, names):
    with pytest.raises(ValueError, match="at least one matrix"):
        plots.shards(parts, names)

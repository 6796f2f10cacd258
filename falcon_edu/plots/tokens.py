"""Texts cut into tokens: a box for each."""

from falcon_edu.plots.style import (
    INK,
    count,
    frame,
    legible,
    list_words,
    prepare,
    text_width,
    token_labels,
)

from matplotlib import patches

TINTS = ["#d5e6f3", "#fbe6c8", "#d3eee4", "#f3dfeb"]  # pale, so that ink is easy to read on them
SIZE = 10  # of the font, in points
LINE = 0.34  # inches from line to line
TALL = 0.7  # how much of a line a box takes


def token_boxes(lines, labels=None, ax=None, title="", selected=(), alt=None):
    """Draw each text as a row of boxes, one for each token, as wide as what is in it.

    Args:
        lines: texts, each a list of token strings.
        labels: what stands in front of each line, a list of strings; `None` for nothing.
        ax: the Axes to draw on, or `None` for a new figure.
        title: what stands above it, and begins its alt text.
        selected: pairs `(line, token)` of the boxes that are framed.
        alt: what is to be seen, in a sentence; `None` for all tokens.

    Returns:
        Axes.

    Raises:
        ValueError: there is no line, or there are not as many labels as lines.

    Example:

    >>> axes = token_boxes([["M", "ia", " ran"]], title="A tale")
    >>> axes.alt_text
    'A tale: M|ia|·ran (3 tokens).'
    """
    labels = _check(lines, labels)
    written = [token_labels(line) for line in lines]
    places = [_places(line) for line in written]
    width = max([1.0, *(left + wide for boxes in places for left, wide in boxes)])
    indent = max(map(len, labels)) * 0.085 + 0.2
    ax = prepare(ax, title, width, LINE * len(lines), left=indent)
    ax.set(xlim=(0, width), ylim=(len(lines) - 0.5, -0.5), xticks=[])
    ax.set_yticks(range(len(lines)), list(map(legible, labels)), parse_math=False)
    font = {"fontsize": SIZE, "color": INK, "ha": "center", "va": "center", "parse_math": False}
    for row, boxes in enumerate(places):
        for index, (left, wide) in enumerate(boxes):
            tint = TINTS[index % len(TINTS)]
            ax.add_patch(patches.Rectangle((left, row - TALL / 2), wide, TALL, color=tint, lw=0))
            ax.text(left + wide / 2, row + 0.02, written[row][index], **font)
    for row, index in selected:
        left, wide = places[row][index]
        frame(ax, left, row - TALL / 2, wide, TALL)
    ax.alt_text = alt or token_boxes_alt(lines, labels, title)
    return ax


def token_boxes_alt(lines, labels=None, title=""):
    """Say what `token_boxes` shows.

    Args:
        lines, labels, title: as `token_boxes` takes them.
    """
    labels = _check(lines, labels)
    said = [
        f"{label} {'|'.join(token_labels(line))} ({count(len(line), 'token')})".strip()
        for label, line in zip(labels, lines, strict=True)
    ]
    return f"{title}: {list_words(said)}."


def _places(line):
    """Return the left edge and the width of each box, in inches."""
    places, left = [], 0.0
    for text in line:
        wide = text_width(text, SIZE / 72) + 0.11
        places.append((left, wide))
        left += wide + 0.03
    return places


def _check(lines, labels):
    labels = [""] * len(lines) if labels is None else labels
    if not lines or len(labels) != len(lines):
        raise ValueError(
            "`lines` must hold at least one line, with one label for each if there are any. "
            f"Received {count(len(lines), 'line')} and {count(len(labels), 'label')}."
        )
    return labels

"""The logit lens: what a model would say after each layer."""

from falcon_edu.plots.style import (
    COLORS,
    INK,
    count,
    frame,
    ink_on,
    percent,
    prepare,
    spoken,
    token_label,
    token_labels,
    write,
)

import numpy as np

CELL, HEIGHT = 0.62, 0.4  # inches
LONGEST = 8  # letters of a guess that fit a cell


def lens_map(guesses, values, tokens, ax=None, show="rank", title="Logit lens", selected=None):
    """Draw the best guess after each layer, colored by how well the true next token does there.

    Args:
        guesses: `(layers, positions)`, strings: the likeliest token after each.
        values: `(layers, positions)`: the rank of the true next token, from 1, or its probability;
            NaN where no token comes next.
        tokens: `positions` strings, and one more where it is known what follows the last.
        ax: the Axes to draw on, or `None` for a new figure.
        show: "rank" or "probability": what the values are.
        title: what stands above it, and begins its alt text.
        selected: the index of a position that is framed, or `None`.

    Returns:
        Axes.

    Raises:
        ValueError: the shapes don't fit, or `show` is neither.

    Example:

    >>> axes = lens_map([[" a", " a"], [" ran", "."]], [[7, 9], [1, 2]], ["Mia", " ran", " off"])
    >>> axes.alt_text
    'Logit lens: ranks over 2 tokens after 2 layers; 1 of 2 next tokens comes first in the end.'
    """
    guesses, values = _check(guesses, values, tokens, show)
    rows, columns = values.shape
    ax = prepare(
        ax, title, CELL * columns, HEIGHT * rows, left=1.2, right=0.2, top=0.4, bottom=0.65
    )
    strengths = _strengths(values, show)
    ax.imshow(np.ma.masked_invalid(strengths), cmap=COLORS, vmin=0, vmax=1, aspect="auto")
    words: dict[str, list] = {"black": [], "white": []}
    numbers: dict[str, list] = {"black": [], "white": []}
    # `write` has one scale for both axes; here a cell is wider than it is high.
    tall = CELL / HEIGHT
    for (row, column), strength in np.ndenumerate(strengths):
        color = "#eeeeee" if np.isnan(strength) else COLORS(strength)[:3]
        ink = ink_on(color)
        label = token_label(guesses[row, column])
        label = label if len(label) <= LONGEST else label[: LONGEST - 1] + "…"
        words[ink].append((column, row - 0.02, label))
        if not np.isnan(values[row, column]):
            numbers[ink].append((column, row + 0.36, _number(values[row, column], show)))
    points = CELL * 72
    for lines, size in ((words, 8.5), (numbers, 7)):
        for ink, texts in lines.items():
            _write(ax, texts, size / points, tall, ink)
    labels = token_labels(tokens)
    reads = [(k, rows - 0.5 + 0.42, labels[k][:LONGEST]) for k in range(columns)]
    comes = [(k, rows - 0.5 + 0.92, labels[k + 1][:LONGEST]) for k in range(len(labels) - 1)]
    _write(ax, reads, 8.5 / points, tall, INK)
    _write(ax, comes[:columns], 8.5 / points, tall, "#666666")
    ax.set(xticks=[], yticks=range(rows))
    ax.set_yticklabels(["embedding", *(f"after layer {row}" for row in range(rows - 1))])
    for text, y in (("it reads", 0.42), ("comes next", 0.92)):
        ax.text(-0.55, rows - 0.5 + y, text, ha="right", va="baseline", fontsize=8, color=INK)
    if selected is not None:
        frame(ax, selected % columns - 0.5, -0.5, 1, rows)
    ax.alt_text = lens_map_alt(guesses, values, tokens, show, title, selected)
    return ax


def lens_map_alt(guesses, values, tokens, show="rank", title="Logit lens", selected=None):
    """Say what `lens_map` shows.

    Args:
        guesses, values, tokens, show, title, selected: as `lens_map` takes them.
    """
    guesses, values = _check(guesses, values, tokens, show)
    rows, columns = values.shape
    noun = "ranks" if show == "rank" else "probabilities"
    text = f"{title}: {noun} over {count(columns, 'token')} after {count(rows, 'layer')}"
    if selected is not None:
        selected %= columns
        said = spoken(guesses[-1, selected])
        text += f"; after {spoken(tokens[selected], selected == 0)} it says {said} in the end"
        if not np.isnan(values[:, selected]).any():
            numbers = ", ".join(_number(value, show) for value in values[:, selected])
            text += f", and {spoken(tokens[selected + 1])}, which comes, has {numbers}"
        return text + "."
    known = [k for k in range(columns) if not np.isnan(values[-1, k])]
    first = sum(guesses[-1, k] == tokens[k + 1] for k in known)
    verb = "comes" if first == 1 else "come"
    return f"{text}; {first} of {count(len(known), 'next token')} {verb} first in the end."


def _strengths(values, show):
    """Between 0 and 1: of a rank its logarithm counts, from 1 (rank 1) to 0 (rank 1000)."""
    if show == "probability":
        return values
    return np.clip(1 - np.log10(values) / 3, 0, 1)


def _number(value, show):
    return percent(value) if show == "probability" else f"{value:.0f}"


def _write(ax, lines, size, tall, color):
    """`write` in cells that are wider than high: drawn in a square, then stretched."""
    before = len(ax.patches) + len(ax.artists)
    write(ax, [(x, y / tall, text) for x, y, text in lines], size, color, align=0.5)
    for shape in (ax.patches + ax.artists)[before:]:
        shape.get_path().vertices[:, 1] *= tall


def _check(guesses, values, tokens, show):
    guesses, values = np.asarray(guesses, dtype=object), np.asarray(values, dtype="float64")
    if values.ndim != 2 or 0 in values.shape or guesses.shape != values.shape:
        raise ValueError(
            "`guesses` and `values` must both be (layers, positions). "
            f"Received: {guesses.shape} and {values.shape}"
        )
    if len(tokens) - values.shape[1] not in (0, 1):
        raise ValueError(
            f"`tokens` must be {values.shape[1]} strings, or one more. Received: {len(tokens)}"
        )
    if show not in ("rank", "probability"):
        raise ValueError(f'`show` must be "rank" or "probability". Received: {show!r}')
    return guesses, values

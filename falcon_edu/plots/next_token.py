"""The distribution over the next token, as bars."""

from falcon_edu.plots.style import (
    BLUE,
    GREY,
    INK,
    count,
    legible,
    percent,
    prepare,
    spoken,
    text_width,
    token_label,
)

import numpy as np

DARK_GREY = "#6b6b6b"  # a grey that can be read
LONGEST = 28  # characters of a label; a longer one ends in an ellipsis


def next_token_bars(
    probabilities,
    tokens,
    ax=None,
    title="The next token",
    before=None,
    names=("before", "after"),
    bars=10,
):
    """Draw the most probable next tokens; the scale is always 0 to 100 %.

    Args:
        probabilities: `(v,)`.
        tokens: `v` strings.
        ax: the Axes to draw on, or `None` for a new figure.
        title: what stands above it, and begins its alt text.
        before: other probabilities `(v,)` to compare with, or `None`. Their order is the order of
            the bars, so that the bars stay in their places while `probabilities` change.
        names: what `before` and `probabilities` are called.
        bars: how many tokens to show; `None` for all, in the order in which they are given.

    Returns:
        Axes.

    Raises:
        ValueError: there are not as many tokens as probabilities, or these don't sum to 1.

    Example:

    >>> axes = next_token_bars([0.2, 0.7, 0.1], [" day", " night", "."], bars=2)
    >>> axes.alt_text
    'The next token: "night" 70%, "day" 20%; the other 1 together 10%.'
    """
    probabilities, before = _check(probabilities, tokens), _check(before, tokens)
    shown, rest = _most_probable(probabilities if before is None else before, bars)
    values = _with_rest(probabilities, shown)
    labels = [_shortened(token_label(tokens[index])) for index in shown]
    labels += [f"{rest} others"] if rest else []
    rows = np.arange(len(labels))
    left = max(1.2, *(text_width(label, 9 / 72) + 0.15 for label in labels))
    right, bottom = (0.5, 0.3) if before is None else (0.95, 0.6)
    ax = prepare(ax, title, 4.5, 0.24 * len(rows), left=left, right=right, bottom=bottom)
    cases = [(values, BLUE, names[1])]
    if before is not None:
        cases.append((_with_rest(before, shown), GREY, names[0]))
    for numbers, color, name in reversed(cases):  # the grey bars behind the blue ones
        height = 0.8 if numbers is cases[-1][0] else 0.4
        ax.barh(rows, numbers, color=color, height=height, label=legible(name))
    for row, *numbers in zip(rows, *(numbers for numbers, _, _ in cases), strict=True):
        points = 4.0  # from the tip of the longer bar: the numbers of both, in their colors
        for number, color in zip(numbers, (BLUE, DARK_GREY), strict=False):
            place = {"xytext": (points, 0), "textcoords": "offset points", "va": "center"}
            ax.annotate(percent(number), (max(numbers), row), fontsize=9, color=color, **place)
            points += 72 * text_width(percent(number), 9 / 72) + 5
    ax.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5))
    ax.set_xticks([0, 0.5, 1], ["0", "50%", "100%"])
    ax.set_yticks(rows, labels, parse_math=False)
    if before is not None:
        # Below the scale, for there is no place among bars that none may need.
        below = (0, -0.22 / (0.24 * len(rows)))
        look = {"frameon": False, "fontsize": 9, "labelcolor": INK}
        ax.legend(loc="upper left", bbox_to_anchor=below, borderaxespad=0, ncols=2, **look)
    ax.alt_text = next_token_bars_alt(probabilities, tokens, title, before, names, bars)
    return ax


def next_token_bars_alt(
    probabilities, tokens, title="The next token", before=None, names=("before", "after"), bars=10
):
    """Say what `next_token_bars` shows: up to five tokens that have at least 1 %.

    Args:
        probabilities, tokens, title, before, names, bars: as `next_token_bars` takes them.

    >>> next_token_bars_alt([1, 0], ["a", "b"], before=[0.5, 0.5])
    'The next token, after (before): "a" 100% (50%), "b" 0% (50%).'
    """
    probabilities, before = _check(probabilities, tokens), _check(before, tokens)
    first = probabilities if before is None else before
    shown, _ = _most_probable(first, bars)
    if bars is not None:
        # Those that have nearly nothing come in an order that differs between machines.
        shown = [i for i in shown[:5] if max(probabilities[i], first[i]) >= 0.01]
    values = [percent(value) for value in _with_rest(probabilities, shown)]
    if before is not None:
        others = map(percent, _with_rest(before, shown))
        values = [f"{value} ({other})" for value, other in zip(values, others, strict=True)]
    said = ", ".join(f"{spoken(tokens[i])} {v}" for i, v in zip(shown, values, strict=False))
    rest = len(tokens) - len(shown)
    remainder = f"the other {rest} together {values[-1]}" if rest else ""
    compared = "" if before is None else f", {names[1]} ({names[0]})"
    return f"{title}{compared}: {'; '.join(filter(None, [said, remainder]))}."


def _most_probable(probabilities, bars):
    """Return the indices of the tokens to show, and how many others there are."""
    # Rounded first, so that a tie is the same tie on every machine.
    order = np.argsort(-np.round(probabilities, 6), kind="stable")
    if bars is None:
        return np.arange(len(order)), 0
    return order[:bars], max(0, len(order) - bars)


def _shortened(label):
    return label if len(label) <= LONGEST else label[: LONGEST - 1] + "…"


def _with_rest(probabilities, shown):
    """Return the probabilities of some tokens, then that of all others, if there are any."""
    others = np.delete(probabilities, shown)
    return np.append(probabilities[shown], others.sum()) if others.size else probabilities[shown]


def _check(probabilities, tokens):
    if probabilities is None:
        return None
    probabilities = np.asarray(probabilities, dtype="float32")
    if probabilities.shape != (len(tokens),):
        raise ValueError(
            f"`probabilities` must have shape ({len(tokens)},), one for each of "
            f"{count(len(tokens), 'token')}. Received: {probabilities.shape}"
        )
    if not np.isclose(probabilities.sum(), 1, atol=1e-3):
        raise ValueError(f"`probabilities` must sum to 1. Received: {probabilities.sum()}")
    return np.clip(probabilities, 0, 1)

"""A number for each head: scores, or what happens without it."""

from falcon_edu.plots.style import COLORS, count, frame, ink_on, prepare

import numpy as np


def head_scores(scores, ax=None, title="Score of each head", selected=()):
    """Draw a table of colors and numbers: a row for each layer, a column for each head.

    Args:
        scores: `(layers, heads)`, between 0 and 1.
        ax: the Axes to draw on, or `None` for a new figure.
        title: what stands above it, and begins its alt text.
        selected: pairs `(layer, head)` that are framed.

    Returns:
        Axes.

    Raises:
        ValueError: the scores have another shape, or are outside 0 to 1.

    Example:

    >>> axes = head_scores([[0.1, 0.0], [0.2, 0.9]], title="Copies")
    >>> axes.alt_text
    'Copies: 2 layers with 2 heads each; from 0.00 for layer 0, head 1 to 0.90 for layer 1, head 1.'
    """
    scores = _check(scores)
    layers, heads = scores.shape
    cell = np.clip(6 / heads, 0.45, 0.9)  # inches
    ax = prepare(ax, title, cell * heads, cell * layers * 0.6, left=0.7, bottom=0.3)
    ax.imshow(scores, cmap=COLORS, vmin=0, vmax=1, aspect="auto")
    for (layer, head), score in np.ndenumerate(scores):
        color = ink_on(COLORS(score)[:3])
        ax.text(head, layer, f"{score:.2f}", ha="center", va="center", fontsize=9, color=color)
    ax.set_xticks(range(heads), [f"head {head}" for head in range(heads)])
    ax.set_yticks(range(layers), [f"layer {layer}" for layer in range(layers)])
    for layer, head in selected:
        frame(ax, head - 0.5, layer - 0.5, 1, 1)
    ax.alt_text = head_scores_alt(scores, title)
    return ax


def head_scores_alt(scores, title="Score of each head"):
    """Say what `head_scores` shows.

    Args:
        scores, title: as `head_scores` takes them.
    """
    scores = _check(scores)
    # Rounded first, so that a tie is the same tie on every machine.
    rounded = np.round(scores, 2)
    high, low = (np.unravel_index(f(rounded), scores.shape) for f in (np.argmax, np.argmin))
    return (
        f"{title}: {count(scores.shape[0], 'layer')} with {count(scores.shape[1], 'head')} each; "
        f"from {scores[low]:.2f} for layer {low[0]}, head {low[1]} "
        f"to {scores[high]:.2f} for layer {high[0]}, head {high[1]}."
    )


def _check(scores):
    scores = np.asarray(scores, dtype="float32")
    if scores.ndim != 2 or 0 in scores.shape:
        raise ValueError(f"`scores` must be (layers, heads). Received: {scores.shape}")
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError(f"`scores` must be in 0..1. Received: {scores.min()} to {scores.max()}")
    return scores

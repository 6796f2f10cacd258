"""Attention weights as pictures: one head as a map, one token as text, all heads as a grid."""

from falcon_edu.plots.style import (
    BLUE,
    COLORS,
    INK,
    count,
    frame,
    ink_on,
    prepare,
    spoken,
    text_width,
    token_label,
    token_labels,
    write,
)

import numpy as np
from matplotlib import patches
from matplotlib.colors import to_rgb

AXIS_NAME = 2.0  # inches that the longest name of an axis needs

# === One head ===


def attention_map(weights, tokens, ax=None, title="Attention map", query=None):
    """Draw the attention weights of one head: each row is a token that looks.

    The scale is always 0 to 1. Grey is where a token can't look, since it comes later.

    Args:
        weights: `(q, k)`; with fewer queries than keys, the queries are the last tokens.
        tokens: `k` strings.
        ax: the Axes to draw on, or `None` for a new figure.
        title: what stands above it, and begins its alt text.
        query: index of a token whose row is framed, or `None`.

    Returns:
        Axes.

    Raises:
        ValueError: there are not as many tokens as keys, or no such query.

    Example:

    >>> axes = attention_map([[1, 0], [0.25, 0.75]], ["Mia", " ran"])
    >>> axes.alt_text
    'Attention map over 2 tokens; the strongest weight, 0.75, goes from "ran" to "ran".'
    """
    weights, queries = _check(weights, tokens, query)
    rows, columns = weights.shape
    labels = token_labels(tokens)
    cell = np.clip(5.6 / columns, 0.06, 0.3)  # inches
    size = np.clip(0.11 / cell, 0.55, 1.1)  # of the letters, in cells
    longest = max(text_width(label, size) for label in labels) + 0.3
    margin = cell * longest + 0.3
    height, width = cell * rows, cell * columns
    # A map of a few tokens is smaller than the names of its axes, which then begin where it does.
    room = {"right": max(0.7, AXIS_NAME - width), "bottom": max(margin, AXIS_NAME - height)}
    ax = prepare(ax, title, width, height, left=margin, **room)
    ax.imshow(_hide_future(weights, queries), cmap=COLORS, vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
    # In a large map, labels that would overlap are left out.
    shown = range(0, columns, int(np.ceil(size)))
    baseline = 0.35 * size
    write(ax, [(k + baseline, rows - 0.2, labels[k]) for k in shown], size, align=1, upwards=True)
    looking = [(-0.8, q - queries[0] + baseline, labels[q]) for q in shown if q >= queries[0]]
    write(ax, looking, size, align=1)
    names = {"color": INK, "fontsize": 10}
    below, left = rows - 0.5 + longest + 0.1 / cell, -0.5 - longest - 0.1 / cell
    x, ha = (-0.5, "left") if width < AXIS_NAME else ((columns - 1) / 2, "center")
    ax.text(x, below, "key: the token it looks at", ha=ha, va="top", **names)
    y, va = (-0.5, "top") if height < AXIS_NAME else ((rows - 1) / 2, "center")
    ax.text(left, y, "query: the token that looks", ha="right", va=va, rotation=90, **names)
    _scale(ax, cell, rows, columns)
    if query is not None:
        frame(ax, -0.5, query % columns - queries[0] - 0.5, query % columns + 1, 1)
    ax.alt_text = attention_map_alt(weights, tokens, title, query)
    return ax


def attention_map_alt(weights, tokens, title="Attention map", query=None):
    """Say what `attention_map` shows; the first token has no choice and is left out.

    Args:
        weights, tokens, title, query: as `attention_map` takes them.

    >>> attention_map_alt([[1, 0], [0.9, 0.1]], ["Mia", " ran"], "Layer 2, head 1")
    'Layer 2, head 1 over 2 tokens; the strongest weight, 0.90, goes from "ran" to "Mia".'
    """
    weights, queries = _check(weights, tokens, query)
    # Rounded first, so that a tie is the same tie on every machine.
    choices = np.round(weights, 2) * ((queries > 0) | (len(tokens) == 1))[:, None]
    row, key = np.unravel_index(choices.argmax(), choices.shape)
    looks, seen = spoken(tokens[queries[row]], queries[row] == 0), spoken(tokens[key], key == 0)
    said = (
        f"{title} over {count(len(tokens), 'token')}; the strongest weight, "
        f"{weights[row, key]:.2f}, goes from {looks} to {seen}"
    )
    if query is not None:
        query %= len(tokens)
        line = weights[query - queries[0]]
        key = int(np.round(line, 2).argmax())
        looks, seen = spoken(tokens[query], query == 0), spoken(tokens[key], key == 0)
        seen = "itself" if key == query else seen
        said += f"; framed: {looks}, token {query}, looks most at {seen}, with {line[key]:.2f}"
    return f"{said}."


def _scale(ax, cell, rows, columns):
    """Draw the color of each weight, right of the map."""
    limits = ax.axis()
    left, width, height = columns - 0.5 + 0.15 / cell, 0.12 / cell, min(rows, 1.5 / cell)
    box = (left, left + width, height - 0.5, -0.5)
    colors = np.linspace(1, 0, 64)[:, None]
    ax.imshow(colors, cmap=COLORS, vmin=0, vmax=1, extent=box, aspect="equal", clip_on=False)
    size, x = 0.11 / cell, left + width + 0.05 / cell
    write(ax, [(x, -0.5 + 0.8 * size, "1"), (x, height - 0.5, "0")], size)
    ax.axis(limits)


# === One token ===

LINE_WIDTH, LINE, CHIP, LETTERS = 480, 31, 17, 11  # points
LATER = "#8a8a8a"


def attention_text(weights, tokens, query=-1, ax=None, title="Attention"):
    """Draw the text, each token in the strength of the weight that one token gives it.

    It is one row of the map, written as it is read. Later tokens are grey.

    Args:
        weights: `(q, k)`, as `attention_map` takes them.
        tokens: `k` strings.
        query: index of the token that looks.
        ax: the Axes to draw on, or `None` for a new figure.
        title: what stands above it, and begins its alt text.

    Returns:
        Axes.

    Raises:
        ValueError: as `attention_map`.

    Example:

    >>> axes = attention_text([[1, 0], [0.25, 0.75]], ["Mia", " ran"], query=1)
    >>> axes.alt_text
    'Attention: "ran", token 1, looks at "ran" with 0.75, at "Mia" with 0.25.'
    """
    weights, queries = _check(weights, tokens, query)
    query %= len(tokens)
    row = np.clip(weights[query - queries[0]], 0, 1)
    places, height = _lay_out(tokens)
    ax = prepare(ax, title, LINE_WIDTH / 72, height / 72)
    ax.set(xlim=(0, LINE_WIDTH), ylim=(height, 0), aspect="equal", xticks=[], yticks=[])
    words: dict[str, list] = {"black": [], "white": [], LATER: []}
    for index, (x, y, width, text) in enumerate(places):
        paper = 1 - row[index] * (1 - np.array(to_rgb(BLUE)))
        ax.add_artist(patches.Rectangle((x, y), width, CHIP, color=paper, linewidth=0))
        color = LATER if index > query and row[index] == 0 else ink_on(paper)
        words[color].append((x + 1.5, y + 12.5, text))
    for color, lines in words.items():
        write(ax, lines, LETTERS, color)
    numbers = [
        (x + width / 2, y + 26, f"{weight:.2f}")
        for (x, y, width, _), weight in zip(places, row, strict=True)
        if weight >= 0.05
    ]
    write(ax, numbers, 8, align=0.5)
    x, y, width, _ = places[query]
    frame(ax, x, y, width, CHIP)
    ax.alt_text = attention_text_alt(weights, tokens, query, title)
    return ax


def attention_text_alt(weights, tokens, query=-1, title="Attention"):
    """Say what `attention_text` shows: the three largest weights, largest first.

    Args:
        weights, tokens, query, title: as `attention_text` takes them.

    >>> attention_text_alt([[1, 0], [1, 0]], ["<|endoftext|>", "Mia"])
    'Attention: "Mia", token 1, looks at the start with 1.00.'
    """
    weights, queries = _check(weights, tokens, query)
    query %= len(tokens)
    row = np.round(weights[query - queries[0]], 2)
    largest = [k for k in np.argsort(-row, kind="stable")[:3] if row[k] > 0]
    seen = [f"at {spoken(tokens[k], k == 0)} with {row[k]:.2f}" for k in largest]
    looks = spoken(tokens[query], query == 0)
    return f"{title}: {looks}, token {query}, looks {', '.join(seen) or 'nowhere'}."


def _lay_out(tokens):
    """Return the place `(x, y, width, text)` of every token, in lines, and the total height."""
    places, x, y = [], 0.0, 3.0
    for index, token in enumerate(tokens):
        text = token_label(token, index == 0).removeprefix("·") or "·"
        width = text_width(text, LETTERS) + 3
        x += 5 if token.startswith(" ") and x > 0 else 0
        if x + width > LINE_WIDTH and x > 0:
            x, y = 0.0, y + LINE
        places.append((x, y, width, text))
        x += width
        if "\n" in token:
            x, y = 0.0, y + LINE
    return places, y + LINE


# === All heads ===


def attention_grid(weights, ax=None, title="All heads", selected=None):
    """Draw the attention maps of all heads: a row for each layer, a column for each head.

    Args:
        weights: a list of `(n, q, k)`, one for each layer, or an array `(layers, n, q, k)`.
        ax: the Axes to draw on, or `None` for a new figure.
        title: what stands above it, and begins its alt text.
        selected: `(layer, head)` of a map that is framed, or `None`.

    Returns:
        Axes.

    Raises:
        ValueError: the weights have another shape.

    Example:

    >>> axes = attention_grid(np.tile(np.eye(3), (2, 4, 1, 1)), selected=(1, 0))
    >>> axes.alt_text
    'All heads: the maps of 2 layers with 4 heads each, over 3 tokens; layer 1, head 0 is framed.'
    """
    weights = _check_grid(weights)
    layers, heads, rows, columns = weights.shape
    height, width = rows + max(1, rows // 12), columns + max(1, columns // 12)
    mosaic = np.ones((layers * height, heads * width, 4))  # white between the maps
    queries = columns - rows + np.arange(rows)
    for layer, head in np.ndindex(layers, heads):
        y, x = layer * height, head * width
        pixels = COLORS(_hide_future(weights[layer, head], queries))
        mosaic[y : y + rows, x : x + columns] = pixels
    cell = np.clip(6 / heads, 0.3, 1.3)  # inches
    ax = prepare(ax, title, cell * heads, cell * layers * height / width, left=0.7, bottom=0.3)
    ax.imshow(mosaic, interpolation="nearest")
    middle = (columns - 1) / 2 + width * np.arange(heads)
    ax.set_xticks(middle, [f"head {head}" for head in range(heads)])
    middle = (rows - 1) / 2 + height * np.arange(layers)
    ax.set_yticks(middle, [f"layer {layer}" for layer in range(layers)])
    if selected is not None:
        layer, head = selected
        frame(ax, head * width - 0.5, layer * height - 0.5, columns, rows)
    ax.alt_text = attention_grid_alt(weights, title, selected)
    return ax


def attention_grid_alt(weights, title="All heads", selected=None):
    """Say what `attention_grid` shows.

    Args:
        weights, title, selected: as `attention_grid` takes them.

    >>> attention_grid_alt(np.zeros((1, 2, 3, 3)))
    'All heads: the maps of 1 layer with 2 heads each, over 3 tokens.'
    """
    layers, heads, _, columns = _check_grid(weights).shape
    framed = "" if selected is None else "; layer {}, head {} is framed".format(*selected)
    return (
        f"{title}: the maps of {count(layers, 'layer')} with {count(heads, 'head')} each, "
        f"over {count(columns, 'token')}{framed}."
    )


# === Checks ===


def _check(weights, tokens, query=None):
    """Return the weights as an array, and the index of the token that looks in each row."""
    weights = np.asarray(weights, dtype="float32")
    keys = len(tokens)
    if weights.ndim != 2 or weights.shape[1] != keys or not 0 < len(weights) <= keys:
        raise ValueError(
            f"`weights` must be (queries, keys) for {count(keys, 'token')}. "
            f"Received: {weights.shape}"
        )
    queries = np.arange(keys - len(weights), keys)
    if query is not None and not (-keys <= query < keys and query % keys in queries):
        raise ValueError(f"`query` must be one of {queries[0]} to {queries[-1]}. Received: {query}")
    return weights, queries


def _check_grid(weights):
    weights = np.asarray(weights, dtype="float32")
    if weights.ndim != 4 or 0 in weights.shape:
        raise ValueError(f"`weights` must be (layers, heads, q, k). Received: {weights.shape}")
    return weights


def _hide_future(weights, queries):
    """Leave out the zeros above the diagonal: there a token can't look, so they measure nothing."""
    future = np.arange(weights.shape[1]) > queries[:, None]
    return np.ma.masked_where(future & (weights == 0), weights)

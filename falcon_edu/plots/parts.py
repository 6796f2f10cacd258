"""A Falcon as a drawing of its parts, each in the colour of who made it."""

from falcon_edu.plots.style import BLUE, INK, list_words, prepare

from matplotlib import patches

SIZE = 6.7, 3.05  # inches

# Left, bottom, width and height of each part. Backbone and block are frames around others.
BOXES = {
    "tokenizer": (0.05, 1.1, 0.95, 0.55),
    "backbone": (1.25, 0.7, 4.15, 2.3),
    "block": (1.4, 0.85, 3.85, 1.85),
    "norm": (1.55, 1.1, 0.95, 0.55),
    "attention": (2.7, 1.1, 0.95, 0.55),
    "positions": (2.1, 1.85, 0.95, 0.45),
    "cache": (3.3, 1.85, 0.95, 0.45),
    "weights": (2.85, 0.05, 0.95, 0.45),
    "sampler": (5.7, 1.1, 0.95, 0.55),
}
FRAMES = {"backbone": "backbone", "block": "block, four times"}
TWINS = {  # more boxes: what stands in them, and whose colour they have
    "norm": ((3.85, 1.1, 0.5, 0.55), "norm"),
    "MLP": ((4.55, 1.1, 0.5, 0.55), "block"),
}
ARROWS = [
    [(1.0, 1.375), (1.25, 1.375)],
    [(2.5, 1.375), (2.7, 1.375)],
    [(3.65, 1.375), (3.85, 1.375)],
    [(4.35, 1.375), (4.55, 1.375)],
    [(5.4, 1.375), (5.7, 1.375)],
    [(2.875, 1.85), (2.875, 1.65)],
    [(3.475, 1.85), (3.475, 1.65)],
    [(3.325, 0.5), (3.325, 0.7)],
    [(6.175, 1.1), (6.175, 0.27), (0.525, 0.27), (0.525, 1.1)],
]
COLORS = {"package": "#eeeeee", "yours": "#b9e3d3", "not yet": "#fbe6c8"}
SAID = {"package": "package's", "yours": "yours", "not yet": "not yet"}
CAPTION = "numbers: the largest difference from the package's"
WORDS = {"yours": "yours", "not yet": "not yet right", "package": "the package's"}


def falcon_diagram(parts, ax=None, title=""):
    """Draw a Falcon: grey parts are the package's, green ones yours.

    Args:
        parts: `{name: (state, number)}` for the nine parts. The state is "package", "yours" or
            "not yet"; the number is a text, how far the part is from the package's.
        ax: the Axes to draw on, or `None` for a new figure.
        title: what stands above it, and begins its alt text.

    Returns:
        Axes.

    Raises:
        ValueError: a part or a state is unknown, or one is missing.

    Example:

    >>> parts = {name: ("package", "") for name in BOXES} | {"norm": ("yours", "2e-07")}
    >>> falcon_diagram(parts, title="Mine").alt_text[:38]
    'Mine: yours is norm (2e-07); the packa'
    """
    said = falcon_diagram_alt(parts, title)
    ax = prepare(ax, title, *SIZE)
    ax.set(xlim=(0, SIZE[0]), ylim=(0, SIZE[1]), xticks=[], yticks=[])
    for name in BOXES:
        state, number = parts[name]
        words = f"{SAID[state]}{f', {number}' if number else ''}"
        if name in FRAMES:
            left, bottom, _, height = _box(ax, BOXES[name], COLORS[state])
            top = bottom + height - 0.08
            ax.text(left + 0.08, top, f"{FRAMES[name]}: {words}", va="top", fontsize=8, color=INK)
        else:
            _box(ax, BOXES[name], COLORS[state], f"{name}\n{words}")
    for text, (box, name) in TWINS.items():
        _box(ax, box, COLORS[parts[name][0]], text)
    for points in ARROWS:
        ax.plot(*zip(*points, strict=True), color=BLUE, linewidth=1.2, zorder=1)
        head = {"arrowstyle": "-|>", "color": BLUE, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", xy=points[-1], xytext=points[-2], arrowprops=head, zorder=5)
    ax.text(0.62, 0.3, "the next token", va="bottom", fontsize=8, color=INK)
    if any(number for _, number in parts.values()):
        ax.text(6.65, 0.03, CAPTION, ha="right", va="bottom", fontsize=7, color=INK)
    ax.alt_text = said
    return ax


def falcon_diagram_alt(parts, title=""):
    """Say what `falcon_diagram` shows.

    Args:
        parts, title: as `falcon_diagram` takes them.
    """
    if parts.keys() != BOXES.keys():
        raise ValueError(f"`parts` must be {', '.join(BOXES)}. Received: {', '.join(parts)}")
    if unknown := {state for state, _ in parts.values()} - COLORS.keys():
        raise ValueError(f"A state is one of {', '.join(COLORS)}. Received: {unknown.pop()!r}")
    groups = []
    for state, words in WORDS.items():
        names = [
            f"{name} ({number})" if number else name
            for name, (found, number) in parts.items()
            if found == state
        ]
        if names:
            groups.append(f"{words} {'is' if len(names) == 1 else 'are'} {list_words(names)}")
    caption = f" {CAPTION.capitalize()}." if any(number for _, number in parts.values()) else ""
    return f"{title or 'A Falcon'}: {'; '.join(groups)}.{caption}"


def _box(ax, box, color, text=""):
    left, bottom, width, height = box
    rectangle = patches.Rectangle((left, bottom), width, height, facecolor=color, edgecolor=INK)
    ax.add_patch(rectangle).set(linewidth=1, zorder=2)
    middle = left + width / 2, bottom + height / 2 - 0.01
    ax.text(*middle, text, ha="center", va="center", fontsize=8, color=INK, zorder=4)
    return box

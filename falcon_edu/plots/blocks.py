"""A decoder block as a drawing: the residual stream, and what reads from it and adds to it."""

from falcon_edu.plots.style import BLUE, INK, SERIES, prepare

from matplotlib import patches

STREAM, LOW, HIGH = 0.2, 0.85, 1.4  # the heights of the stream and of the two rows above it
TALL = 0.34  # how tall a box is, in inches
TINTS = {"norm": "#eeeeee", "attention": "#d5e6f3", "MLP": "#fbe6c8"}
WIDE = {"norm": 0.6, "attention": 0.95, "MLP": 0.95}

# Boxes (what, left, height) and ways (points; the first and the last end on a box or the stream).
_HALVES = [("attention", 1.65, HIGH), ("MLP", 1.65, LOW)]
_OUT = [
    [(2.6, LOW), (2.85, LOW), (2.85, STREAM)],
    [(2.6, HIGH), (3.25, HIGH), (3.25, STREAM)],
]
LAYOUTS = {
    "sequential": (
        [
            ("norm", 0.65, LOW),
            ("attention", 1.5, LOW),
            ("norm", 3.4, LOW),
            ("MLP", 4.25, LOW),
        ],
        [
            [(0.4, STREAM), (0.4, LOW), (0.65, LOW)],
            [(1.25, LOW), (1.5, LOW)],
            [(2.45, LOW), (2.75, LOW), (2.75, STREAM)],
            [(3.15, STREAM), (3.15, LOW), (3.4, LOW)],
            [(4.0, LOW), (4.25, LOW)],
            [(5.2, LOW), (5.5, LOW), (5.5, STREAM)],
        ],
        5.95,
    ),
    "parallel": (
        [("norm", 0.65, LOW), *_HALVES],
        [
            [(0.4, STREAM), (0.4, LOW), (0.65, LOW)],
            [(1.25, LOW), (1.65, LOW)],
            [(1.43, LOW), (1.43, HIGH), (1.65, HIGH)],
            *_OUT,
        ],
        3.7,
    ),
    "parallel, two norms": (
        [("norm", 0.65, HIGH), ("norm", 0.65, LOW), *_HALVES],
        [
            [(0.4, STREAM), (0.4, LOW), (0.65, LOW)],
            [(0.4, LOW), (0.4, HIGH), (0.65, HIGH)],
            [(1.25, LOW), (1.65, LOW)],
            [(1.25, HIGH), (1.65, HIGH)],
            *_OUT,
        ],
        3.7,
    ),
}
SAID = {
    "sequential": (
        "Attention reads the normed stream and adds to it; then the MLP reads the new stream, "
        "through a norm of its own, and adds to it."
    ),
    "parallel": "Attention and MLP read the same normed stream, and both add to it.",
    "parallel, two norms": (
        "Attention and MLP read the same stream, each through a norm of its own, and both add "
        "to it."
    ),
}


def block_diagram(layout="sequential", ax=None, title=""):
    """Draw one of the three kinds of decoder block that Falcons have.

    Args:
        layout: "sequential" (RW), "parallel" (7B, 11B) or "parallel, two norms" (40B, 180B).
        ax: the Axes to draw on, or `None` for a new figure.
        title: what stands above it, and begins its alt text.

    Returns:
        Axes.

    Raises:
        ValueError: there is no such layout.

    Example:

    >>> axes = block_diagram("parallel", title="Falcon-7B")
    >>> axes.alt_text
    'Falcon-7B: Attention and MLP read the same normed stream, and both add to it.'

    Almazrouei et al. 2023, https://arxiv.org/abs/2311.16867, section 4.
    """
    said = block_diagram_alt(layout, title)
    boxes, ways, width = LAYOUTS[layout]
    top = max(height for _, _, height in boxes) + TALL / 2 + 0.05
    ax = prepare(ax, title, width, top)
    ax.set(xlim=(0, width), ylim=(0, top), xticks=[], yticks=[])
    _arrow(ax, [(0, STREAM), (width - 0.05, STREAM)], BLUE, 2.5)
    for way in ways:
        _arrow(ax, way, INK, 1.2)
        if way[-1][1] == STREAM:  # it adds to the stream
            _plus(ax, *way[-1])
    for what, left, height in boxes:
        corner = left, height - TALL / 2
        box = patches.Rectangle(corner, WIDE[what], TALL, facecolor=TINTS[what], edgecolor=INK)
        box.set(linewidth=1, zorder=3)
        ax.add_patch(box)
        middle = left + WIDE[what] / 2, height - 0.01
        ax.text(*middle, what, ha="center", va="center", fontsize=9, color=INK, zorder=4)
    ax.alt_text = said
    return ax


def block_diagram_alt(layout="sequential", title=""):
    """Say what `block_diagram` shows.

    Args:
        layout, title: as `block_diagram` takes them.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"`layout` must be one of {list(LAYOUTS)}. Received: {layout!r}")
    return f"{title or layout.capitalize()}: {SAID[layout]}"


def _arrow(ax, points, color, width):
    x, y = zip(*points, strict=True)
    ax.plot(x, y, color=color, linewidth=width, solid_joinstyle="miter", zorder=1)
    if points[-1][1] == STREAM and len(points) > 2:
        return  # it ends in a plus
    head = {"arrowstyle": "-|>", "color": color, "linewidth": width, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", xy=points[-1], xytext=points[-2], arrowprops=head, zorder=2)


def _plus(ax, x, y):
    circle = patches.Circle((x, y), 0.09, facecolor="white", edgecolor=SERIES[0], linewidth=1.5)
    ax.add_patch(circle).set_zorder(3)
    for points in (((x - 0.05, x + 0.05), (y, y)), ((x, x), (y - 0.05, y + 0.05))):
        ax.plot(*points, color=SERIES[0], linewidth=1.5, zorder=4)

"""Strips of boxes: what lies beside what, such as the rows of a tensor."""

from falcon_edu.plots.style import INK, legible, list_words, prepare

from matplotlib import patches

TINTS = ["#d5e6f3", "#fbe6c8", "#d3eee4", "#f3dfeb"]  # pale, so that ink is easy to read on them
BOX = 0.36  # inches
LINE = 0.4  # inches from strip to strip
TALL = 0.75  # how much of a line a box takes


def strips(lines, labels, ax=None, title="", stretch=False, alt=None):
    """Draw each line as a strip of boxes, colored by kind: what is left of a name without digits.

    Args:
        lines: lists of names, such as `["q0", "q1", "k0"]`.
        labels: what stands in front of each line, a list of strings.
        ax: the Axes to draw on, or `None` for a new figure.
        title: what stands above it, and begins its alt text.
        stretch: whether all strips are as long as the longest, with wider boxes: then a box stands
            above what it belongs to.
        alt: what is to be seen, in a sentence; `None` for all names.

    Returns:
        Axes.

    Raises:
        ValueError: there is no line, a line is empty, or the labels are not as many as the lines.

    Example:

    >>> axes = strips([["q0", "q1", "k0", "v0"]], ["7B"], title="Rows")
    >>> axes.alt_text
    'Rows: 7B q0|q1|k0|v0.'
    """
    if not lines or len(labels) != len(lines) or not all(lines):
        raise ValueError(
            "`lines` must hold at least one line, none of them empty, with one label for each. "
            f"Received {len(lines)} lines and {len(labels)} labels."
        )
    longest = max(map(len, lines))
    indent = max(map(len, labels)) * 0.085 + 0.2
    ax = prepare(ax, title, BOX * longest, LINE * len(lines), left=indent)
    ax.set(xlim=(0, longest), ylim=(len(lines) - 0.5, -0.5), xticks=[])
    ax.set_yticks(range(len(lines)), list(map(legible, labels)), parse_math=False)
    kinds = list(dict.fromkeys(_kind(name) for line in lines for name in line))
    font = {"fontsize": 9, "color": INK, "ha": "center", "va": "center", "parse_math": False}
    for row, line in enumerate(lines):
        wide = longest / len(line) if stretch else 1
        for index, name in enumerate(line):
            corner = index * wide + 0.04, row - TALL / 2
            tint = TINTS[kinds.index(_kind(name)) % len(TINTS)]
            ax.add_patch(patches.Rectangle(corner, wide - 0.08, TALL, color=tint, linewidth=0))
            ax.text((index + 0.5) * wide, row + 0.02, legible(name), **font)
    ax.alt_text = alt or strips_alt(lines, labels, title)
    return ax


def strips_alt(lines, labels, title=""):
    """Say what `strips` shows.

    Args:
        lines, labels, title: as `strips` takes them.
    """
    said = [f"{label} {'|'.join(line)}" for label, line in zip(labels, lines, strict=True)]
    return f"{title}: {list_words(said)}."


def _kind(name):
    return name.rstrip("0123456789")

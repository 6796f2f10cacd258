"""Matrices cut into parts: which device holds which."""

from falcon_edu.plots.style import INK, list_words, prepare

from matplotlib import patches

TINTS = ["#d5e6f3", "#fbe6c8", "#d3eee4", "#f3dfeb"]  # pale, so that ink is easy to read on them
SIDE, GAP = 1.15, 0.3  # inches


def shards(parts, names, ax=None, title="", alt=None):
    """Draw matrices side by side, each cut into its parts, with the devices that hold them.

    Args:
        parts: for each matrix, `{device: ((first row, end), (first column, end))}`; parts are
            drawn in proportion, and each matrix as a square.
        names: what stands below each matrix, a list of strings.
        ax: the Axes to draw on, or `None` for a new figure.
        title: what stands above it, and begins its alt text.
        alt: what is to be seen, in a sentence; `None` for how many parts there are, and whose.

    Returns:
        Axes.

    Raises:
        ValueError: there is no matrix, one has no parts, or the names are not as many.

    Example:

    >>> halves = {0: ((0, 4), (0, 3)), 1: ((0, 4), (3, 6))}
    >>> axes = shards([halves], ["up"], title="Two devices")
    >>> axes.alt_text
    'Two devices: up in 2 parts, 1 down and 2 across, on 1 device each.'
    """
    said = shards_alt(parts, names, title)
    width = len(parts) * (SIDE + GAP)
    ax = prepare(ax, title, width, SIDE + 0.25)
    ax.set(xlim=(0, width), ylim=(SIDE + 0.25, 0), xticks=[], yticks=[])
    font = {"fontsize": 8, "color": INK, "ha": "center", "va": "center", "parse_math": False}
    for index, (matrix, name) in enumerate(zip(parts, names, strict=True)):
        left = GAP / 2 + index * (SIDE + GAP)
        rows, columns = (max(ends[axis][1] for ends in matrix.values()) for axis in (0, 1))
        for number, (place, devices) in enumerate(_holders(matrix).items()):
            (top, bottom), (start, end) = place
            x, y = left + SIDE * start / columns, SIDE * top / rows
            wide, tall = SIDE * (end - start) / columns, SIDE * (bottom - top) / rows
            box = patches.Rectangle((x, y), wide, tall, facecolor=TINTS[number % len(TINTS)])
            box.set(edgecolor="white", linewidth=1.5)
            ax.add_patch(box)
            turned = {"rotation": 90} if tall > 2 * wide and len(devices) > 1 else {}
            ax.text(x + wide / 2, y + tall / 2, _named(devices), **font, **turned)
        ax.text(left + SIDE / 2, SIDE + 0.13, name, **font)
    ax.alt_text = alt or said
    return ax


def shards_alt(parts, names, title=""):
    """Say what `shards` shows.

    Args:
        parts, names, title: as `shards` takes them.
    """
    if not parts or len(parts) != len(names) or not all(parts):
        raise ValueError(
            "`parts` must hold at least one matrix, none of them without parts, with one name for "
            f"each. Received {len(parts)} matrices and {len(names)} names."
        )
    said = []
    for matrix, name in zip(parts, names, strict=True):
        holders = _holders(matrix)
        if len(holders) == 1:
            said.append(f"{name} whole on every device")
            continue
        down, across = (len({place[axis] for place in holders}) for axis in (0, 1))
        each = len(next(iter(holders.values())))
        on = f"on {each} device{'s' if each > 1 else ''} each"
        said.append(f"{name} in {len(holders)} parts, {down} down and {across} across, {on}")
    return f"{title}: {list_words(said)}."


def _holders(matrix):
    """`{place: the devices that hold it}`."""
    holders: dict[tuple, list] = {}
    for device, place in matrix.items():
        holders.setdefault(tuple(map(tuple, place)), []).append(device)
    return holders


def _named(devices):
    if len(devices) > 2 and list(devices) == list(range(devices[0], devices[-1] + 1)):
        return f"{devices[0]} to {devices[-1]}"
    return " ".join(map(str, devices))

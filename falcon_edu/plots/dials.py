"""Dials: angles as hands, for things that turn at different speeds."""

from falcon_edu.plots.style import BLUE, GREY, INK, count, legible, list_words, prepare

import numpy as np
from matplotlib.collections import EllipseCollection, LineCollection


def dials(angles, rows, columns, ax=None, title="", row_label="", column_label="", alt=None):
    """Draw a dial for each angle; its hand starts at the right and turns against the clock.

    Args:
        angles: `(rows, columns)`, in radians.
        rows, columns: the labels, lists of strings.
        ax: the Axes to draw on, or `None` for a new figure.
        title: what stands above it, and begins its alt text.
        row_label, column_label: what the rows and the columns are.
        alt: what is to be seen, in a sentence; `None` for the turns of each row from first to last.

    Returns:
        Axes.

    Raises:
        ValueError: the labels are not as many as the angles.

    Example:

    >>> axes = dials([[0, np.pi], [0, np.pi / 2]], ["fast", "slow"], ["0", "1"], title="Hands")
    >>> axes.alt_text
    'Hands: 2 rows of 2 dials; from the first to the last, fast turns by 0.50 and slow by 0.25.'
    """
    angles = _check(angles, rows, columns)
    height, width = angles.shape
    cell = np.clip(5.2 / width, 0.3, 0.6)  # inches
    widest = max(len(str(label)) for label in rows) * 0.085 + 0.2
    ax = prepare(
        ax,
        title,
        cell * width,
        cell * height,
        left=widest + (0.25 if row_label else 0),
        bottom=0.3 + (0.25 if column_label else 0),
    )
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal")
    centers = np.stack(np.meshgrid(range(width), range(height)), axis=-1).reshape(-1, 2)
    sizes = np.full(len(centers), 0.8)
    ax.add_collection(
        EllipseCollection(
            sizes,
            sizes,
            np.zeros_like(sizes),
            units="x",
            offsets=centers,
            transOffset=ax.transData,
            facecolors="none",
            edgecolors=GREY,
        )
    )
    # y grows downwards, as in a table.
    hands = np.stack([np.cos(angles), -np.sin(angles)], axis=-1).reshape(-1, 2) * 0.37
    lines = np.stack([centers, centers + hands], axis=1)
    ax.add_collection(LineCollection(list(lines), colors=BLUE, linewidths=2, capstyle="round"))
    ax.set_xticks(range(width), list(map(legible, columns)), parse_math=False)
    ax.set_yticks(range(height), list(map(legible, rows)), parse_math=False)
    ax.set_xlabel(legible(column_label), fontsize=9, color=INK)
    ax.set_ylabel(legible(row_label), fontsize=9, color=INK)
    ax.alt_text = alt or dials_alt(angles, rows, columns, title)
    return ax


def dials_alt(angles, rows, columns, title=""):
    """Say what `dials` shows.

    Args:
        angles, rows, columns, title: as `dials` takes them.
    """
    angles = _check(angles, rows, columns)
    turns = (angles[:, -1] - angles[:, 0]) / (2 * np.pi)
    first, *others = [f"{turn:z.2f}" for turn in turns]
    said = [f"{rows[0]} turns by {first}"]
    said += [f"{row} by {turn}" for row, turn in zip(rows[1:], others, strict=True)]
    return (
        f"{title}: {count(len(rows), 'row')} of {count(len(columns), 'dial')}; "
        f"from the first to the last, {list_words(said)}."
    )


def _check(angles, rows, columns):
    angles = np.asarray(angles, dtype="float64")
    if angles.shape != (len(rows), len(columns)) or not angles.size:
        raise ValueError(
            f"`angles` must be of shape ({len(rows)}, {len(columns)}), one for each row and "
            f"column. Received: {angles.shape}"
        )
    return angles

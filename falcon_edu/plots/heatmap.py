"""A table of numbers as colors: any two things that cross, such as layers and positions."""

from falcon_edu.plots.style import COLORS, DIVERGING, INK, frame, ink_on, legible, prepare

import numpy as np

MOST_NUMBERS = 160  # in more cells than this, numbers could not be read


def heatmap(
    values,
    rows,
    columns,
    ax=None,
    title="",
    row_label="",
    column_label="",
    limits=(0, 1),
    is_diverging=False,
    digits=2,
    selected=(),
    alt=None,
):
    """Draw a color for each number, with the number in it where there is room.

    Args:
        values: `(rows, columns)`; NaN is drawn grey.
        rows, columns: the labels, lists of strings.
        ax: the Axes to draw on, or `None` for a new figure.
        title: what stands above it, and begins its alt text.
        row_label, column_label: what the rows and the columns are.
        limits: the numbers of the darkest and the lightest color: a fixed scale, so that pictures
            can be compared.
        is_diverging: whether the scale has a middle, for numbers around it: orange below, violet
            above.
        digits: how many to write after the point; `None` to write no numbers.
        selected: pairs `(row, column)` that are framed.
        alt: what is to be seen, in a sentence; `None` for the largest and the smallest number.

    Returns:
        Axes.

    Raises:
        ValueError: the labels are not as many as the numbers.

    Example:

    >>> axes = heatmap([[0.1, 0.9]], ["layer 0"], ["Mia", "ran"], title="Effect")
    >>> axes.alt_text
    'Effect: from 0.10 for layer 0, Mia to 0.90 for layer 0, ran.'
    """
    values = _check(values, rows, columns)
    cell = np.clip(5.6 / len(columns), 0.16, 0.75)  # inches
    height = np.clip(cell * 0.7, 0.2, 0.36)
    widest = max(len(str(label)) for label in rows) * 0.085 + 0.2
    is_long = max(len(str(label)) for label in columns) * 0.08 > cell
    deepest = max(len(str(label)) for label in columns) * 0.085 if is_long else 0.15
    ax = prepare(
        ax,
        title,
        cell * len(columns),
        height * len(rows),
        left=widest + (0.25 if row_label else 0),
        bottom=deepest + 0.15 + (0.25 if column_label else 0),
    )
    colors = (DIVERGING if is_diverging else COLORS).with_extremes(bad="#eeeeee")
    image = ax.imshow(values, cmap=colors, vmin=limits[0], vmax=limits[1], aspect="auto")
    if digits is not None and values.size <= MOST_NUMBERS:
        size = np.clip(cell * 72 / (digits + 3) * 1.3, 5, 9)
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                ink = ink_on(colors(image.norm(value))[:3])
                text = f"{value:z.{digits}f}"  # never -0.00
                ax.text(column, row, text, ha="center", va="center", fontsize=size, color=ink)
    turned = {"rotation": 90} if is_long else {}
    ax.set_xticks(range(len(columns)), list(map(legible, columns)), parse_math=False, **turned)
    ax.set_yticks(range(len(rows)), list(map(legible, rows)), parse_math=False)
    ax.set_xlabel(legible(column_label), fontsize=9, color=INK)
    ax.set_ylabel(legible(row_label), fontsize=9, color=INK)
    for row, column in selected:
        frame(ax, column - 0.5, row - 0.5, 1, 1)
    ax.alt_text = alt or heatmap_alt(values, rows, columns, title, digits)
    return ax


def heatmap_alt(values, rows, columns, title="", digits=2):
    """Say what `heatmap` shows.

    Args:
        values, rows, columns, title, digits: as `heatmap` takes them.
    """
    values = _check(values, rows, columns)
    digits = 2 if digits is None else digits
    # Rounded first, so that a tie is the same tie on every machine.
    rounded = np.round(values, digits)
    low, high = (
        np.unravel_index(pick(rounded), values.shape) for pick in (np.nanargmin, np.nanargmax)
    )
    ends = (f"{values[i]:z.{digits}f} for {rows[i[0]]}, {columns[i[1]]}" for i in (low, high))
    return f"{title}: from {' to '.join(ends)}."


def _check(values, rows, columns):
    values = np.asarray(values, dtype="float64")
    if values.shape != (len(rows), len(columns)) or not np.isfinite(values).any():
        raise ValueError(
            f"`values` must be numbers of shape ({len(rows)}, {len(columns)}), one for each row "
            f"and column. Received: {values.shape}"
        )
    return values

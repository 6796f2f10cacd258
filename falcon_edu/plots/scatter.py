"""Points in the plane, in groups: what a projection leaves of many dimensions."""

from falcon_edu.plots.style import INK, SERIES, count, legible, list_words, number_axes, prepare

import numpy as np

MARKERS = "osD^vP"


def scatter(points, groups, ax=None, title="", x_label="", y_label="", alt=None):
    """Draw a point for each row, each group in a color and a shape of its own.

    Args:
        points: `(points, 2)`.
        groups: what each point belongs to, a list of as many strings, at most six different.
        ax: the Axes to draw on, or `None` for a new figure.
        title: what stands above it, and begins its alt text.
        x_label, y_label: what the axes mean.
        alt: what is to be seen, in a sentence; `None` for the sizes of the groups.

    Returns:
        Axes.

    Raises:
        ValueError: the points are not as many as the groups, or the groups are too many.

    Example:

    >>> axes = scatter([[0, 0], [1, 2], [1, 3]], ["Mia", "Tom", "Tom"], title="States")
    >>> axes.alt_text
    'States: 3 points in 2 groups, Mia 1 and Tom 2.'
    """
    points, groups = _check(points, groups)
    ax = prepare(ax, title, 3.2, 2.8, left=0.6, bottom=0.5, right=1.1)
    number_axes(ax, x_label, y_label)
    ax.tick_params(labelsize=8)
    for name, color, marker in zip(_names(groups), SERIES, MARKERS, strict=False):
        x, y = points[groups == name].T
        ax.scatter(
            x, y, s=16, color=color, marker=marker, alpha=0.75, linewidths=0, label=legible(name)
        )
    ax.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1), labelcolor=INK)
    ax.alt_text = alt or scatter_alt(points, groups, title)
    return ax


def scatter_alt(points, groups, title=""):
    """Say what `scatter` shows.

    Args:
        points, groups, title: as `scatter` takes them.
    """
    points, groups = _check(points, groups)
    names = _names(groups)
    sizes = [f"{name} {(groups == name).sum()}" for name in names]
    many = f"{count(len(points), 'point')} in {count(len(names), 'group')}"
    return f"{title}: {many}, {list_words(sizes)}."


def _names(groups):
    """Return the groups by name, so that each keeps its color in every picture."""
    return sorted(set(groups.tolist()))


def _check(points, groups):
    points, groups = np.asarray(points, dtype="float64"), np.asarray(groups, dtype=object)
    if points.shape != (len(groups), 2) or not len(points):
        raise ValueError(
            f"`points` must be (points, 2), one for each of {len(groups)} groups, at least one. "
            f"Received: {points.shape}"
        )
    if len(_names(groups)) > len(MARKERS):
        raise ValueError(
            f"There is room for {len(MARKERS)} groups. Received: {len(_names(groups))}"
        )
    return points, groups

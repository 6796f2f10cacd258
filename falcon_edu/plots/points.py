"""Named points in the plane: two numbers of each of several things, such as heads."""

from falcon_edu.plots.style import BLUE, INK, ORANGE, count, legible, number_axes, prepare

import numpy as np


def named_points(
    points, labels, ax=None, title="", x_label="", y_label="", log_y=False, selected=(), alt=None
):
    """Draw a point for each thing, with its name beside it.

    Args:
        points: `(points, 2)`, x and y of each.
        labels: short names, a list of as many strings.
        ax: the Axes to draw on, or `None` for a new figure.
        title: what stands above it, and begins its alt text.
        x_label, y_label: what the axes mean, with units.
        log_y: whether the vertical scale is logarithmic.
        selected: names that are drawn in orange.
        alt: what is to be seen, in a sentence; `None` for which names are at the four ends.

    Returns:
        Axes.

    Raises:
        ValueError: the points are not as many as the labels.

    Example:

    >>> axes = named_points([[0.1, 3], [0.9, 1]], ["a", "b"], title="Heads")
    >>> axes.alt_text
    'Heads: 2 points; x is least for a and largest for b; y is least for b and largest for a.'
    """
    points, labels = _check(points, labels)
    ax = prepare(ax, title, 4.6, 3.0, left=0.75, bottom=0.5, right=0.3)
    number_axes(ax, x_label, y_label)
    ax.set_yscale("log" if log_y else "linear")
    colors = [ORANGE if label in selected else BLUE for label in labels]
    ax.scatter(*points.T, s=22, color=colors, linewidths=0)
    for (x, y), label, color in zip(points, labels, colors, strict=True):
        beside = {"xytext": (4, 3), "textcoords": "offset points", "parse_math": False}
        ink = color if label in selected else INK
        ax.annotate(legible(label), (x, y), fontsize=8, color=ink, **beside)
    ax.margins(0.08)
    ax.alt_text = alt or named_points_alt(points, labels, title)
    return ax


def named_points_alt(points, labels, title=""):
    """Say what `named_points` shows.

    Args:
        points, labels, title: as `named_points` takes them.
    """
    points, labels = _check(points, labels)
    ends = [
        f"{axis} is least for {labels[values.argmin()]} and largest for {labels[values.argmax()]}"
        for axis, values in zip("xy", points.T, strict=True)
    ]
    return f"{title}: {count(len(points), 'point')}; {'; '.join(ends)}."


def _check(points, labels):
    points, labels = np.asarray(points, dtype="float64"), list(labels)
    if points.shape != (len(labels), 2) or not labels:
        raise ValueError(
            f"`points` must be (points, 2), one for each of {len(labels)} labels, at least one. "
            f"Received: {points.shape}"
        )
    return points, labels

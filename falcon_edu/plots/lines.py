"""Curves: how a number changes with another one, for one thing or several."""

from falcon_edu.plots.style import GREY, INK, SERIES, legible, list_words, number_axes, prepare

import numpy as np


def line_chart(
    lines,
    x=None,
    ax=None,
    title="",
    x_label="",
    y_label="",
    y_limits=None,
    log_x=False,
    log_y=False,
    marks=None,
    alt=None,
):
    """Draw one line for each name, in colors that color-blind readers tell apart.

    Args:
        lines: `{name: y}`, or `{name: (x, y)}` where they differ in x; each at least one number.
        x: the x of all lines that bring none; `None` for 0, 1, 2, ...
        ax: the Axes to draw on, or `None` for a new figure.
        title: what stands above it, and begins its alt text.
        x_label, y_label: what the axes mean, with units.
        y_limits: `(low, high)`, where the scale should be fixed.
        log_x, log_y: whether a scale is logarithmic.
        marks: `{name: x}`, grey vertical lines, such as the trained length.
        alt: what is to be seen, in a sentence; `None` for the names and rounded ends of the lines.

    Returns:
        Axes.

    Raises:
        ValueError: there is no line, or x and y of one have different lengths.

    Example:

    >>> axes = line_chart({"model": [3.0, 1.0], "grammar": [0.5, 0.5]}, title="Loss")
    >>> axes.alt_text
    'Loss: model goes from 3 to 1 and grammar goes from 0.5 to 0.5.'
    """
    points = _points(lines, x)
    ax = prepare(ax, title, 4.6, 2.5, left=0.75, bottom=0.5, right=0.2)
    number_axes(ax, x_label, y_label)
    ax.grid(axis="y", color="#eeeeee")
    ax.set_axisbelow(True)
    for (name, (xs, ys)), (color, dashes) in zip(points.items(), _styles(), strict=False):
        marker = "o" if len(xs) <= 12 else None
        options = {"linewidth": 1.8, "marker": marker, "markersize": 3.5, "dashes": dashes}
        ax.plot(xs, ys, color=color, label=legible(name), **options)
    for name, place in (marks or {}).items():
        ax.axvline(place, color=GREY, linewidth=1.2, zorder=0)
        at = {"xy": (place, 1), "xycoords": ("data", "axes fraction"), "xytext": (3, -9)}
        ax.annotate(legible(name), textcoords="offset points", fontsize=8, color="#666666", **at)
    ax.set_xscale("log" if log_x else "linear")
    ax.set_yscale("log" if log_y else "linear")
    if y_limits is not None:
        ax.set_ylim(*y_limits)
    if len(points) > 1:
        ax.legend(fontsize=8, frameon=False, labelcolor=INK)
    ax.alt_text = alt or line_chart_alt(lines, x, title)
    return ax


def line_chart_alt(lines, x=None, title=""):
    """Say what `line_chart` shows.

    Args:
        lines, x, title: as `line_chart` takes them.
    """
    said = [
        f"{name} goes from {ys[0]:.2g} to {ys[-1]:.2g}"
        for name, (_, ys) in _points(lines, x).items()
    ]
    return f"{title}: {list_words(said)}."


def _points(lines, x):
    """Every line as `(x, y)`, arrays of one length."""
    if not lines:
        raise ValueError("`lines` must hold at least one line. Received: none")
    points = {}
    for name, line in lines.items():
        xs, ys = line if isinstance(line, tuple) else (x, line)
        ys = np.asarray(ys, dtype="float64")
        xs = np.arange(len(ys)) if xs is None else np.asarray(xs)
        if ys.ndim != 1 or not len(ys) or xs.shape != ys.shape:
            raise ValueError(
                f"A line needs as many x as y, at least one. Received for {name!r}: "
                f"{xs.shape} and {ys.shape}"
            )
        points[name] = (xs, ys)
    return points


def _styles():
    """Colors, then the same colors dashed: enough for any picture that can be read."""
    solid = [(color, (None, None)) for color in SERIES]
    return solid + [(color, (4, 2)) for color in SERIES]

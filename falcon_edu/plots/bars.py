"""Bars: a number for each of several things, for one case or a few side by side."""

from falcon_edu.plots.style import GREY, INK, SERIES, legible, list_words, prepare

import numpy as np


def bar_chart(
    bars, labels, ax=None, title="", x_label="", limits=None, form="{:.2g}", log=False, alt=None
):
    """Draw horizontal bars, with the number at the end of each.

    Args:
        bars: numbers, or `{name: numbers}` to compare cases; the first case is on top.
        labels: what each bar stands for, a list of strings.
        ax: the Axes to draw on, or `None` for a new figure.
        title: what stands above it, and begins its alt text.
        x_label: what the numbers are, with units.
        limits: `(low, high)` of the scale; `None` for 0 to the largest.
        form: how a number is written.
        log: whether the scale is logarithmic; then give `limits`.
        alt: what is to be seen, in a sentence; `None` for all numbers.

    Returns:
        Axes.

    Raises:
        ValueError: there are not as many numbers as labels.

    Example:

    >>> axes = bar_chart([1.3, 7.2], ["1B", "7B"], title="Parameters, billions")
    >>> axes.alt_text
    'Parameters, billions: 1B 1.3 and 7B 7.2.'
    """
    cases = _cases(bars, labels)
    height = 0.8 / len(cases)
    widest = max(len(label) for label in labels) * 0.085 + 0.2
    inches = max(0.26, 0.15 * len(cases)) * len(labels)
    legend = 0.5 + 0.085 * max(map(len, cases)) if len(cases) > 1 else 0
    ax = prepare(ax, title, 4.2, inches, left=widest, right=0.7 + legend, bottom=0.5)
    rows = np.arange(len(labels))
    colors = [SERIES[0]] if len(cases) == 1 else SERIES
    for case, ((name, numbers), color) in enumerate(zip(cases.items(), colors, strict=False)):
        places = rows + (case - (len(cases) - 1) / 2) * height
        drawn = ax.barh(places, numbers, height=height * 0.9, color=color, label=legible(name))
        texts = [form.format(number) for number in numbers]
        ax.bar_label(drawn, texts, padding=3, fontsize=8, color=INK)
    ax.set_yticks(rows, list(map(legible, labels)), parse_math=False)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    if log:
        ax.set_xscale("log")
    if limits is not None:
        ax.set_xlim(*limits)
    elif not log and min(numbers.min() for numbers in cases.values()) < 0:
        ax.margins(x=0.15)  # room for the numbers on the left of bars that point there
    ax.axvline(0, color=GREY, linewidth=0.8)
    ax.set_xlabel(legible(x_label), fontsize=9, color=INK)
    if len(cases) > 1:
        ax.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.1, 1))
    ax.alt_text = alt or bar_chart_alt(bars, labels, title, form)
    return ax


def bar_chart_alt(bars, labels, title="", form="{:.2g}"):
    """Say what `bar_chart` shows.

    Args:
        bars, labels, title, form: as `bar_chart` takes them.
    """
    cases = _cases(bars, labels)
    said = [
        f"{label} {' against '.join(form.format(numbers[i]) for numbers in cases.values())}"
        for i, label in enumerate(labels)
    ]
    names = f" ({' against '.join(cases)})" if len(cases) > 1 else ""
    return f"{title}{names}: {list_words(said)}."


def _cases(bars, labels):
    cases = bars if isinstance(bars, dict) else {"": bars}
    cases = {name: np.asarray(numbers, dtype="float64") for name, numbers in cases.items()}
    for name, numbers in cases.items():
        if numbers.shape != (len(labels),) or not len(labels):
            raise ValueError(
                f"`bars` must have {len(labels)} numbers, one for each label, at least one. "
                f"Received{' for ' + repr(name) if name else ''}: {numbers.shape}"
            )
    return cases

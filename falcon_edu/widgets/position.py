"""PositionExplorer: how ALiBi forgets and how RoPE turns, for any number and width of heads."""

import math

from falcon_edu import plots
from falcon_edu.model.positions import alibi_slopes
from falcon_edu.plots.style import count
from falcon_edu.support.inputs import backbone_of
from falcon_edu.widgets.explorer import Explorer, buttons, slider

import ipywidgets
import numpy as np

LENGTHS = [2**power for power in range(4, 14)]  # distances, 16 to 8,192
WAVELENGTHS = [1_000, 10_000, 100_000, 500_042, 1_000_000]
MOST_LINES = 6  # more could not be told apart


class PositionExplorer(Explorer):
    """Shows ALiBi's slopes and how fast each head forgets, and RoPE's speeds and rotations.

    Args:
        model: a `FalconCausalLM` or `FalconBackbone` whose heads to begin with; `None` for the
            numbers below.
        num_heads: number of heads, 1 to 128.
        head_dim: width of a head, an even number from 4 to 256.
        length: the largest distance, one of 16, 32, ... 8192.
        max_wavelength: base of RoPE's frequencies.
        view: "ALiBi slopes", "ALiBi decay", "RoPE turns" or "RoPE dials"; `None` for what fits the
            model.

    Raises:
        ValueError: a number is out of its bounds, or there is no such view.

    Example:

    >>> import falcon_edu
    >>> falcon_edu.PositionExplorer(num_heads=6, view="ALiBi slopes")
    PositionExplorer: ALiBi slopes of 6 heads of width 64, distances up to 256, wavelength 10,000
    """

    VIEWS = ("ALiBi slopes", "ALiBi decay", "RoPE turns", "RoPE dials")

    def __init__(
        self,
        model=None,
        num_heads: int = 8,
        head_dim: int = 64,
        length: int = 256,
        max_wavelength: float = 10_000,
        view: str | None = None,
    ) -> None:
        if model is not None:
            backbone = backbone_of(model)
            num_heads = backbone.num_attention_heads
            head_dim = backbone.hidden_dim // num_heads
            max_wavelength = backbone.rope_max_wavelength
            view = view or {"alibi": "ALiBi decay"}.get(backbone.position_encoding, "RoPE turns")
        view = view or self.VIEWS[0]
        most_heads = max(128, num_heads if model is not None else 0)  # 180B has 232
        limits = {
            "num_heads": (num_heads, range(1, most_heads + 1), f"1 to {most_heads}"),
            "head_dim": (head_dim, range(4, 257, 2), "4, 6, ... 256"),
            "length": (length, LENGTHS, "16, 32, ... 8192"),
            "view": (view, self.VIEWS, ", ".join(self.VIEWS)),
        }
        for name, (value, allowed, known) in limits.items():
            if value not in allowed:
                raise ValueError(f"`{name}` must be one of {known}. Received: {value!r}")
        if not max_wavelength > 1:
            raise ValueError(f"`max_wavelength` must be above 1. Received: {max_wavelength!r}")
        wavelengths = sorted({*WAVELENGTHS, max_wavelength})
        heads = {"min": 1, "max": most_heads, "value": num_heads}
        widths = {"min": 4, "max": 256, "step": 2, "value": head_dim}
        lengths = {"options": [(f"{n:,}", n) for n in LENGTHS], "value": length}
        bases = {"options": [(f"{n:,}", n) for n in wavelengths], "value": max_wavelength}
        super().__init__(
            {
                "view": buttons("view", self.VIEWS, view),
                "num_heads": slider(ipywidgets.IntSlider, "heads", **heads),
                "head_dim": slider(ipywidgets.IntSlider, "head width", **widths),
                "length": slider(ipywidgets.SelectionSlider, "distance", **lengths),
                "max_wavelength": slider(ipywidgets.SelectionSlider, "wavelength", **bases),
            }
        )

    def draw(self, view, num_heads, head_dim, length, max_wavelength):
        if view == "ALiBi slopes":
            return _draw_slopes(num_heads)
        if view == "ALiBi decay":
            return _draw_decay(num_heads, head_dim, length)
        half = head_dim // 2
        frequencies = max_wavelength ** (-np.arange(half) / half)  # (h/2,)
        if view == "RoPE turns":
            return _draw_turns(frequencies, length)
        return _draw_dials(frequencies, length)

    def idle(self, view, **values):
        if view == "ALiBi slopes":
            return ("head_dim", "length", "max_wavelength")
        return ("max_wavelength",) if view == "ALiBi decay" else ("num_heads",)

    def describe(self, view, num_heads, head_dim, length, max_wavelength):
        return (
            f"{view} of {count(num_heads, 'head')} of width {head_dim}, "
            f"distances up to {length:,}, wavelength {max_wavelength:,}"
        )


def _draw_slopes(num_heads):
    lines = {"slope": alibi_slopes(num_heads)}
    if not math.log2(num_heads).is_integer():
        lines["one series for all"] = 2 ** (-8 * np.arange(1, num_heads + 1) / num_heads)
    title = f"ALiBi: slopes of {count(num_heads, 'head')}"
    look = {"x_label": "head", "y_label": "slope", "y_limits": (2**-9, 1), "log_y": True}
    return plots.line_chart(lines, title=title, **look)


def _draw_decay(num_heads, head_dim, length):
    slopes = alibi_slopes(num_heads)
    distance = np.linspace(0, length, 129)
    lines = {
        f"head {head}": np.exp(-slopes[head] * distance / math.sqrt(head_dim))
        for head in _spread(num_heads)
    }
    title = "ALiBi: the factor on a token's weight, by distance"
    look = {"x_label": "distance back, in tokens", "y_label": "factor", "y_limits": (0, 1.02)}
    ax = plots.line_chart(lines, distance, title=title, **look)
    ax.set_xlim(0, 1.3 * length)  # room for the names
    if len(lines) > 1:
        ax.legend(fontsize=8, frameon=False, loc="center right")
    return ax


def _draw_turns(frequencies, length):
    turns = frequencies * length / (2 * np.pi)
    full = int((turns >= 1).sum())
    title = f"RoPE: turns within {length:,} tokens"
    alt = f"{title}: {full} of {count(len(turns), 'pair')} turn once or more."
    lines = {"turns": turns, "one full turn": np.ones_like(turns)}
    look = {"x_label": "pair", "y_label": "turns", "log_y": True}
    return plots.line_chart(lines, title=title, alt=alt, **look)


def _draw_dials(frequencies, length):
    pairs = _spread(len(frequencies))
    distances = length * np.arange(9) // 8
    return plots.dials(
        frequencies[pairs, None] * distances,
        [f"pair {pair}" for pair in pairs],
        [f"{distance:,}" for distance in distances],
        title="RoPE: how far a pair is turned",
        column_label="distance, in tokens",
    )


def _spread(number):
    """At most `MOST_LINES` of so many things, from the first to the last."""
    return sorted({round(i) for i in np.linspace(0, number - 1, min(number, MOST_LINES))})

"""The rows of the benchmark: what is compared with what, and what we want to reach."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        name: what is done.
        unit: of the values: "s", "ms", "tokens/s" or "%"; with tokens, more is better.
        ours: what we run, as `benchmarks.worker` takes it, with a `size` for the folder.
        peers: `{name: run}`.
        goals: `{peer: ratio}` of ours to theirs to be reached: at most, for "tokens/s" at least.
        goal: what our own value may be at most.
        peak_goal: megabytes of anonymous memory that ours may take.
        is_quick: whether `--quick` runs it.
        device: "cpu" or "gpu"; rows of a GPU run where there is one.
    """

    name: str
    unit: str
    ours: dict
    peers: dict = field(default_factory=dict)
    goals: dict = field(default_factory=dict)
    goal: float | None = None
    peak_goal: float | None = None
    is_quick: bool = False
    device: str = "cpu"

    def runs(self):
        """Everything that is run for it."""
        return [self.ours, *self.peers.values()]


def ours(work, size, dtype="float32"):
    """Name a run of falcon_edu."""
    return {"who": "falcon_edu", "work": work, "size": size, "dtype": dtype}


def keras_hub(work, size, dtype="float32"):
    """Name a run of KerasHub, from a preset of its own."""
    return {**ours(work, size, dtype), "who": "keras_hub", "format": "keras_hub"}


def transformers(work, size, dtype="float32"):
    """Name a run of transformers, or of peft."""
    return {**ours(work, size, dtype), "who": "transformers"}


def training(work, size, name, goals, is_quick=False):
    """Make a row of tokens per second beside both peers, and beside ours with memory kept."""
    return Row(
        f"{name}, {size}",
        "tokens/s",
        ours(work, size),
        {
            "keras_hub": keras_hub(work, size),
            "transformers": transformers(work, size),
            "ours, memory kept": ours(f"{work}_in_kept_memory", size),
        },
        goals,
        is_quick=is_quick,
    )


def learner(row_name, unit, work, goal=None, **arguments):
    """Make a row of what a learner waits for, on one core."""
    run = {"who": "learner", "work": work, "arguments": arguments}
    return Row(f"learner: {row_name}", unit, run, goal=goal)


NOTEBOOKS = sorted(
    path.stem for path in (Path(__file__).resolve().parents[1] / "notebooks").glob("[0-9]*.ipynb")
)

EXPLORERS = [
    "AttentionExplorer",
    "LogitLensExplorer",
    "LoRAExplorer",
    "MemoryExplorer",
    "NextTokenExplorer",
    "PatchingExplorer",
    "PositionExplorer",
]

WEIGHTS_1B = 1_311_625_216 * 4 / 1e6  # megabytes in float32

ROWS = [
    Row(
        "load, 1.3B",
        "s",
        ours("load", "1.3B"),
        {"keras_hub": keras_hub("load", "1.3B"), "transformers": transformers("load", "1.3B")},
        {"keras_hub": 0.25},
        peak_goal=1.10 * WEIGHTS_1B,
    ),
    Row(
        "decode float32, 1.3B",
        "ms",
        ours("decode", "1.3B"),
        {"keras_hub": keras_hub("decode", "1.3B"), "transformers": transformers("decode", "1.3B")},
        {"keras_hub": 0.65, "transformers": 0.65},
    ),
    # Smaller ones have no goal: their weights stay in a cache, and the memory is not what counts.
    *(
        Row(
            f"decode float32, {size}",
            "ms",
            ours("decode", size),
            {"keras_hub": keras_hub("decode", size), "transformers": transformers("decode", size)},
        )
        for size in ("tiny", "small", "125M")
    ),
    *(
        Row(
            f"decode {dtype}, 1.3B",
            "ms",
            ours("decode", "1.3B", dtype),
            {
                "keras_hub": keras_hub("decode", "1.3B"),
                "transformers bfloat16": transformers("decode", "1.3B", "bfloat16"),
            },
            {"keras_hub": 0.50, "transformers bfloat16": 0.80},
        )
        for dtype in ("int8", "int8/32")
    ),
    Row(
        "decode bfloat16, 1.3B",
        "ms",
        ours("decode", "1.3B", "bfloat16"),
        {"our float32": ours("decode", "1.3B")},
        {"our float32": 1.0},
    ),
    Row(
        "prefill 512, 1.3B",
        "s",
        ours("prefill", "1.3B"),
        {
            "keras_hub": keras_hub("prefill", "1.3B"),
            "transformers": transformers("prefill", "1.3B"),
        },
        {"keras_hub": 1.0, "transformers": 1.0},
    ),
    training("train", "tiny", "train", {"keras_hub": 1.6, "transformers": 1.0}, is_quick=True),
    training("train", "small", "train", {"keras_hub": 1.6, "transformers": 1.0}),
    training("lora", "125M", "LoRA step", {"keras_hub": 1.5, "transformers": 1.0}),
    Row(
        "record all, 128 tokens, tiny",
        "ms",
        ours("record", "tiny"),
        {"our forward": ours("forward", "tiny")},
        {"our forward": 1.3},
        is_quick=True,
    ),
    Row(
        "import",
        "s",
        {"who": "falcon_edu", "work": "import"},
        {"keras": {"who": "keras", "work": "import"}},
        {"keras": 1.15},
        is_quick=True,
    ),
    Row(
        "first generate, tiny",
        "s",
        ours("first_generate", "tiny"),
        {"keras_hub": keras_hub("first_generate", "tiny")},
        {"keras_hub": 0.6},
        is_quick=True,
    ),
    *(
        Row(f"whole run in {dtype}, 1.3B", "s", ours("generate", "1.3B", dtype), peak_goal=1700)
        for dtype in ("int8", "int8/32")
    ),
    # Not of speed, but the other side of it: how far the last hidden states of a text move.
    *(
        Row(f"rounding to {dtype}, 1.3B", "%", ours("rounding", "1.3B", dtype), goal=0.02)
        for dtype in ("int8", "int8/32")
    ),
    learner("first attention map", "s", "first_attention_map", goal=2.0),
    learner("first streamed word", "s", "first_word"),
    *(learner(f"redraw of {name}", "ms", "redraw", explorer=name) for name in EXPLORERS),
    *(learner(f"notebook {name}", "s", "notebook", name=name) for name in NOTEBOOKS),
    # PyTorch is the CPU's here, so that on a GPU only KerasHub is beside us.
    *(
        Row(
            f"{name} bfloat16, {size}, GPU",
            unit,
            ours(work, size, "bfloat16"),
            {"keras_hub": keras_hub(work, size, "bfloat16")},
            device="gpu",
        )
        for name, work, size, unit in [
            ("prefill 512", "prefill", "1.3B", "s"),
            ("decode", "decode", "1.3B", "ms"),
            ("train", "train", "125M", "tokens/s"),
        ]
    ),
]


def table(chosen, results, about, day):
    """Write the results as Markdown.

    Args:
        chosen: the rows.
        results: `{name of a row: {side: [{"value", "peak"}, ...]}}`.
        about: what `benchmarks.machine` says.
        day: the date.
    """
    lines = [
        "# Results of the benchmark",
        "",
        f"{day}, {about['cores']}; memory read at {about['read_bandwidth']:.0f} GB/s, float32 "
        f"matrix products at {about['gemm_rate']:.0f} GFLOP/s.",
        "",
        ", ".join(f"{name} {version}" for name, version in about["versions"].items()) + ".",
        "",
        "Medians, of as many runs as are in brackets, each in a process of its own, ours and the "
        "peers' in turn; of training, the fastest of three epochs. A ratio is the median of those "
        "within each turn, since the machine is not equally fast in all. Peak is anonymous memory. "
        "Made by `make benchmark`; what bounds rows that miss or barely meet their goal is in "
        "[BOUNDS.md](BOUNDS.md).",
        "",
        "| work | ours | peak | beside | theirs | peak | ratio | wanted | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in chosen:
        lines += _lines(row, results[row.name])
    return "\n".join(lines) + "\n"


def _lines(row, results):
    own, own_peak = _median(results["ours"])
    shown = f"{row.name} ({len(results['ours'])}) | {_number(own, row.unit)} | {own_peak:,.0f} MB"
    lines = []
    if not (row.goal or row.peak_goal or row.peers):
        lines.append(f"| {shown} | | | | | | |")
    if row.goal:
        met = "yes" if own <= row.goal else "no"
        lines.append(f"| {shown} | | | | | ≤ {_number(row.goal, row.unit)} | {met} |")
    if row.peak_goal:
        met = "yes" if own_peak <= row.peak_goal else "no"
        lines.append(f"| {shown} | | | | | {row.peak_goal:,.0f} MB | {met} |")
    for peer in row.peers:
        value, peak = _median(results[peer])
        ratio, goal, met = _ratio(results["ours"], results[peer]), row.goals.get(peer), ""
        if goal:
            met = "yes" if (ratio >= goal if row.unit == "tokens/s" else ratio <= goal) else "no"
        sign = "≥" if row.unit == "tokens/s" else "≤"
        wanted = f"{sign} {goal:.2f}" if goal else ""
        lines.append(
            f"| {shown} | {peer} | {_number(value, row.unit)} | {peak:,.0f} MB "
            f"| {ratio:.2f} | {wanted} | {met} |"
        )
    return lines


def _median(runs):
    return tuple(float(np.median([run[key] for run in runs])) for key in ("value", "peak"))


def _ratio(ours, theirs):
    """Of ours to theirs, which ran in turn: the median of the pairs."""
    pairs = zip(ours, theirs, strict=True)
    return float(np.median([own["value"] / other["value"] for own, other in pairs]))


def _number(value, unit):
    if unit == "%":
        return f"{100 * value:.1f} %"
    if unit == "ms":
        return f"{1e3 * value:,.{2 if value < 0.01 else 1}f} ms"
    return f"{value:,.0f} tokens/s" if unit == "tokens/s" else f"{value:,.2f} s"

"""MemoryExplorer: what a member of the family needs in memory, and what of it."""

from falcon_edu import plots
from falcon_edu.scale.memory import BYTES, FALCON_FAMILY, USES, memory_needed
from falcon_edu.widgets.explorer import Explorer, buttons, slider

import ipywidgets

TOKENS = [2**power for power in range(7, 18)]
BATCHES = [2**power for power in range(9)]


class MemoryExplorer(Explorer):
    """Shows what a Falcon needs in memory, to generate or to train, part by part.

    Args:
        configs: `{name: FalconConfig}` to choose from; `None` for the published family.
        name: which to begin with; `None` for the first.
        use: "generate" or "train".
        dtype: "float32", "bfloat16" or "int8"; int8 can't be trained.

    Raises:
        ValueError: there is no such name, use or dtype.

    Example:

    >>> MemoryExplorer(name="falcon-7b", dtype="bfloat16")
    MemoryExplorer: falcon-7b to generate, in bfloat16, with 1 sequence of 2,048 tokens
    """

    def __init__(
        self, configs=None, name: str | None = None, use: str = "generate", dtype: str = "float32"
    ) -> None:
        self.configs = configs or FALCON_FAMILY
        name = next(iter(self.configs)) if name is None else name
        known = {"name": list(self.configs), "use": list(USES), "dtype": list(BYTES)}
        for what, value in {"name": name, "use": use, "dtype": dtype}.items():
            if value not in known[what]:
                raise ValueError(f"`{what}` must be one of {known[what]}. Received: {value!r}")

        def choice(label, options, value):
            options = [(f"{x:,}" if isinstance(x, int) else x, x) for x in options]
            return slider(ipywidgets.SelectionSlider, label, options=options, value=value)

        super().__init__(
            {
                "name": choice("model", known["name"], name),
                "use": buttons("use", known["use"], use),
                "dtype": buttons("dtype", known["dtype"], dtype),
                "tokens": choice("tokens", TOKENS, 2048),
                "batch_size": choice("sequences", BATCHES, 1),
            }
        )

    def draw(self, name, use, dtype, tokens, batch_size):
        title = f"{name}, {use}, {dtype}"
        try:
            parts = memory_needed(self.configs[name], use, dtype, tokens, batch_size)
        except ValueError as error:
            return plots.blank(4.2, 0.3, title, alt=f"{title}: {error}")
        gigabytes = [size / 1e9 for size in parts.values()]
        title += f": {sum(gigabytes):,.1f} GB"
        return plots.bar_chart(gigabytes, list(parts), title=title, x_label="GB", form="{:,.2f}")

    def idle(self, use, dtype, **values):
        return ("tokens", "batch_size") if (use, dtype) == ("train", "int8") else ()

    def describe(self, name, use, dtype, tokens, batch_size):
        sequences = f"{batch_size} sequence{'s' if batch_size > 1 else ''}"
        return f"{name} to {use}, in {dtype}, with {sequences} of {tokens:,} tokens"

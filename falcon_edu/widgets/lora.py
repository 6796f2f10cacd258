"""LoRAExplorer: what a model would say next, from its base to its update and beyond."""

from falcon_edu import plots
from falcon_edu.adapt import lora
from falcon_edu.inside.activations import run
from falcon_edu.support.inputs import backbone_of, row_strings
from falcon_edu.widgets.explorer import TextExplorer, slider

import ipywidgets
import numpy as np

BARS = 6  # tokens shown of the base, and as many of the trained model


class LoRAExplorer(TextExplorer):
    """Shows what may come next while the strength of a model's low-rank update goes up and down.

    At 0 it is the base, at 1 the model as it was trained; beyond 1 the update is exaggerated. The
    weights of the model itself stay as they are.

    Args:
        model: a `FalconCausalLM` with a preprocessor, and with LoRA on its backbone.
        text: the start of a text, at most 256 tokens.
        strength: where to begin, from 0 to 2.

    Raises:
        ValueError: the text is none, or too long, or there is no such strength, or the backbone has
            no LoRA, or its LoRA is merged.

    Example:

    >>> import falcon_edu
    >>> falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> falcon.backbone.enable_lora(rank=4)
    >>> falcon_edu.LoRAExplorer(falcon, "Mia and Tom")
    LoRAExplorer: an update of rank 4 on 8 layers, 0 to 2 times, after ... tokens: [start] ...

    Hu et al. 2021, https://arxiv.org/abs/2106.09685, section 4.1.
    """

    STRONGEST = 2

    def __init__(self, model, text: str, strength: float = 1) -> None:
        if not (isinstance(strength, (int, float)) and 0 <= strength <= self.STRONGEST):
            raise ValueError(
                f"`strength` must be from 0 to {self.STRONGEST}. Received: {strength!r}"
            )
        lora.at_strength(backbone_of(model), strength)  # refuses a model without an update
        self.read(model, text)
        limits = {"min": 0, "max": self.STRONGEST, "step": 0.1, "value": strength}
        super().__init__({"strength": slider(ipywidgets.FloatSlider, "strength", **limits)})

    def read(self, model, text):
        super().read(model, text)
        self.base = self.distribution(0)
        trained = self.distribution(1)
        # What either of the two would say: these bars stay in their places while the slider moves.
        first = np.concatenate([np.argsort(-p, kind="stable")[:BARS] for p in (self.base, trained)])
        order = np.argsort(-np.maximum(self.base, trained), kind="stable")
        self.shown = order[np.isin(order, first)]
        self.words = row_strings(model, self.shown.tolist())
        self.words.append(f"{len(self.base) - len(self.shown)} others")

    def distribution(self, strength):
        """Return the probabilities `(v,)` of the next token, at a strength of the update."""
        inputs = {
            "token_ids": self.activations.token_ids,
            "padding_mask": self.activations.padding_mask.astype("int32"),
        }
        replaced = lora.at_strength(backbone_of(self.model), strength)
        logits = run(self.model, inputs, replaced).logits[0, -1]
        powers = np.exp(logits - logits.max())
        return powers / powers.sum()

    def draw(self, strength):
        base, now = self.base, self.distribution(strength)
        bars = [np.append(p[self.shown], max(0, 1 - p[self.shown].sum())) for p in (base, now)]
        title = "What may come next"
        names = ("base, strength 0", f"strength {strength:.1f}")
        return plots.next_token_bars(
            bars[1], self.words, title=title, before=bars[0], names=names, bars=None
        )

    def describe(self, **values):
        layers = lora.adapted_layers(backbone_of(self.model))
        tokens = " ".join(plots.token_labels(self.tokens))
        return (
            f"an update of rank {layers[0].lora_rank} on {len(layers)} layers, "
            f"0 to {self.STRONGEST} times, after {len(self.tokens)} tokens: {tokens}"
        )

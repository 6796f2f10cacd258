"""AttentionExplorer: where each token of a text looks, in every head."""

from falcon_edu import plots
from falcon_edu.web.recording import next_tokens, rows_of_layers
from falcon_edu.widgets.page import PageExplorer

import numpy as np


class AttentionExplorer(PageExplorer):
    """Shows which earlier tokens each token of a text looks at, in every head of a model.

    The kernel records the text, and the page draws it: the text, the map of one head, all heads,
    and what may come next. There one walks by hand or keyboard, and types another text.

    Args:
        model: a `FalconCausalLM` with a preprocessor.
        text: a text of at most 256 tokens.
        layer, head, token: where to begin; `token` is the index of the one that looks.
        view: "map", "one token" or "all heads": the picture where the page can't draw.

    Raises:
        ValueError: the text is none, or too long, or there is no such layer, head, token or view.

    Example:

    >>> import falcon_edu
    >>> falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> falcon_edu.AttentionExplorer(falcon, "Mia and Tom", layer=1)
    AttentionExplorer: 4 layers with 4 heads each, ... tokens: [start] ...
    """

    VIEWS = ("map", "one token", "all heads")

    def __init__(
        self, model, text: str, layer: int = 0, head: int = 0, token: int = -1, view: str = "map"
    ) -> None:
        self.read(model, text)
        layers, heads = self.weights.shape[:2]
        limits = {
            "layer": range(layers),
            "head": range(heads),
            "token": range(-len(self.tokens), len(self.tokens)),
        }
        for name, value in {"layer": layer, "head": head, "token": token}.items():
            if value not in limits[name]:
                known = f"{limits[name][0]} to {limits[name][-1]}"
                raise ValueError(f"`{name}` must be one of {known}. Received: {value!r}")
        if view not in self.VIEWS:
            known = ", ".join(self.VIEWS)
            raise ValueError(f"`view` must be one of {known}. Received: {view!r}")
        # Whole numbers of Python's, for NumPy's are none that JSON knows.
        layer, head, token = int(layer), int(head), int(token) % len(self.tokens)
        super().__init__("attention", view=view, layer=layer, head=head, token=token)

    @property
    def weights(self):
        """The attention weights `(layers, n, q, k)`."""
        return np.concatenate(self.activations.attention_weights)

    def sent(self):
        layers = rows_of_layers(self.activations)
        given = {
            "text": self.text,
            "tokens": self.tokens,
            "layers": len(layers),
            "next_tokens": next_tokens(self.model, self.activations),
        }
        return {"given": given, "numbers": b"".join(layers)}

    def draw(self, view, layer, head, token):
        """Draw a picture of these values, as Axes of `plots`."""
        if view == "all heads":
            return plots.attention_grid(self.weights, selected=(layer, head))
        draw = plots.attention_map if view == "map" else plots.attention_text
        title = f"Layer {layer}, head {head}"
        return draw(self.weights[layer, head], self.tokens, query=token, title=title)

    def __repr__(self):
        layers, heads = self.weights.shape[:2]
        tokens = " ".join(plots.token_labels(self.tokens))
        return (
            f"AttentionExplorer: {layers} layers with {heads} heads each, "
            f"{len(self.tokens)} tokens: {tokens}"
        )

"""AttentionExplorer: where each token of a text looks, in every head."""

from falcon_edu import plots
from falcon_edu.widgets.explorer import TextExplorer, slider

import ipywidgets
import numpy as np


class AttentionExplorer(TextExplorer):
    """Shows which earlier tokens each token of a text looks at, in every head of a model.

    There are three views: the map of one head, the text as one of its tokens sees it, all heads.

    Args:
        model: a `FalconCausalLM` with a preprocessor.
        text: a text of at most 256 tokens.
        layer, head, token: where to begin; `token` is the index of the one that looks.
        view: "map", "one token" or "all heads".

    Raises:
        ValueError: the text is none, or too long, or there is no such layer, head, token or view.

    Example:

    >>> import falcon_edu
    >>> falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> falcon_edu.AttentionExplorer(falcon, "Mia and Tom", layer=1)
    AttentionExplorer: 4 layers with 4 heads each, ... tokens: [start] ...
    """

    VIEWS = ("map", "one token", "all heads")

    def __init__(self, model, text, layer=0, head=0, token=-1, view="map"):
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
        options = {"options": self._token_options(), "value": token % len(self.tokens)}
        views = ipywidgets.ToggleButtons(options=self.VIEWS, value=view)
        views.style.button_width = "7em"
        views.layout.margin = "2px 2px 2px 7.3em"  # under the text box: labels end there
        super().__init__(
            {
                "view": views,
                "layer": slider(ipywidgets.IntSlider, "layer", max=layers - 1, value=layer),
                "head": slider(ipywidgets.IntSlider, "head", max=heads - 1, value=head),
                "token": slider(ipywidgets.SelectionSlider, "token", **options),
            }
        )

    @property
    def weights(self):
        """The attention weights `(layers, n, q, k)`."""
        return np.concatenate(self.activations.attention_weights)

    def adapt(self):
        self.controls["token"].options = self._token_options()
        self.controls["token"].value = len(self.tokens) - 1

    def _token_options(self):
        labels = plots.token_labels(self.tokens)
        return [(f"{index} {label}", index) for index, label in enumerate(labels)]

    def draw(self, view, layer, head, token):
        if view == "all heads":
            return plots.attention_grid(self.weights, selected=(layer, head))
        draw = plots.attention_map if view == "map" else plots.attention_text
        title = f"Layer {layer}, head {head}"
        return draw(self.weights[layer, head], self.tokens, query=token, title=title)

    def describe(self, **values):
        layers, heads = self.weights.shape[:2]
        tokens = " ".join(plots.token_labels(self.tokens))
        return f"{layers} layers with {heads} heads each, {len(self.tokens)} tokens: {tokens}"

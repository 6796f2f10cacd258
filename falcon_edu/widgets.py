"""Explorers: a picture with controls, live in a notebook, and still a picture where nothing runs.

An explorer is a plain class. It runs the model once; then `draw` makes a picture of the values of
its controls. A notebook shows, by what the place can do, the live view (JupyterLab, Colab, Binder),
a PNG (GitHub, print), or one line of text, which is the same on every machine.
"""

import base64
import contextlib
import html
from typing import Any

from falcon_edu import plots, samplers
from falcon_edu.activations import record
from falcon_edu.inputs import encode, tokenizer_of

import ipywidgets
import numpy as np

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
MAX_TOKENS = 256  # of a text in an explorer: a larger map can't be read

# === The pattern ===


class Explorer:
    """A picture with controls; a subclass says what to `draw`.

    Args:
        controls: `{name: ipywidgets control}`, from top to bottom. When a value changes, the
            picture is drawn anew.

    Example:

    >>> class Doubles(Explorer):
    ...     def draw(self, x):
    ...         return plots.head_scores([[x, 2 * x]], title="x and 2 x")
    ...
    ...     def describe(self, x):
    ...         return "a number and its double"
    >>> doubles = Doubles({"x": slider(ipywidgets.FloatSlider, "x", max=0.5)})
    >>> doubles.controls["x"].value = 0.25
    >>> print(doubles.figure.alt_text)
    x and 2 x: 1 layer with 2 heads each; from 0.25 for layer 0, head 0 to 0.50 for layer 0, head 1.
    >>> doubles
    Doubles: a number and its double
    """

    def __init__(self, controls):
        self.controls = controls
        self.picture = ipywidgets.HTML()
        self.view = ipywidgets.VBox([*controls.values(), self.picture])
        self.is_quiet = False
        for control in controls.values():
            control.observe(self.redraw, "value")
        self.redraw()

    # Any arguments here, so that a subclass may name its own.
    def draw(self, *args: Any, **values: Any) -> Any:
        """A picture of the values of the controls, as Axes of `plots`."""
        raise NotImplementedError

    def describe(self, *args: Any, **values: Any) -> str:
        """What a place without pictures shows, without digits that differ between machines."""
        raise NotImplementedError

    @property
    def values(self):
        """The values of the controls by their names."""
        return {name: control.value for name, control in self.controls.items()}

    def redraw(self, change=None):
        """Draws the picture of the present values."""
        if self.is_quiet:
            return
        self.figure = self.draw(**self.values).figure
        source = base64.b64encode(self.figure.to_png()).decode()
        # An HTML element, for an `Image` of ipywidgets has no alt text.
        self.picture.value = (
            f'<img src="data:image/png;base64,{source}" alt="{html.escape(self.figure.alt_text)}" '
            f'width="{self.figure.page_width}" style="max-width: 100%; height: auto">'
        )

    @contextlib.contextmanager
    def quiet(self):
        """While several controls change, nothing is drawn; it is once they have."""
        self.is_quiet = True
        try:
            yield
        finally:
            self.is_quiet = False
        self.redraw()

    def __repr__(self):
        return f"{type(self).__name__}: {self.describe(**self.values)}"

    def _repr_mimebundle_(self, include=None, exclude=None):
        data, metadata = self.figure._repr_mimebundle_()
        view = {"version_major": 2, "version_minor": 0, "model_id": self.view.model_id}
        return {**data, "text/plain": repr(self), WIDGET_VIEW: view}, metadata


class TextExplorer(Explorer):
    """An explorer of what a model does with a text, with a box for another text.

    A subclass calls `read` first: it may need what comes of it for its controls.

    Args:
        controls: as in `Explorer`.
    """

    def __init__(self, controls):
        super().__init__(controls)
        self.text_box = slider(ipywidgets.Text, "text", value=self.text)
        self.text_box.layout.width = "95%"
        self.text_box.observe(self._read_other, "value")
        self.message = ipywidgets.HTML()
        self.view.children = [self.text_box, self.message, *self.view.children]

    def read(self, model, text):
        """Runs the model on a text, once.

        Args:
            model: a `FalconCausalLM` with a preprocessor.
            text: a text of at most 256 tokens.

        Raises:
            ValueError: the model reads no text, or the text is none, or too long.
        """
        if not isinstance(text, str):
            raise ValueError(f"`text` must be one text. Received: {type(text).__name__}")
        inputs = encode(model, text)
        if (length := inputs["token_ids"].shape[1]) > MAX_TOKENS:
            raise ValueError(
                f"The text has {length} tokens, and the picture room for {MAX_TOKENS}."
            )
        self.activations = record(model, inputs)
        self.model, self.text, self.tokens = model, text, self.activations.tokens[0]

    def adapt(self):
        """Fits the controls to another text, where they depend on it."""

    def _read_other(self, change):
        self.message.value = ""
        try:
            self.read(self.model, change.new)
        except ValueError as error:  # nobody would see an exception here
            self.message.value = f'<p role="alert">{html.escape(str(error))}</p>'
            return
        with self.quiet():
            self.adapt()


def slider(kind, label, **options):
    """An ipywidgets control that has a label and answers when it is let go.

    Args:
        kind: a class of ipywidgets.
        label: what stands before it.
        **options: its own.
    """
    layout = ipywidgets.Layout(width="32em", max_width="95%")
    style = {"description_width": "7em"}
    return kind(description=label, continuous_update=False, layout=layout, style=style, **options)


# === The explorers ===


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


class NextTokenExplorer(TextExplorer):
    """Shows which tokens may come next, and what temperature, top-k and top-p leave of them.

    Args:
        model: a `FalconCausalLM` with a preprocessor.
        text: the start of a text, at most 256 tokens.

    Raises:
        ValueError: the text is none, or too long.

    Example:

    >>> import falcon_edu
    >>> falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> falcon_edu.NextTokenExplorer(falcon, "Mia and Tom")
    NextTokenExplorer: what may follow "Mia and Tom", of ... tokens
    """

    TOP_K = (1, 2, 3, 5, 10, 20, 50)

    def __init__(self, model, text):
        self.read(model, text)
        tokenizer = tokenizer_of(model)
        known = set(tokenizer.vocabulary.values())
        size = self.activations.logits.shape[-1]
        ids = (id if id in known else tokenizer.end_token_id for id in range(size))
        self.vocabulary = tokenizer.token_strings(list(ids))
        top_k = [(str(k), k) for k in self.TOP_K] + [("all", size)]
        # Steps of 0.1, for ipywidgets tells a screen reader no more than one decimal.
        limits = {"temperature": (0.1, 2, 0.1), "top-p": (0.1, 1, 0.1)}
        temperature, top_p = (
            slider(ipywidgets.FloatSlider, name, min=low, max=high, step=step, value=1)
            for name, (low, high, step) in limits.items()
        )
        chosen = slider(ipywidgets.SelectionSlider, "top-k", options=top_k, value=size)
        super().__init__({"temperature": temperature, "top_k": chosen, "top_p": top_p})

    def draw(self, temperature, top_k, top_p):
        logits = self.activations.logits[:, -1]  # (1, v)
        model = np.asarray(samplers.Sampler().distribution(logits))
        sampler = samplers.TopPSampler(p=top_p, temperature=temperature)
        drawn = np.array(sampler.compute_probabilities(logits))
        # The sampler's own top-k, in NumPy: JAX would compile it anew for each k, while one waits.
        drawn[0, np.argsort(-drawn[0], kind="stable")[top_k:]] = 0
        drawn = np.asarray(sampler.restrict(drawn))
        settings = self._settings(temperature=temperature, top_k=top_k, top_p=top_p)
        look = {"title": f"After {_ending(self.text)}", "names": ("Falcon", settings)}
        return plots.next_token_bars(drawn[0], self.vocabulary, before=model[0], **look)

    def _settings(self, **values):
        """What is drawn from, in words; a setting that changes nothing is left out."""
        neutral = {"temperature": 1, "top_k": len(self.vocabulary), "top_p": 1}
        changed = {name: value for name, value in values.items() if value != neutral[name]}
        words = [f"{name.replace('_', '-')} {value:g}" for name, value in changed.items()]
        return ", ".join(words) or "drawn from"

    def describe(self, **values):
        return f"what may follow {_ending(self.text)}, of {len(self.vocabulary)} tokens"


def _ending(text, length=40):
    """The end of a text, quoted; it begins with a whole word where it can."""
    text = text.replace("\n", " ")
    if len(text) <= length:
        return f'"{text}"'
    _, space, words = text[-length:].partition(" ")
    return f'"... {words}"' if space else f'"...{text[-length:]}"'

"""Share among explorers: controls, a picture that follows them, and a box for a text."""

import contextlib
from collections.abc import Sequence
from typing import Any

from falcon_edu.inside.activations import record
from falcon_edu.support.inputs import encode
from falcon_edu.widgets.live import Component, Live

import ipywidgets

MAX_TOKENS = 256  # of a text in an explorer: a larger map can't be read

# === The pattern ===


class Explorer(Live):
    """A picture with controls; a subclass says what to `draw`.

    The kernel keeps the values, as controls of ipywidgets, and draws the picture. The page shows
    both (`panel.js`).

    Args:
        controls: `{name: ipywidgets control}`, from top to bottom: sliders and toggle buttons. When
            a value changes, the picture is drawn anew.
        boxes: texts above them, in the same way; `draw` is not told of these.

    Example:

    >>> from falcon_edu import plots
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

    figure: Any = None
    problem = ""  # what is wrong with what somebody asked for
    remark = ""  # what one may not see in the texts
    texts_read: Sequence[Sequence[str]] = ()  # tokens of each, of which the page names the rare

    def __init__(self, controls, boxes=None):
        self.controls, self.boxes = controls, boxes or {}
        self.component = Component(kind="panel")
        self.is_quiet = False
        for control in controls.values():
            control.observe(self.redraw, "value")
        self.redraw()
        self.component.observe(self._answer, "wanted")

    # Any arguments here, so that a subclass may name its own.
    def draw(self, *args: Any, **values: Any) -> Any:
        """Draw a picture of the values of the controls, as Axes of `plots`."""
        raise NotImplementedError

    def describe(self, *args: Any, **values: Any) -> str:
        """Say what the picture shows, without digits that differ between machines."""
        raise NotImplementedError

    def idle(self, *args: Any, **values: Any) -> Any:
        """Return the names of the controls that change nothing now, and are hidden."""
        return ()

    @property
    def values(self):
        """The values of the controls by their names."""
        return {name: control.value for name, control in self.controls.items()}

    def redraw(self, change=None):
        """Draw the picture of the present values."""
        if self.is_quiet:
            return
        self.figure = self.draw(**self.values).figure
        idle = self.idle(**self.values)
        controls = {**self.boxes, **self.controls}
        given = {
            "controls": [
                {**_described(control), "name": name, "is_hidden": name in idle}
                for name, control in controls.items()
            ],
            "tokens": [token for tokens in self.texts_read for token in tokens],
            "alt": self.figure.alt_text,
            "width": self.figure.page_width,
            "problem": self.problem,
            "remark": self.remark,
            "answers": self.component.wanted,
        }
        with self.component.hold_sync():
            self.component.given, self.component.numbers = given, self.figure.to_png()

    def _answer(self, change):
        """Set the controls that somebody has moved in the page."""
        controls = {**self.boxes, **self.controls}
        with self.quiet():
            for name in (name for name in change.new if name in controls):
                # Of several options the page knows their names and their places.
                trait = "index" if hasattr(controls[name], "index") else "value"
                controls[name].set_trait(trait, change.new[name])

    @contextlib.contextmanager
    def quiet(self):
        """While several controls change, nothing is drawn; it is once they have."""
        was_quiet, self.is_quiet = self.is_quiet, True
        try:
            yield
        finally:
            self.is_quiet = was_quiet
        self.redraw()

    @contextlib.contextmanager
    def saying(self):
        """Say what goes wrong beside the picture: nobody would see an exception here."""
        self.problem = ""
        try:
            yield
        except Exception as error:
            self.problem = str(error)

    def __repr__(self):
        return f"{type(self).__name__}: {self.describe(**self.values)}"


def _described(control):
    """Return what the page needs of a control, as `panel.js` takes it."""
    label = control.description
    if isinstance(control, ipywidgets.Text):
        return {"kind": "text", "label": label, "value": control.value}
    if not hasattr(control, "index"):
        numbers = {name: getattr(control, name) for name in ("min", "max", "step", "value")}
        return {"kind": "range", "label": label, **numbers}
    kind = "buttons" if isinstance(control, ipywidgets.ToggleButtons) else "choice"
    options = [str(o[0] if isinstance(o, tuple) else o) for o in control.options]
    return {"kind": kind, "label": label, "options": options, "value": control.index}


class TextReader:
    """A part of explorers of one text: what a model does with it."""

    model: Any
    text: str
    activations: Any

    def read(self, model, text):
        """Run the model on a text, once.

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
        self.model, self.text = model, text

    @property
    def tokens(self):
        """The tokens of the text, a list of strings."""
        return self.activations.tokens[0]


class TextExplorer(TextReader, Explorer):
    """An explorer of what a model does with a text, with a box for another text.

    A subclass calls `read` first: it may need what comes of it for its controls.

    Args:
        controls: as in `Explorer`.
    """

    def __init__(self, controls):
        self.text_box = slider(ipywidgets.Text, "text", value=self.text)
        super().__init__(controls, {"text": self.text_box})
        self.text_box.observe(self._read_other, "value")

    def read(self, model, text):
        super().read(model, text)
        self.texts_read = [self.tokens]

    def _read_other(self, change):
        with self.quiet(), self.saying():
            self.read(self.model, change.new)


def buttons(label, options, value):
    """Make a choice of a few, all of which are seen.

    Args:
        label: what is chosen, for those who only hear it.
        options: their names.
        value: the one to begin with.
    """
    return ipywidgets.ToggleButtons(description=label, options=options, value=value)


def slider(kind, label, **options):
    """Make an ipywidgets control that has a label and answers when it is let go.

    Args:
        kind: a class of ipywidgets.
        label: what stands before it.
        **options: its own.
    """
    layout = ipywidgets.Layout(width="32em", max_width="95%")
    style = {"description_width": "7em"}
    return kind(description=label, continuous_update=False, layout=layout, style=style, **options)

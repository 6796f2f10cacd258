"""Share among all explorers: controls, a picture that follows them, and a box for a text."""

import base64
import contextlib
import html
from typing import Any

from falcon_edu.inside.activations import record
from falcon_edu.support.inputs import encode

import ipywidgets

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
MAX_TOKENS = 256  # of a text in an explorer: a larger map can't be read

# === The pattern ===


class Explorer:
    """A picture with controls; a subclass says what to `draw`.

    Args:
        controls: `{name: ipywidgets control}`, from top to bottom. When a value changes, the
            picture is drawn anew.

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
        """Draw a picture of the values of the controls, as Axes of `plots`."""
        raise NotImplementedError

    def describe(self, *args: Any, **values: Any) -> str:
        """Say what the picture shows, without digits that differ between machines."""
        raise NotImplementedError

    @property
    def values(self):
        """The values of the controls by their names."""
        return {name: control.value for name, control in self.controls.items()}

    def redraw(self, change=None):
        """Draw the picture of the present values."""
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
        self.model, self.text, self.tokens = model, text, self.activations.tokens[0]

    def adapt(self):
        """Fit the controls to another text, where they depend on it."""

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
    """Make an ipywidgets control that has a label and answers when it is let go.

    Args:
        kind: a class of ipywidgets.
        label: what stands before it.
        **options: its own.
    """
    layout = ipywidgets.Layout(width="32em", max_width="95%")
    style = {"description_width": "7em"}
    return kind(description=label, continuous_update=False, layout=layout, style=style, **options)

"""Share among explorers that the page draws: a text that is read, and where somebody is in it."""

from typing import Any

from falcon_edu.widgets.explorer import TextReader
from falcon_edu.widgets.live import Component, Live


class PageExplorer(TextReader, Live):
    """An explorer of a text, which the kernel reads and the page draws.

    A subclass says what the page is sent, and draws the picture for places without a page. Its
    component has the values by the page's names: the token that was chosen is the `query` there.

    Args:
        kind: which explorer, by its name in `notebook.js`.
        values: where to begin, by the names that `draw` takes.
    """

    def __init__(self, kind, **values):
        self.values = values
        wanted = {"query" if name == "token" else name: value for name, value in values.items()}
        self.component = Component(kind=kind, wanted={"text": self.text, **wanted}, **self.sent())
        self.component.observe(self._answer, "wanted")

    def sent(self):
        """Return what the page has of the text: `given` and `numbers` of the component."""
        raise NotImplementedError

    # Any arguments here, so that a subclass may name its own.
    def draw(self, *args: Any, **values: Any) -> Any:
        """Draw a picture of these values, as Axes of `plots`."""
        raise NotImplementedError

    @property
    def figure(self):
        """The picture of where one is, for places that run no component."""
        return self.draw(**self.values).figure

    def _answer(self, change):
        """Do what somebody asks for in the page: note where one has gone, read another text."""
        wanted = change.new
        self.values |= {name: wanted[name] for name in self.values if name in wanted}
        if "token" in self.values:
            self.values["token"] = min(wanted["query"], len(self.tokens) - 1)
        if wanted["text"] in (change.old["text"], self.text):
            return
        try:
            self.read(self.model, wanted["text"])
        except Exception as error:  # nobody would see it here, and the page waits
            refused = {"text": wanted["text"], "problem": str(error)}
            self.component.given = {**self.component.given, "refused": refused}
            return
        if "token" in self.values:
            self.values["token"] = len(self.tokens) - 1
        with self.component.hold_sync():
            for name, value in self.sent().items():
                self.component.set_trait(name, value)

"""The row in which a reader gives a guess, and what is shown instead where no row can live.

What a guess shows is a live view, which no file keeps: a saved or committed notebook has the words
beside it, and these are the same whatever was guessed.
"""

import html
from collections.abc import Callable
from typing import Any

from falcon_edu.course.predictions.questions import Question
from falcon_edu.widgets.live import WIDGET_VIEW, shows_the_best_alone, style

import ipywidgets
from IPython.display import display

LIVE, WORDS = "falcon-guess", "falcon-asked"  # classes in the page


class Shown:
    """Show a live `box` in a notebook, and `words` wherever it can't live.

    Args:
        box: an ipywidgets box, or `None` where there is only the words.
        words: the same on every machine and for every reader.
    """

    def __init__(self, box: Any, words: str) -> None:
        self.box, self.words = box, words
        if box is not None:
            box.add_class(LIVE)

    def __repr__(self) -> str:
        return self.words

    def _ipython_display_(self) -> None:
        if self.box is not None:
            # Not as ipywidgets would: its words tell what is in the box.
            view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
            if shows_the_best_alone():
                display({WIDGET_VIEW: view, "text/plain": self.words}, raw=True)
                return
            display({WIDGET_VIEW: view}, raw=True)
        said = f'{style(WORDS, LIVE)}<p class="{WORDS}">{html.escape(self.words)}</p>'
        display({"text/html": said, "text/plain": self.words}, raw=True)


def panel(content: str) -> ipywidgets.Widget:
    """Return a live box of HTML."""
    return ipywidgets.HBox([ipywidgets.HTML(content)])


class Row(Shown):
    """Show a question with a place for the guess: a field, or a button for each choice.

    Args:
        question: what is asked.
        guess: what was guessed before, or `None`.
        keep: keeps a guess, and returns what to say about that.
        said: what to say at first.
        is_open: whether a guess may still be made.
    """

    def __init__(
        self,
        question: Question,
        guess: Any,
        keep: Callable[[Any], str],
        said: str = "",
        is_open: bool = True,
    ) -> None:
        self.question, self.keep = question, keep
        look = {
            "description": question.text,
            "style": {"description_width": "initial"},
            "layout": {"width": "max-content", "max_width": "100%"},
            "disabled": not is_open,
        }
        if question.between is None:
            at = None if guess is None else question.choices.index(guess)
            self.control = ipywidgets.RadioButtons(options=question.choices, index=at, **look)
            ends = ", ".join(question.choices)
        else:
            low, high = question.between
            ends = f"a number, {low:,} to {high:,} {question.unit}".rstrip()
            self.control = ipywidgets.Text(
                value="" if guess is None else str(guess),
                placeholder=f"{low:,} to {high:,}",
                continuous_update=False,  # whole once Enter is pressed, or the field left
                **look,
            )
        self.said = ipywidgets.HTML()
        self.say(said)
        self.control.observe(self._take, "value")
        unit = [ipywidgets.Label(question.unit)] if question.unit else []
        row = [self.control, *unit, self.said]
        words = f"{question.text} ({ends}) Run the cell to guess."
        super().__init__(ipywidgets.HBox(row, layout={"flex_flow": "row wrap"}), words)

    def say(self, text: str) -> None:
        """Say something beside the field; a screen reader says it, too."""
        self.said.value = f'<span role="status">{html.escape(text)}</span>'

    def close(self) -> None:
        """Take no other guess."""
        self.control.disabled = True

    def _take(self, change):
        if change.new in ("", None):
            return
        try:
            guess = self.question.read(change.new)
        except ValueError as error:
            self.say(str(error))
        else:
            self.say(self.keep(guess))

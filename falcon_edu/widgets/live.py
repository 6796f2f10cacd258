"""Show a component of `falcon_edu/web` in a notebook, and a picture wherever it can't live.

A cell that shows an explorer has three outputs: the live view; words that say what it is; the
picture. A view whose kernel is gone is no more than an error message, so with the words comes a
style that hides it, or hides the other two. A place that runs no views (GitHub, print, an untrusted
notebook) has the words and the picture. The words are the same on every machine, and JupyterLab
shows pictures without their alt texts.
"""

import html
import os
import sys
from pathlib import Path

import falcon_edu.web
from falcon_edu.web.bundling import bundle_module

import anywidget
import traitlets
from IPython.display import display

EXPLORER = Path(falcon_edu.web.__file__).parent / "explorer"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

# In the outputs of one cell: a dead view goes, and so do words and picture after a live one. Of all
# outputs views alone have no mime type in the page.
OUTPUT = ".jp-OutputArea-child"


def style(words: str, live: str) -> str:
    """Return the style that hides a dead view, or what stands for it after a live one.

    Args:
        words: class of the words for places where no view lives.
        live: class that a view has while it lives.
    """
    said, alive = f"{OUTPUT}:has(.{words})", f"{OUTPUT}:has(.{live})"
    return f"""<style>
{OUTPUT}:not(:has([data-mime-type])):not(:has(.{live})):has(+ {OUTPUT} .{words}) {{ display: none }}
{alive} + {said}, {alive} + {said} + {OUTPUT} {{ display: none }}
</style>"""


STYLE = style("falcon-either", "falcon-notebook")


class Component(anywidget.AnyWidget):
    """A component in the page, and what it and the kernel say to each other.

    Args:
        kind: which component, by its name in `notebook.js`.
        given: what the kernel has to show, as JSON has it.
        numbers: what of it are numbers or pictures, as bytes.
        wanted: what somebody asks for by hand, as JSON has it; `given` answers it.
    """

    _esm = bundle_module(EXPLORER / "notebook.js")
    _css = (EXPLORER / "explorer.css").read_text(encoding="utf-8")
    kind = traitlets.Unicode().tag(sync=True)
    given = traitlets.Dict().tag(sync=True)
    numbers = traitlets.Bytes().tag(sync=True)
    wanted = traitlets.Dict().tag(sync=True)


class Live:
    """Show a `component`, and its `figure` wherever that can't live."""

    component: Component

    @property
    def figure(self):
        """The picture of what is shown."""
        raise NotImplementedError

    def _repr_mimebundle_(self, include=None, exclude=None):
        data, metadata = self.figure._repr_mimebundle_()
        view, of_host = self.component._repr_mimebundle_()  # Colab asks for more
        data = {**data, "text/plain": repr(self), WIDGET_VIEW: view[WIDGET_VIEW]}
        return data, {**metadata, **of_host}

    def _ipython_display_(self):
        data, metadata = self._repr_mimebundle_()
        if shows_the_best_alone():
            display(data, metadata=metadata, raw=True)
            return
        view = data.pop(WIDGET_VIEW)
        display({WIDGET_VIEW: view}, raw=True)
        words = f'<p class="falcon-either">{html.escape(repr(self))}. Run the cell to move it.</p>'
        display({"text/html": STYLE + words}, raw=True)
        display(data, metadata=metadata, raw=True)


def shows_the_best_alone():
    """True if this is Colab or VS Code, whose pages are built in another way than Jupyter's."""
    return "google.colab" in sys.modules or "VSCODE_PID" in os.environ

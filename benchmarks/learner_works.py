"""Do what a learner waits for, in a fresh process and on one core, as Binder gives it."""

import os
import time
from pathlib import Path

from benchmarks.keras_works import timed

import numpy as np

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
PRESET = "falcon_tales_rw_en"
TEXT = "One May morning, Mia and Tom walked to the park. Mia had a small red kite, and Tom had"


class LearnerWorks:
    """The works of a learner. Nothing is imported before a work begins.

    Args:
        redraws: number of redraws of which the median counts.
    """

    def __init__(self, redraws=9):
        self.redraws = redraws
        if hasattr(os, "sched_setaffinity"):  # on Linux
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    def first_attention_map(self):
        """Measure the seconds to notebook 00's first attention map: import, load, compile, draw."""
        return timed(self._attention_explorer)

    def first_word(self):
        """Measure the seconds to the first word that streams: import, load, compile."""
        started = time.perf_counter()
        next(self._load().stream(TEXT, max_length=180))
        return time.perf_counter() - started

    def redraw(self, explorer):
        """Measure the seconds of one redraw of an explorer, after a first one.

        Of some the page draws; what the kernel does is to read another text.
        """
        import falcon_edu
        from falcon_edu.widgets.page import PageExplorer

        texts = [
            f"Mia and Tom were old friends. {one} picked the kite up and gave it to"
            for one in ("Mia", "Tom")
        ]
        arguments = {
            "AttentionExplorer": lambda: (self._load(), TEXT),
            "LogitLensExplorer": lambda: (self._load(), TEXT),
            "NextTokenExplorer": lambda: (self._load(), TEXT),
            "LoRAExplorer": lambda: (self._load(adapted=True), TEXT),
            "PatchingExplorer": lambda: (self._load(), *texts),
            "PositionExplorer": tuple,
            "MemoryExplorer": tuple,
        }[explorer]()
        shown = getattr(falcon_edu, explorer)(*arguments)
        if isinstance(shown, PageExplorer):
            place, name = shown.component, "wanted"
            values = [{**place.wanted, "text": text} for text in (TEXT, TEXT.replace("Tom", "Ben"))]
        else:
            place, name = next(iter(shown.controls.values())), "value"
            values = _values(place)

        def move():
            now = getattr(place, name)
            setattr(place, name, next(value for value in values if value != now))

        move()
        return float(np.median([timed(move) for _ in range(self.redraws)]))

    def notebook(self, name):
        """Measure the seconds of one notebook from top to bottom, with the start of its kernel."""
        import nbformat
        from nbclient import NotebookClient

        notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
        resources = {"metadata": {"path": NOTEBOOKS}}
        client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources)
        return timed(client.execute)

    def _attention_explorer(self):
        import falcon_edu

        return falcon_edu.AttentionExplorer(self._load(), TEXT, layer=1, head=3)

    def _load(self, adapted=False):
        import falcon_edu

        model = falcon_edu.FalconCausalLM.from_preset(PRESET)
        if adapted:
            model.backbone.enable_lora(4)
        return model


def _values(control):
    """Return two values that a control can take."""
    if hasattr(control, "options"):
        options = [option[1] if isinstance(option, tuple) else option for option in control.options]
        return options[0], options[-1]
    return control.min, control.max

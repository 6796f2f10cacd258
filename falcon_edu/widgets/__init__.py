"""Explorers: a picture with controls, live in a notebook, and still a picture where nothing runs.

An explorer is a plain class. It runs the model once; then `draw` makes a picture of the values of
its controls. A notebook shows, by what the place can do, the live view (JupyterLab, Colab, Binder),
a PNG (GitHub, print), or one line of text, which is the same on every machine. `live.py` says how.

Those of attention, of the next token and of the logit lens need no pictures to be live: the page
has the numbers, and draws them (`page.py`).
"""

from falcon_edu.widgets.attention import AttentionExplorer
from falcon_edu.widgets.explorer import Explorer, TextExplorer, buttons, slider
from falcon_edu.widgets.live import WIDGET_VIEW
from falcon_edu.widgets.logit_lens import LogitLensExplorer
from falcon_edu.widgets.lora import LoRAExplorer
from falcon_edu.widgets.memory import MemoryExplorer
from falcon_edu.widgets.next_token import NextTokenExplorer
from falcon_edu.widgets.patching import PatchingExplorer
from falcon_edu.widgets.position import PositionExplorer

__all__ = [
    "WIDGET_VIEW",
    "AttentionExplorer",
    "Explorer",
    "LoRAExplorer",
    "LogitLensExplorer",
    "MemoryExplorer",
    "NextTokenExplorer",
    "PatchingExplorer",
    "PositionExplorer",
    "TextExplorer",
    "buttons",
    "slider",
]

"""What the course meets outside: the notebook's front end, and the hubs."""

import os
import urllib.error
import urllib.request
from importlib import import_module
from pathlib import Path

from falcon_edu.doctor.finding import Finding
from falcon_edu.doctor.versions import installed

LAB = "pip install 'falcon_edu[lab]'"
MANAGER = "@jupyter-widgets/jupyterlab-manager"  # what draws the sliders in JupyterLab
HUBS = {  # the variable that may name another address, and the usual one
    "Hugging Face": ("HF_ENDPOINT", "https://huggingface.co"),
    "Kaggle": ("KAGGLE_API_ENDPOINT", "https://www.kaggle.com"),
}
SECONDS = 5  # to wait for a hub


# === Widgets ===


def look_at_widgets(folders=None):
    """Whether this environment has a kernel, and a JupyterLab that can draw widgets.

    Args:
        folders: where JupyterLab looks for extensions; `None` to ask it.
    """
    kernel, lab, widgets = map(installed, ("ipykernel", "jupyterlab", "ipywidgets"))
    text = f"ipywidgets {widgets}, ipykernel {kernel}, JupyterLab {lab}"
    if widgets is None or kernel is None:
        return Finding(text, LAB, is_ready=False)
    if lab is None:
        return Finding(text, f"fine on Colab and in an editor; for JupyterLab {LAB}")
    if folders is None:
        folders = import_module("jupyter_core.paths").jupyter_path("labextensions")
    if not any((Path(folder) / MANAGER / "package.json").is_file() for folder in folders):
        advice = "pip install --force-reinstall jupyterlab_widgets"
        return Finding(f"{text} without its widget extension", advice, is_ready=False)
    return Finding(text)


# === Hubs ===


def look_at_hubs(hubs=None):
    """Which hubs answer. None is needed, so this is never more than a note.

    Args:
        hubs: `{name: address}`; `None` for those that the environment names, or the usual ones.

    Example:

    >>> look_at_hubs({"Mine": "http://127.0.0.1:9"}).text
    'Mine does not answer'
    """
    if hubs is None:
        hubs = {name: os.environ.get(key, usual) for name, (key, usual) in HUBS.items()}
    missing = [name for name, address in hubs.items() if not answers(address)]
    text = ", ".join(f"{n} {'does not answer' if n in missing else 'answers'}" for n in hubs)
    if not missing:
        return Finding(text)
    return Finding(text, "the course needs none; a real checkpoint can come in a folder")


def answers(address):
    """Whether a server answers, even with an error of its own."""
    try:
        request = urllib.request.Request(address, method="HEAD")
        urllib.request.urlopen(request, timeout=SECONDS).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):  # no route, no name, no certificate; not an address
        return False
    return True

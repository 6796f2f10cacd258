"""What the course meets outside: the notebook's front end, and the hubs."""

import os
from importlib import import_module
from pathlib import Path

from falcon_edu.course.doctor.finding import Finding
from falcon_edu.course.doctor.versions import installed

LAB = "pip install 'falcon_edu[lab]'"
EXTENSIONS = {  # what draws the explorers in JupyterLab, and the package of each
    "@jupyter-widgets/jupyterlab-manager": "jupyterlab_widgets",
    "anywidget": "anywidget",
}
HUBS = {  # the variable that may name another address, and the usual one
    "Hugging Face": ("HF_ENDPOINT", "https://huggingface.co"),
    "Kaggle": ("KAGGLE_API_ENDPOINT", "https://www.kaggle.com"),
}
SECONDS = 5  # to wait for a hub
SILENT, UNTRUSTED = "does not answer", "has a certificate that is not trusted"
TRUST = (
    "If your network puts a certificate of its own in between, set SSL_CERT_FILE to the file of "
    "its certificates"
)


# === Widgets ===


def look_at_widgets(folders=None):
    """Find out if this environment has a kernel, and a JupyterLab that can draw widgets.

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
    for extension, package in EXTENSIONS.items():
        if not any((Path(folder) / extension / "package.json").is_file() for folder in folders):
            advice = f"pip install --force-reinstall {package}"
            return Finding(f"{text} without the extension {extension}", advice, is_ready=False)
    return Finding(text)


# === Hubs ===


def look_at_hubs(hubs=None):
    """Say which hubs answer. None is needed, so this is never more than a note.

    Args:
        hubs: `{name: address}`; `None` for those that the environment names, or the usual ones.

    Example:

    >>> look_at_hubs({"Mine": "http://127.0.0.1:9"}).text
    'Mine does not answer'
    """
    if hubs is None:
        hubs = {name: os.environ.get(key, usual) for name, (key, usual) in HUBS.items()}
    reasons = {name: why_not(address) for name, address in hubs.items()}
    text = ", ".join(f"{name} {reason or 'answers'}" for name, reason in reasons.items())
    if not any(reasons.values()):
        return Finding(text)
    advice = "the course needs none; a real checkpoint can come in a folder"
    if UNTRUSTED in reasons.values():
        advice += f". {TRUST}"
    return Finding(text, advice)


def why_not(address):
    """Return why a server does not answer, in words, or `None` if it does, even with an error."""
    from falcon_edu.presets.web import HubError, Web, new_client

    try:  # with the client of the presets: what it trusts, they do
        with (
            new_client() as client,
            Web(client, address, timeout=SECONDS).ask(address, seconds=2 * SECONDS),
        ):
            return None
    except HubError as error:
        if error.status is not None:
            return None
        return UNTRUSTED if "certificate" in str(error) else SILENT

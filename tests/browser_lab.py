"""A real JupyterLab in a real Chromium, for `test_browser.py`; Notebook 7 is on the same server.

`start_lab` runs a server on a free port of this machine, with empty configuration folders and a
copy of the notebooks; `start_browser` runs Chromium; `open_notebook` opens one notebook in a
workspace of its own and gives a `Notebook`, which runs cells, moves sliders and reads pictures.
"""

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tools.notebooks import BINDER
from tools.peak import megabytes

import psutil
import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

# The first answer of a kernel may have to compile, on a busy machine.
expect.set_options(timeout=30_000)

CHROMIUM_NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
CHROMIUM_FLAGS = [
    "--no-sandbox",  # tests may run as root, and open nothing but their own server
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
SETTINGS = {
    # No question about news, no look-up of newer versions.
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # Every cell is in the page, also where it is scrolled out of sight.
    "notebook-extension/tracker": {"windowingMode": "none"},
}
RUN_TIMEOUT = 360_000  # milliseconds, for all cells of a notebook beside another one


def find_chromium() -> str:
    """The path of Chromium; without one the test is skipped, in CI it fails."""
    for name in CHROMIUM_NAMES:
        if path := shutil.which(name):
            return path
    reason = "no Chromium on this machine (on Debian: apt-get install chromium)"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


# === The server ===


@dataclass
class Lab:
    """A running JupyterLab."""

    process: subprocess.Popen
    url: str
    token: str
    notebooks: Path

    def kernel_megabytes(self) -> list[float]:
        """The memory of each running kernel, at its peak where the system tells it (Linux)."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [megabytes(child) for child in children if "ipykernel_launcher" in child.cmdline()]


@contextlib.contextmanager
def start_lab(notebooks: Path, folder: Path, **environment: str):
    """Run JupyterLab over a copy of `notebooks`, with everything it writes below `folder`."""
    copy = shutil.copytree(notebooks, folder / "notebooks")
    for name, settings in SETTINGS.items():
        file = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings))

    port, token = free_port(), secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.root_dir": copy,
        "IdentityProvider.token": token,
        "LabApp.user_settings_dir": folder / "settings",
        "LabApp.workspaces_dir": folder / "workspaces",
        "LabApp.news_url": None,
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "LabApp.extension_manager": "readonly",
        "LabApp.expose_app_in_browser": True,
        "JupyterNotebookApp.expose_app_in_browser": True,
        "JupyterNotebookApp.user_settings_dir": folder / "settings",
    }
    command += [f"--{name}={value}" for name, value in options.items()]
    # Kernels and extensions are still found: those of this environment need no folder of the user.
    folders = {
        name: str(folder / name.lower())
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    folders["MEM_LIMIT"] = BINDER  # no notebook fetches a large model here
    log = folder / "lab.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **folders, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        lab = Lab(process, f"http://127.0.0.1:{port}", token, copy)
        wait_for_server(lab, log)
        yield lab
    finally:
        process.terminate()  # the server shuts its kernels down
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_server(lab: Lab, log: Path, seconds: float = 60) -> None:
    """Wait until the server answers."""
    request = urllib.request.Request(
        f"{lab.url}/api/status", headers={"Authorization": f"token {lab.token}"}
    )
    end = time.monotonic() + seconds
    while time.monotonic() < end and lab.process.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(request, timeout=5).close()
            return
        time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")


# === The browser ===


@contextlib.contextmanager
def start_browser():
    """Run Chromium, with a profile that is empty and goes when it closes."""
    path = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@contextlib.contextmanager
def open_notebook(lab: Lab, browser: Browser, path: str, app: str = "Lab"):
    """Open a notebook, its kernel ready, in "Lab" or "Notebook"; no request may leave the machine.

    In Lab it has a workspace of its own.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    notebook = Notebook(page, path)
    context.on("request", lambda request: notebook.requests.append(request.url))
    page.on("websocket", lambda websocket: notebook.requests.append(websocket.url))
    try:
        place = f"lab/workspaces/{secrets.token_hex(4)}" if app == "Lab" else f"notebooks/{path}"
        page.goto(f"{lab.url}/{place}?token={lab.token}")
        page.wait_for_function("window.jupyterapp !== undefined")
        page.evaluate(OPEN, path if app == "Lab" else None)
        yield notebook
        assert notebook.requests_to_elsewhere() == []
    finally:
        # Without a kernel there is nothing to ask about saving, and no memory held for later tests.
        page.evaluate("() => window.panel?.sessionContext.shutdown()")
        context.close()


OPEN = """async path => {
    const app = window.jupyterapp;
    await app.restored;
    const shown = async () => {
        while (!app.shell.currentWidget?.sessionContext) await new Promise(requestAnimationFrame);
        return app.shell.currentWidget;
    };
    window.panel = await (path ? app.commands.execute('docmanager:open', {path}) : shown());
    await panel.context.ready;
    await panel.sessionContext.ready;
    await panel.sessionContext.session.kernel.info;
}"""

RUN_ALL = """() => {
    window.finished = false;
    const done = () => { window.finished = true; };
    jupyterapp.commands.execute('notebook:run-all-cells').then(done, done);
}"""

# The command returns when the kernel has answered; outputs may still be on their way.
IDLE = """() => window.finished
    && panel.sessionContext.session.kernel.status === 'idle'
    && panel.content.widgets.every(cell => cell.model.executionState !== 'running')
    && [...document.images].every(image => image.complete)"""


@dataclass
class Notebook:
    """A notebook that is open in the browser."""

    page: Page
    path: str
    requests: list[str] = field(default_factory=list)

    def run_all(self) -> None:
        """Run all cells through Lab's command and wait until none is running; none may fail."""
        self.page.evaluate(RUN_ALL)
        self.page.wait_for_function(IDLE, timeout=RUN_TIMEOUT)
        assert self.errors() == []
        assert self.not_run() == []

    def cells(self) -> list[dict]:
        """The cells as they stand in the page, in the notebook format."""
        return self.page.evaluate("() => panel.content.model.toJSON().cells")

    def errors(self) -> list[str]:
        """What went wrong in cells that do not announce it."""
        return [
            f"{output['ename']}: {output['evalue']}"
            for cell in self.cells()
            for output in cell.get("outputs", [])
            if output["output_type"] == "error"
            and "raises-exception" not in cell["metadata"].get("tags", [])
        ]

    def not_run(self) -> list[str]:
        """Code cells that hold code and were not run."""
        return [
            "".join(cell["source"])
            for cell in self.cells()
            if cell["cell_type"] == "code" and cell["source"] and cell["execution_count"] is None
        ]

    def slider(self, label: str, nth: int = 0) -> Locator:
        """The handle of the slider with this label; `nth` of those that share it."""
        return self.page.get_by_role("slider", name=label, exact=True).nth(nth)

    def picture(self, alt: str, nth: int = 0) -> Locator:
        """The live picture whose alt text contains `alt`; `nth` of those."""
        return self.page.locator(f'.falcon-notebook img[alt*="{alt}"]').nth(nth)

    def explorers(self) -> list[Locator]:
        """The live explorers of the notebook, from top to bottom."""
        return self.page.locator(".jp-OutputArea .falcon-notebook").all()

    def explorer_of(self, picture: Locator) -> Locator:
        """The live view around a picture, with its controls."""
        return picture.locator("xpath=ancestor::*[contains(@class, 'falcon-notebook')]").last

    def inward_key(self, slider: Locator) -> str:
        """The key that moves a slider away from its nearer end."""
        low, now, high = slider.evaluate("x => [x.min, x.value, x.max].map(Number)")
        return "ArrowRight" if now - low <= high - now else "ArrowLeft"

    def move(self, slider: Locator, key: str):
        """Move a slider by a key and wait until its own value has changed."""
        slider.scroll_into_view_if_needed()
        value = slider.input_value()
        slider.focus()
        slider.press(key)
        expect(slider).not_to_have_value(value)

    def press(self, slider: Locator, key: str, picture: Locator, timeout: int = 20_000) -> str:
        """Move a slider by a key and wait until the picture changes; its new alt text."""
        before = picture.get_attribute("src")
        self.move(slider, key)
        expect(picture).not_to_have_attribute("src", before, timeout=timeout)
        return picture.get_attribute("alt")

    def screenshot(self, name: str, element: Locator | None = None) -> None:
        """Save what is seen, where the environment names a folder for it."""
        if folder := os.environ.get("FALCON_EDU_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            (element or self.page).screenshot(path=Path(folder) / f"{name}.png")

    def requests_to_elsewhere(self) -> list[str]:
        """The requests that went to another machine; pictures inside the page (data:) stay here."""
        return [url for url in self.requests if is_elsewhere(url)]


def is_elsewhere(url: str) -> bool:
    """Whether an address is of another machine."""
    parts = urlsplit(url)
    return parts.scheme in ("http", "https", "ws", "wss") and parts.hostname not in (
        "127.0.0.1",
        "localhost",
    )

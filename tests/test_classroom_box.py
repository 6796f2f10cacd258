"""The box of a student's process, for real: what it can reach from there, and what it may take."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytest.importorskip("nbgrader")

from falcon_edu.course.classroom import confine
from tests.in_a_box import HUNGER, PROBES, as_nobody

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="boxes are Linux's"),
]

ROOT = Path(__file__).parents[1]
SAFE = {
    **dict.fromkeys(PROBES, "[]"),
    "network": "['lo']",
    "processes": "True []",
    "its own folder": "True",
    "what stays": 0,
    "memory": "MemoryError",
    "memory of many": "Died: It took more than 700 MB of memory.",
    "files in its folder": "OSError",
    "time": "TookTooLong",
    "stubborn": "Died: It took too long, and could not be stopped. Does it loop for ever?",
}


def can(command):
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.parametrize("kind", ["namespaces", "bubblewrap"])
def test_from_its_box_a_students_process_reaches_nothing(kind):
    is_root = os.geteuid() == 0
    if kind == "namespaces" and not is_root:
        pytest.skip("only root makes namespaces")
    if kind == "bubblewrap" and not shutil.which("bwrap"):
        pytest.skip("bubblewrap is not installed")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        command = [sys.executable, "-m", "tests.in_a_box", folder]
        if kind == "bubblewrap" and is_root:  # who has no use for it
            command = as_nobody(command, [*confine.readable(), str(ROOT), folder])
        env = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": folder}
        result = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]
    found = json.loads(result.stdout)
    if found["kind"] == "limits":
        pytest.skip("this system lets nobody make a box")
    assert found == {"kind": kind, **SAFE}
    assert set(HUNGER) < set(found)


def test_root_makes_no_box_in_which_it_stays_root(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(ValueError, match="Root needs namespaces"):
        confine.command("bubblewrap", ["/bin/true"], Path("/x"))

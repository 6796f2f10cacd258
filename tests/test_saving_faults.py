"""A full disk, a file that may not be read, a process that is killed: nothing is lost."""

import subprocess
import sys
from pathlib import Path

from falcon_edu import Backbone, FalconBackbone
from tests.spoiling import everything_below

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_a_file_that_may_not_be_read(good_presets, tmp_path, monkeypatch):
    """Tests may run as root, who may read all: the refusal of the system is put in its place."""

    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(PermissionError, match=r"config\.json"):
        Backbone.from_preset(good_presets / "keras_hub")


FULL = """
import resource, signal, sys

from tests.layouts import build

folder, save = sys.argv[1:]
getattr(build("rw"), save)(folder)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
# The system itself refuses to write more than a few kilobytes to one file.
resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, 8_000))
print("saved", flush=True)
sys.stdin.readline()
try:
    getattr(build("7b"), save)(folder)
except (OSError, RuntimeError):
    print("refused", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX's")
@pytest.mark.parametrize("save", ["save_to_preset", "export_to_transformers"])
def test_a_full_disk_leaves_what_was_there(tmp_path, save):
    """In a process of its own: HDF5 does not recover from a write that failed, and may crash.

    Even then the old preset stays; where we write the files ourselves, no draft is left either.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", FULL, str(tmp_path / "preset"), save],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout.readline() == "saved\n"
    folder = tmp_path / "preset" if save == "save_to_preset" else tmp_path
    before = everything_below(folder)
    said, _ = process.communicate("\n", timeout=120)
    if save == "export_to_transformers":
        assert said == "refused\n"
    assert everything_below(folder) == before
    Backbone.from_preset(tmp_path / "preset")


KILLED = """
import os, random, signal, sys, time
from pathlib import Path

from falcon_edu import FalconBackbone
from falcon_edu.presets.h5_files import open_h5

import numpy as np

folder, random = Path(sys.argv[1]), random.Random(0)


def save_forever(ready, first):
    backbones = [FalconBackbone(50, 2, 2, 16, 32) for _ in range(2)]
    for number, backbone in enumerate(backbones, 1):
        backbone.set_weights([np.full(w.shape, number) for w in backbone.weights])
    backbones[first].save_to_preset(folder)
    os.write(ready, b"x")
    while True:
        for backbone in backbones:
            backbone.save_to_preset(folder)


seen = []
for i in range(15):
    reader, writer = os.pipe()
    child = os.fork()  # before JAX has started, which does not survive a fork
    if not child:
        save_forever(writer, first=i % 2)  # so that both are seen, however slow the machine is
    os.read(reader, 1)
    time.sleep(random.uniform(0, 0.2))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reader), os.close(writer)
    with open_h5(folder) as tensors:
        values = {float(x) for t in tensors.values() for x in np.unique(t.read())}
    assert len(values) == 1 and (folder / "config.json").is_file(), values
    seen += values
print(sorted(set(seen)), len(seen))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_killed_at_any_moment_there_is_the_old_preset_or_the_new(tmp_path):
    """Fifteen times a process that saves one of two models without end is killed."""
    result = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "preset")],
        capture_output=True,
        text=True,
        timeout=550,
    )
    assert result.stdout == "[1.0, 2.0] 15\n", result.stderr
    assert type(Backbone.from_preset(tmp_path / "preset")) is FalconBackbone

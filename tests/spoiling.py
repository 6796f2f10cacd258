"""Ways to spoil a preset, and what must hold of loading what was spoilt."""

import json
import os
import shutil
import struct
import sys
from pathlib import Path

from falcon_edu import Backbone

import pytest

MEGABYTES = 150  # how much more memory a case may take than the process held before


def edit(name, **changes):
    """Changes fields of a JSON file; `...` takes one out."""

    def spoil(folder):
        path = folder / name
        content = {**json.loads(path.read_text()), **changes}
        path.write_text(json.dumps({k: v for k, v in content.items() if v is not ...}))

    return spoil


def edit_arguments(**changes):
    """Changes arguments in a `config.json` of KerasHub."""

    def spoil(folder, name="config.json"):
        path = folder / name
        content = json.loads(path.read_text())
        content["config"] |= changes
        path.write_text(json.dumps(content))

    return spoil


def overwrite(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def truncate(name, size):
    return lambda folder: os.truncate(folder / name, size)


def link_to(name, target):
    def spoil(folder):
        (folder / name).unlink()
        (folder / name).symlink_to(target)

    return spoil


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def with_header(header, body=b"\0" * 64, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    length = len(text) if length is None else length
    return overwrite("model.safetensors", length.to_bytes(8, "little") + text + body)


INDEX = "model.safetensors.index.json"
CODES = "\x1b]0;\x07\x1b[2J\u202e\udcff"  # for a terminal, and half a character
BIN, ST, H5, CONFIG = "pytorch_model.bin", "model.safetensors", "model.weights.h5", "config.json"
HUGE = 10**15


def everything_below(folder):
    return {
        path: (path.is_symlink(), path.read_bytes() if path.is_file() else None)
        for path in Path(folder).rglob("*")
    }


def forget_peak():
    """From here on, the peak of the memory is counted anew (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_megabytes():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def check_refusal(good, case, tmp_path, monkeypatch):
    """Spoil a copy of a good preset, and check that loading it raises the right words alone.

    Args:
        good: the folder of the preset.
        case: how to spoil it, the error, and what its text must say.
    """
    spoil, error, words = case
    folder = tmp_path / "preset"
    shutil.copytree(good, folder)
    spoil(folder)
    monkeypatch.chdir(tmp_path)  # where "touch canary" would leave its mark
    before = everything_below(tmp_path)
    can_measure = sys.platform == "linux"
    if can_measure:
        forget_peak()
        held = peak_megabytes()
    with pytest.raises(error) as caught:
        Backbone.from_preset(folder)
    if can_measure:
        assert peak_megabytes() - held < MEGABYTES
    said = str(caught.value)
    assert all(word in said for word in words), said
    assert len(said) < 3000
    assert said.isprintable(), said
    assert everything_below(tmp_path) == before
    assert not (tmp_path / "canary").exists()

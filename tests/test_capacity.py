"""A model is refused where it is larger than the memory that this process may take."""

import os

from falcon_edu import FalconConfig
from falcon_edu.presets import capacity

import pytest

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.fixture(autouse=True)
def limits(tmp_path, monkeypatch):
    """The files of a container's limits, here in a folder; and no hub around this process."""
    files = [tmp_path / "memory.max", tmp_path / "memory.limit_in_bytes"]
    monkeypatch.setattr(capacity, "CONTAINER_LIMITS", files)
    monkeypatch.delenv("MEM_LIMIT", raising=False)
    return files


def test_without_a_limit_it_is_the_machine():
    assert capacity.machine_memory() == MACHINE


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    ("text", "memory"),
    [("2000000\n", 2_000_000), ("max\n", MACHINE), ("9223372036854771712\n", MACHINE)],
)
def test_limit_of_a_container(limits, which, text, memory):
    limits[which].write_text(text)
    assert capacity.machine_memory() == memory


@pytest.mark.parametrize(
    ("text", "memory"), [("3000000", 3_000_000), ("", MACHINE), ("0", MACHINE), ("2G", MACHINE)]
)
def test_limit_of_a_hub(monkeypatch, text, memory):
    monkeypatch.setenv("MEM_LIMIT", text)
    assert capacity.machine_memory() == memory


def test_smallest_limit_counts(limits, monkeypatch):
    monkeypatch.setenv("MEM_LIMIT", "3000000")
    limits[0].write_text("2000000")
    assert capacity.machine_memory() == 2_000_000


def test_model_beyond_the_limit_is_refused(monkeypatch):
    config = FalconConfig(1000, 2, 2, 64, 256)
    needed = 4 * config.num_parameters
    monkeypatch.setenv("MEM_LIMIT", str(needed))
    capacity.check_size(config, "here", "float32")
    monkeypatch.setenv("MEM_LIMIT", str(needed - 1))
    with pytest.raises(ValueError, match="for its weights in float32, but this machine has"):
        capacity.check_size(config, "here", "float32")
    capacity.check_size(config, "here", "bfloat16")
    monkeypatch.setenv("MEM_LIMIT", str(config.num_parameters * 5 // 4 + 100))
    capacity.check_size(config, "here", "int8/4")
    with pytest.raises(ValueError, match="in int8, but"):
        capacity.check_size(config, "here", "int8/2")

"""A disk without room is seen before anything is written: HDF5 may crash when a write fails.

The disk is a real one of some kilobytes where this process may mount one, as root may. What happens
when a write fails all the same is in `test_saving_faults.py`.
"""

import errno
import shutil

from falcon_edu import FalconBackbone, FalconCausalLM
from falcon_edu.storage.files import check_space
from tests import faults
from tests.layouts import build, inputs

import numpy as np
import pytest

KILOBYTES = 128  # the tiny models take 150 and more, the larger LoRA file 250


@pytest.fixture
def small_disk(tmp_path, monkeypatch):
    with faults.small_disk(tmp_path / "disk", KILOBYTES) as is_mounted:
        if not is_mounted:
            faults.say_that_the_disk_is_small(monkeypatch, KILOBYTES)
        yield tmp_path / "disk"


def refuses(save, folder):
    with pytest.raises(
        OSError, match=r"needs about [\d.]+ [KM]B, but its disk has [\d.]+ KB free"
    ) as caught:
        save(folder)
    assert caught.value.errno == errno.ENOSPC
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("save", ["save_to_preset", "export_to_transformers"])
def test_no_model_is_begun_that_does_not_fit(small_disk, save):
    backbone = build("rw")
    refuses(getattr(backbone, save), small_disk / "new/preset")
    assert list(small_disk.iterdir()) == []  # not even the folder
    if save == "save_to_preset":
        refuses(FalconCausalLM(backbone).save_to_preset, small_disk / "preset")
    small = FalconBackbone(10, 1, 2, 4, 8)
    getattr(small, save)(small_disk / "preset")
    before = sorted(path.name for path in (small_disk / "preset").iterdir())
    refuses(getattr(build("7b"), save), small_disk / "preset")
    assert sorted(path.name for path in (small_disk / "preset").iterdir()) == before
    again = FalconBackbone.from_preset(small_disk / "preset", alibi_dtype=None)
    x = {name: np.minimum(array, 9) for name, array in inputs().items()}
    assert np.array_equal(again(x), small(x))


def test_no_lora_file_is_begun_that_does_not_fit(small_disk):
    backbone = FalconBackbone(10, 1, 2, 32, 8)
    backbone.enable_lora(2)
    backbone.save_lora_weights(small_disk / "a.lora.h5")
    wide = FalconBackbone(10, 1, 2, 32, 8)
    wide.enable_lora(400)
    refuses(wide.save_lora_weights, small_disk / "a.lora.h5")
    assert [path.name for path in small_disk.iterdir()] == ["a.lora.h5"]
    backbone.load_lora_weights(small_disk / "a.lora.h5")


def test_space_is_asked_for_where_the_file_will_be(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: asked.append(path) or faults.Usage(9, 0, 9)
    )
    monkeypatch.chdir(tmp_path)
    check_space("a/b/c", 9)
    assert asked == [tmp_path.resolve()]
    with pytest.raises(OSError, match=r"Saving to a/b/c needs about 10 B, but its disk has 9 B"):
        check_space("a/b/c", 10)

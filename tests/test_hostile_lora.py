"""LoRA files that a stranger could have made: each is refused in words, and changes nothing."""

import json
import os

from falcon_edu.lora import adapted_layers
from tests.layouts import build

import h5py
import numpy as np
import pytest


def set_attribute(**changes):
    def spoil(path):
        with h5py.File(path, "a") as file:
            content = {**json.loads(file.attrs["falcon_edu"]), **changes}
            file.attrs["falcon_edu"] = np.bytes_(json.dumps(content))

    return spoil


def attribute(value):
    def spoil(path):
        with h5py.File(path, "a") as file:
            file.attrs["falcon_edu"] = np.bytes_(value)

    return spoil


def replace(name, **options):
    def spoil(path):
        with h5py.File(path, "a") as file:
            del file[name]
            file.create_dataset(name, **options)

    return spoil


def link(name, target):
    def spoil(path):
        with h5py.File(path, "a") as file:
            del file[name]
            file[name] = target

    return spoil


def first_factor(path):
    with h5py.File(path) as file:
        return f"lora/{min((n for n in file['lora'] if n != 'vars'), key=int)}/vars/lora_kernel_a"


def in_factor(make):
    return lambda path: make(first_factor(path))(path)


def factor(**options):
    return in_factor(lambda name: replace(name, **options))


def only_the_first_block(path):
    """As a file of KerasHub for a smaller model: it does not say what it belongs to."""
    with h5py.File(path, "a") as file:
        del file.attrs["falcon_edu"]
        indices = sorted(int(name) for name in file["lora"] if name != "vars")
        for index in indices[len(indices) // 2 :]:
            del file[f"lora/{index}"]


def another_layer(path):
    with h5py.File(path, "a") as file:
        del file.attrs["falcon_edu"]
        index = min((name for name in file["lora"] if name != "vars"), key=int)
        file.move(f"lora/{index}", "lora/1")


HUGE = 1 << 20
CASES = {
    "an external link": (
        in_factor(lambda n: link(n, h5py.ExternalLink("x", "/"))),
        "external link",
    ),
    "a soft link": (in_factor(lambda n: link(n, h5py.SoftLink("/lora"))), "a soft link"),
    "a shape and no numbers": (factor(shape=(HUGE, HUGE), dtype="float32"), "fewer bytes"),
    "a compressed bomb": (factor(shape=(48, HUGE), dtype="f4", compression="gzip"), "compressed"),
    "another shape": (factor(data=np.zeros((48, 4, 3), "float32")), "factors of shapes (48, 4, 3)"),
    "texts": (factor(data=[[["a"] * 2] * 4] * 48, dtype=h5py.string_dtype()), "no whole HDF5 file"),
    "numbers that are none": (factor(data=np.full((48, 4, 2), np.nan)), "not finite"),
    "a rank that is a list": (replace("lora/vars/rank", data=[1, 2]), "can be read"),
    "a rank of nothing": (replace("lora/vars/rank", data=0), "its rank is 0"),
    "a rank that is huge": (replace("lora/vars/rank", data=HUGE), "factors of shapes"),
    "a rank that is a text": (replace("lora/vars/rank", data="two"), "can be read"),
    "a description that is a list": (attribute(b"[1]"), "can be read"),
    "a description that is no JSON": (attribute(b"{'a'"), "can be read"),
    "a thousand brackets": (attribute(b"[" * 50_000), "can be read"),
    "an alpha of NaN": (set_attribute(alpha=float("nan")), "its alpha nan"),
    "an alpha that is a text": (set_attribute(alpha="2"), "can be read"),
    "a base that is a text": (set_attribute(base="rw"), "its base 'rw'"),
    "another base": (set_attribute(base={"num_layers": 9}), "trained on another backbone"),
    "fewer blocks": (only_the_first_block, "2 of the 4 layers named query_dense, value_dense"),
    "factors for a norm": (another_layer, "another number of blocks"),
    "nothing but a rank": (lambda path: keep_rank(path), "factors for the layers []"),
    "a file that breaks off": (lambda path: os.truncate(path, 3000), "no whole HDF5 file"),
    "an empty file": (lambda path: os.truncate(path, 0), "no whole HDF5 file"),
}


def keep_rank(path):
    with h5py.File(path, "a") as file:
        for name in [name for name in file["lora"] if name != "vars"]:
            del file[f"lora/{name}"]


@pytest.fixture(scope="module")
def backbone():
    return build("rw")


@pytest.fixture(scope="module")
def good():
    adapted = build("rw")
    adapted.enable_lora(2)
    return adapted


@pytest.mark.parametrize("name", CASES)
def test_refused(backbone, good, tmp_path, name):
    spoil, words = CASES[name]
    path = tmp_path / "a.lora.h5"
    good.save_lora_weights(path)
    spoil(path)
    for fresh in (backbone, good):
        with pytest.raises(ValueError) as caught:
            fresh.load_lora_weights(path)
        assert str(path) in str(caught.value)
        # An adapted backbone may see first that the file adapts other layers.
        assert words in str(caught.value) or (fresh is good and "but LoRA is" in str(caught.value))
    assert not adapted_layers(backbone)
    assert os.listdir(tmp_path) == ["a.lora.h5"]

"""LoRA files that a stranger could have made: each is refused in words, and changes nothing."""

import contextlib
import json
import os

from falcon_edu.adapt.lora import adapted_layers
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
        return first_factor_in(file)


def first_factor_in(file):
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


def with_attribute(**options):
    def spoil(path):
        with h5py.File(path, "a") as file:
            del file.attrs["falcon_edu"]
            file.attrs.create("falcon_edu", **options)

    return spoil


number_for_description = with_attribute(data=7)
text_of_any_length = with_attribute(data="{}", dtype=h5py.string_dtype())
many_descriptions = with_attribute(data=np.array([b"{}", b"{}"]))


def long_description(path):
    """Attributes of more than 64 KB lie apart, in files of newer versions only."""
    with h5py.File(path) as old, h5py.File(f"{path}.new", "w", libver="latest") as file:
        old.copy("lora", file)
        file.attrs["falcon_edu"] = np.bytes_(b'{"a": "' + b"a" * 10**6 + b'"}')
    os.replace(f"{path}.new", path)


def two_kinds(path):
    with h5py.File(path, "a") as file:
        file.move(first_factor_in(file), first_factor_in(file).replace("kernel_a", "embeddings_a"))


def two_names(path):
    """Python reads `02` as 2."""
    with h5py.File(path, "a") as file:
        name = first_factor_in(file)
        file.move(name, name.replace("lora/", "lora/0"))


def pointer(path):
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")


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
    "a rank of nothing": (replace("lora/vars/rank", data=0), "rank in"),
    "a rank that is huge": (replace("lora/vars/rank", data=HUGE), "rank in"),
    "a rank that is large": (replace("lora/vars/rank", data=999), "factors of shapes"),
    "a rank that is a text": (replace("lora/vars/rank", data="two"), "can be read"),
    "a description that is a list": (attribute(b"[1]"), "can be read"),
    "a description that is no JSON": (attribute(b"{'a'"), "can be read"),
    "a thousand brackets": (attribute(b"[" * 50_000), "can be read"),
    "a rank of infinity": (replace("lora/vars/rank", data=np.inf), "rank in"),
    "a rank of NaN": (replace("lora/vars/rank", data=np.nan), "rank in"),
    "a rank of 300 digits": (replace("lora/vars/rank", data=1e300), "rank in"),
    "a rank between two": (replace("lora/vars/rank", data=2.7), "Received: 2.7"),
    "a rank that is complex": (replace("lora/vars/rank", data=2 + 0j), "can be read"),
    "a rank that is a truth": (replace("lora/vars/rank", data=True), "can be read"),
    "an alpha of NaN": (set_attribute(alpha=float("nan")), "alpha in"),
    "an alpha of infinity": (set_attribute(alpha=float("inf")), "alpha in"),
    "an alpha of 300 digits": (set_attribute(alpha=1e300), "alpha in"),
    "an alpha of 300 whole digits": (set_attribute(alpha=10**300), "alpha in"),
    "an alpha that is a text": (set_attribute(alpha="2"), "alpha in"),
    "an alpha that is a truth": (set_attribute(alpha=True), "alpha in"),
    "a base that is a text": (set_attribute(base="rw"), "base in"),
    "a base with codes for a terminal": (set_attribute(base={"\x1b[2J": "\x1b]0;"}), "\\x1b[2J"),
    "a base of megabytes": (set_attribute(base={"a" * 9000: "b" * 9000}), "aaa..."),
    "a description of another kind": (number_for_description, "no short text"),
    "a description of any length": (text_of_any_length, "no short text"),
    "many descriptions": (many_descriptions, "no short text"),
    "a description of megabytes": (long_description, "no short text"),
    "factors that are complex": (factor(data=np.ones((48, 4, 2), "complex64")), "complex64"),
    "factors that are whole": (factor(data=np.ones((48, 4, 2), "int32")), "int32"),
    "factors that are infinite": (factor(data=np.full((48, 4, 2), np.inf)), "not finite"),
    "factors beyond float32": (factor(data=np.full((48, 4, 2), 1e300)), "not finite"),
    "factors of two kinds": (two_kinds, "does not fit"),
    "a layer under two names": (two_names, "does not fit"),
    "a pointer of Git LFS": (pointer, "git -C"),
    "another base": (set_attribute(base={"num_layers": 9}), "trained on another backbone"),
    "fewer blocks": (only_the_first_block, "2 of the 4 layers named query_dense, value_dense"),
    "factors for a norm": (another_layer, "another number of blocks"),
    "nothing but a rank": (lambda path: keep_rank(path), "factors for the layers none"),
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


def test_other_attributes_are_not_looked_at(good, tmp_path):
    """To go through thousands of them took minutes, and one of megabytes took its memory twice."""
    path = tmp_path / "a.lora.h5"
    good.save_lora_weights(path)
    with h5py.File(path) as old, h5py.File(tmp_path / "b.lora.h5", "w", libver="latest") as file:
        old.copy("lora", file)
        file.attrs["falcon_edu"] = old.attrs["falcon_edu"]
        for number in range(2_000):
            file.attrs[f"a{number}"] = np.bytes_(b"b")
        file.attrs["large"] = np.zeros(10**6)
    with count_attributes() as read:
        build("rw").load_lora_weights(tmp_path / "b.lora.h5")
    assert read == ["falcon_edu"]


@contextlib.contextmanager
def count_attributes():
    """The names of the attributes that are read, while the block lasts."""
    read, get = [], h5py.AttributeManager.__getitem__

    def counting(self, name):
        read.append(name)
        return get(self, name)

    h5py.AttributeManager.__getitem__ = counting
    try:
        yield read
    finally:
        h5py.AttributeManager.__getitem__ = get


def test_a_backbone_of_half_precision_can_not_hold_every_factor(good, tmp_path):
    path = tmp_path / "a.lora.h5"
    good.save_lora_weights(path)
    factor(data=np.full((48, 4, 2), 1e6))(path)
    with pytest.raises(ValueError, match=r"a\.lora\.h5 .* not finite in float16"):
        build("rw", dtype="float16").load_lora_weights(path)
    build("rw", dtype="bfloat16").load_lora_weights(path)

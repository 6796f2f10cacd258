"""What messages say of strangers' files: how to get them, in which preset they lie, and by what."""

import json
import subprocess
import sys
from pathlib import Path

from falcon_edu import (
    Backbone,
    FalconBackbone,
    FalconCausalLMPreprocessor,
    FalconTokenizer,
    merge_peft_adapter,
    presets,
)
from falcon_edu.course import notebooks
from falcon_edu.presets import handles
from falcon_edu.presets.pytorch_files import read_pytorch
from falcon_edu.storage.strangers import plain, shown
from tests.layouts import SIZES, build
from tests.pytorch_writer import pickled, write_archive, write_pytorch
from tests.small_tokenizers import make
from tests.test_peft import write_adapter

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parents[1]
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4665\nsize 2336927755\n"
TENSORS = "model.safetensors"


# === Pointers of Git LFS ===


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Presets and adapters of all kinds, whole, in folders whose names a shell would split."""
    folder = tmp_path_factory.mktemp("my models")
    backbone = build("rw")
    for name, size in (("keras_hub", 10), ("keras_hub in shards", 2e-5)):
        backbone.save_to_preset(folder / name, max_shard_size=size)
        make().save_to_preset(folder / name)
        FalconCausalLMPreprocessor(make()).save_to_preset(folder / name)
    for name, size in (("transformers", 5), ("transformers in shards", 2e-5)):
        presets.export_to_transformers(backbone, folder / name, make(), size)
    write_adapter(folder / "peft", build("7b"))
    for name in ("transformers", "peft"):
        (path,) = (folder / name).glob("*.safetensors")
        old = folder / f"{name} of old"
        old.mkdir()
        for other in (folder / name).glob("*.json"):
            (old / other.name).write_bytes(other.read_bytes())
        binary = path.name.replace("model", "pytorch_model") if name != "peft" else path.name
        write_pytorch(old / binary.replace("safetensors", "bin"), load_file(path))
    return folder


FILES = {
    "keras_hub": "config.json model.weights.h5 tokenizer.json preprocessor.json "
    "assets/tokenizer/vocabulary.json assets/tokenizer/merges.txt",
    "keras_hub in shards": "model.weights.json model_00000.weights.h5",
    "transformers": f"config.json tokenizer.json {TENSORS}",
    "transformers in shards": f"{TENSORS}.index.json model-00001-of-*.safetensors",
    "transformers of old": "config.json pytorch_model.bin",
    "peft": "adapter_config.json adapter_model.safetensors",
    "peft of old": "adapter_config.json adapter_model.bin",
}


def load_all(folder):
    if folder.name.startswith("peft"):
        merge_peft_adapter(build("7b"), folder)
    else:
        FalconCausalLMPreprocessor.from_preset(folder)
        Backbone.from_preset(folder)


@pytest.mark.parametrize("name", FILES)
def test_what_the_pointers_are_put_in_place_of_loads(good, name):
    load_all(good / name)


@pytest.mark.parametrize(
    ("name", "file"), [(name, file) for name, files in FILES.items() for file in files.split()]
)
def test_a_pointer_of_git_lfs_is_called_one(good, name, file):
    (path, *_) = (good / name).glob(file)
    content = path.read_bytes()
    path.write_text(POINTER)
    try:
        with pytest.raises(ValueError, match=r"pointer of Git LFS.*git -C '.*' lfs pull") as caught:
            load_all(good / name)
        assert f"{path} is a pointer" in str(caught.value)
    finally:
        path.write_bytes(content)


def test_a_pointer_that_is_not_needed_does_not_disturb(good):
    other = good / "transformers" / "pytorch_model.bin"
    other.write_text(POINTER)
    try:
        Backbone.from_preset(good / "transformers")
    finally:
        other.unlink()


@pytest.mark.parametrize("which", ["vocabulary", "merges", "tokenizer.json"])
def test_pointers_in_place_of_a_tokenizers_own_files(tmp_path, which):
    path = tmp_path / which
    path.write_text(POINTER)
    tokenizer = make()
    files = {"vocabulary": tokenizer.vocabulary, "merges": tokenizer.merges, which: path}
    make_from = {"tokenizer.json": FalconTokenizer.from_tokenizer_json}.get(which, FalconTokenizer)
    arguments = {"path": path} if which == "tokenizer.json" else files
    with pytest.raises(ValueError, match=rf"{which} is a pointer of Git LFS"):
        make_from(**arguments)


# === Names in messages ===


def test_what_is_shown_is_short_and_printable():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    for thing in ("\x1b[2J\udcff\u202e\n", "a" * 10**6, 10**5000, -(10**5000), deep, {"a": deep}):
        assert len(shown(thing)) <= 80
        assert shown(thing).isprintable()
    assert plain("é ü 漢") == "é ü 漢"
    assert plain("a\x1b\udcff" * 10**6).isprintable()


def test_a_preset_in_a_cache_is_called_by_the_name_that_its_user_gave(good, monkeypatch):
    monkeypatch.setattr(handles, "resolve", lambda *args, **kwargs: good / "peft")
    for load in (Backbone, FalconTokenizer, FalconCausalLMPreprocessor):
        with pytest.raises(FileNotFoundError, match=r"json in hf://ada/falcon.*\(Its files lie in"):
            load.from_preset("hf://ada/falcon")


def test_a_local_path_is_said_as_it_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    for path in (".", "a", "./a/", tmp_path / "a"):
        with pytest.raises(FileNotFoundError) as caught:
            Backbone.from_preset(path)
        assert "Its files lie" not in str(caught.value)


def test_printed_commands_quote_a_path(tmp_path, capsys):
    notebooks.main(tmp_path / "my course")
    assert f"jupyter lab '{tmp_path}/my course/00_welcome.ipynb'" in capsys.readouterr().out


# === What Keras runs on ===

IMPORTED_BEFORE = """
import os, sys, types
os.environ["KERAS_BACKEND"] = {backend!r}
import keras
sys.modules.setdefault({other!r}, types.ModuleType({other!r}))
import falcon_edu
"""


@pytest.mark.parametrize("other", ["tensorflow", "keras_hub", "os"])
def test_who_imported_keras_before_us_is_named(other):
    """NumPy is a backend of Keras too, and TensorFlow is not here: its name stands for it."""
    script = IMPORTED_BEFORE.format(backend="numpy", other=other)
    process = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    said = process.stderr.strip().splitlines()[-1]
    first = "keras" if other == "os" else other
    assert f"{first} was imported before it, and so Keras runs on 'numpy'" in said
    assert ("keras_hub" in said) == (other == "keras_hub")


# === Sizes ===


def test_the_base_of_rope_may_be_a_large_whole_number():
    rope = {"position_encoding": "rope", "rope_max_wavelength": 2**31}
    backbone = FalconBackbone(**{**SIZES, **rope})
    ids = np.array([[1, 2, 3]])
    outputs = backbone({"token_ids": ids, "padding_mask": np.ones_like(ids)})
    assert np.isfinite(keras.ops.convert_to_numpy(outputs)).all()
    for base in (1e30, 1e-20, 10**30):
        assert FalconBackbone(**{**SIZES, **rope, "rope_max_wavelength": base})


@pytest.mark.parametrize("file", ["preprocessor.json", "tokenizer.json"])
@pytest.mark.parametrize("length", [2**16, 2**15 + 1])
def test_a_preset_may_not_ask_for_endless_texts(tmp_path, file, length):
    FalconCausalLMPreprocessor(make()).save_to_preset(tmp_path)
    path = tmp_path / file
    content = json.loads(path.read_text())
    content["config"]["sequence_length"] = length
    path.write_text(json.dumps(content))
    cls = FalconTokenizer if file == "tokenizer.json" else FalconCausalLMPreprocessor
    with pytest.raises(ValueError, match=rf"`sequence_length` in .*{file} must be at most 32,768"):
        cls.from_preset(tmp_path)
    if cls is FalconCausalLMPreprocessor:
        assert cls.from_preset(tmp_path, sequence_length=length).sequence_length == length


# === Archives of PyTorch ===

MANY = """
import resource, sys
from falcon_edu.presets.pytorch_files import open_pytorch
from falcon_edu.presets.safetensors_files import open_safetensors

resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
with open_pytorch(sys.argv[1]) as tensors:
    print(len(tensors), sum(float(tensor.read().sum()) for tensor in tensors.values()))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX's")
def test_many_tensors_need_one_open_file(tmp_path):
    arrays = {f"a{n}": np.full(3, 1, "float32") for n in range(300)}
    write_pytorch(tmp_path / "pytorch_model.bin", arrays)
    process = subprocess.run(
        [sys.executable, "-c", MANY, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert process.stdout == "300 900.0\n", process.stderr


def test_archives_without_checksums_are_read(tmp_path):
    """`torch.serialization.set_crc32_options(False)` writes zeros in their place."""
    array = np.arange(6, dtype="float32")
    path = tmp_path / "a.bin"
    write_archive(path, pickled({"a": array}), [array])
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x01\x02", 16), (b"PK\x03\x04", 14)):
        at = data.find(mark)
        while at >= 0:
            data[at + place : at + place + 4] = bytes(4)
            at = data.find(mark, at + 4)
    path.write_bytes(data)
    np.testing.assert_array_equal(read_pytorch(path)["a"].read(), array)

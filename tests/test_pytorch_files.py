"""PyTorch's files, read without PyTorch: numbers as they were written, and nothing else."""

import json

from falcon_edu import Backbone
from falcon_edu.presets.pytorch_files import open_pytorch, read_pytorch
from tests.layouts import LAYOUTS, build
from tests.pytorch_writer import pickled, write_archive, write_pytorch

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file

IN_TRANSFORMERS = [name for name in LAYOUTS if name != "grouped_alibi_sequential"]
DTYPES = ("float32", "float64", "float16", ml_dtypes.bfloat16, "int64", "bool")


def in_pytorch(folder, shards=1):
    """Turns a checkpoint of safetensors into one of PyTorch's files."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    if shards == 1:
        write_pytorch(folder / "pytorch_model.bin", tensors)
        return
    weight_map = {}
    for shard in range(shards):
        name = f"pytorch_model-{shard + 1:05}-of-{shards:05}.bin"
        part = dict(list(tensors.items())[shard::shards])
        write_pytorch(folder / name, part)
        weight_map |= dict.fromkeys(part, name)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_are_those_that_were_written(tmp_path, dtype):
    array = np.arange(12).reshape(3, 4).astype(dtype)
    write_pytorch(tmp_path / "a.bin", {"a": array, "none": np.empty((0, 2), "float32")})
    found = read_pytorch(tmp_path / "a.bin")
    assert list(found) == ["a", "none"]
    assert (found["a"].shape, found["a"].dtype) == ((3, 4), np.dtype(dtype).name)
    np.testing.assert_array_equal(found["a"].read(), array)
    assert found["none"].read().shape == (0, 2)


def test_strides_and_offsets(tmp_path):
    """A tensor may be a transposed part of a larger storage."""
    array = np.arange(12, dtype="float32").reshape(3, 4)

    def part(arguments):
        storage, _, _, _, *rest = arguments
        return (storage, 1, (2, 3), (1, 4), *rest)

    write_archive(tmp_path / "a.bin", pickled({"a": array}, part), [array])
    np.testing.assert_array_equal(read_pytorch(tmp_path / "a.bin")["a"].read(), array[:, 1:3].T)


def test_files_are_mapped_and_never_written(tmp_path):
    write_pytorch(tmp_path / "a.bin", {"a": np.ones((2, 2), "float32")})
    array = read_pytorch(tmp_path / "a.bin")["a"].read()
    base = array
    while base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert base is not None
    assert not array.flags.writeable


@pytest.mark.parametrize("layout", IN_TRANSFORMERS)
@pytest.mark.parametrize("shards", [1, 3])
def test_every_layout(tmp_path, layout, shards):
    backbone = build(layout)
    backbone.export_to_transformers(tmp_path / "falcon")
    in_pytorch(tmp_path / "falcon", shards)
    again = Backbone.from_preset(tmp_path / "falcon")
    for ours, theirs in zip(again.get_weights(), backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_safetensors_come_first(tmp_path):
    """Where a checkpoint has both, the file that needs no trust is read."""
    build("rw").export_to_transformers(tmp_path / "falcon")
    (tmp_path / "falcon" / "pytorch_model.bin").write_bytes(b"not looked at")
    Backbone.from_preset(tmp_path / "falcon")


def test_tensors_in_two_shards_are_refused(tmp_path):
    write_pytorch(tmp_path / "1.bin", {"a": np.ones(1)})
    write_pytorch(tmp_path / "2.bin", {"a": np.ones(1)})
    index = {"weight_map": {"a": "1.bin", "b": "2.bin"}}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"another shard has too: a"), open_pytorch(tmp_path):
        pass

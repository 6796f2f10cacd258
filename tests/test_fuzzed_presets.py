"""The readers of files, fuzzed: they read, or refuse in words."""

import contextlib
import json

from falcon_edu.presets import describe_preset
from falcon_edu.presets.pytorch_files import read_pytorch
from falcon_edu.presets.safetensors_files import open_safetensors
from falcon_edu.text.tokenizer import FalconTokenizer
from tests.pytorch_writer import pickled, write_archive
from tests.small_tokenizers import make
from tests.spoiling import (
    BIN,
    INDEX,
    ST,
    with_header,
)

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file


@pytest.fixture(scope="module")
def whole(good_presets, tmp_path_factory):
    small = tmp_path_factory.mktemp("small") / ST
    save_file({"a": np.ones((2, 3), "float32"), "b": np.ones(4, "float16")}, small)
    return {
        "bin": (good_presets / "pytorch" / BIN).read_bytes(),
        "safetensors": small.read_bytes(),
        "folder": tmp_path_factory.mktemp("fuzz"),
    }


MUTATIONS = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=0, max_size=8)),
    min_size=1,
    max_size=4,
)


def mutated(data, mutations):
    """Bytes at some places are replaced; where nothing replaces them, the rest is cut off."""
    data = bytearray(data)
    for place, new in mutations:
        at = int(place * len(data))
        if new:
            data[at : at + len(new)] = new
        else:
            del data[at:]
    return bytes(data)


def read_or_refuse(path, read):
    """Reads all that is in a file, or is told its name."""
    try:
        read()
    except ValueError as error:
        if path.name not in str(error):
            raise AssertionError("the error does not name the file") from error


def read_all(tensors):
    for tensor in tensors.values():
        if tensor.dtype.islower():  # a type that NumPy knows
            tensor.read()


@settings(max_examples=150, deadline=None)
@given(MUTATIONS)
def test_fuzzed_archives(whole, mutations):
    path = whole["folder"] / "a.bin"
    path.write_bytes(mutated(whole["bin"], mutations))
    read_or_refuse(path, lambda: read_all(read_pytorch(path)))


@settings(max_examples=150, deadline=None)
@given(MUTATIONS)
def test_fuzzed_pickles(whole, mutations):
    path = whole["folder"] / "b.bin"
    array = np.ones((2, 3), "float32")
    write_archive(path, mutated(pickled({"a": array, "b": array}), mutations), [array, array])
    read_or_refuse(path, lambda: read_all(read_pytorch(path)))


@settings(max_examples=100, deadline=None)
@given(MUTATIONS)
def test_fuzzed_safetensors(whole, mutations):
    folder = whole["folder"]
    (folder / ST).write_bytes(mutated(whole["safetensors"], mutations))

    def read():
        with open_safetensors(folder) as tensors:
            read_all(tensors)

    read_or_refuse(folder / ST, read)


NUMBERS = st.integers(-4, 40) | st.integers() | st.floats() | st.none() | st.text(max_size=2)
ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "BF16", "I64", "F8_E4M3", "x"]),
        "shape": st.lists(NUMBERS, max_size=3),
        "data_offsets": st.lists(NUMBERS, max_size=3),
    }
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(max_size=3), ENTRIES | NUMBERS, max_size=3), st.binary(max_size=40))
def test_fuzzed_headers(whole, header, body):
    """Offsets, shapes and types of all sorts, in a header that is whole."""
    folder = whole["folder"] / "header"
    folder.mkdir(exist_ok=True)
    with_header(header, body)(folder)

    def read():
        with open_safetensors(folder) as tensors:
            read_all(tensors)

    read_or_refuse(folder / ST, read)


FIELDS = st.sampled_from(
    "num_attention_heads n_head hidden_size vocab_size num_hidden_layers n_layer ffn_hidden_size "
    "bias alibi multi_query parallel_attn new_decoder_architecture num_kv_heads n_head_kv "
    "rope_parameters rope_theta rope_scaling layer_norm_epsilon tie_word_embeddings".split()
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FIELDS, inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(FIELDS, VALUES, max_size=8))
def test_fuzzed_configs(whole, fields):
    good = {"num_attention_heads": 2, "hidden_size": 8, "vocab_size": 9, "num_hidden_layers": 1}
    folder = whole["folder"] / "config"
    folder.mkdir(exist_ok=True)
    path = folder / "config.json"
    path.write_text(json.dumps({"model_type": "falcon", **good, **fields}))
    read_or_refuse(path, lambda: describe_preset(folder))


PIECES = st.sampled_from(
    "added_tokens normalizer pre_tokenizer decoder post_processor truncation padding version "
    "model".split()
)
PARTS = st.sampled_from(
    "type vocab merges dropout unk_token fuse_unk byte_fallback ignore_merges content id special "
    "continuing_subword_prefix end_of_word_suffix pattern Regex pretokenizers".split()
)
FILES = st.dictionaries(st.text(max_size=3), st.text(max_size=6) | st.integers(), max_size=3)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["BPE", "a", "ab"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PARTS, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(PIECES, ANYTHING, max_size=2), st.dictionaries(PARTS, ANYTHING, max_size=2))
def test_fuzzed_tokenizers(whole, pieces, parts):
    """A definition is refused in words, or makes a tokenizer that can be used."""
    definition = make().definition
    definition = {**definition, "model": {**definition["model"], **parts}, **pieces}
    path = whole["folder"] / "tokenizer.json"
    path.write_text(json.dumps(definition))
    read_or_refuse(path, lambda: FalconTokenizer.from_preset(path.parent)("a b"))


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(["weight_map", "metadata"]), ANYTHING | FILES))
def test_fuzzed_indexes(whole, index):
    folder = whole["folder"] / "index"
    folder.mkdir(exist_ok=True)
    (folder / INDEX).write_text(json.dumps(index))

    def read():
        with contextlib.suppress(FileNotFoundError), open_safetensors(folder):
            pass

    read_or_refuse(folder, read)

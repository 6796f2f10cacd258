"""Presets on disk: every layout comes back from every format, whole or not at all, or says why."""

import functools
import json
import os
import re
import shutil
import sys
import time
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

from falcon_edu import Backbone, FalconBackbone, FalconCausalLM, FalconTokenizer
from falcon_edu.model.config import FalconConfig
from falcon_edu.presets import (
    builtin_presets,
    export_to_transformers,
    export_tokenizer,
    handles,
    keras_hub,
    progress,
    registry,
    replacement,
    save_causal_lm,
    transformers,
)
from falcon_edu.presets.safetensors_files import write_safetensors
from falcon_edu.presets.transformers_config import from_transformers, to_transformers
from falcon_edu.presets.weights import Tensor, find_weight, weight_shapes
from falcon_edu.text.preprocessor import FalconCausalLMPreprocessor
from tests.layouts import LAYOUTS, build, inputs
from tests.small_tokenizers import END, TALE, make

import h5py
import keras
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

SHARDED = 20_000 / 1024**3  # gigabytes: several files for the tiny models
IN_TRANSFORMERS = [name for name in LAYOUTS if name != "grouped_alibi_sequential"]


built = functools.cache(build)  # for tests that only read


@pytest.fixture
def rw():
    return built("rw")


@pytest.fixture
def in_keras_hub(rw, tmp_path):
    rw.save_to_preset(tmp_path / "keras_hub")
    return tmp_path / "keras_hub"


@pytest.fixture
def in_transformers(rw, tmp_path):
    rw.export_to_transformers(tmp_path / "transformers")
    return tmp_path / "transformers"


def edit_json(path, **changes):
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not Ellipsis}))


def same(a, b):
    return a.config == b.config and same_weights(a, b)


def same_weights(a, b):
    return all(map(np.array_equal, a.get_weights(), b.get_weights()))


def snapshot(folder):
    """Everything below a folder: names and contents."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in Path(folder).rglob("*")
    }


# === Round trips ===


@pytest.mark.parametrize("layout", LAYOUTS)
def test_table_of_weights_is_the_backbones(layout):
    backbone = built(layout)
    shapes = weight_shapes(backbone.config)
    found = [find_weight(backbone, path) for path in shapes]
    assert {id(weight) for weight in found} == {id(weight) for weight in backbone.weights}
    assert [tuple(weight.shape) for weight in found] == list(shapes.values())
    for table in (
        keras_hub.weight_table(backbone.config),
        transformers.weight_table(backbone.config),
    ):
        assert sorted(path for entry in table for path in entry.weights) == sorted(shapes)
        assert len({entry.name for entry in table}) == len(table)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_round_trip_in_keras_hub_format(tmp_path, layout):
    backbone = built(layout)
    for folder, max_shard_size in (("single", 10), ("sharded", SHARDED)):
        backbone.save_to_preset(tmp_path / folder, max_shard_size=max_shard_size)
        again = Backbone.from_preset(tmp_path / folder)
        assert same(again, backbone)
        assert again.name == backbone.name
    assert not list((tmp_path / "single").glob("model_*"))
    assert not (tmp_path / "sharded/model.weights.h5").exists()
    assert len(list((tmp_path / "sharded").glob("model_*.weights.h5"))) > 2


@pytest.mark.parametrize("layout", IN_TRANSFORMERS)
def test_round_trip_in_transformers_format(tmp_path, layout):
    backbone = built(layout)
    alibi_dtype = "bfloat16" if backbone.position_encoding == "alibi" else None
    for folder, max_shard_size in (("single", 5), ("sharded", SHARDED)):
        export_to_transformers(backbone, tmp_path / folder, max_shard_size=max_shard_size)
        again = Backbone.from_preset(tmp_path / folder)
        assert again.config == replace(backbone.config, alibi_dtype=alibi_dtype)
        assert same_weights(again, backbone)
    assert not list((tmp_path / "single").glob("model-*"))
    assert not (tmp_path / "sharded/model.safetensors").exists()
    assert len(list((tmp_path / "sharded").glob("model-*-of-*.safetensors"))) > 2


def test_numbers_travel_too(tmp_path):
    numbers = {
        "layer_norm_epsilon": 1e-6,
        "attention_dropout_rate": 0.1,
        "feedforward_dropout_rate": 0.2,
    }
    backbone, x = build("7b", rope_max_wavelength=777, **numbers), inputs("right")
    backbone.save_to_preset(tmp_path / "keras_hub", max_shard_size=None)
    backbone.export_to_transformers(tmp_path / "transformers")
    for folder in ("keras_hub", "transformers"):
        again = Backbone.from_preset(tmp_path / folder)
        assert same(again, backbone)
        assert np.array_equal(again(x), backbone(x))


def test_transformers_lacks_one_layout(tmp_path):
    with pytest.raises(ValueError, match=r"`num_key_value_heads` must be 1 or 6. Received: 3"):
        built("grouped_alibi_sequential").export_to_transformers(tmp_path / "preset")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("save", ["save_to_preset", "export_to_transformers"])
def test_round_trip_in_half_precision(tmp_path, dtype, save):
    backbone = build("rw", dtype=dtype, alibi_dtype="bfloat16")
    getattr(backbone, save)(tmp_path / "preset")
    assert same(FalconBackbone.from_preset(tmp_path / "preset", dtype=dtype), backbone)
    wide = FalconBackbone.from_preset(tmp_path / "preset")
    assert {weight.dtype for weight in wide.weights} == {"float32"}
    assert np.array_equal(wide.get_weights()[3], np.asarray(backbone.get_weights()[3], "float32"))


@pytest.mark.parametrize(
    ("layout", "rows"),
    [
        ("rw", "q0 k0 v0 q1 k1 v1 q2 k2 v2 q3 k3 v3"),
        ("7b", "q0 q1 q2 q3 q4 q5 k0 v0"),
        ("40b", "q0 q1 q2 k0 v0 q3 q4 q5 k1 v1"),
    ],
)
def test_rows_of_the_fused_tensor(layout, rows):
    """The order is that of design, section 3, spelled out head by head."""
    backbone = built(layout)
    table = {entry.name: entry for entry in transformers.weight_table(backbone.config)}
    attention = backbone.transformer_layers[1].attention_layer
    kernels = {"q": attention.query_dense, "k": attention.key_dense, "v": attention.value_dense}
    expected = [np.asarray(kernels[row[0]].kernel)[:, int(row[1])].T for row in rows.split()]
    entry = table["transformer.h.1.self_attention.query_key_value.weight"]
    values = [np.asarray(find_weight(backbone, path)) for path in entry.weights]
    assert np.array_equal(entry.join(values), np.concatenate(expected))
    assert entry.shape == entry.join(values).shape


def test_config_of_keras_hub_only_where_it_can_read_it(tmp_path):
    for layout, package in (("rw", "keras_hub"), ("7b", "falcon_edu")):
        built(layout).save_to_preset(tmp_path / layout)
        config = json.loads((tmp_path / layout / "config.json").read_text())
        assert config["registered_name"] == f"{package}>FalconBackbone"
    assert not config["config"].keys() & {"alibi_dtype", "num_parallel_layer_norms"}
    build("rw", alibi_dtype="bfloat16").save_to_preset(tmp_path / "rw")
    config = json.loads((tmp_path / "rw/config.json").read_text())
    assert config["registered_name"] == "keras_hub>FalconBackbone"
    assert "alibi_dtype" not in config["config"]
    assert FalconBackbone.from_preset(tmp_path / "rw").alibi_dtype == "bfloat16"
    metadata = json.loads((tmp_path / "rw/metadata.json").read_text())
    assert metadata["parameter_count"] == built("rw").config.num_parameters


def test_lora_is_merged_into_what_is_saved(tmp_path):
    backbone = build("rw")
    plain = np.asarray(backbone.transformer_layers[0].attention_layer.query_dense.kernel)
    backbone.enable_lora(2)
    for weight in backbone.trainable_weights:
        weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    backbone.save_to_preset(tmp_path / "keras_hub")
    backbone.export_to_transformers(tmp_path / "transformers")
    x = inputs("right")
    for name in ("keras_hub", "transformers"):
        again = FalconBackbone.from_preset(tmp_path / name, alibi_dtype=None)
        kernel = again.transformer_layers[0].attention_layer.query_dense.kernel
        assert not np.allclose(kernel, plain)
        assert np.allclose(again(x), backbone(x), atol=1e-4)
        assert len(again.trainable_weights) == len(again.weights)


def test_state_of_training_is_no_part_of_the_weights(tmp_path):
    backbone = build("rw", feedforward_dropout_rate=0.1)
    backbone.compile("adam", "mse")
    x = inputs("right")
    backbone.fit(x, np.zeros((2, 7, 48)), verbose=0)
    backbone.save_to_preset(tmp_path / "preset")
    assert same(FalconBackbone.from_preset(tmp_path / "preset"), backbone)


# === Overrides and classes ===


@pytest.mark.parametrize("folder", ["in_keras_hub", "in_transformers"])
def test_overrides(rw, folder, request):
    folder = request.getfixturevalue(folder)
    overrides = {"dtype": "bfloat16", "name": "mine", "attention_dropout_rate": 0.25}
    backbone = FalconBackbone.from_preset(folder, trainable=False, **overrides)
    assert backbone.dtype_policy.name == "bfloat16"
    assert backbone.name == "mine"
    assert backbone.attention_dropout_rate == 0.25
    assert backbone.trainable_weights == []
    assert same(FalconBackbone.from_preset(folder, alibi_dtype=None), rw)
    policy = keras.DTypePolicy("mixed_bfloat16")
    assert FalconBackbone.from_preset(folder, dtype=policy).dtype_policy == policy
    with pytest.raises(
        ValueError, match=r"no argument heads for the backbone. It takes alibi_dtype"
    ):
        FalconBackbone.from_preset(folder, heads=3)
    with pytest.raises(ValueError, match=r"config.json can't be: `attention_dropout_rate`"):
        FalconBackbone.from_preset(folder, attention_dropout_rate=2)


@pytest.mark.parametrize("folder", ["in_keras_hub", "in_transformers"])
def test_a_preset_without_weights_loads_if_none_are_asked_for(rw, folder, request):
    folder = request.getfixturevalue(folder)
    for path in [*folder.glob("*.h5"), *folder.glob("*.safetensors")]:
        path.unlink()
    backbone = Backbone.from_preset(folder, load_weights=False, alibi_dtype=None)
    assert backbone.config == rw.config
    assert not same(backbone, rw)
    with pytest.raises(FileNotFoundError, match=r"has no weights: neither model"):
        Backbone.from_preset(folder)


def test_classes(in_keras_hub, in_transformers, monkeypatch):
    monkeypatch.setattr(Backbone, "registry", dict(Backbone.registry))

    class OtherFalcon(FalconBackbone):
        pass

    assert type(Backbone.from_preset(in_keras_hub)) is FalconBackbone
    with pytest.raises(ValueError, match=r"holds a FalconBackbone, not a OtherFalcon"):
        OtherFalcon.from_preset(in_keras_hub)
    assert type(OtherFalcon.from_preset(in_transformers)) is OtherFalcon
    edit_json(in_keras_hub / "config.json", registered_name="falcon_edu>OtherFalcon")
    assert type(Backbone.from_preset(in_keras_hub)) is OtherFalcon
    edit_json(in_keras_hub / "config.json", registered_name="keras_nlp>FalconBackbone")
    assert type(Backbone.from_preset(in_keras_hub)) is FalconBackbone


@pytest.mark.parametrize(
    "name", ["keras_hub>GemmaBackbone", "keras>Lambda", "Lambda", "builtins>eval", 7, "__class__"]
)
def test_no_class_is_looked_up_by_a_name_from_the_file(in_keras_hub, name):
    edit_json(in_keras_hub / "config.json", registered_name=name, class_name=name)
    with pytest.raises(ValueError, match=r"falcon_edu can't load. It knows FalconBackbone"):
        Backbone.from_preset(in_keras_hub)


# === Configurations ===

FALCON_7B = {
    "model_type": "falcon",
    "vocab_size": 65024,
    "hidden_size": 4544,
    "num_hidden_layers": 32,
    "num_attention_heads": 71,
    "num_kv_heads": 71,
    "alibi": False,
    "bias": False,
    "multi_query": True,
    "parallel_attn": True,
    "new_decoder_architecture": False,
    "rope_theta": 10000.0,
}
OLD_40B = {  # as TII published it, with code of its own
    "model_type": "RefinedWeb",
    "architectures": ["RWForCausalLM"],
    "apply_residual_connection_post_layernorm": False,
    "alibi": False,
    "bias": False,
    "hidden_size": 8192,
    "n_head": 128,
    "n_head_kv": 8,
    "n_layer": 60,
    "vocab_size": 65024,
}
PARALLEL_ROPE = {"position_encoding": "rope", "use_bias": False, "parallel_attention": True}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (FALCON_7B, {**PARALLEL_ROPE, "num_key_value_heads": 1}),
        ({**FALCON_7B, "model_type": "RefinedWebModel"}, {"num_key_value_heads": 1}),
        (
            {
                "model_type": "RefinedWebModel",
                "vocab_size": 50304,
                "hidden_size": 2048,
                "n_layer": 24,
                "n_head": 32,
                "alibi": True,
                "bias": True,
            },
            {
                "num_layers": 24,
                "intermediate_dim": 8192,
                "num_key_value_heads": None,
                "parallel_attention": False,
                "use_bias": True,
                "position_encoding": "alibi",
                "alibi_dtype": "bfloat16",
            },
        ),
        (
            OLD_40B,
            {
                **PARALLEL_ROPE,
                "num_layers": 60,
                "num_attention_heads": 128,
                "num_key_value_heads": 8,
                "num_parallel_layer_norms": 2,
            },
        ),
        (
            {
                **OLD_40B,
                "num_ln_in_parallel_attn": 1,
                "ffn_hidden_size": 16384,
                "rope_theta": 500042.0,
            },
            {
                "num_parallel_layer_norms": 1,
                "intermediate_dim": 16384,
                "rope_max_wavelength": 500042,
            },
        ),
        (
            {**FALCON_7B, "rope_parameters": {"rope_type": "default", "rope_theta": 123.0}},
            {"rope_max_wavelength": 123},
        ),
        (
            {**FALCON_7B, "multi_query": False, "tie_word_embeddings": False},
            {"num_key_value_heads": None, "tie_word_embeddings": False},
        ),
        (  # what transformers leaves out is what it has by default
            {
                k: v
                for k, v in FALCON_7B.items()
                if k not in ("multi_query", "parallel_attn", "bias")
            },
            {**PARALLEL_ROPE, "num_key_value_heads": 1},
        ),
    ],
)
def test_dialects_of_transformers(config, expected):
    arguments = from_transformers(config, "config.json")
    assert {name: arguments[name] for name in expected} == expected
    FalconConfig(**arguments)


@pytest.mark.parametrize("layout", IN_TRANSFORMERS)
def test_config_to_transformers_and_back(layout):
    config = built(layout).config
    again = FalconConfig(**from_transformers(to_transformers(config), "config.json"))
    assert asdict(replace(again, alibi_dtype=None)) == asdict(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "llama"}, "Falcon3 is a Llama"),
        ({"model_type": "falcon_h1"}, "Falcon-H1 mixes"),
        ({"model_type": "falcon_mamba"}, "FalconMamba is a state-space"),
        ({"model_type": "gpt2"}, "of a 'gpt2', which is another architecture"),
        ({"vocab_size": ...}, "`vocab_size` is missing in"),
        ({"hidden_size": ...}, "`hidden_size` is missing in"),
        ({"num_hidden_layers": None}, "`num_hidden_layers` is missing in"),
        ({"num_attention_heads": ...}, "`num_attention_heads` is missing in"),
        ({"activation": "relu"}, "`activation` in"),
        ({"apply_residual_connection_post_layernorm": True}, "`apply_residual_connection"),
        ({"quantization_config": {"bits": 4}}, "`quantization_config` in"),
        ({"rope_scaling": {"type": "linear", "factor": 2}}, "`rope_scaling` in"),
        ({"alibi": False, "rope_parameters": {"rope_type": "yarn"}}, "of type 'default'"),
        ({"parallel_attn": True, "num_ln_in_parallel_attn": 2}, "`num_ln_in_parallel_attn` in"),
        ({"hidden_size": 50}, "must be a multiple of `num_attention_heads`"),
        ({"num_hidden_layers": "2"}, "`num_layers` must be a whole number"),
        (
            {"new_decoder_architecture": True, "num_kv_heads": 3},
            "multiple of `num_key_value_heads`",
        ),
        ({"model_type": ..., "architectures": ...}, "in no known format"),
    ],
)
def test_other_configs_of_transformers_are_refused(in_transformers, changes, message):
    edit_json(in_transformers / "config.json", **changes)
    with pytest.raises(ValueError, match=r"config.json") as caught:
        Backbone.from_preset(in_transformers)
    assert message in str(caught.value)


def test_broken_configs_of_keras_hub_are_refused(in_keras_hub):
    path = in_keras_hub / "config.json"
    good = json.loads(path.read_text())
    for config, message in (
        (
            {**good, "config": {**good["config"], "experts": 8, "gates": 1}},
            "fields: experts, gates",
        ),
        ({**good, "config": None}, "`config` in"),
        ({**good, "falcon_edu": {"num_layers": 3}}, "has unknown fields: num_layers"),
        ({**good, "config": {"vocabulary_size": 4}}, "missing 4 required positional arguments"),
        ({**good, "config": {**good["config"], "num_layers": 2.5}}, "`num_layers` must be a whole"),
    ):
        path.write_text(json.dumps(config))
        with pytest.raises(ValueError, match=r"config.json") as caught:
            Backbone.from_preset(in_keras_hub)
        assert message in str(caught.value)
    for text in ("{", "[]", '"x"', "[" * 100_000):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"config.json"):
            Backbone.from_preset(in_keras_hub)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"no config.json in"):
        Backbone.from_preset(in_keras_hub)


# === Weights: all or none ===


@pytest.fixture
def no_model_is_made(monkeypatch):
    @functools.wraps(FalconBackbone.__init__)  # whose arguments are looked at
    def refuse(*args, **kwargs):
        raise AssertionError("a model was made before the file was checked")

    monkeypatch.setattr(FalconBackbone, "__init__", refuse)


def test_everything_wrong_is_said_at_once_in_transformers_format(in_transformers, no_model_is_made):
    path = in_transformers / "model.safetensors"
    tensors = load_file(path)
    block = "transformer.h.1"
    del tensors[f"{block}.mlp.dense_4h_to_h.weight"], tensors["transformer.ln_f.bias"]
    tensors["transformer.h.2.input_layernorm.weight"] = np.zeros(48, "float32")
    tensors["gate.weight"] = np.zeros(48, "float32")
    dense = f"{block}.mlp.dense_h_to_4h.weight"
    tensors[dense] = tensors[dense].T.copy()
    tensors[f"{block}.self_attention.dense.bias"] = np.zeros(48, "int8")
    save_file(tensors, path)
    with pytest.raises(
        ValueError, match=r"do not fit the configuration, nothing was loaded"
    ) as caught:
        Backbone.from_preset(in_transformers)
    assert str(caught.value).partition("loaded. ")[2] == (
        f"missing: {block}.mlp.dense_4h_to_h.weight, transformer.ln_f.bias; "
        "unexpected: gate.weight, transformer.h.2.input_layernorm.weight; "
        f"of another shape: {dense} is (48, 80), not (80, 48); "
        f"no floating-point numbers: {block}.self_attention.dense.bias is I8"
    )


def test_everything_wrong_is_said_at_once_in_keras_hub_format(in_keras_hub, no_model_is_made):
    block = "layers/falcon_transformer_decoder_1"
    with h5py.File(in_keras_hub / "model.weights.h5", "a") as file:
        del file[f"{block}/dense_4h_to_h/vars/0"], file["layers/layer_normalization/vars/1"]
        file[f"{block}/gate/vars/0"] = np.zeros(3, "float32")
        for name, value in (
            ("dense_h_to_4h/vars/0", np.zeros((80, 48), "float32")),
            ("attention_layer/query_dense/vars/1", np.zeros((4, 12), "int32")),
        ):
            del file[f"{block}/{name}"]
            file[f"{block}/{name}"] = value
    with pytest.raises(ValueError, match=r"nothing was loaded") as caught:
        Backbone.from_preset(in_keras_hub)
    for part in (
        f"missing: {block}/dense_4h_to_h/vars/0, layers/layer_normalization/vars/1; ",
        f"unexpected: {block}/gate/vars/0; ",
        f"{block}/dense_h_to_4h/vars/0 is (80, 48), not (48, 80); ",
        f"{block}/attention_layer/query_dense/vars/1 is int32",
    ):
        assert part in str(caught.value)


def test_buffers_and_copies_of_old_checkpoints_are_ignored(rw, in_transformers):
    path = in_transformers / "model.safetensors"
    tensors = load_file(path)
    tensors["transformer.h.0.self_attention.rotary_emb.inv_freq"] = np.zeros(6, "float32")
    tensors["transformer.h.0.self_attention.maybe_rotary.inv_freq"] = np.zeros(6, "float32")
    tensors["transformer.h.0.self_attention.masked_bias"] = np.zeros(1, "float32")
    tensors["lm_head.weight"] = tensors["transformer.word_embeddings.weight"]
    save_file(tensors, path)
    assert same(Backbone.from_preset(in_transformers, alibi_dtype=None), rw)
    edit_json(in_transformers / "config.json", tie_word_embeddings=False)
    untied = Backbone.from_preset(in_transformers)
    head = untied.token_embedding.reverse_embeddings
    assert np.array_equal(head, np.transpose(untied.token_embedding.embeddings))


def test_names_without_their_prefix(tmp_path):
    """As transformers' `FalconModel` saves them; the head of a causal LM never has a prefix."""
    untied = built("falcon2_11b")
    untied.export_to_transformers(tmp_path / "preset")
    path = tmp_path / "preset/model.safetensors"
    save_file({name.removeprefix("transformer."): x for name, x in load_file(path).items()}, path)
    assert same(Backbone.from_preset(tmp_path / "preset"), untied)


def soft_link(file):
    file["layers/x"] = h5py.SoftLink("/layers")


def external_link(file):
    file["layers/x"] = h5py.ExternalLink("/etc/passwd", "/")


def virtual_dataset(file):
    layout = h5py.VirtualLayout((3,), "float32")
    layout[:] = h5py.VirtualSource("other.h5", "x", (3,))
    file["layers"].create_virtual_dataset("x", layout)


def external_dataset(file):
    file["layers"].create_dataset("x", (3,), "float32", external=[("/etc/passwd", 0, 12)])


def loop(file):
    file["layers/x"] = file["layers"]


def named_type(file):
    file["layers/x"] = np.dtype("float32")


@pytest.mark.parametrize(
    "spoil", [soft_link, external_link, virtual_dataset, external_dataset, loop, named_type]
)
def test_h5_files_that_lead_elsewhere_are_refused(in_keras_hub, spoil):
    with h5py.File(in_keras_hub / "model.weights.h5", "a") as file:
        spoil(file)
    with pytest.raises(ValueError, match=r"model.weights.h5 is refused: "):
        Backbone.from_preset(in_keras_hub)


@pytest.mark.parametrize(
    ("folder", "name"),
    [("in_keras_hub", "model.weights.h5"), ("in_transformers", "model.safetensors")],
)
def test_files_that_break_off(folder, name, request):
    path = request.getfixturevalue(folder) / name
    content = path.read_bytes()
    for size in (0, 4, 100, len(content) // 2):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=f"{name} is no whole"):
            Backbone.from_preset(path.parent)


@pytest.mark.parametrize("file_format", ["keras_hub", "transformers"])
def test_shards(rw, tmp_path, file_format):
    folder = tmp_path / "preset"
    if file_format == "keras_hub":
        rw.save_to_preset(folder, max_shard_size=SHARDED)
        index, shards = folder / "model.weights.json", sorted(folder.glob("model_*.h5"))
    else:
        export_to_transformers(rw, folder, max_shard_size=SHARDED)
        index, shards = folder / "model.safetensors.index.json", sorted(folder.glob("model-*"))
    weight_map = json.loads(index.read_text())["weight_map"]
    shutil.copy(shards[0], tmp_path / "outside")
    link = folder / "link"
    link.symlink_to(tmp_path / "outside")
    for outside in ("../outside", str(tmp_path / "outside"), "link"):
        edit_json(index, weight_map={**weight_map, "x": outside})
        with pytest.raises(ValueError, match=r"leads out of the preset"):
            Backbone.from_preset(folder)
    for broken in (None, {}, [], {"x": 7}, {"x": [None]}):
        edit_json(index, weight_map=broken)
        with pytest.raises(ValueError, match=r"`weight_map` in"):
            Backbone.from_preset(folder)
    edit_json(index, weight_map={**weight_map, "x": "gone.h5"})
    with pytest.raises(FileNotFoundError, match=r"lacks shards that .* names: gone.h5"):
        Backbone.from_preset(folder)
    shutil.copy(shards[0], folder / "twice")
    edit_json(index, weight_map={**weight_map, "x": "twice"})
    with pytest.raises(ValueError, match=r"another shard has too"):
        Backbone.from_preset(folder)
    edit_json(index, weight_map=weight_map)
    assert same(Backbone.from_preset(folder, alibi_dtype=None), rw)


def test_safetensors_are_those_of_the_library(tmp_path):
    random = np.random.default_rng(0)
    arrays = {
        "a": random.normal(size=(3, 5)).astype("float32"),
        "b.c": random.normal(size=(7,)).astype("float16"),
        "é": random.normal(size=(2, 2)).astype("bfloat16"),
        "empty": np.zeros((0, 4), "float64"),
        "turned": random.normal(size=(4, 3)).astype("float32").T,
    }
    tensors = {
        name: Tensor(array.shape, array.dtype.name, lambda array=array: array)
        for name, array in arrays.items()
    }
    write_safetensors(tmp_path, tensors)
    with safe_open(tmp_path / "model.safetensors", "numpy") as file:
        assert file.metadata() == {"format": "pt"}
        assert sorted(file.keys()) == sorted(arrays)
        for name, array in arrays.items():
            assert file.get_tensor(name).dtype == array.dtype
            assert np.array_equal(file.get_tensor(name), array)
    length = int.from_bytes((tmp_path / "model.safetensors").read_bytes()[:8], "little")
    assert length % 8 == 0


@pytest.mark.parametrize("max_shard_size", [5, 1e-5])
def test_a_bar_shows_how_far_saving_and_loading_are(tmp_path, monkeypatch, capsys, max_shard_size):
    monkeypatch.setattr(progress, "QUICK", 0)
    monkeypatch.setattr(progress, "PATIENCE", 0)
    backbone = build()
    export_to_transformers(backbone, tmp_path / "falcon", max_shard_size=max_shard_size)
    assert re.search(r"Saving: 100%.*\b(\d+\.?\d*k)/\1 ", capsys.readouterr().err)
    FalconBackbone.from_preset(tmp_path / "falcon")
    assert re.search(r"Loading: 100%.*\b(\d+\.?\d*k)/\1 ", capsys.readouterr().err)


@pytest.mark.parametrize("max_shard_size", [10, SHARDED])
def test_a_bar_shows_how_far_keras_is(tmp_path, monkeypatch, capsys, max_shard_size):
    monkeypatch.setattr(progress, "QUICK", 0)
    monkeypatch.setattr(progress, "PATIENCE", 0)
    build().save_to_preset(tmp_path / "falcon", max_shard_size=max_shard_size)
    assert re.search(r"Saving: 100%.*\b(\d+\.?\d*k)/\1 ", capsys.readouterr().err)


def test_the_bar_follows_what_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "QUICK", 0)
    monkeypatch.setattr(progress, "PATIENCE", 0)
    (tmp_path / "there before").write_bytes(bytes(100))
    shown = ""
    with progress.bar_of_growth(tmp_path, 200, "Saving"):
        for name, size, percent in (("a", 50, "25%"), ("b", 100, "75%"), ("c", 90, "100%")):
            (tmp_path / name).write_bytes(bytes(size))
            deadline = time.monotonic() + 30
            while percent not in shown and time.monotonic() < deadline:
                time.sleep(0.05)
                shown += capsys.readouterr().err
            assert percent in shown


def test_small_models_need_no_bar(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "PATIENCE", 0)
    build().export_to_transformers(tmp_path / "falcon")
    build().save_to_preset(tmp_path / "keras")
    FalconBackbone.from_preset(tmp_path / "falcon")
    assert "%" not in capsys.readouterr().err


# === Atomic saving ===


def fail(*args, **kwargs):
    raise OSError(28, "No space left on device")


FAULTS = {
    "the first file": (keras_hub, "write_json"),
    "the weights": (FalconBackbone, "save_weights"),
    "reaching the disk": (replacement, "sync"),
    "keeping the rights": (replacement, "keep_rights"),
    "taking its place": (os, "rename"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("existing", ["nothing", "a folder", "a folder that stays"])
def test_a_failed_save_leaves_what_was_there(tmp_path, monkeypatch, fault, existing):
    target = tmp_path / "shelf/preset"
    if existing == "a folder that stays" or fault == "taking its place":
        monkeypatch.setattr(replacement, "_exchange_names", lambda *_: False)
    if existing != "nothing":
        built("rw").save_to_preset(target)
        make().save_to_preset(target)
        (target / "README.md").write_text("Read me.")
    elif fault == "keeping the rights":
        pytest.skip("there are none to keep")
    before = snapshot(tmp_path)
    monkeypatch.setattr(*FAULTS[fault], fail)
    with pytest.raises(OSError, match=r"No space left"):
        built("7b").save_to_preset(target)
    assert snapshot(tmp_path) == before


@pytest.mark.skipif(not sys.platform.startswith(("linux", "darwin")), reason="no exchange")
def test_folders_change_places_in_one_step(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / name).mkdir(parents=True)
    assert replacement._exchange_names(tmp_path / "a", tmp_path / "b")
    assert snapshot(tmp_path) == {"a": None, "a/b": None, "b": None, "b/a": None}


def test_files_are_no_targets(rw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("text")
    with pytest.raises(ValueError, match=r"needs a folder, but .* is a file"):
        rw.save_to_preset(tmp_path / "file")
    with pytest.raises(OSError, match=r"file"):
        rw.save_to_preset(tmp_path / "file/preset")
    assert sorted(os.listdir(tmp_path)) == ["file"]
    rw.save_to_preset("new/folder")  # relative, and both are made
    assert same(FalconBackbone.from_preset("new/folder"), rw)


@pytest.mark.parametrize("target", [".", ".."])
def test_the_working_directory_stays_where_it_is(rw, tmp_path, monkeypatch, target):
    (tmp_path / "work/below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work/below")
    rw.save_to_preset(target)
    built("7b").save_to_preset(target)
    Path("written here").touch()
    folder = Path(target).resolve()
    assert Path.cwd() == tmp_path / "work/below"
    below = ["below", "below/written here"] if target == ".." else ["written here"]
    names = ["config.json", "metadata.json", "model.weights.h5"]
    assert sorted(snapshot(folder)) == sorted(names + below)
    assert same(FalconBackbone.from_preset(target), built("7b"))


def test_a_link_stays_a_link(rw, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    rw.save_to_preset(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert same(FalconBackbone.from_preset(tmp_path / "disk"), rw)


@pytest.mark.parametrize("in_one_step", [True, False])
def test_files_that_belong_to_nobody_stay_and_stale_ones_go(rw, tmp_path, monkeypatch, in_one_step):
    if not in_one_step:
        monkeypatch.setattr(replacement, "_exchange_names", lambda *_: False)
    target = tmp_path / "preset"
    rw.save_to_preset(target, max_shard_size=SHARDED)
    for name in (
        "README.md",
        "task.json",
        "epoch_1.weights.h5",
        "style.lora.h5",
        "notes/model.weights.h5",
    ):
        (target / name).parent.mkdir(exist_ok=True)
        (target / name).write_text(name)
    (target / "notes/link").symlink_to("../README.md")
    (target / "empty").mkdir()
    target.chmod(0o750)
    built("7b").save_to_preset(target)
    names = sorted(snapshot(target))
    assert names == [
        "README.md",
        "config.json",
        "empty",
        "epoch_1.weights.h5",
        "metadata.json",
        "model.weights.h5",
        "notes",
        "notes/link",
        "notes/model.weights.h5",
        "style.lora.h5",
    ]
    assert (target / "notes/link").read_text() == "README.md"
    assert target.stat().st_mode & 0o777 == 0o750
    assert same(Backbone.from_preset(target), built("7b"))
    rw.save_to_preset(target, max_shard_size=SHARDED)
    assert not (target / "model.weights.h5").exists()
    assert same(Backbone.from_preset(target), rw)


def test_a_model_of_the_other_format_is_not_overwritten(rw, in_keras_hub, in_transformers):
    tokenizer = make()
    preprocessor = FalconCausalLMPreprocessor(tokenizer)
    causal_lm = SimpleNamespace(backbone=rw, preprocessor=preprocessor)
    before = snapshot(in_transformers), snapshot(in_keras_hub)
    for save in (rw.save_to_preset, tokenizer.save_to_preset, preprocessor.save_to_preset):
        with pytest.raises(ValueError, match=r"in the format of transformers, which saving in"):
            save(in_transformers)
    with pytest.raises(ValueError, match=r"in the format of transformers, which saving in"):
        save_causal_lm(causal_lm, in_transformers)
    for export in (rw.export_to_transformers, tokenizer.export_to_transformers):
        with pytest.raises(ValueError, match=r"in the format of KerasHub, which saving in"):
            export(in_keras_hub)
    assert (snapshot(in_transformers), snapshot(in_keras_hub)) == before
    (in_keras_hub / "config.json").write_text("broken")
    rw.save_to_preset(in_keras_hub)
    assert same(FalconBackbone.from_preset(in_keras_hub), rw)


# === Tokenizers and preprocessors ===


@pytest.mark.parametrize("style", ["plain", "falcon"])
@pytest.mark.parametrize("backbone_first", [True, False])
def test_tokenizer_and_backbone_in_one_folder_in_either_order(rw, tmp_path, style, backbone_first):
    target, tokenizer = tmp_path / "preset", make(style, unsplittable_tokens=[END])
    parts = [rw, FalconCausalLMPreprocessor(tokenizer, 12, add_end_token=False)]
    for part in parts if backbone_first else reversed(parts):
        part.save_to_preset(target)
    assert same(Backbone.from_preset(target), rw)
    again = FalconTokenizer.from_preset(target)
    assert again.vocabulary == tokenizer.vocabulary
    assert again.merges == tokenizer.merges
    for text in (TALE, "1425", f"a{END}b"):
        assert again(text).tolist() == tokenizer(text).tolist()
    preprocessor = FalconCausalLMPreprocessor.from_preset(target)
    assert (preprocessor.sequence_length, preprocessor.add_end_token) == (12, False)
    assert FalconCausalLMPreprocessor.from_preset(target, sequence_length=7).sequence_length == 7
    # Only rules that vocabulary and merges can't tell need a file that KerasHub does not know.
    assert (target / "assets/tokenizer/tokenizer.json").exists() == (style == "falcon")
    make().save_to_preset(target)
    assert not (target / "assets/tokenizer/tokenizer.json").exists()
    assert FalconTokenizer.from_preset(target)("1425").tolist() == make()("1425").tolist()


def test_causal_lm_in_one_step(rw, tmp_path, monkeypatch):
    target, preprocessor = tmp_path / "preset", FalconCausalLMPreprocessor(make("falcon"))
    causal_lm = SimpleNamespace(
        backbone=rw, preprocessor=preprocessor, has_task_weights=lambda: False
    )
    save_causal_lm(causal_lm, target)
    before = snapshot(target)
    assert same(Backbone.from_preset(target), rw)
    assert (
        FalconTokenizer.from_preset(target)("1425").tolist()
        == preprocessor.tokenizer("1425").tolist()
    )
    monkeypatch.setattr(keras_hub, "write_json", fail)
    with pytest.raises(OSError, match=r"No space"):
        save_causal_lm(causal_lm, target)
    assert snapshot(target) == before


@pytest.mark.parametrize("style", ["plain", "falcon"])
def test_tokenizer_in_transformers_format(rw, tmp_path, style):
    tokenizer = make(style)
    export_to_transformers(rw, tmp_path / "both", tokenizer=tokenizer)
    rw.export_to_transformers(tmp_path / "after")
    export_tokenizer(tokenizer, tmp_path / "after")
    for name in ("both", "after"):
        again = FalconTokenizer.from_preset(tmp_path / name, sequence_length=30)
        assert again(TALE).tolist() == make(style, sequence_length=30)(TALE).tolist()
        assert same(Backbone.from_preset(tmp_path / name, alibi_dtype=None), rw)
        assert FalconCausalLMPreprocessor.from_preset(tmp_path / name).sequence_length == 1024
    generation = json.loads((tmp_path / "both/generation_config.json").read_text())
    assert generation["eos_token_id"] == tokenizer.end_token_id


def test_broken_tokenizers_of_presets(in_keras_hub):
    with pytest.raises(FileNotFoundError, match=r"no tokenizer.json in"):
        FalconTokenizer.from_preset(in_keras_hub)
    make().save_to_preset(in_keras_hub)
    with pytest.raises(ValueError, match=r"no argument merges for the tokenizer. It takes dtype"):
        FalconTokenizer.from_preset(in_keras_hub, merges=[])
    with pytest.raises(ValueError, match=r"no argument length for the preprocessor"):
        FalconCausalLMPreprocessor.from_preset(in_keras_hub, length=3)
    assets = in_keras_hub / "assets/tokenizer"
    (assets / "merges.txt").write_text("a b c\n")
    with pytest.raises(ValueError, match=r"'a b c'"):
        FalconTokenizer.from_preset(in_keras_hub)
    for path in assets.iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks vocabulary.json and merges.txt"):
        FalconTokenizer.from_preset(in_keras_hub)
    edit_json(in_keras_hub / "tokenizer.json", class_name="GemmaTokenizer")
    with pytest.raises(ValueError, match=r"tokenizer.json must hold .* FalconTokenizer. .*Gemma"):
        FalconTokenizer.from_preset(in_keras_hub)


# === Names of presets ===


def test_builtin_presets():
    presets = FalconBackbone.presets
    assert list(presets) == list(Backbone.presets) == list(builtin_presets())
    assert list(presets) == [
        "falcon_tales_rw_en",
        "falcon_tales_7b_en",
        "falcon_tales_40b_en",
        "falcon_refinedweb_1b_en",
    ]
    real = presets["falcon_refinedweb_1b_en"]
    assert real["kaggle_handle"] == "kaggle://keras/falcon/keras/falcon_refinedweb_1b_en/2"
    assert real["metadata"]["params"] == FalconConfig(50304, 24, 32, 2048, 8192).num_parameters
    assert all({"description", "path"} <= preset["metadata"].keys() for preset in presets.values())
    assert builtin_presets(["OtherBackbone"]) == {}
    real["metadata"]["params"] = 0  # a copy
    assert FalconBackbone.presets["falcon_refinedweb_1b_en"]["metadata"]["params"] == 1311625216


def test_shipped_presets_are_found_with_their_metadata(rw, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "DATA", tmp_path)
    rw.save_to_preset(tmp_path / "falcon_tales_rw_en")
    edit_json(tmp_path / "falcon_tales_rw_en/metadata.json", seed=7)
    assert same(Backbone.from_preset("falcon_tales_rw_en"), rw)
    metadata = FalconBackbone.presets["falcon_tales_rw_en"]["metadata"]
    assert metadata["seed"] == 7
    assert metadata["params"] == rw.config.num_parameters
    with pytest.raises(FileNotFoundError, match=r"'falcon_tales_7b_en' should ship"):
        Backbone.from_preset("falcon_tales_7b_en")


@pytest.mark.parametrize(
    ("preset", "error", "message"),
    [
        ("falcon_7b", FileNotFoundError, "There is no preset 'falcon_7b'"),
        ("./nowhere", FileNotFoundError, "There is no preset './nowhere'"),
        ("", ValueError, "must be a string or a path"),
        (None, ValueError, "must be a string or a path"),
        (7, ValueError, "must be a string or a path"),
        ("s3://bucket/falcon", ValueError, "unknown scheme"),
        ("kaggle://keras/falcon", ValueError, "must read kaggle://owner/model/framework"),
        ("hf://a/b/c/d", ValueError, "no handle of the Hugging Face Hub"),
        (__file__, ValueError, "is a file; a preset is a folder"),
    ],
)
def test_unknown_presets(preset, error, message):
    with pytest.raises(error) as caught:
        Backbone.from_preset(preset)
    assert message in str(caught.value)
    if not str(preset).startswith(("hf:", "kaggle:")):
        for form in (
            "falcon_tales_rw_en",
            "kaggle://owner/model",
            "hf://owner/name",
            "local folder",
        ):
            assert form in str(caught.value)


def test_without_a_network_the_offline_presets_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setitem(sys.modules, "kagglehub", None)  # not installed
    for preset in ("hf://tiiuae/falcon-7b", "falcon_refinedweb_1b_en"):
        with pytest.raises(
            FileNotFoundError, match=r"falcon_tales presets.* need no network"
        ) as caught:
            Backbone.from_preset(preset)
    assert "pip install 'falcon_edu[kaggle]'" in str(caught.value)
    with pytest.raises(ImportError, match=r"pip install 'falcon_edu\[kaggle\]'"):
        Backbone.from_preset("kaggle://keras/falcon/keras/falcon_refinedweb_1b_en/2")


def test_links_of_the_hubs_own_cache_may_leave_the_folder(rw, in_keras_hub, tmp_path):
    snapshots, blobs = tmp_path / "cache/snapshots/abc", tmp_path / "cache/blobs"
    shutil.copytree(in_keras_hub, blobs)
    snapshots.mkdir(parents=True)
    for path in blobs.iterdir():
        (snapshots / path.name).symlink_to(path)
    assert same(Backbone.from_preset(snapshots), rw)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(snapshots, elsewhere, symlinks=True)
    with pytest.raises(ValueError, match=r"leads out of the preset"):
        Backbone.from_preset(elsewhere)
    assert handles.resolve(snapshots) == snapshots


@pytest.mark.parametrize("cls", [FalconBackbone, FalconCausalLM])
def test_a_warning_names_the_line_that_loads(tmp_path, cls):
    falcon = FalconCausalLM.from_preset("falcon_tales_rw_en")
    falcon.backbone.final_layernorm.beta.assign(np.full(128, np.nan))
    falcon.save_to_preset(tmp_path)
    with pytest.warns(UserWarning, match="NaN") as caught:
        cls.from_preset(tmp_path)
    assert [warning.filename for warning in caught] == [__file__]


def test_a_folder_here_does_not_shadow_the_task_weights_of_a_built_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "falcon_tales_rw_en"
    folder.mkdir()
    (folder / "task.weights.h5").write_bytes(b"not of this preset")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FalconCausalLM.from_preset("falcon_tales_rw_en")

"""Presets in the format of transformers."""

import json
import os
from dataclasses import asdict, replace

from falcon_edu import Backbone, FalconTokenizer
from falcon_edu.model.config import FalconConfig
from falcon_edu.presets import (
    export_to_transformers,
    export_tokenizer,
    transformers,
)
from falcon_edu.presets.safetensors_files import write_safetensors
from falcon_edu.presets.transformers_config import from_transformers, to_transformers
from falcon_edu.presets.weights import Tensor, find_weight
from falcon_edu.text.preprocessor import FalconCausalLMPreprocessor
from tests.layouts import LAYOUTS, build, inputs
from tests.preset_folders import SHARDED, built, edit_json, same, same_weights
from tests.small_tokenizers import TALE, make

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

IN_TRANSFORMERS = [name for name in LAYOUTS if name != "grouped_alibi_sequential"]


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

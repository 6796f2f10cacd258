"""Presets travel: written by keras-hub and by transformers, read here, and the other way round.

The models are tiny and their weights random, but no weight is left out: `randomize` makes norms
and biases count. Inputs are padded on the right, and only real tokens are compared.
"""

import json
from dataclasses import asdict, replace

from falcon_edu import Backbone, FalconBackbone, FalconCausalLM, FalconTokenizer
from falcon_edu.presets import export_to_transformers, save_causal_lm
from falcon_edu.text.preprocessor import FalconCausalLMPreprocessor
from tests.layouts import LAYOUTS, build, difference, inputs, read
from tests.peers.models import (
    keras_hub_falcon,
    read_keras_hub,
    read_transformers,
    transformers_falcon,
)
from tests.small_tokenizers import END, TALE, make, train

import numpy as np
import pytest

pytestmark = pytest.mark.peers

FLOAT32 = 1e-5  # as in test_parity.py
SHARDED = 20_000 / 1024**3  # gigabytes: some files for the tiny models
TRANSFORMERS = {
    name: {}
    for name in LAYOUTS
    if name != "grouped_alibi_sequential"  # it has no such layout
} | {
    "40b with one key/value head": {"layout": "40b", "num_key_value_heads": 1},
    "40b with all key/value heads": {"layout": "40b", "num_key_value_heads": None},
    "rw with one key/value head": {"layout": "rw", "num_key_value_heads": 1},
    "7b with biases": {"layout": "7b", "use_bias": True},
}


def agree(ours, theirs, x):
    for name in ("hidden_states", "output", "logits"):
        assert difference(ours, theirs, x["padding_mask"], name) < FLOAT32, name


def same_weights(a, b):
    return all(map(np.array_equal, a.get_weights(), b.get_weights()))


# === KerasHub ===


@pytest.mark.parametrize("max_shard_size", [10, SHARDED])
def test_presets_of_keras_hub_load_here(tmp_path, max_shard_size):
    theirs = keras_hub_falcon(build("rw"))
    theirs.save_to_preset(tmp_path, max_shard_size=max_shard_size)
    assert (tmp_path / "model.weights.h5").exists() == (max_shard_size == 10)
    ours, x = Backbone.from_preset(str(tmp_path)), inputs("right")
    assert type(ours) is FalconBackbone
    assert same_weights(ours, theirs)
    agree(read(ours, x), read_keras_hub(theirs, x), x)


@pytest.mark.parametrize("max_shard_size", [10, SHARDED])
@pytest.mark.parametrize("alibi_dtype", [None, "bfloat16"])
def test_presets_saved_here_load_in_keras_hub(tmp_path, max_shard_size, alibi_dtype):
    import keras_hub

    ours, x = build("rw", alibi_dtype=alibi_dtype), inputs("right")
    ours.save_to_preset(tmp_path / "ours", max_shard_size=max_shard_size)
    assert (tmp_path / "ours/model.weights.h5").exists() == (max_shard_size == 10)
    theirs = keras_hub.models.Backbone.from_preset(str(tmp_path / "ours"))
    assert type(theirs) is keras_hub.models.FalconBackbone
    assert same_weights(ours, theirs)
    # KerasHub knows no `alibi_dtype` and computes in float32; the preset still remembers ours.
    agree(read(build("rw"), x), read_keras_hub(theirs, x), x)
    assert Backbone.from_preset(str(tmp_path / "ours")).config == ours.config


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_travels_both_ways(tmp_path, dtype):
    import keras_hub

    ours = build("rw", dtype=dtype)
    ours.save_to_preset(tmp_path / "ours")
    theirs = keras_hub.models.FalconBackbone.from_preset(str(tmp_path / "ours"), dtype=dtype)
    assert same_weights(ours, theirs)
    theirs.save_to_preset(tmp_path / "theirs")
    again = FalconBackbone.from_preset(str(tmp_path / "theirs"), dtype=dtype)
    assert same_weights(ours, again)
    # Both load in Keras's default precision unless told otherwise, whatever was saved.
    for library in (keras_hub.models.FalconBackbone, FalconBackbone):
        assert library.from_preset(str(tmp_path / "ours")).dtype_policy.name == "float32"


def test_dropout_state_is_no_obstacle(tmp_path):
    import keras_hub

    rates = {"attention_dropout_rate": 0.1, "feedforward_dropout_rate": 0.1}
    ours = build("rw", **rates)
    ours.save_to_preset(tmp_path / "ours")
    theirs = keras_hub.models.FalconBackbone.from_preset(str(tmp_path / "ours"))
    theirs.save_to_preset(tmp_path / "theirs")
    again = FalconBackbone.from_preset(str(tmp_path / "theirs"))
    assert again.config == ours.config
    assert same_weights(again, ours)


def test_layouts_that_keras_hub_lacks_are_refused_there_in_words(tmp_path):
    import keras_hub

    build("7b").save_to_preset(tmp_path / "ours")
    with pytest.raises(ValueError, match="FalconBackbone"):
        keras_hub.models.FalconBackbone.from_preset(str(tmp_path / "ours"))


def keras_hub_causal_lm(ours, tokenizer):
    import keras_hub

    theirs = keras_hub.models.FalconTokenizer(tokenizer.vocabulary, tokenizer.merges)
    preprocessor = keras_hub.models.FalconCausalLMPreprocessor(theirs, sequence_length=20)
    return keras_hub.models.FalconCausalLM(keras_hub_falcon(ours), preprocessor)


# KerasHub does not split before it merges: see the last test of this section.
PLAIN = ["The cat gave the dog a drum.", "café 👩‍🚀 and more", " two  spaces", ""]


def test_causal_lm_of_keras_hub_loads_here(tmp_path):
    tokenizer = make()
    backbone = build("rw", vocabulary_size=tokenizer.vocabulary_size())
    theirs = keras_hub_causal_lm(backbone, tokenizer)
    theirs.save_to_preset(tmp_path)
    ours = FalconCausalLM.from_preset(str(tmp_path))
    assert same_weights(ours.backbone, theirs.backbone)
    assert ours.preprocessor.sequence_length == 20
    for text in (*PLAIN, PLAIN, f"cat{END}dog"):  # its presets say that END is special
        (x, *labels), (their_x, *their_labels) = ours.preprocessor(text), theirs.preprocessor(text)
        for key in ("token_ids", "padding_mask"):
            assert np.array_equal(x[key], their_x[key])
        assert all(map(np.array_equal, labels, their_labels))
    prompts = ours.preprocessor.generate_preprocess(PLAIN)
    for key, value in theirs.preprocessor.generate_preprocess(PLAIN).items():
        assert np.array_equal(prompts[key], value)
    x = {key: np.asarray(value, "int32") for key, value in prompts.items()}
    assert np.allclose(ours(x), theirs(x), atol=1e-4)  # logits of some 30


@pytest.mark.parametrize("in_one_step", [True, False])
def test_causal_lm_saved_here_loads_in_keras_hub(tmp_path, in_one_step):
    import keras_hub

    tokenizer = make()
    backbone = build("rw", vocabulary_size=tokenizer.vocabulary_size())
    preprocessor = FalconCausalLMPreprocessor(tokenizer, sequence_length=20, add_end_token=False)
    if in_one_step:
        save_causal_lm(FalconCausalLM(backbone, preprocessor), tmp_path / "ours")
    else:
        tokenizer.save_to_preset(tmp_path / "ours")
        backbone.save_to_preset(tmp_path / "ours")
        preprocessor.save_to_preset(tmp_path / "ours")
    theirs = keras_hub.models.CausalLM.from_preset(str(tmp_path / "ours"))
    assert type(theirs) is keras_hub.models.FalconCausalLM
    assert same_weights(theirs.backbone, backbone)
    for text in (*PLAIN, f"cat{END}dog"):
        assert np.array_equal(theirs.preprocessor.tokenizer(text), tokenizer(text))
        assert theirs.preprocessor.tokenizer.detokenize(tokenizer(text)) == text
        assert np.array_equal(theirs.preprocessor(text)[1], preprocessor(text)[1])
    theirs.compile(sampler="greedy")
    ours = FalconCausalLM.from_preset(str(tmp_path / "ours"))
    ours.compile(sampler="greedy")
    prompt = "The cat"
    assert ours.generate(prompt, 20) == theirs.generate(prompt, max_length=20)


def test_keras_hub_does_not_split_text_into_words():
    """Called directly, KerasHub's tokenizer merges across words; Falcon's was made to split first.

    It hands its splitting pattern over as literal text, which no text contains.
    """
    import keras_hub

    vocabulary = {token: i for i, token in enumerate(["a", "b", "Ġ", "ĠĠ", "Ġb", END])}
    merges = ["Ġ Ġ", "Ġ b"]
    assert FalconTokenizer(vocabulary, merges)("a  b").tolist() == [0, 2, 4]  # a, space, space b
    theirs = keras_hub.models.FalconTokenizer(vocabulary, merges)
    assert theirs("a  b").tolist() == [0, 3, 1]  # a, two spaces, b


# === transformers ===


def tiny(name, **overrides):
    arguments = dict(TRANSFORMERS[name])
    return build(arguments.pop("layout", name), **arguments, **overrides)


def attention(backbone):
    """Where transformers is right: see design, section 3."""
    return "sdpa" if backbone.position_encoding == "alibi" else "eager"


def exported(path, backbone):
    """The model that transformers makes of an export, in float32; every name was used."""
    from transformers import AutoModelForCausalLM

    model, info = AutoModelForCausalLM.from_pretrained(
        path,
        attn_implementation=attention(backbone),
        dtype="float32",
        output_loading_info=True,
    )
    assert not any(info.values()), info
    return model.eval()


@pytest.mark.parametrize("max_shard_size", [5, SHARDED])
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers_loads_what_is_exported_here(tmp_path, name, max_shard_size):
    backbone, x = tiny(name, alibi_dtype="bfloat16"), inputs("right")
    export_to_transformers(backbone, tmp_path / "out", max_shard_size=max_shard_size)
    assert (tmp_path / "out/model.safetensors").exists() == (max_shard_size == 5)
    theirs = exported(tmp_path / "out", backbone)
    agree(read(backbone, x), read_transformers(theirs, x), x)


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_what_transformers_saves_loads_here(tmp_path, name, sharded):
    backbone, x = tiny(name, alibi_dtype="bfloat16"), inputs("right")
    export_to_transformers(backbone, tmp_path / "out")
    theirs = exported(tmp_path / "out", backbone)
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="20KB" if sharded else "1GB")
    assert (tmp_path / "theirs/model.safetensors").exists() != sharded
    ours = Backbone.from_preset(str(tmp_path / "theirs"))
    expected = backbone.config
    if expected.position_encoding == "rope":
        expected = replace(expected, alibi_dtype=None)
    assert asdict(ours.config) == asdict(expected)
    assert same_weights(ours, backbone)
    agree(read(ours, x), read_transformers(theirs, x), x)


@pytest.mark.parametrize("layout", ["rw", "7b", "40b", "falcon2_11b"])
def test_models_that_were_made_by_transformers_load_here(tmp_path, layout):
    """No help from our own export: the config and the weights are transformers' from the start."""
    backbone, x = build(layout, alibi_dtype="bfloat16"), inputs("right")
    theirs = transformers_falcon(backbone)
    theirs.save_pretrained(tmp_path)
    ours = Backbone.from_preset(str(tmp_path))
    agree(read(ours, x), read_transformers(theirs, x), x)
    assert same_weights(ours, backbone)


def test_model_without_head_loads_here(tmp_path):
    """transformers' `FalconModel` saves its tensors without the prefix `transformer.`."""
    backbone = build("7b")
    transformers_falcon(backbone).transformer.save_pretrained(tmp_path)
    assert same_weights(Backbone.from_preset(str(tmp_path)), backbone)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_checkpoints(tmp_path, dtype):
    import torch

    ours = build("40b", dtype=dtype)
    export_to_transformers(ours, tmp_path / "ours")
    theirs = exported(tmp_path / "ours", ours).to(getattr(torch, dtype))
    theirs.save_pretrained(tmp_path / "theirs")
    assert json.loads((tmp_path / "theirs/config.json").read_text())["dtype"] == dtype
    assert same_weights(Backbone.from_preset(str(tmp_path / "theirs"), dtype=dtype), ours)
    wide = Backbone.from_preset(str(tmp_path / "theirs"))
    assert wide.dtype_policy.name == "float32"
    for a, b in zip(wide.get_weights(), ours.get_weights(), strict=True):
        assert np.array_equal(a, np.asarray(b, "float32"))


@pytest.mark.parametrize("style", ["plain", "falcon"])
def test_tokenizers_travel_to_transformers_and_back(tmp_path, style):
    from transformers import AutoTokenizer, GenerationConfig

    tokenizer = make(style)
    backbone = build("7b", vocabulary_size=tokenizer.vocabulary_size())
    export_to_transformers(backbone, tmp_path / "out", tokenizer=tokenizer)
    theirs = AutoTokenizer.from_pretrained(tmp_path / "out")
    texts = [*PLAIN, TALE, "1425 and 12345\n\n  '", "e\u0301\u200d"]
    for text in texts:
        assert theirs(text).input_ids == tokenizer(text).tolist()
        assert theirs.decode(tokenizer(text)) == text
    assert theirs.eos_token == theirs.bos_token == END
    assert theirs.eos_token_id == tokenizer.end_token_id
    assert GenerationConfig.from_pretrained(tmp_path / "out").eos_token_id == tokenizer.end_token_id
    theirs.save_pretrained(tmp_path / "theirs")
    again = FalconTokenizer.from_preset(str(tmp_path / "theirs"))
    assert again.vocabulary == tokenizer.vocabulary
    for text in (*texts, f"cat{END}dog"):
        assert again(text).tolist() == tokenizer(text).tolist()
    assert exported(tmp_path / "out", backbone).config.eos_token_id == tokenizer.end_token_id


def test_tokenizer_made_by_transformers_loads_here(tmp_path):
    from transformers import PreTrainedTokenizerFast

    raw = train("falcon")
    theirs = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token=END)
    theirs.save_pretrained(tmp_path)
    ours = FalconTokenizer.from_preset(str(tmp_path))
    for text in (*PLAIN, TALE, "1425"):
        assert ours(text).tolist() == theirs(text).input_ids
    told = FalconTokenizer.from_preset(str(tmp_path), unsplittable_tokens=[END, ">>TITLE<<"])
    text = f">>TITLE<<The cat{END}"
    assert told(text).tolist() == theirs(text).input_ids


# === The table of routes ===


def test_routes_to_the_other_libraries():
    from tools import parity_routes

    table = parity_routes.table(["rw", "40b"], parity_routes.PEERS)
    assert table["to keras-hub"]["40b"] is None
    numbers = [table["to transformers"]["40b"], *(row["rw"] for row in table.values())]
    assert all(number < FLOAT32 for number in numbers), table


@pytest.mark.parametrize("add_start_token", [True, False])
@pytest.mark.parametrize("style", ["plain", "falcon"])
def test_an_exported_tokenizer_starts_texts_as_ours_does(tmp_path, style, add_start_token):
    from transformers import AutoTokenizer

    preprocessor = FalconCausalLMPreprocessor(
        make(style), sequence_length=20, add_start_token=add_start_token
    )
    FalconCausalLM(build("rw", vocabulary_size=320), preprocessor).export_to_transformers(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    for text in ["The cat", "", TALE, "1425"]:
        x = preprocessor.generate_preprocess(text, sequence_length=99)
        ids = theirs(text)["input_ids"]
        assert ids == x["token_ids"][x["padding_mask"]].tolist()
        assert theirs.decode(ids, skip_special_tokens=True) == text
    again = FalconCausalLMPreprocessor.from_preset(tmp_path)
    assert again.add_start_token == add_start_token
    assert again.tokenizer.end_tokens == [END] == [theirs.eos_token]

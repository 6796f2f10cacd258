"""KerasHub's test harness, run on our classes.

Its wheel has the harness that all its models share, `keras_hub.src.tests.test_case`, and not the
tests that use it: what those ask of Falcon, its samplers and its base classes is asked here, in the
same order. Whatever fails stands in `NOT_HERE` with the reason, and must go on failing so; the
page of names counts both.
"""

import functools
import importlib.util
import os
import sys
import types
from pathlib import Path
from unittest import mock

import falcon_edu
from falcon_edu import FalconBackbone, FalconCausalLM, FalconCausalLMPreprocessor, FalconTokenizer
from falcon_edu.generation import samplers
from falcon_edu.text.byte_level import byte_alphabet

import keras
import numpy as np
import pytest
from keras import ops

pytestmark = pytest.mark.peers

SIZES = (10, 2, 8, 16, 32)  # of the vocabulary, layers, heads, width, MLP
SMALL = dict(
    zip(
        "vocabulary_size num_layers num_attention_heads hidden_dim intermediate_dim".split(),
        SIZES,
        strict=True,
    )
)
IDS = {"token_ids": np.ones((2, 5), "int32"), "padding_mask": np.ones((2, 5), "int32")}
PRESET = "falcon_tales_rw_en"
MERGES = "k i|t e|ki te|Ġ kite|Ġ a|m y|Ġ my|f l|fl y|Ġ fly".split("|")

# Why a check does not hold here: a part of what is said when it fails, and the reason.
NOT_HERE = {
    "backbone_keeps_to_each_precision": (
        "float16",
        "attention weights are float32 in every precision, and so is the dropout on them",
    ),
    "exported_to_litert": (
        "supported on the PyTorch backend only",
        "Keras exports to LiteRT from PyTorch alone, and KerasHub skips the check on JAX",
    ),
    "tokenizer_in_datasets": (
        "The vocabulary can't spell ' my kite<|endoftext|>'",
        "bytes without a token are refused, and `<|endoftext|>` in a text is text: "
        "`all_bytes_in_datasets` is the check with a whole vocabulary",
    ),
    "task_saved_as_a_preset": (
        "task.json",
        "KerasHub makes the task of config.json and preprocessor.json, and task.json would say "
        "both again: `task_saved_for_keras_hub` is the check that it does",
    ),
}


@pytest.fixture
def harness(monkeypatch):
    """An instance of KerasHub's `TestCase`.

    It imports Grain, a loader of data that the peers' environment has not. Where that is missing,
    the datasets of Grain are a stand-in that does what the harness asks of them.
    """
    if importlib.util.find_spec("grain") is None:
        grain = types.ModuleType("grain")
        grain.MapDataset = MapDataset
        monkeypatch.setitem(sys.modules, "grain", grain)
    from keras_hub.src.tests.test_case import TestCase

    class Harness(TestCase):
        def runTest(self):  # so that it can be made without a test's name
            pass

    return Harness()


class MapDataset(list):
    """Records that a function maps and that another puts together, as Grain does."""

    source = classmethod(lambda cls, records: cls(records))

    def map(self, function):
        return MapDataset(map(function, self))

    def batch(self, size, batch_fn):
        return MapDataset([batch_fn(self[i : i + size]) for i in range(0, len(self), size)])


def tokenizer():
    """One of few words, without all bytes, as KerasHub's tests have it."""
    pieces = {"<|endoftext|>", "!"}
    for merge in MERGES:
        first, second = merge.split()
        pieces |= {first, second, first + second}
    vocabulary = {piece: i for i, piece in enumerate(sorted(pieces))}
    return {"vocabulary": vocabulary, "merges": MERGES}


def preprocessor(**options):
    return FalconCausalLMPreprocessor(FalconTokenizer(**tokenizer()), sequence_length=8, **options)


def task_parts(**options):
    reader = preprocessor()
    size = reader.tokenizer.vocabulary_size()
    return {"preprocessor": reader, "backbone": FalconBackbone(size, 2, 2, 4, 16, **options)}


def ids_of(*pieces):
    return [tokenizer()["vocabulary"][piece] for piece in pieces]


TEXTS = ["my kite", "a kite"]
SPACED = [" my kite fly", " my kite"]


# === Backbone ===


def backbone_is_called_predicts_and_serializes(harness):
    harness.run_backbone_test(
        FalconBackbone,
        SMALL,
        {key: ops.array(x) for key, x in IDS.items()},
        (2, 5, 16),
        run_mixed_precision_check=False,
        run_quantization_check=False,
    )


def backbone_keeps_to_each_precision(harness):
    harness.run_precision_test(FalconBackbone, dict(SMALL), IDS)


def backbone_takes_quantized_policies(harness):
    harness.run_quantization_test(FalconBackbone(**SMALL), FalconBackbone, dict(SMALL), IDS)


def backbone_is_saved_and_loaded(harness):
    harness.run_model_saving_test(FalconBackbone, SMALL, IDS)


def backbone_of_a_preset(harness):
    harness.run_preset_test(FalconBackbone, PRESET, IDS)


# === Causal LM ===


def task_predicts_and_fits_on_texts_and_datasets(harness):
    parts = task_parts()
    size = parts["backbone"].vocabulary_size
    harness.run_task_test(FalconCausalLM, parts, (SPACED,), (2, 8, size))


def task_is_saved_and_loaded(harness):
    parts = task_parts()
    harness.run_model_saving_test(FalconCausalLM, parts, parts["preprocessor"](SPACED)[0])


def task_of_a_preset(harness):
    harness.run_preset_test(FalconCausalLM, PRESET, IDS)


def generates(harness, dtype="float32"):
    """Texts begin with their prompts, and so do ids, without a preprocessor."""
    causal_lm = FalconCausalLM(**task_parts(dtype=dtype))
    assert TEXTS[0] in causal_lm.generate(TEXTS[0])
    prompt = causal_lm.preprocessor.generate_preprocess([TEXTS[0]])
    causal_lm.preprocessor = None
    outputs = causal_lm.generate(prompt, stop_token_ids=None)
    for name, ids in prompt.items():
        harness.assertAllEqual(outputs[name][:, :3], ids[:, :3])


def stops_where_call_with_cache_says_so(harness):
    causal_lm = FalconCausalLM(**task_parts())
    own, end = causal_lm.call_with_cache, causal_lm.preprocessor.tokenizer.end_token_id

    def ending(*args, **kwargs):
        logits, *others = own(*args, **kwargs)
        return ops.where(ops.arange(logits.shape[-1]) == end, 1e9, logits), *others

    with mock.patch.object(causal_lm, "call_with_cache", wraps=ending):
        assert causal_lm.generate(TEXTS) == TEXTS


def one_generate_function_until_compiled_again(harness):
    causal_lm = FalconCausalLM(**task_parts())
    causal_lm.generate(TEXTS[0])
    first = causal_lm.generate_function
    causal_lm.generate(TEXTS[0])
    assert causal_lm.generate_function == first
    causal_lm.compile(sampler="greedy")
    assert causal_lm.generate_function is None


def exported_to_litert(harness):
    parts = task_parts()
    harness.run_litert_export_test(FalconCausalLM, parts, parts["preprocessor"](SPACED)[0])


# === Preprocessor and tokenizer ===


def preprocessor_in_datasets(harness):
    harness.init_kwargs = {"tokenizer": FalconTokenizer(**tokenizer()), "sequence_length": 8}
    end, my, kite = ids_of("<|endoftext|>", "my", "Ġkite")
    row = [end, my, kite, end, 0, 0, 0, 0]
    mask = [1, 1, 1, 1, 0, 0, 0, 0]
    expected = ({"token_ids": [row], "padding_mask": [mask]}, [[*row[1:], 0]], [[*mask[1:], 0]])
    harness.run_preprocessor_test(
        FalconCausalLMPreprocessor, harness.init_kwargs, TEXTS[:1], expected
    )


def preprocessor_without_start_and_end(harness):
    reader = preprocessor(add_start_token=False, add_end_token=False)
    x, y, weight = reader(TEXTS[:1] * 4)
    my, kite = ids_of("my", "Ġkite")
    harness.assertAllEqual(x["token_ids"], [[my, kite, 0, 0, 0, 0, 0, 0]] * 4)
    harness.assertAllEqual(x["padding_mask"], [[1, 1, 0, 0, 0, 0, 0, 0]] * 4)
    harness.assertAllEqual(y, [[kite, 0, 0, 0, 0, 0, 0, 0]] * 4)
    harness.assertAllEqual(weight, [[1, 0, 0, 0, 0, 0, 0, 0]] * 4)


def generate_preprocess_of_one_text(harness):
    x = preprocessor().generate_preprocess(TEXTS[0])
    harness.assertAllEqual(x["token_ids"], ids_of("<|endoftext|>", "my", "Ġkite") + [0] * 5)
    harness.assertAllEqual(x["padding_mask"], [1, 1, 1, 0, 0, 0, 0, 0])


def generate_postprocess_of_one_text(harness):
    row = ids_of("<|endoftext|>", "my", "Ġkite", "<|endoftext|>") + [0] * 4
    text = preprocessor().generate_postprocess(
        {"token_ids": row, "padding_mask": [1, 1, 1, 1, 0, 0, 0, 0]}
    )
    harness.assertAllEqual(text, TEXTS[0])


def preprocessor_of_a_preset(harness):
    harness.run_preset_test(FalconCausalLMPreprocessor, PRESET, TEXTS)


def tokenizer_in_datasets(harness):
    harness.run_preprocessing_layer_test(
        FalconTokenizer,
        tokenizer(),
        [" my kite<|endoftext|>", " a kite fly"],
        [ids_of("Ġmy", "Ġkite", "<|endoftext|>"), ids_of("Ġa", "Ġkite", "Ġfly")],
        [" my kite<|endoftext|>", " a kite fly"],
    )


def all_bytes_in_datasets(harness):
    vocabulary = {byte: i for i, byte in enumerate(byte_alphabet().values())}
    ids = {"<|endoftext|>": 256, "Ġk": 257}
    harness.run_preprocessing_layer_test(
        FalconTokenizer,
        {
            "vocabulary": {**vocabulary, **ids},
            "merges": ["Ġ k"],
            "unsplittable_tokens": ["<|endoftext|>"],
        },
        [" k<|endoftext|>", "i k"],
        [[257, 256], [vocabulary["i"], 257]],
        [" k<|endoftext|>", "i k"],
    )


def tokenizer_needs_the_end_token(harness):
    for vocabulary in (["a", "b", "c"], {"a": 0, "b": 1, "c": 2}):
        with pytest.raises(ValueError, match="vocabulary"):
            FalconTokenizer(vocabulary=vocabulary, merges=[])


def tokenizer_of_a_preset(harness):
    harness.run_preset_test(FalconTokenizer, PRESET, TEXTS)


# === The base classes: presets and saving ===


def presets_are_those_of_the_class(harness):
    own = set(FalconBackbone.presets)
    assert {PRESET, "falcon_refinedweb_1b_en"} <= own
    assert own <= set(falcon_edu.Backbone.presets)
    for cls in (FalconCausalLM, FalconTokenizer, FalconCausalLMPreprocessor):
        assert own == set(cls.presets)


def base_class_finds_the_class_of_a_preset(harness):
    for options in ({}, {"load_weights": False}):
        backbone = falcon_edu.Backbone.from_preset(PRESET, **options)
        assert isinstance(backbone, FalconBackbone)


def preset_takes_a_dtype(harness):
    assert FalconBackbone.from_preset(PRESET, dtype="bfloat16").dtype_policy.name == "bfloat16"
    task = FalconCausalLM.from_preset(PRESET, dtype="float16")
    assert task.backbone.dtype_policy.name == "float16"


def preset_takes_a_sequence_length(harness):
    reader = FalconCausalLMPreprocessor.from_preset(PRESET, sequence_length=16)
    assert reader.sequence_length == 16


def preset_that_is_not_there(harness):
    for cls in (FalconBackbone, FalconCausalLM, FalconTokenizer, FalconCausalLMPreprocessor):
        with pytest.raises((ValueError, FileNotFoundError), match="no_such_preset"):
            cls.from_preset("no_such_preset")


def task_saved_as_a_preset(harness):
    folder = harness.get_temp_dir()
    FalconCausalLM(**task_parts()).save_to_preset(folder)
    files = {"config.json", "metadata.json", "model.weights.h5", "task.json", "preprocessor.json"}
    assert files <= set(os.listdir(folder)), sorted(os.listdir(folder))


def task_saved_for_keras_hub(harness):
    """Read here and there, a preset has everything back."""
    import keras_hub

    task, folder = FalconCausalLM(**task_parts()), harness.get_temp_dir()
    task.save_to_preset(folder)
    restored = FalconCausalLM.from_preset(folder)
    assert restored.preprocessor.get_config() == task.preprocessor.get_config()
    there = keras_hub.models.CausalLM.from_preset(folder)
    assert type(there) is keras_hub.models.FalconCausalLM
    assert there.preprocessor.sequence_length == task.preprocessor.sequence_length
    x, *_ = task.preprocessor(SPACED)
    for other in (restored, there):
        harness.assertAllClose(other(x), task(x), atol=1e-5)


def parts_saved_as_a_preset(harness):
    parts, folder = task_parts(), harness.get_temp_dir()
    parts["preprocessor"].save_to_preset(folder)
    parts["backbone"].save_to_preset(folder)
    restored = FalconCausalLMPreprocessor.from_preset(folder)
    assert restored.get_config() == parts["preprocessor"].get_config()
    assert set(restored.tokenizer.file_assets) == {"vocabulary.json", "merges.txt"}


def summary_shows_the_preprocessor(harness):
    lines = []
    FalconCausalLM(**task_parts()).summary(print_fn=lambda x, line_break=False: lines.append(x))
    assert "Preprocessor" in "\n".join(lines)


def lora_trains_factors_alone(harness):
    backbone = FalconBackbone(**SMALL)
    backbone.enable_lora(4)
    assert len(backbone.trainable_weights) == 2 * 2 * SMALL["num_layers"]
    target = np.ones((2, 5, 16), "float32")
    backbone.compile("sgd", "mse")
    backbone.fit(IDS, target, verbose=0)
    path = os.path.join(harness.get_temp_dir(), "a.lora.h5")
    backbone.save_lora_weights(path)
    other = FalconBackbone(**SMALL)
    for ours, theirs in zip(frozen(other), frozen(backbone), strict=True):
        ours.assign(theirs)
    other.load_lora_weights(path)
    harness.assertAllClose(other(IDS), backbone(IDS))


def frozen(backbone):
    return [weight for weight in backbone.weights if "lora" not in weight.name]


# === Samplers, called by themselves ===

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SAMPLERS = {
    "greedy": samplers.GreedySampler,
    "random": functools.partial(samplers.RandomSampler, temperature=1.0),
    "top_k": functools.partial(samplers.TopKSampler, k=5),
    "top_p": functools.partial(samplers.TopPSampler, p=0.1),
    "beam": functools.partial(samplers.BeamSampler, num_beams=5),
}


def letters(text):
    return ops.array([[LETTERS.index(letter) for letter in text]])


def as_text(ids):
    return "".join(LETTERS[i] for i in np.array(ids)[0])


def say(prompt, cache, index):
    """A model whose next token is written in its cache; without one, always "a"."""
    token = ops.zeros(len(prompt), "int32") if cache is None else cache[:, index]
    return ops.one_hot(token, 26) * 1e9, ops.ones((len(prompt), 5)), cache


def fall(prompt, cache, index):
    """A model to which each letter is less likely than the one before."""
    logits = ops.arange(26, 0, -1, dtype="float32")
    return ops.tile(logits[None], (len(prompt), 1)), ops.ones((len(prompt), 5)), cache


def samples_without_state(harness, name):
    output = SAMPLERS[name]()(next=say, prompt=letters("z" * 12), index=5)
    assert as_text(output) == "zzzzzaaaaaaa"


def samples_with_state(harness, name):
    said = letters("sequentially")
    output = SAMPLERS[name]()(next=say, prompt=letters("z" * 12), cache=said)
    assert as_text(output) == "sequentially"


def samples_up_to_a_stop_token(harness, name):
    options = {"prompt": letters("z" * 12), "cache": letters("sequentially")}
    output = SAMPLERS[name]()(next=say, stop_token_ids=[LETTERS.index("t")], **options)
    assert as_text(output) == "sequentzzzzz"
    output = SAMPLERS[name]()(next=say, stop_token_ids=list(map(LETTERS.index, "tn")), **options)
    assert as_text(output) == "sequenzzzzzz"


def samples_only_what_is_likely(harness, name):
    """Of letters less and less likely greedy has one, top-k five, and top-p few."""
    found = set(np.array(SAMPLERS[name]()(next=fall, prompt=letters("z" * 12)))[0].tolist())
    assert found <= set(range({"greedy": 1, "top_k": 5, "top_p": 1}.get(name, 26)))


def samples_cold(harness, name):
    sampler = SAMPLERS[name](temperature=1e-5)
    assert as_text(sampler(next=fall, prompt=letters("z" * 12))) == "a" * 12


def all_beams_are_returned_in_order(harness):
    sampler = samplers.BeamSampler(num_beams=5, return_all_beams=True)
    beams, log_probs = sampler(next=say, prompt=letters("z" * 12), cache=letters("sequentially"))
    assert beams.shape == (1, 5, 12)
    assert log_probs.shape == (1, 5)
    assert bool(ops.all(log_probs[:, 1:] <= log_probs[:, :-1]))
    assert as_text(beams[:, 0]) == "sequentially"


def samplers_are_serialized(harness):
    sampler = samplers.TopKSampler(k=7)
    config = samplers.serialize(sampler)
    for restored in (samplers.deserialize(config), samplers.get(config)):
        assert restored.get_config() == sampler.get_config()
        assert samplers.serialize(restored) == config
    assert samplers.get(sampler) is sampler
    assert isinstance(samplers.get("top_k"), samplers.TopKSampler)


CHECKS = {
    check.__name__: check
    for check in (
        backbone_is_called_predicts_and_serializes,
        backbone_keeps_to_each_precision,
        backbone_takes_quantized_policies,
        backbone_is_saved_and_loaded,
        backbone_of_a_preset,
        task_predicts_and_fits_on_texts_and_datasets,
        task_is_saved_and_loaded,
        task_of_a_preset,
        stops_where_call_with_cache_says_so,
        one_generate_function_until_compiled_again,
        exported_to_litert,
        preprocessor_in_datasets,
        preprocessor_without_start_and_end,
        generate_preprocess_of_one_text,
        generate_postprocess_of_one_text,
        preprocessor_of_a_preset,
        tokenizer_in_datasets,
        all_bytes_in_datasets,
        tokenizer_needs_the_end_token,
        tokenizer_of_a_preset,
        presets_are_those_of_the_class,
        base_class_finds_the_class_of_a_preset,
        preset_takes_a_dtype,
        preset_takes_a_sequence_length,
        preset_that_is_not_there,
        task_saved_as_a_preset,
        task_saved_for_keras_hub,
        parts_saved_as_a_preset,
        summary_shows_the_preprocessor,
        lora_trains_factors_alone,
        all_beams_are_returned_in_order,
        samplers_are_serialized,
    )
}
for dtype in ("float32", "bfloat16", "mixed_float16"):
    CHECKS[f"generates_in_{dtype}"] = functools.partial(generates, dtype=dtype)
for check in (
    samples_without_state,
    samples_with_state,
    samples_up_to_a_stop_token,
    samples_only_what_is_likely,
    samples_cold,
):
    for name in SAMPLERS:
        CHECKS[f"{check.__name__}_{name}"] = functools.partial(check, name=name)


@pytest.mark.parametrize("name", CHECKS)
def test_keras_hubs_checks_hold_or_it_is_said_why_not(name, harness):
    keras.utils.set_random_seed(0)
    if name not in NOT_HERE:
        CHECKS[name](harness)
        return
    said, _ = NOT_HERE[name]
    with pytest.raises((Exception, pytest.skip.Exception)) as failure:
        CHECKS[name](harness)
    assert said in f"{failure.type.__name__}: {failure.value}"


def test_the_page_of_names_counts_the_checks():
    page = (Path(__file__).resolve().parents[2] / "docs/kerashub.md").read_text("utf-8")
    assert f"Of {len(CHECKS)} checks {len(CHECKS) - len(NOT_HERE)} hold" in page
    assert all(f"`{name}`" in page for name in NOT_HERE)

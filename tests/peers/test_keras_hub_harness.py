"""KerasHub's test harness, run on our classes.

Its wheel has the harness that all its models share, `keras_hub.src.tests.test_case`, and not the
tests that use it: of what those ask of Falcon and of samplers, a part is asked here.
"""

import functools
import importlib.util
import sys
import types

import falcon_edu
from falcon_edu import FalconBackbone, FalconCausalLM, FalconCausalLMPreprocessor, FalconTokenizer
from falcon_edu.generation import samplers

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


@pytest.fixture
def harness(monkeypatch):
    """An instance of KerasHub's `TestCase`.

    It imports Grain, a loader of data that the peers' environment has not. So without that, what
    the harness does with Grain is left out.
    """
    if importlib.util.find_spec("grain") is None:
        monkeypatch.setitem(sys.modules, "grain", types.ModuleType("grain"))
    from keras_hub.src.tests.test_case import TestCase

    class Harness(TestCase):
        def runTest(self):  # so that it can be made without a test's name
            pass

        def run_grain_preprocessing_test(self, *arguments):
            if hasattr(sys.modules["grain"], "MapDataset"):
                super().run_grain_preprocessing_test(*arguments)

    return Harness()


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


# === Preprocessor and tokenizer ===


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
        backbone_takes_quantized_policies,
        backbone_is_saved_and_loaded,
        backbone_of_a_preset,
        task_predicts_and_fits_on_texts_and_datasets,
        task_is_saved_and_loaded,
        task_of_a_preset,
        preprocessor_without_start_and_end,
        generate_preprocess_of_one_text,
        generate_postprocess_of_one_text,
        preprocessor_of_a_preset,
        tokenizer_of_a_preset,
        presets_are_those_of_the_class,
        base_class_finds_the_class_of_a_preset,
        preset_takes_a_dtype,
        preset_takes_a_sequence_length,
        preset_that_is_not_there,
        all_beams_are_returned_in_order,
        samplers_are_serialized,
    )
}
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
def test_keras_hubs_checks_hold(name, harness):
    keras.utils.set_random_seed(0)
    CHECKS[name](harness)

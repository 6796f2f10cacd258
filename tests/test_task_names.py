"""Names of KerasHub's tasks: hooks that `generate` uses, samples, weights of a task, a summary."""

from falcon_edu import FalconBackbone, FalconCausalLM
from falcon_edu.text.preprocessor import FalconCausalLMPreprocessor
from tests.small_tokenizers import make

import keras
import numpy as np
import pytest
from keras import ops

PROMPTS = ["The cat", "The dog gave it", "a"]


def build(cls=FalconCausalLM, **kwargs):
    keras.utils.set_random_seed(0)
    tokenizer = make()
    backbone = FalconBackbone(tokenizer.vocabulary_size(), 2, 2, 8, 16)
    model = cls(backbone, FalconCausalLMPreprocessor(tokenizer, sequence_length=20), **kwargs)
    model.compile(sampler="greedy")
    return model


class Banned(FalconCausalLM):
    """Never says what the plain model says first; the signature is KerasHub's."""

    def call_with_cache(self, token_ids, cache, cache_update_index):
        logits, hidden_states, cache = super().call_with_cache(token_ids, cache, cache_update_index)
        return logits - 1e9 * ops.one_hot(self.banned, logits.shape[-1]), hidden_states, cache


def test_generate_uses_a_call_with_cache_of_ones_own():
    plain = build()
    prompts = plain.preprocessor.generate_preprocess(PROMPTS)
    expected = plain.generate(prompts, stop_token_ids=None)
    model = build(Banned)
    model.banned = -1  # nothing
    outputs = model.generate(prompts, stop_token_ids=None)
    assert outputs["token_ids"].tolist() == expected["token_ids"].tolist()
    banned = int(expected["token_ids"][0, prompts["padding_mask"][0].sum()])
    model = build(Banned)
    model.banned = banned
    outputs = model.generate(prompts, stop_token_ids=None)
    assert banned in expected["token_ids"][~prompts["padding_mask"]]
    assert banned not in outputs["token_ids"][~prompts["padding_mask"]]
    assert model.generate("The cat") == "The cat" + "".join(model.stream("The cat"))


def test_a_call_with_cache_of_ones_own_may_have_weights_that_train():
    class Scaled(FalconCausalLM):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.bias = keras.Variable(np.zeros(self.backbone.vocabulary_size), name="bias")

        def call_with_cache(self, token_ids, cache, cache_update_index, padding_mask=None):
            logits, *rest = super().call_with_cache(
                token_ids, cache, cache_update_index, padding_mask
            )
            return logits + self.bias, *rest

    model = build(Scaled)
    prompts = model.preprocessor.generate_preprocess(PROMPTS)
    for favourite in (7, 9):
        model.bias.assign(1e6 * np.eye(model.backbone.vocabulary_size)[favourite])
        outputs = model.generate(prompts, stop_token_ids=None)
        assert set(outputs["token_ids"][~prompts["padding_mask"]]) == {favourite}


def test_generate_step_is_what_generate_does():
    model = build()
    prompts = model.preprocessor.generate_preprocess(PROMPTS)
    expected = model.generate(prompts, stop_token_ids=None)
    for step in (model.generate_step, model.make_generate_function()):
        outputs = step(prompts, stop_token_ids=None)
        assert outputs["token_ids"].tolist() == expected["token_ids"].tolist()


@pytest.mark.parametrize("name", ["generate_step", "make_generate_function"])
def test_generate_uses_a_step_of_ones_own(name):
    seen = []

    class Mine(FalconCausalLM):
        pass

    def step(self, inputs, stop_token_ids=None):
        seen.append(inputs["token_ids"].shape)
        return FalconCausalLM.generate_step(self, inputs, stop_token_ids)

    if name == "generate_step":
        Mine.generate_step = step
    else:
        Mine.make_generate_function = lambda self: (
            lambda *args, **kwargs: step(self, *args, **kwargs)
        )
    plain, model = build(), build(Mine)
    assert model.generate(PROMPTS, max_length=15) == plain.generate(PROMPTS, max_length=15)
    stripped = model.generate(PROMPTS, max_length=15, strip_prompt=True)
    assert stripped == plain.generate(PROMPTS, max_length=15, strip_prompt=True)
    assert seen == [(3, 15), (3, 15)]
    with pytest.raises(ValueError, match="can't stream"):
        model.stream("a")


def test_generate_uses_a_function_assigned_to_it_until_the_model_is_compiled_again():
    model, seen = build(), []
    expected = model.generate(PROMPTS, max_length=15)
    first = model.generate_function
    assert model.make_generate_function() is first

    def mine(inputs, stop_token_ids=None):
        seen.append(stop_token_ids)
        return first(inputs, stop_token_ids)

    model.generate_function = mine
    assert model.generate(PROMPTS, max_length=15) == expected
    assert seen == [[model.preprocessor.tokenizer.end_token_id]]
    model.compile(sampler="greedy")
    assert model.generate_function is None
    assert model.generate(PROMPTS, max_length=15) == expected
    assert len(seen) == 1


def test_samples_are_what_the_preprocessor_makes_of_them():
    model = build()
    x, y, sample_weight = model.preprocess_samples(PROMPTS)
    expected = model.preprocessor(PROMPTS)
    np.testing.assert_array_equal(x["token_ids"], expected[0]["token_ids"])
    np.testing.assert_array_equal(y, expected[1])
    np.testing.assert_array_equal(sample_weight, expected[2])
    model.preprocessor = None
    assert model.preprocess_samples(1, 2) == (1, 2)
    assert model.preprocess_samples(1) == 1


class Headed(FalconCausalLM):
    """One with a layer beside the backbone."""

    def __init__(self, *args, units=2, **kwargs):
        super().__init__(*args, **kwargs)
        self.head = keras.layers.Dense(units)
        self.head.build((None, 8))


def test_the_weights_of_a_task(tmp_path):
    model = build()
    assert not model.has_task_weights()
    for call in (model.save_task_weights, model.load_task_weights):
        with pytest.raises(ValueError, match="All weights of this model are its backbone's"):
            call(tmp_path / "task.weights.h5")
        with pytest.raises(ValueError, match=r"must end in `\.weights\.h5`"):
            call(tmp_path / "task.h5")

    model, other = build(Headed), build(Headed)
    assert model.has_task_weights()
    model.head.kernel.assign(model.head.kernel + 1)
    model.backbone.token_embedding.embeddings.assign(model.backbone.token_embedding.embeddings * 2)
    model.save_task_weights(tmp_path / "task.weights.h5")
    before = other.backbone.get_weights()
    other.load_task_weights(tmp_path / "task.weights.h5")
    np.testing.assert_array_equal(other.head.kernel, model.head.kernel)
    assert all(map(np.array_equal, before, other.backbone.get_weights()))


def test_a_preset_holds_the_weights_of_a_task(tmp_path):
    model = build(Headed)
    model.save_to_preset(tmp_path / "mine")
    restored = Headed.from_preset(tmp_path / "mine")
    np.testing.assert_array_equal(restored.head.kernel, model.head.kernel)
    parts = {"backbone": model.backbone, "preprocessor": None}
    restored = Headed.from_preset(tmp_path / "mine", **parts)
    np.testing.assert_array_equal(restored.head.kernel, model.head.kernel)
    other = Headed.from_preset(tmp_path / "mine", load_weights=False)
    assert not np.array_equal(other.head.kernel, model.head.kernel)
    with pytest.warns(UserWarning, match="for which FalconCausalLM has no place"):
        FalconCausalLM.from_preset(tmp_path / "mine")
    build().save_to_preset(tmp_path / "mine")  # nothing is left of the other
    assert not (tmp_path / "mine/task.weights.h5").exists()
    Headed.from_preset(tmp_path / "mine")  # with a new head, as from any preset


def test_weights_of_a_task_that_do_not_fit_are_refused(tmp_path):
    class Wide(Headed):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, units=3, **kwargs)

    build(Headed).save_to_preset(tmp_path)
    with pytest.raises(ValueError, match=r"task\.weights\.h5"):
        Wide.from_preset(tmp_path)
    (tmp_path / "task.weights.h5").write_bytes(b"none")
    with pytest.raises(ValueError, match=r"task\.weights\.h5 is no whole HDF5 file"):
        Headed.from_preset(tmp_path)


def test_a_summary_shows_the_preprocessor():
    model, lines = build(), []
    model.summary(print_fn=lambda *args, **kwargs: lines.append(args[0]))
    text = "\n".join(lines)
    assert 'Preprocessor: "falcon_causal_lm_preprocessor"' in text
    assert "falcon_tokenizer (FalconTokenizer): 3" in text
    assert "token_embedding" in text
    model.preprocessor, lines = None, []
    model.summary(print_fn=lambda *args, **kwargs: lines.append(args[0]))
    assert "Preprocessor" not in "\n".join(lines)


def test_classes_know_their_parts():
    assert FalconCausalLM.backbone_cls is FalconBackbone
    assert FalconCausalLM.preprocessor_cls is FalconCausalLMPreprocessor
    tokenizer_cls = FalconCausalLMPreprocessor.tokenizer_cls
    assert tokenizer_cls.backbone_cls is FalconCausalLMPreprocessor.backbone_cls is FalconBackbone
    assert tokenizer_cls.presets == FalconCausalLMPreprocessor.presets == FalconBackbone.presets
    model = build()
    for layer in (model.preprocessor, model.preprocessor.tokenizer):
        assert isinstance(layer, keras.layers.Layer)
        assert layer not in model.layers
        assert not layer.weights

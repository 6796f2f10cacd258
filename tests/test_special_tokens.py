"""New special tokens: the tokenizer reads each as one, and the model has a row for it."""

import falcon_edu
from falcon_edu import FalconBackbone, FalconCausalLM, FalconCausalLMPreprocessor, FalconTokenizer
from tests import small_tokenizers
from tests.layouts import LAYOUTS, SIZES

import numpy as np
import pytest

TOKENS = ["<|user|>", "<|assistant|>"]


def make(layout="rw", style="plain", spare=0, tokenizer=None):
    """A small causal LM with a tokenizer that fits it."""
    tokenizer = tokenizer or small_tokenizers.make(style)
    rows = max(tokenizer.vocabulary.values()) + 1 + spare
    backbone = FalconBackbone(**{**SIZES, **LAYOUTS[layout], "vocabulary_size": rows})
    return FalconCausalLM(backbone, FalconCausalLMPreprocessor(tokenizer, sequence_length=24))


@pytest.mark.parametrize("style", ["plain", "falcon"])
def test_a_new_token_is_read_as_one_wherever_it_stands(style):
    old, new = make(style=style), falcon_edu.with_special_tokens(make(style=style), TOKENS)
    text = "The cat gave<|user|>the dog<|assistant|> a drum."
    first = old.backbone.vocabulary_size
    ids = new.preprocessor.tokenizer(text).tolist()
    assert [i for i in ids if i >= first] == [first, first + 1]
    assert new.preprocessor.tokenizer.detokenize(ids) == text
    plain = "The cat gave the dog a drum."
    assert (new.preprocessor.tokenizer(plain) == old.preprocessor.tokenizer(plain)).all()


@pytest.mark.parametrize("layout", ["rw", "7b", "falcon2_11b"])
def test_old_tokens_keep_their_logits_and_new_ones_get_the_mean(layout):
    old = make(layout)
    new = falcon_edu.with_special_tokens(old, TOKENS)
    logits = [falcon_edu.record(model, "The cat gave the dog").logits for model in (old, new)]
    known = sorted(old.preprocessor.tokenizer.vocabulary.values())
    np.testing.assert_allclose(logits[1][..., : logits[0].shape[-1]], logits[0], atol=1e-5)
    mean = logits[0][..., known].mean(axis=-1)
    np.testing.assert_allclose(logits[1][..., -2:], np.stack([mean] * 2, -1), atol=1e-5)


def test_rows_to_spare_are_taken_first():
    old = make(spare=5)
    new = falcon_edu.with_special_tokens(old, TOKENS)
    assert new.backbone.vocabulary_size == old.backbone.vocabulary_size
    before, after = (np.asarray(m.backbone.token_embedding.embeddings) for m in (old, new))
    np.testing.assert_allclose(after[-5:-3], [before[:-5].mean(axis=0)] * 2, atol=1e-6)
    np.testing.assert_array_equal(np.delete(after, [-5, -4], 0), np.delete(before, [-5, -4], 0))


def test_a_model_with_new_tokens_is_saved_and_loaded(tmp_path):
    new = falcon_edu.with_special_tokens(make(), TOKENS)
    new.save_to_preset(tmp_path / "chatty")
    again = FalconCausalLM.from_preset(tmp_path / "chatty")
    text = "<|user|>The cat<|assistant|> gave"
    found = [falcon_edu.record(model, text) for model in (new, again)]
    assert found[0].tokens == found[1].tokens
    np.testing.assert_allclose(found[1].logits, found[0].logits, atol=1e-5)


@pytest.mark.timeout(60)
def test_a_vocabulary_as_large_as_falcon_s_takes_no_minutes():
    """Each id looked up among all, in a set that is made for it, would."""
    small = small_tokenizers.make()
    more = {f"~{number}": number for number in range(len(small.vocabulary), 65_024)}
    tokenizer = FalconTokenizer({**small.vocabulary, **more}, small.merges)
    new = falcon_edu.with_special_tokens(make(tokenizer=tokenizer), TOKENS)
    assert new.preprocessor.tokenizer("<|user|>").tolist() == [65_024]


def test_the_old_model_stays_as_it_is():
    old = make()
    before = [np.asarray(weight) for weight in old.weights]
    falcon_edu.with_special_tokens(old, TOKENS)
    assert "<|user|>" not in old.preprocessor.tokenizer.vocabulary
    for weight, value in zip(old.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize("tokens", [["<|endoftext|>"], ["<|user|>", "<|user|>"], [], [""], [7]])
def test_tokens_that_are_not_new_are_refused(tokens):
    with pytest.raises(ValueError, match="New tokens must be strings that differ"):
        falcon_edu.with_special_tokens(make(), tokens)


def test_a_model_without_a_tokenizer_is_refused():
    model = falcon_edu.FalconCausalLM(make().backbone)
    with pytest.raises(ValueError, match="has no tokenizer to give new tokens to"):
        falcon_edu.with_special_tokens(model, TOKENS)


def test_eight_bits_and_lora_come_after_the_tokens():
    adapted, rounded = make(), make()
    adapted.backbone.enable_lora(2)
    rounded.backbone.quantize("int8")
    for model in (adapted, rounded):
        with pytest.raises(ValueError, match="add the tokens first"):
            falcon_edu.with_special_tokens(model, TOKENS)

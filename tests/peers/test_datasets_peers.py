"""Tokenizer and preprocessor in datasets of TensorFlow, as KerasHub's documentation has them."""

import os
import subprocess
import sys
from pathlib import Path

from falcon_edu.text.preprocessor import FalconCausalLMPreprocessor
from tests.small_tokenizers import END, TALE, make

import numpy as np
import pytest

pytestmark = pytest.mark.peers

TEXTS = ["The cat", "", "café 👩‍🚀", "a\u200bb\0c", END, TALE]


@pytest.fixture(scope="module")
def tf():
    return pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def tokenizer():
    return make("falcon")


@pytest.fixture(scope="module")
def preprocessor(tokenizer):
    return FalconCausalLMPreprocessor(tokenizer, sequence_length=12)


def test_a_dataset_maps_the_tokenizer_over_texts_and_back(tf, tokenizer):
    dataset = tf.data.Dataset.from_tensor_slices(TEXTS).map(tokenizer)
    assert dataset.element_spec == tf.TensorSpec([None], "int32")
    assert [ids.tolist() for ids in dataset.as_numpy_iterator()] == tokenizer(TEXTS)
    back = dataset.map(tokenizer.detokenize)
    assert back.element_spec == tf.TensorSpec([], "string")
    assert [text.decode() for text in back.as_numpy_iterator()] == TEXTS


@pytest.mark.parametrize("drop_remainder", [True, False])
def test_a_dataset_maps_the_tokenizer_over_batches_and_back(tf, tokenizer, drop_remainder):
    batches = tf.data.Dataset.from_tensor_slices(TEXTS).batch(2, drop_remainder)
    ids = batches.map(tokenizer, num_parallel_calls=tf.data.AUTOTUNE)
    assert isinstance(ids.element_spec, tf.RaggedTensorSpec)
    assert [row for batch in ids for row in batch.to_list()] == tokenizer(TEXTS)
    back = ids.map(tokenizer.detokenize)
    assert [text.decode() for batch in back for text in batch.numpy()] == TEXTS


def test_lengths_and_types_of_a_tokenizer_hold_in_a_dataset(tf):
    texts = tf.data.Dataset.from_tensor_slices(TEXTS)
    padded = make("plain", sequence_length=5, dtype="uint16")
    dataset = texts.batch(6).map(padded)
    assert dataset.element_spec == tf.TensorSpec([None, 5], "uint16")
    np.testing.assert_array_equal(next(dataset.as_numpy_iterator()), padded(TEXTS))
    strings = make("plain", dtype="string")
    rows = [[t.decode() for t in row] for row in texts.map(strings).as_numpy_iterator()]
    assert rows == strings(TEXTS)
    padded = make("plain", sequence_length=5, dtype="string")
    dataset = texts.map(padded)
    assert dataset.element_spec == tf.TensorSpec([5], "string")
    assert [[t.decode() for t in row] for row in dataset.as_numpy_iterator()] == padded(
        TEXTS
    ).tolist()


@pytest.mark.parametrize("size", [None, 2])
def test_a_dataset_maps_the_preprocessor(tf, preprocessor, size):
    dataset = tf.data.Dataset.from_tensor_slices(TEXTS)
    dataset = dataset if size is None else dataset.batch(size)
    batch = () if size is None else (None,)
    mapped = dataset.map(preprocessor, num_parallel_calls=tf.data.AUTOTUNE)
    x, y, sample_weight = mapped.element_spec
    assert x["token_ids"] == y == tf.TensorSpec([*batch, 12], "int32")
    assert x["padding_mask"] == sample_weight == tf.TensorSpec([*batch, 12], "bool")
    for text, (x, y, sample_weight) in zip(
        dataset.as_numpy_iterator(), mapped.as_numpy_iterator(), strict=True
    ):
        expected_x, expected_y, expected_weight = preprocessor(text)
        np.testing.assert_array_equal(x["token_ids"], expected_x["token_ids"])
        np.testing.assert_array_equal(x["padding_mask"], expected_x["padding_mask"])
        np.testing.assert_array_equal(y, expected_y)
        np.testing.assert_array_equal(sample_weight, expected_weight)


def test_labels_in_a_dataset_are_replaced_by_the_next_tokens(tf, preprocessor):
    pairs = tf.data.Dataset.from_tensor_slices((TEXTS, list(range(len(TEXTS))))).batch(3)
    _, y, _ = next(pairs.map(preprocessor).as_numpy_iterator())
    np.testing.assert_array_equal(y, preprocessor(TEXTS[:3])[1])


@pytest.mark.parametrize("size", [None, 2])
def test_a_dataset_maps_what_comes_before_and_after_generation(tf, preprocessor, size):
    texts = TEXTS[:3]
    dataset = tf.data.Dataset.from_tensor_slices(texts)
    dataset = dataset if size is None else dataset.batch(size)
    prompts = dataset.map(preprocessor.generate_preprocess)
    spec = prompts.element_spec["token_ids"]
    assert spec == tf.TensorSpec([*([] if size is None else [None]), 12], "int32")
    back = prompts.map(preprocessor.generate_postprocess)
    back = back if size is None else back.unbatch()
    assert [text.decode() for text in back.as_numpy_iterator()] == [
        preprocessor.generate_postprocess(preprocessor.generate_preprocess(text)) for text in texts
    ]


def test_tensors_outside_of_a_graph_are_read_like_strings(tf, tokenizer, preprocessor):
    assert tokenizer(tf.constant("The cat")).tolist() == tokenizer("The cat").tolist()
    assert tokenizer(tf.constant(TEXTS)) == tokenizer(TEXTS)
    ids = preprocessor(tf.constant(TEXTS))[0]["token_ids"]
    np.testing.assert_array_equal(ids, preprocessor(TEXTS)[0]["token_ids"])
    assert tokenizer.detokenize(tf.constant([1, 2])) == tokenizer.detokenize([1, 2])
    ragged = tf.ragged.constant([[1, 2], [3]])
    assert tokenizer.detokenize(ragged) == tokenizer.detokenize([[1, 2], [3]])


def test_what_is_no_text_is_refused_in_words(tf, tokenizer, preprocessor):
    for layer in (tokenizer, preprocessor):
        with pytest.raises(ValueError, match="must be of rank 0 or 1"):
            tf.data.Dataset.from_tensors([["a"]]).map(layer)
        dataset = tf.data.Dataset.from_tensors(b"\xff").map(layer)
        with pytest.raises(tf.errors.InvalidArgumentError, match="must be UTF-8"):
            next(iter(dataset))


def test_mapped_datasets_have_the_ids_of_keras_hub(tf):
    import keras_hub

    ours = make("plain")
    theirs = keras_hub.models.FalconTokenizer(ours.vocabulary, ours.merges, unsplittable_tokens=[])
    batches = tf.data.Dataset.from_tensor_slices(TEXTS[:3]).batch(2)
    for a, b in zip(batches.map(ours), batches.map(theirs), strict=True):
        assert a.to_list() == b.to_list()
    pair = [
        FalconCausalLMPreprocessor(ours, sequence_length=9),
        keras_hub.models.FalconCausalLMPreprocessor(theirs, sequence_length=9),
    ]
    (x, y, weight), (their_x, their_y, their_weight) = (
        next(batches.map(preprocessor).as_numpy_iterator()) for preprocessor in pair
    )
    np.testing.assert_array_equal(x["token_ids"], their_x["token_ids"])
    np.testing.assert_array_equal(x["padding_mask"], their_x["padding_mask"])
    np.testing.assert_array_equal(y, their_y)
    np.testing.assert_array_equal(weight, their_weight)


def test_tensorflow_rewrites_what_a_dataset_maps_without_a_warning():
    """In a process of its own: TensorFlow warns of a function once."""
    program = """
from falcon_edu import FalconCausalLMPreprocessor
from tests.small_tokenizers import make
import tensorflow as tf
tokenizer = make("falcon")
preprocessor = FalconCausalLMPreprocessor(tokenizer, sequence_length=8)
texts = tf.data.Dataset.from_tensor_slices(["a b", "c"])
for layer in (preprocessor, tokenizer, lambda x: preprocessor(x), tokenizer.tokenize):
    list(texts.map(layer))
list(texts.batch(2).map(tokenizer).map(tokenizer.detokenize))
list(texts.map(preprocessor.generate_preprocess).map(preprocessor.generate_postprocess))
print("done")
"""
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "done\n"
    assert "AutoGraph" not in done.stderr

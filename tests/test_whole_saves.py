"""Keras's own ways to save, set and train models: whole or not at all, and refused in words."""

import os

from falcon_edu import FalconBackbone
from falcon_edu.support.steady import SteadyModel
from tests.test_causal_lm import byte_lm

import keras
import numpy as np
import pytest


@pytest.fixture
def model():
    inputs = keras.Input((3,))
    model = SteadyModel(inputs, keras.layers.Dense(2, name="last")(inputs))
    model.compile("sgd", "mse")
    return model


def interrupted(*args):
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["a.keras", "a.v2.keras", "a.weights.h5"])
def test_a_save_that_is_interrupted_keeps_the_older_file(model, tmp_path, name):
    save = model.save_weights if name.endswith(".h5") else model.save
    save(tmp_path / name)
    before = (tmp_path / name).read_bytes()
    expected = model.get_weights()
    model.set_weights([weight + 1 for weight in expected])
    model.get_layer("last").save_own_variables = interrupted
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path / name)
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == before
    del model.get_layer("last").save_own_variables
    save(tmp_path / name)
    other = keras.models.load_model(tmp_path / name) if name.endswith(".keras") else model
    if other is model:
        model.load_weights(tmp_path / name)
    np.testing.assert_array_equal(other.get_weights()[0], expected[0] + 1)


def test_weights_in_shards_and_unpacked_models_are_saved_as_keras_does(model, tmp_path):
    model.save(tmp_path / "folder", zipped=False)
    assert (tmp_path / "folder/config.json").is_file()
    with pytest.raises(ValueError, match=r"\.weights\.h5"):
        model.save_weights(tmp_path / "a.h5")


@pytest.mark.parametrize("name", ["a.h5", "a.hdf5"])
def test_a_format_that_could_not_be_read_back_is_refused(model, tmp_path, name):
    with pytest.raises(ValueError, match=r"ends in \.keras"):
        model.save(tmp_path / name)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: [*w[:-1], np.zeros(77)], r"Number 1 has \(77,\), not \(2,\)"),
        (lambda w: w[:-1], "Received 1"),
        (lambda w: [*w, w[0]], "Received 3"),
    ],
)
def test_weights_that_do_not_fit_change_none(model, change, said):
    before = model.get_weights()
    with pytest.raises(ValueError, match=said):
        model.set_weights(change([weight + 1 for weight in before]))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_head_says_what_to_do_after_trainable_was_changed():
    backbone = FalconBackbone(10, 1, 2, 4, 8)
    backbone.trainable = False
    model = SteadyModel(backbone.input, keras.layers.Dense(1)(backbone.output[:, -1]))
    model.compile("adam", "mse")
    ids = np.ones((2, 3), "int32")
    inputs = {"token_ids": ids, "padding_mask": ids}
    model.fit(inputs, np.ones((2, 1)), verbose=0)
    model.get_layer("transformer_layer_0").trainable = True
    before = model.get_weights()
    with pytest.raises(ValueError, match="Call `compile` again"):
        model.fit(inputs, np.ones((2, 1)), verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_loss_of_the_users_own_sees_texts_at_their_full_length():
    """As in KerasHub: its mean divides by the padding too, whatever else is in the batch."""
    falcon = byte_lm()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    falcon.compile("sgd", loss, weighted_metrics=[])
    falcon.preprocessor.sequence_length = 64
    texts = ["the cat", "a cat sat on a mat", "on"]
    rows = falcon.preprocessor(texts)
    assert falcon.evaluate(texts, verbose=0) == pytest.approx(
        falcon.evaluate(*rows[:2], sample_weight=rows[2], verbose=0)
    )
    expected = loss(rows[1], falcon.predict(texts, verbose=0), rows[2])
    assert falcon.evaluate(texts, verbose=0) == pytest.approx(float(expected), rel=1e-5)
    # An epoch's mean weighs batches by their rows, as Keras's.
    parts = [falcon.evaluate(texts[i : i + 2], verbose=0) for i in (0, 2)]
    mean = (2 * parts[0] + parts[1]) / 3
    assert falcon.evaluate(texts, batch_size=2, verbose=0) == pytest.approx(mean, rel=1e-5)


@pytest.mark.parametrize("filters", ["nosuchlayer", ["dense_h_to_4h", "nosuchlayer"]])
def test_filters_that_no_layer_passes_are_refused_and_nothing_is_rounded(filters):
    backbone = FalconBackbone(10, 1, 2, 4, 8)
    with pytest.raises(ValueError, match=r"'nosuchlayer'.*dense_h_to_4h"):
        backbone.quantize("int8", filters=filters)
    assert {str(weight.dtype) for weight in backbone.weights} == {"float32"}

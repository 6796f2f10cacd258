"""Datasets of TensorFlow and torch, as KerasHub's users have them."""

from tests.test_causal_lm import byte_lm
from tests.test_datasets import TEXTS

import numpy as np
import pytest

pytestmark = pytest.mark.peers


def same_loss(model, make):
    expected = model.evaluate(TEXTS, batch_size=2, verbose=0)
    assert model.evaluate(make(), verbose=0) == pytest.approx(expected, rel=1e-5)
    history = model.fit(make(), validation_data=make(), epochs=2, verbose=0).history
    assert np.isfinite(history["loss"] + history["val_loss"]).all()
    assert len(history["loss"]) == 2


def test_texts_in_a_dataset_of_tensorflow_train_and_predict():
    import tensorflow as tf

    model = byte_lm()
    texts = tf.data.Dataset.from_tensor_slices(TEXTS)
    same_loss(model, lambda: texts.batch(2))
    same_loss(model, lambda: tf.data.Dataset.zip((texts, texts)).batch(2))
    same_loss(model, lambda: texts.batch(2).map(model.preprocessor))
    expected = model.predict(TEXTS, verbose=0)
    for dataset in (texts.batch(2), texts.batch(1), texts):
        np.testing.assert_allclose(model.predict(dataset, verbose=0), expected, atol=1e-5)
    np.testing.assert_allclose(model.predict(tf.constant(TEXTS), verbose=0), expected, atol=1e-5)
    np.testing.assert_allclose(model.predict_on_batch(tf.constant(TEXTS)), expected, atol=1e-5)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_a_dataset_of_tensorflow_that_is_no_text_is_refused_in_words():
    import tensorflow as tf

    model = byte_lm()
    before = model.get_weights()
    for loop in (model.fit, model.evaluate, model.predict):
        with pytest.raises(ValueError, match="Inputs must be a dictionary"):
            loop(tf.data.Dataset.from_tensor_slices(np.ones((4, 3), int)).batch(2))
    assert all(map(np.array_equal, model.get_weights(), before))


def test_a_data_loader_of_torch_trains_and_predicts():
    from torch.utils.data import DataLoader

    model = byte_lm()
    same_loss(model, lambda: DataLoader(TEXTS, batch_size=2))
    same_loss(model, lambda: DataLoader([(text, 1) for text in TEXTS], batch_size=2))
    x, y, sample_weight = model.preprocessor(TEXTS)
    rows = [
        ({key: value[i] for key, value in x.items()}, y[i], sample_weight[i])
        for i in range(len(TEXTS))
    ]
    same_loss(model, lambda: DataLoader(rows, batch_size=2))
    logits = model.predict(DataLoader(TEXTS, batch_size=2), verbose=0)
    np.testing.assert_allclose(logits, model.predict(TEXTS, verbose=0), atol=1e-5)

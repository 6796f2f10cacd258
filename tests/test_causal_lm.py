"""The loss is nats per real token, whatever the padding; a model saved is a model loaded."""

import functools

from falcon_edu import FalconCausalLM, FalconCausalLMPreprocessor, FalconTokenizer
from falcon_edu.generation.samplers import TopKSampler
from falcon_edu.text.byte_level import byte_alphabet
from tests import layouts

import keras
import numpy as np
import pytest

TEXTS = ["the cat sat", "a dog", "the dog sat on the cat", "on"]


def byte_preprocessor(sequence_length=40):
    vocabulary = {letter: byte for byte, letter in byte_alphabet().items()}
    tokenizer = FalconTokenizer({**vocabulary, "<|endoftext|>": 256}, merges=[])
    return FalconCausalLMPreprocessor(tokenizer, sequence_length=sequence_length)


def byte_lm(**overrides):
    backbone = layouts.build(vocabulary_size=257, num_layers=1, **overrides)
    embeddings = backbone.token_embedding.embeddings
    embeddings.assign(embeddings * 0.05)  # logits near those of a model that knows nothing
    return FalconCausalLM(backbone, byte_preprocessor())


@functools.cache
def shared():
    """A model that no test trains."""
    return byte_lm()


def nats_by_hand(model, x):
    """Cross-entropy of every real token after the first, in float64: a list for each row."""
    logits = np.asarray(model.predict_on_batch(x), "float64")
    rows = []
    for row, ids, mask in zip(logits, x["token_ids"], x["padding_mask"], strict=True):
        row, ids = row[mask.astype(bool)], ids[mask.astype(bool)]
        log_probs = row - np.log(np.exp(row).sum(-1, keepdims=True))
        rows.append([-log_probs[i, ids[i + 1]] for i in range(len(ids) - 1)])
    return rows


def token_dict(side="right", texts=TEXTS):
    """Texts with start and end token, in 40 columns."""
    x = {key: np.zeros((len(texts), 40), int) for key in ("token_ids", "padding_mask")}
    for i, text in enumerate(texts):
        ids = [256, *text.encode(), 256]
        columns = slice(0, len(ids)) if side == "right" else slice(40 - len(ids), 40)
        x["token_ids"][i, columns] = ids
        x["padding_mask"][i, columns] = 1
    return x


def evaluate(model, x, **arguments):
    return model.evaluate(x, **arguments, return_dict=True, verbose=0)


# === The loss ===


def test_the_loss_is_nats_per_real_token():
    model = shared()
    nats = np.concatenate(nats_by_hand(model, token_dict()))
    right = model.preprocessor(TEXTS)
    for data in (
        {"x": TEXTS},
        {"x": np.array(TEXTS)},
        {"x": token_dict()},
        {"x": token_dict("left")},
        {"x": right[0], "y": right[1], "sample_weight": right[2]},
    ):
        # Batches of two have unlike numbers of tokens; the mean is over tokens all the same.
        for batch_size in (4, 2):
            loss = evaluate(model, **data, batch_size=batch_size)["loss"]
            assert loss == pytest.approx(np.mean(nats), rel=1e-5), data


def test_the_accuracy_is_over_real_tokens():
    model = shared()
    x = token_dict()
    best = model.predict_on_batch(x).argmax(-1)
    hits = [
        best[i, j] == x["token_ids"][i, j + 1]
        for i in range(len(TEXTS))
        for j in range(x["padding_mask"][i].sum() - 1)
    ]
    accuracy = evaluate(model, TEXTS)["sparse_categorical_accuracy"]
    assert accuracy == pytest.approx(np.mean(hits))
    assert model.evaluate(TEXTS, verbose=0)[1] == pytest.approx(accuracy)


def test_sample_weight_chooses_what_counts():
    model = shared()
    x = token_dict()
    weight = np.zeros((len(TEXTS), 40))
    weight[0] = 1
    loss = evaluate(model, x, sample_weight=weight)["loss"]
    assert loss == pytest.approx(np.mean(nats_by_hand(model, x)[0]), rel=1e-5)


def test_gradients_do_not_see_padding():
    """A step from a padded batch is the step from the tokens alone, whatever stands on padding."""

    def train(x):
        model = byte_lm()
        model.compile(optimizer=keras.optimizers.SGD(1.0))
        loss = model.train_on_batch(x, return_dict=True)["loss"]
        return loss, [layouts.to_float64(w) for w in model.trainable_variables]

    texts = TEXTS[2:3] * 2
    tight = {key: value[:, :24] for key, value in token_dict(texts=texts).items()}
    garbage = token_dict(texts=texts)
    garbage["token_ids"][garbage["padding_mask"] == 0] = 77
    expected_loss, expected = train(tight)
    for x in (garbage, token_dict("left", texts)):
        loss, weights = train(x)
        assert loss == pytest.approx(expected_loss, rel=1e-5)
        for ours, theirs in zip(weights, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=2e-4)
    untrained = layouts.to_float64(byte_lm().trainable_variables[0])
    assert np.abs(expected[0] - untrained).max() > 0.01


# === fit, evaluate, predict ===


def test_fit_on_texts_lowers_the_loss():
    model = byte_lm()
    model.compile(optimizer=keras.optimizers.Adam(1e-2))
    before = evaluate(model, TEXTS)["loss"]
    history = model.fit(TEXTS, batch_size=2, epochs=12, validation_data=TEXTS, verbose=0).history
    after = evaluate(model, TEXTS)["loss"]
    assert before == pytest.approx(np.log(257), rel=0.1)
    assert after < before / 2
    assert history["loss"][-1] < history["loss"][0]
    assert history["val_loss"][-1] == pytest.approx(after, rel=1e-5)


@pytest.mark.parametrize("kind", ["dict", "labels", "generator", "dataset", "validation_split"])
def test_fit_takes_data_as_keras_does(kind):
    class Dataset(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return {key: value[2 * index : 2 * index + 2] for key, value in token_dict().items()}

    model = fitted()
    x, y, sample_weight = model.preprocessor(TEXTS)
    if kind == "dict":
        model.fit(token_dict(), batch_size=2, validation_data=token_dict(), verbose=0)
    elif kind == "labels":
        validation_data = (x, y, sample_weight)
        model.fit(x, y, 2, sample_weight, validation_data=validation_data, verbose=0)
    elif kind == "generator":
        model.fit(((token_dict(),) for _ in range(2)), steps_per_epoch=2, verbose=0)
    elif kind == "dataset":
        model.fit(Dataset(), validation_data=Dataset(), verbose=0)
    else:
        model.fit(TEXTS, batch_size=2, validation_split=0.5, verbose=0)
    (loss,) = model.history.history["loss"]
    assert np.isfinite(loss)
    if kind in ("dict", "labels", "dataset", "validation_split"):
        assert np.isfinite(model.history.history["val_loss"]).all()


@functools.cache
def fitted():
    return byte_lm()


def test_padding_that_no_text_needs_is_cut():
    model = byte_lm()
    model.preprocessor.sequence_length = 1024
    widths = []
    original = model.compute_loss

    def spy(x, *args, **kwargs):
        widths.append(x["token_ids"].shape[1])
        return original(x, *args, **kwargs)

    model.compute_loss = spy
    model.evaluate(TEXTS, verbose=0)
    assert set(widths) == {32}


def test_predict_gives_logits():
    model = shared()
    logits = model.predict(token_dict(), verbose=0)
    assert logits.shape == (4, 40, 257)
    np.testing.assert_allclose(logits, model.predict_on_batch(token_dict()), atol=1e-5)
    of_texts = model.predict(TEXTS, verbose=0)[:, :3]
    np.testing.assert_allclose(of_texts, logits[:, :3], atol=1e-5)
    np.testing.assert_allclose(model.predict_on_batch(TEXTS)[:, :3], logits[:, :3], atol=1e-5)


def test_lora_trains_its_factors_alone():
    model = byte_lm()
    model.backbone.enable_lora(rank=2)
    before = {v.path: layouts.to_float64(v) for v in model.variables}
    model.compile(optimizer=keras.optimizers.Adam(1e-2))
    model.fit(TEXTS, epochs=2, verbose=0)
    changed = {v.path for v in model.variables if (layouts.to_float64(v) != before[v.path]).any()}
    assert changed
    assert all("lora" in path for path in changed)


def test_an_optimizer_of_other_weights_is_refused_in_words():
    model = byte_lm()
    model.fit(TEXTS, verbose=0)
    model.backbone.enable_lora(rank=2)
    for train in (lambda: model.fit(TEXTS, verbose=0), lambda: model.train_on_batch(TEXTS)):
        with pytest.raises(ValueError, match=r"`enable_lora`.* Call `compile` again"):
            train()
    model.compile()
    model.fit(TEXTS, verbose=0)


def test_an_optimizer_of_as_many_other_weights_is_refused():
    """Keras counts them only, and would use the averages of other weights."""
    model = byte_lm()
    (block,) = model.backbone.transformer_layers
    first, second = block.dense_h_to_4h, block.dense_4h_to_h
    first.trainable = False
    model.compile(optimizer="adam")
    model.fit(TEXTS, verbose=0)
    first.trainable, second.trainable = True, False
    with pytest.raises(ValueError, match="change of `trainable`"):
        model.fit(TEXTS, verbose=0)


def test_a_model_without_an_optimizer_asks_for_compile():
    model = FalconCausalLM(byte_lm().backbone, compile=False)
    with pytest.raises(ValueError, match=r"call `compile\(\)`"):
        model.fit(token_dict(), verbose=0)


# === Saving ===


def test_config_round_trip():
    model = byte_lm(attention_dropout_rate=0.25)
    again = FalconCausalLM.from_config(model.get_config())
    assert again.backbone.get_config() == model.backbone.get_config()
    assert again.preprocessor.get_config() == model.preprocessor.get_config()
    assert again.name == model.name
    without = FalconCausalLM.from_config(FalconCausalLM(model.backbone).get_config())
    assert without.preprocessor is None


@pytest.mark.parametrize("trained", [False, True])
def test_keras_file_round_trip(tmp_path, trained):
    model = byte_lm()
    model.compile(optimizer=keras.optimizers.Adam(1e-2), sampler=TopKSampler(k=7, seed=3))
    if trained:
        model.fit(TEXTS, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(again, FalconCausalLM)
    np.testing.assert_array_equal(
        again.predict_on_batch(token_dict()), model.predict_on_batch(token_dict())
    )
    assert again.sampler.get_config() == model.sampler.get_config()
    if trained:
        model.fit(TEXTS, shuffle=False, verbose=0)
        again.fit(TEXTS, shuffle=False, verbose=0)
        assert evaluate(again, TEXTS) == pytest.approx(evaluate(model, TEXTS))
    assert again.generate("the", max_length=12).startswith("the")


# === Construction and errors ===


def test_logits_come_from_the_embedding_or_the_head():
    for layout in ("rw", "falcon2_11b"):
        backbone = layouts.build(layout, num_layers=1)
        inputs = layouts.inputs("right")
        expected = backbone.token_embedding(backbone.predict_on_batch(inputs), reverse=True)
        logits = FalconCausalLM(backbone).predict_on_batch(inputs)
        np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_the_defaults_of_compile():
    model = shared()
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert float(model.optimizer.learning_rate.value) == pytest.approx(2e-5)
    assert isinstance(model.sampler, TopKSampler)
    assert FalconCausalLM(model.backbone, compile=False).compiled is False


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda m: m("text"), "reads token ids, not text"),
        (lambda m: m(["text"]), "reads token ids, not text"),
        (lambda m: m({"token_ids": [[257]], "padding_mask": [[1]]}), "vocabulary_size=257"),
        (lambda m: m.fit({"token_ids": [[999]], "padding_mask": [[1]]}), "vocabulary_size=257"),
        (lambda m: m.evaluate({"token_ids": [[1]]}), "padding_mask"),
        (lambda m: m.compile(sampler="best"), "Unknown sampler 'best'"),
        (lambda m: FalconCausalLM(m.backbone).fit(["text"]), "can't read text"),
        (lambda m: FalconCausalLM(m.backbone).predict("text"), "can't read text"),
        (lambda m: FalconCausalLM("backbone"), "FalconBackbone.*str"),
    ],
)
def test_errors(act, words):
    with pytest.raises(ValueError, match=f"(?s){words}"):
        act(shared())

"""Texts and token dicts from wherever Keras takes data train alike, or are refused in words."""

import functools

from falcon_edu import FalconCausalLM, FalconTokenizer
from falcon_edu.support.datasets import unpack
from falcon_edu.support.inputs import texts_of
from falcon_edu.text.byte_level import byte_alphabet
from tests import layouts
from tests.test_causal_lm import byte_lm, byte_preprocessor

import keras
import numpy as np
import pytest

TEXTS = ["the cat sat", "a dög", "", "on"]
BATCHES = [TEXTS[:2], TEXTS[2:]]
BYTES = [text.encode() for text in TEXTS]


class Column:
    """A column of a data frame, as pandas, polars and the datasets library have them."""

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return self.values[index]


class Texts(keras.utils.PyDataset):
    """Batches, one for each index."""

    def __init__(self, batches, **kwargs):
        super().__init__(**kwargs)
        self.batches, self.epochs = batches, 0

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]

    def on_epoch_end(self):
        self.epochs += 1


class Stream:
    """Batches as often as they are asked for, their number unknown."""

    def __init__(self, batches):
        self.batches = batches

    def __iter__(self):
        return iter(self.batches)


@functools.cache
def model():
    """One that is never trained: a learning rate of zero."""
    model = byte_lm()
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    return model


ALL_AT_ONCE = {
    "list": TEXTS,
    "tuple": tuple(TEXTS),
    "array": np.array(TEXTS),
    "object array": np.array(TEXTS, dtype=object),
    "string array": np.array(TEXTS, dtype=np.dtypes.StringDType()),
    "column of an array": np.array(TEXTS)[:, None],
    "bytes": BYTES,
    "bytes array": np.array(BYTES),
    "object array of bytes": np.array(BYTES, dtype=object),
    "column": Column(TEXTS),
    "keys": dict.fromkeys(TEXTS).keys(),
}

IN_BATCHES = {
    "PyDataset": lambda: Texts(BATCHES),
    "PyDataset with workers": lambda: Texts(BATCHES, workers=2),
    "PyDataset of arrays": lambda: Texts(list(map(np.array, BATCHES))),
    "PyDataset of parts": lambda: Texts([(batch,) for batch in BATCHES]),
    "generator": lambda: (batch for batch in BATCHES),
    "generator of bytes": lambda: (np.array(list(map(str.encode, b))) for b in BATCHES),
    "generator of labels too": lambda: ((batch, [0, 0]) for batch in BATCHES),
    "generator of weights too": lambda: ((batch, [0, 0], [1, 1]) for batch in BATCHES),
    "iterator": lambda: iter(BATCHES),
    "stream": lambda: Stream(BATCHES),
    "token dicts": lambda: (model().preprocessor(batch)[0] for batch in BATCHES),
    "all of it": lambda: (model().preprocessor(batch) for batch in BATCHES),
}


@pytest.mark.parametrize("kind", ALL_AT_ONCE)
def test_texts_train_in_whatever_they_stand(kind):
    x = ALL_AT_ONCE[kind]
    history = model().fit(x, batch_size=2, shuffle=False, validation_data=x, verbose=0).history
    expected = model().evaluate(TEXTS, batch_size=2, verbose=0)
    assert history["loss"] == history["val_loss"] == pytest.approx(expected[:1], rel=1e-5)
    np.testing.assert_array_equal(model().predict_on_batch(x), model().predict_on_batch(TEXTS))


@pytest.mark.parametrize("kind", IN_BATCHES)
def test_texts_train_batch_by_batch(kind):
    expected = model().evaluate(TEXTS, batch_size=2, verbose=0)
    make = IN_BATCHES[kind]
    arguments = {"shuffle": False} if "PyDataset" in kind else {}
    history = model().fit(make(), validation_data=make(), verbose=0, **arguments).history
    assert history["loss"] == history["val_loss"] == pytest.approx(expected[:1], rel=1e-5)
    assert model().evaluate(make(), verbose=0) == pytest.approx(expected, rel=1e-5)
    logits = model().predict(make(), verbose=0)
    np.testing.assert_allclose(logits, model().predict(TEXTS, batch_size=2, verbose=0), atol=1e-5)


def test_texts_one_by_one_are_batches_of_one():
    expected = model().evaluate(TEXTS, batch_size=1, verbose=0)
    for make in (
        lambda: (text for text in TEXTS),
        lambda: ((text,) for text in TEXTS),
        lambda: ((text.encode(), 0) for text in TEXTS),
        lambda: Texts(TEXTS),
        lambda: Texts([np.array(text) for text in TEXTS]),
    ):
        assert model().evaluate(make(), verbose=0) == pytest.approx(expected, rel=1e-5)


def test_what_can_be_gone_through_again_is_in_every_epoch():
    dataset = Texts(BATCHES)
    model().fit(dataset, epochs=3, verbose=0)
    assert dataset.epochs >= 3
    for data in (dataset, Stream(BATCHES)):
        history = model().fit(data, epochs=3, validation_data=data, verbose=0).history
        assert np.isfinite(history["loss"] + history["val_loss"]).all()
        assert len(history["loss"]) == len(history["val_loss"]) == 3


def test_a_fit_after_a_fit_takes_texts_in_datasets():
    lm = byte_lm()
    lm.fit(TEXTS, verbose=0)
    lm.fit(Texts(BATCHES), verbose=0)
    lm.fit((batch for batch in BATCHES), verbose=0)
    assert all(np.isfinite(weight).all() for weight in lm.get_weights())


# === One rule for the length ===


def test_predictions_of_texts_are_as_long_as_the_preprocessor_says():
    """As in KerasHub: `sequence_length`, whatever the texts are, and however they come."""
    t = model().preprocessor.sequence_length
    assert model().predict(TEXTS, verbose=0).shape == (4, t, 257)
    assert model().predict(Texts(BATCHES), verbose=0).shape == (4, t, 257)
    assert model().predict_on_batch(TEXTS).shape == (4, t, 257)
    assert model().predict_on_batch("on").shape == (1, t, 257)
    x = model().preprocessor(TEXTS, sequence_length=7)[0]
    assert model().predict(x, verbose=0).shape == model().predict_on_batch(x).shape == (4, 7, 257)


def test_each_batch_of_a_dataset_is_as_long_as_its_texts_need_in_training():
    lm = byte_lm()
    lm.preprocessor.sequence_length = 1024
    widths = set()
    original = lm.compute_loss

    def spy(x, *args, **kwargs):
        widths.add(x["token_ids"].shape[1])
        return original(x, *args, **kwargs)

    lm.compute_loss = spy
    lm.evaluate(Texts([TEXTS, ["longer " * 8]]), verbose=0)
    assert widths == {32, 64}


# === Refused ===

WRONG = {
    "no text": [],
    "no array of texts": np.array([], dtype=object),
    "no column": Column([]),
    "None": None,
    "None among texts": ["a", None],
    "None first": [None, "a"],
    "None in an array": np.array(["a", None], dtype=object),
    "None in a column": Column(["a", None]),
    "a gap in a column": Column(["a", float("nan")]),
    "a number among texts": ["a", 3],
    "ids": [[1, 2, 3]],
    "an array of ids": np.array([[1, 2, 3]]),
    "a tensor of ids": keras.ops.ones((1, 3), "int32"),
    "a text in a text": [["a", "b"], ["c"]],
    "no UTF-8": b"\xff",
    "one input": {"token_ids": np.ones((1, 3), int)},
    "ids too large": {"token_ids": np.full((1, 3), 999), "padding_mask": np.ones((1, 3))},
    "no rows": {"token_ids": np.ones((0, 3), int), "padding_mask": np.ones((0, 3))},
}
WORDS = "Inputs must|Texts in bytes|vocabulary_size|at least one t"


@pytest.mark.parametrize("loop", ["fit", "evaluate", "predict", "train_on_batch", "generate"])
@pytest.mark.parametrize("kind", WRONG)
def test_data_that_are_none_are_refused_in_words(kind, loop):
    before = model().get_weights()
    with pytest.raises(ValueError, match=WORDS):
        getattr(model(), loop)(WRONG[kind])
    if loop in ("fit", "evaluate", "predict") and kind != "a text in a text":  # x and y, in batches
        for make in (lambda x: Texts([["a", "b"], x]), lambda x: iter([["a", "b"], x])):
            with pytest.raises(ValueError, match=WORDS):
                getattr(model(), loop)(make(WRONG[kind]), verbose=0)
    assert all(map(np.array_equal, model().get_weights(), before))


@pytest.mark.parametrize("loop", ["fit", "evaluate", "predict"])
def test_a_backbone_refuses_batches_that_are_no_token_dicts(loop):
    backbone = layouts.build(num_layers=1)
    backbone.compile(optimizer="sgd", loss="mse")
    before = backbone.get_weights()
    for wrong in (["a"], {"token_ids": np.full((1, 3), 40), "padding_mask": np.ones((1, 3))}):
        for data in (Texts([wrong, wrong]), iter([(wrong,)]), wrong):
            with pytest.raises(ValueError, match=r"Inputs must be a dictionary|vocabulary_size=40"):
                getattr(backbone, loop)(data, verbose=0)
    assert all(map(np.array_equal, backbone.get_weights(), before))


def test_a_whole_table_is_refused_by_its_columns():
    class Table:
        columns = ["title", "text"]

        def __len__(self):
            return 2

    for act in (model().fit, model().generate):
        with pytest.raises(ValueError, match=r"choose the one .* title, text"):
            act(Table())


def test_labels_beside_a_dataset_are_refused():
    with pytest.raises(ValueError, match="yields labels and weights itself"):
        model().fit(Texts(BATCHES), y=np.zeros((4, 3)))
    with pytest.raises(ValueError, match="yields labels and weights itself"):
        model().evaluate(iter(BATCHES), sample_weight=np.zeros((4, 3)))


def test_a_token_that_the_model_has_no_row_for_is_refused_before_it_trains():
    """Its loss would be NaN, and so would be all weights."""
    vocabulary = {letter: byte for byte, letter in byte_alphabet().items()}
    vocabulary |= {"<|endoftext|>": 256, "<|user|>": 257}
    tokenizer = FalconTokenizer(vocabulary, merges=[], unsplittable_tokens=["<|user|>"])
    lm = FalconCausalLM(byte_lm().backbone, byte_preprocessor())
    lm.preprocessor.tokenizer = tokenizer
    before = lm.get_weights()
    text = ["a<|user|>"]
    for data in (text, Texts([text])):
        for loop in (lm.fit, lm.evaluate, lm.predict):
            with pytest.raises(ValueError, match=r"below vocabulary_size=257.* 257"):
                loop(data, verbose=0)
    for act in (lm.train_on_batch, lm.test_on_batch, lm.predict_on_batch, lm.generate):
        with pytest.raises(ValueError, match=r"below vocabulary_size=257.* 257"):
            act(text)
    # The last token of a text that was cut is a label only.
    lm.preprocessor.sequence_length = 2
    lm.preprocessor.add_end_token = False
    with pytest.raises(ValueError, match=r"`y` must be .* 257"):
        lm.fit(text, verbose=0)
    assert all(map(np.array_equal, lm.get_weights(), before))


@pytest.mark.parametrize("label", [-100, 257])
def test_labels_that_are_no_tokens_are_refused_before_they_train(label):
    lm = byte_lm()
    x, y, sample_weight = lm.preprocessor(TEXTS)
    y = y.copy()
    y[0, 1] = label
    for act in (
        lambda: lm.fit(x, y, verbose=0),
        lambda: lm.fit(iter([(x, y, sample_weight)]), verbose=0),
        lambda: lm.train_on_batch(x, y),
    ):
        with pytest.raises(ValueError, match=f"`y` must be .* {label}"):
            act()


# === The parts ===


def test_a_batch_is_taken_apart_as_it_was_meant():
    x = {"token_ids": 1}
    assert unpack(x) == unpack((x,)) == unpack([x]) == (x, None, None)
    assert unpack((x, 1)) == unpack([x, 1]) == (x, 1, None)
    assert unpack((x, 1, 2)) == (x, 1, 2)
    assert unpack(["a", "b"]) == (["a", "b"], None, None)
    assert unpack([("a", "b"), 1]) == (("a", "b"), 1, None)  # as torch collates
    assert unpack(("a", 1)) == ("a", 1, None)
    assert unpack("a") == ("a", None, None)
    assert unpack(["a"] * 4) == (["a"] * 4, None, None)


def test_texts_are_told_from_everything_else():
    assert texts_of("a") == texts_of(b"a") == texts_of(np.str_("a")) == texts_of(np.array("a"))
    assert texts_of(np.array("a")) == ["a"]
    assert type(texts_of(np.array(["a"]))[0]) is str
    for other in (
        1,
        1.5,
        {"a": "b"},
        [1],
        np.ones(3),
        keras.ops.ones(3),
        keras.Input((3,)),
        object(),
    ):
        assert texts_of(other) is None


# === Inputs with more in them, and prompts in datasets ===


def test_other_keys_are_left_unread_with_a_warning():
    falcon = layouts.build("rw")
    ids = np.array([[1, 2, 3]])
    inputs = {"token_ids": ids, "padding_mask": np.ones_like(ids)}
    expected = falcon.predict(inputs, verbose=0)
    with pytest.warns(UserWarning, match="does not read labels"):
        got = falcon.predict({**inputs, "labels": ids}, verbose=0)
    np.testing.assert_array_equal(got, expected)
    with pytest.warns(UserWarning, match="does not read labels"):
        falcon({**inputs, "labels": ids})
    with pytest.raises(ValueError, match="padding_mask"):
        falcon.predict({"token_ids": ids, "padding_masks": np.ones_like(ids)}, verbose=0)


def test_generate_reads_prompts_from_a_dataset():
    falcon = FalconCausalLM.from_preset("falcon_tales_rw_en")
    falcon.compile(sampler="greedy")
    prompts = ["Once upon", "Mia and Tom", "One sunny"]
    expected = falcon.generate(prompts, max_length=12)

    class Prompts(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return ([prompts[:2], prompts[2:]][index],)

    assert falcon.generate(iter([prompts[:2], prompts[2:]]), max_length=12) == expected
    assert falcon.generate(Prompts(), max_length=12) == expected
    with pytest.raises(ValueError, match="empty dataset"):
        falcon.generate(iter([]))


def test_generate_joins_token_dicts_of_different_widths():
    falcon = FalconCausalLM(layouts.build("rw"))
    short, long = np.array([[1, 2, 3]]), np.array([[1, 2, 3, 4, 5]])
    batches = [{"token_ids": ids, "padding_mask": np.ones_like(ids)} for ids in (short, long)]
    grown = falcon.generate(iter(batches), stop_token_ids=None)
    assert grown["token_ids"].tolist() == [[1, 2, 3, 0, 0], [1, 2, 3, 4, 5]]
    assert grown["padding_mask"].sum(axis=1).tolist() == [3, 5]

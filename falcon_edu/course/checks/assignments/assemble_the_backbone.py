"""Checks of assignment 3: layers of the learner's own, and a trained Falcon's weights in them."""

from functools import cache

from falcon_edu.course.checks.exercise import expect, expect_close, given
from falcon_edu.course.checks.graded import Graded
from falcon_edu.model.attention import FalconAttention
from falcon_edu.model.backbone import FalconBackbone
from falcon_edu.model.decoder import FalconTransformerDecoder

import keras
import numpy as np

# === Right answers, for what is built on a wrong one ===


class _Norm(keras.layers.LayerNormalization):
    def __init__(self, **settings):
        super().__init__(epsilon=1e-5, **settings)


class _Attention(keras.layers.Layer):
    def __init__(self, heads):
        super().__init__()
        self.theirs = FalconAttention(heads)

    def build(self, shape):
        self.theirs.build(shape)

    def call(self, x):
        t = x.shape[1]
        mask = np.tri(t, dtype=bool)[None]
        return self.theirs(x, positions=np.arange(t)[None], attention_mask=mask)[0]


class _Block(keras.layers.Layer):
    def __init__(self, heads, inner):
        super().__init__()
        self.theirs = FalconTransformerDecoder(heads, inner)

    def build(self, shape):
        self.theirs.build(shape)

    def call(self, x):
        return self.theirs(x, padding_mask=np.ones((1, x.shape[1])))[0]


class _Model(keras.Model):
    def __init__(self, vocabulary, width, layers, heads, inner):
        super().__init__()
        self.theirs = FalconBackbone(vocabulary, layers, heads, width, inner)

    def call(self, ids):
        hidden = self.theirs({"token_ids": ids, "padding_mask": keras.ops.ones_like(ids)})
        return self.theirs.token_embedding(hidden, reverse=True)


_PARTS = {"Norm": _Norm, "Attention": _Attention}

Norm = Graded()
Attention = Graded()
Block = Graded(earlier=_PARTS)
Model = Graded(earlier={**_PARTS, "Block": _Block})
load_weights = Graded(earlier={**_PARTS, "Block": _Block, "Model": _Model})

VOCABULARY, WIDTH, INNER = 11, 8, 12


@cache
def _falcon(seed, layers=2, heads=2):
    """Return a Falcon-RW with random weights everywhere, in scales and biases too."""
    model = FalconBackbone(VOCABULARY, layers, heads, WIDTH, INNER)
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape) * 0.4 + weight.path.endswith("gamma"))
    return model


def _logits(falcon, ids):
    hidden = falcon({"token_ids": ids, "padding_mask": np.ones_like(ids)})
    return np.asarray(hidden) @ np.asarray(falcon.token_embedding.embeddings).T


def _drawn(rng):
    return _falcon(int(rng.integers(3)), heads=int(2 ** rng.integers(1, 3)))


def _give(layer, weights):
    """Put arrays into a layer, if they fit in number and shape."""
    wanted = [array.shape for array in weights]
    got = [tuple(weight.shape) for weight in layer.weights]
    expect(got, "the layer has no weights, once it was called.")
    expect(got == wanted, f"the weights should have the shapes {wanted}, but yours have {got}.")
    layer.set_weights(weights)


def _apply(layer, x):
    """Return what a layer makes of an input; nothing is an answer that is missing."""
    return np.asarray(given(layer(x)), dtype="float64")


# === A layer norm ===


def _normed(x):
    x = x - x.mean(axis=-1, keepdims=True)
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5)


@Norm.part(1, "a new layer")
def _(answer, rng):
    x = rng.normal(3, 2, size=(2, 3, 6)).astype("float32")
    expect_close(_apply(answer(), x), _normed(x), "a new layer's output", 1e-4)


@Norm.part(1, "scale and shift")
def _(answer, rng):
    x = rng.normal(size=(4, 6))
    gamma, beta = rng.normal(size=(2, 6))
    layer = answer()
    given(layer(x))
    _give(layer, [gamma, beta])
    expect_close(_apply(layer, x), _normed(x) * gamma + beta, "the scaled and shifted output", 1e-4)


@Norm.part(1, "epsilon")
def _(answer, rng):
    x = 1e-3 * rng.normal(size=(3, 6)).astype("float32")
    expect_close(_apply(answer(), x), _normed(x), "the output for tiny inputs", 1e-3)


# === Attention and the block ===


def _stream(rng):
    return rng.normal(size=(2, 5, WIDTH)).astype("float32")


@Attention.part(1, "no token sees a later one")
def _(answer, rng):
    x = _stream(rng)
    layer, changed = answer(2), x.copy()
    changed[:, 3] += 1
    before, after = _apply(layer, x), _apply(layer, changed)
    expect(before.shape == x.shape, f"the output should have shape {x.shape}, (b, t, m).")
    expect_close(after[:, :3], before[:, :3], "what tokens before a changed one get", 1e-5)
    expect(not np.allclose(after[:, 4], before[:, 4]), "a later token should see what changed.")


@Attention.part(1, "the weights have Falcon's shapes and order")
def _(answer, rng):
    falcon, x = _drawn(rng), _stream(rng)
    theirs = falcon.transformer_layers[0].attention_layer
    layer = answer(theirs.num_heads)
    given(layer(x))
    _give(layer, theirs.get_weights())


@Attention.part(3, "Falcon's output")
def _(answer, rng):
    falcon, x = _drawn(rng), _stream(rng)
    theirs = falcon.transformer_layers[1].attention_layer
    layer = answer(theirs.num_heads)
    given(layer(x))
    _give(layer, theirs.get_weights())
    mask = np.tri(5, dtype=bool)[None]
    where = np.tile(np.arange(5), (2, 1))
    nowhere = np.asarray(theirs(x, positions=0 * where, attention_mask=mask)[0])
    got = _apply(layer, x)
    expect(
        got.shape != nowhere.shape or not np.allclose(got, nowhere, atol=1e-4),
        "yours does not know where a token stands: ALiBi's bias is missing.",
    )
    wanted = theirs(x, positions=where, attention_mask=mask)[0]
    expect_close(got, wanted, "the output", 1e-3)


@Block.part(1, "the weights have Falcon's shapes and order")
def _(answer, rng):
    falcon, x = _drawn(rng), _stream(rng)
    theirs = falcon.transformer_layers[0]
    layer = answer(theirs.num_attention_heads, INNER)
    given(layer(x))
    _give(layer, theirs.get_weights())


@Block.part(3, "Falcon's output")
def _(answer, rng):
    falcon, x = _drawn(rng), _stream(rng)
    theirs = falcon.transformer_layers[1]
    layer = answer(theirs.num_attention_heads, INNER)
    given(layer(x))
    _give(layer, theirs.get_weights())
    wanted = theirs(x, padding_mask=np.ones((2, 5)))[0]
    expect_close(_apply(layer, x), wanted, "the output", 1e-3)


# === The model, and its weights ===


def _ids(rng):
    return rng.integers(0, VOCABULARY, size=(2, 6)).astype("int32")


@Model.part(1, "the logits' shape, and no future in them")
def _(answer, rng):
    ids = _ids(rng)
    model = answer(VOCABULARY, WIDTH, 2, 2, INNER)
    before = _apply(model, ids)
    shape = (2, 6, VOCABULARY)
    expect(before.shape == shape, f"the logits should have shape {shape}, not {before.shape}.")
    ids[:, 4] = (ids[:, 4] + 1) % VOCABULARY
    expect_close(_apply(model, ids)[:, :4], before[:, :4], "logits before a changed token", 1e-4)


@Model.part(3, "Falcon's logits")
def _(answer, rng):
    falcon, ids = _drawn(rng), _ids(rng)
    heads = falcon.transformer_layers[0].num_attention_heads
    model = answer(VOCABULARY, WIDTH, 2, heads, INNER)
    given(model(ids))
    _give(model, falcon.get_weights())
    expect_close(_apply(model, ids), _logits(falcon, ids), "the logits", 2e-3)


def _arrays(falcon, rng):
    """Return a Falcon's arrays by name, in any order, as a file may give them."""
    weights = [falcon.weights[i] for i in rng.permutation(len(falcon.weights))]
    return {weight.path: np.asarray(weight) for weight in weights}


def _expect_loaded(answer, rng):
    for layers, heads in [(1, 2), (3, 4)]:
        falcon, ids = _falcon(7, layers, heads), _ids(rng)
        model = given(answer(_arrays(falcon, rng)))
        what = f"the logits of a model of {layers} layers with {heads} heads"
        expect_close(_apply(model, ids), _logits(falcon, ids), what, 2e-3)


@load_weights.part(1, "Falcon's logits, from arrays in any order")
def _(answer, rng):
    _expect_loaded(answer, rng)


@load_weights.part(1, "the same, and every layer in it is yours", is_whole=True)
def _(answer, rng):
    _expect_loaded(answer, rng)


def _refuses(answer, arrays, name, what):
    """Expect a `ValueError` with the name in it, where the whole arrays are taken."""
    try:
        answer(arrays)
    except ValueError as error:
        expect(name in str(error), f"the error about {what} should name it: {name}")
        return
    expect(False, f"{what}, {name}, should raise a ValueError.")


@load_weights.part(1, "an array is missing")
def _(answer, rng):
    arrays = _arrays(_falcon(7), rng)
    given(answer(dict(arrays)))
    for name in ("final_layernorm/beta", "transformer_layer_1/attention/value_dense/bias"):
        rest = {key: array for key, array in arrays.items() if key != name}
        _refuses(answer, rest, name, "a missing array")


@load_weights.part(1, "an array too many")
def _(answer, rng):
    arrays = _arrays(_falcon(7), rng)
    given(answer(dict(arrays)))
    name = f"lm_head/{rng.integers(10)}"
    _refuses(answer, {**arrays, name: np.zeros(3)}, name, "an array that has no place")

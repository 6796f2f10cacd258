"""Checks of assignment 1: softmax, masks, many heads, attention in pieces, a head that copies."""

from falcon_edu.course.checks.exercise import expect, expect_close, given, several
from falcon_edu.course.checks.graded import Graded
from falcon_edu.model.attention import dot_product_attention, make_attention_mask

import numpy as np


def _softmax(scores, mask=True):
    scores = np.where(mask, scores, -1e30)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True)) * mask
    return powers / np.maximum(powers.sum(axis=-1, keepdims=True), 1e-30)


softmax = Graded()
masked_softmax = Graded(earlier={"softmax": _softmax})
attention_mask = Graded()
attend = Graded(earlier={"softmax": _softmax, "masked_softmax": _softmax})
part_of_attention = Graded()
merge = Graded()
copying_head = Graded()

# === Scores become weights ===


@softmax.part(1, "the last axis, however many there are")
def _(answer, rng):
    for shape in [(3,), (4, 3), (2, 5, 4)]:
        scores = rng.normal(size=shape)
        expect_close(answer(scores.copy()), _softmax(scores), f"the weights of shape {shape}")


@softmax.part(1, "large scores")
def _(answer, rng):
    scores = 2000 * rng.normal(size=(3, 4))
    got = np.asarray(given(answer(scores.copy())), dtype="float64")
    expect(np.isfinite(got).all(), "for scores in the thousands, yours are not even numbers.")
    expect_close(got, _softmax(scores), "the weights of scores in the thousands")


@masked_softmax.part(1, "what is left sums to one")
def _(answer, rng):
    scores = rng.normal(size=(2, 4, 6))
    mask = np.tril(np.ones((4, 6), bool), k=1)
    got = np.asarray(given(answer(scores.copy(), mask)), dtype="float64")
    expect(got.shape == scores.shape, f"the weights should have shape {scores.shape}.")
    shown = (got * mask).sum(axis=-1)
    expect_close(shown, np.ones((2, 4)), "the sum over the keys that may be looked at")
    expect_close(got, _softmax(scores, mask), "the weights")


@masked_softmax.part(1, "a hidden key with the largest score")
def _(answer, rng):
    scores = rng.normal(size=(3, 5))
    scores[:, 4] += 500
    mask = np.arange(5) < 4
    wanted = _softmax(scores, mask)
    expect_close(answer(scores.copy(), mask), wanted, "the weights beside a loud hidden key")


@masked_softmax.part(1, "nothing to look at")
def _(answer, rng):
    mask = np.array([[True, True, False], [False, False, False]])
    got = np.asarray(given(answer(rng.normal(size=(2, 3)), mask)), dtype="float64")
    expect(np.isfinite(got).all(), "where nothing may be looked at, yours are not even numbers.")
    expect_close(got[1], np.zeros(3), "the row of a query that may look nowhere")


# === Who may look where ===


def _mask(answer, is_real, queries, what):
    wanted = np.array(make_attention_mask(is_real, queries, is_real.shape[1] - queries))
    got = np.asarray(given(answer(is_real, queries)))
    expect(
        got.shape == wanted.shape, f"the mask {what} should have shape {wanted.shape}, (b, q, k)."
    )
    wrong = np.argwhere(got.astype(bool) != wanted)
    if len(wrong):
        text, query, key = wrong[0].tolist()
        may = "should" if wanted[text, query, key] else "should not"
        expect(False, f"{what}, query {query} {may} see key {key}, in text {text}.")


@attention_mask.part(1, "as many queries as keys")
def _(answer, rng):
    length = int(rng.integers(4, 9))
    _mask(answer, np.ones((2, length), bool), length, "without padding")


@attention_mask.part(1, "padding")
def _(answer, rng):
    is_real = np.ones((3, 6), bool)
    is_real[1, : int(rng.integers(1, 5))] = False
    is_real[2, -int(rng.integers(1, 5)) :] = False
    _mask(answer, is_real, 6, "with padding")


@attention_mask.part(1, "the queries are the last tokens")
def _(answer, rng):
    queries = int(rng.integers(2, 5))
    _mask(answer, np.ones((1, 7), bool), queries, f"with {queries} queries and 7 keys")
    _mask(answer, np.ones((1, 5), bool), 1, "with 1 query and 5 keys")


# === Many heads ===


def _arrays(rng, key_heads=4):
    query = rng.normal(size=(2, 3, 4, 8)).astype("float32")
    key, value = rng.normal(size=(2, 2, 5, key_heads, 8)).astype("float32")
    mask = rng.random((2, 3, 5)) < 0.6
    mask[..., 0] = True
    return query, key, value, mask


def _attend(answer, query, key, value, mask):
    """Return what the answer gives, and what it should: output and weights."""
    got = answer(query.copy(), key.copy(), value.copy(), mask)
    several(got, 2, "two arrays should be returned: the output and the weights.")
    return got, dot_product_attention(query, key, value, mask=mask)


@attend.part(1, "the weights, nothing hidden")
def _(answer, rng):
    query, key, value, mask = _arrays(rng)
    got, wanted = _attend(answer, query, key, value, np.ones_like(mask))
    flat = np.array(dot_product_attention(query * np.sqrt(8), key, value)[1])
    expect(
        np.shape(got[1]) != flat.shape or not np.allclose(got[1], flat, atol=1e-4),
        "the scores should be divided by the root of the width of a head.",
    )
    expect_close(got[1], wanted[1], "the weights", 1e-4)


@attend.part(1, "the weights, with a mask")
def _(answer, rng):
    got, wanted = _attend(answer, *_arrays(rng))
    expect_close(got[1], wanted[1], "the weights", 1e-4)


@attend.part(1, "the output")
def _(answer, rng):
    query, key, value, mask = _arrays(rng)
    (output, weights), _ = _attend(answer, query, key, value, mask)
    expect(np.shape(weights) == (2, 4, 3, 5), "the weights should have shape (2, 4, 3, 5).")
    expect(np.any(weights), "weights that are all zero mix nothing.")
    wanted = np.einsum("bnqk,bknh->bqnh", np.asarray(weights, "float64"), value)
    expect_close(output, wanted, "the mixture of the values by your weights", 1e-4)


@attend.part(1, "one key/value head for all")
def _(answer, rng):
    got, wanted = _attend(answer, *_arrays(rng, key_heads=1))
    expect_close(got[0], wanted[0], "the output where all heads share keys and values", 1e-4)


# === Attention in pieces ===


def _piece(rng, keys, scale=1.0):
    return scale * rng.normal(size=8), rng.normal(size=(keys, 8)), rng.normal(size=(keys, 5))


def _part(query, key, value):
    scores = key @ query / np.sqrt(len(query))
    powers = np.exp(scores - scores.max())
    return powers @ value / powers.sum(), scores.max(), powers.sum()


def _three(got):
    asked = "three things should be returned: the mixture, the largest score and the total."
    return several(got, 3, asked)


@part_of_attention.part(1, "the mixture, large scores included")
def _(answer, rng):
    for scale in (1.0, 1e4):
        query, key, value = _piece(rng, 6, scale)
        got = _three(answer(query, key, value))
        expect_close(got[0], _part(query, key, value)[0], "the mixture")


@part_of_attention.part(1, "the largest score and the total")
def _(answer, rng):
    query, key, value = _piece(rng, 6)
    got, wanted = _three(answer(query, key, value)), _part(query, key, value)
    expect_close(got[1], wanted[1], "the largest score")
    expect_close(got[2], wanted[2], "the total of exp(score - largest)")


@merge.part(1, "the mixture of two pieces")
def _(answer, rng):
    query, key, value = _piece(rng, 9)
    cut = int(rng.integers(2, 7))
    pieces = _part(query, key[:cut], value[:cut]), _part(query, key[cut:], value[cut:])
    got = _three(answer(*pieces))
    mean = (pieces[0][0] + pieces[1][0]) / 2
    expect(
        np.shape(got[0]) != mean.shape or not np.allclose(got[0], mean),
        "yours is the mean of the two mixtures, but one piece may deserve more weight.",
    )
    expect_close(got[0], _part(query, key, value)[0], "the mixture of both pieces")


@merge.part(1, "many pieces, one after the other, large scores")
def _(answer, rng):
    for scale in (1.0, 3000.0):
        query, key, value = _piece(rng, 12, scale)
        cuts = [slice(0, 1), slice(1, 4), slice(4, 8), slice(8, 12)]
        pieces = [_part(query, key[cut], value[cut]) for cut in cuts]
        whole = pieces[0]
        for piece in pieces[1:]:
            whole = _three(answer(whole, piece))
        wanted = _part(query, key, value)
        expect_close(whole[1], wanted[1], "the largest score of all pieces")
        expect_close(whole[2], wanted[2], "the total of all pieces")
        expect_close(whole[0], wanted[0], "the mixture of all pieces")


# === A head that copies ===


def _copy(answer, ids, v):
    """Attention weights and output of the answer's head for a text."""
    t = len(ids)
    before = np.concatenate([np.zeros((1, v)), np.eye(v)[ids[:-1]]])
    x = np.concatenate([np.eye(v)[ids], before], axis=1)
    matrices = given(answer(v))
    expect(
        isinstance(matrices, (tuple, list, np.ndarray)) and len(matrices) == 3,
        "three matrices should be returned: W_query, W_key and W_value.",
    )
    W_query, W_key, W_value = (np.asarray(matrix, "float64") for matrix in matrices)
    for name, matrix in [("W_query", W_query), ("W_key", W_key), ("W_value", W_value)]:
        expect(
            matrix.ndim == 2 and len(matrix) == 2 * v,
            f"{name} should have {2 * v} rows for v = {v}, but its shape is {matrix.shape}.",
        )
    scores = (x @ W_query) @ (x @ W_key).T / np.sqrt(W_query.shape[1])
    weights = _softmax(scores, np.tril(np.ones((t, t), bool)))
    return weights, weights @ x @ W_value


@copying_head.part(2, "looks behind the earlier place")
def _(answer, rng):
    ids = np.tile(rng.permutation(6), 2)  # each token comes twice
    weights, _ = _copy(answer, ids, 6)
    own, earlier = weights.diagonal()[6:], weights[range(6, 12), range(6)]
    expect(not (own > 0.9).all(), "in yours, each token looks at itself.")
    expect(not (earlier > 0.9).all(), "in yours, each looks at the earlier place, not behind it.")
    least = weights[range(6, 12), range(1, 7)].min()
    expect(least > 0.99, f"the place behind should have more than 0.99, but one has {least:.2f}.")


@copying_head.part(1, "hands over the token that is there")
def _(answer, rng):
    ids = np.tile(rng.permutation(6), 2)
    _, output = _copy(answer, ids, 6)
    wanted = np.eye(6)[ids[1:7]]
    expect_close(output[6:], wanted, "what comes next, according to the head,", 0.02)


@copying_head.part(1, "several earlier places share")
def _(answer, rng):
    a, b, c, d = rng.permutation(7)[:4]
    weights, output = _copy(answer, np.array([a, b, a, c, a, d, a]), 7)
    places = weights[-1, [1, 3, 5]]
    expect_close(places, np.full(3, 1 / 3), "the weight on each of the three places", 0.02)
    expect_close(output[-1, [b, c, d]], np.full(3, 1 / 3), "the share of each token", 0.02)

"""Checks of notebook 03: masks, heads that share, and a head built by hand."""

from falcon_edu.course.checks.exercise import exercise, expect, expect_close
from falcon_edu.model.attention import dot_product_attention

import numpy as np


@exercise(
    wants="an array (length, length) of true and false",
    nudge="How far back is key k from query q? Write down for which distances it may be seen.",
    hint="With `q = np.arange(length)[:, None]` and `k = np.arange(length)[None, :]`, how far back "
    "a key is, is `q - k`. It must be at least 0, and less than `width`.",
    praise="Layers reach further together: each looks one window beyond the one below it.",
)
def window_mask(answer):
    """Exercise 3.1: each query looks at itself and at the `width - 1` tokens before it."""
    got = answer(6, 3)
    expect(got is not None, "nothing was returned.")
    got = np.asarray(got)
    expect(got.shape == (6, 6), f"the mask should have shape (6, 6), but yours has {got.shape}.")
    expect(
        got.dtype == bool or np.isin(got, (0, 1)).all(),
        "your mask has numbers to be added to the scores, such as 0 and -inf. Asked for is an "
        "array of true and false, true where a query may look.",
    )
    got = got.astype(bool)
    back = np.arange(6)[:, None] - np.arange(6)
    wanted = (back >= 0) & (back < 3)
    expect(
        not np.array_equal(got, ~wanted),
        "your mask is true where a query may not look: it is the other way round.",
    )
    expect(
        not np.array_equal(got, wanted.T),
        "rows are queries and columns are keys; yours is the other way round.",
    )
    expect(got.diagonal().all(), "each token may look at itself, but in yours one can't.")
    expect(not got[back < 0].any(), "in yours, a token looks at one that comes later.")
    counts = got.sum(axis=1).tolist()
    expect(
        np.array_equal(got, wanted),
        "with a width of 3, the queries may look at [1, 2, 3, 3, 3, 3] tokens, themselves "
        f"included, and always the nearest; in yours they look at {counts}.",
    )
    expect(
        np.array_equal(np.asarray(answer(4, 9)).astype(bool), np.tril(np.ones((4, 4), bool))),
        "a window wider than the text should be the causal mask.",
    )
    expect(
        np.array_equal(np.asarray(answer(3, 1)).astype(bool), np.eye(3, dtype=bool)),
        "with a width of 1, each token looks at itself alone.",
    )


@exercise(
    wants="the output alone, an array (b, q, n, h)",
    nudge="Which key/value heads do query heads 0, 1, 2 and 3 use, if n is 4 and g is 2? Write "
    "the list down.",
    hint="Repeat each key/value head `n // g` times with `np.repeat(key, n // g, axis=2)`, and go "
    "on as with `n` heads; or give `query` the axes `(b, q, g, r, h)`.",
    praise="The queries are as many as ever; what is stored of the past has shrunk to g / n.",
)
def grouped_attention(answer):
    """Exercise 3.2: groups of neighbouring query heads share a key/value head."""
    rng = np.random.default_rng(0)
    query = rng.normal(size=(2, 3, 4, 8)).astype("float32")
    key, value = rng.normal(size=(2, 2, 5, 2, 8)).astype("float32")
    got = answer(query.copy(), key.copy(), value.copy())
    is_pair = isinstance(got, (tuple, list)) and len(got) == 2
    expect(
        not is_pair or np.shape(got[0]) != query.shape,
        "you return two things, it seems output and weights; asked for is the output alone.",
    )
    wanted = np.array(dot_product_attention(query, key, value)[0])

    def equals(*arrays):
        other = np.array(dot_product_attention(*arrays)[0])
        return (
            got is not None and np.shape(got) == other.shape and np.allclose(got, other, atol=1e-4)
        )

    tiled = [np.tile(array, (1, 1, 2, 1)) for array in (key, value)]
    expect(
        not equals(query, *tiled),
        "query heads 0 and 1 share key/value head 0, then 2 and 3 share head 1; in yours the key "
        "heads alternate.",
    )
    expect(
        not equals(query * np.sqrt(8), key, value),
        "the scores should be divided by the root of the width of a head, 8.",
    )
    first = [np.repeat(array[:, :, :1], 4, axis=2) for array in (key, value)]
    expect(not equals(query, *first), "in yours every query head uses key/value head 0.")
    mean = [array.mean(axis=2, keepdims=True) for array in (key, value)]
    expect(
        not equals(query, *mean),
        "in yours all query heads use the mean of the key/value heads; each should use its own.",
    )
    expect_close(got, wanted, "the output for 4 query heads and 2 key/value heads", 1e-4)
    for n, g in ((6, 2), (4, 1), (3, 3)):
        query, key, value = (rng.normal(size=(1, 3, heads, 2)) for heads in (n, g, g))
        wanted = dot_product_attention(*(x.astype("float32") for x in (query, key, value)))[0]
        what = f"the output for {n} query heads and {g} key/value head{'s' * (g > 1)}"
        expect_close(answer(query, key, value), wanted, what, 1e-4)


@exercise(
    wants="three matrices: W_query, W_key and W_value",
    nudge="Only the columns of the places matter for who looks where. What does the token at "
    "place p ask for, and what does a key answer with?",
    hint="Let h be t. The query of a token at place p asks for place p - 1, the key of a token "
    "tells its own place. A factor makes the head sure of itself: with 20 times the root of "
    "t, the right score is 20 and all others are 0.",
    praise="Trained models have such heads: notebook 09 finds them by a score.",
)
def look_back(answer):
    """Exercise 3.3: matrices of a head that looks one token back."""
    for v, t in [(3, 6), (5, 12)]:
        matrices = answer(v, t)
        expect(
            isinstance(matrices, (tuple, list, np.ndarray)) and len(matrices) == 3,
            "three matrices should be returned: W_query, W_key and W_value.",
        )
        W_query, W_key, W_value = (np.asarray(matrix, dtype="float64") for matrix in matrices)
        h = W_query.shape[-1]
        for name, matrix, width in [
            ("W_query", W_query, h),
            ("W_key", W_key, h),
            ("W_value", W_value, v),
        ]:
            expect(
                matrix.shape == (v + t, width),
                f"for v = {v} and t = {t}, {name} should have shape {(v + t, width)}, but yours "
                f"has {matrix.shape}.",
            )
        _check_head(W_query, W_key, W_value, v, t)


def _check_head(W_query, W_key, W_value, v, t):
    ids = np.random.default_rng(v).integers(0, v, t)
    x = np.concatenate([np.eye(v)[ids], np.eye(t)], axis=1)
    scores = (x @ W_query) @ (x @ W_key).T / np.sqrt(W_query.shape[-1])
    scores = np.where(np.tril(np.ones((t, t), bool)), scores, -1e30)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights = powers / powers.sum(axis=1, keepdims=True)
    before, own = weights[range(1, t), range(t - 1)], weights.diagonal()[1:]
    expect(
        not (own > 0.9).all(),
        "in yours each token looks at itself; the query should ask for the place before.",
    )
    expect(
        (before > 1 / 3).all() or not np.allclose(weights[1:, 0], weights[1:, 1], atol=1e-9),
        "in yours the weights are spread evenly over the past: no key answers a query. Perhaps "
        "each asks for the place after its own, which the mask hides?",
    )
    weakest = int(before.argmin()) + 1
    expect(
        (before > 0.99).all(),
        f"each token should put more than 0.99 of its weight on the one before, but token "
        f"{weakest} puts {before.min():.2f} there, and most, {weights[weakest].max():.2f}, on "
        f"token {weights[weakest].argmax()}. If the place is right, make the scores larger.",
    )
    expect_close(
        (weights @ x @ W_value)[1:], x[:-1, :v], "the output, which token was before,", 0.02
    )

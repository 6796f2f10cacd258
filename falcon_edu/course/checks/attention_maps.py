"""Checks of 09_attention_maps: how spread a map is, duplicate tokens, what is written, mending."""

from falcon_edu.course.checks.exercise import exercise, expect, expect_close

import numpy as np


@exercise(
    wants="an array (q,)",
    nudge="What does the formula give for a row with one 1 and zeros? Try it by hand.",
    hint="Where a weight is 0, its term is 0: take the logarithm of "
    "`np.where(weights > 0, weights, 1)`, and sum over the keys.",
    praise="Put it over Falcon's maps: which head spreads its weight most?",
)
def tokens_looked_at(answer):
    """Return the exponential of the entropy of each row."""
    weights = np.array([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0.7, 0.1, 0.2, 0], [0.25] * 4])
    logs = np.log(np.where(weights > 0, weights, 1))
    entropy = -(weights * logs).sum(axis=1)
    with np.errstate(all="ignore"):
        got = answer(weights.copy())
    _expect_answer(got)
    expect(
        not np.isnan(np.asarray(got)).any(),
        "a row with zeros gives nan: 0 times the logarithm of 0 should count as 0.",
    )
    for wrong, message in {
        "entropy": (entropy, "this is the entropy itself: its exponential is asked for."),
        "bits": (np.exp(entropy / np.log(2)), "the exponential belongs to the natural logarithm."),
        "sign": (np.exp(-entropy), "the sign is missing: the logarithm of a weight is negative."),
    }.values():
        expect(np.shape(got) != (4,) or not np.allclose(got, wrong), message)
    expect_close(got, np.exp(entropy), "the number of tokens of each row")
    got = answer(np.array([[0.5, 0.25, 0.25], [1, 0, 0]]))
    expect_close(got, [np.exp(1.5 * np.log(2)), 1], "the number of tokens of rows of three")


@exercise(
    wants="an array (t, t) of true and false",
    nudge="Two conditions must hold: one on ids, one on places. Make a table of each.",
    hint="Compare `token_ids[:, None]` with `token_ids[None, :]`; `np.tri(t, k=-1, dtype=bool)` "
    "is true where the key comes before the query.",
    praise="Its score in Falcon: patterns.pattern_scores with this table for each text.",
)
def same_token(answer):
    """Return where each token looks at its own earlier mentions."""
    token_ids = np.array([4, 7, 4, 4, 9, 7])
    same = token_ids[:, None] == token_ids[None, :]
    got = answer(token_ids.copy())
    _expect_answer(got)
    got = np.asarray(got)
    expect(got.shape == (6, 6), f"the table should be (6, 6), but yours is {got.shape}.")
    expect(
        got.dtype == bool or np.isin(got, (0, 1)).all(), "the table should say true and false only."
    )
    got = got.astype(bool)
    expect(
        not np.diag(got).any(), "a token is no earlier mention of itself: the diagonal is false."
    )
    expect(not np.triu(got, 1).any(), "your table lets a token look at a later one.")
    expect(
        got[3, 0] and got[3, 2],
        "token 3 has two earlier mentions, 0 and 2, and both should be true.",
    )
    expect_close(got, same & np.tri(6, k=-1, dtype=bool), "the table")
    got = np.asarray(answer(np.array([5, 5, 8])), dtype=bool)
    expect_close(got, [[0, 0, 0], [1, 0, 0], [0, 0, 0]], "the table for the ids 5 5 8")


@exercise(
    wants="an array (q, k)",
    nudge="What would key k write, were its weight 1? How long is that?",
    hint="`value @ kernel` is what each key would write, `(k, m)`; its norm over the last axis is "
    "`(k,)`, and each column of the weights is multiplied by one of these.",
    praise="Much weight on a short vector is little.",
)
def written(answer):
    """Return the length of what each query gets from each key."""
    rng = np.random.default_rng(0)
    weights = np.tril(rng.random((5, 5)) + 0.1)
    weights /= weights.sum(axis=1, keepdims=True)
    value, kernel = rng.normal(size=(5, 3)), rng.normal(size=(3, 7))
    wanted = weights * np.linalg.norm(value @ kernel, axis=1)
    got = answer(weights.copy(), value.copy(), kernel.copy())
    _expect_answer(got)
    for wrong, message in [
        (weights * np.linalg.norm(value, axis=1), "the output projection is left out."),
        (wanted**2, "these are squares of the norms."),
        (weights * np.linalg.norm(value @ kernel, axis=1)[:, None], _QUERIES),
        (np.linalg.norm(weights @ value @ kernel, axis=1), _SUMMED),
    ]:
        expect(np.shape(got) != wrong.shape or not np.allclose(got, wrong), message)
    expect_close(got, wanted, "the norms")
    weights, value, kernel = weights[:3, :2], value[:2] * 2, kernel[:, :4]
    wanted = weights * np.linalg.norm(value @ kernel, axis=1)
    expect_close(answer(weights, value, kernel), wanted, "the norms of 3 queries and 2 keys")


_QUERIES = "the norms stand along the queries, but they belong to the keys, the columns."
_SUMMED = (
    "this is the length of the whole sum for each query; asked for is each key's part, (q, k)."
)


@exercise(
    wants="an array (q, k)",
    nudge="What does a number that is added to a score do to a weight?",
    hint="Adding b to a score multiplies the weight by exp(b), before the row is divided by its "
    "sum. Here b is slope * position / sqrt(head_dim).",
    praise="No queries, no keys, and the map is right again.",
)
def mend(answer):
    """Return the map with ALiBi once, from the map with ALiBi twice."""
    rng = np.random.default_rng(1)
    scores, slope, head_dim = rng.normal(size=(6, 6)), 0.25, 4
    tilt = slope * np.arange(6) / np.sqrt(head_dim)
    none, once, twice = (_softmax(scores + times * tilt) for times in range(3))
    got = answer(twice.copy(), slope, head_dim)
    _expect_answer(got)
    if np.shape(got) == (6, 6):
        unscaled = _softmax(scores + 2 * tilt - slope * np.arange(6))
        expect(not np.allclose(got, twice), "the map is still the wrong one.")
        expect(not np.allclose(got, unscaled), "the bias was divided by the root of head_dim, too.")
        expect(not np.allclose(got, none), "ALiBi is gone: take it off once, not twice.")
        expect(
            not np.allclose(got, _softmax(scores + 3 * tilt)),
            "ALiBi is in it three times now: take it off, don't add it.",
        )
        expect(
            np.allclose(np.sum(got, axis=1), 1),
            "the rows don't sum to 1: divide each by its sum, once the bias is off.",
        )
    expect_close(got, once, "the mended map")
    once, twice = (_softmax(scores[:4, :4] + times * np.arange(4) / 3) for times in (1, 2))
    expect_close(answer(twice, 1, 9), once, "the mended map of 4 tokens, for a slope of 1")


def _expect_answer(got):
    expect(got is not None and got is not ..., "nothing was returned.")


def _softmax(scores):
    powers = np.tril(np.exp(scores))
    return powers / powers.sum(axis=1, keepdims=True)

"""Patterns of head kinds are what their definitions say, and scores are shares of weight."""

from falcon_edu.inside import patterns

import numpy as np
import pytest

TOKEN_IDS = np.random.default_rng(0).integers(0, 4, (3, 9))


def by_definition(looks):
    """A pattern from a condition on `(ids, query, key)`, cell by cell."""
    batch, length = TOKEN_IDS.shape
    pattern = np.zeros((batch, length, length), bool)
    for i, q, k in np.ndindex(pattern.shape):
        pattern[i, q, k] = k <= q and looks(TOKEN_IDS[i], q, k)
    return pattern


@pytest.mark.parametrize(
    ("pattern", "looks"),
    [
        (patterns.previous_token, lambda ids, q, k: k == q - 1),
        (patterns.first_token, lambda ids, q, k: q > 0 and k == 0),
        (patterns.induction, lambda ids, q, k: k > 0 and ids[k - 1] == ids[q] and k - 1 < q),
    ],
)
def test_patterns_are_as_defined(pattern, looks):
    np.testing.assert_array_equal(pattern(TOKEN_IDS), by_definition(looks))


def test_a_head_of_the_kind_scores_one_and_others_the_weight_they_put_there():
    pattern = patterns.induction(TOKEN_IDS)
    counts = pattern.sum(-1, keepdims=True)
    perfect = np.where(counts > 0, pattern / np.maximum(counts, 1), np.eye(9))
    weights = [np.stack([perfect, 0.25 * perfect], axis=1), np.zeros((3, 2, 9, 9))]
    scores = patterns.pattern_scores(weights, pattern)
    np.testing.assert_allclose(scores, [[1, 0.25], [0, 0]])


def test_padding_does_not_count():
    token_ids = np.array([[5, 6, 7, 0, 0]])
    weights = np.zeros((1, 1, 5, 5))
    weights[0, 0, [1, 2], [0, 1]] = 1  # a previous-token head on the three real tokens only
    pattern = patterns.previous_token(token_ids)
    assert patterns.pattern_scores([weights], pattern, [[1, 1, 1, 0, 0]]) == 1
    assert patterns.pattern_scores([weights], pattern) == 0.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: patterns.induction([1, 2, 1]), r"\(b, t\)"),
        (lambda: patterns.pattern_scores([np.ones((1, 1, 2, 2))], np.ones((1, 3, 3))), "fit|must"),
        (lambda: patterns.pattern_scores([np.ones((1, 1, 2, 2))], np.zeros((1, 2, 2))), "nowhere"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()

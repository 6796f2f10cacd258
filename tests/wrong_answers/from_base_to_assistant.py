"""Plausible wrong answers to the exercises of `19_from_base_to_assistant`."""

from math import comb

import numpy as np


def _turns(token_ids, assistant, end):
    """Mark each place at which the assistant speaks: behind its token, up to the end."""
    spoken = np.zeros(token_ids.shape, bool)
    for row, ids in enumerate(token_ids):
        for place in range(1, len(ids)):
            before = ids[place - 1]
            spoken[row, place] = before == assistant or (spoken[row, place - 1] and before != end)
    return spoken


def up_to_the_last_end(token_ids, assistant, end):
    begun = np.cumsum(token_ids == assistant, axis=1) > 0
    more = np.cumsum((token_ids == end)[:, ::-1], axis=1)[:, ::-1] > 0
    return (begun & more)[:, :-1]


def _margins(c, r, cb, rb):
    return (c - cb) - (r - rb)


WRONG = {
    "answer_weights": {
        "behind the first": lambda x, a, e: (np.cumsum(x == a, axis=1) > 0)[:, :-1],
        "up to the last end": up_to_the_last_end,
        "tokens, not labels": lambda x, a, e: _turns(x, a, e)[:, :-1],
        "all columns": _turns,
        "without the end": lambda x, a, e: _turns(x, a, e)[:, 1:] & (x[:, 1:] != e),
        "the user's part": lambda x, a, e: ~_turns(x, a, e)[:, 1:],
        "all that is no padding": lambda x, a, e: x[:, 1:] > 0,
        "the token of the turn as well": lambda x, a, e: _turns(x, a, e)[:, 1:] | (x[:, 1:] == a),
        "one answer": lambda x, a, e: _turns(x, a, e)[:1, 1:],
    },
    "pass_at_k": {
        "with replacement": lambda n, c, k: 1 - (1 - c / n) ** k,
        "none is right": lambda n, c, k: comb(n - c, k) / comb(n, k),
        "all are right": lambda n, c, k: comb(c, k) / comb(n, k),
        "the share of right tries": lambda n, c, k: c / n,
        "k times the share": lambda n, c, k: min(1, k * c / n),
        "exactly one": lambda n, c, k: c * comb(n - c, k - 1) / comb(n, k),
        "in percent": lambda n, c, k: 100 * (1 - comb(n - c, k) / comb(n, k)),
    },
    "advantages": {
        "the mean of all tries": lambda r: r - r.mean(axis=1, keepdims=True),
        "the mean of all questions": lambda r: r - r.mean(),
        "over questions": lambda r: r - r.mean(axis=0),
        "divided by the deviation": lambda r: (
            (r - r.mean(axis=1, keepdims=True)) / (r.std(axis=1, keepdims=True) + 1e-6)
        ),
        "the sum of the others": lambda r: r - (r.sum(axis=1, keepdims=True) - r),
        "the baseline": lambda r: (r.sum(axis=1, keepdims=True) - r) / (r.shape[1] - 1),
        "the sign": lambda r: (r.sum(axis=1, keepdims=True) - r) / (r.shape[1] - 1) - r,
        "four tries for good": lambda r: r - (r.sum(axis=1, keepdims=True) - r) / 3,
    },
    "dpo_loss": {
        "without the model as it was": lambda c, r, cb, rb, b: np.logaddexp(0, -b * (c - r)).mean(),
        "swapped": lambda c, r, cb, rb, b: np.logaddexp(0, b * _margins(c, r, cb, rb)).mean(),
        "the sum": lambda c, r, cb, rb, b: np.logaddexp(0, -b * _margins(c, r, cb, rb)).sum(),
        "no beta": lambda c, r, cb, rb, b: np.logaddexp(0, -_margins(c, r, cb, rb)).mean(),
        "beta outside": lambda c, r, cb, rb, b: b * np.logaddexp(0, -_margins(c, r, cb, rb)).mean(),
        "not finite far out": lambda c, r, cb, rb, b: np.log1p(
            np.exp(-b * _margins(c, r, cb, rb))
        ).mean(),
        "the mean inside": lambda c, r, cb, rb, b: np.logaddexp(
            0, -b * _margins(c, r, cb, rb).mean()
        ),
        "one number for each": lambda c, r, cb, rb, b: np.logaddexp(0, -b * _margins(c, r, cb, rb)),
        "the margin alone": lambda c, r, cb, rb, b: -b * _margins(c, r, cb, rb).mean(),
    },
}

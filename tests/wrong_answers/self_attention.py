"""What learners plausibly answer in notebook 03, and should not get away with."""

import numpy as np


def back(length):
    return np.arange(length)[:, None] - np.arange(length)[None, :]


def window(width):
    return lambda n, w: (back(n) >= 0) & (back(n) < width(w))


def attention(query, key, value, root=True):
    scores = np.einsum("bqnh,bknh->bnqk", query, key)
    scores = scores / np.sqrt(query.shape[-1]) if root else scores
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.einsum("bnqk,bknh->bqnh", powers / powers.sum(axis=-1, keepdims=True), value)


def shared(share, **options):
    """Attention with heads that are shared in some way: `share(array, n, g)`."""

    def answer(query, key, value):
        n, g = query.shape[2], key.shape[2]
        return attention(query, share(key, n, g), share(value, n, g), **options)

    return answer


def repeat(array, n, g):
    return np.repeat(array, n // g, axis=2)


def wrong_axis(query, key, value):
    key, value = (repeat(array, query.shape[2], key.shape[2]) for array in (key, value))
    scores = np.einsum("bqnh,bknh->bnqk", query, key) / np.sqrt(query.shape[-1])
    powers = np.exp(scores - scores.max())
    return np.einsum("bnqk,bknh->bqnh", powers / powers.sum(axis=-2, keepdims=True), value)


def head(step=1, size=20.0, value=True, tokens=False):
    """A head that looks `step` back."""

    def answer(v, t):
        W_query, W_key, W_value = np.zeros((v + t, t)), np.zeros((v + t, t)), np.zeros((v + t, v))
        W_query[v:] = size * np.sqrt(t) * np.eye(t, k=-step)
        W_key[v:] = np.eye(t)
        if tokens:
            W_query[:v] = W_key[:v] = size * np.sqrt(t) * np.eye(v, t)
        W_value[:v] = value * np.eye(v)
        return W_query, W_key, W_value

    return answer


WRONG = {
    "window_mask": {
        "one too many": window(lambda w: w + 1),
        "one too few": window(lambda w: w - 1),
        "never fewer than two": window(lambda w: max(w, 2)),
        "both sides": lambda n, w: abs(back(n)) < w,
        "transposed": lambda n, w: (-back(n) >= 0) & (-back(n) < w),
        "to be added": lambda n, w: np.where((back(n) >= 0) & (back(n) < w), 0.0, -np.inf),
        "to be added, finite": lambda n, w: np.where((back(n) >= 0) & (back(n) < w), 0, -1e9),
        "what is hidden": lambda n, w: ~((back(n) >= 0) & (back(n) < w)),
        "only causal": lambda n, w: back(n) >= 0,
        "not itself": lambda n, w: (back(n) > 0) & (back(n) <= w),
        "the first tokens": lambda n, w: (back(n) >= 0) & (np.arange(n) < w),
    },
    "grouped_attention": {
        "alternates": shared(lambda array, n, g: np.tile(array, (1, 1, n // g, 1))),
        "only the first": shared(lambda array, n, g: np.repeat(array[:, :, :1], n, axis=2)),
        "the mean": shared(lambda array, n, g: array.mean(axis=2, keepdims=True).repeat(n, axis=2)),
        "output and weights": lambda q, k, v: (shared(repeat)(q, k, v), np.ones((2, 4, 3, 5))),
        "not scaled": shared(repeat, root=False),
        "softmax over queries": wrong_axis,
        "weights instead of output": lambda query, key, value: np.ones((2, 4, 3, 5)) / 5,
    },
    "look_back": {
        "looks at itself": head(step=0),
        "looks ahead": head(step=-1),
        "looks two back": head(step=2),
        "not sure enough": head(size=1.0),
        "no value": head(value=False),
        "looks at the same token": head(size=5.0, tokens=True),
        "value too wide": lambda v, t: (*head()(v, t)[:2], np.eye(v + t)),
        "transposed": lambda v, t: tuple(matrix.T for matrix in head()(v, t)),
    },
}

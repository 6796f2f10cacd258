"""Solutions to notebook 03: self-attention."""

import numpy as np


# 3.1: `back` is how far the key lies behind the query. The token itself is at 0, so the `width`
# tokens are at 0 to `width - 1`; `<=` would let in one too many. Without `back >= 0` a query
# would also look at what comes later.
def window_mask(length, width):
    back = np.arange(length)[:, None] - np.arange(length)[None, :]  # (q, k)
    return (back >= 0) & (back < width)


# 3.2: The first `n / g` query heads share a key, so the heads are cut into groups first and
# places within a group second, and `einsum` pairs each group with its key and value.
# `np.repeat(key, n // g, axis=2)` does the same with more memory. `np.tile` doesn't: heads would
# take turns, and head 1 would use key 1.
def grouped_attention(query, key, value):
    b, q, n, h = query.shape
    g = key.shape[2]
    query = query.reshape(b, q, g, n // g, h)
    scores = np.einsum("bqgrh,bkgh->bgrqk", query, key) / np.sqrt(h)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = powers / powers.sum(axis=-1, keepdims=True)
    return np.einsum("bgrqk,bkgh->bqgrh", weights, value).reshape(b, q, n, h)


# 3.3: At place $p$ the query asks for $p - 1$, and the key at each place answers to its own
# number, so one score in each row is large. Here it is 20, after the division by $\sqrt{h}$,
# where all others are 0, and $e^{20}$ is half a billion; with a score of 1 the softmax would
# leave much weight elsewhere. The value hands over the first `v` columns, which say what token it
# is.
def look_back(v, t):
    W_query, W_key, W_value = np.zeros((v + t, t)), np.zeros((v + t, t)), np.zeros((v + t, v))
    W_query[v + 1 :] = 20 * np.sqrt(t) * np.eye(t)[:-1]  # at place p, ask for p - 1
    W_key[v:] = np.eye(t)  # at place p, be found under p
    W_value[:v] = np.eye(v)  # hand over which token it is
    return W_query, W_key, W_value

"""Solutions to notebook 03: self-attention."""

import numpy as np


def window_mask(length, width):
    back = np.arange(length)[:, None] - np.arange(length)[None, :]  # (q, k)
    return (back >= 0) & (back < width)


def grouped_attention(query, key, value):
    b, q, n, h = query.shape
    g = key.shape[2]
    query = query.reshape(b, q, g, n // g, h)
    scores = np.einsum("bqgrh,bkgh->bgrqk", query, key) / np.sqrt(h)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = powers / powers.sum(axis=-1, keepdims=True)
    return np.einsum("bgrqk,bkgh->bqgrh", weights, value).reshape(b, q, n, h)


def look_back(v, t):
    W_query, W_key, W_value = np.zeros((v + t, t)), np.zeros((v + t, t)), np.zeros((v + t, v))
    W_query[v + 1 :] = 20 * np.sqrt(t) * np.eye(t)[:-1]  # at place p, ask for p - 1
    W_key[v:] = np.eye(t)  # at place p, be found under p
    W_value[:v] = np.eye(v)  # hand over which token it is
    return W_query, W_key, W_value

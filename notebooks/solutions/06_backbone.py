"""Solutions to notebook 06: the backbone."""

import math

import keras
import numpy as np


# 6.1: For a token, every layer keeps a key and a value for each key/value head, `head_dim`
# numbers of `size` bytes each, and all `sequences` texts grow at once. What the weights leave,
# divided by that and rounded down, is the length. Without the 2 there is no room for the values,
# and without `max` a card that is too small gets a length below 0.
def longest_text(memory, weights, layers, key_value_heads, head_dim, size, sequences):
    per_token = 2 * layers * key_value_heads * head_dim * size * sequences
    return max(memory - weights, 0) // per_token


# 6.2: Queries and the output are `m` by `m`, key and value `m` by `h`, since all heads use the
# same ones. A norm has a scale and a shift, one norm in each block and one at the end; nothing
# else has a bias. The table counts once, because the output head is the same table.
def parameters_7b(v, layers, heads, m, f):
    h = m // heads
    attention = m * m + 2 * m * h + m * m  # queries; one key and one value; output
    mlp = m * f + f * m
    block = attention + mlp + 2 * m  # with one norm
    return v * m + layers * block + 2 * m  # and the final norm


# 6.3: A symbolic tensor knows the way that leads to it, so two more layers on `hidden_states[k]`,
# and the backbone's input, are a model of `k` blocks with the same weights. The final norm
# belongs to it, because the output head was trained on what comes out of that norm.
# `backbone.output` lies behind all blocks, whatever `k` is.
def lens(backbone, k):
    x = backbone.final_layernorm(backbone.hidden_states[k])
    logits = backbone.token_embedding(x, reverse=True)
    return keras.Model(backbone.input, logits)


# 6.4: Attention and MLP both read `y`, the one norm of the stream, and both are added to `x`; in
# a sequential block the MLP would read what attention has written. Queries and keys are rotated,
# values are not. One key and one value serve all heads, so they have no axis for heads. Pairs are
# the halves of a head: with neighbours as pairs everything runs, and the logits are wrong.
def falcon_7b(w, token_ids, num_layers, num_heads):
    x = w["token_embedding/embeddings"][token_ids]  # (t, m)
    for i in range(num_layers):
        name = f"transformer_layer_{i}"
        y = _norm(w, f"{name}/input_layernorm", x)
        hidden = _gelu(y @ w[f"{name}/dense_h_to_4h/kernel"])
        x = x + _attention(w, f"{name}/attention", y) + hidden @ w[f"{name}/dense_4h_to_h/kernel"]
    return _norm(w, "final_layernorm", x) @ w["token_embedding/embeddings"].T


def _norm(w, name, x):
    x = x - x.mean(axis=-1, keepdims=True)
    x = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5)
    return x * w[f"{name}/gamma"] + w[f"{name}/beta"]


def _gelu(x):
    return x / 2 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def _rotate(x):
    """Positions by angles: x (t, ..., h)."""
    t, half = len(x), x.shape[-1] // 2
    angles = np.outer(np.arange(t), 10_000 ** (-np.arange(half) / half))  # (t, h/2)
    angles = np.concatenate([angles, angles], axis=-1)  # (t, h)
    angles = angles.reshape(t, *[1] * (x.ndim - 2), 2 * half)
    turned = np.concatenate([-x[..., half:], x[..., :half]], axis=-1)
    return x * np.cos(angles) + turned * np.sin(angles)


def _attention(w, name, x):
    query = np.tensordot(x, w[f"{name}/query_dense/kernel"], axes=1)  # (t, n, h)
    key = x @ w[f"{name}/key_dense/kernel"][:, 0]  # (t, h), one for all heads
    value = x @ w[f"{name}/value_dense/kernel"][:, 0]
    t, n, h = query.shape
    scores = np.einsum("qnh,kh->nqk", _rotate(query), _rotate(key)) / math.sqrt(h)
    scores = np.where(np.tri(t, dtype=bool), scores, -np.inf)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = powers / powers.sum(axis=-1, keepdims=True)
    heads = np.einsum("nqk,kh->qnh", weights, value)
    return heads.reshape(t, n * h) @ w[f"{name}/output_dense/kernel"]

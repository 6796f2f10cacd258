"""Solutions to notebook 07: generation."""

import codecs

import numpy as np


def users(config, memory, tokens, number=2):
    free = memory - number * config.num_parameters
    per_token = 2 * config.num_layers * config.key_value_heads * config.head_dim
    return max(0, free // (number * per_token * tokens))


def min_p(probabilities, share):
    least = share * probabilities.max(axis=-1, keepdims=True)
    left = np.where(probabilities >= least, probabilities, 0)
    return left / left.sum(axis=-1, keepdims=True)


def characters(pieces):
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for piece in pieces:
        if text := decoder.decode(piece):
            yield text


def step(query, key, value, cache):
    n, h = query.shape
    keys = np.concatenate([cache[0], key[None]])  # (k, g, h)
    values = np.concatenate([cache[1], value[None]])
    shared = n // key.shape[0]
    scores = np.einsum("nh,knh->nk", query, np.repeat(keys, shared, axis=1)) / np.sqrt(h)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights = powers / powers.sum(axis=1, keepdims=True)
    output = np.einsum("nk,knh->nh", weights, np.repeat(values, shared, axis=1))
    return output, (keys, values)

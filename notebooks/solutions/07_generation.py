"""Solutions to notebook 07: generation."""

import codecs

import numpy as np


# 7.1: The weights come first, and users share what is left. Each needs, for each of its tokens, a
# key and a value in every layer for every *key/value* head; counting query heads would make an
# MQA model as hungry as an MHA one. `//` drops the part of a user, and `max` says 0 where not
# even the weights fit.
def users(config, memory, tokens, number=2):
    free = memory - number * config.num_parameters
    per_token = 2 * config.num_layers * config.key_value_heads * config.head_dim
    return max(0, free // (number * per_token * tokens))


# 7.2: What a token needs is a share of the largest probability in its *own* row, so the maximum
# is taken along the last axis. `>=` keeps a token that has just that much. Compared with `share`
# itself, a row without a likely token would lose everything. What is left is divided by its sum,
# or it is no distribution.
def min_p(probabilities, share):
    least = share * probabilities.max(axis=-1, keepdims=True)
    left = np.where(probabilities >= least, probabilities, 0)
    return left / left.sum(axis=-1, keepdims=True)


# 7.3: The decoder keeps the bytes of an unfinished character, and returns the character once it
# is whole. Decoding each piece alone breaks characters that lie in two tokens; joining all pieces
# first is right, but nothing is shown before the end. While the decoder waits it returns an empty
# text, which the `if` holds back.
def characters(pieces):
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for piece in pieces:
        if text := decoder.decode(piece):
            yield text


# 7.4: The new key and value join the cache first, so that the new token also sees itself;
# `concatenate` makes new arrays and leaves the old ones as they were. `np.repeat` gives a
# key/value head to neighbouring query heads, where `np.tile` would have them take turns. No mask
# is needed: nothing in the cache is later than the one query.
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

"""A Falcon of one's own, finished: a solution for each part of `my_falcon.py`."""

import json
import math

import numpy as np

# === 01: the tokenizer ===


def encode(letters, merges):
    pieces = list(letters)
    for left, right in merges:
        joined = []
        for piece in pieces:
            if joined and (joined[-1], piece) == (left, right):
                joined[-1] += piece
            else:
                joined.append(piece)
        pieces = joined
    return pieces


def decode(pieces):
    return b"".join(pieces).decode(errors="replace")


# === 02: the norm ===


def norm(x, gamma, beta, epsilon):
    mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


# === 03: attention ===


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def attention(query, key, value, bias, mask):
    shared = query.shape[2] // key.shape[2]
    key, value = (np.repeat(array, shared, axis=2) for array in (key, value))
    scores = (np.einsum("bqnh,bknh->bnqk", query, key) + bias) / np.sqrt(query.shape[-1])
    mask = mask[:, None]  # (b, n, q, k)
    weights = mask * softmax(np.where(mask, scores, -1e30))  # a row that sees nothing: zeros
    return np.einsum("bnqk,bknh->bqnh", weights, value)


# === 04: positions ===


def slopes(num_heads):
    power = 2 ** int(np.log2(num_heads))
    series = lambda count: 2.0 ** (-8 * np.arange(1, count + 1) / count)  # noqa: E731
    return np.concatenate([series(power), series(2 * power)[::2][: num_heads - power]])


def alibi_bias(num_heads, key_positions):
    return slopes(num_heads)[None, :, None, None] * key_positions[:, None, None, :]


# === 05: the block ===


def gelu(x):
    return x / 2 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def block(x, attention_norm, mlp_norm, attention, mlp):
    x = x + attention(attention_norm(x))
    return x + mlp(mlp_norm(x))


# === 06: the backbone, with the output head ===


def backbone(token_ids, table, blocks, final_norm):
    x = table[token_ids]
    for block in blocks:
        x = block(x)
    return final_norm(x) @ table.T


# === 07: the cache ===


def step(query, key, value, cache, bias):
    keys, values = np.concatenate([cache[0], key[None]]), np.concatenate([cache[1], value[None]])
    shared = query.shape[0] // key.shape[0]
    scores = np.einsum("nh,knh->nk", query, np.repeat(keys, shared, axis=1)) + bias
    weights = softmax(scores / np.sqrt(query.shape[1]))
    output = np.einsum("nk,knh->nh", weights, np.repeat(values, shared, axis=1))
    return output, (keys, values)


# === 07: the sampler ===


def sampler(logits, temperature, p):
    probabilities = softmax(logits / temperature)
    order = np.argsort(-probabilities)
    before = np.cumsum(probabilities[order]) - probabilities[order]
    left = np.zeros_like(probabilities)
    left[order[before <= p]] = probabilities[order[before <= p]]
    return left / left.sum()


# === 08: the weights ===


def read_tensor(data, name):
    begin = 8 + int.from_bytes(data[:8], "little")
    entry = json.loads(data[8:begin])[name]
    first, last = entry["data_offsets"]
    dtype = {"F32": "<f4", "F16": "<f2"}[entry["dtype"]]
    return np.frombuffer(data[begin + first : begin + last], dtype).reshape(entry["shape"])

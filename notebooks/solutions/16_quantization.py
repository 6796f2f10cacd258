"""Solutions to notebook 16: quantization."""

from falcon_edu import memory_needed

import numpy as np


def to_whole(weights, bits):
    scale = (2 ** (bits - 1) - 1) / abs(weights).max()
    return np.rint(weights * scale), scale


def rounded_in_groups(weights, bits, size):
    m, f = weights.shape
    groups = weights.reshape(m // size, size, f)
    scale = (2 ** (bits - 1) - 1) / abs(groups).max(axis=1, keepdims=True)
    return (np.rint(groups * scale) / scale).reshape(m, f)


def longest(config, gigabytes, dtype):
    parts = memory_needed(config, dtype=dtype, tokens=1)
    left = int(gigabytes * 1e9) - parts["weights"]
    return max(0, left // parts["key/value cache"])


def best_share(weights, bits, shares):
    top = 2 ** (bits - 1) - 1

    def error(share):
        scale = top / (share * abs(weights).max())
        whole = np.clip(np.rint(weights * scale), -top, top)
        return ((whole / scale - weights) ** 2).sum()

    return min(shares, key=error)

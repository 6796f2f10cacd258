"""Solutions to notebook 16: quantization."""

from falcon_edu import memory_needed

import numpy as np


# 16.1: The largest weight *by size* becomes the largest whole number, so with 8 bits the scale is
# 127 divided by it; `max` without `abs` fails where the largest is negative. `2 ** (bits - 1)` is
# 128, which is one level too many. Rounding goes to the nearest; cutting the digits off makes
# errors up to twice as large.
def to_whole(weights, bits):
    scale = (2 ** (bits - 1) - 1) / abs(weights).max()
    return np.rint(weights * scale), scale


# 16.2: The rows are cut into groups of neighbours, and each output finds its largest weight
# within each group, so the one large row makes only its own group coarse. With no groups every
# output has that row in it. What was rounded is divided by its scale again, for floats were asked
# for.
def rounded_in_groups(weights, bits, size):
    m, f = weights.shape
    groups = weights.reshape(m // size, size, f)
    scale = (2 ** (bits - 1) - 1) / abs(groups).max(axis=1, keepdims=True)
    return (np.rint(groups * scale) / scale).reshape(m, f)


# 16.3: Weights don't grow with the text, so what they leave is divided by the cache of one token
# and rounded down. `memory_needed` says how large that is: beside int8 weights, a number in the
# cache has two bytes. Where not even the weights fit the quotient is negative, and `max` makes 0
# of it.
def longest(config, gigabytes, dtype):
    parts = memory_needed(config, dtype=dtype, tokens=1)
    left = int(gigabytes * 1e9) - parts["weights"]
    return max(0, left // parts["key/value cache"])


# 16.4: For each share the weights are scaled, rounded, cut at the largest whole number, and
# brought back; what they have lost by then is squared and added up. Without `np.clip` whole
# numbers would go beyond the levels that the bits have, and a small share would always look good.
# With `key=error`, `min` returns the share and not its error.
def best_share(weights, bits, shares):
    top = 2 ** (bits - 1) - 1

    def error(share):
        scale = top / (share * abs(weights).max())
        whole = np.clip(np.rint(weights * scale), -top, top)
        return ((whole / scale - weights) ** 2).sum()

    return min(shares, key=error)

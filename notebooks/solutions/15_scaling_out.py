"""Solutions to notebook 15: scaling out."""

from falcon_edu import memory_needed

import numpy as np


# 15.1: An axis that is given to an axis of the mesh is divided by the devices along that one;
# `None` divides by 1. Divided by the number of all devices, each part would be too small wherever
# a mesh has two axes.
def part_shape(shape, axes, mesh):
    return tuple(size // mesh.get(axis, 1) for size, axis in zip(shape, axes, strict=True))


# 15.2: The columns of `up` and the rows of `down` are the units, so a device takes its units
# through both matrices, and through the activation, without hearing from the others. The product
# with `down` is a sum over units, so the parts add up to the whole. Cutting the inputs instead
# would need the whole sum before the activation, which is not linear.
def partial_sums(x, up, down, activation, devices):
    parts = zip(np.split(up, devices, axis=1), np.split(down, devices), strict=True)
    return np.stack([activation(x @ columns) @ rows for columns, rows in parts])


# 15.3: In each of `2 (d - 1)` steps a device sends one piece, which is a `d`-th of the array.
# There is one all-reduce after the embedding and two in each layer. One round alone would leave
# each device with the sum of a single piece: the second is as long, and hands the sums to
# everybody.
def sent(config, tokens, devices, width):
    reduced = tokens * config.hidden_dim * width
    return (2 * config.num_layers + 1) * reduced * 2 * (devices - 1) / devices


# 15.4: Weights are always shared evenly, the cache only if the devices divide the key/value
# heads. So more devices may need more room each: with 8 key/value heads, 8 devices hold an eighth
# of the cache, and 16 hold all of it. That is why every number is tried, from the smallest on.
def fewest(config, gigabytes, tokens, batch_size):
    needed = memory_needed(config, dtype="bfloat16", tokens=tokens, batch_size=batch_size)
    weights, cache = needed.values()
    for devices in (1, 2, 4, 8, 16, 32, 64):
        share = devices if config.key_value_heads % devices == 0 else 1
        if weights / devices + cache / share <= gigabytes * 1e9:
            return devices
    return 0

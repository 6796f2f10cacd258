"""Solutions to notebook 15: scaling out."""

from falcon_edu import memory_needed

import numpy as np


def part_shape(shape, axes, mesh):
    return tuple(size // mesh.get(axis, 1) for size, axis in zip(shape, axes, strict=True))


def partial_sums(x, up, down, activation, devices):
    parts = zip(np.split(up, devices, axis=1), np.split(down, devices), strict=True)
    return np.stack([activation(x @ columns) @ rows for columns, rows in parts])


def sent(config, tokens, devices, width):
    reduced = tokens * config.hidden_dim * width
    return (2 * config.num_layers + 1) * reduced * 2 * (devices - 1) / devices


def fewest(config, gigabytes, tokens, batch_size):
    needed = memory_needed(config, dtype="bfloat16", tokens=tokens, batch_size=batch_size)
    weights, cache = needed.values()
    for devices in (1, 2, 4, 8, 16, 32, 64):
        share = devices if config.key_value_heads % devices == 0 else 1
        if weights / devices + cache / share <= gigabytes * 1e9:
            return devices
    return 0

"""What learners plausibly answer in notebook 15, and should not get away with."""

import math

from falcon_edu import memory_needed

import numpy as np


def partial(split):
    def answer(x, up, down, activation, devices):
        return np.stack([activation(a @ b) @ c for a, b, c in split(x, up, down, devices)])

    return answer


def columns_and_rows(x, up, down, devices):
    parts = zip(np.split(up, devices, axis=1), np.split(down, devices), strict=True)
    return [(x, columns, rows) for columns, rows in parts]


def inputs(x, up, down, devices):
    parts = zip(np.split(x, devices, axis=1), np.split(up, devices), strict=True)
    return [(some, rows, down) for some, rows in parts]


def ring(all_reduces=lambda c: 2 * c.num_layers + 1, rounds=lambda d: 2 * (d - 1) / d, width=True):
    def answer(config, tokens, devices, bytes_each):
        reduced = tokens * config.hidden_dim * (bytes_each if width else 1)
        return all_reduces(config) * reduced * rounds(devices)

    return answer


def counted(candidates=(1, 2, 4, 8, 16, 32, 64), shares=None, cache_counts=True):
    """The first of some numbers of devices that has room, with the cache shared in some way."""

    def answer(config, gigabytes, tokens, batch_size):
        needed = memory_needed(config, dtype="bfloat16", tokens=tokens, batch_size=batch_size)
        weights, cache = needed.values()
        for devices in candidates:
            fair = devices if config.key_value_heads % devices == 0 else 1
            share = fair if shares is None else shares(devices)
            if weights / devices + cache_counts * cache / share <= gigabytes * 1e9:
                return devices
        return 0

    return answer


WRONG = {
    "part_shape": {
        "axes reversed": lambda shape, axes, mesh: tuple(
            size // mesh.get(axis, 1) for size, axis in zip(shape, axes[::-1], strict=True)
        ),
        "by all devices": lambda shape, axes, mesh: tuple(
            size // math.prod(mesh.values()) if axis else size
            for size, axis in zip(shape, axes, strict=True)
        ),
        "only the model axis": lambda shape, axes, mesh: tuple(
            size // mesh["model"] if axis == "model" else size
            for size, axis in zip(shape, axes, strict=True)
        ),
        "how many parts": lambda shape, axes, mesh: tuple(mesh.get(axis, 1) for axis in axes),
        "whole": lambda shape, axes, mesh: shape,
    },
    "partial_sums": {
        "summed": lambda x, up, down, activation, devices: activation(x @ up) @ down,
        "inputs split": partial(inputs),
        "no activation": lambda x, up, down, activation, devices: np.stack(
            [a @ b @ c for a, b, c in columns_and_rows(x, up, down, devices)]
        ),
        "an equal share": lambda x, up, down, activation, devices: np.stack(
            [activation(x @ up) @ down / devices] * devices
        ),
        "before the second matrix": lambda x, up, down, activation, devices: np.stack(
            [activation(a @ b) for a, b, _ in columns_and_rows(x, up, down, devices)]
        ),
    },
    "sent": {
        "what is added up": ring(rounds=lambda d: 1),
        "no embedding": ring(all_reduces=lambda c: 2 * c.num_layers),
        "one for each block": ring(all_reduces=lambda c: c.num_layers + 1),
        "once round": ring(rounds=lambda d: (d - 1) / d),
        "its own part too": ring(rounds=lambda d: 2),
        "numbers, not bytes": ring(width=False),
        "all devices": ring(rounds=lambda d: 2 * (d - 1)),
    },
    "fewest": {
        "any number": counted(candidates=range(1, 65)),
        "no cache": counted(cache_counts=False),
        "cache always shared": counted(shares=lambda devices: devices),
        "cache never shared": counted(shares=lambda devices: 1),
        "one step further": lambda *arguments: 2 * counted()(*arguments),
        "from two": counted(candidates=(2, 4, 8, 16, 32, 64)),
    },
}

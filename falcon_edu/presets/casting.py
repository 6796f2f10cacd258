"""Casting a tensor on its way from a file into a model.

A checkpoint of transformers holds kernels as `(outputs, inputs)` in bfloat16, and a model wants
`(inputs, outputs)` in float32. NumPy would walk through one of the two in steps of kilobytes, each
a miss of the cache. In tiles both sides stay in it, and each core takes a part of them: on two
cores a kernel of 8192 by 2048 takes 22 ms, with one core and whole rows 70.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np

TILE = 256  # rows and columns of a tile: half a megabyte, in both forms


def cast(value, dtype):
    """An array in another dtype, in memory of its own.

    Args:
        value: an array of at least one axis; its strides don't matter.
        dtype: name of a dtype, or a dtype.

    Returns:
        The array, C-contiguous.

    Example:

    >>> kernel = np.arange(6, dtype="float16").reshape(2, 3)
    >>> cast(kernel.T, "float32").tolist()
    [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
    """
    result = np.empty(value.shape, np.dtype(dtype))
    if value.size <= TILE**2:
        result[...] = value
        return result
    source, target = value, result
    if value.flags.c_contiguous:  # then it is cut into pieces, no matter where its rows end
        source, target = value.reshape(1, -1), result.reshape(1, -1)
    # A tile has TILE rows, and of the axes behind them as much as makes about TILE numbers.
    sizes, room = [], TILE if len(source) > 1 else TILE**2
    for length in reversed(source.shape[1:]):
        sizes.append(min(length, room))
        room //= sizes[-1]
    pieces = map(_pieces, source.shape, [TILE, *reversed(sizes)])

    def copy(tile):
        target[tile] = source[tile]

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # NumPy copies without Python's lock
        list(pool.map(copy, product(*pieces)))
    return result


def _pieces(length, size):
    return [slice(start, start + size) for start in range(0, length, size)]

"""Casting a tensor on its way from a file into a model.

A checkpoint of transformers holds kernels as `(outputs, inputs)` in bfloat16, and a model wants
`(inputs, outputs)` in float32. NumPy would walk through one of the two in steps of kilobytes, each
a miss of the cache. In tiles both sides stay in it, and each core takes a part of them. A tile is
cast first, as it lies, and turned after that: the steps are then those of the tile and no powers of
two of kilobytes, which all fall into the same few places of a cache. On two cores a kernel of 8192
by 2048 takes 23 ms, where turning and casting at once takes 41, and one core and whole rows 100.
"""

import ctypes
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np

TILE = 256  # rows of a tile, in the array that is written
NUMBERS = 2 * TILE**2  # in a tile: half a megabyte in float32


def cast(value, dtype):
    """An array in another dtype, as an array of JAX's.

    JAX would copy what NumPy made, and on a CPU that copy took longer than the casting. So there
    the numbers are written straight into the memory of a JAX array. Memory that JAX only borrows
    from NumPy would be no way out: JAX can't hand it on from one step to the next, so that Keras's
    `predict` and `fit` would copy all weights.

    Args:
        value: an array of at least one axis; its strides don't matter.
        dtype: name of a dtype, or a dtype.

    Returns:
        The array, on the default device.

    Example:

    >>> kernel = np.arange(6, dtype="float16").reshape(2, 3)
    >>> cast(kernel.T, "float32").tolist()
    [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
    """
    array = jnp.zeros(value.shape, dtype).block_until_ready()
    (device,) = array.devices()
    if device.platform != "cpu":
        return jax.device_put(cast_to_numpy(value, dtype))
    # An array of JAX's never changes; but this one, nobody has seen yet.
    memory = (ctypes.c_uint8 * array.nbytes).from_address(array.unsafe_buffer_pointer())
    # Its own dtype: of a float64, JAX makes float32, unless told otherwise.
    fill(np.frombuffer(memory, array.dtype).reshape(value.shape), value)
    return array


def cast_to_numpy(value, dtype):
    """An array in another dtype, C-contiguous, in memory of its own.

    Example:

    >>> cast_to_numpy(np.ones(2, "float16"), "float32")
    array([1., 1.], dtype=float32)
    """
    result = np.empty(value.shape, np.dtype(dtype))
    fill(result, value)
    return result


def fill(target, source):
    """Copies an array into another of the same shape, a tile at a time.

    Args:
        target: an array, C-contiguous.
        source: an array.
    """
    if source.size <= NUMBERS:
        target[...] = source
        return
    if source.flags.c_contiguous:  # then it is cut into pieces, no matter where its rows end
        source, target = source.reshape(1, -1), target.reshape(1, -1)
    # A tile has at most TILE rows, and of the axes behind them what makes it NUMBERS.
    sizes, room = [], NUMBERS // min(len(source), TILE)
    for length in reversed(source.shape[1:]):
        sizes.append(min(length, room))
        room //= sizes[-1]
    pieces = map(_pieces, source.shape, [TILE, *reversed(sizes)])

    def copy(tile):
        target[tile] = source[tile].astype(target.dtype)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # NumPy copies without Python's lock
        list(pool.map(copy, product(*pieces)))


def _pieces(length, size):
    return [slice(start, start + size) for start in range(0, length, size)]

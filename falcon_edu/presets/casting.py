"""Casting a tensor on its way from a file into a model.

A checkpoint of transformers holds kernels as `(outputs, inputs)` in bfloat16, and a model wants
`(inputs, outputs)` in float32. On a CPU, XLA turns and casts at once, straight into memory that
nobody has touched before: a kernel of 8192 by 2048 takes 40 ms on two cores, of which 30 are the
system's, for 67 MB of new memory. What lies as it is wanted is cast by NumPy, a piece at a time.

Where NumPy has to turn too, it would walk through one of the two arrays in steps of kilobytes, each
a miss of the cache. In tiles both sides stay in it, and each core takes a part of them. A tile is
cast first, as it lies, and turned after that: the steps are then those of the tile and no powers of
two of kilobytes, which all fall into the same few places of a cache.
"""

import ctypes
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np

SMALL = 2**18  # numbers that are copied once more rather than have a program compiled for them
ALIGNMENT = 64  # bytes: JAX borrows nothing that is aligned less
TILE = 256  # rows of a tile, in the array that is written
NUMBERS = 2 * TILE**2  # in a tile: half a megabyte in float32


class Caster:
    """Makes arrays of JAX's from arrays in another dtype, one after the other.

    JAX would copy what NumPy made, and on a CPU that copy took longer than the casting. So there
    the numbers are written straight into the memory of a JAX array. A weight whose memory JAX only
    borrows from NumPy would be no way out: JAX can't hand it on from one step to the next, so that
    Keras's `predict` and `fit` would copy all weights.

    Args of the call:
        value: an array of at least one axis; its strides don't matter.
        dtype: name of a dtype, or a dtype.

    Returns:
        The array, on the default device.

    Example:

    >>> cast = Caster()
    >>> kernel = np.arange(6, dtype="float16").reshape(2, 3)
    >>> cast(kernel.T, "float32").tolist()
    [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]
    """

    def __init__(self):
        self._buffer = np.empty(0, np.uint8)
        # Functions of its own: what JAX keeps of their programs, a megabyte each, goes with them.
        # (JAX 0.7 keeps the last one.)
        self._zeros = jax.jit(lambda shape, dtype: jnp.zeros(shape, dtype), static_argnums=(0, 1))
        self._turn = jax.jit(
            lambda array, order, dtype: array.transpose(order).astype(dtype), static_argnums=(1, 2)
        )
        (device,) = jnp.empty(0).devices()  # the default device, which `keras.device` may have set
        self._is_on_cpu = device.platform == "cpu"

    def __call__(self, value, dtype):
        if value.size <= SMALL or not self._is_on_cpu:
            return jax.device_put(_cast_unaligned(value, dtype))
        as_it_lies = sorted(range(value.ndim), key=lambda axis: -value.strides[axis])
        is_in_order = value.flags.c_contiguous or as_it_lies == sorted(as_it_lies)
        # JAX knows no bytes in another order, and makes float32 of float64 before it rounds.
        is_jaxs = value.dtype.isnative and value.dtype.itemsize <= 4
        if is_in_order or not is_jaxs:
            return self._cast_in_order(value, dtype)
        borrowed = jax.device_put(self._aligned(value.transpose(as_it_lies)), may_alias=True)
        # The buffer is used again: the array must be there before this returns.
        return self._turn(borrowed, tuple(np.argsort(as_it_lies)), dtype).block_until_ready()

    def _aligned(self, value):
        """Return a copy that JAX can read without one of its own, as it seldom can a file.

        It is in a buffer that stays: the system would have to hand out new memory for each copy.
        """
        if len(self._buffer) < value.nbytes + ALIGNMENT:
            self._buffer = np.empty(value.nbytes + ALIGNMENT, np.uint8)
        start = -self._buffer.ctypes.data % ALIGNMENT
        copy = self._buffer[start : start + value.nbytes].view(value.dtype).reshape(value.shape)
        copy[...] = value
        return copy

    def _cast_in_order(self, value, dtype):
        array = self._zeros(value.shape, dtype).block_until_ready()
        # An array of JAX's never changes; but this one, nobody has seen yet.
        memory = (ctypes.c_uint8 * array.nbytes).from_address(array.unsafe_buffer_pointer())
        # Its own dtype: of a float64, JAX makes float32, unless told otherwise.
        fill(np.frombuffer(memory, array.dtype).reshape(value.shape), value)
        return array


def _cast_unaligned(value, dtype):
    """Return a NumPy array that JAX can't borrow, so that it has to copy it.

    A copy that it is asked for is a program, which takes 10 ms to compile for each shape.
    """
    dtype = np.dtype(dtype)
    memory = np.empty(value.size * dtype.itemsize + 2 * ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT + dtype.itemsize
    array = memory[start : start + value.size * dtype.itemsize].view(dtype).reshape(value.shape)
    fill(array, value)
    return array


def cast_to_numpy(value, dtype):
    """Return an array in another dtype, C-contiguous, in memory of its own.

    Example:

    >>> cast_to_numpy(np.ones(2, "float16"), "float32")
    array([1., 1.], dtype=float32)
    """
    result = np.empty(value.shape, np.dtype(dtype))
    fill(result, value)
    return result


def fill(target, source):
    """Copy an array into another of the same shape, a tile at a time.

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

"""Matrix products at the memory's speed, on a CPU.

A token that is decoded reads every weight once, so what counts is how many bytes there are, and
whether both cores read. XLA's own products fall short of that in two cases, and here are the ways
around: `row_product` for one row and a kernel in float32, `narrow_product` for kernels of fewer
bytes. Each equals the plain product, to rounding. The times in the comments are from two cores that
read 49 GB/s from memory.
"""

import functools
import math

from falcon_edu.int8 import quantization

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.xla_metadata import set_xla_metadata

# Numbers that are widened at once: in float32 eight megabytes. Fewer, and XLA lets one core do it:
# with 2**18 a product took 2.7 times as long. More, and they leave the cache.
WIDENED = 2**21

# For one row half as many are widened at once, and the cores share their product in so many parts:
# the kernels of 24 blocks 2048 wide, in bfloat16, took 232 ms for 281.
PARTS_OF_BLOCK = 4

# Parts of a product that the cores share. Where a kernel of 8192 x 2048 was read at 19 GB/s, in 16
# parts it is at 28; the embedding of 50304 x 2048 went from 33 to 48.
PARTS = 16

# Numbers in a kernel up to which one core alone is as fast, with fewer operations around it: 32
# tokens of a Falcon 256 wide took 68 ms for 81.
SMALL = 2**18

# Numbers in a row beyond which XLA doesn't widen a kernel within the product: 16 KB are too many.
LARGEST_ROW = 2**12 - 1

# Rows that are multiplied one by one in that way: two take a third of the time that blocks take,
# four a little more than half, eight as long.
FEW_ROWS = 4

# === Where ===


def on_one_cpu():
    """True if JAX has one CPU and nothing else, so that nothing is split between devices."""
    return jax.default_backend() == "cpu" and jax.device_count() == 1


# === One row ===


def is_one_row(x):
    """True if a product with `x` `(..., m)` has one row, and one CPU computes it.

    So it is when one text grows token by token.

    Example:

    >>> is_one_row(jnp.ones((1, 1, 3))), is_one_row(jnp.ones((1, 2, 3)))
    (True, False)
    """
    return on_one_cpu() and all(size == 1 for size in x.shape[:-1])


def row_product(x, kernel, most_parts=PARTS):
    """Multiply one row and a kernel, in parts: XLA gives each part to one core.

    A small kernel stays whole.

    Args:
        x: `(..., m)`, of one row.
        kernel: `(m, f)`.
        most_parts: a power of two; with an `m` that it doesn't divide there are fewer parts.

    Returns:
        `(..., f)`, the sum over the parts of `m`.

    Example:

    >>> row_product(jnp.array([[1.0, 2.0]]), jnp.array([[3.0], [4.0]])).tolist()
    [[11.0]]
    """
    m, f = kernel.shape
    if m * f <= SMALL:
        return x @ kernel
    parts = math.gcd(m, most_parts)
    outputs = jnp.einsum("pk,pkf->pf", x.reshape(parts, -1), kernel.reshape(parts, -1, f))
    return outputs.sum(axis=0).reshape(*x.shape[:-1], f)


def row_product_transposed(x, kernel):
    """`row_product` with a kernel of which each row is an output channel, as in embeddings.

    Args:
        x: `(..., m)`, of one row.
        kernel: `(f, m)`.

    Returns:
        `(..., f)`.

    Example:

    >>> row_product_transposed(jnp.array([[1.0, 2.0]]), jnp.array([[3.0, 4.0]])).tolist()
    [[11.0]]
    """
    f, m = kernel.shape
    parts = math.gcd(f, PARTS)
    row = jnp.broadcast_to(x.reshape(m), (parts, m))
    outputs = jnp.einsum("pm,pfm->pf", row, kernel.reshape(parts, -1, m))
    return outputs.reshape(*x.shape[:-1], f)


# === Kernels of fewer bytes ===


def as_bits(array):
    """Return a bfloat16 array as the bits that it is made of, without a copy.

    A bfloat16 is the upper half of a float32, so that widening it is a shift. XLA's own conversion
    on a CPU is one core going from number to number: 1.5 GB/s, where the shift reaches 19. But it
    converts what a program gets as bfloat16 whatever the program does; so the bits are handed over.

    Args:
        array: a JAX array.

    Returns:
        The array as uint16, if it is bfloat16 and in the memory of one CPU; otherwise as it came.

    Example:

    >>> as_bits(jnp.ones(1, "bfloat16")).dtype, as_bits(jnp.ones(1)).dtype
    (dtype('uint16'), dtype('float32'))
    """
    devices = array.devices()
    if array.dtype != "bfloat16" or len(devices) > 1:
        return array
    (device,) = devices
    if device.platform != "cpu":
        return array
    # NumPy sees the array's own memory, and JAX sees NumPy's. A device that is named would bind the
    # bits to it, and what is computed from them: for arrays that are bound, the second call of a
    # compiled function would compile it again.
    with jax.default_device(device):
        return jax.device_put(np.asarray(array).view("uint16"), may_alias=True)


def widen(x, steps=None, axis=-1):
    """Return int8, or the bits of bfloat16, as float32.

    Args:
        x, steps, axis: as in `int8.quantization.widen`.

    Example:

    >>> widen(as_bits(jnp.array([[0.5, -3.0]], "bfloat16"))).tolist()
    [[0.5, -3.0]]
    """
    if x.dtype == "uint16":
        return jax.lax.bitcast_convert_type(x.astype("uint32") << 16, "float32")
    return quantization.widen(x, steps, axis)


def narrow_product(x, kernel, steps=None):
    """Multiply by a kernel that is widened to float32 a block of rows at a time.

    XLA multiplies only float32 quickly on a CPU, and would widen the whole kernel first: two or
    four times as many bytes to write and to read again as there were. A block stays in the cache.

    Args:
        x: `(..., m)` floats.
        kernel: `(m, f)`, int8, or uint16 from `as_bits`.
        steps: `(groups, f)`, if groups of an int8 kernel have steps of their own.

    Returns:
        `(..., f)` float32. Its gradient reaches `x`; in the backward pass, the blocks are widened
        anew, and not kept.

    Example:

    >>> narrow_product(jnp.array([[1.0, 2.0]]), jnp.array([[3], [4]], "int8")).tolist()
    [[11.0]]
    """
    m, f = kernel.shape
    rows = x.reshape(-1, m).astype("float32")
    count = rows.shape[0]
    size = WIDENED // f
    has_value = isinstance(count, int)  # it has none while Keras works out shapes
    is_row = has_value and count == 1
    if is_row:
        size //= 2
    elif has_value:
        # With many rows of `x`, the sums are the larger traffic, so the blocks are larger, too.
        size = max(size, count)
    group = 1 if steps is None else m // len(steps)
    size = max(1, min(m, size) // group) * group

    @functools.partial(jax.checkpoint, static_argnums=1)
    def block(start, size):
        part = jax.lax.dynamic_slice(kernel, (start, 0), (size, f))
        if steps is None:
            part = widen(part)
        else:
            of_part = jax.lax.dynamic_slice(steps, (start // group, 0), (size // group, f))
            part = widen(part, of_part, axis=0)
        of_rows = jax.lax.dynamic_slice(rows, (0, start), (count, size))
        return row_product(of_rows, part, PARTS_OF_BLOCK) if is_row else of_rows @ part

    total = jax.lax.fori_loop(
        0,
        m // size,
        lambda i, total: total + block(i * size, size),
        jnp.zeros((count, f), "float32"),
    )
    if m % size:
        total = total + block(m - m % size, m % size)
    return total.reshape(*x.shape[:-1], f)


def narrow_product_transposed(x, kernel, steps=None, is_part=False):
    """Multiply by a kernel of which each row is an output channel, as in embeddings.

    For a few rows of `x`, each of few numbers, XLA widens each number of the kernel on its way into
    the product, and none is written. For more it is `narrow_product` with the axes swapped.

    Args:
        x: `(..., m)` floats.
        kernel: `(f, m)`, int8, or uint16 from `as_bits`.
        steps: `(f, groups)`, if groups of an int8 kernel have steps of their own.
        is_part: whether the caller goes through a larger product in a loop.

    Returns:
        `(..., f)` float32. Its gradient reaches `x`, in blocks that are widened anew.

    Example:

    >>> narrow_product_transposed(jnp.array([[1.0, 2.0]]), jnp.array([[3, 4]], "int8")).tolist()
    [[11.0]]
    """
    f, m = kernel.shape
    rows = x.reshape(-1, m).astype("float32")
    count = rows.shape[0]
    # While Keras works out shapes, the count has no value.
    if isinstance(count, int) and 1 <= count <= FEW_ROWS and m <= LARGEST_ROW:
        each = [_widened_within(rows[i : i + 1], kernel, steps, is_part) for i in range(count)]
        outputs = jnp.concatenate(each)
    else:
        outputs = _blocks_transposed(rows, kernel, steps)
    return outputs.reshape(*x.shape[:-1], f)


@functools.partial(jax.custom_jvp, nondiff_argnums=(3,))
def _widened_within(row, kernel, steps, is_part):
    """One row `(1, m)` times `(f, m)`, with no copy of the kernel."""
    if is_part or not on_one_cpu():
        # Without the barrier, XLA would widen the whole kernel once for all tokens, before their
        # loop.
        row, kernel, steps = jax.lax.optimization_barrier((row, kernel, steps))
        return row @ widen(kernel, steps).T
    # XLA would move into the product what the row is computed by, say a norm, and do that anew for
    # each output: a token of a 1.3B Falcon took 73 to 80 ms, for 50. Into a function that is called
    # it moves nothing, and out of it neither.
    with set_xla_metadata(inlineable="false"):
        return _widened_apart(row, kernel, steps)


@_widened_within.defjvp
def _(is_part, primals, tangents):
    # The product is linear in the row, so that the change of one is the product with the other. Of
    # that one JAX makes the gradient; left to itself it would keep the widened kernel for it. It is
    # asked for the change of that product, not for the product of the change: for JAX 0.7 only what
    # it has derived itself is linear in a loop.
    row, *weights = primals
    _, change = jax.jvp(lambda row: _blocks_transposed(row, *weights), (row,), (tangents[0],))
    return _widened_within(*primals, is_part), change


@jax.jit
def _widened_apart(row, kernel, steps):
    return row @ widen(kernel, steps).T


def _blocks_transposed(rows, kernel, steps):
    """Multiply rows `(b, m)` by `(f, m)`, of which a block of rows is widened at a time."""
    f, m = kernel.shape
    size = max(1, min(f, WIDENED // m))

    @functools.partial(jax.checkpoint, static_argnums=1)
    def block(start, size):
        part = jax.lax.dynamic_slice_in_dim(kernel, start, size)
        of_part = steps if steps is None else jax.lax.dynamic_slice_in_dim(steps, start, size)
        return rows @ widen(part, of_part).T

    def step(i, outputs):
        return jax.lax.dynamic_update_slice(outputs, block(i * size, size), (0, i * size))

    outputs = jax.lax.fori_loop(0, f // size, step, jnp.zeros((rows.shape[0], f), "float32"))
    if f % size:
        rest = f - f % size
        outputs = jax.lax.dynamic_update_slice(outputs, block(rest, f % size), (0, rest))
    return outputs

"""The order in which a kernel of eight bits lies in memory, on one CPU.

A kernel has its inputs first, `(m, f)`, so what belongs to one output is spread over all of its
memory. XLA then widens the kernel to floats before it multiplies: the numbers go through the cache
twice, with four times the bytes. Where all that one output needs lies side by side, and the inputs
are few enough, XLA widens each number within the product instead. So a kernel is packed when it is
rounded: it takes the shape `(parts, f, m / parts)`. One row times 8192 x 2048 took 2.4 ms before
and takes 0.9, on two cores that read 30 GB/s from memory; and XLA compiles a plain product anew
wherever it stands, 192 of them in a Falcon of 24 blocks; those that widen it compiles once.

In presets, `.keras` and `.weights.h5` files, and in `layer.kernel`, the kernel is as Keras has it.
The variable is not, nor what shows variables as they are: `get_weights`, or Keras's older `.h5`.
"""

import math

from falcon_edu.fast.products import LARGEST_ROW, narrow_product_transposed, on_one_cpu

import jax
import jax.numpy as jnp
import keras

MOST_PARTS = 16  # an `m` that would need more stays whole


def should_pack():
    """True if kernels are packed here: on one CPU, without a distribution that may split them.

    Example:

    >>> should_pack() == (jax.default_backend() == "cpu" and jax.device_count() == 1)
    True
    """
    return on_one_cpu() and keras.distribution.distribution() is None


def parts_of(m, group_size=1):
    """Return the number of parts in which the inputs of a kernel are packed.

    Args:
        m: number of inputs.
        group_size: of groups with steps of their own, which lie in one part each.

    Example:

    >>> parts_of(128), parts_of(8192)
    (1, 4)
    """
    fitting = (
        parts
        for parts in range(1, MOST_PARTS + 1)
        if m % (parts * group_size) == 0 and m // parts <= LARGEST_ROW
    )
    return next(fitting, 1)


def packed_shape(shape, parts=None):
    """Return the shape that a kernel gets when it is packed.

    Args:
        shape: of the kernel, `(m, ...)`, with its outputs behind `m`.
        parts: as few as possible, if `None`.

    Returns:
        `(parts, f, m / parts)`.

    Example:

    >>> packed_shape((128, 4, 32)), packed_shape((8192, 2048))
    ((1, 128, 128), (4, 2048, 2048))
    """
    m, *outputs = shape
    parts = parts or parts_of(m)
    return parts, math.prod(outputs), m // parts


def pack(kernel, parts=None):
    """Put a kernel in the order that `packed_product` reads.

    Args:
        kernel: `(m, ...)`, of NumPy or JAX.
        parts: as few as possible, if `None`.

    Returns:
        `(parts, f, m / parts)`; of NumPy, where it can be a view.

    Example:

    >>> pack(jnp.array([[1, 2], [3, 4]], "int8")).tolist()
    [[[1, 3], [2, 4]]]
    """
    parts, f, size = packed_shape(kernel.shape, parts)
    by_output = kernel.reshape(-1, f).T
    return by_output.reshape(f, parts, size).swapaxes(0, 1)


def unpack(packed, shape):
    """Return the kernel that was packed.

    Args:
        packed: `(parts, f, m / parts)`.
        shape: of the kernel, `(m, ...)`.

    Returns:
        An array of that shape.

    Example:

    >>> unpack(jnp.array([[[1, 3], [2, 4]]], "int8"), (2, 2)).tolist()
    [[1, 2], [3, 4]]
    """
    return packed.swapaxes(1, 2).reshape(shape)


def packed_product(x, packed, steps=None):
    """Return the product of `x` and the kernel that was packed.

    Args:
        x: `(..., m)` floats.
        packed: `(parts, f, m / parts)`, int8.
        steps: `(parts, f, groups / parts)`, if the kernel has groups; packed as well.

    Returns:
        `(..., f)` float32. Its gradient reaches `x`.

    Example:

    >>> packed_product(jnp.array([[1.0, 2.0]]), pack(jnp.array([[3], [4]], "int8"))).tolist()
    [[11.0]]
    """
    parts, f, size = packed.shape
    if parts == 1:
        return narrow_product_transposed(x, packed[0], None if steps is None else steps[0])
    rows = x.shape[:-1]
    of_parts = jnp.moveaxis(x.reshape(*rows, parts, size), -2, 0)

    def add(total, part):
        x, kernel, steps = part
        return total + narrow_product_transposed(x, kernel, steps, is_part=True), None

    return jax.lax.scan(add, jnp.zeros((*rows, f), "float32"), (of_parts, packed, steps))[0]

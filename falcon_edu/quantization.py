"""Weights of eight bits: how they are made, and how to multiply with them at the memory's speed.

A token that is decoded reads every weight once, so what counts is how many bytes there are. Eight
bits for a weight are a quarter of float32. Each output channel has a scale of its own, so that a
channel with small weights is not rounded away next to one with large weights.
Dettmers et al. 2022, https://arxiv.org/abs/2208.07339, section 2.1.
"""

import functools

import jax
import jax.numpy as jnp
import keras
import numpy as np

LARGEST = 127  # -128 has no counterpart, and is left out

EPSILON = np.float32(1e-7)  # Keras's, against a division by zero

BLOCK = 2**18  # numbers that are rounded at once: in float32 a megabyte

# Numbers that are widened at once: in float32 eight megabytes. Fewer, and XLA lets one core do it:
# with 2**18 a product took 2.7 times as long. More, and they leave the cache.
WIDENED = 2**21


def policy_of(dtype):
    """Keras's policy for a dtype, of which "int8" is short for weights of eight bits.

    Args:
        dtype: string, `keras.DTypePolicy`, or `None` for Keras's default.

    Example:

    >>> policy_of("int8").name
    'int8_from_float32'
    """
    if dtype == "int8":
        dtype = f"int8_from_{keras.config.dtype_policy().name}"
    return keras.dtype_policies.get(dtype)


def weights_only(weight_quantizer=None):
    """Keras's way to say that weights are rounded, but not what flows through the model."""
    return keras.quantizers.Int8QuantizationConfig(weight_quantizer, activation_quantizer=None)


def float_policy(policy):
    """The policy of everything that is not rounded, such as norms, beside quantized weights.

    Example:

    >>> float_policy(policy_of("int8_from_bfloat16")).name
    'bfloat16'
    """
    if policy.quantization_mode is None:
        return policy
    return keras.DTypePolicy(policy.name.partition("_from_")[2])


def quantize(weights, axis=0):
    """Rounds weights to whole numbers of eight bits, with one scale for each output channel.

    Args:
        weights: an array of floats.
        axis: the axis, or axes, that a product sums over: all weights along it share a scale.

    Returns:
        int8 array of the same shape, and float32 scales, with size 1 along `axis`: the weights are
        about `quantized / scale`, as Keras has it.

    Raises:
        ValueError: a weight is not finite, so that no scale fits.

    Example:

    >>> quantized, scale = quantize(np.array([[0.4, 5.0], [-1.0, 20.0]]))
    >>> quantized.tolist(), scale.round(2).tolist()
    ([[51, 32], [-127, 127]], [[127.0, 6.349999904632568]])
    """
    weights = np.asarray(weights)
    # Row by row, so that a copy in float32 of a large matrix never exists.
    rows = max(1, BLOCK // max(1, weights[:1].size))
    blocks = [slice(start, start + rows) for start in range(0, len(weights), rows)]
    axes = axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(a % weights.ndim for a in axes)
    found = [np.max(np.abs(weights[b].astype("float32")), axes, keepdims=True) for b in blocks]
    largest = np.max(found, axis=0) if 0 in axes else np.concatenate(found)
    if not np.isfinite(largest).all():
        raise ValueError("Weights that are not finite can't be quantized.")
    scale = (LARGEST / (largest + EPSILON)).astype("float32")
    quantized = np.empty(weights.shape, "int8")
    for block in blocks:
        own = scale if 0 in axes else scale[block]
        np.rint(weights[block].astype("float32") * own, out=quantized[block], casting="unsafe")
    return quantized, scale


def narrow_product(x, kernel):
    """A matrix product with a kernel that is widened to float32 a block of rows at a time.

    XLA multiplies only floats quickly on a CPU, and would widen the whole kernel first: four times
    as many bytes to write and to read again as there were. A block stays in the cache.

    Args:
        x: `(..., m)` floats.
        kernel: `(m, f)`, int8.

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
    if isinstance(count, int):  # it has no value while Keras works out shapes
        # With many rows of `x`, the sums are the larger traffic, so the blocks are larger, too.
        size = max(size, count)
    size = max(1, min(m, size))

    @functools.partial(jax.checkpoint, static_argnums=1)
    def block(start, size):
        part = jax.lax.dynamic_slice(kernel, (start, 0), (size, f)).astype("float32")
        return jax.lax.dynamic_slice(rows, (0, start), (count, size)) @ part

    total = jax.lax.fori_loop(
        0,
        m // size,
        lambda i, total: total + block(i * size, size),
        jnp.zeros((count, f), "float32"),
    )
    if m % size:
        total = total + block(m - m % size, m % size)
    return total.reshape(*x.shape[:-1], f)


def narrow_product_transposed(x, kernel):
    """`narrow_product` with a kernel of which each row is an output channel, as in embeddings.

    Args:
        x: `(..., m)` floats.
        kernel: `(f, m)`, int8.

    Returns:
        `(..., f)` float32.

    Example:

    >>> narrow_product_transposed(jnp.array([[1.0, 2.0]]), jnp.array([[3, 4]], "int8")).tolist()
    [[11.0]]
    """
    f, m = kernel.shape
    rows = x.reshape(-1, m).astype("float32")
    size = max(1, min(f, WIDENED // m))

    @functools.partial(jax.checkpoint, static_argnums=1)
    def block(start, size):
        part = jax.lax.dynamic_slice(kernel, (start, 0), (size, m)).astype("float32")
        return rows @ part.T

    def step(i, outputs):
        return jax.lax.dynamic_update_slice(outputs, block(i * size, size), (0, i * size))

    outputs = jax.lax.fori_loop(0, f // size, step, jnp.zeros((rows.shape[0], f), "float32"))
    if f % size:
        rest = f - f % size
        outputs = jax.lax.dynamic_update_slice(outputs, block(rest, f % size), (0, rest))
    return outputs.reshape(*x.shape[:-1], f)

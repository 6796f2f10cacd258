"""Attention on a GPU in one kernel, which never writes the attention weights down.

In long texts the map, `(b, n, q, k)`, is larger than all else, and writing it and reading it again
takes longer than the products. The kernel goes over it in tiles that stay on the chip. Which kernel
that is, and where it can't be had, is Keras's choice: on NVIDIA's GPUs cuDNN's, by way of JAX.
cuDNN knows the gradient and no more: where the kernel runs, `jax.jvp` says that it can't. In
float32 it doesn't run. Dao et al. 2022, https://arxiv.org/abs/2205.14135.
"""

import math

import jax
from keras import ops


def can_fuse(query, key, dropout_rate=0):
    """True if attention should be one kernel: on a GPU, in 16 bits, without dropout.

    Args:
        query: `(b, q, n, h)`.
        key: `(b, k, g, h)`.
        dropout_rate: share of the weights that training drops; the kernel has none.

    Returns:
        False, too, for an odd number of queries or keys: the kernel has no gradient there.

    Example:

    >>> import jax.numpy as jnp
    >>> can_fuse(jnp.ones((1, 2, 3, 4), "bfloat16"), jnp.ones((1, 2, 1, 4), "bfloat16"))
    False
    """
    is_even = query.shape[1] % 2 == key.shape[1] % 2 == 0
    is_narrow = str(query.dtype) in ("bfloat16", "float16")
    return jax.default_backend() == "gpu" and is_even and is_narrow and not dropout_rate


def fused_attention(query, key, value, bias, mask):
    """Return the output of `dot_product_attention`, without its weights.

    Args:
        query, key, value, bias: as in `dot_product_attention`; `bias` is `(b, n, 1, k)` or `None`.
        mask: `(b, q, k)`, true where a query may look.

    Returns:
        `(b, q, n, h)`; zeros for a query that may look nowhere.

    Example:

    >>> x = ops.ones((1, 2, 2, 4))
    >>> fused_attention(x, x, x, None, ops.ones((1, 2, 2), "bool")).shape
    (1, 2, 2, 4)
    """
    h = query.shape[-1]
    scale = 1 / math.sqrt(h)
    if bias is not None:
        query, key, value = _with_bias_inside(query, key, value, bias)
    output = ops.dot_product_attention(query, key, value, mask=mask[:, None], scale=scale)
    looks = ops.any(mask, axis=-1)[:, :, None, None]  # (b, q, 1, 1)
    return ops.where(looks, output, ops.zeros_like(output))[..., :h]


def _with_bias_inside(query, key, value, bias):
    """Query, key and value with a few more numbers each, from which the bias comes by itself.

    The kernel would take a bias, but as large as the map, and would write a gradient for it, as
    large again in every block. A bias that is one number for each key needs neither: a key that
    ends in it, and a query that ends in 1, have a product that contains it. The numbers are of 16
    bits, so the bias comes in three parts, which together have all bits of float32; the kernel adds
    in float32.
    """
    b, q, n, h = query.shape
    repeats = n // key.shape[2]  # each head has biases of its own, so each needs its own keys
    key, value = (ops.repeat(x, repeats, axis=2) for x in (key, value))  # (b, k, n, h)
    rest = ops.cast(ops.transpose(bias[:, :, 0], (0, 2, 1)), "float32")[..., None]  # (b, k, n, 1)
    parts = []
    kind = jax.numpy.finfo(key.dtype)
    for _ in range(3):
        # Not by casting there and back: a compiler may leave out both.
        part = jax.lax.reduce_precision(rest, kind.nexp, kind.nmant)
        parts.append(ops.cast(part, key.dtype))
        rest = rest - part
    ones = ops.ones((b, q, n, 3), query.dtype)
    room = -(h + 3) % 8  # the kernel's heads have a multiple of eight numbers

    def widened(x, *ends):
        extra = room + 3 - sum(end.shape[-1] for end in ends)
        return ops.pad(ops.concatenate([x, *ends], axis=-1), [(0, 0)] * 3 + [(0, extra)])

    return widened(query, ones), widened(key, *parts), widened(value)

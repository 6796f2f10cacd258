"""Attention on a GPU in one kernel, which never writes the attention weights down.

In long texts the map, `(b, n, q, k)`, is larger than all else, and writing it and reading it again
takes longer than the products. The kernel goes over it in tiles that stay on the chip. Which kernel
that is, and where it can't be had, is Keras's choice: on NVIDIA's GPUs cuDNN's, by way of JAX.
Dao et al. 2022, https://arxiv.org/abs/2205.14135.
"""

import math

import jax
from keras import ops


def can_fuse(query, key, dropout_rate=0):
    """Whether attention should be one kernel: on a GPU, in 16 bits, without dropout.

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


def fused_attention(query, key, value, bias=None, mask=None, offset=0):
    """The output of `dot_product_attention`, without its weights.

    Args:
        query, key, value, bias: as in `dot_product_attention`; `bias` is `(b, n, 1, k)`.
        mask: `(b, q, k)`, true where a query may look.
        offset: index of the first query among the keys.

    Returns:
        `(b, q, n, h)`; zeros for a query that may look nowhere.

    Example:

    >>> x = ops.ones((1, 2, 2, 4))
    >>> fused_attention(x, x, x, mask=ops.ones((1, 2, 2), "bool")).shape
    (1, 2, 2, 4)
    """
    scale = 1 / math.sqrt(query.shape[-1])
    if bias is not None:
        # The kernel wants the bias in 16 bits, and in bfloat16 the neighbours of 1000 are 996 and
        # 1004. So positions become distances: near keys are told apart, and far ones have next to
        # no weight. The softmax does not see the difference, which is one number for each query.
        b, n = bias.shape[:2]
        own = ops.slice(bias, (0, 0, 0, offset), (b, n, 1, query.shape[1]))  # (b, n, 1, q)
        bias = (bias - ops.swapaxes(own, 2, 3)) * scale  # (b, n, q, k)
    output = ops.dot_product_attention(
        query, key, value, bias=bias, mask=mask[:, None], scale=scale
    )
    looks = ops.any(mask, axis=-1)[:, :, None, None]  # (b, q, 1, 1)
    return ops.where(looks, output, ops.zeros_like(output))

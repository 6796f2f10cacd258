"""Weights of eight bits: how they are made, and how a model is told to have them.

A token that is decoded reads every weight once, so what counts is how many bytes there are. Eight
bits for a weight are a quarter of float32. Each output channel has a scale of its own, so that a
channel with small weights is not rounded away next to one with large weights.
Dettmers et al. 2022, https://arxiv.org/abs/2208.07339, section 2.1.
"""

import keras
import numpy as np

LARGEST = 127  # -128 has no counterpart, and is left out

EPSILON = np.float32(1e-7)  # Keras's, against a division by zero

BLOCK = 2**18  # numbers that are rounded at once: in float32 a megabyte


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

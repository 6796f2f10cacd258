"""Weights of eight bits: how they are made, and how a model is told to have them.

A token that is decoded reads every weight once, so what counts is how many bytes there are. Eight
bits for a weight are a quarter of float32. Each output channel has a scale of its own, so that a
channel with small weights is not rounded away next to one with large weights.
Dettmers et al. 2022, https://arxiv.org/abs/2208.07339, section 2.1.

With "int8/32" each group of 32 inputs has steps of its own length as well: the largest of 32
weights is nearer to the others than the largest of thousands. Random weights of a 1.3B Falcon then
move its hidden states by 1.9 % instead of 3.0, for 3 % more bytes. The name is made as Keras makes
"int4/128".
"""

import functools

import keras
import numpy as np
from keras import ops

LARGEST = 127  # -128 has no counterpart, and is left out

LONGEST = 255  # the most that a step of a group can be, as a multiple of the shortest

EPSILON = np.float32(1e-7)  # Keras's, against a division by zero

BLOCK = 2**18  # numbers that are rounded at once: in float32 a megabyte


@keras.saving.register_keras_serializable("falcon_edu")
class GroupedInt8DTypePolicy(keras.dtype_policies.QuantizedDTypePolicy):
    """Keras's policy for weights of eight bits, with steps for each group of inputs.

    Args:
        mode: `"int8/<group_size>"`; the size must divide the inputs of every product.
        source_name: the policy of all else; `None` for Keras's default.

    Raises:
        ValueError: the mode is none of these.

    Example:

    >>> policy = GroupedInt8DTypePolicy("int8/32", "bfloat16")
    >>> policy.name, policy.quantization_mode, policy.group_size
    ('int8/32_from_bfloat16', 'int8', 32)
    """

    def __init__(self, mode, source_name=None):
        base, _, size = mode.partition("/")
        if base != "int8" or not size.isdecimal() or int(size) < 1:
            raise ValueError(f'`mode` must be like "int8/32". Received: {mode!r}')
        super().__init__(base, source_name)
        self.group_size = int(size)
        self._name = f"{base}/{self.group_size}_from_{self._source_name}"

    def get_config(self):
        return {**super().get_config(), "mode": f"int8/{self.group_size}"}


@keras.saving.register_keras_serializable("falcon_edu")
class GroupedInt8QuantizationConfig(keras.quantizers.Int8QuantizationConfig):
    """Tell `quantize` of steps for each group of inputs, as `"int8/32"` does at loading.

    Args:
        group_size: number of inputs that share a step; must divide the inputs of every product.

    Raises:
        ValueError: the size is no whole number of at least 1.

    Example:

    >>> from falcon_edu import FalconBackbone
    >>> backbone = FalconBackbone.from_preset("falcon_tales_rw_en")
    >>> backbone.quantize(config=GroupedInt8QuantizationConfig(32))
    >>> backbone.token_embedding.embeddings_steps.shape
    (2048, 4)
    """

    def __init__(self, group_size):
        is_whole = hasattr(group_size, "__index__") and not isinstance(group_size, bool)
        if not is_whole or group_size < 1:
            raise ValueError(
                f"`group_size` must be a whole number of at least 1. Received: {group_size!r}"
            )
        super().__init__(activation_quantizer=None)
        self.group_size = int(group_size)

    def get_config(self):
        return {"group_size": self.group_size}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def policy_of(dtype):
    """Return Keras's policy for a dtype, of which "int8" is short for weights of eight bits.

    Args:
        dtype: string, `keras.DTypePolicy`, or `None` for Keras's default. Beside Keras's names
            there are `"int8"`, `"int8/32"` and `"int8/32_from_float32"`, of any group size.

    Example:

    >>> policy_of("int8").name, policy_of("int8/32").name
    ('int8_from_float32', 'int8/32_from_float32')
    """
    if dtype == "int8":
        dtype = f"int8_from_{keras.config.dtype_policy().name}"
    if isinstance(dtype, str) and dtype.startswith("int8/"):
        mode, _, source = dtype.partition("_from_")
        return GroupedInt8DTypePolicy(mode, source or None)
    return keras.dtype_policies.get(dtype)


def weights_only(weight_quantizer=None):
    """Return Keras's way to say that weights are rounded, but not what flows through the model."""
    return keras.quantizers.Int8QuantizationConfig(weight_quantizer, activation_quantizer=None)


def float_policy(policy):
    """Return the policy of everything that is not rounded, such as norms, beside quantized weights.

    Example:

    >>> float_policy(policy_of("int8_from_bfloat16")).name
    'bfloat16'
    """
    if policy.quantization_mode is None:
        return policy
    return keras.DTypePolicy(policy.name.partition("_from_")[2])


def quantize(weights, axis=0):
    """Round weights to whole numbers of eight bits, with one scale for each output channel.

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
    axes = axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(a % weights.ndim for a in axes)
    blocks = _blocks(weights)
    found = [np.max(np.abs(weights[b].astype("float32")), axes, keepdims=True) for b in blocks]
    largest = np.max(found, axis=0) if 0 in axes else np.concatenate(found)
    scale = _scale(largest)
    quantized = np.empty(weights.shape, "int8")
    for block in blocks:
        own = scale if 0 in axes else scale[block]
        np.rint(weights[block].astype("float32") * own, out=quantized[block], casting="unsafe")
    return quantized, scale


def quantize_in_groups(weights, size, axis=0):
    """Round weights as `quantize` does, where each group has steps of its own length.

    The group with the largest weight of an output channel has steps 255 units long; those of others
    are shorter, as much as their own largest weights are smaller.

    Args:
        weights: an array of floats.
        size: number of weights in a group: neighbours along `axis`.
        axis: the axis that a product sums over.

    Returns:
        int8 array of the same shape; float32 scales, with size 1 along `axis`; uint8 steps, with
        the number of groups along `axis`. The weights are about `quantized * steps / scale`, with
        the steps of its group for each.

    Raises:
        ValueError: a weight is not finite, or `size` does not divide the axis.

    Example:

    >>> weights = np.array([[0.1], [0.2], [-1.0], [0.3]])
    >>> quantized, scale, steps = quantize_in_groups(weights, size=2)
    >>> quantized.tolist(), steps.tolist()
    ([[63], [127], [-127], [38]], [[51], [255]])
    """
    weights = np.asarray(weights)
    axis %= weights.ndim
    count = number_of_groups(weights.shape[axis], size)
    multiple = size if axis == 0 else 1
    blocks = _blocks(weights, multiple)
    of_groups = [slice(b.start // multiple, b.stop // multiple) for b in blocks]
    largest = np.empty((*weights.shape[:axis], count, *weights.shape[axis + 1 :]), "float32")
    for block, of_block in zip(blocks, of_groups, strict=True):
        groups = _in_groups(np.abs(weights[block].astype("float32")), size, axis)
        # As `max(axis + 1)`; but along the last axis, NumPy takes three times as long for that.
        largest[of_block] = functools.reduce(np.maximum, np.moveaxis(groups, axis + 1, 0))
    scale = LONGEST * _scale(largest.max(axis, keepdims=True))
    # Rounded up, so that no weight lies beyond 127 of its steps.
    steps = np.clip(np.ceil(largest * (scale / LARGEST)), 1, LONGEST).astype("uint8")
    quantized = np.empty(weights.shape, "int8")
    for block, of_block in zip(blocks, of_groups, strict=True):
        groups = _in_groups(weights[block].astype("float32"), size, axis)
        own = scale if axis == 0 else scale[block]
        groups *= np.expand_dims(own / steps[of_block], axis + 1)
        np.rint(groups, out=_in_groups(quantized[block], size, axis), casting="unsafe")
    return quantized, scale, steps


def widen(quantized, steps=None, axis=-1):
    """Return whole numbers as float32, each times the steps of its group.

    Args:
        quantized: int8 `(..., m)`, or `(m, ...)` if the axis is the first.
        steps: `(..., groups)`, or `(groups, ...)`, if groups of the `m` weights have steps.
        axis: the one with the groups: 0, or the last.

    Example:

    >>> widen(np.array([[1, 2, -3, 4]], "int8"), np.array([[10, 100]], "uint8")).tolist()
    [[10.0, 20.0, -300.0, 400.0]]
    """
    floats = ops.cast(quantized, "float32")
    if steps is None:
        return floats
    shape = quantized.shape
    groups, size = steps.shape[axis], shape[axis] // steps.shape[axis]
    in_groups = (groups, size, *shape[1:]) if axis == 0 else (*shape[:-1], groups, size)
    steps = ops.expand_dims(ops.cast(steps, "float32"), 1 if axis == 0 else -1)
    return ops.reshape(ops.reshape(floats, in_groups) * steps, shape)


def number_of_groups(count, size):
    """Return the number of groups in a dimension.

    Raises:
        ValueError: `size` does not divide them.

    Example:

    >>> number_of_groups(2048, 32)
    64
    """
    if count % size:
        raise ValueError(
            f"Groups of {size} do not fill the {count} inputs of a product. Choose a size that "
            "divides them."
        )
    return count // size


def _in_groups(weights, size, axis):
    shape = weights.shape
    return weights.reshape(*shape[:axis], shape[axis] // size, size, *shape[axis + 1 :])


def _scale(largest):
    if not np.isfinite(largest).all():
        raise ValueError("Weights that are not finite can't be quantized.")
    return (LARGEST / (largest + EPSILON)).astype("float32")


def _blocks(weights, multiple=1):
    """Return slices of rows, a multiple in each, so that no float32 copy is of the whole."""
    rows = max(1, BLOCK // max(1, weights[:1].size) // multiple) * multiple
    return [slice(i, min(i + rows, len(weights))) for i in range(0, len(weights), rows)]

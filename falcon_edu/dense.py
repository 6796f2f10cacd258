"""Keras's dense layers and embedding, which may also hold their weights in eight bits.

They differ from Keras's own in four things. Quantized to int8, only the weights are rounded, not
what flows through the model: Keras rounds both by default, and XLA's product of whole numbers is
some fifteen times slower on a CPU. Where one text grows token by token, or the weights have fewer
bytes than float32, the products are those of `products`. A kernel of eight bits is packed, on one
CPU, in the order in which it is read: `packing`. And a dense layer with LoRA never adds the product
of the factors to its kernel: the inputs go through each of them.
"""

from falcon_edu import packing
from falcon_edu.gradients import matrix_product
from falcon_edu.products import (
    as_bits,
    is_one_row,
    narrow_product,
    narrow_product_transposed,
    on_one_cpu,
    row_product,
    row_product_transposed,
    widen,
)
from falcon_edu.quantization import weights_only

import keras
import numpy as np
from keras import ops


class _Quantized:
    """What the layers have in common; in front of one of Keras's."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.quantization_mode == "int8":
            self.quantization_config = weights_only()

    def quantize(self, mode=None, type_check=True, config=None):
        """Rounds the weights in place, as Keras does; with "int8", the weights alone."""
        if mode == "int8":
            # By now Keras has put its default into `config`, so what was asked for is not known.
            config = weights_only(getattr(config, "weight_quantizer", None))
        # Keras leaves subclasses out unless told otherwise: they might compute something else.
        super().quantize(mode, type_check=False, config=config)


class _Dense(_Quantized):
    """What the two dense layers have in common: the choice of the product.

    In eight bits and on one CPU, the variable `_kernel` has the shape that `packing` gives it. The
    property `kernel`, then an array, and what is saved and loaded have the shape that Keras gives.
    """

    _packed_from = None  # the shape of the kernel, if it is packed

    @property
    def is_packed(self):
        """Whether `_kernel` lies in the order of `packing`."""
        return self._packed_from is not None

    @property
    def kernel_shape(self):
        """Inputs first, then outputs."""
        return self._packed_from or tuple(self._kernel.shape)

    @property
    def kernel(self):
        if not self.is_packed:
            return super().kernel
        return packing.unpack(ops.convert_to_tensor(self._kernel), self._packed_from)

    def call(self, inputs, training=None):
        kernel = ops.convert_to_tensor(self._kernel)
        if kernel.dtype == "uint16":
            product = narrow_product
        elif is_one_row(inputs) and kernel.dtype == "float32":
            product = row_product
        elif self.lora_enabled:
            product = ops.matmul
        elif on_one_cpu():
            product = matrix_product
        else:
            return super().call(inputs, training=training)
        return self._finish(inputs, self._product(product, inputs, kernel))

    def _int8_call(self, inputs, training=None):
        kernel = ops.convert_to_tensor(self._kernel)
        product = packing.packed_product if self.is_packed else narrow_product
        return self._finish(inputs, self._product(product, inputs, kernel) / self.kernel_scale)

    def _product(self, product, inputs, kernel):
        m, *outputs = self.kernel_shape
        if not self.is_packed:
            kernel = ops.reshape(kernel, (m, -1))
        return ops.reshape(product(inputs, kernel), (*inputs.shape[:-1], *outputs))

    def _finish(self, inputs, x):
        """Everything after the product `x` of inputs and kernel."""
        if self.lora_enabled:
            x = x + (self.lora_alpha / self.lora_rank) * self._lora_update(inputs)
        x = ops.cast(x, self.compute_dtype)
        if self.bias is not None:
            x = ops.add(x, self.bias)
        return x if self.activation is None else self.activation(x)

    def _lora_update(self, inputs):
        # Keras adds the product of the factors to the kernel. Then the gradient is one of the whole
        # kernel first: for a 125M Falcon that took an eighth of each training step.
        hidden = ops.tensordot(inputs, self.lora_kernel_a, axes=1)
        return ops.matmul(hidden, self.lora_kernel_b)

    # === The packed kernel: how it comes to be, and its way out and in ===

    def _int8_build(self, kernel_shape, config=None):
        if packing.should_pack():
            self._packed_from = tuple(kernel_shape)
        super()._int8_build(kernel_shape, config)

    def add_weight(self, *args, **kwargs):
        if self.is_packed and kwargs.get("dtype") == "int8":
            kwargs["shape"] = packing.packed_shape(kwargs["shape"])
        return super().add_weight(*args, **kwargs)

    def quantize(self, mode=None, type_check=True, config=None):
        if mode != "int8" or not packing.should_pack():
            super().quantize(mode, type_check, config)
            return
        quantizer = getattr(config, "weight_quantizer", None)
        try:
            super().quantize(mode, type_check, weights_only(_Packing(quantizer)))
        finally:
            self.quantization_config = weights_only(quantizer)

    def _get_kernel_with_merged_lora(self):
        if not self.is_packed:
            return super()._get_kernel_with_merged_lora()
        kernel, scale = self.kernel, self.kernel_scale
        if self.lora_enabled:
            update = ops.matmul(self.lora_kernel_a, self.lora_kernel_b)
            of_outputs = ops.reshape(scale, kernel.shape[1:])
            merged = kernel / of_outputs + (self.lora_alpha / self.lora_rank) * update
            kernel, new_scale = keras.quantizers.AbsMaxQuantizer(axis=0)(merged, to_numpy=True)
            scale = ops.reshape(new_scale, scale.shape)
        # Since Keras 3.14 there is a third result, the zero point, which eight bits don't have.
        has_zero_point = "kernel_zero" in self.variable_serialization_spec["int4"]
        return (kernel, scale, None) if has_zero_point else (kernel, scale)

    def load_own_variables(self, store):
        if self.is_packed:
            if not self.lora_enabled:
                self._check_load_own_variables(store)
            store = {**store}
            kernel = np.asarray(store["0"])  # it is the first in Keras's order
            if kernel.shape != self._packed_from:
                raise ValueError(
                    f"The kernel of `{self.path}` has shape {self._packed_from}. "
                    f"Received: {kernel.shape}"
                )
            store["0"] = packing.pack(kernel)
        super().load_own_variables(store)


class _Packing:
    """One of Keras's quantizers, or its default, for a kernel that is packed when it is rounded."""

    output_dtype = "int8"

    def __init__(self, quantizer):
        self.quantizer = quantizer or keras.quantizers.AbsMaxQuantizer(axis=0)

    def __call__(self, weights, **options):
        quantized, scale = self.quantizer(weights, **options)
        return packing.pack(quantized), scale


class Dense(_Dense, keras.layers.Dense):
    """`keras.layers.Dense`; with `dtype="int8_from_float32"`, weights of eight bits.

    Example:

    >>> layer = Dense(3, dtype="int8_from_float32")
    >>> layer.build((None, 4))
    >>> str(layer.kernel.dtype), layer.kernel_scale.shape
    ('int8', (3,))
    """


class EinsumDense(_Dense, keras.layers.EinsumDense):
    """`keras.layers.EinsumDense` of equations that sum over the last axis of the inputs."""


class ReversibleEmbedding(_Quantized, keras.layers.ReversibleEmbedding):
    """`keras.layers.ReversibleEmbedding`, with each token's embedding on a scale of its own."""

    def call(self, inputs, reverse=False):
        if self.lora_enabled:
            return super().call(inputs, reverse=reverse)
        is_head = reverse and not self.tie_weights
        weights = ops.convert_to_tensor(self.reverse_embeddings if is_head else self._embeddings)
        is_narrow = weights.dtype == "uint16"
        if not reverse and is_narrow:
            outputs = widen(ops.take(weights, inputs, axis=0))
        elif reverse and is_narrow:
            product = narrow_product if is_head else narrow_product_transposed
            outputs = product(inputs, weights)
        elif reverse and is_one_row(inputs) and weights.dtype == "float32":
            product = row_product if is_head else row_product_transposed
            outputs = product(inputs, weights)
        else:
            return super().call(inputs, reverse=reverse)
        return ops.cast(outputs, self.compute_dtype)

    def _int8_call(self, inputs, reverse=False):
        if not reverse:
            return super()._int8_call(inputs, reverse=reverse)
        if self.tie_weights:
            logits = narrow_product_transposed(inputs, ops.convert_to_tensor(self._embeddings))
            logits = logits / self.embeddings_scale
            if self.lora_enabled:  # as without rounding: an adapter changes both directions
                logits = logits + (self.lora_alpha / self.lora_rank) * self._lora_update(inputs)
        else:
            logits = narrow_product(inputs, ops.convert_to_tensor(self.reverse_embeddings))
            logits = logits / self.reverse_embeddings_scale
        return ops.cast(logits, self.compute_dtype)

    def _lora_update(self, inputs):
        hidden = ops.matmul(inputs, ops.transpose(self.lora_embeddings_b))
        return ops.matmul(hidden, ops.transpose(self.lora_embeddings_a))


def values_with_bits(model):
    """The values of a model's variables for a program that is fast in bfloat16 on a CPU too.

    The weights that the layers here multiply by are handed over `as_bits` where they are bfloat16;
    a layer that finds uint16 in their place knows what to do. An embedding with LoRA computes with
    the sum of both, and gets its weights as they are.

    Args:
        model: a `keras.Model`.

    Returns:
        A list of JAX arrays, in the order of `model.variables`.

    Example:

    >>> from falcon_edu import FalconBackbone
    >>> backbone = FalconBackbone(10, 1, 2, 4, 8, dtype="bfloat16")
    >>> sorted({str(value.dtype) for value in values_with_bits(backbone)})
    ['bfloat16', 'uint16']
    """
    values = [variable.value for variable in model.variables]
    if all(value.dtype != "bfloat16" for value in values):
        return values  # a token is decoded in the time that finding those layers takes
    multiplied = set()
    for layer in model._flatten_layers():
        if isinstance(layer, _Dense):
            multiplied.add(id(layer._kernel))
        elif isinstance(layer, ReversibleEmbedding) and not layer.lora_enabled:
            names = ("_embeddings", "reverse_embeddings")
            multiplied |= {id(getattr(layer, name, None)) for name in names}
    return [
        as_bits(value) if id(variable) in multiplied else value
        for variable, value in zip(model.variables, values, strict=True)
    ]

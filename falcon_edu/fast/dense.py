"""The quick products of Keras's dense layers and embedding, in eight bits and out of them.

Where one text grows token by token, or the weights have fewer bytes than float32, the products are
those of `products`. A kernel of eight bits is packed, on one CPU, in the order in which it is read:
`packing`. And a dense layer with LoRA never adds the product of the factors to its kernel: the
inputs go through each of them.
"""

from falcon_edu.fast import packing
from falcon_edu.fast.gradients import matrix_product
from falcon_edu.fast.products import (
    as_bits,
    is_one_row,
    narrow_product,
    narrow_product_transposed,
    on_one_cpu,
    row_product,
    row_product_transposed,
    widen,
)
from falcon_edu.int8.layers import (
    Int8Dense,
    Int8EinsumDense,
    Int8ReversibleEmbedding,
    QuantizedDense,
)

import keras
import numpy as np
from keras import ops


class _Dense(QuantizedDense):
    """Choose the product, for both dense layers.

    In eight bits and on one CPU, the variable `_kernel` has the shape that `packing` gives it. The
    property `kernel`, then an array, and what is saved and loaded have the shape that Keras gives.
    """

    _packed_from = None  # the shape of the kernel, if it is packed

    @property
    def is_packed(self):
        """True if `_kernel` lies in the order of `packing`."""
        return self._packed_from is not None

    @property
    def shape_of_kernel(self):
        """Inputs first, then outputs."""
        return self._packed_from or tuple(self._kernel.shape)

    @property
    def kernel(self):
        if not self.is_packed:
            return super().kernel
        return packing.unpack(ops.convert_to_tensor(self._kernel), self._packed_from)

    def call(self, inputs, training=None):
        if not self.sums_over_last_axis:
            return super().call(inputs, training=training)
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

    def int8_product(self, inputs):
        """Multiply by the whole numbers, packed or not."""
        product = packing.packed_product if self.is_packed else narrow_product
        kernel = ops.convert_to_tensor(self._kernel)
        return self._product(product, inputs, kernel, self.steps_of("kernel"))

    def _product(self, product, inputs, *weights):
        _, *outputs = self.shape_of_kernel
        if not self.is_packed:
            weights = tuple(w if w is None else ops.reshape(w, (w.shape[0], -1)) for w in weights)
        return ops.reshape(product(inputs, *weights), (*inputs.shape[:-1], *outputs))

    def _lora_update(self, inputs):
        # Keras adds the product of the factors to the kernel. Then the gradient is one of the whole
        # kernel first: for a 125M Falcon that took an eighth of each training step.
        m, *heads, r = self.lora_kernel_a.shape
        # Over several devices ours would gather heads that lie on different ones.
        product = matrix_product if on_one_cpu() else ops.matmul
        hidden = product(inputs, ops.reshape(self.lora_kernel_a, (m, -1)))
        hidden = ops.reshape(hidden, (*inputs.shape[:-1], *heads, r))
        return product(hidden, ops.convert_to_tensor(self.lora_kernel_b))

    # === The packed kernel: how it comes to be, and its way out and in ===

    @property
    def parts(self):
        """The number of parts in which the kernel is packed, or would be."""
        return packing.parts_of(self.shape_of_kernel[0], self.group_size or 1)

    def as_laid_out(self, array):
        """Lay a kernel of whole numbers, or the steps of its groups, out as the variable has it.

        Before `quantize` has made that variable, as it will have it.
        """
        is_there = self._kernel.dtype == "int8"
        is_packed = self.is_packed if is_there else packing.should_pack()
        return packing.pack(array, self.parts) if is_packed else array

    def _int8_build(self, kernel_shape, config=None):
        if self.sums_over_last_axis and packing.should_pack():
            self._packed_from = tuple(kernel_shape)
        super()._int8_build(kernel_shape, config)

    def add_weight(self, *args, **kwargs):
        if self.is_packed and kwargs.get("dtype") in ("int8", "uint8"):
            kwargs["shape"] = packing.packed_shape(kwargs["shape"], self.parts)
        return super().add_weight(*args, **kwargs)

    @property
    def needs_own_merge(self):
        """True if Keras can't merge the factors into the kernel."""
        return self.is_packed or super().needs_own_merge

    def kernel_steps_as_keras_has_them(self):
        """Return the steps of groups `(groups, ...)`, or `None`."""
        steps = self.steps_of("kernel")
        if steps is None or not self.is_packed:
            return steps
        m, *outputs = self._packed_from
        return packing.unpack(steps, (m // self.group_size, *outputs))

    def as_laid_out_here(self, store):
        """Return what a file has for this layer, as its variables have it: packed, maybe."""
        if not self.is_packed:
            return store
        m, *outputs = self._packed_from
        shapes = {"kernel": self._packed_from}
        if self.group_size:
            shapes["kernel_steps"] = (m // self.group_size, *outputs)
        for name, shape in shapes.items():
            array = np.asarray(store[self.place_in_file(name)])
            if array.shape != shape:
                raise ValueError(
                    f"The {name} of `{self.path}` has shape {shape}. Received: {array.shape}"
                )
            store = {**store, self.place_in_file(name): packing.pack(array, self.parts)}
        return store


@keras.saving.register_keras_serializable(package="falcon_edu")
class Dense(_Dense, Int8Dense):
    """`Int8Dense` with quick products.

    Example:

    >>> layer = Dense(3, dtype="int8_from_float32")
    >>> layer.build((None, 4))
    >>> str(layer.kernel.dtype), layer.kernel_scale.shape
    ('int8', (3,))
    """

    computes_as_it_says = True


@keras.saving.register_keras_serializable(package="falcon_edu")
class EinsumDense(_Dense, Int8EinsumDense):
    """`Int8EinsumDense` with quick products."""

    computes_as_it_says = True


@keras.saving.register_keras_serializable(package="falcon_edu")
class ReversibleEmbedding(Int8ReversibleEmbedding):
    """`Int8ReversibleEmbedding` with quick products."""

    computes_as_it_says = True

    def call(self, inputs, reverse=False):
        if self.lora_enabled:
            return super().call(inputs, reverse=reverse)
        is_head = reverse and not self.tie_weights
        weights = ops.convert_to_tensor(self.reverse_embeddings if is_head else self._embeddings)
        is_narrow = weights.dtype == "uint16"
        if not reverse and is_narrow:
            return ops.cast(widen(ops.take(weights, inputs, axis=0)), self.compute_dtype)
        if reverse and is_narrow:
            product = narrow_product if is_head else narrow_product_transposed
        elif reverse and is_one_row(inputs) and weights.dtype == "float32" == self.logit_dtype:
            product = row_product if is_head else row_product_transposed
        else:
            return super().call(inputs, reverse=reverse)
        return self._finish_logits(product(ops.cast(inputs, self.logit_dtype), weights))

    def int8_product(self, inputs):
        """Multiply by the embeddings, a block at a time."""
        weights = ops.convert_to_tensor(self._embeddings)
        return narrow_product_transposed(inputs, weights, self.steps_of("embeddings"))

    def int8_head_product(self, inputs):
        """Multiply by the weights of a head of its own, a block at a time."""
        weights = ops.convert_to_tensor(self.reverse_embeddings)
        return narrow_product(inputs, weights, self.steps_of("reverse_embeddings"))


def values_with_bits(model):
    """Return the values of a model's variables for a program that is fast in bfloat16 on a CPU too.

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
        if layer.quantization_mode == "float8":
            continue  # Keras computes these
        if isinstance(layer, _Dense):
            if not layer.sums_over_last_axis:
                continue
            multiplied.add(id(layer._kernel))
        elif isinstance(layer, ReversibleEmbedding) and not layer.lora_enabled:
            names = ("_embeddings", "reverse_embeddings")
            multiplied |= {id(getattr(layer, name, None)) for name in names}
    return [
        as_bits(value) if id(variable) in multiplied else value
        for variable, value in zip(model.variables, values, strict=True)
    ]

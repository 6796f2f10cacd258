"""Keras's dense layers and embedding, which may also hold their weights in eight bits.

They differ from Keras's own in five things, and in what their files hold: `quantized`. Quantized to
int8, only the weights are rounded, not what flows through the model: Keras rounds both by default,
and XLA's product of whole numbers is some fifteen times slower on a CPU. Groups of weights may then
have steps of their own. Where one text grows token by token, or the weights have fewer bytes than
float32, the products are those of `products`. A kernel of eight bits is packed, on one CPU, in the
order in which it is read: `packing`. And a dense layer with LoRA never adds the product of the
factors to its kernel: the inputs go through each of them.
"""

import re

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
from falcon_edu.int8.quantized import Quantized

import keras
import numpy as np
from keras import ops


class _Dense(Quantized):
    """Choose the product, for both dense layers.

    In eight bits and on one CPU, the variable `_kernel` has the shape that `packing` gives it. The
    property `kernel`, then an array, and what is saved and loaded have the shape that Keras gives.
    """

    weight_name = "kernel"

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

    def _int8_call(self, inputs, training=None):
        if not self.sums_over_last_axis:
            return super()._int8_call(inputs, training=training)
        inputs = self.rounded(inputs)
        kernel = ops.convert_to_tensor(self._kernel)
        product = packing.packed_product if self.is_packed else narrow_product
        x = self._product(product, inputs, kernel, self.steps_of("kernel"))
        return self._finish(inputs, x / self.kernel_scale)

    def _product(self, product, inputs, *weights):
        _, *outputs = self.shape_of_kernel
        if not self.is_packed:
            weights = tuple(w if w is None else ops.reshape(w, (w.shape[0], -1)) for w in weights)
        return ops.reshape(product(inputs, *weights), (*inputs.shape[:-1], *outputs))

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

    def floats_to_round(self):
        """Return the variables that `quantize` rounds."""
        return [] if self.quantization_mode else [self._kernel]

    def name_and_axis(self, weights):
        """Of one of them: its name, and the axis that a product sums over."""
        return "kernel", 0

    def as_laid_out(self, array):
        """Lay a kernel of whole numbers, or the steps of its groups, out as the variable has it."""
        return packing.pack(array, self.parts) if packing.should_pack() else array

    def _int8_build(self, kernel_shape, config=None):
        if not self.sums_over_last_axis:
            self._check_groups(self.group_size)
            super()._int8_build(kernel_shape, config)
            return
        if packing.should_pack():
            self._packed_from = tuple(kernel_shape)
        super()._int8_build(kernel_shape, config)
        self.add_steps("kernel", tuple(kernel_shape), axis=0)

    def add_weight(self, *args, **kwargs):
        if self.is_packed and kwargs.get("dtype") in ("int8", "uint8"):
            kwargs["shape"] = packing.packed_shape(kwargs["shape"], self.parts)
        return super().add_weight(*args, **kwargs)

    def _get_kernel_with_merged_lora(self):
        if self.quantization_mode == "int8" and (self.is_packed or self.group_size):
            return self.as_keras_wants(*self.as_saved()[:2])
        if self.quantization_mode is None and self.lora_enabled:
            return self.as_keras_wants(self.merged_floats(), None)
        return super()._get_kernel_with_merged_lora()

    def as_saved(self):
        """Kernel, scale and steps in Keras's order, with the update of LoRA, if there is one."""
        kernel, scale, steps = self.kernel, self.kernel_scale, self.steps_of("kernel")
        if steps is not None and self.is_packed:
            m, *outputs = self._packed_from
            steps = packing.unpack(steps, (m // self.group_size, *outputs))
        if not self.lora_enabled:
            return kernel, scale, steps
        update = self.update_of_lora()
        of_outputs = ops.reshape(scale, (1, *kernel.shape[1:]))
        kernel, new, steps = self.round_again(kernel, of_outputs, steps, update, axis=0)
        return kernel, ops.reshape(new, scale.shape), steps

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
class Dense(_Dense, keras.layers.Dense):
    """`keras.layers.Dense`; with `dtype="int8_from_float32"`, weights of eight bits.

    Example:

    >>> layer = Dense(3, dtype="int8_from_float32")
    >>> layer.build((None, 4))
    >>> str(layer.kernel.dtype), layer.kernel_scale.shape
    ('int8', (3,))
    """


@keras.saving.register_keras_serializable(package="falcon_edu")
class EinsumDense(_Dense, keras.layers.EinsumDense):
    """`keras.layers.EinsumDense`; weights of eight bits as `Dense`.

    Only equations that sum over the last axis of the inputs alone, such as `"btm,mnh->btnh"`, have
    the products of this package; all others are computed by Keras.
    """

    @property
    def sums_over_last_axis(self):
        """True if the layer computes what a dense layer does, but for the shape of its outputs."""
        equation = self.equation.replace(" ", "")
        found = re.fullmatch(r"([a-z]+)([a-z]),\2([a-z]+)->\1\3", equation, re.IGNORECASE)
        letters = "".join(found.groups()) if found else "--"
        return len(set(letters)) == len(letters)


@keras.saving.register_keras_serializable(package="falcon_edu")
class ReversibleEmbedding(Quantized, keras.layers.ReversibleEmbedding):
    """`keras.layers.ReversibleEmbedding`, with each token's embedding on a scale of its own."""

    weight_name = "embeddings"

    def floats_to_round(self):
        """Return the variables that `quantize` rounds."""
        if self.quantization_mode:
            return []
        return [self._embeddings, *([] if self.tie_weights else [self.reverse_embeddings])]

    def name_and_axis(self, weights):
        """Of one of them: its name, and the axis that a product sums over."""
        is_head = weights is getattr(self, "reverse_embeddings", None)
        return ("reverse_embeddings", 0) if is_head else ("embeddings", 1)

    def as_laid_out(self, array):
        """Whole numbers, or the steps of groups, as the variable has them: as they are."""
        return array

    def _int8_build(self, embeddings_shape, config=None):
        super()._int8_build(embeddings_shape, config)
        self.add_steps("embeddings", (self.input_dim, self.output_dim), axis=1)
        if not self.tie_weights:
            self.add_steps("reverse_embeddings", (self.output_dim, self.input_dim), axis=0)

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

    @property
    def logit_dtype(self):
        """The dtype of logits."""
        return keras.backend.standardize_dtype(self.reverse_dtype or self.compute_dtype)

    def _finish_logits(self, logits):
        """Everything after the product."""
        logits = ops.cast(logits, self.logit_dtype)
        if self.logit_soft_cap is not None:
            logits = ops.tanh(logits / self.logit_soft_cap) * self.logit_soft_cap
        return logits

    def _int8_call(self, inputs, reverse=False):
        steps = self.steps_of("embeddings")
        if not reverse:
            return super()._int8_call(inputs) if steps is None else self._embed(inputs, steps)
        inputs = self.rounded(inputs)
        if self.tie_weights:
            embeddings = ops.convert_to_tensor(self._embeddings)
            logits = narrow_product_transposed(inputs, embeddings, steps)
            logits = logits / self.embeddings_scale
            if self.lora_enabled:  # as without rounding: an adapter changes both directions
                logits = logits + (self.lora_alpha / self.lora_rank) * self._lora_update(inputs)
        else:
            embeddings = ops.convert_to_tensor(self.reverse_embeddings)
            logits = narrow_product(inputs, embeddings, self.steps_of("reverse_embeddings"))
            logits = logits / self.reverse_embeddings_scale
        return self._finish_logits(logits)

    def _embed(self, inputs, steps):
        inputs = ops.cast(inputs, "int32")
        weights = (self._embeddings, steps)
        vectors = widen(*(ops.take(weight, inputs, axis=0) for weight in weights))
        vectors = vectors / ops.take(self.embeddings_scale, inputs, axis=0)[..., None]
        if self.lora_enabled:
            update = ops.matmul(
                ops.take(self.lora_embeddings_a, inputs, axis=0), self.lora_embeddings_b
            )
            vectors = vectors + (self.lora_alpha / self.lora_rank) * update
        return ops.cast(vectors, self.compute_dtype)

    def _lora_update(self, inputs):
        hidden = ops.matmul(inputs, ops.transpose(self.lora_embeddings_b))
        return ops.matmul(hidden, ops.transpose(self.lora_embeddings_a))

    def _get_embeddings_with_merged_lora(self):
        if self.steps_of("embeddings") is not None:
            return self.as_keras_wants(*self.as_saved()[:2])
        if self.quantization_mode is None and self.lora_enabled:
            return self.as_keras_wants(self.merged_floats(), None)
        return super()._get_embeddings_with_merged_lora()

    def as_saved(self):
        """Embeddings, scale and steps, with the update of LoRA, if there is one."""
        weights = (self._embeddings, self.embeddings_scale, self.steps_of("embeddings"))
        if not self.lora_enabled:
            return weights
        embeddings, scale, steps = weights
        update = self.update_of_lora()
        embeddings, scale, steps = self.round_again(
            embeddings, scale[:, None], steps, update, axis=1
        )
        return embeddings, scale[:, 0], steps


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

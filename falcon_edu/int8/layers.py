"""Keras's dense layers and embedding, with weights of eight bits as `quantization` makes them.

They differ from Keras's own in two things, and in what their files hold: `quantized`. Quantized to
int8, only the weights are rounded, not what flows through the model: Keras rounds both by default,
and XLA's product of whole numbers is some fifteen times slower on a CPU. And groups of weights may
have steps of their own. Without int8 they compute as Keras's do.

The products here are plain: weights are widened, then multiplied. `fast.dense` has quicker ones.
"""

import re

from falcon_edu.int8.quantization import widen
from falcon_edu.int8.quantized import Quantized

import keras
from keras import ops


class QuantizedDense(Quantized):
    """Hold the kernel of either dense layer in eight bits."""

    weight_name = "kernel"

    def _int8_call(self, inputs, training=None):
        if not self.sums_over_last_axis:
            return super()._int8_call(inputs, training=training)
        x = self.int8_product(self.rounded(inputs))
        return self._finish(inputs, x / self.kernel_scale)

    def int8_product(self, inputs):
        """Multiply by the whole numbers, each times the steps of its group."""
        kernel = widen(ops.convert_to_tensor(self._kernel), self.steps_of("kernel"), axis=0)
        return ops.tensordot(ops.cast(inputs, "float32"), kernel, 1)

    def _finish(self, inputs, x):
        """Do everything after the product `x` of inputs and kernel."""
        if self.lora_enabled:
            x = x + self.lora_scale * self._lora_update(inputs)
        x = ops.cast(x, self.compute_dtype)
        if self.bias is not None:
            x = ops.add(x, self.bias)
        return x if self.activation is None else self.activation(x)

    def _lora_update(self, inputs):
        """Return what the factors add, without a kernel made of them."""
        hidden = ops.tensordot(inputs, self.lora_kernel_a, 1)  # (b, t, ..., r)
        return ops.matmul(hidden, ops.convert_to_tensor(self.lora_kernel_b))

    def floats_to_round(self):
        """Return the variables that `quantize` rounds."""
        return [] if self.quantization_mode else [self._kernel]

    def name_and_axis(self, weights):
        """Return of one of them its name, and the axis that a product sums over."""
        return "kernel", 0

    def _int8_build(self, kernel_shape, config=None):
        if not self.sums_over_last_axis:
            self._check_groups(self.group_size)
        super()._int8_build(kernel_shape, config)
        if self.sums_over_last_axis:
            self.add_steps("kernel", tuple(kernel_shape), axis=0)

    def _get_kernel_with_merged_lora(self):
        if self.quantization_mode == "int8" and self.needs_own_merge:
            return self.as_keras_wants(*self.as_saved()[:2])
        if self.quantization_mode is None and self.lora_enabled:
            return self.as_keras_wants(self.merged_floats(), None)
        return super()._get_kernel_with_merged_lora()

    @property
    def needs_own_merge(self):
        """True if Keras can't merge the factors into the kernel."""
        return bool(self.group_size)

    def as_saved(self):
        """Return kernel, scale and steps in Keras's order, with the update of LoRA, if any."""
        kernel, scale, steps = self.kernel, self.kernel_scale, self.kernel_steps_as_keras_has_them()
        if not self.lora_enabled:
            return kernel, scale, steps
        update = self.update_of_lora()
        of_outputs = ops.reshape(scale, (1, *kernel.shape[1:]))
        kernel, new, steps = self.round_again(kernel, of_outputs, steps, update, axis=0)
        return kernel, ops.reshape(new, scale.shape), steps

    def kernel_steps_as_keras_has_them(self):
        """Return the steps of groups `(groups, ...)`, or `None`."""
        return self.steps_of("kernel")


class Int8Dense(QuantizedDense, keras.layers.Dense):
    """`keras.layers.Dense`; with `dtype="int8_from_float32"`, weights of eight bits.

    Example:

    >>> layer = Int8Dense(3, dtype="int8_from_float32")
    >>> layer.build((None, 4))
    >>> str(layer.kernel.dtype), layer.kernel_scale.shape
    ('int8', (3,))
    """

    computes_as_it_says = True


class Int8EinsumDense(QuantizedDense, keras.layers.EinsumDense):
    """`keras.layers.EinsumDense`; weights of eight bits as `Int8Dense`.

    Only equations that sum over the last axis of the inputs alone, such as `"btm,mnh->btnh"`, have
    the products of this package; all others are computed by Keras.
    """

    computes_as_it_says = True

    @property
    def sums_over_last_axis(self):
        """True if the layer computes what a dense layer does, but for the shape of its outputs."""
        equation = self.equation.replace(" ", "")
        found = re.fullmatch(r"([a-z]+)([a-z]),\2([a-z]+)->\1\3", equation, re.IGNORECASE)
        letters = "".join(found.groups()) if found else "--"
        return len(set(letters)) == len(letters)


class Int8ReversibleEmbedding(Quantized, keras.layers.ReversibleEmbedding):
    """`keras.layers.ReversibleEmbedding`, with each token's embedding on a scale of its own."""

    computes_as_it_says = True

    weight_name = "embeddings"

    def floats_to_round(self):
        """Return the variables that `quantize` rounds."""
        if self.quantization_mode:
            return []
        return [self._embeddings, *([] if self.tie_weights else [self.reverse_embeddings])]

    def name_and_axis(self, weights):
        """Return of one of them its name, and the axis that a product sums over."""
        is_head = weights is getattr(self, "reverse_embeddings", None)
        return ("reverse_embeddings", 0) if is_head else ("embeddings", 1)

    def _int8_build(self, embeddings_shape, config=None):
        super()._int8_build(embeddings_shape, config)
        self.add_steps("embeddings", (self.input_dim, self.output_dim), axis=1)
        if not self.tie_weights:
            self.add_steps("reverse_embeddings", (self.output_dim, self.input_dim), axis=0)

    def _int8_call(self, inputs, reverse=False):
        steps = self.steps_of("embeddings")
        if not reverse:
            return super()._int8_call(inputs) if steps is None else self._embed(inputs, steps)
        inputs = self.rounded(inputs)
        if self.tie_weights:
            logits = self.int8_product(inputs) / self.embeddings_scale
            if self.lora_enabled:  # as without rounding: an adapter changes both directions
                logits = logits + self.lora_scale * self._lora_update(inputs)
        else:
            logits = self.int8_head_product(inputs) / self.reverse_embeddings_scale
        return self._finish_logits(logits)

    def int8_product(self, inputs):
        """Multiply by the embeddings, each number times the steps of its group."""
        embeddings = widen(ops.convert_to_tensor(self._embeddings), self.steps_of("embeddings"))
        return ops.matmul(ops.cast(inputs, "float32"), ops.transpose(embeddings))

    def int8_head_product(self, inputs):
        """Multiply by the weights of a head of its own, as `int8_product`."""
        weights = ops.convert_to_tensor(self.reverse_embeddings)
        head = widen(weights, self.steps_of("reverse_embeddings"), axis=0)
        return ops.matmul(ops.cast(inputs, "float32"), head)

    @property
    def logit_dtype(self):
        """The dtype of logits."""
        return keras.backend.standardize_dtype(self.reverse_dtype or self.compute_dtype)

    def _finish_logits(self, logits):
        """Do everything after the product."""
        logits = ops.cast(logits, self.logit_dtype)
        if self.logit_soft_cap is not None:
            logits = ops.tanh(logits / self.logit_soft_cap) * self.logit_soft_cap
        return logits

    def _embed(self, inputs, steps):
        inputs = ops.cast(inputs, "int32")
        weights = (self._embeddings, steps)
        vectors = widen(*(ops.take(weight, inputs, axis=0) for weight in weights))
        vectors = vectors / ops.take(self.embeddings_scale, inputs, axis=0)[..., None]
        if self.lora_enabled:
            update = ops.matmul(
                ops.take(self.lora_embeddings_a, inputs, axis=0), self.lora_embeddings_b
            )
            vectors = vectors + self.lora_scale * update
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
        """Return embeddings, scale and steps, with the update of LoRA, if there is one."""
        weights = (self._embeddings, self.embeddings_scale, self.steps_of("embeddings"))
        if not self.lora_enabled:
            return weights
        embeddings, scale, steps = weights
        update = self.update_of_lora()
        embeddings, scale, steps = self.round_again(
            embeddings, scale[:, None], steps, update, axis=1
        )
        return embeddings, scale[:, 0], steps

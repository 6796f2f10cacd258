"""Keras's dense layers and embedding, which may also hold their weights in eight bits.

They differ from Keras's own in two things when quantized to int8: only the weights are rounded, not
what flows through the model; and the product is the one of `quantization`, which is fast on a CPU.
Keras rounds both by default, and XLA's product of whole numbers is some fifteen times slower there.
"""

from falcon_edu.quantization import narrow_product, narrow_product_transposed, weights_only

import keras
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


class _QuantizedDense(_Quantized):
    def _int8_call(self, inputs, training=None):
        kernel = ops.convert_to_tensor(self._kernel)
        m, *outputs = kernel.shape
        x = narrow_product(inputs, ops.reshape(kernel, (m, -1)))
        x = ops.reshape(x, (*inputs.shape[:-1], *outputs)) / self.kernel_scale
        x = ops.cast(x, self.compute_dtype)
        if self.lora_enabled:
            x = x + (self.lora_alpha / self.lora_rank) * self._lora_update(inputs)
        if self.bias is not None:
            x = ops.add(x, self.bias)
        return x if self.activation is None else self.activation(x)

    def _lora_update(self, inputs):
        hidden = ops.tensordot(inputs, self.lora_kernel_a, axes=1)
        return ops.matmul(hidden, self.lora_kernel_b)


class Dense(_QuantizedDense, keras.layers.Dense):
    """`keras.layers.Dense`; with `dtype="int8_from_float32"`, weights of eight bits.

    Example:

    >>> layer = Dense(3, dtype="int8_from_float32")
    >>> layer.build((None, 4))
    >>> layer.kernel.dtype, layer.kernel_scale.shape
    ('int8', (3,))
    """


class EinsumDense(_QuantizedDense, keras.layers.EinsumDense):
    """`keras.layers.EinsumDense` of equations that sum over the last axis of the inputs."""


class ReversibleEmbedding(_Quantized, keras.layers.ReversibleEmbedding):
    """`keras.layers.ReversibleEmbedding`, with each token's embedding on a scale of its own."""

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

"""The parts that a Falcon is made of: Keras's layers, base classes and four functions.

The files beside this one take every part from here, so that others can be put in their places.
"""

from typing import Any

import keras
from keras import ops

Tensor = Any  # of NumPy, JAX or Keras; its shape stands in the docstring

Dense = keras.layers.Dense
EinsumDense = keras.layers.EinsumDense
ReversibleEmbedding = keras.layers.ReversibleEmbedding
LayerNormalization = keras.layers.LayerNormalization
Backbone = keras.Model
Config = object  # what a `FalconConfig` is besides its numbers


class Block(keras.layers.Layer):
    """A layer made of others, as a `FalconConfig` has it.

    Args:
        config: a `FalconConfig`.
        **kwargs: of `keras.layers.Layer`, such as `dtype` and `name`.
    """

    def __init__(self, config, **kwargs):
        super().__init__(**kwargs)
        self.config = config

    def build(self, inputs_shape):
        self.make_layers(inputs_shape)

    def part(self, kind, name, inputs_shape, **arguments):
        """Make a layer inside this one, ready for inputs of a shape."""
        layer = kind(name=name, **{"dtype": self.dtype_policy, **arguments})
        layer.build(inputs_shape)
        return layer


class TokenModel(keras.Model):
    """A model of token ids and a padding mask."""

    def prepare(self, config):
        """Do nothing: a hook, called before any weight is made."""

    def part(self, kind, name, dtype, **arguments):
        """Make a layer of the model."""
        return kind(name=name, dtype=dtype, **arguments)


class CausalLM(keras.Model):
    """A model of a backbone, with logits as outputs."""

    def __init__(self, backbone, outputs, preprocessor=None, **kwargs):
        super().__init__(inputs=backbone.input, outputs=outputs, **kwargs)
        self.backbone = backbone
        self.preprocessor = preprocessor

    def prepare(self, backbone):
        """Do nothing: a hook, called before the model is made."""


def kernel_initializer():
    """Return a new initializer for dense kernels: normal, with Falcon's deviation of 0.02."""
    return keras.initializers.RandomNormal(stddev=0.02)


def gelu(x):
    """Return GELU: `x` times the probability that a standard normal number is below it.

    Hendrycks & Gimpel 2016, https://arxiv.org/abs/1606.08415, section 2.
    """
    return keras.activations.gelu(x, approximate=False)


def attend(attention, *arguments, is_causal=False):
    """Call `attention` with its arguments; if `is_causal`, no query may look at a later key."""
    return attention(*arguments)


def cross_entropy(logits, labels):
    """Return minus the log of each label's probability, in nats, float32: `(..., v)` to `(...)`."""
    log_probabilities = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
    return -ops.squeeze(ops.take_along_axis(log_probabilities, labels[..., None], axis=-1), -1)

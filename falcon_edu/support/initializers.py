"""Initialize the kernels of a Falcon."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("falcon_edu")
class RandomNormal(keras.initializers.RandomNormal):
    """`keras.initializers.RandomNormal`, drawn in float32 whatever the weights are kept in.

    JAX draws a normal number from as many random bits as the dtype has digits. In bfloat16 that is
    128 different numbers, none of them beyond 2.9 standard deviations, with a mean of -0.012: over
    the 8192 inputs of a feed-forward layer that adds up, and the hidden states of a 1.3B Falcon
    grew to twice their size, most of it in one direction that all tokens share.

    Example:

    >>> import numpy as np
    >>> values = RandomNormal(stddev=0.02, seed=0)((100, 100), "bfloat16")
    >>> str(values.dtype), len(np.unique(values)) > 1000
    ('bfloat16', True)
    """

    def __call__(self, shape, dtype=None):
        dtype = keras.backend.standardize_dtype(dtype or keras.config.floatx())
        return ops.cast(super().__call__(shape, "float32"), dtype)


def kernel_initializer():
    """Return a new initializer for dense kernels: normal, with Falcon's deviation of 0.02."""
    return RandomNormal(stddev=0.02)

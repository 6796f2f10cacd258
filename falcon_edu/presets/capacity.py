"""Whether a model fits into this machine, asked before anything is allocated."""

import os

import jax
import keras
import ml_dtypes  # noqa: F401  (with it, NumPy knows bfloat16)
import numpy as np

MOST_LAYERS = 10_000  # Falcon-180B has 80


def check_size(config, source, dtype=None):
    """Refuses a configuration that no machine, or not this one, could hold.

    Args:
        config: a `FalconConfig`.
        source: path of the preset, for the message.
        dtype: string or `keras.DTypePolicy` in which the weights would be kept.

    Raises:
        ValueError: there are absurdly many layers, or the weights are larger than the memory.
    """
    if config.num_layers > MOST_LAYERS:
        raise ValueError(
            f"`num_layers` in {source}/config.json must be at most {MOST_LAYERS:,}. "
            f"Received: {config.num_layers:,}"
        )
    kept = keras.dtype_policies.get(dtype or keras.config.dtype_policy()).variable_dtype
    needed = config.num_parameters * np.dtype(kept).itemsize
    available = _memory()
    if available is not None and needed > available:
        raise ValueError(
            f"The model in {source} needs {needed / 1e9:,.1f} GB for its weights in {kept}, but "
            f"this machine has {available / 1e9:,.1f} GB of memory. "
            'A `dtype` of "bfloat16" halves what float32 needs.'
        )


def _memory():
    """Bytes of memory of this machine, or `None` where weights go elsewhere or nobody tells."""
    if jax.default_backend() != "cpu" or keras.distribution.distribution() is not None:
        return None
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # Windows
        return None

"""This machine's memory: whether a model fits, before it loads."""

import contextlib
import os
from pathlib import Path

from falcon_edu.int8.quantization import GroupedInt8DTypePolicy, policy_of
from falcon_edu.storage.files import size

import jax
import keras
import ml_dtypes  # noqa: F401  (with it, NumPy knows bfloat16)
import numpy as np

MOST_LAYERS = 500  # Falcon-180B has 80; each takes a tenth of a second to make, even a tiny one
# Where Linux tells the processes of a container how much of the machine is theirs, new and old way.
CONTAINER_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def check_size(config, source, dtype=None):
    """Refuse a configuration that no machine, or not this one, could hold.

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
    policy = policy_of(dtype or keras.config.dtype_policy())
    kept = "int8" if policy.quantization_mode == "int8" else policy.variable_dtype
    needed = config.num_parameters * np.dtype(kept).itemsize
    if isinstance(policy, GroupedInt8DTypePolicy):
        needed += config.num_parameters // policy.group_size  # a byte of steps for each
    elsewhere = jax.default_backend() != "cpu" or keras.distribution.distribution() is not None
    available = None if elsewhere else machine_memory()
    if available is not None and needed > available:
        raise ValueError(
            f"The sizes in {source}/config.json make a model that needs {size(needed)} for its "
            f"weights in {kept}, but this machine has {size(available)} of memory. "
            'A `dtype` of "bfloat16" halves what float32 needs, "int8" quarters it.'
        )


def machine_memory():
    """Return the bytes of memory that this process may take, or `None` where nobody tells.

    That is the memory of the machine, or less where a container or a JupyterHub sets a limit, as
    Binder does: a process that takes more is ended without a word.

    Example:

    >>> machine_memory() is None or machine_memory() > 0
    True
    """
    limits = []
    with contextlib.suppress(AttributeError, OSError, ValueError):  # AttributeError on Windows
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    told = [os.environ.get("MEM_LIMIT", "")]  # JupyterHub's
    for path in CONTAINER_LIMITS:
        with contextlib.suppress(OSError):
            told.append(Path(path).read_text().strip())
    limits += [int(text) for text in told if text.isdecimal() and int(text) > 0]  # not "max"
    return min(limits, default=None)

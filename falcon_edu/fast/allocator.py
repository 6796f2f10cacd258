"""What the C library does with memory that is freed: kept for the next use, or given back.

This is about Linux with glibc, whose `malloc` JAX uses for everything on a CPU. On other systems
nothing here has an effect.
"""

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator

from falcon_edu.warn import warn_user

import jax

# Names and values from glibc's malloc.h; what they do stands in `man mallopt`.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
KEEPING = {M_TRIM_THRESHOLD: -1, M_MMAP_MAX: 0}  # trim never, map nothing of its own

# glibc can't be asked for its options. These are the environment variables and tunables from which
# it takes them, and its defaults. Its thresholds move by themselves until one is set: the defaults
# here are those to which they go when a program frees large pieces.
_OPTIONS = {
    M_TRIM_THRESHOLD: ("MALLOC_TRIM_THRESHOLD_", "glibc.malloc.trim_threshold", 64 * 2**20),
    M_MMAP_THRESHOLD: ("MALLOC_MMAP_THRESHOLD_", "glibc.malloc.mmap_threshold", 32 * 2**20),
    M_MMAP_MAX: ("MALLOC_MMAP_MAX_", "glibc.malloc.mmap_max", 65536),
}

_contexts: list[object] = []  # of `keep_freed_memory`, those that are open


def give_back():
    """Give all freed memory to the system.

    What a thread frees stays with the process otherwise, for that thread's next use.
    """
    libc = _glibc()
    if libc:
        libc.malloc_trim(0)


@contextlib.contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Keep the memory that a training step frees, so that the next step finds it at hand.

    XLA takes all memory for a step's intermediate values as one piece, and frees it after the step.
    So large a piece goes back to the system at once; in the next step the system hands out pages
    anew, and fills each with zeros when it is first touched. Within this context large pieces come
    from the heap, which is not trimmed. At its end, or failure, the options of `malloc` are what
    the environment says, or glibc's own, and freed memory goes back.

    The heap is the main thread's. So JAX has to compute there, and not in a thread of its own; it
    looks at this option once, when it makes its first array. Set it at the top of a program:

        jax.config.update("jax_cpu_enable_async_dispatch", False)

    Warns:
        UserWarning: if JAX computes in a thread of its own, where this has no effect.

    Example:

    >>> import jax, keras
    >>> jax.config.update("jax_cpu_enable_async_dispatch", False)
    >>> model = keras.Sequential([keras.layers.Dense(1)])
    >>> model.compile(loss="mse")
    >>> with keep_freed_memory():
    ...     history = model.fit(keras.ops.ones((4, 2)), keras.ops.ones(4), verbose=0)
    >>> jax.config.update("jax_cpu_enable_async_dispatch", True)
    """
    if jax.config.read("jax_cpu_enable_async_dispatch") and jax.default_backend() == "cpu":
        warn_user(
            "Freed memory can't be kept where JAX computes in a thread of its own. Before the "
            'first array is made, call jax.config.update("jax_cpu_enable_async_dispatch", False).'
        )
    this = object()
    _contexts.append(this)
    _set(KEEPING)
    try:
        yield
    finally:
        _contexts.remove(this)
        if not _contexts:
            _set({option: _found(*source) for option, source in _OPTIONS.items()})
            give_back()


def _found(variable, tunable, default):
    """Return an option as the environment says it, else glibc's own."""
    of_tunables = dict(
        setting.split("=", 1)
        for setting in os.environ.get("GLIBC_TUNABLES", "").split(":")
        if "=" in setting
    )
    try:
        return int(os.environ.get(variable) or of_tunables[tunable], 0)
    except (KeyError, ValueError):
        return default


def _set(options):
    libc = _glibc()
    if libc:
        for name, value in options.items():
            libc.mallopt(name, value)


def _glibc():
    """Return the C library if it is glibc, else `None`."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    return libc if hasattr(libc, "gnu_get_libc_version") else None

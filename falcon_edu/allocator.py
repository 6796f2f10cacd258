"""What the C library does with memory that is freed: kept for the next use, or given back.

This is about Linux with glibc, whose `malloc` JAX uses for everything on a CPU. On other systems
nothing here has an effect.
"""

import ctypes
import functools
import sys

import jax
import jax.monitoring
import keras

# Names and values from glibc's malloc.h; what they do stands in `man mallopt`.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
KEEPING = {M_TRIM_THRESHOLD: -1, M_MMAP_MAX: 0}  # trim never, map nothing of its own
# The thresholds are those to which glibc itself goes when a program frees large pieces.
USUAL = {M_TRIM_THRESHOLD: 64 * 2**20, M_MMAP_THRESHOLD: 32 * 2**20, M_MMAP_MAX: 65536}

LONG_COMPILATION = 1  # second; what a shorter one keeps is not worth the time to collect it


def give_back():
    """Hands all freed memory to the system.

    What a thread frees stays with the process otherwise, for that thread's next use: after the
    many threads of a load 180 MB beside a 1.3B Falcon in eight bits, and 150 after a compilation.
    """
    libc = _glibc()
    if libc:
        libc.malloc_trim(0)


def compute_in_calling_thread():
    """Has JAX compute on a CPU in the thread that calls, and not in one of its own beside it.

    Only the main thread takes its memory from the heap; the others' is not kept, whatever is asked
    for. JAX looks at this once, when it makes its first array: later, this changes nothing.
    """
    jax.config.update("jax_cpu_enable_async_dispatch", False)


class KeepFreedMemory(keras.callbacks.Callback):
    """Keeps the memory that a training step frees, so that the next step finds it at hand.

    XLA takes all memory for a step's intermediate values as one piece, and frees it after the step.
    A piece so large goes back to the system at once; in the next step the system hands out pages
    anew, and fills each with zeros when it is first touched. That was 100 of the 350 ms that a step
    of the shipped model takes on two cores. So here large pieces come from the heap, which is not
    trimmed while training goes on.

    The heap is the main thread's: see `compute_in_calling_thread`.

    It is a callback, and a context at whose end, or failure, everything is as it was. Our `fit` has
    one; a model of your own can have it too.

    Example:

    >>> model = keras.Sequential([keras.layers.Dense(1)])
    >>> model.compile(loss="mse")
    >>> x, y = keras.ops.ones((4, 2)), keras.ops.ones(4)
    >>> with KeepFreedMemory() as keeping:
    ...     history = model.fit(x, y, callbacks=[keeping], verbose=0)
    """

    def __enter__(self):
        return self

    def __exit__(self, *error):
        _set(USUAL)
        give_back()

    def beside(self, callbacks):
        """The callbacks for `fit`: those of the user, if any, and this one."""
        if isinstance(callbacks, keras.callbacks.CallbackList):
            return callbacks  # it is closed
        if isinstance(callbacks, keras.callbacks.Callback):
            callbacks = [callbacks]
        return [*(callbacks or []), self]

    def on_train_begin(self, logs=None):
        watch_compiler()
        _compiled.clear()
        _set(KEEPING)

    # What the compiler frees lies all over the heap, where no large piece would fit in between. So
    # it is handed back: after the first step, in which the step was compiled, or a smaller last
    # batch; and after an epoch, in which the validation was.

    def on_train_batch_end(self, batch, logs=None):
        if _compiled:
            _compiled.clear()
            give_back()

    on_epoch_end = on_train_batch_end


_compiled: list[str] = []  # not empty if JAX has compiled something since it was cleared


@functools.cache  # so that JAX is asked once
def watch_compiler():
    """Has memory given back after each long compilation, before the program takes some itself.

    It is so from then on, for whatever JAX compiles in this process.

    For the decoding loop of a 1.3B Falcon the compiler keeps 80 MB, and the program takes 20.
    """

    def note(event, seconds, **details):
        if event == "/jax/core/compile/backend_compile_duration":
            if not _compiled:
                _compiled.append(event)
            if seconds > LONG_COMPILATION:
                give_back()

    jax.monitoring.register_event_duration_secs_listener(note)


def _set(options):
    libc = _glibc()
    if libc:
        for name, value in options.items():
            libc.mallopt(name, value)


def _glibc():
    """The C library, if it is glibc."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    return libc if hasattr(libc, "gnu_get_libc_version") else None

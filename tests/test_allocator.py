"""Training finds its memory at hand from one step to the next, and gives it back in the end."""

import json
import subprocess
import sys
import threading
from pathlib import Path

from falcon_edu import FalconBackbone, FalconCausalLM, allocator
from falcon_edu.decoding import DecodingLoop
from falcon_edu.samplers import GreedySampler

import jax
import keras
import numpy as np
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only glibc has it")

HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")

# A process of its own: JAX must not have made an array before.
TRAINING = """
import json, resource
from falcon_edu import FalconBackbone, FalconCausalLM
import keras, numpy as np

def page_faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

class Faults(keras.callbacks.Callback):
    steps = []
    def on_train_batch_begin(self, batch, logs=None):
        self.before = page_faults()
    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(page_faults() - self.before)

causal_lm = FalconCausalLM(FalconBackbone(2048, 4, 4, 128, 512))
ids = np.ones((64, 128), "int32")
x = {"token_ids": ids, "padding_mask": ids}
for _ in range(8):
    causal_lm.fit(x, batch_size=16, verbose=0, callbacks=[Faults()])
print(json.dumps(Faults.steps))
"""


def anonymous_megabytes():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024


def free_in_a_thread():
    """40 MB that stay with the process, and what keeps them from being its last piece."""
    kept = []

    def work():
        blocks = [np.ones(100_000, "uint8") for _ in range(400)]  # 40 MB, each from the heap
        kept.append(blocks[-1])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return kept


def test_memory_that_a_thread_freed_goes_back_to_the_system():
    kept = free_in_a_thread()
    before = anonymous_megabytes()
    allocator.give_back()
    assert before - anonymous_megabytes() > 20
    del kept


@pytest.mark.parametrize("seconds", [0.1, 2])
def test_so_does_what_a_long_compilation_leaves(seconds):
    jax.monitoring.clear_event_listeners()  # of other tests in this process, which are over
    allocator.watch_compiler.cache_clear()
    DecodingLoop(FalconBackbone(10, 1, 2, 8, 16), GreedySampler())
    kept = free_in_a_thread()
    before = anonymous_megabytes()
    event = "/jax/core/compile/backend_compile_duration"
    jax.monitoring.record_event_duration_secs(event, seconds)
    assert (before - anonymous_megabytes() > 20) is (seconds > allocator.LONG_COMPILATION)
    del kept


@pytest.mark.skipif(
    HUGE_PAGES.exists() and "[always]" in HUGE_PAGES.read_text(),
    reason="pages of 2 megabytes are too few to count",
)
def test_only_the_first_step_of_a_fit_touches_new_pages():
    run = subprocess.run([sys.executable, "-c", TRAINING], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    (compiled, first_kept, *_), *fits = np.array(json.loads(run.stdout)).reshape(8, 4)
    # Its values are some 100 MB, in pages of 4 kilobytes.
    assert compiled > first_kept > 5000
    # At times a small piece lies where the large one was, and the large one comes to lie beside it:
    # that step touches new pages. But none does so in most fits except the first.
    first, *others = np.median(fits, axis=0)
    assert first > 5000
    assert max(others) < 1000, fits


def test_an_epoch_gives_memory_back_only_if_something_was_compiled():
    with allocator.KeepFreedMemory() as keeping:
        keeping.on_train_begin()
        keeping.on_train_batch_end(0)
        before = anonymous_megabytes()
        large = np.ones(200 * 2**20, "uint8")
        del large
        keeping.on_epoch_end(0)
        assert anonymous_megabytes() - before > 190
        jax.jit(lambda x: x + 17)(1.0)
        keeping.on_epoch_end(1)
        assert anonymous_megabytes() - before < 20


class Stop(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            raise KeyboardInterrupt


@pytest.mark.parametrize("callbacks", [None, [Stop()]], ids=["end", "interrupt"])
def test_afterwards_memory_goes_back_as_ever(callbacks):
    causal_lm = FalconCausalLM(FalconBackbone(10, 1, 2, 8, 16))
    ids = np.ones((6, 4), "int32")
    try:
        causal_lm.fit({"token_ids": ids, "padding_mask": ids}, batch_size=2, callbacks=callbacks)
    except KeyboardInterrupt:
        assert callbacks
    before = anonymous_megabytes()
    large = np.ones(200 * 2**20, "uint8")
    above = np.ones(1000)  # so that the large piece, were it on the heap, were not at its end
    assert anonymous_megabytes() - before > 190
    del large
    assert anonymous_megabytes() - before < 10
    del above


def test_the_callbacks_of_the_user_stay():
    one, other = keras.callbacks.TerminateOnNaN(), keras.callbacks.TerminateOnNaN()
    keeping = allocator.KeepFreedMemory()
    assert keeping.beside(None) == [keeping]
    assert keeping.beside(one) == [one, keeping]
    assert keeping.beside((one, other)) == [one, other, keeping]
    wrapped = keras.callbacks.CallbackList([one])
    assert keeping.beside(wrapped) is wrapped
    assert wrapped.callbacks == [one]

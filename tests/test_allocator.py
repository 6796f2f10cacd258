"""Within a context, training finds its memory at hand from one step to the next."""

import json
import subprocess
import sys
import threading
from pathlib import Path

from falcon_edu import keep_freed_memory
from falcon_edu.fast import allocator

import jax
import numpy as np
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only glibc has it")

HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")

# A process of its own: JAX must not have made an array before.
TRAINING = """
import json, resource
import jax
from falcon_edu import FalconBackbone, FalconCausalLM, keep_freed_memory
import keras, numpy as np

jax.config.update("jax_cpu_enable_async_dispatch", False)

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
with keep_freed_memory():
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


@pytest.mark.skipif(
    HUGE_PAGES.exists() and "[always]" in HUGE_PAGES.read_text(),
    reason="pages of 2 megabytes are too few to count",
)
def test_only_the_first_step_touches_new_pages():
    run = subprocess.run([sys.executable, "-c", TRAINING], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    # Its values are some 100 MB, in pages of 4 kilobytes.
    (compiled, *_), *fits = np.array(json.loads(run.stdout)).reshape(8, 4)
    assert compiled > 5000
    # At times a small piece lies where the large one was, and the large one comes to lie beside it:
    # that step touches new pages. But none does so in most fits.
    assert max(np.median(fits, axis=0)) < 1000, fits


@pytest.fixture
def in_the_calling_thread():
    """JAX says that it computes there; here it makes no difference."""
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    yield
    jax.config.update("jax_cpu_enable_async_dispatch", True)


def kept_after_use():
    """Megabytes that stay with the process when 200 MB are freed, which are not its last piece."""
    before = anonymous_megabytes()
    large = np.ones(200 * 2**20, "uint8")
    above = np.ones(1000)
    assert anonymous_megabytes() - before > 190
    del large
    kept = anonymous_megabytes() - before
    del above
    return kept


def test_memory_is_kept_within_the_outermost_context_alone(in_the_calling_thread):
    assert kept_after_use() < 10
    with keep_freed_memory():
        with keep_freed_memory():
            pass
        assert kept_after_use() > 190
    assert kept_after_use() < 10
    with pytest.raises(KeyboardInterrupt), keep_freed_memory():
        raise KeyboardInterrupt
    assert kept_after_use() < 10


def test_afterwards_the_options_are_those_of_the_environment(in_the_calling_thread, monkeypatch):
    options = []
    monkeypatch.setattr(allocator, "_set", options.append)
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    monkeypatch.setenv(
        "GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=0x100000:glibc.malloc.check=3"
    )
    with keep_freed_memory():
        pass
    keeping, after = options
    assert keeping == allocator.KEEPING
    assert after == {
        allocator.M_TRIM_THRESHOLD: 1_000_000,
        allocator.M_MMAP_THRESHOLD: 2**20,
        allocator.M_MMAP_MAX: 65536,
    }


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="only a CPU computes in a thread")
def test_it_says_where_it_has_no_effect():
    with pytest.warns(UserWarning, match="thread of its own"), keep_freed_memory():
        pass

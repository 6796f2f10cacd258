"""Loading holds the weights once: measured in a process of its own, on a checkpoint made here."""

import subprocess
import sys

from falcon_edu import FalconBackbone, FalconConfig

import jax
import keras
import numpy as np
import pytest

# Large enough that weights outweigh what Keras and JAX hold, small enough for a test.
CONFIG = FalconConfig(8000, 16, 16, 1024, 4096)  # 210 million parameters

COMPILING = 300  # megabytes; more on a machine with many cores. A copy in bfloat16 would be 400

MEASURE = """
import sys
import threading
import time
from pathlib import Path

from falcon_edu import FalconBackbone

import jax


def anonymous():
    # Not the mapped pages of the file: the system drops those when it needs the memory.
    return int(Path("/proc/self/status").read_text().partition("RssAnon:")[2].split()[0]) / 1024


def watch():
    while True:
        peaks.append(anonymous())
        time.sleep(0.002)


FalconBackbone(10, 1, 1, 8, 8)  # what JAX holds anyway
before, peaks = anonymous(), []
threading.Thread(target=watch, daemon=True).start()
backbone = FalconBackbone.from_preset(sys.argv[1])
jax.block_until_ready([v.value for v in backbone.variables])
weights = sum(v.value.nbytes for v in backbone.variables) / 2**20
print(weights, anonymous() - before, max(peaks) - before)
"""


@pytest.mark.compiler
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory from Linux's /proc")
@pytest.mark.parametrize("save", ["export_to_transformers", "save_to_preset"])
def test_peak_memory_is_the_weights_and_little_more(tmp_path, save):
    backbone = FalconBackbone(**CONFIG.to_dict(), dtype="bfloat16")
    getattr(backbone, save)(tmp_path / "falcon")
    del backbone
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "falcon")],
        capture_output=True,
        text=True,
        check=True,
    )
    weights, held, peak = map(float, result.stdout.split())
    assert weights == pytest.approx(4 * CONFIG.num_parameters / 2**20)
    # A tenth for the tensor that is being cast; the rest is what compiling takes at any size.
    print(f"weights {weights:.0f} MB, held {held:.0f} MB, at the peak {peak:.0f} MB")
    for used in (held, peak):
        assert used < 1.10 * weights + COMPILING, "two copies would be twice as much"


def test_random_numbers_are_never_drawn(tmp_path, monkeypatch):
    FalconBackbone(50, 2, 2, 16, 32).save_to_preset(tmp_path / "falcon")

    draw = keras.initializers.RandomNormal.__call__

    def only_traced(self, *args, **kwargs):
        numbers = draw(self, *args, **kwargs)
        # While Keras works out shapes, an initializer is called for its shape alone.
        assert isinstance(numbers, jax.core.Tracer), "random numbers were drawn"
        return numbers

    monkeypatch.setattr(keras.initializers.RandomNormal, "__call__", only_traced)
    loaded = FalconBackbone.from_preset(tmp_path / "falcon")
    assert np.isfinite(loaded.get_weights()[0]).all()
    with pytest.raises(AssertionError, match="random numbers"):
        FalconBackbone(50, 2, 2, 16, 32)

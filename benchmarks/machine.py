"""Measure what the machine itself can do: the ceilings that no library can pass."""

import platform

from benchmarks.keras_works import repeated

import numpy as np


def cores():
    """Return the number of cores that this process may use, and their name."""
    import os
    from pathlib import Path

    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.is_file() else ""
    name = text.partition("model name")[2].partition(":")[2].partition("\n")[0].strip()
    return f"{len(os.sched_getaffinity(0))} cores, {name or platform.processor()}"


def read_bandwidth(gigabytes=1.0):
    """Measure the gigabytes per second that all cores read, in a matrix-vector product."""
    import jax
    import jax.numpy as jnp

    n = 8192
    m = int(gigabytes * 1e9 / 4 / n)
    matrix, vector = jnp.ones((m, n), "float32"), jnp.ones((1, m), "float32")
    product = jax.jit(lambda x, y: x @ y)
    return matrix.nbytes / 1e9 / repeated(lambda: product(vector, matrix).block_until_ready(), 7)


def gemm_rate(n=2048):
    """Measure the gigaflops of a large float32 matrix product."""
    import jax
    import jax.numpy as jnp

    matrix = jnp.ones((n, n), "float32")
    product = jax.jit(lambda x: x @ x)
    return 2 * n**3 / 1e9 / repeated(lambda: product(matrix).block_until_ready(), 7)


def versions():
    """Return the versions of everything that is compared."""
    from importlib.metadata import version

    packages = ("keras", "jax", "keras-hub", "transformers", "torch", "peft", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def has_gpu():
    """True if JAX sees an accelerator."""
    import jax

    return jax.default_backend() == "gpu"


if __name__ == "__main__":
    import json

    import jax

    with jax.default_device(jax.devices("cpu")[0]):
        ceilings = {"read_bandwidth": read_bandwidth(), "gemm_rate": gemm_rate()}
    print(json.dumps({"cores": cores(), **ceilings, "versions": versions(), "gpu": has_gpu()}))
    assert np.isfinite(list(ceilings.values())).all()

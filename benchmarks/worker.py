"""One measurement in a process of its own: `python -m benchmarks.worker '{"who": ..., ...}'`.

Prints one line of JSON: the value of the work, and the most anonymous memory that it took. Pages of
mapped files do not count: the system drops those when it needs the memory. On a GPU it is the GPU's
memory.
"""

import json
import sys
import threading
import time
from pathlib import Path


def anonymous_megabytes():
    """Return the memory of this process that no file stands behind."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024 / 1e6  # Linux's kB are KiB


def gpu_megabytes():
    """Return the most memory that JAX held on a GPU; 0 without one."""
    jax = sys.modules.get("jax")
    if jax is None or jax.default_backend() != "gpu":
        return 0
    return jax.devices()[0].memory_stats()["peak_bytes_in_use"] / 1e6


def watch(peak):
    """Keep the largest of many looks, in the background."""
    while True:
        peak[0] = max(peak[0], anonymous_megabytes())
        time.sleep(0.005)


def works_of(who, folder, dtype):
    """Return the works of a library."""
    if who == "transformers":
        from benchmarks.transformers_works import TransformersWorks

        return TransformersWorks(folder, dtype)
    if who == "learner":
        from benchmarks.learner_works import LearnerWorks

        return LearnerWorks()
    from benchmarks.keras_works import KerasWorks

    if who == "keras_hub":
        import keras_hub

        return KerasWorks(keras_hub.models, folder, dtype)
    from benchmarks.our_works import OurWorks

    return OurWorks(folder, dtype)


def main():
    """Do what the argument says."""
    task = json.loads(sys.argv[1])
    peak = [0.0]
    if task["work"] == "import":
        started = time.perf_counter()
        if task["who"] == "falcon_edu":
            import falcon_edu  # noqa: F401
        else:
            import keras  # noqa: F401
        value = time.perf_counter() - started
    else:
        works = works_of(task["who"], task.get("folder"), task.get("dtype", "float32"))
        threading.Thread(target=watch, args=(peak,), daemon=True).start()
        started = time.perf_counter()
        value = getattr(works, task["work"])(**task.get("arguments", {}))
        # What a work returns is a number, or a thing that took some time to make.
        value = value if isinstance(value, float) else time.perf_counter() - started
    held = max(peak[0], anonymous_megabytes())  # before JAX is asked for a GPU, which takes some
    print(json.dumps({"value": value, "peak": gpu_megabytes() or held}))


if __name__ == "__main__":
    main()

"""What computes, how much room there is, and whether a model runs."""

import os
import shutil
import time
from pathlib import Path

from falcon_edu.course.doctor.finding import Finding

MEMORY = (1.0, 2.0)  # gigabytes that most notebooks need, and that the largest one needs
DISK = 1.0  # gigabytes for what the notebooks write, and the reader's own
PRESET = "falcon_tales_rw_en"


def look_at_backend():
    """Name Keras's backend, and the devices that it has."""
    import jax
    import keras

    backend, devices = keras.config.backend(), jax.devices()
    text = f"{backend} on {len(devices)} {devices[0].platform}, {os.cpu_count()} cores"
    if backend != "jax":
        return Finding(text, "import falcon_edu before keras", is_ready=False)
    return Finding(text)


def look_at_memory(free=None):
    """Memory that is free, or that a container leaves.

    Args:
        free: gigabytes; `None` to ask.

    Example:

    >>> look_at_memory(3.0).advice, look_at_memory(1.5).is_ready, look_at_memory(0.5).is_ready
    ('', True, False)
    """
    free = free_memory() if free is None else free
    text, (least, enough) = f"{free:.1f} GB free", MEMORY
    if free >= enough:
        return Finding(text)
    advice = f"close other programs and kernels; the largest notebook needs {enough:.0f} GB"
    return Finding(text, advice, is_ready=free >= least)


def free_memory():
    """Return the gigabytes that a process may take: what is free, or a container leaves."""
    from falcon_edu.presets.capacity import machine_memory

    import psutil

    free = psutil.virtual_memory().available
    return min(free, machine_memory() or free) / 1e9


def look_at_disk(free=None):
    """Room in this folder.

    Args:
        free: gigabytes; `None` to ask.

    Example:

    >>> look_at_disk(0.2).advice
    'make room for 1 GB, or work in another folder'
    """
    free = shutil.disk_usage(Path.cwd()).free / 1e9 if free is None else free
    text = f"{free:.1f} GB free in this folder"
    if free >= DISK:
        return Finding(text)
    return Finding(text, f"make room for {DISK:.0f} GB, or work in another folder", is_ready=False)


def look_at_model():
    """Load a shipped Falcon, and ask it for a few words."""
    from falcon_edu.model.causal_lm import FalconCausalLM

    start = time.monotonic()
    tale = FalconCausalLM.from_preset(PRESET).generate("Mia and Tom were old friends. One", 15)
    return Finding(f'a small Falcon wrote "{tale}" in {time.monotonic() - start:.0f} s')

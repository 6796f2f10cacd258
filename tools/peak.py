"""The most memory that a process has held."""

import contextlib
from pathlib import Path


def megabytes(process):
    """Return the most memory that a process has held, where the system tells (Linux), or holds now.

    Args:
        process: a `psutil.Process`.
    """
    with contextlib.suppress(FileNotFoundError):
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return process.memory_info().rss / 2**20

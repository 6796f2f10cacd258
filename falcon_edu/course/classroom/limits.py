"""What a student's process may take: a mistake should end itself, not the grader."""

import os
import sys

NOBODY = 65534
FILE_SIZE = 256  # megabytes that one file may have, one in shared memory included
PROCESSES = 1024  # threads count, and JAX starts dozens


def limit_memory(megabytes: int) -> bool:
    """Let this process take no more memory; what asks for more gets a `MemoryError`.

    The limit is on private memory (`RLIMIT_DATA`), which is what a growing list or array takes.
    Linux keeps it. Elsewhere there is no such limit, and a container has to set one.

    Args:
        megabytes: the limit.

    Returns:
        True if this system keeps it.
    """
    if sys.platform != "linux":
        return False
    import resource

    limit = megabytes * 1024**2
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    return True


def limit_all(megabytes: int, seconds: int) -> None:
    """Limit memory, files, processes and processor time of this process and those it starts.

    Args:
        megabytes: of private memory.
        seconds: of processor time, on all cores together.
    """
    limit_memory(megabytes)
    if sys.platform == "win32":
        return
    import resource

    limits = {
        "RLIMIT_FSIZE": FILE_SIZE * 1024**2,
        "RLIMIT_CPU": seconds,
        "RLIMIT_CORE": 0,
    }
    if os.getuid() == NOBODY:  # anyone else has more processes than these, which count as well
        limits["RLIMIT_NPROC"] = PROCESSES
    for name, limit in limits.items():
        hard = resource.getrlimit(kind := getattr(resource, name))[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (limit, limit))

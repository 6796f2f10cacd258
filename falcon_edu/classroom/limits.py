"""How much memory a kernel may take: a student's mistake should end itself, not the grader."""

import sys


def limit_memory(megabytes: int) -> bool:
    """Lets this process take no more memory; what asks for more gets a `MemoryError`.

    The limit is on private memory (`RLIMIT_DATA`), which is what a growing list or array takes.
    Linux keeps it. Elsewhere there is no such limit, and a container has to set one.

    Args:
        megabytes: the limit.

    Returns:
        Whether this system keeps it.
    """
    if sys.platform != "linux":
        return False
    import resource

    limit = megabytes * 1024**2
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    return True

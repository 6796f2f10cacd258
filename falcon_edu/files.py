"""Writing a file so that a failure leaves the old one or the new one, never half of one."""

import errno
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path):
    """A path to write to; it becomes `path` when the block ends, and disappears if it fails.

    Args:
        path: the file to be written or replaced. Its folder must exist.

    Example:

    >>> folder = Path(tempfile.mkdtemp())
    >>> with replacing(folder / "a.txt") as temporary:
    ...     _ = temporary.write_text("done")
    >>> [file.name for file in folder.iterdir()]
    ['a.txt']
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"The folder of {path} does not exist; make it first.")
    # A sibling, because a rename is only atomic within one file system.
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def check_space(path, needed):
    """Refuses to write what the disk has no room for, before anything is written.

    HDF5 does not recover from a write that fails, and may take the whole process down with it.

    Args:
        path: where the file or folder will be; it need not exist yet.
        needed: bytes, about.

    Raises:
        OSError: there is less space; the message says how much is needed and how much is free.

    Example:

    >>> check_space(tempfile.gettempdir(), 10**18)
    Traceback (most recent call last):
    OSError: [Errno 28] Saving to ... needs about 1,000.0 PB, but its disk has ... free. ...
    """
    place = Path(path).resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if needed > free:
        raise OSError(
            errno.ENOSPC,
            f"Saving to {path} needs about {size(needed)}, but its disk has {size(free)} free. "
            "Free some, or save elsewhere.",
        )


def size(number):
    """A number of bytes as people write it.

    >>> size(512), size(5_246_500_864), size(512e12)
    ('512 B', '5.2 GB', '512.0 TB')
    """
    for unit in ("B", "KB", "MB", "GB", "TB", "PB"):
        if number < 1000 or unit == "PB":
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:,.1f} {unit}"
        number /= 1000

"""Writing a file so that a failure leaves the old one or the new one, never half of one."""

import errno
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from falcon_edu.storage.drafts import draft_of
from falcon_edu.storage.interrupts import uninterrupted

# Rights beyond owner, group and others, on Linux; those of a folder's future files are the second.
ACCESS_LISTS = ("system.posix_acl_access", "system.posix_acl_default")


def replace_file(path, write):
    """Make or replace a file; whatever goes wrong, an old one stays and nothing else is left.

    The new file is on the disk before it takes the place of the old one, in one step, with the
    rights of the old one. Behind a link, the file itself is replaced. If the process is killed, the
    next one that saves into the same folder clears what it left.

    Args:
        path: the file to be made or replaced. Its folder must exist.
        write: a function that writes a file to the path that it is given.

    Raises:
        FileNotFoundError: the folder does not exist.
        OSError: the folder may not be written, or has no room.
        ValueError: there is a folder at `path`, or a link that leads to itself.

    Example:

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> replace_file(folder / "a.txt", lambda path: path.write_text("done"))
    >>> [file.name for file in folder.iterdir()]
    ['a.txt']
    """
    path = real_path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"The folder of {path} does not exist; make it first.")
    if path.is_dir():
        raise ValueError(f"A file can't be saved to {path}, which is a folder.")
    with uninterrupted() as hold, draft_of(path, path.parent, hold) as draft:
        new = draft / "new"
        with hold.let_through():
            write(new)
            sync(new)
        if path.exists():
            keep_rights(path, new)
        os.replace(new, path)
        sync_folder(path.parent)


def real_path(path):
    """Return the absolute path of a file or folder to save, with no link on it.

    Raises:
        ValueError: it is no path, the address of a hub, or leads in a circle.
    """
    if not isinstance(path, (str, os.PathLike)) or not str(path):
        raise ValueError(f"What is saved needs a path. Received: {path!r}")
    if "://" in str(path):
        raise ValueError(f"Only a path of this machine can be saved to. Received: {path}")
    real = Path(os.path.realpath(path))
    if any(part.is_symlink() for part in (real, *real.parents)):
        raise ValueError(f"{path} can't be saved to: it is a link that leads to itself.")
    return real


def sync(path):
    """Wait until a file, or a folder and all that is in it, is on the disk and not only on its way.

    Raises:
        OSError: the disk is full or broken.
    """
    if not path.is_dir():
        # Windows needs a handle to write by.
        handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        return
    for inner in path.iterdir():
        if not inner.is_symlink():
            sync(inner)
    sync_folder(path)


def sync_folder(path):
    """Wait until the names in a folder are on the disk, where the system has a way to."""
    with suppress(OSError):  # Windows opens no folders, and some file systems sync none
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def keep_rights(old, new):
    """Give a file or folder the owner, group, mode and access list of the one that it replaces."""
    found = os.stat(old)
    if hasattr(os, "chown"):
        for owner, group in ((found.st_uid, -1), (-1, found.st_gid)):
            with suppress(PermissionError):  # only root gives to others
                os.chown(new, owner, group)
    os.chmod(new, stat.S_IMODE(found.st_mode))
    if hasattr(os, "getxattr"):
        for name in ACCESS_LISTS:
            with suppress(OSError):  # there is none, or the file system has no such thing
                os.setxattr(new, name, os.getxattr(old, name))


def check_space(path, needed):
    """Refuse to write what the disk has no room for, before anything is written.

    HDF5 does not recover from a write that fails, and may take the whole process down with it.

    Args:
        path: where the file or folder will be; it need not exist yet.
        needed: bytes, about.

    Raises:
        OSError: there is less space; the message says how much is needed and how much is free.

    Example:

    >>> import tempfile
    >>> check_space(tempfile.gettempdir(), 10**18)
    Traceback (most recent call last):
    OSError: [Errno 28] Saving to ... needs about 1,000.0 PB, but its disk has ... free. ...
    """
    place = real_path(path)
    while not os.path.lexists(place):
        place = place.parent
    free = shutil.disk_usage(place).free
    if needed > free:
        raise OSError(
            errno.ENOSPC,
            f"Saving to {path} needs about {size(needed)}, but its disk has {size(free)} free. "
            "Free some, or save elsewhere.",
        )


def size(number):
    """Return a number of bytes as people write it.

    >>> size(512), size(5_246_500_864), size(512e12)
    ('512 B', '5.2 GB', '512.0 TB')
    """
    for unit in ("B", "KB", "MB", "GB", "TB", "PB"):
        if number < 1000 or unit == "PB":
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:,.1f} {unit}"
        number /= 1000

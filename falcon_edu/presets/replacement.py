"""Folders that are replaced as a whole or not at all, even where a process is killed.

The new files are written into a draft and on the disk before anything else happens. Then

- where the system can, a folder with the new files, and the old ones that stay, is exchanged with
  the old folder in one step;
- elsewhere (a mount point, a folder in one that may not be written, Windows, some network drives)
  the new files are put into the folder as a bundle, in one step (`presets/bundles.py`).
"""

import ctypes
import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

from falcon_edu.presets.bundles import finish, move_in
from falcon_edu.presets.folders import fail, files_below
from falcon_edu.storage.drafts import PREFIX, draft_of
from falcon_edu.storage.files import keep_rights, real_path, sync, sync_folder
from falcon_edu.storage.interrupts import uninterrupted

import psutil

MOST_LINKS = 1000  # a folder that holds more is somebody's workshop: its files are not all touched


def replace_folder(path, write, outdated=()):
    """Make a folder, or replace the files of one that there is.

    Whatever goes wrong, and wherever the process is killed, the folder is as before or as it shall
    be, and so it is for every reader. All is on the disk before it counts. Files that the new
    folder does not have stay, unless they are outdated. Rights are those of what is replaced. Of
    several that save to one folder at once, each waits for the one before.

    Args:
        path: the folder to be made or replaced; behind a link, the folder itself.
        write: a function that writes the new files into the empty folder that it is given.
        outdated: patterns of paths inside the old folder that must not stay.

    Raises:
        OSError: the folder may not be written, or has no room.
        ValueError: `path` is no path, a file, or a link that leads to itself.

    Example:

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "preset"
    >>> for name in ("a.txt", "b.txt"):
    ...     replace_folder(folder, lambda new: (new / name).write_text("done"))
    >>> sorted(file.name for file in folder.iterdir())
    ['a.txt', 'b.txt']
    """
    path = real_path(path)
    if path.exists() and not path.is_dir():
        raise ValueError(f"A preset needs a folder, but {path} is a file.")
    place = path if _must_stay(path) else path.parent
    with uninterrupted() as hold, _parents_of(path), draft_of(path, place, hold) as draft:
        new = draft / "new"
        new.mkdir()
        with hold.let_through():
            write(new)
            sync(new)
        if not path.exists():
            os.rename(new, path)
        else:
            finish(path)
            gone = [n for n in _outdated_files(path, outdated) if not os.path.lexists(new / n)]
            _keep_all_rights(path, new, gone)
            if place == path or not _exchange(path, draft, gone):
                move_in(path, draft, gone)
        sync_folder(path.parent)


def _must_stay(path):
    """True if a folder can't leave its place: a mount point, or in a parent that is closed."""
    if not path.is_dir():
        return False
    mounted = {partition.mountpoint for partition in psutil.disk_partitions(all=True)}
    return str(path) in mounted or not os.access(path.parent, os.W_OK | os.X_OK)


@contextmanager
def _parents_of(path):
    """Make the folders above a path, which disappear if the block fails."""
    made = [parent for parent in path.parents if not parent.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for parent in made:
            with suppress(OSError):
                parent.rmdir()
        raise


def _outdated_files(path, patterns):
    found = {file for pattern in patterns for file in path.glob(pattern)}
    return [file.relative_to(path) for file in sorted(found) if file.is_symlink() or file.is_file()]


def _keep_all_rights(path, new, gone):
    """Give new files the rights of those that they replace, be it under another name."""
    modes = [(path / name).stat().st_mode for name in gone if (path / name).exists()]
    for name in files_below(new):
        if (path / name).exists():
            keep_rights(path / name, new / name)
        else:
            mode = (new / name).stat().st_mode
            for other in modes:
                mode &= other
            os.chmod(new / name, mode & 0o777)


# === In one step ===


def _exchange(path, draft, gone):
    """Exchange a folder and one that holds what it shall hold; false where that can't be done."""
    if _is_stood_in(path):
        return False
    twin = draft / "twin"
    try:
        twin.mkdir()
        _link_all(draft / "new", twin)
        _link_all(path, twin, gone)
        if _owners(twin) != _owners(path):
            return False
        for inner, _, _ in os.walk(twin):
            sync_folder(inner)
        return _exchange_names(twin, path)
    except (OSError, NotImplementedError):  # no links: of another's files, to another disk, ...
        return False


def _owners(folder):
    found = folder.stat()
    return found.st_uid, found.st_gid


def _is_stood_in(path):
    """True if this process works in a folder: it would be left standing in the old one."""
    with suppress(FileNotFoundError):
        return Path.cwd().is_relative_to(path)
    return False


def _link_all(source, target, without=()):
    """Give all files of a folder a second name in another, but for those that have one there."""
    names = files_below(source)
    if len(names) > MOST_LINKS:
        raise OSError("too many files")
    for inner, folders, _ in os.walk(source, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(PREFIX)]
        if not os.access(inner, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError("the old folder could not be removed")
        copy = target / Path(inner).relative_to(source)
        copy.mkdir(exist_ok=True)
        keep_rights(inner, copy)
    for name in names:
        if name not in without and not os.path.lexists(target / name):
            os.link(source / name, target / name, follow_symlinks=False)


def _exchange_names(a, b):
    """Exchange two folders in one step; false where the system has no call for that."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            result = libc.renamex_np(os.fsencode(a), os.fsencode(b), 2)  # RENAME_SWAP
        else:
            here = -100  # AT_FDCWD, which absolute paths do not need
            result = libc.renameat2(
                here, os.fsencode(a), here, os.fsencode(b), 2
            )  # RENAME_EXCHANGE
    except (AttributeError, OSError, TypeError):
        return False
    return result == 0

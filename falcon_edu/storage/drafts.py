"""A private folder to write in: one writer for each target, and nothing left when it is gone.

The writer holds a lock on a file in its draft, which the system takes away when the process ends,
however it ends. So the next writer knows which drafts are abandoned, and clears them.
"""

import hashlib
import os
import shutil
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from falcon_edu.warn import warn_user

PREFIX = ".falcon_edu-"
LOCK = "lock"
PATIENCE = 5  # seconds before a word is said of what is waited for

if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle):
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(handle):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def draft_of(target, place, hold):
    """Make an empty folder, for the owner's eyes only, to write in what shall become `target`.

    Whoever saves to the same target meanwhile waits. The folder disappears with the block, and so
    do those in the same place whose writers are gone.

    Args:
        target: path of the file or folder that will be made or replaced.
        place: path of the folder that the draft lies in, on the file system of `target`.
        hold: what `uninterrupted` returned; an interrupt is let through while this waits.

    Raises:
        OSError: the place may not be written, or has no room.
    """
    owner = os.getuid() if hasattr(os, "getuid") else ""
    name = hashlib.sha256(f"{target.name}/{owner}".encode("utf-8", "surrogatepass")).hexdigest()
    folder = place / f"{PREFIX}{name[:12]}"
    _clear_abandoned(place)
    try:
        handle = _claim(folder, target, hold)
    except OSError as error:
        raise OSError(
            error.errno, f"Nothing can be saved to {target}: {error.strerror or error}, in {place}."
        ) from None
    try:
        _empty(folder)
        yield folder
    finally:
        _remove(folder, handle)


def _claim(folder, target, hold):
    """Make the folder if it isn't there, and lock it; return the handle of the locked file."""
    told = time.monotonic() + PATIENCE
    while True:
        is_new = _make(folder)
        try:
            handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            continue  # its last writer is just removing it
        except OSError:
            _remove_if_empty(folder)
            raise
        if _is_locked(folder, handle, is_new):
            return handle
        os.close(handle)
        if time.monotonic() > told:
            told = float("inf")
            warn_user(f"Another process is saving to {target}: waiting for it.")
        with hold.let_through():
            time.sleep(0.01)


def _make(folder):
    """True if the folder was made; what is there already must be ours."""
    try:
        folder.mkdir(mode=0o700)
        return True
    except FileExistsError:
        with suppress(FileNotFoundError):
            found = folder.lstat()
            if folder.is_symlink() or found.st_uid != getattr(os, "geteuid", lambda: 0)():
                raise PermissionError(1, f"{folder} belongs to somebody else") from None
        return False


def _is_locked(folder, handle, is_new):
    """True if the lock is ours now, and the file still the one in the folder."""
    try:
        _try_lock(handle)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:  # a file system that knows no locks: there, drafts are not shared
        if not is_new:
            os.close(handle)
            raise FileExistsError(
                error.errno, f"if nobody else is saving there, remove {folder} first"
            ) from None
    try:
        return os.path.samestat(os.fstat(handle), os.stat(folder / LOCK))
    except FileNotFoundError:
        return False


def _clear_abandoned(place):
    with suppress(OSError):
        for folder in [Path(e) for e in os.scandir(place) if e.name.startswith(PREFIX)]:
            with suppress(OSError):
                _clear_if_abandoned(folder)


def _clear_if_abandoned(folder):
    try:
        handle = os.open(folder / LOCK, os.O_RDWR)
    except FileNotFoundError:  # killed before it had a lock, or not there yet
        _remove_if_empty(folder)
        return
    try:
        _try_lock(handle)
        is_abandoned = os.path.samestat(os.fstat(handle), os.stat(folder / LOCK))
    except OSError:
        is_abandoned = False
    if is_abandoned:
        _remove(folder, handle)
    else:
        os.close(handle)


def _empty(folder):
    for entry in list(os.scandir(folder)):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name != LOCK:
            with suppress(OSError):
                os.unlink(entry)


def _remove(folder, handle):
    with suppress(OSError):
        _empty(folder)
    if sys.platform == "win32":  # where nothing that is open can be removed
        os.close(handle)
    with suppress(OSError):
        os.unlink(folder / LOCK)
    if sys.platform != "win32":  # where the lock, given back first, would be another's
        os.close(handle)
    _remove_if_empty(folder)


def _remove_if_empty(folder):
    with suppress(OSError):
        folder.rmdir()

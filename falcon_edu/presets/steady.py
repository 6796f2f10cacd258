"""Reading a preset beside somebody who saves it: all that is read is of one save."""

import functools
import os
from contextvars import ContextVar
from fnmatch import fnmatch
from pathlib import Path

from falcon_edu.presets.bundles import bundles
from falcon_edu.presets.hub_files import SMALL_FILES, WEIGHT_FILES

TRIES = 100
FILES = (*SMALL_FILES, *(pattern for kind in WEIGHT_FILES for pattern in kind))

# What `of_one_save` has seen of each folder so far; `None` outside of it.
_seen: ContextVar[dict | None] = ContextVar("seen", default=None)


class Changed(OSError):
    """A preset is not what it was when the first of several things was read from it."""


def read_steadily(folder, read):
    """Return what a function reads from a preset, all of it from one save.

    If the preset changes meanwhile, the function is called again. Files that are open stay what
    they were: of large ones, it is enough that the function opens them.

    Args:
        folder: path of the preset.
        read: a function without arguments.

    Raises:
        OSError: the preset is saved again and again.
    """
    for _ in range(TRIES):
        before = _stamp(folder)
        try:
            result = read()
        except (OSError, ValueError):
            if _stamp(folder) == before:
                raise
        else:
            if _stamp(folder) == before:
                _compare(folder, before)
                return result
    raise OSError(f"{folder} is saved again and again, so it can't be read: try later.")


def of_one_save(load):
    """Make a function that loads several things load them from one save of their preset.

    Example:

    >>> from falcon_edu import FalconBackbone, FalconTokenizer
    >>> @of_one_save
    ... def load(preset):
    ...     return FalconTokenizer.from_preset(preset), FalconBackbone.from_preset(preset)
    >>> len(load("falcon_tales_rw_en"))
    2
    """

    @functools.wraps(load)
    def load_until_steady(*args, **kwargs):
        for _ in range(TRIES):
            token = _seen.set({})
            try:
                return load(*args, **kwargs)
            except Changed as error:
                changed = error
            finally:
                _seen.reset(token)
        raise changed

    return load_until_steady


def _compare(folder, stamp):
    seen = _seen.get()
    if seen is not None and seen.setdefault(str(folder), stamp) != stamp:
        raise Changed(f"{folder} is saved again and again, so it can't be read: try later.")


def _stamp(folder):
    """Identify what no save leaves as it was: folder, bundles, and the files that are read."""
    folder = Path(folder)
    try:
        names = [name for name in os.listdir(folder) if any(fnmatch(name, p) for p in FILES)]
        names += [name for name in SMALL_FILES if "/" in name and os.path.lexists(folder / name)]
        found = [(name, os.lstat(folder / name)) for name in sorted(names)]
        files = [(name, file.st_ino, file.st_mtime_ns, file.st_size) for name, file in found]
        return folder.stat().st_ino, [bundle.name for bundle in bundles(folder)], files
    except OSError:
        return object()  # not there at the moment: equal to nothing

"""A save into a folder that must stay where it is: the new files come in one step, as a bundle.

As long as there is a bundle in a preset, what is in it counts, wherever the process that moves its
files to their places was killed. `current` says so to readers; the next writer ends the moving.
"""

import functools
import json
import os
import shutil
import stat
import uuid
from contextlib import suppress
from pathlib import Path

from falcon_edu.storage.drafts import PREFIX
from falcon_edu.storage.files import sync, sync_folder

BUNDLE = f"{PREFIX}bundle-"
NEW, GONE, GONE_NAMES = "new", "gone", "gone.json"
MOST_NAMES = 256 * 1024  # bytes of gone.json, which names the files of one preset


def current(folder, name):
    """Return the path of a preset's file as the last whole save has it, or `None`.

    Args:
        folder: path of the preset.
        name: path inside it.
    """
    for bundle in bundles(folder):
        if (bundle / NEW / name).is_file():
            return bundle / NEW / name
        if name in _gone(bundle):
            return None
    path = Path(folder) / name
    return path if path.is_file() else None


def bundles(folder):
    """Return the bundles in a folder, links left out."""
    with suppress(OSError):
        found = [Path(folder) / name for name in os.listdir(folder) if name.startswith(BUNDLE)]
        return [bundle for bundle in found if not bundle.is_symlink()]
    return []


def move_in(folder, draft, gone):
    """Put the files of a draft into a folder, as one.

    Args:
        folder: path of the preset, without links.
        draft: path of a folder on the same disk, whose folder `new` has the files.
        gone: relative paths of the files that go.

    Raises:
        PermissionError: a folder may not be written.
        ValueError: there is a folder where a file shall be, or a link that leads out of the preset.
    """
    for name in _files(draft / NEW):
        _check_place(folder, folder / name)
    bundle = draft / "bundle"
    (bundle / GONE).mkdir(parents=True)
    os.rename(draft / NEW, bundle / NEW)
    (bundle / GONE_NAMES).write_text(json.dumps([name.as_posix() for name in gone]))
    sync(bundle)
    os.rename(bundle, folder / f"{BUNDLE}{uuid.uuid4().hex[:8]}")
    sync_folder(folder)
    finish(folder)


def finish(folder):
    """Move the files of bundles to their places.

    Several may do it at once: what one has moved, the others do not find.
    """
    for bundle in bundles(folder):
        for number, name in enumerate(_gone(bundle)):
            _move(folder, folder / name, bundle / GONE / str(number))
        for name in _files(bundle / NEW):
            _move(folder, bundle / NEW / name, folder / name)
            sync_folder((folder / name).parent)
        sync_folder(folder)
        shutil.rmtree(bundle, ignore_errors=True)


def _move(folder, old, new):
    """Move a file, unless it is gone already, or a stranger's bundle leads out of the folder."""
    if all(path.parent.resolve().is_relative_to(folder) for path in (old, new)):
        with suppress(FileNotFoundError):
            if new.parent.name != GONE:
                new.parent.mkdir(parents=True, exist_ok=True)
            os.replace(old, new)


def _files(folder):
    """Return the relative paths of the files in a folder of ours, which holds no links."""
    return [path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir()]


def _gone(bundle):
    """Return the names of the files that go, of which a stranger's bundle may say what it likes."""
    # Neither a link nor a pipe: a preset may come from anywhere, and nothing outside of it is read.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(bundle / GONE_NAMES, flags)
    except OSError:
        return ()
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_NAMES:
            return ()
        return _names(os.read(descriptor, MOST_NAMES))
    finally:
        os.close(descriptor)


@functools.lru_cache(maxsize=32)  # each look for a file of a preset asks for them
def _names(content):
    try:
        names = json.loads(content)
    except (ValueError, RecursionError):
        return ()
    return tuple(filter(_is_name, names)) if isinstance(names, list) else ()


def _is_name(name):
    """True if a file can be called so."""
    return isinstance(name, str) and 0 < len(name) < 1000 and name.isprintable()


def _check_place(folder, target):
    """Refuse to begin what could not be ended."""
    if target.is_dir() and not target.is_symlink():
        raise ValueError(f"A file is to be saved to {target}, which is a folder.")
    above = target.parent
    while not above.exists():
        above = above.parent
    if not above.resolve().is_relative_to(folder):
        raise ValueError(f"{above} leads out of the preset, to {above.resolve()}")
    if not os.access(above, os.W_OK | os.X_OK):
        raise PermissionError(1, f"Nothing can be saved to {above}: it may not be written")

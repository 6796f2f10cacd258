"""Folders of files: read without leaving them, replaced as a whole or not at all."""

import ctypes
import json
import os
import shutil
import sys
import uuid
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from falcon_edu.strangers import listed, plain, refuse_pointer

# The index of Falcon-180B has some 60 KB, its tokenizer 3 MB. Read, `{},` takes 25 times its size.
MOST_JSON_BYTES = {"tokenizer.json": 10 * 1024**2}
MOST_BYTES_ELSE = 1024**2
MOST_NAME = 255  # characters, as in all file systems


def file_in(folder, name):
    """The path of a file of a preset, or `None` if there is none.

    Args:
        folder: path of the preset.
        name: path inside it.

    Raises:
        ValueError: the path, or a link on it, leads out of the preset; or the file is a pointer of
            Git LFS.
    """
    folder, path = Path(folder), Path(folder) / name
    if not path.is_file():
        return None
    resolved, homes = path.resolve(), [folder.resolve()]
    if folder.parent.name == "snapshots":  # the hub's cache: files are links to blobs
        homes.append(folder.resolve().parent.parent / "blobs")
    if not any(resolved.is_relative_to(home) for home in homes):
        raise ValueError(f"{folder}/{plain(name)} leads out of the preset, to {plain(resolved)}")
    refuse_pointer(path)
    return path


def read_json(folder, name):
    """The JSON object in a file of a preset.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds no JSON object.
    """
    path = file_in(folder, name)
    if path is None:
        raise FileNotFoundError(f"There is no {name} in {folder}, which a preset needs.")
    if (length := path.stat().st_size) > MOST_JSON_BYTES.get(Path(name).name, MOST_BYTES_ELSE):
        raise ValueError(f"{path} is too long to be read: {length:,} bytes.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON: {plain(error, 200)}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object. Received: {type(content).__name__}")
    return content


def shard_names(folder, index):
    """The names of the files that an index names, in order.

    Raises:
        ValueError: the index is broken.
    """
    weight_map = read_json(folder, index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ValueError(f"`weight_map` in {folder}/{index} must say where the weights are.")
    named = [name for x in weight_map.values() for name in (x if isinstance(x, list) else [x])]
    if not all(isinstance(name, str) and 0 < len(name) <= MOST_NAME for name in named):
        raise ValueError(f"`weight_map` in {folder}/{index} must name files.")
    return sorted(set(named))


def shard_paths(folder, index):
    """The files that an index names, in order.

    Raises:
        FileNotFoundError: one of them is missing.
        ValueError: the index is broken, or names a file outside the preset.
    """
    paths = {name: file_in(folder, name) for name in shard_names(folder, index)}
    if missing := [name for name, path in paths.items() if path is None]:
        raise FileNotFoundError(
            f"{folder} lacks shards that {index} names: {listed(missing, most=5)}"
        )
    return list(paths.values())


def write_json(folder, name, content):
    """Writes an object as readable JSON."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    (Path(folder) / name).write_text(text + "\n", encoding="utf-8")


@contextmanager
def replacing_folder(path, outdated=()):
    """A new folder to write to; it takes the place of `path` when the block ends.

    If the block fails, the new folder disappears and `path` is as it was. Files of the old folder
    that the new one does not have come along, unless they are outdated.

    Args:
        path: the folder to be made or replaced.
        outdated: patterns of paths inside the old folder that must not come along.

    Raises:
        ValueError: `path` is a file, or holds the current working directory.

    Example:

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "preset"
    >>> for name in ("a.txt", "b.txt"):
    ...     with replacing_folder(folder) as new:
    ...         _ = (new / name).write_text("done")
    >>> sorted(file.name for file in folder.iterdir())
    ['a.txt', 'b.txt']
    """
    path = Path(path).resolve()  # behind a link, the folder itself is replaced
    if path.exists() and not path.is_dir():
        raise ValueError(f"A preset needs a folder, but {path} is a file.")
    if Path.cwd().is_relative_to(path):
        raise ValueError(
            f"{path} is the current working directory, or holds it, so it can't be replaced. "
            "Save to a folder of its own."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.tmp"
    new.mkdir()
    try:
        yield new
        if path.exists():
            _bring_along(path, new, outdated)
            shutil.copymode(path, new)
        _swap(new, path)
    finally:
        shutil.rmtree(new, ignore_errors=True)  # after the swap, the old one


def _bring_along(old, new, outdated):
    for path in old.rglob("*"):
        name = path.relative_to(old)
        target = new / name
        if path.is_dir() and not path.is_symlink():
            target.mkdir(parents=True, exist_ok=True)
        elif not os.path.lexists(target) and not _matches(name, outdated):
            _link_or_copy(path, target)


def _matches(name, patterns):
    depth = len(name.parts)
    return any(fnmatch(name.as_posix(), p) and p.count("/") + 1 == depth for p in patterns)


def _link_or_copy(path, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, target, follow_symlinks=False)
    except (OSError, NotImplementedError):  # a file system or a system without hard links
        shutil.copy2(path, target, follow_symlinks=False)


def _swap(new, path):
    """Puts `new` in the place of `path`, and what was there in the place of `new`."""
    if not path.exists():
        os.rename(new, path)
    elif not _exchange(new, path):
        # Where a system can't exchange two folders in one step, for a moment there is neither.
        aside = new.with_suffix(".old")
        os.rename(path, aside)
        try:
            os.rename(new, path)
        except OSError:
            os.rename(aside, path)
            raise
        os.rename(aside, new)


def _exchange(a, b):
    """Exchanges two folders in one step; false where the system has no call for that."""
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

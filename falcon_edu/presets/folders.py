"""Folders of files: read without leaving them."""

import json
import os
from pathlib import Path

from falcon_edu.presets.bundles import current
from falcon_edu.storage.drafts import PREFIX
from falcon_edu.storage.strangers import listed, plain, refuse_pointer

# The index of Falcon-180B has some 60 KB, its tokenizer 3 MB. Read, `{},` takes 25 times its size.
MOST_JSON_BYTES = {"tokenizer.json": 10 * 1024**2}
MOST_BYTES_ELSE = 1024**2
MOST_NAME = 255  # characters, as in all file systems


def file_in(folder, name):
    """Return the path of a file of a preset, or `None` if there is none.

    Args:
        folder: path of the preset.
        name: path inside it.

    Raises:
        ValueError: the path, or a link on it, leads out of the preset; or the file is a pointer of
            Git LFS.
    """
    path = current(folder, name)
    if path is None:
        return None
    resolved = path.resolve()
    if not any(resolved.is_relative_to(home) for home in _homes(Path(folder).resolve())):
        raise ValueError(
            f"{folder}/{plain(name)} leads out of the preset, to {plain(resolved)}. A preset holds "
            "its own files: copy the files themselves, not links to them."
        )
    refuse_pointer(path)
    return path


def _homes(folder):
    """Return where the files of a preset may lie: in it or, in the hub's cache, in its blobs."""
    repository = folder.parent.parent
    if folder.parent.name != "snapshots":
        return [folder]
    if not repository.name.startswith("models--"):
        return [folder, repository / "blobs"]
    return [folder, repository / "blobs", repository.parent / "blobs"]  # the last for all models


def read_json(folder, name):
    """Return the JSON object in a file of a preset.

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
    """Return the names of the files that an index names, in order.

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
    """Return the files that an index names, in order.

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
    """Write an object as readable JSON."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    (Path(folder) / name).write_text(text + "\n", encoding="utf-8")


def files_below(folder):
    """Return the relative paths of all files in a folder; drafts do not count.

    Raises:
        OSError: a folder may not be read.
    """
    names = []
    for inner, folders, files in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(PREFIX)]
        links = [name for name in folders if (Path(inner) / name).is_symlink()]
        names += [(Path(inner) / name).relative_to(folder) for name in [*files, *links]]
    return names


def fail(error):
    """Raise an error: what `os.walk` does with one is to pass over it."""
    raise error

"""Folders of files: read without leaving them."""

import json
import os
from pathlib import Path

from falcon_edu.drafts import PREFIX
from falcon_edu.presets.bundles import current

# The index of Falcon-180B has some 60 KB, its tokenizer 3 MB. Read, `{},` takes 25 times its size.
MOST_JSON_BYTES = 10 * 1024**2


def file_in(folder, name):
    """The path of a file of a preset, or `None` if there is none.

    Args:
        folder: path of the preset.
        name: path inside it.

    Raises:
        ValueError: the path, or a link on it, leads out of the preset.
    """
    folder, path = Path(folder), current(folder, name)
    if path is None:
        return None
    resolved, homes = path.resolve(), [folder.resolve()]
    if folder.parent.name == "snapshots":  # the hub's cache: files are links to blobs
        homes.append(folder.resolve().parent.parent / "blobs")
    if not any(resolved.is_relative_to(home) for home in homes):
        raise ValueError(f"{path} leads out of the preset, to {resolved}")
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
    if (length := path.stat().st_size) > MOST_JSON_BYTES:
        raise ValueError(f"{path} is too long to be read: {length:,} bytes.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON: {error}") from None
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
    listed = [name for x in weight_map.values() for name in (x if isinstance(x, list) else [x])]
    if not all(isinstance(name, str) for name in listed):
        raise ValueError(f"`weight_map` in {folder}/{index} must name files.")
    return sorted(set(listed))


def shard_paths(folder, index):
    """The files that an index names, in order.

    Raises:
        FileNotFoundError: one of them is missing.
        ValueError: the index is broken, or names a file outside the preset.
    """
    paths = {name: file_in(folder, name) for name in shard_names(folder, index)}
    if missing := [name for name, path in paths.items() if path is None]:
        others = f" and {len(missing) - 5:,} more" if len(missing) > 5 else ""
        raise FileNotFoundError(
            f"{folder} lacks shards that {index} names: {', '.join(missing[:5])}{others}"
        )
    return list(paths.values())


def write_json(folder, name, content):
    """Writes an object as readable JSON."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    (Path(folder) / name).write_text(text + "\n", encoding="utf-8")


def files_below(folder):
    """The relative paths of all that is in a folder and no folder itself; drafts do not count.

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
    """Raises an error: what `os.walk` does with one is to pass over it."""
    raise error

"""From the name of a preset to the folder that holds it: built-in, local, or downloaded."""

import os
from pathlib import Path

from falcon_edu.presets import hugging_face, kaggle
from falcon_edu.presets.registry import BUILTIN_PRESETS, shipped_folder

FORMS = (
    f"A preset is one of the built-in ids {', '.join(BUILTIN_PRESETS)}; "
    "kaggle://owner/model/framework/variation[/version]; hf://owner/name[@revision]; "
    "or the path of a local folder."
)


class Found(str):
    """The exact name of a preset that was found, with the commit or version that its hub had.

    It stands wherever a preset is asked for, and is not looked for again: what is made of several
    loads is of one commit, even if the branch moves on in between.
    """

    folder: Path  # with its small files


def find(preset):
    """Return a preset, looked for and with its small files at hand, as a `Found`.

    Args:
        preset: as in `resolve`, which says what is raised.

    Example:

    >>> found = find("falcon_tales_rw_en")
    >>> found, (found.folder / "config.json").is_file()
    ('falcon_tales_rw_en', True)
    """
    if isinstance(preset, Found):
        return preset
    folder = resolve(preset, weights=False)
    found = Found(exact_source(preset, folder))
    found.folder = folder
    return found


def resolve(preset, weights=True, most=None):
    """Return the folder that holds a preset's files, downloaded or from the cache if need be.

    Args:
        preset: a built-in id, a `kaggle://` or `hf://` handle, or the path of a folder.
        weights: whether the weights are needed too, or only the small files.
        most: number of bytes that weights from a hub may have at most; `None` for what the hub
            announces.

    Returns:
        A `Path`.

    Raises:
        FileNotFoundError: there is no such preset, or a hub can't be reached.
        ImportError: a Kaggle handle without the package that reads it.
        ValueError: the handle has none of these forms.

    Example:

    >>> resolve("falcon_tale")
    Traceback (most recent call last):
    FileNotFoundError: There is no preset 'falcon_tale'. A preset is one of the built-in ids ...
    """
    if not isinstance(preset, (str, os.PathLike)) or not str(preset):
        raise ValueError(f"A preset must be a string or a path. Received: {preset!r}. {FORMS}")
    if preset in BUILTIN_PRESETS:
        return _builtin(preset, weights, most)
    scheme, separator, handle = str(preset).partition("://")
    if separator:
        if scheme not in _SCHEMES:
            raise ValueError(f"{preset!r} starts with an unknown scheme. {FORMS}")
        return _SCHEMES[scheme](handle, weights, most)
    folder = Path(os.path.expanduser(preset))
    if os.path.isdir(folder):  # of which a path that is too long is none
        return folder
    if os.path.exists(folder):
        raise ValueError(f"{preset!r} is a file; a preset is a folder. {FORMS}")
    hint = " A handle is no path: pass it as a string." if folder.parts[0] in _AS_PATHS else ""
    raise FileNotFoundError(f"There is no preset {preset!r}.{hint} {FORMS}")


def exact_source(preset, folder):
    """Tell where a model came from, with the commit or version that was found there.

    Args:
        preset: as `resolve` takes it.
        folder: what `resolve` returned.

    Returns:
        A string: `"hf://owner/name@commit"`, `"kaggle://.../version"`, the id or the path.
    """
    preset = str(preset)
    known = BUILTIN_PRESETS.get(preset, {})
    handles = [preset, known.get("hf_handle", ""), known.get("kaggle_handle", "")]
    # Only a hub's folder has its commit or version for a name, whatever a local one is called.
    if folder.parent.name == "snapshots":
        handle = next((handle for handle in handles if handle.startswith("hf://")), None)
        return f"{handle.partition('@')[0]}@{folder.name}" if handle else preset
    handle = next((handle for handle in handles if handle.startswith("kaggle://")), None)
    if not handle or not folder.name.isdigit():
        return preset
    return "/".join([*handle.split("/")[:6], folder.name])


def _builtin(name, weights, most):
    if folder := shipped_folder(name):
        return folder
    known, tried = BUILTIN_PRESETS[name], []
    for key in ("hf_handle", "kaggle_handle"):
        try:
            if key in known:
                return resolve(known[key], weights, most)
        except (FileNotFoundError, ImportError) as error:
            tried.append(str(error))  # which names the handle
    if tried:
        raise FileNotFoundError(f"{name!r} is in no place that was tried. " + " ".join(tried))
    raise FileNotFoundError(f"{name!r} should ship with falcon_edu, but this copy lacks it.")


_AS_PATHS = ("hf:", "kaggle:")  # what `Path` makes of a handle
_SCHEMES = {"hf": hugging_face.fetch, "kaggle": kaggle.fetch}

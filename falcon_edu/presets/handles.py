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


def resolve(preset, weights=True):
    """The folder that holds a preset's files, downloaded or from the cache if need be.

    Args:
        preset: a built-in id, a `kaggle://` or `hf://` handle, or the path of a folder.
        weights: whether the weights are needed too, or only the small files.

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
        return _builtin(preset, weights)
    scheme, separator, handle = str(preset).partition("://")
    if separator:
        if scheme not in _SCHEMES:
            raise ValueError(f"{preset!r} starts with an unknown scheme. {FORMS}")
        return _SCHEMES[scheme](handle, weights)
    folder = Path(preset)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise ValueError(f"{preset!r} is a file; a preset is a folder. {FORMS}")
    raise FileNotFoundError(f"There is no preset {preset!r}. {FORMS}")


def exact_source(preset, folder):
    """Where a model came from, with the commit or version that was found there.

    Args:
        preset: as `resolve` takes it.
        folder: what `resolve` returned.

    Returns:
        A string: `"hf://owner/name@commit"`, `"kaggle://.../version"`, the id or the path.
    """
    preset = str(preset)
    known = BUILTIN_PRESETS.get(preset, {})
    if folder.parent.name == "snapshots":  # the cache of the Hugging Face Hub
        return f"{known.get('hf_handle', preset).partition('@')[0]}@{folder.name}"
    handle = known.get("kaggle_handle", preset)
    if handle.startswith("kaggle://") and folder.name.isdigit():
        return "/".join([*handle.split("/")[:6], folder.name])
    return preset


def _builtin(name, weights):
    if folder := shipped_folder(name):
        return folder
    known, tried = BUILTIN_PRESETS[name], []
    for key in ("hf_handle", "kaggle_handle"):
        try:
            if key in known:
                return resolve(known[key], weights)
        except (FileNotFoundError, ImportError) as error:
            tried.append(str(error))  # which names the handle
    if tried:
        raise FileNotFoundError(f"{name!r} is in no place that was tried. " + " ".join(tried))
    raise FileNotFoundError(f"{name!r} should ship with falcon_edu, but this copy lacks it.")


_SCHEMES = {"hf": hugging_face.fetch, "kaggle": kaggle.fetch}

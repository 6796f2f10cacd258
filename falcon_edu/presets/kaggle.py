"""Presets from Kaggle: only the needed files, from the network or from kagglehub's cache.

They are fetched one by one and by names that are known here. Asked for a whole model, kagglehub
would write to wherever the list of files says, and unpack an archive.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from falcon_edu.presets.folders import shard_names
from falcon_edu.presets.hub_files import OFFLINE, SMALL_FILES, WEIGHT_FILES, reason, status

NAME = r"[A-Za-z0-9_][\w.-]*"  # it becomes a folder of the cache
HANDLE = re.compile(rf"{NAME}/{NAME}/{NAME}/{NAME}(/[1-9]\d*)?", re.ASCII)


def fetch(handle, weights=True):
    """The folder of a model's files, in kagglehub's own cache; its name is the version.

    Args:
        handle: `owner/model/framework/variation[/version]`; without a version, the newest.
        weights: whether the weights are needed too, or only the small files.

    Raises:
        FileNotFoundError: there is no such model, it may not be read, or it can be neither reached
            nor found in the cache.
        ImportError: kagglehub is not installed.
        ValueError: the handle is none.
    """
    if not HANDLE.fullmatch(handle):
        raise ValueError(
            f"kaggle://{handle} must read kaggle://owner/model/framework/variation[/version]."
        )
    try:
        import kagglehub
    except ImportError:
        raise ImportError(
            f"kaggle://{handle} needs kagglehub: `pip install 'falcon_edu[kaggle]'`"
        ) from None
    try:
        return _fetch(kagglehub, handle, weights)
    except Exception as error:  # kagglehub has many, and no common one
        raise FileNotFoundError(f"kaggle://{handle} {_refusal(error)} {OFFLINE}") from None


def _fetch(kagglehub, handle, weights):
    model = _cache(kagglehub) / "/".join(handle.split("/")[:4])
    cached = [path.parent for path in model.glob("*/config.json") if path.parent.name.isdigit()]
    folder = _folder(kagglehub.model_download, handle, cached)
    if _is_complete(folder):
        return folder
    if folder.name.isdigit():  # every file of one version, even if another appears meanwhile
        handle = "/".join([*handle.split("/")[:4], folder.name])
    files = _Files(kagglehub.model_download, handle, folder)
    for name in SMALL_FILES:
        # What is not in the cache may not be there at all: only a first fetch can tell.
        if not files.has(name) and files.failures and folder not in cached:
            raise files.failures[0]
    if weights and not any(map(files.has_weights, WEIGHT_FILES)) and files.failures:
        raise files.failures[0]
    return folder


def _folder(download, handle, cached):
    """Where the files of a handle are; without a network, the newest version in the cache."""
    versions = {int(folder.name): folder for folder in cached}
    if handle.count("/") == 4 and _is_complete(folder := versions.get(int(handle.split("/")[4]))):
        return folder
    try:
        return Path(download(handle, "config.json")).parent
    except Exception as error:
        is_refusal = 400 <= (status(error) or 0) < 500 and status(error) != 429
        if is_refusal or not versions or handle.count("/") == 4:
            raise
        return versions[max(versions)]


@dataclass
class _Files:
    """The files of one version: fetched by name, each if it is there."""

    download: Callable
    handle: str
    folder: Path
    failures: list[Exception] = field(default_factory=list)

    def has(self, name):
        """Fetches a file, and says whether there is one."""
        if self.failures and not (self.folder / name).is_file():
            return False  # one try without a network is enough
        try:
            self.download(self.handle, name)
        except Exception as error:
            # Kaggle answers 403 to a name that it does not have, and the notebooks' own cache
            # raises a `ValueError`. Anything else may be a file that is there.
            if status(error) not in (403, 404) and type(error) is not ValueError:
                self.failures.append(error)
            return False
        return True

    def has_weights(self, kind):
        """Fetches one kind of weights, if it is there: a file, or an index and its shards."""
        first, *shards = kind
        if not self.has(first):
            return False
        if not shards:
            return True
        try:
            names = shard_names(self.folder, first)
        except ValueError:
            return True  # who reads it says what is wrong with it
        # Of the names in an index only those that shards have are asked for.
        return all(
            self.has(name) for name in names if fnmatch(name, shards[0]) and Path(name).name == name
        )


def _cache(kagglehub):
    return Path(kagglehub.config.get_cache_folder()) / "models"


def _is_complete(folder):
    """Whether kagglehub has fetched the whole model before, and marked it so."""
    return folder is not None and folder.with_name(f"{folder.name}.complete").is_file()


def _refusal(error):
    if status(error) in (401, 403):
        return (
            "does not exist or may not be read: check its spelling, accept its conditions on its "
            "page, and call `kagglehub.login()` or set KAGGLE_API_TOKEN."
        )
    if status(error) == 404:
        return "does not exist: check owner, model, framework, variation and version."
    return f"could not be fetched ({reason(error)}) and is not whole in the cache."

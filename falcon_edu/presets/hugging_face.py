"""Presets from the Hugging Face Hub: only the needed files, from the network or from the cache."""

from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from falcon_edu.presets.hub_files import OFFLINE, SMALL_FILES, WEIGHT_FILES, reason

HUB = "https://huggingface.co"


def fetch(handle, weights=True):
    """The folder of a repository's files, in the hub's own cache; its name is the commit.

    Args:
        handle: `owner/name[@revision]`.
        weights: whether the weights are needed too, or only the small files.

    Raises:
        FileNotFoundError: there is no such repository or revision, it may not be read, or it can be
            neither reached nor found in the cache.
        ValueError: the handle is none.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HFValidationError

    name, _, revision = handle.partition("@")
    # A token is for its own hub alone, and never goes over an open line.
    hub: dict[str, Any] = {
        "endpoint": constants.ENDPOINT,
        "token": None if constants.ENDPOINT == HUB else False,
    }
    try:
        info = HfApi(**hub).model_info(name, revision=revision or None)
        patterns = _needed([file.rfilename for file in info.siblings or ()], weights)
        return _download(name, revision, patterns, hub)
    except HFValidationError as error:
        raise ValueError(f"hf://{handle} is no handle of the Hugging Face Hub: {error}") from None
    except Exception as error:  # of the hub, of its client, of the network: no common class
        refused = _refusal(error)
        if refused:
            raise FileNotFoundError(f"hf://{handle} {refused} {OFFLINE}") from None
        cached = _cached(name, revision, weights, hub)
        if cached is None:
            raise FileNotFoundError(
                f"hf://{handle} could not be fetched ({reason(error)}) and is not in the cache"
                f"{' with its weights' if weights else ''}. {OFFLINE}"
            ) from None
        return cached


def _needed(files, weights):
    """The patterns of what to fetch: one kind of weights, of those that there are."""
    kinds = [kind for kind in WEIGHT_FILES if any(fnmatch(file, kind[0]) for file in files)]
    return [*SMALL_FILES, *(kinds[0] if weights and kinds else ())]


def _download(name, revision, patterns, hub, **options):
    from huggingface_hub import snapshot_download

    return Path(
        snapshot_download(
            name, revision=revision or None, allow_patterns=patterns, **hub, **options
        )
    )


def _cached(name, revision, weights, hub):
    """The folder of an earlier download that has what is needed, or `None`."""
    try:
        # The cache is asked for no more than what was fetched, else it calls itself incomplete.
        folder = _download(name, revision, ["config.json"], hub, local_files_only=True)
        files = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
        patterns = _needed(files, weights)
        if weights and len(patterns) == len(SMALL_FILES):
            return None
        there = [p for p in patterns if any(fnmatch(file, p) for file in files)]
        return _download(name, revision, there, hub, local_files_only=True)
    except Exception:  # as above
        return None


def _refusal(error):
    """What an answer of the hub means that the cache can't make up for, or `None`."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return (
            "is gated: accept its conditions on its page, then log in with `hf auth login` "
            "or set HF_TOKEN."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return "does not exist in this revision; its branches and tags are on its page."
    if isinstance(error, errors.RepositoryNotFoundError):
        return "does not exist, or is private and needs a token: check its spelling."
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return "lacks a file that its list names."
    return None

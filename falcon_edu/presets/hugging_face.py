"""Presets from the Hugging Face Hub: only the needed files, from the network or from the cache.

The hub's own client would follow what a hub says to other addresses with the token, name files by
it, and wait for as long as it asks. So its settings, session and cache are used, and each answer is
looked at before it becomes a file.
"""

import re
import uuid
from functools import partial
from pathlib import Path
from urllib.parse import quote

from falcon_edu.presets import listing
from falcon_edu.presets.downloads import SHA256, check_hash, download, git_hash, real_folder
from falcon_edu.presets.hub_cache import HubCache, fetched_or_cached, in_words
from falcon_edu.presets.hub_files import (
    MOST_SHARDS,
    SMALL_FILES,
    WEIGHT_FILES,
    shards_in,
)
from falcon_edu.presets.progress import bar_of_bytes
from falcon_edu.presets.web import (
    BAD_TOKEN,
    MOST_SMALL_BYTES,
    HubError,
    Web,
    check_token,
    shown,
)
from falcon_edu.storage.files import check_space, size
from falcon_edu.storage.strangers import plain

HUB = "https://huggingface.co"
# As git has it; and no part is empty or begins with a dot, since it becomes a path.
REVISION = re.compile(r"(?!.*(^|/)(\.|/|$))[^\\\x00-\x20\x7f:*?\"<>|~^]{1,200}")
ETAG = re.compile(r"[\w.+=:-]{1,200}", re.ASCII)


def fetch(handle, weights=True, most=None):
    """Return the folder of a repository's files, in the hub's own cache; its name is the commit.

    Where the hub does not give them, what lies whole in the cache will do, with a warning if it
    refused.

    Args:
        handle: `owner/name[@revision]`.
        weights: whether the weights are needed too, or only the small files.
        most: number of bytes that the weights may have at most; `None` for what the hub announces.

    Raises:
        FileNotFoundError: there is no such repository or revision, it may not be read, or it can be
            neither reached nor found in the cache.
        OSError: the disk has no room for it.
        ValueError: the handle is none.
    """
    cache, revision = _parsed(handle)
    with in_words(f"hf://{handle}", "HF_HUB_CACHE"):
        cached = cache.whole(revision, weights)
        absent = f" and is not in the cache{' with its weights' if weights else ''}."
        return fetched_or_cached(
            partial(_fetch, cache, revision, weights, most, is_patient=cached is None),
            f"hf://{handle}",
            cached,
            "commit",
            _sentence,
            absent,
        )


def moved(handle):
    """Return what a branch is now, and was before if that lies whole in the cache.

    Args:
        handle: as `fetch` takes it.

    Returns:
        List of handles, each with its commit; empty where no branch is named.
    """
    try:
        cache, revision = _parsed(handle)
    except ValueError:
        return []
    commits = [cache.commit_of(revision), cache.commit_before(revision)]
    return [f"{cache.name}@{commit}" for commit in dict.fromkeys(filter(None, commits))]


def _parsed(handle):
    """Return the cache of a repository, and the revision that is asked for."""
    from huggingface_hub import constants
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    name, _, revision = handle.partition("@")
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise ValueError(
            f"hf://{plain(handle)} is no handle of the Hugging Face Hub: {plain(error, 300)}"
        ) from None
    revision = revision or "main"
    if not REVISION.fullmatch(revision) or not revision.isprintable():
        raise ValueError(
            f"hf://{plain(handle, 300)} has no revision of the Hugging Face Hub after its @: the "
            "name of a branch or a tag, or a commit."
        )
    return HubCache(Path(constants.HF_HUB_CACHE), name), revision


def _fetch(cache, revision, weights, most, is_patient):
    from huggingface_hub import constants, get_session, get_token

    if constants.HF_HUB_OFFLINE:
        raise HubError("HF_HUB_OFFLINE is set")
    # A token is for its own hub alone, and never goes over an open line.
    is_wanted = constants.ENDPOINT == HUB and not constants.HF_HUB_DISABLE_IMPLICIT_TOKEN
    token = get_token() if is_wanted else None
    if token:
        check_token(token, "HF_TOKEN or `hf auth login`")
    web = Web(
        get_session(),
        constants.ENDPOINT,
        {"Authorization": f"Bearer {token}"} if token else {},
        constants.HF_HUB_DOWNLOAD_TIMEOUT,
        is_patient,
    )
    commit, files = listing.ask(web, constants.ENDPOINT, cache.name, revision)
    repository = _Repository(web, constants.ENDPOINT, cache, commit, files)
    repository.fetch([name for name in SMALL_FILES if name in files], 2 * MOST_SMALL_BYTES)
    if weights:
        repository.fetch_weights(most)
    cache.remember(revision, commit)
    return cache.snapshot(commit)


class _Repository:
    """One commit of a repository: what its hub lists, and how that becomes files.

    Args:
        web: the way to the hub.
        endpoint: its address.
        cache: a `HubCache`.
        commit: hash of the commit.
        files: `{name: listing.Listed}`.
    """

    def __init__(self, web, endpoint, cache, commit, files):
        self.web, self.endpoint, self.cache = web, endpoint, cache
        self.commit, self.files = commit, files
        self.folder = cache.snapshot(commit)

    def fetch_weights(self, most):
        """Fetch one kind of weights, of those that there are."""
        kind = next((kind for kind in WEIGHT_FILES if kind[0] in self.files), None)
        if kind is None:
            return  # who reads it says what it looked for
        self.fetch(kind[:1], most if len(kind) == 1 else MOST_SMALL_BYTES)
        names = [name for name in shards_in(self.folder, *kind) if name in self.files]
        if len(names) > MOST_SHARDS:
            raise HubError(f"its index names {len(names):,} shards", is_lie=True)
        self.fetch(names, most)

    def fetch(self, names, most):
        """Fetch those files that are not there yet; together they have `most` bytes at most."""
        missing = [name for name in names if not (self.folder / name).is_file()]
        total = sum(self.files[name].size or 0 for name in missing)
        if most is not None and total > most:
            raise HubError(
                f"it announces {size(total)}, where {size(most)} are the most that can be needed",
                is_lie=True,
            )
        if missing:
            check_space(self.cache.folder, total)
        with bar_of_bytes(total, "Fetching") as bar:
            for name in missing:
                self._fetch_file(name, most, bar.update)
                most = None if most is None else most - (self.folder / name).stat().st_size

    def _fetch_file(self, name, most, progress):
        listed, blobs = self.files[name], self.cache.folder / "blobs"
        real_folder(blobs, self.cache.folder)
        real_folder((self.folder / name).parent, self.cache.folder)
        if listed.digest is None:
            part = blobs / f"{uuid.uuid4().hex}.part"
            try:
                digest = self._download(name, listed, part, most, progress)
                return self.cache.put(digest, self.commit, name)
            finally:
                part.unlink(missing_ok=True)
        with self.cache.lock(listed.digest):
            if not self.cache.has(listed.digest, listed.size):
                part = self.cache.blob(listed.digest).with_name(f"{listed.digest}.part")
                self._download(name, listed, part, most, progress)
            self.cache.put(listed.digest, self.commit, name)

    def _download(self, name, listed, part, most, progress):
        """Fetch a file and keep it as a blob, and return the hash by which it is kept."""
        url = f"{self.endpoint}/{self.cache.name}/resolve/{self.commit}/{quote(name)}"
        options = {"progress": progress, "is_checked": lambda _: listed.digest is not None}
        answer = download(self.web, url, part, most, listed.size, **options)
        digest = self._checked(answer, part, listed)
        self.cache.keep(part, digest)
        part.unlink(missing_ok=True)
        return digest

    def _checked(self, answer, path, listed):
        """Return the hash by which a file is kept, once all that was said of it is seen to hold."""
        said = answer.header("x-repo-commit")
        if said is not None and said != self.commit:
            self._refuse(path, f"it gives a file of another commit than asked for: {shown(said)}")
        etag = answer.header("x-linked-etag") or answer.header("etag") or ""
        etag = etag.removeprefix("W/").strip('"')
        if etag and not ETAG.fullmatch(etag):
            self._refuse(path, f"it calls a file {shown(etag)}, which is no ETag")
        # Mirrors have 40 digits of their own for an ETag: only a sha256 can be nothing else.
        announced = [etag] if SHA256.fullmatch(etag) else []
        if listed.digest not in (None, *announced):
            announced.append(listed.digest)
        for digest in announced:
            check_hash(path, digest)
        return announced[-1] if announced else git_hash(path)

    def _refuse(self, path, reason):
        path.unlink()
        raise HubError(reason, is_lie=True)


def _sentence(error, end):
    """Return what an answer of the hub means for a preset."""
    return _meaning(error, end) + _withheld(error)


def _withheld(error):
    """Return a word on a token that a hub does not get, where it might have helped."""
    from huggingface_hub import constants, get_token

    is_ours = constants.ENDPOINT == HUB or error.status not in (401, 403, 404)
    if is_ours or not get_token():
        return ""
    return f" Your token goes to {HUB} alone, and not to {plain(constants.ENDPOINT)}."


def _meaning(error, end):
    if error.code == BAD_TOKEN:
        return f"could not be fetched ({error}){end}"
    if error.code == "GatedRepo":
        return (
            "is gated: accept its conditions on its page, then log in with `hf auth login` "
            "or set HF_TOKEN."
        )
    if error.code == "RevisionNotFound":
        return "does not exist in this revision; its branches and tags are on its page."
    if error.code == "RepoNotFound":
        return "does not exist, or is private and needs a token: check its spelling."
    if error.code == "EntryNotFound":
        return "lacks a file that its list names."
    return f"could not be fetched ({error}){end}"

"""The cache of the Hugging Face Hub on this machine, in the layout of its own client.

A repository has `blobs`, named by their hashes; `snapshots`, a folder of links to them for each
commit; and `refs`, the commit of each branch. Nothing that a hub says becomes a name here before it
was seen to be a hash.
"""

import os
import re
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from falcon_edu.presets.downloads import has_hash, real_folder
from falcon_edu.presets.hub_files import OFFLINE, has_weights
from falcon_edu.presets.web import MOST_SMALL_BYTES, HubError, is_refusal
from falcon_edu.warn import warn_user

COMMIT = re.compile(r"[0-9a-f]{40}")
HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class HubCache:
    """The cached files of one repository.

    Attributes:
        root: folder of all repositories.
        name: `"owner/name"`.
    """

    root: Path
    name: str

    @property
    def folder(self):
        return self.root / f"models--{self.name.replace('/', '--')}"

    def snapshot(self, commit):
        """Return the folder of a commit."""
        assert COMMIT.fullmatch(commit)
        return self.folder / "snapshots" / commit

    def blob(self, digest):
        """Return the path of a file by its hash."""
        assert HASH.fullmatch(digest)
        return self.folder / "blobs" / digest

    def lock(self, digest):
        """Return the lock of a blob, which the hub's own client takes too while it downloads it."""
        return locked(self.root / ".locks" / self.folder.name / f"{digest}.lock")

    def has(self, digest, length=None):
        """True if a blob lies here whole: by its hash, or a large one by its length, if known."""
        blob = self.blob(digest)
        if not blob.is_file():
            return False
        found = blob.stat().st_size
        if length is None or found <= MOST_SMALL_BYTES:
            return has_hash(blob, digest)
        return found == length

    def keep(self, path, digest):
        """Make a file with this hash a blob; what lies here whole stays as it is."""
        if not self.has(digest, path.stat().st_size):
            os.replace(path, self.blob(digest))

    def put(self, digest, commit, name):
        """Make a blob part of a commit, under its name.

        Args:
            digest: its hash.
            commit, name: what it becomes.
        """
        blob, place = self.blob(digest), self.snapshot(commit) / name
        real_folder(place.parent, self.folder)
        new = _beside(place)
        try:
            new.symlink_to(os.path.relpath(blob, place.parent))
        except (OSError, NotImplementedError):  # a system or a disk without links
            os.replace(blob, new)
        os.replace(new, place)

    def commit_of(self, revision):
        """Return the commit that a branch had when it was fetched, or `None`."""
        if COMMIT.fullmatch(revision):
            return revision
        return _noted(self.folder / "refs" / revision)

    def commit_before(self, revision):
        """Return the commit that a branch had before that one, if it lies here whole, or `None`."""
        commit = None if COMMIT.fullmatch(revision) else _noted(self._before(revision))
        return commit if commit and self._has(commit, weights=True) else None

    def remember(self, revision, commit):
        """Note the commit that a branch has now; a cache that can't be written goes without.

        The one before stays noted, too, if it is whole, until the new one is.
        """
        before = self.commit_of(revision)
        if commit in (revision, before):
            return
        with suppress(OSError, ValueError):
            if before and self._has(before, weights=True):
                self._note(self._before(revision), before)
            self._note(self.folder / "refs" / revision, commit)

    def _note(self, path, commit):
        real_folder(path.parent, self.folder)
        new = _beside(path)
        new.write_text(commit, encoding="ascii")
        os.replace(new, path)

    def whole(self, revision, weights):
        """Return the folder of a revision if all that is needed lies in it, else `None`.

        That is the newest with weights, even if they aren't needed: a next load may want them.
        """
        commits = [self.commit_of(revision), _noted(self._before(revision))]
        for needed in [True] if weights else [True, False]:
            for commit in filter(None, commits):
                if self._has(commit, needed):
                    return self.snapshot(commit)
        return None

    def _has(self, commit, weights):
        folder = self.snapshot(commit)
        if not (folder / "config.json").is_file():
            return False
        return not weights or has_weights(folder, lambda name: (folder / name).is_file())

    def _before(self, revision):
        return self.folder / "refs_before" / revision


@contextmanager
def in_words(handle, setting):
    """Have errors of a cache that is damaged, or may not be written, say so and what would do.

    Args:
        handle: what is fetched into it.
        setting: the environment variable that names its folder.

    Raises:
        OSError: instead of one that has a number and a path alone.
    """
    try:
        yield
    except OSError as error:
        path = error.filename2 or error.filename
        if path is None:  # has words already
            raise
        raise OSError(
            f"{handle} can't be kept in the cache: {path}: {error.strerror}. Remove what is in the "
            f"way there, or name another folder with {setting}."
        ) from error


def fetched_or_cached(fetch, handle, cached, kind, meaning, absent):
    """Return the folder that `fetch` gives, or else what lies whole in the cache.

    Args:
        fetch: a function without arguments, of the network.
        handle: what it fetches, with its scheme.
        cached: the folder in the cache, or `None`; its name is the commit or version.
        kind: what its name is.
        meaning: a function of a `HubError` and an ending that says what the error means.
        absent: the ending where nothing is cached.

    Raises:
        FileNotFoundError: the hub doesn't give it, and it is not in the cache.
        OSError: the cache can't be written, and it is not there.

    Warns:
        UserWarning: the hub refused, or the cache can't be written, and `cached` is taken.
    """
    try:
        return fetch()
    except HubError as error:
        if cached is None:
            raise FileNotFoundError(f"{handle} {meaning(error, absent)} {OFFLINE}") from None
        if not is_refusal(error):  # one that can't be reached has nothing newer to say
            return cached
        reason = f"it {meaning(error, '.')}"
    except OSError as error:
        if cached is None:
            raise
        reason = f"no more can be written there: {error}"
    warn_user(
        f"{handle} is taken from the cache, as it was fetched before ({kind} {cached.name}), since "
        f"now {reason}"
    )
    return cached


def locked(path):
    """Return a lock that one thread of one process has at a time, by the path of its file."""
    from huggingface_hub.utils import WeakFileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    return WeakFileLock(path)


def _noted(path):
    with suppress(OSError, ValueError):
        commit = path.read_text(encoding="ascii").strip()
        return commit if COMMIT.fullmatch(commit) else None
    return None


def _beside(path):
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")

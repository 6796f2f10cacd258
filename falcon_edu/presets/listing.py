"""What a hub says that a repository has: a commit, and its files with their sizes and hashes."""

import re
from dataclasses import dataclass
from urllib.parse import quote

from falcon_edu.presets.hub_cache import COMMIT
from falcon_edu.presets.web import HubError, shown

KINDS = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "true or false",
    type(None): "null",
}


@dataclass(frozen=True)
class Listed:
    """Hold what a list says of a file; `None` for what it leaves out.

    Attributes:
        size: its length in bytes.
        digest: hash of its content in hexadecimal digits: a sha256, or of a small file git's.
    """

    size: int | None = None
    digest: str | None = None


def ask(web, endpoint, name, revision):
    """Return the commit of a revision and its files: `{name: Listed}`.

    Args:
        web: a `Web`.
        endpoint: address of the hub.
        name: `"owner/name"`.
        revision: branch, tag or commit.

    Raises:
        HubError: the hub does not say, or says what can't be.
    """
    address = f"{endpoint}/api/models/{name}"
    suffix = "" if revision == "main" else f"/revision/{quote(revision, safe='')}"
    info = _need(web.json(f"{address}{suffix}?blobs=true"), dict, "a repository")
    commit, siblings = info.get("sha"), _need(info.get("siblings", []), list, "a list of files")
    if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
        raise HubError(f"it says that the commit is {shown(commit)}, which is none", is_lie=True)
    if COMMIT.fullmatch(revision) and commit != revision:
        raise HubError("it has another commit than asked for", is_lie=True)
    files = dict(_listed(entry, "rfilename", "blobId", "sha256") for entry in siblings)
    if all(listed.size is None for listed in files.values()):  # a hub of an older kind
        files.update(_tree(web, f"{address}/tree/{commit}?recursive=true"))
    return commit, files


def _tree(web, url):
    """Return what the other list says, where a hub has it."""
    try:
        entries = _need(web.json(url), list, "a list of files")
    except HubError as error:
        if error.status is None:
            raise
        return {}
    entries = [_need(entry, dict, "a file") for entry in entries]
    return dict(_listed(x, "path", "oid", "oid") for x in entries if x.get("type") == "file")


def _listed(entry, name, oid, sha256):
    entry = _need(entry, dict, "a file")
    large = _need(entry.get("lfs") or {}, dict, "a large file")
    length, digest = large.get("size", entry.get("size")), large.get(sha256)
    if digest is not None:
        digest = _need(digest, str, "a checksum").removeprefix("sha256:")
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise HubError(f"it lists the sha256 {shown(digest)}, which is none", is_lie=True)
    if length is not None and (type(length) is not int or not 0 <= length < 10**15):
        raise HubError(f"it lists a file of {shown(length)} bytes", is_lie=True)
    of_git = entry.get(oid)
    if digest is None and isinstance(of_git, str) and COMMIT.fullmatch(of_git):
        digest = of_git
    return _need(entry.get(name), str, "a file's name"), Listed(length, digest)


def _need(value, kind, what):
    if not isinstance(value, kind):
        found = KINDS.get(type(value), "a number")
        raise HubError(f"where its answer should have {what}, it has {found}", is_lie=True)
    return value

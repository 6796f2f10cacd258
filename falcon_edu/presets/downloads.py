"""One file from a hub: as long as announced, with the announced checksum, or not at all."""

import hashlib
import os
import re
import stat
from contextlib import suppress

from falcon_edu.presets.web import MOST_SMALL_BYTES, SECONDS, SLOWEST, TRIES, HubError
from falcon_edu.storage.files import check_space, size

SHA256 = re.compile(r"[0-9a-f]{64}")
PARTIAL, NO_SUCH_RANGE = 206, 416
MOST_SECONDS = 7 * 24 * 3600
MOST_UNANNOUNCED = MOST_SMALL_BYTES  # of a file whose length nobody says
ENOUGH = 2**20  # bytes after which a connection may break off again


def download(
    web, url, path, most, expected=None, headers=(), content=None, progress=None, is_checked=None
):
    """Fetch a file, going on where an earlier try broke off.

    Args:
        web: a `Web`.
        url: where it lies.
        path: where to write it, by nobody else meanwhile. If it fails on the way, what came stays
            there for the next try, as far as a checksum will tell that the rest fits to it.
        most: number of bytes that it may have at most; `None` for what is announced.
        expected: number of bytes that it has, if that is known.
        headers, content: of the request, as `Web.ask` takes them.
        progress: called with the number of bytes that came, or were lost again.
        is_checked: function of an `Answer`: whether there is a checksum that the caller will see to
            hold; without the function there is one.

    Returns:
        The `Answer` that the last bytes came with.

    Raises:
        HubError: it did not come, or not as announced.
        OSError: it can't be written.
        ValueError: what lies there is no file of ours.
    """
    bound = next((x for x in (expected, most) if x is not None), MOST_UNANNOUNCED)
    seconds = min(SECONDS + bound / SLOWEST, MOST_SECONDS)
    progress = progress or (lambda count: None)
    _check_own(path)
    progress(_length(path))
    tries, is_kept = 0, True
    while True:
        start = _length(path)
        wanted = {**dict(headers), "Range": f"bytes={start}-"} if start else headers
        try:
            with web.ask(url, wanted, content, seconds) as answer:
                is_kept = is_checked is None or is_checked(answer)
                if start and answer.status == PARTIAL and not is_kept:
                    raise HubError("it goes on with a file of unknown checksum", NO_SUCH_RANGE)
                _receive(answer, path, start, most, expected, progress)
                return answer
        except HubError as error:
            if error.is_lie or error.status == NO_SUCH_RANGE or not is_kept:
                path.unlink(missing_ok=True)
            grown = _length(path) - start
            tries = 0 if grown > ENOUGH else tries + 1
            is_worth_it = error.is_broken or (error.status == NO_SUCH_RANGE and start)
            if not is_worth_it or tries == TRIES or not web.waits(error):
                if error.is_broken and path.exists():
                    error.args = (f"{error}; what came is kept for the next try",)
                raise
        if not path.exists():
            progress(-start)


def _length(path):
    return path.stat().st_size if path.exists() else 0


def _check_own(path):
    """Refuse to write into what somebody put there: it could be anything's other name."""
    with suppress(FileNotFoundError):
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise ValueError(f"{path} should be a file of its own, but is not; remove it.")


def _without_links(path, flags):
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def real_folder(path, root):
    """Make a folder below another, and refuse to where a link leads out of it on the way.

    Args:
        path, root: the one to make, and the one that stays as it is.

    Raises:
        ValueError: there is a link.
    """
    for part in [path, *path.parents]:
        if part == root:
            break
        if part.is_symlink():
            raise ValueError(f"{part} should be a folder, but is a link; remove it.")
    path.mkdir(parents=True, exist_ok=True)


def _receive(answer, path, start, most, expected, progress):
    """Write what comes behind what is there, never more than was announced."""
    start = _begin(answer, start)
    total = _total(answer, start)
    if total is not None and expected is not None and total != expected:
        raise HubError(f"it sends {total:,} bytes of announced {expected:,}", is_lie=True)
    total = expected if total is None else total
    if most is not None and total is not None and total > most:
        raise HubError(
            f"it announces {size(total)}, where {size(most)} are the most that can be needed",
            is_lie=True,
        )
    bound = next((x for x in (total, most) if x is not None), MOST_UNANNOUNCED)
    check_space(path, 0 if total is None else total - start)
    with open(path, "r+b" if start else "wb", opener=_without_links) as file:
        file.truncate(start)
        file.seek(start)
        for piece in answer.pieces:
            start += len(piece)
            if start > bound:
                raise HubError(f"it goes on beyond {bound:,} bytes", is_lie=True)
            file.write(piece)
            progress(len(piece))
    if total is not None and start != total:
        raise HubError(f"it ends after {start:,} bytes of {total:,}", is_broken=True)


def _begin(answer, start):
    """Return the place in the file at which an answer begins."""
    if answer.status != PARTIAL:
        return 0
    place = answer.hops[-1].get("content-range")
    if place is not None and not place.startswith(f"bytes {start}-"):
        raise HubError("it sends another part than asked for", is_lie=True)
    return start


def _total(answer, start):
    length = answer.number("content-length")
    return None if length is None else start + length


def checksum(path, kind="sha256"):
    """Return the checksum of a file, as a hash object.

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "empty"
    >>> path.touch()
    >>> checksum(path).hexdigest()[:8]
    'e3b0c442'
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind)


def git_hash(path):
    """Return the hash that git gives a file with this content, in hexadecimal digits.

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "empty"
    >>> path.touch()
    >>> git_hash(path)[:8]
    'e69de29b'
    """
    found = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with open(path, "rb") as file:
        while piece := file.read(2**20):
            found.update(piece)
    return found.hexdigest()


def has_hash(path, digest):
    """True if a file has a hash: a sha256, or git's with its 40 digits."""
    return digest == (checksum(path).hexdigest() if SHA256.fullmatch(digest) else git_hash(path))


def check_hash(path, digest):
    """Refuse a file that has not the hash that its hub announced, and remove it.

    Args:
        path: of the file.
        digest: its sha256, or git's hash.

    Raises:
        HubError: it has another one.
    """
    if not has_hash(path, digest):
        os.unlink(path)
        kind = "sha256" if SHA256.fullmatch(digest) else "hash of git"
        raise HubError(
            f"what came is not what was announced: its {kind} is not {digest[:12]}...; try again",
            is_lie=True,
        )

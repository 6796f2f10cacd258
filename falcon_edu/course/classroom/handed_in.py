"""What students handed in: files of strangers, in folders that nobody tidied up."""

import os
import re
import shutil
import stat
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

MAX_SIZE = 100_000_000  # bytes; nbgrader takes no larger file either
NOT_STUDENTS = ("__MACOSX", ".ipynb_checkpoints")


class Found(NamedTuple):
    """A file below the folder of submissions that may be one.

    Args:
        student: the folder that it is in; empty where it is in none.
        path: of the file.
        why_not: why it is not graded; empty if it is.
    """

    student: str
    path: Path
    why_not: str = ""


def look_through(folder: Path, assignments: Iterable[str]) -> list[Found]:
    """Return all that looks like a submission, whatever is in the way of others.

    Of several files for one assignment below a student's folder, the one nearest to the folder
    counts, and among those the newest. No link is followed: it may lead to another's work.

    Args:
        folder: with one for each student in it.
        assignments: their names.
    """
    names = {f"{name}.ipynb" for name in assignments}
    found = sorted(_below(folder, folder, names), key=lambda each: str(each.path))
    best: dict[tuple[str, str], Found] = {}
    for each in found:
        if not each.why_not:
            place = each.student, each.path.name
            best[place] = min(best.get(place, each), each, key=_rank)
    result = []
    for each in found:
        first = best.get((each.student, each.path.name))
        if not each.why_not and first is not each:
            assert first is not None
            each = each._replace(why_not=f"{first.path.relative_to(folder)} counts instead.")
        result.append(each)
    return result


def _rank(found: Found) -> tuple:
    return len(found.path.parts), -found.path.lstat().st_mtime, str(found.path)


def _below(folder: Path, top: Path, names: set[str]) -> Iterator[Found]:
    student = "" if folder == top else folder.relative_to(top).parts[0]
    example = f"A submission is a file such as STUDENT/{min(names)}"
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield Found(student, folder, f"It can't be read: {error.strerror}.")
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.name in NOT_STUDENTS or entry.name.startswith("._"):
            continue
        looks_right = entry.name.lower().endswith(".ipynb")
        if entry.is_symlink():
            if looks_right or folder == top or not path.is_file():
                yield Found(student, path, "It is a link. Hand in the file itself.")
        elif entry.is_dir(follow_symlinks=False):
            if looks_right:
                yield Found(student, path, f"It is a folder. {example}")
            yield from _below(path, top, names)
        elif looks_right:
            yield Found(student, path, _why_not(entry, student, names, example))


def _why_not(entry: os.DirEntry, student: str, names: set[str], example: str) -> str:
    status = entry.stat(follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        return "It is no file but a device or a pipe."
    if not student or entry.name not in names:
        return example
    if status.st_size > MAX_SIZE:
        return (
            f"It has {status.st_size / 1e6:,.0f} MB, and {MAX_SIZE / 1e6:.0f} may be read. "
            "Clear its outputs, and hand it in again."
        )
    return ""


def copy(path: Path, target: Path) -> None:
    """Copy a file, and nothing that has become something else meanwhile.

    Raises:
        OSError: it is no file, or can't be read.
    """
    safely = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(os.open(path, os.O_RDONLY | safely), "rb") as source:
        if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
            raise OSError(f"This is no file: {path}")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        with target.open("wb") as file:
            shutil.copyfileobj(source, file)


# === Names ===


def student_id(name: str) -> str:
    """Return a student's name without what is a pattern or a path to nbgrader.

    >>> student_id("Ada Lovelace"), student_id("[a-z]*")
    ('Ada Lovelace', '%5Ba-z%5D%2A')
    """
    safe = re.sub(r"[^\w @.-]|^[ .]| $", _quoted, name)
    return safe.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _quoted(found: re.Match) -> str:
    # `quote` leaves dots as they are.
    return urllib.parse.quote(found[0], safe="", errors="surrogateescape").replace(".", "%2E")


def student_name(identifier: str) -> str:
    """Return the name that `student_id` was given.

    >>> student_name("%5Ba-z%5D%2A")
    '[a-z]*'
    """
    return urllib.parse.unquote(identifier, errors="surrogateescape")


def printable(text: object) -> str:
    """Return a text in one line that commands no terminal.

    >>> printable("a\\x1b[2J\\nb")
    'a\\\\x1b[2J\\\\nb'
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


def cell_of_table(text: object) -> str:
    """Return a text that a spreadsheet takes for a text, and not for a formula.

    >>> cell_of_table("=1+1"), cell_of_table("ada")
    ("'=1+1", 'ada')
    """
    text = printable(text)
    return f"'{text}" if text.lstrip()[:1] in tuple("=+-@|%") else text

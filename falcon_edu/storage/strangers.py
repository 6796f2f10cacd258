"""Files of strangers: how a message shows what they say, and which of them are only pointers.

A name in a file may be megabytes long, or hold codes that a terminal obeys, or half a character
that can't be printed at all. So nothing of a file goes into a message as it is.
"""

import os
import reprlib
import shlex
import subprocess
from pathlib import Path

POINTER = b"version https://git-lfs.github.com/spec/"
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlevel = 3


def shown(value, most=80):
    """Return a value as Python writes it, escaped and cut.

    Args:
        value: anything that JSON or a file of weights can hold.
        most: characters of the text.

    Example:

    >>> shown("a\\x1b[2J"), shown(["a" * 500] * 9, most=20), shown(10**9999)
    ("'a\\\\x1b[2J'", "['aaaaaaaaaaaaaaa...", 'a number of some 10,000 digits')
    """
    if isinstance(value, int) and abs(value) >= 10**most:
        return f"a number of some {int(value.bit_length() * 0.30103) + 1:,} digits"
    try:
        return _cut(_SHORT.repr(value), most)
    except (RecursionError, ValueError):  # too deep, or with too many digits inside
        return f"a {type(value).__name__}"


def plain(text, most=80):
    """Return a name or a message without quotation marks: escaped if need be, and cut.

    Args:
        text: a string.
        most: characters of the result.

    Example:

    >>> plain("transformer.h.0"), plain("a\\x1b[2J"), plain("a" * 99, most=9)
    ('transformer.h.0', 'a\\\\x1b[2J', 'aaaaaa...')
    """
    text = str(text)[: 4 * most]
    return _cut(text if text.isprintable() else repr(text)[1:-1], most)


def listed(names, most=20):
    """Return names in one line, and how many more there are.

    Example:

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    names = list(names)
    others = f" and {len(names) - most:,} more" if len(names) > most else ""
    # A path in an HDF5 file and two shapes behind it need more room than a name.
    return ", ".join(plain(name, 160) for name in names[:most]) + others


def refuse_pointer(path):
    """Refuse a file that holds no content, but says where Git LFS keeps it.

    Args:
        path: path of a file that exists.

    Raises:
        ValueError: it is such a pointer; the message says how to get the file.
    """
    with open(path, "rb") as file:
        try:
            start = file.read(len(POINTER))
        except OSError as error:  # of reading, which does not say of what
            raise type(error)(error.errno, error.strerror, str(path)) from None
    if start != POINTER:
        return
    raise ValueError(
        f"{path} is a pointer of Git LFS, not the file itself: its repository was cloned without "
        f"git-lfs. Install git-lfs, then run: git -C {quoted(Path(path).parent)} lfs pull"
    )


def quoted(path):
    """Return a path as it must stand in a command that a message prints, for this system's shell.

    Example:

    >>> quoted("my course")  # on Windows, "my course"
    "'my course'"
    """
    is_windows = os.name == "nt"
    return subprocess.list2cmdline([str(path)]) if is_windows else shlex.quote(str(path))


def _cut(text, most):
    return text if len(text) <= most else f"{text[: most - 3]}..."

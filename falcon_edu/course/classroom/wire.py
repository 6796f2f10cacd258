"""What crosses between a student's process and the judge's: plain values, in bounded frames.

A frame is a JSON text and, behind it, the bytes of the arrays in it. Nothing in a frame names code
to run, so there is nothing like a pickle that a hostile sender could use, and what arrives is
of a plain type, whatever the sender's objects say of themselves.
"""

import json
import math
import re
import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

HEAD = struct.Struct(">II")  # lengths of the text and of the arrays, in bytes
MAX_TEXT, MAX_BLOB = 2**25, 2**28
MAX_DEPTH, MAX_AXES = 40, 32
PLAIN_KINDS = "biufcSU"  # of NumPy dtypes: numbers and text, no objects
DTYPE = re.compile(rf"[<>|=]?[{PLAIN_KINDS}][0-9]{{1,9}}")


class WireError(Exception):
    """A frame that is not what was agreed on, or a value that does not fit into one."""


# === Values ===


def encode(value: Any, blobs: list[bytes], other: Callable, depth: int = 0) -> Any:
    """Return a value as JSON, and append the bytes of its arrays to `blobs`.

    Args:
        value: None, booleans, numbers, text, bytes, arrays, and lists, tuples, sets, dictionaries
            of those.
        blobs: the list that grows.
        other: a function of whatever else there is, which returns a tagged list.

    Raises:
        WireError: it is nested too deeply.

    Example:

    >>> blobs = []
    >>> encode({"a": (1, np.ones(2))}, blobs, other=str)
    ['dict', [['a', ['tuple', [1, ['array', '<f8', [2]]]]]]]
    >>> len(blobs[0])
    16
    """
    if depth > MAX_DEPTH:
        raise WireError(f"A value may be nested {MAX_DEPTH} times, and this one is deeper.")

    def inner(v: Any) -> Any:
        return encode(v, blobs, other, depth + 1)

    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, np.generic) and value.dtype.kind in PLAIN_KINDS:
        return ["scalar", _put(np.asarray(value), blobs)]
    if isinstance(value, int):
        return int(value) if value.bit_length() < 10_000 else ["huge"]
    if isinstance(value, float):
        return float(value)
    if isinstance(value, complex):
        return ["scalar", _put(np.asarray(value), blobs)]
    if isinstance(value, str):
        return str.__str__(value)
    if value is ...:
        return ["ellipsis"]
    if isinstance(value, bytes):
        blobs.append(bytes(value))
        return ["bytes", len(value)]
    if isinstance(value, dict):
        return ["dict", [[inner(key), inner(each)] for key, each in value.items()]]
    for kind, name in ((list, "list"), (tuple, "tuple"), ((set, frozenset), "set")):
        if isinstance(value, kind):
            return [name, [inner(each) for each in value]]
    if type(value) is np.ndarray and value.dtype.kind in PLAIN_KINDS:
        return ["array", *_put(value, blobs)]
    return other(value, blobs)


def _put(array: np.ndarray, blobs: list[bytes]) -> list:
    blobs.append(array.tobytes())
    return [array.dtype.str, list(array.shape)]


def decode(spec: Any, blobs: Iterator[bytes], other: Callable, depth: int = 0) -> Any:
    """Return the value that `encode` was given.

    Args:
        spec: what `encode` returned.
        blobs: the bytes of the arrays, in order.
        other: a function of the tagged lists that are none of those `encode` makes.

    Raises:
        WireError: it was made by something else.

    Example:

    >>> blobs = []
    >>> spec = encode([1, (np.float64(2.5), "a")], blobs, other=str)
    >>> decode(spec, iter(blobs), other=str)
    [1, (np.float64(2.5), 'a')]
    """
    if spec is None or isinstance(spec, (bool, int, float, str)):
        return spec
    if depth > MAX_DEPTH:
        raise WireError("A value arrived that is nested too deeply.")

    def inner(v: Any) -> Any:
        return decode(v, blobs, other, depth + 1)

    match spec:
        case ["ellipsis"]:
            return ...
        case ["huge"]:
            raise WireError("A whole number has thousands of digits.")
        case ["bytes", int(size)]:
            return _next(blobs, size)
        case ["scalar", [str(dtype), []]]:
            return _array(dtype, [], blobs)[()]
        case ["array", str(dtype), list(shape)]:
            return _array(dtype, shape, blobs)
        case ["dict", list(pairs)] if all(isinstance(p, list) and len(p) == 2 for p in pairs):
            items = [(inner(k), inner(v)) for k, v in pairs]
            return dict(_hashable(items))
        case ["list", list(items)]:
            return [inner(each) for each in items]
        case ["tuple", list(items)]:
            return tuple(inner(each) for each in items)
        case ["set", list(items)]:
            return {k for k, _ in _hashable([(inner(i), None) for i in items])}
        case [str(), *_]:
            return other(spec, blobs)
    raise WireError("A value arrived that has none of the known forms.")


def _hashable(items: list[tuple]) -> list[tuple]:
    for key, _ in items:
        try:
            hash(key)
        except TypeError:
            raise WireError("A key arrived that can't be one.") from None
    return items


def _array(dtype: str, shape: list, blobs: Iterator[bytes]) -> np.ndarray:
    if not DTYPE.fullmatch(dtype):  # NumPy reads one of many fields in quadratic time
        raise WireError("An array arrived that holds no plain numbers or text.")
    try:
        kind = np.dtype(dtype)
    except (TypeError, ValueError) as error:
        raise WireError("An array arrived whose dtype is unknown.") from error
    axes = [n for n in shape if type(n) is int and 0 <= n <= MAX_BLOB]
    is_large = math.prod(n for n in axes if n) > MAX_BLOB  # one without elements, too
    if not kind.itemsize or is_large or len(axes) != len(shape) or len(shape) > MAX_AXES:
        raise WireError("An array arrived that holds no plain numbers or text.")
    content = _next(blobs, math.prod(axes) * kind.itemsize)
    if not content:
        return np.zeros(axes, kind)
    return np.frombuffer(content, kind).reshape(axes).copy()


def _next(blobs: Iterator[bytes], size: int) -> bytes:
    content = next(blobs, None)
    if content is None or len(content) != size:
        raise WireError("An array arrived with other bytes than it announced.")
    return content


# === Frames ===


def pack(message: dict, blobs: list[bytes]) -> bytes:
    """Return a frame.

    Raises:
        WireError: it would be larger than a frame may be.
    """
    sizes = [len(blob) for blob in blobs]
    text = json.dumps([message, sizes]).encode()
    if len(text) > MAX_TEXT or sum(sizes) > MAX_BLOB:
        raise WireError(f"More than {MAX_TEXT:,} bytes of text or {MAX_BLOB:,} of arrays.")
    return b"".join([HEAD.pack(len(text), sum(sizes)), text, *blobs])


def lengths(head: bytes) -> int:
    """Return how many bytes follow the head of a frame.

    Raises:
        WireError: they are more than a frame may have.
    """
    text, blob = HEAD.unpack(head)
    if text > MAX_TEXT or blob > MAX_BLOB:
        raise WireError("A frame was announced that is larger than frames may be.")
    return text + blob


def unpack(head: bytes, body: bytes) -> tuple[dict, list[bytes]]:
    """Return the message and the blobs of a frame.

    Raises:
        WireError: it is no frame.
    """
    text = HEAD.unpack(head)[0]
    try:
        message, sizes = json.loads(body[:text])
        if not isinstance(message, dict) or not all(type(n) is int and n >= 0 for n in sizes):
            raise ValueError
    except (ValueError, TypeError, RecursionError):
        raise WireError("A frame arrived that is none.") from None
    if sum(sizes) != len(body) - text:
        raise WireError("A frame arrived with other arrays than it announced.")
    blobs, start = [], text
    for size in sizes:
        blobs.append(body[start : start + size])
        start += size
    return message, blobs

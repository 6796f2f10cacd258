"""Weights in PyTorch's own files, `pytorch_model.bin`, read without PyTorch and without trust.

Such a file is a zip archive: a pickle says which tensors there are, and the numbers lie beside it,
stored as they are. A pickle is a program. Here its instructions are looked through first, and the
few functions that it may call are ours: they note a tensor's shape and place, and nothing else.
What it makes is never asked for its hash or its whole text, since a few bytes can nest so deep, or
refer to themselves so often, that either would not end.
"""

import collections
import io
import math
import os
import pickle
import pickletools
import struct
import zipfile
import zlib
from contextlib import contextmanager
from typing import Any

from falcon_edu.presets.folders import file_in, shard_paths
from falcon_edu.presets.weights import Tensor
from falcon_edu.storage.strangers import listed, plain, shown

import ml_dtypes
import numpy as np

SINGLE, INDEX = "pytorch_model.bin", "pytorch_model.bin.index.json"
DTYPES = {
    "DoubleStorage": np.dtype("float64"),
    "FloatStorage": np.dtype("float32"),
    "HalfStorage": np.dtype("float16"),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype("int64"),
    "IntStorage": np.dtype("int32"),
    "ShortStorage": np.dtype("int16"),
    "CharStorage": np.dtype("int8"),
    "ByteStorage": np.dtype("uint8"),
    "BoolStorage": np.dtype("bool"),
}
MOST_PICKLE_BYTES = 2**19  # Falcon-180B has 200 KB of it, in all of its files together
MOST_DIRECTORY_BYTES = 2 * 1024**2  # of an archive, where each part takes some 70
MOST_AXES = 8
MOST_WHOLE = 2**63 - 1  # of a size or place; the product of a few that are larger takes forever
# Python has its unpickler twice. In this one, single instructions can be made to do less.
IN_PYTHON: Any = pickle._Unpickler
# What a list of tensors is written with. Not among them: instructions that make objects of classes
# by other ways than `find_class`, or that load code from a registry.
OPCODES = frozenset(
    "PROTO FRAME STOP MARK POP POP_MARK MEMOIZE PUT BINPUT LONG_BINPUT GET BINGET LONG_BINGET "
    "NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT "
    "UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 STRING BINSTRING SHORT_BINSTRING "
    "EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST LIST APPEND APPENDS EMPTY_DICT DICT "
    "SETITEM SETITEMS GLOBAL STACK_GLOBAL REDUCE BUILD BINPERSID".split()
)


@contextmanager
def open_pytorch(folder):
    """Return the tensors of a checkpoint, while the block lasts; the files are mapped, not read.

    Args:
        folder: path of the checkpoint.

    Returns:
        Dictionary of name to `Tensor`.

    Raises:
        FileNotFoundError: there is no such file, or a shard is missing.
        ValueError: a file is broken, asks for anything but tensors, or holds one twice.
    """
    single = file_in(folder, SINGLE)
    tensors: dict[str, Tensor] = {}
    for path in [single] if single else shard_paths(folder, INDEX):
        found = read_pytorch(path)
        if twice := sorted(tensors.keys() & found.keys()):
            raise ValueError(f"{path} holds tensors that another shard has too: {listed(twice)}")
        tensors.update(found)
    yield tensors


def read_pytorch(path):
    """Return the tensors in one file: `{name: Tensor}`.

    Args:
        path: path of the file.

    Raises:
        ValueError: it is broken, or asks for anything but tensors.
    """
    try:
        with _Archive(path, "rb") as file, zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
        entries = {info.filename: info for info in parts}
        if len(entries) != len(parts):
            raise ValueError("two of its parts have one name")
        root = _root(entries)
        storages = _Storages(path, root, entries)
        content = _unpickle(_pickle_bytes(storages, entries[f"{root}data.pkl"]), storages)
    except ValueError as error:
        raise ValueError(f"{path} is refused: {error}") from None
    except Exception as error:  # a broken archive can raise anything
        raise ValueError(
            f"{path} is no whole file of PyTorch 1.6 or newer: {plain(error, 200)}"
        ) from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a dictionary of tensors. It holds: {type(content)}")
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise ValueError(
                f"{path} must hold tensors by name. It holds {shown(name)}: {shown(tensor)}"
            )
    return dict(content)


class _Archive(io.FileIO):
    """A file of which a reader can't ask for a list of parts that takes gigabytes."""

    def read(self, size=-1):
        if size < 0:
            size = max(os.fstat(self.fileno()).st_size - self.tell(), 0)
        if size > MOST_DIRECTORY_BYTES:
            raise ValueError("it has far more parts than a model needs")
        return super().read(size)


def _root(entries):
    """Return the folder inside the archive, with a slash: `archive/` or the file's first name."""
    roots = [name[: -len("data.pkl")] for name in entries if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise ValueError("it has no data.pkl, or more than one")
    return roots[0]


def _pickle_bytes(storages, info):
    # Stored, not compressed: a few bytes can't become gigabytes.
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > MOST_PICKLE_BYTES:
        raise ValueError(f"its list of tensors is compressed or too long ({info.file_size:,} B)")
    return storages.part(info).read().tobytes()


# === The pickle ===


def _unpickle(data, storages):
    for opcode, argument, _ in _instructions(data):
        if opcode.name not in OPCODES:
            raise ValueError(f"its pickle has the instruction {opcode.name}")
        # A huge index would make Python's own unpickler allocate as many places.
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument) > len(data):
            raise ValueError(f"its pickle stores something at place {shown(argument)}")
    unpickler = _Unpickler(io.BytesIO(data))
    unpickler.storages = storages
    try:
        return unpickler.load()
    except ValueError:
        raise
    except Exception as error:  # a broken pickle can raise anything
        raise ValueError(f"its pickle is broken: {plain(repr(error), 200)}") from None


def _instructions(data):
    try:
        yield from pickletools.genops(data)
    except Exception as error:  # as above
        raise ValueError(f"its pickle is broken: {plain(error, 200)}") from None


class _Unpickler(IN_PYTHON):
    """Rebuilds a list of tensors; whatever else a file asks for is refused by name."""

    storages: "_Storages"
    dispatch = dict(IN_PYTHON.dispatch)

    def load_build(self):
        """Set attributes of what was made last, which must be a dictionary, and not a function."""
        self.stack.pop()  # what PyTorch attaches, versions of modules, is dropped
        if not isinstance(self.stack[-1], collections.OrderedDict):
            raise ValueError("its pickle sets attributes of something that is no dictionary")

    def load_setitems(self):
        """Set items whose keys are names: the hash of a tuple of tuples may take forever."""
        items = self.pop_mark()
        self.set_items(items)

    def load_setitem(self):
        """Set one item, as above."""
        value, name = self.stack.pop(), self.stack.pop()
        self.set_items([name, value])

    def load_dict(self):
        """Make a dictionary in one go, as above."""
        items = self.pop_mark()
        self.append({})
        self.set_items(items)

    def set_items(self, items):
        """Name, value, name, value: into the dictionary on top of the stack."""
        names = items[::2]
        if not all(isinstance(name, str) for name in names):
            raise ValueError("its pickle has a dictionary whose keys are no names")
        if not isinstance(self.stack[-1], dict):
            raise ValueError("its pickle puts an item into something that is no dictionary")
        self.stack[-1].update(zip(names, items[1::2], strict=True))

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.DICT[0]] = load_dict

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return _ordered_dict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _rebuild_parameter
        if module == "torch" and name in DTYPES:
            return name
        asked = plain(f"{module}.{name}")
        raise ValueError(f"its pickle asks for {asked}, which is no part of a tensor")

    def persistent_load(self, pid):
        kind, dtype, key, _, count = pid
        if not all(isinstance(x, str) for x in (kind, dtype, key)) or dtype not in DTYPES:
            raise ValueError(f"its pickle asks for an unknown thing: {shown(pid)}")
        if kind != "storage":
            raise ValueError(f"its pickle asks for a {shown(kind)}, which is no storage")
        return self.storages.open(key, DTYPES[dtype], _whole(count))


def _ordered_dict():
    return collections.OrderedDict()


def _rebuild_tensor(storage, offset, shape, strides, *rest):
    """Return a `Tensor` over a part of a storage, checked not to look beyond it."""
    if not isinstance(storage, _Storage):
        raise ValueError("a tensor without a storage")
    if max(len(shape), len(strides)) > MOST_AXES:
        raise ValueError(f"a tensor of {len(shape)} axes")
    shape, strides = tuple(map(_whole, shape)), tuple(map(_whole, strides))
    last = _whole(offset) + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    size = len(storage.numbers)
    if math.prod(shape) and last >= size:
        raise ValueError(f"a tensor of shape {shape} reaches beyond its {size} numbers")
    if math.prod(shape) > size:
        raise ValueError(f"a tensor of shape {shape} uses its {size} numbers repeatedly")

    def read():
        numbers = storage.read()[offset:]
        steps = tuple(step * numbers.itemsize for step in strides)
        return np.lib.stride_tricks.as_strided(numbers, shape, steps, writeable=False)

    return Tensor(shape, storage.numbers.dtype.name, read)


def _rebuild_parameter(tensor, *rest):
    return tensor


def _whole(number):
    is_whole = isinstance(number, int) and not isinstance(number, bool)
    if not is_whole or not 0 <= number <= MOST_WHOLE:
        raise ValueError(f"a size or place of {shown(number)}")
    return number


# === The numbers ===


class _Storage:
    """Numbers in an archive; they are compared with their checksum when they are read first.

    Args:
        name: of the archive and the part, for a message.
        numbers: a read-only array that is mapped.
        checksum: CRC-32 of its bytes. PyTorch can be told to write none, which is 0 then.
    """

    def __init__(self, name, numbers, checksum):
        self.name, self.numbers, self.checksum = name, numbers, checksum

    def read(self):
        if self.checksum and zlib.crc32(self.numbers.view("uint8")) != self.checksum:
            raise ValueError(f"{self.name} is damaged, its checksum says: get the file anew")
        self.checksum = 0
        return self.numbers


class _Storages:
    """The parts of an archive that hold numbers, mapped into memory, all at once.

    A map of its own for each would keep a file open for each, and some systems allow 256.
    """

    def __init__(self, path, root, entries):
        self.path, self.root, self.entries = path, root, entries
        self.content, self.opened = np.memmap(path, "uint8", "r"), {}
        byteorder = entries.get(f"{root}byteorder")
        if byteorder is not None and byteorder.file_size != len("little"):
            raise ValueError("its numbers have another byte order")

    def open(self, key, dtype, count):
        """`count` numbers of a type, as a `_Storage`."""
        name = f"{self.root}data/{key}"
        info = self.entries.get(name)
        if info is None:
            raise ValueError(f"it lacks the numbers data/{plain(key)}")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != count * dtype.itemsize:
            raise ValueError(
                f"data/{plain(key)} should hold {count} numbers of {dtype.itemsize} bytes. "
                f"It has {info.file_size:,} bytes"
            )
        if (name, dtype) not in self.opened:
            self.opened[name, dtype] = self.part(info, dtype)
        return self.opened[name, dtype]

    def part(self, info, dtype="uint8"):
        """Return a part of the archive: behind a header of its own, which repeats its name."""
        header = self.content[info.header_offset : info.header_offset + 30].tobytes()
        name = plain(info.filename)
        if len(header) < 30 or header[:4] != b"PK\x03\x04":
            raise ValueError(f"{name} has no header")
        start = info.header_offset + 30 + sum(struct.unpack("<HH", header[26:]))
        if start + info.file_size > len(self.content):
            raise ValueError(f"{name} reaches beyond the end of the file")
        numbers = self.content[start : start + info.file_size].view(dtype)
        return _Storage(f"{self.path}: {name}", numbers, info.CRC)

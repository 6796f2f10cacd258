"""PyTorch files that a stranger could have made: each is refused in words, and nothing is run."""

import pickle
import struct
import zipfile

from falcon_edu.presets.pytorch_files import read_pytorch
from tests.pytorch_writer import pickled, write_archive
from tests.spoiling import (
    BIN,
    HUGE,
    check_refusal,
    link_to,
    overwrite,
    text,
    truncate,
)

import numpy as np
import pytest


def calling(module, name, *arguments):
    """A pickle that calls a function."""
    code = b"\x80\x02" + f"c{module}\n{name}\n".encode()
    code += b"(" + b"".join(b"X" + struct.pack("<I", len(a)) + a.encode() for a in arguments)
    return code + b"tR."


def by_stack_global(module, name, argument):
    def text(value):
        return b"\x8c" + bytes([len(value)]) + value.encode()

    return b"\x80\x04" + text(module) + text(name) + b"\x93" + text(argument) + b"\x85R."


def by_inst(module, name, argument):
    return f"(S'{argument}'\ni{module}\n{name}\n.".encode()


def by_obj(module, name, argument):
    return f"(c{module}\n{name}\nS'{argument}'\no.".encode()


def by_newobj(module, name, argument):
    return b"\x80\x02" + f"c{module}\n{name}\n(S'{argument}'\nt\x81.".encode("latin-1")


def tuples(levels):
    """Instructions that make a pair of one thing, and a pair of that, and so on."""
    code = b")q\x000"
    for place in range(levels):
        code += b"h%ch%c\x86q%c0" % (place, place, place + 1)
    return code + b"h%c" % levels


DEEP = b")" + b"\x85" * 200_000  # a tuple of a tuple of a tuple ...
FUNCTION = b"ctorch._utils\n_rebuild_tensor_v2\n"
STORAGE = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x04tQ"
TENSOR = FUNCTION + b"(" + STORAGE + b"K\x00(K\x02K\x02t(K\x02K\x01ttR"


# Names and whole numbers, and still more than a reader can take.
ENDLESS = {
    "attributes for a function": (
        b"}" + text("a") + FUNCTION + b"N}" + text("__defaults__") + b")s\x86bs.",
        "sets attributes",
    ),
    "attributes for a tensor": (
        b"}" + text("a") + TENSOR + b"}" + text("dtype") + text("int64") + b"sbs.",
        "sets attributes",
    ),
    "attributes for numbers": (b"}" + text("a") + STORAGE + b"}bs.", "sets attributes"),
    "a deep key": (b"}" + DEEP + b"K\x01s.", "no names"),
    "a wide key": (b"}" + tuples(60) + b"K\x01s.", "no names"),
    "wide keys at once": (b"}(" + tuples(60) + b"K\x01u.", "no names"),
    "a dictionary of wide keys": (b"(" + tuples(60) + b"K\x01d.", "no names"),
    "a deep value": (b"}" + text("a") + DEEP + b"s.", "tensors by name"),
    "a wide value": (b"}" + text("a") + tuples(60) + b"s.", "tensors by name"),
    "a wide storage": (
        b"(" + text("storage") + text("x") + text("0") + tuples(60) + b"K\x01tQ.",
        "unknown thing",
    ),
    "a hundred thousand axes": (
        b"}" + text("a") + FUNCTION + b"(" + STORAGE + b"K\x00(" + b"K\xff" * 100_000 + b"t)tRs.",
        "100000 axes",
    ),
    "millions of dictionaries": (b"}" * 3_000_000 + b".", "too long"),
}
CANARY = "touch canary"
PICKLES = {
    "os.system": calling("os", "system", CANARY),
    "posix.system": calling("posix", "system", CANARY),
    "subprocess": calling("subprocess", "getoutput", CANARY),
    "eval": calling("builtins", "eval", f"__import__('os').system('{CANARY}')"),
    "exec": calling("builtins", "exec", f"import os; os.system('{CANARY}')"),
    "getattr": calling("builtins", "getattr", "os", "system"),
    "open": calling("builtins", "open", "canary", "w"),
    "import": calling("importlib", "import_module", "antigravity"),
    "runpy": calling("runpy", "run_path", "canary.py"),
    "torch.load": calling("torch", "load", "other.bin"),
    "torch hub": calling("torch.hub", "load", "somebody/thing"),
    "a storage of another module": calling("os", "FloatStorage", CANARY),
    "a name with dots": by_stack_global("collections", "OrderedDict.fromkeys", "ab"),
    "keras Lambda": calling("keras.layers", "Lambda", "x"),
    "STACK_GLOBAL": by_stack_global("os", "system", CANARY),
}
OTHER_WAYS = {
    "INST": by_inst("os", "system", CANARY),
    "OBJ": by_obj("os", "system", CANARY),
    "NEWOBJ": by_newobj("os", "system", CANARY),
    "NEWOBJ_EX": b"\x80\x04cos\nsystem\n)}\x92.",
    "EXT1": b"\x80\x02\x82\x01.",
    "EXT2": b"\x80\x02\x83\x01\x01.",
    "EXT4": b"\x80\x02\x84\x01\x01\x01\x01.",
    "BYTEARRAY8": b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".",
    "a list with a huge memo": b"\x80\x02]r\xff\xff\xff\x7f.",
    "a string of a terabyte": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b"a.",
    "a number of gigabytes": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"1.",
    "nothing": b"",
    "no end": b"\x80\x02]",
    "a stack that is empty": b"\x80\x02R.",
}


def with_pickle(data):
    def spoil(folder):
        write_archive(folder / "pytorch_model.bin", data, [np.ones(4, "float32")])

    return spoil


def with_arguments(change):
    """A tensor whose rebuilding has other arguments: storage, offset, shape, strides, ..."""

    def spoil(folder):
        arrays = {"a": np.ones((2, 2), "float32")}
        data = pickled(arrays, lambda a: (a[0], *change(*a[1:4]), *a[4:]))
        write_archive(folder / "pytorch_model.bin", data, arrays.values())

    return spoil


def with_archive(compression=zipfile.ZIP_STORED, storages=1, tail=b"", names=1):
    def spoil(folder):
        arrays = {"a": np.zeros((300, 300), "float32")}
        path = folder / "pytorch_model.bin"
        write_archive(path, pickled(arrays), [*arrays.values()][:storages], compression)
        if names > 1:
            with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Dup"):
                archive.writestr("archive/data.pkl", CANARY)
        with open(path, "ab") as file:
            file.write(tail)

    return spoil


def change_bytes(path, old, new):
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))


def changed_numbers(folder):
    tensors = read_pytorch(folder / "pytorch_model.bin")
    numbers = tensors["transformer.ln_f.weight"].read().tobytes()
    change_bytes(folder / "pytorch_model.bin", numbers, numbers[::-1])


def changed_pickle(folder):
    change_bytes(folder / "pytorch_model.bin", b"transformer.ln_f.bias", b"transformer.ln_f.bios")


def many_parts(folder):
    """Their list says that it has gigabytes; zipfile would read it all."""
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65534, 65534, 5 << 20, 0, 0)
    (folder / "pytorch_model.bin").write_bytes(b"\0" * (5 << 20) + end)


def of_other_things(folder):
    write_archive(folder / "pytorch_model.bin", pickle.dumps({"a": 1}, protocol=2), [])


def of_a_list(folder):
    write_archive(folder / "pytorch_model.bin", pickle.dumps([1, 2], protocol=2), [])


def of_unknown_storage(folder):
    data = pickled({"a": np.ones(1, "float32")}).replace(b"FloatStorage", b"QInt8Storage")
    write_archive(folder / "pytorch_model.bin", data, [np.ones(1, "float32")])


IN_PYTORCH = {
    **{
        f"pickle that calls {name}": (with_pickle(data), ValueError, [BIN, "asks for"])
        for name, data in PICKLES.items()
    },
    **{
        f"pickle with {name}": (with_pickle(data), ValueError, [BIN, "its pickle"])
        for name, data in OTHER_WAYS.items()
    },
    **{
        f"pickle with {name}": (with_pickle(b"\x80\x02" + data), ValueError, [BIN, word])
        for name, (data, word) in ENDLESS.items()
    },
    "tensor beyond its storage": (
        with_arguments(lambda offset, shape, strides: (2, shape, strides)),
        ValueError,
        [BIN, "reaches beyond"],
    ),
    "tensor with huge strides": (
        with_arguments(lambda offset, shape, strides: (0, shape, (HUGE, 1))),
        ValueError,
        [BIN, "reaches beyond"],
    ),
    "tensor that repeats itself": (
        with_arguments(lambda offset, shape, strides: (0, (HUGE, HUGE), (0, 0))),
        ValueError,
        [BIN, "repeatedly"],
    ),
    "tensor with a negative stride": (
        with_arguments(lambda offset, shape, strides: (0, shape, (-1, 1))),
        ValueError,
        [BIN, "a size or place of -1"],
    ),
    "tensor with a shape of texts": (
        with_arguments(lambda offset, shape, strides: (0, ("a", "b"), strides)),
        ValueError,
        [BIN, "a size or place of 'a'"],
    ),
    "numbers that are compressed": (
        with_archive(zipfile.ZIP_DEFLATED),
        ValueError,
        [BIN, "compressed"],
    ),
    "numbers that are missing": (with_archive(storages=0), ValueError, [BIN, "lacks the numbers"]),
    "numbers that were changed": (changed_numbers, ValueError, [BIN, "damaged"]),
    "a list of tensors that was changed": (changed_pickle, ValueError, [BIN, "damaged"]),
    "a million parts": (many_parts, ValueError, [BIN, "far more parts"]),
    "pickle that calls codes": (
        with_pickle(calling("\x1b[2J", "x")),
        ValueError,
        [BIN, "\\x1b[2J.x"],
    ),
    "tensor of an enormous shape": (
        with_arguments(lambda offset, shape, strides: (0, (1 << 300_000,) * 8, (1,) * 8)),
        ValueError,
        [BIN, "a size or place of a number of some"],
    ),
    "two lists of tensors": (with_archive(names=2), ValueError, [BIN, "one name"]),
    "values that are no tensors": (of_other_things, ValueError, [BIN, "must hold tensors"]),
    "a list": (of_a_list, ValueError, [BIN, "must hold a dictionary"]),
    "an unknown kind of numbers": (of_unknown_storage, ValueError, [BIN, "QInt8Storage"]),
    "a pickle without an archive": (
        overwrite(BIN, pickle.dumps({"a": 1})),
        ValueError,
        [BIN, "no whole file"],
    ),
    "an archive that breaks off": (truncate(BIN, 3000), ValueError, [BIN, "no whole file"]),
    "an empty file": (truncate(BIN, 0), ValueError, [BIN, "no whole file"]),
    "a link to elsewhere": (link_to(BIN, "/etc/hostname"), ValueError, [BIN, "leads out"]),
}


def test_gadgets_would_do_harm(tmp_path, monkeypatch):
    """The pickles above are real: with Python's own unpickler they leave their mark."""
    monkeypatch.chdir(tmp_path)
    for name in ("os.system", "STACK_GLOBAL", "exec"):
        pickle.loads(PICKLES[name])
        assert (tmp_path / "canary").exists(), name
        (tmp_path / "canary").unlink()
    for name in ("INST", "OBJ"):
        pickle.loads(OTHER_WAYS[name])
        assert (tmp_path / "canary").exists(), name
        (tmp_path / "canary").unlink()


@pytest.mark.parametrize("name", IN_PYTORCH)
def test_a_spoilt_pytorch_file_is_refused_in_words(good_presets, tmp_path, monkeypatch, name):
    check_refusal(good_presets / "pytorch", IN_PYTORCH[name], tmp_path, monkeypatch)

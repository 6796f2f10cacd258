"""Files that a stranger could have made: each is refused in words, and nothing else happens.

Every case spoils one file of a good preset. Then loading must raise the expected error, whose text
names the file and what is wrong with it; nothing may have been executed or written, and memory
must have stayed bounded.
"""

import contextlib
import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

from falcon_edu import Backbone, FalconBackbone
from falcon_edu.presets import describe_preset
from falcon_edu.presets.pytorch_files import read_pytorch
from falcon_edu.presets.safetensors_files import open_safetensors
from falcon_edu.text.tokenizer import FalconTokenizer
from tests.layouts import build
from tests.pytorch_writer import pickled, write_archive, write_pytorch
from tests.small_tokenizers import make

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

ROOT = Path(__file__).resolve().parents[1]
MEGABYTES = 150  # how much more memory a case may take than the process held before

# === Ways to spoil a preset: functions of its folder ===


def edit(name, **changes):
    """Changes fields of a JSON file; `...` takes one out."""

    def spoil(folder):
        path = folder / name
        content = {**json.loads(path.read_text()), **changes}
        path.write_text(json.dumps({k: v for k, v in content.items() if v is not ...}))

    return spoil


def edit_arguments(**changes):
    """Changes arguments in a `config.json` of KerasHub."""

    def spoil(folder, name="config.json"):
        path = folder / name
        content = json.loads(path.read_text())
        content["config"] |= changes
        path.write_text(json.dumps(content))

    return spoil


def overwrite(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def truncate(name, size):
    return lambda folder: os.truncate(folder / name, size)


def link_to(name, target):
    def spoil(folder):
        (folder / name).unlink()
        (folder / name).symlink_to(target)

    return spoil


# --- pickles ---


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


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


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


# --- safetensors ---


def with_header(header, body=b"\0" * 64, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    length = len(text) if length is None else length
    return overwrite("model.safetensors", length.to_bytes(8, "little") + text + body)


def entry(start, end, shape=(4,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


SAFETENSORS = {
    "offsets that overlap": with_header({"a": entry(0, 16), "b": entry(8, 24)}),
    "a hole between offsets": with_header({"a": entry(0, 16), "b": entry(32, 48)}),
    "offsets that run backwards": with_header({"a": entry(16, 0)}),
    "a negative offset": with_header({"a": entry(-16, 0)}),
    "an offset beyond the end": with_header({"a": entry(0, 1 << 40, (1 << 38,))}),
    "a shape larger than its bytes": with_header({"a": entry(0, 16, (1 << 20, 1 << 20))}),
    "a shape that overflows": with_header({"a": entry(0, 16, (1 << 63, 1 << 63))}),
    "an unknown type": with_header({"a": entry(0, 16, dtype="F128")}),
    "bytes that nobody owns": with_header({"a": entry(0, 16)}, b"\0" * 1000),
    "a header longer than the file": with_header({"a": entry(0, 16)}, length=100_000),
    "a header that is no JSON": with_header(b"{'a': 1}"),
    "a header that is a list": with_header(b"[1, 2]"),
    "a header in another encoding": with_header(b"\xff\xfe\x00\x01"),
}
INDEX = "model.safetensors.index.json"


def sharded(weight_map, link=None):
    """An index in place of the one file, which is still there as a shard."""

    def spoil(folder):
        path = folder / "model.safetensors"
        names = load_file(path)
        path.rename(folder / "model-00001-of-00001.safetensors")
        if link:
            (folder / link[0]).symlink_to(link[1])
        whole = dict.fromkeys(names, "model-00001-of-00001.safetensors")
        (folder / INDEX).write_text(json.dumps({"weight_map": weight_map(whole)}))

    return spoil


CODES = "\x1b]0;\x07\x1b[2J\u202e\udcff"  # for a terminal, and half a character


def with_shard(name):
    return sharded(lambda whole: {**whole, "x": name})


def many_twice(folder):
    """Two thirds of a megabyte of names, of which the last comes twice."""
    names = [f"{n}" for n in range(100_000)] + ["99999"]
    text = "{" + ",".join(f'"{name}":0' for name in names) + "}"
    with_header(text.encode())(folder)


# --- HDF5 ---


def in_h5(change):
    def spoil(folder):
        with h5py.File(folder / "model.weights.h5", "a") as file:
            change(file)

    return spoil


def external_link(file):
    file["layers/x"] = h5py.ExternalLink("/etc/hostname", "/")


def soft_link(file):
    file["layers/x"] = h5py.SoftLink("/layers")


def virtual(file):
    layout = h5py.VirtualLayout((3,), "float32")
    layout[:] = h5py.VirtualSource("other.h5", "x", (3,))
    file["layers"].create_virtual_dataset("x", layout)


def external_data(file):
    file["layers"].create_dataset("x", (3,), "float32", external=[("/etc/hostname", 0, 12)])


def loop(file):
    file["layers/x"] = file["layers"]


def replace_embeddings(**options):
    def change(file):
        del file["layers/reversible_embedding/vars/0"]
        file["layers/reversible_embedding/vars"].create_dataset("0", **options)

    return change


def both_names(file):
    """Of the first layer norm, as the first versions of Keras called it and as all others."""
    layer = "falcon_transformer_decoder/input_layernorm/vars"
    file.copy(f"layers/{layer}", f"_layer_checkpoint_dependencies/{layer}")


BOMB = {"shape": (1 << 20, 1 << 20), "dtype": "float32", "compression": "gzip", "chunks": True}

# === The cases: how to spoil, the error, and what its text must say ===

BIN, ST, H5, CONFIG = "pytorch_model.bin", "model.safetensors", "model.weights.h5", "config.json"
HUGE = 10**15

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
IN_SAFETENSORS = {
    **{
        f"safetensors with {name}": (spoil, ValueError, [ST, "no whole safetensors file"])
        for name, spoil in SAFETENSORS.items()
    },
    "safetensors with a header of an exabyte": (
        with_header({"a": entry(0, 16)}, length=1 << 60),
        ValueError,
        [ST, "claims to have"],
    ),
    "safetensors with a header of megabytes": (
        with_header(b'{"a":[' + b"{}," * 4_000_000 + b"{}]}"),
        ValueError,
        [ST, "claims to have"],
    ),
    "safetensors with a name that is twice": (
        with_header(b'{"a":%s,"a":%s}' % ((json.dumps(entry(0, 64, (16,))).encode(),) * 2)),
        ValueError,
        [ST, "'a' twice"],
    ),
    "safetensors with a name that is twice after many": (many_twice, ValueError, [ST, "twice"]),
    "safetensors with codes for a terminal": (
        with_header({CODES[:-1]: entry(0, 16)}, b"\0" * 16),
        ValueError,
        ["\\x1b[2J"],
    ),
    "safetensors with a name of codes that is twice": (
        with_header(b'{"\\u001b[2J":0,"\\u001b[2J":0}'),
        ValueError,
        [ST, "\\x1b[2J' twice"],
    ),
    "safetensors with a long name": (
        with_header({"a" * 100_000: entry(0, 16)}, b"\0" * 16),
        ValueError,
        ["aaa..."],
    ),
    "index to codes": (with_shard(CODES), FileNotFoundError, ["lacks shards", "\\x1b[2J"]),
    "index to a long name": (with_shard("a" * 5000), ValueError, [INDEX, "must name files"]),
    "index to a link out of codes": (
        sharded(lambda whole: {**whole, "x": "a\x1b[2J"}, ("a\x1b[2J", "/etc/hostname")),
        ValueError,
        ["leads out", "\\x1b[2J"],
    ),
    "config of codes": (edit(CONFIG, model_type=CODES), ValueError, [CONFIG, "\\x1b[2J"]),
    "config with a truth of codes": (edit(CONFIG, bias=CODES), ValueError, [CONFIG, "\\x1b[2J"]),
    "config in no format of codes": (
        overwrite(CONFIG, json.dumps({CODES: 1}).encode()),
        ValueError,
        [CONFIG, "no known format", "\\x1b[2J"],
    ),
    "config with a base of 300 digits": (
        edit(CONFIG, alibi=False, rope_parameters={"rope_theta": 10**299}),
        ValueError,
        [CONFIG, "rope_max_wavelength"],
    ),
    "config with a base of nothing": (
        edit(CONFIG, alibi=False, rope_parameters={"rope_theta": 0}),
        ValueError,
        [CONFIG, "rope_max_wavelength"],
    ),
    "config with an epsilon that is nothing in float32": (
        edit(CONFIG, layer_norm_epsilon=1e-300),
        ValueError,
        [CONFIG, "layer_norm_epsilon"],
    ),
    "config with an epsilon beyond float32": (
        edit(CONFIG, layer_norm_epsilon=1e300),
        ValueError,
        [CONFIG, "layer_norm_epsilon"],
    ),
    "config with rope scaling under its old name": (
        edit(CONFIG, alibi=False, rope_parameters={"type": "linear", "factor": 4.0}),
        ValueError,
        [CONFIG, "rope_parameters"],
    ),
    "config with two names for one thing": (
        edit(CONFIG, num_attention_heads=4, n_head=2),
        ValueError,
        [CONFIG, "`num_attention_heads` and `n_head`"],
    ),
    "safetensors with other names": (
        with_header({"a": entry(0, 16)}, b"\0" * 16),
        ValueError,
        ["do not fit", "missing", "unexpected: "],
    ),
    "safetensors that break off in the header": (truncate(ST, 50), ValueError, [ST, "no whole"]),
    "safetensors that break off in the data": (truncate(ST, 9000), ValueError, [ST, "no whole"]),
    "safetensors that are empty": (truncate(ST, 0), ValueError, [ST, "no whole"]),
    "safetensors behind a link": (link_to(ST, "/etc/hostname"), ValueError, [ST, "leads out"]),
    "index to the parent": (
        sharded(lambda whole: {**whole, "x": "../../secret"}, None),
        (ValueError, FileNotFoundError),
        [INDEX, "secret"],
    ),
    "index to an absolute path": (
        sharded(lambda whole: {**whole, "x": "/etc/hostname"}),
        ValueError,
        ["leads out of the preset", "/etc/hostname"],
    ),
    "index to a link that leads out": (
        sharded(lambda whole: {**whole, "x": "shard"}, ("shard", "/etc/hostname")),
        ValueError,
        ["leads out of the preset", "shard"],
    ),
    "index to a missing shard": (
        sharded(lambda whole: {**whole, "x": "model-00002-of-00002.safetensors"}),
        FileNotFoundError,
        [INDEX, "lacks shards", "00002"],
    ),
    "index of numbers": (
        sharded(lambda whole: dict.fromkeys(whole, 7)),
        ValueError,
        [INDEX, "must name files"],
    ),
    "index that is empty": (sharded(lambda whole: {}), ValueError, [INDEX, "weight_map"]),
    "index that is a list": (sharded(lambda whole: [1]), ValueError, [INDEX, "weight_map"]),
    "no weights at all": (
        lambda folder: (folder / ST).unlink(),
        FileNotFoundError,
        ["has no weights", ST],
    ),
    "config of Falcon3": (edit(CONFIG, model_type="llama"), ValueError, [CONFIG, "Falcon3"]),
    "config of Falcon-H1": (edit(CONFIG, model_type="falcon_h1"), ValueError, ["Falcon-H1"]),
    "config of FalconMamba": (edit(CONFIG, model_type="falcon_mamba"), ValueError, ["FalconMamba"]),
    "config of GPT-2": (edit(CONFIG, model_type="gpt2"), ValueError, [CONFIG, "'gpt2'"]),
    "config of nothing": (edit(CONFIG, model_type=None), ValueError, [CONFIG]),
    "config with huge layers": (edit(CONFIG, num_hidden_layers=HUGE), ValueError, ["num_layers"]),
    "config with a huge width": (
        edit(CONFIG, hidden_size=2**30),
        ValueError,
        [CONFIG, "of memory"],
    ),
    "config with a huge vocabulary": (
        edit(CONFIG, vocab_size=HUGE),
        ValueError,
        [CONFIG, "vocabulary_size"],
    ),
    "config with a number beyond floats": (
        edit(CONFIG, vocab_size=10**400),
        ValueError,
        [CONFIG, "vocabulary_size"],
    ),
    "config with an epsilon beyond floats": (
        edit(CONFIG, layer_norm_epsilon=10**400),
        ValueError,
        [CONFIG, "layer_norm_epsilon"],
    ),
    "config with a base beyond floats": (
        edit(CONFIG, alibi=False, rope_parameters={"rope_theta": 10**400}),
        ValueError,
        [CONFIG, "rope_max_wavelength"],
    ),
    "config of a list of types": (edit(CONFIG, model_type=["falcon"]), ValueError, [CONFIG]),
    "config of a dictionary of types": (edit(CONFIG, model_type={"a": 1}), ValueError, [CONFIG]),
    "config of megabytes": (
        overwrite(CONFIG, b'{"a":[' + b"{}," * 4_000_000 + b"{}]}"),
        ValueError,
        [CONFIG, "too long"],
    ),
    "index of thousands of shards": (
        sharded(lambda whole: {str(n): f"shard-{n:050}" for n in range(9_000)}),
        FileNotFoundError,
        [INDEX, "and 8,995 more"],
    ),
    "config with a width of text": (edit(CONFIG, hidden_size="8"), ValueError, ["hidden_size"]),
    "config with a width of a list": (edit(CONFIG, hidden_size=[8]), ValueError, ["hidden_size"]),
    "config with a negative width": (edit(CONFIG, hidden_size=-8), ValueError, ["hidden_dim"]),
    "config with an epsilon of NaN": (
        edit(CONFIG, layer_norm_epsilon=float("nan")),
        ValueError,
        [CONFIG, "layer_norm_epsilon"],
    ),
    "config with an infinite base": (
        edit(CONFIG, alibi=False, rope_parameters={"rope_theta": float("inf")}),
        ValueError,
        [CONFIG, "rope_max_wavelength"],
    ),
    "config with rope parameters of text": (
        edit(CONFIG, alibi=False, rope_parameters="linear"),
        ValueError,
        [CONFIG, "rope_parameters"],
    ),
    "config with a truth of text": (edit(CONFIG, bias="yes"), ValueError, [CONFIG, "bias"]),
    "config with another activation": (edit(CONFIG, activation="relu"), ValueError, ["activation"]),
    "config that is quantized": (
        edit(CONFIG, quantization_config={"load_in_8bit": True}),
        ValueError,
        [CONFIG, "quantization_config"],
    ),
    "config without a width": (edit(CONFIG, hidden_size=...), ValueError, ["hidden_size", "miss"]),
    "config with code of its own": (  # the field is never looked at
        edit(CONFIG, auto_map={"AutoModel": "evil.py"}, hidden_size=-1),
        ValueError,
        ["hidden_dim"],
    ),
    "config that is no JSON": (overwrite(CONFIG, b"{'a': 1}"), ValueError, [CONFIG, "no JSON"]),
    "config that is a list": (overwrite(CONFIG, b"[1]"), ValueError, [CONFIG, "JSON object"]),
    "config of a thousand brackets": (
        overwrite(CONFIG, b'{"a":' + b"[" * 100_000),
        ValueError,
        [CONFIG, "no JSON"],
    ),
    "config of a huge number": (
        overwrite(CONFIG, b'{"model_type": ' + b"9" * 10_000 + b"}"),
        ValueError,
        [CONFIG, "no JSON"],
    ),
    "config in another encoding": (overwrite(CONFIG, b"\xff\xfe{}"), ValueError, [CONFIG]),
    "config that is empty": (truncate(CONFIG, 0), ValueError, [CONFIG, "no JSON"]),
    "config behind a link": (link_to(CONFIG, "/etc/hostname"), ValueError, [CONFIG, "leads out"]),
    "config that is missing": (
        lambda folder: (folder / CONFIG).unlink(),
        FileNotFoundError,
        [CONFIG],
    ),
}
IN_KERAS_HUB = {
    "h5 with an external link": (in_h5(external_link), ValueError, [H5, "is an external link"]),
    "h5 with a soft link": (in_h5(soft_link), ValueError, [H5, "is a soft link"]),
    "h5 with a virtual dataset": (in_h5(virtual), ValueError, [H5, "no plain dataset"]),
    "h5 with data elsewhere": (in_h5(external_data), ValueError, [H5, "no plain dataset"]),
    "h5 that is a loop": (in_h5(loop), ValueError, [H5, "two names"]),
    "h5 with a compressed bomb": (
        in_h5(replace_embeddings(**BOMB)),
        ValueError,
        [H5, "vars/0 is compressed"],
    ),
    "h5 with whole numbers": (
        in_h5(replace_embeddings(data=np.zeros((40, 48), "int32"))),
        ValueError,
        ["do not fit"],
    ),
    "h5 with texts": (
        in_h5(replace_embeddings(data=["a"] * 40, dtype=h5py.string_dtype())),
        ValueError,
        ["do not fit"],
    ),
    "h5 with a shape and no numbers": (
        in_h5(replace_embeddings(shape=(1 << 20, 1 << 20), dtype="float32")),
        ValueError,
        [H5, "fewer bytes"],
    ),
    "h5 with numbers in pieces that are packed": (
        in_h5(replace_embeddings(data=np.zeros((40, 48)), chunks=(4, 48), shuffle=True)),
        ValueError,
        [H5, "compressed"],
    ),
    "h5 without a shape": (
        in_h5(replace_embeddings(data=h5py.Empty("float32"))),
        ValueError,
        [H5, "without a shape"],
    ),
    "h5 of groups in groups": (
        in_h5(lambda file: file.create_group("a/" * 1000)),
        ValueError,
        [H5, "far more groups"],
    ),
    "h5 of many groups": (
        in_h5(lambda file: [file.create_group(f"many/{n}") for n in range(8_001)]),
        ValueError,
        [H5, "far more groups"],
    ),
    "h5 with a layer under two names": (in_h5(both_names), ValueError, [H5, "under the old name"]),
    "h5 with codes for a terminal": (
        in_h5(lambda file: file.create_dataset("layers/\x1b[2J", data=1.0)),
        ValueError,
        ["unexpected", "\\x1b[2J"],
    ),
    "h5 with a link of codes": (
        in_h5(lambda file: file.update({"layers/\x1b[2J": h5py.SoftLink("/layers")})),
        ValueError,
        [H5, "\\x1b[2J is a soft link"],
    ),
    "class of codes": (edit(CONFIG, registered_name=CODES), ValueError, [CONFIG, "\\x1b[2J"]),
    "arguments of codes": (edit_arguments(**{CODES: CODES}), ValueError, [CONFIG, "\\x1b[2J"]),
    "arguments of many megabytes": (
        edit_arguments(position_encoding="a" * 500_000),
        ValueError,
        [CONFIG, "position_encoding"],
    ),
    "h5 that is empty": (truncate(H5, 0), ValueError, [H5, "no whole HDF5"]),
    "h5 that breaks off": (truncate(H5, 5000), ValueError, [H5, "no whole HDF5"]),
    "h5 that is something else": (overwrite(H5, b"PK\x03\x04" * 99), ValueError, [H5]),
    "h5 behind a link": (link_to(H5, "/etc/hostname"), ValueError, [H5, "leads out"]),
    "class of Lambda": (
        edit(CONFIG, class_name="Lambda", registered_name="Lambda"),
        ValueError,
        [CONFIG, "Lambda"],
    ),
    "class of Keras": (
        edit(CONFIG, registered_name="keras>Sequential"),
        ValueError,
        [CONFIG, "keras>Sequential"],
    ),
    "class of another package": (
        edit(CONFIG, registered_name="evil>FalconBackbone"),
        ValueError,
        [CONFIG, "evil>FalconBackbone"],
    ),
    "class that is a list": (edit(CONFIG, registered_name=[1]), ValueError, [CONFIG, "[1]"]),
    "arguments that are a list": (edit(CONFIG, config=[1]), ValueError, [CONFIG, "an object"]),
    "arguments that nobody knows": (edit_arguments(evil=1), ValueError, [CONFIG, "evil"]),
    "arguments that are huge": (edit_arguments(num_layers=HUGE), ValueError, ["num_layers"]),
    "arguments of NaN": (edit_arguments(attention_dropout_rate=float("nan")), ValueError, ["rate"]),
    "a dtype that is code": (  # what a file says of the dtype is never looked at
        edit_arguments(dtype={"module": "os", "class_name": "system"}, hidden_dim=-1),
        ValueError,
        ["hidden_dim"],
    ),
}
CASES = {
    **{f"pytorch: {name}": ("pytorch", *case) for name, case in IN_PYTORCH.items()},
    **{f"transformers: {name}": ("transformers", *case) for name, case in IN_SAFETENSORS.items()},
    **{f"keras_hub: {name}": ("keras_hub", *case) for name, case in IN_KERAS_HUB.items()},
}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """One good preset in each format."""
    folder = tmp_path_factory.mktemp("good")
    backbone = build("rw")
    backbone.save_to_preset(folder / "keras_hub")
    backbone.export_to_transformers(folder / "transformers")
    shutil.copytree(folder / "transformers", folder / "pytorch")
    write_pytorch(folder / "pytorch" / BIN, load_file(folder / "pytorch" / ST))
    (folder / "pytorch" / ST).unlink()
    for path in folder.iterdir():
        Backbone.from_preset(path)
    return folder


def everything_below(folder):
    return {
        path: (path.is_symlink(), path.read_bytes() if path.is_file() else None)
        for path in Path(folder).rglob("*")
    }


def forget_peak():
    """From here on, the peak of the memory is counted anew (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_megabytes():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@pytest.mark.parametrize("name", CASES)
def test_refused(good, tmp_path, monkeypatch, name):
    file_format, spoil, error, words = CASES[name]
    folder = tmp_path / "preset"
    shutil.copytree(good / file_format, folder)
    spoil(folder)
    monkeypatch.chdir(tmp_path)  # where "touch canary" would leave its mark
    before = everything_below(tmp_path)
    can_measure = sys.platform == "linux"
    if can_measure:
        forget_peak()
        held = peak_megabytes()
    with pytest.raises(error) as caught:
        Backbone.from_preset(folder)
    if can_measure:
        assert peak_megabytes() - held < MEGABYTES
    said = str(caught.value)
    assert all(word in said for word in words), said
    assert len(said) < 3000
    assert said.isprintable(), said
    assert everything_below(tmp_path) == before
    assert not (tmp_path / "canary").exists()


def test_there_are_enough_cases():
    assert len(CASES) >= 60


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


# === Tokenizers ===


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("merges.txt", "a b c\n", "'a b c'"),
        ("merges.txt", "never-seen merged\n", "never-seen"),
        ("vocabulary.json", "[1, 2]", "JSON"),
        ("vocabulary.json", '{"a": "b"}', "vocabulary"),
        ("vocabulary.json", '{"a": -1}', "vocabulary"),
        ("vocabulary.json", '{"a": ', "JSON"),
    ],
)
def test_broken_tokenizers_are_refused(tmp_path, name, content, words):
    make().save_to_preset(tmp_path / "preset")
    (tmp_path / "preset/assets/tokenizer" / name).write_text(content)
    with pytest.raises(ValueError, match=f"preset.*{words}"):
        FalconTokenizer.from_preset(tmp_path / "preset")


def split(pattern):
    return {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
TOKENIZERS = {
    "a text that grows": (
        {"normalizer": {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 10**6}},
        "'Replace'",
    ),
    "a text that grows later": (
        {"normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "a"}]}},
        "'Prepend'",
    ),
    "a decoder that grows": (
        {"decoder": {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}},
        "'Replace'",
    ),
    "a pattern that takes forever": (
        {
            "pre_tokenizer": {
                "type": "Sequence",
                "pretokenizers": [split({"Regex": "(x+x+)+y"}), BYTES],
            }
        },
        "repetition",
    ),
    "a pattern that may be there or not": (
        {
            "pre_tokenizer": {
                "type": "Sequence",
                "pretokenizers": [split({"Regex": "a?a?a"}), BYTES],
            }
        },
        "repetition",
    ),
    "a step that is a list": (
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [[BYTES]]}},
        "has a step",
    ),
    "added tokens that are a number": ({"added_tokens": 7}, "`added_tokens`"),
    "added tokens that are a text": ({"added_tokens": "abc"}, "`added_tokens`"),
    "added tokens that are numbers": ({"added_tokens": [1]}, "`added_tokens`"),
    "merges that are a path": ({"model": {"merges": "/etc/hostname"}}, "`merges` must be a list"),
    "a mark that the library chokes on": (
        {"model": {"continuing_subword_prefix": "zzzzzzzz"}},
        "`continuing_subword_prefix`",
    ),
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_definitions_that_could_run_forever_are_refused(tmp_path, name):
    changes, words = TOKENIZERS[name]
    definition = make().definition
    model = {**definition["model"], **changes.get("model", {})}
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({**definition, **changes, "model": model}))
    with pytest.raises(ValueError, match=rf"tokenizer\.json.*{words}|{words}.*tokenizer\.json"):
        FalconTokenizer.from_preset(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("unsplittable_tokens", 5),
        ("unsplittable_tokens", [["a"]]),
        ("sequence_length", "x"),
        ("sequence_length", 10**12),
        ("dtype", "int999"),
    ],
)
def test_arguments_of_tokenizers_are_checked(tmp_path, field, value):
    make().save_to_preset(tmp_path)
    edit_arguments(**{field: value})(tmp_path, "tokenizer.json")
    with pytest.raises(ValueError, match=f"`{field}`"):
        FalconTokenizer.from_preset(tmp_path)


def test_tokenizers_of_gigabytes_are_not_read(tmp_path):
    make().save_to_preset(tmp_path)
    os.truncate(tmp_path / "assets/tokenizer/merges.txt", 6 << 30)  # without taking any room
    with pytest.raises(ValueError, match=r"merges\.txt is too long"):
        FalconTokenizer.from_preset(tmp_path)


# === The disk ===


def test_a_file_that_may_not_be_read(good, tmp_path, monkeypatch):
    """Tests may run as root, who may read all: the refusal of the system is put in its place."""

    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(PermissionError, match=r"config\.json"):
        Backbone.from_preset(good / "keras_hub")


FULL = """
import resource, signal, sys

from tests.layouts import build

folder, save = sys.argv[1:]
getattr(build("rw"), save)(folder)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
# The system itself refuses to write more than a few kilobytes to one file.
resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, 8_000))
print("saved", flush=True)
sys.stdin.readline()
try:
    getattr(build("7b"), save)(folder)
except (OSError, RuntimeError):
    print("refused", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX's")
@pytest.mark.parametrize("save", ["save_to_preset", "export_to_transformers"])
def test_a_full_disk_leaves_what_was_there(tmp_path, save):
    """In a process of its own: HDF5 does not recover from a write that failed, and may crash.

    Even then the old preset stays; where we write the files ourselves, no draft is left either.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", FULL, str(tmp_path / "preset"), save],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout.readline() == "saved\n"
    folder = tmp_path / "preset" if save == "save_to_preset" else tmp_path
    before = everything_below(folder)
    said, _ = process.communicate("\n", timeout=120)
    if save == "export_to_transformers":
        assert said == "refused\n"
    assert everything_below(folder) == before
    Backbone.from_preset(tmp_path / "preset")


KILLED = """
import os, random, signal, sys, time
from pathlib import Path

from falcon_edu import FalconBackbone
from falcon_edu.presets.h5_files import open_h5

import numpy as np

folder, random = Path(sys.argv[1]), random.Random(0)


def save_forever(ready, first):
    backbones = [FalconBackbone(50, 2, 2, 16, 32) for _ in range(2)]
    for number, backbone in enumerate(backbones, 1):
        backbone.set_weights([np.full(w.shape, number) for w in backbone.weights])
    backbones[first].save_to_preset(folder)
    os.write(ready, b"x")
    while True:
        for backbone in backbones:
            backbone.save_to_preset(folder)


seen = []
for i in range(15):
    reader, writer = os.pipe()
    child = os.fork()  # before JAX has started, which does not survive a fork
    if not child:
        save_forever(writer, first=i % 2)  # so that both are seen, however slow the machine is
    os.read(reader, 1)
    time.sleep(random.uniform(0, 0.2))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reader), os.close(writer)
    with open_h5(folder) as tensors:
        values = {float(x) for t in tensors.values() for x in np.unique(t.read())}
    assert len(values) == 1 and (folder / "config.json").is_file(), values
    seen += values
print(sorted(set(seen)), len(seen))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_killed_at_any_moment_there_is_the_old_preset_or_the_new(tmp_path):
    """Fifteen times a process that saves one of two models without end is killed."""
    result = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "preset")],
        capture_output=True,
        text=True,
        timeout=550,
    )
    assert result.stdout == "[1.0, 2.0] 15\n", result.stderr
    assert type(Backbone.from_preset(tmp_path / "preset")) is FalconBackbone


# === Fuzzing the parsers ===


@pytest.fixture(scope="module")
def whole(good, tmp_path_factory):
    small = tmp_path_factory.mktemp("small") / ST
    save_file({"a": np.ones((2, 3), "float32"), "b": np.ones(4, "float16")}, small)
    return {
        "bin": (good / "pytorch" / BIN).read_bytes(),
        "safetensors": small.read_bytes(),
        "folder": tmp_path_factory.mktemp("fuzz"),
    }


MUTATIONS = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=0, max_size=8)),
    min_size=1,
    max_size=4,
)


def mutated(data, mutations):
    """Bytes at some places are replaced; where nothing replaces them, the rest is cut off."""
    data = bytearray(data)
    for place, new in mutations:
        at = int(place * len(data))
        if new:
            data[at : at + len(new)] = new
        else:
            del data[at:]
    return bytes(data)


def read_or_refuse(path, read):
    """Reads all that is in a file, or is told its name."""
    try:
        read()
    except ValueError as error:
        if path.name not in str(error):
            raise AssertionError("the error does not name the file") from error


def read_all(tensors):
    for tensor in tensors.values():
        if tensor.dtype.islower():  # a type that NumPy knows
            tensor.read()


@settings(max_examples=150, deadline=None)
@given(MUTATIONS)
def test_fuzzed_archives(whole, mutations):
    path = whole["folder"] / "a.bin"
    path.write_bytes(mutated(whole["bin"], mutations))
    read_or_refuse(path, lambda: read_all(read_pytorch(path)))


@settings(max_examples=150, deadline=None)
@given(MUTATIONS)
def test_fuzzed_pickles(whole, mutations):
    path = whole["folder"] / "b.bin"
    array = np.ones((2, 3), "float32")
    write_archive(path, mutated(pickled({"a": array, "b": array}), mutations), [array, array])
    read_or_refuse(path, lambda: read_all(read_pytorch(path)))


@settings(max_examples=100, deadline=None)
@given(MUTATIONS)
def test_fuzzed_safetensors(whole, mutations):
    folder = whole["folder"]
    (folder / ST).write_bytes(mutated(whole["safetensors"], mutations))

    def read():
        with open_safetensors(folder) as tensors:
            read_all(tensors)

    read_or_refuse(folder / ST, read)


NUMBERS = st.integers(-4, 40) | st.integers() | st.floats() | st.none() | st.text(max_size=2)
ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "BF16", "I64", "F8_E4M3", "x"]),
        "shape": st.lists(NUMBERS, max_size=3),
        "data_offsets": st.lists(NUMBERS, max_size=3),
    }
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(max_size=3), ENTRIES | NUMBERS, max_size=3), st.binary(max_size=40))
def test_fuzzed_headers(whole, header, body):
    """Offsets, shapes and types of all sorts, in a header that is whole."""
    folder = whole["folder"] / "header"
    folder.mkdir(exist_ok=True)
    with_header(header, body)(folder)

    def read():
        with open_safetensors(folder) as tensors:
            read_all(tensors)

    read_or_refuse(folder / ST, read)


FIELDS = st.sampled_from(
    "num_attention_heads n_head hidden_size vocab_size num_hidden_layers n_layer ffn_hidden_size "
    "bias alibi multi_query parallel_attn new_decoder_architecture num_kv_heads n_head_kv "
    "rope_parameters rope_theta rope_scaling layer_norm_epsilon tie_word_embeddings".split()
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(FIELDS, inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(FIELDS, VALUES, max_size=8))
def test_fuzzed_configs(whole, fields):
    good = {"num_attention_heads": 2, "hidden_size": 8, "vocab_size": 9, "num_hidden_layers": 1}
    folder = whole["folder"] / "config"
    folder.mkdir(exist_ok=True)
    path = folder / "config.json"
    path.write_text(json.dumps({"model_type": "falcon", **good, **fields}))
    read_or_refuse(path, lambda: describe_preset(folder))


PIECES = st.sampled_from(
    "added_tokens normalizer pre_tokenizer decoder post_processor truncation padding version "
    "model".split()
)
PARTS = st.sampled_from(
    "type vocab merges dropout unk_token fuse_unk byte_fallback ignore_merges content id special "
    "continuing_subword_prefix end_of_word_suffix pattern Regex pretokenizers".split()
)
FILES = st.dictionaries(st.text(max_size=3), st.text(max_size=6) | st.integers(), max_size=3)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["BPE", "a", "ab"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PARTS, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(PIECES, ANYTHING, max_size=2), st.dictionaries(PARTS, ANYTHING, max_size=2))
def test_fuzzed_tokenizers(whole, pieces, parts):
    """A definition is refused in words, or makes a tokenizer that can be used."""
    definition = make().definition
    definition = {**definition, "model": {**definition["model"], **parts}, **pieces}
    path = whole["folder"] / "tokenizer.json"
    path.write_text(json.dumps(definition))
    read_or_refuse(path, lambda: FalconTokenizer.from_preset(path.parent)("a b"))


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(["weight_map", "metadata"]), ANYTHING | FILES))
def test_fuzzed_indexes(whole, index):
    folder = whole["folder"] / "index"
    folder.mkdir(exist_ok=True)
    (folder / INDEX).write_text(json.dumps(index))

    def read():
        with contextlib.suppress(FileNotFoundError), open_safetensors(folder):
            pass

    read_or_refuse(folder, read)

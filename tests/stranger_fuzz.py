"""Broken and hostile files of every kind, made from a seed, and what became of each.

    python -m tests.stranger_fuzz SEED COUNT

Each file is spoiled in one to three ways and read in this process, which watches itself: nothing
may be run or written, and time and memory are bounded. The last line counts the outcomes.
"""

import collections
import json
import os
import random
import sys
import tempfile
import time
import warnings
from pathlib import Path

from falcon_edu import Backbone, merge_peft_adapter
from tests.layouts import build
from tests.pytorch_writer import pickled, write_archive
from tests.test_peft import write_adapter

import h5py
import numpy as np
from safetensors.numpy import load_file

SECONDS, MEGABYTES = 5, 200  # for one file; the machine of a test may be busy
CONFIG, ST, BIN, H5 = "config.json", "model.safetensors", "pytorch_model.bin", "model.weights.h5"
TEXTS = ["", "a", "falcon", "a\x1b[2J\u202e", "\ud800", "é" * 9, "../../x", "/etc/hostname"]
TEXTS += ["x" * 9000]
NUMBERS = [0, 1, 2, 3, 4, 5, -1, 48, 2**16, 2**31, 2**63, 10**300, 2.7, 1e300, 1e-300, -0.0]
NUMBERS += [float("nan"), float("inf"), -float("inf"), True, False, None]


def anything(rng, depth=0):
    """A value as JSON has it, often of the wrong type or size."""
    if depth < 3 and rng.random() < 0.15:
        return [anything(rng, depth + 1) for _ in range(rng.randrange(4))]
    if depth < 3 and rng.random() < 0.15:
        return {rng.choice(TEXTS): anything(rng, depth + 1) for _ in range(rng.randrange(4))}
    return rng.choice(NUMBERS + TEXTS)


# === Ways to spoil: functions of a random generator and a folder ===


def config(rng, folder, name=CONFIG):
    """Fields with other values, unknown ones, some twice, deep ones, or text that is no JSON."""
    path = folder / name
    content = json.loads(path.read_text())
    inner = content["config"] if isinstance(content.get("config"), dict) else content
    fields = [*inner, *(name for name in ("n_head", "rope_theta", "alibi", CONFIG))]
    for _ in range(rng.randrange(1, 4)):
        place = rng.choice([inner, content])
        place[rng.choice([*fields, *content, rng.choice(TEXTS)])] = anything(rng)
    text = json.dumps(content)
    if rng.random() < 0.1:
        text = text[:-1] + f', "{rng.choice(fields)}": {json.dumps(anything(rng))}}}'
    if rng.random() < 0.05:
        text = '{"a":' + "[" * 10 ** rng.randrange(2, 6)
    path.write_text(text, errors="replace")


def adapter_config(rng, folder):
    config(rng, folder, "adapter_config.json")


def header(rng, folder):
    """A header of safetensors with other sizes, places, types or names."""
    (path,) = folder.glob("*.safetensors")
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    entries, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    names = [name for name in entries if name != "__metadata__"]
    pairs = list(entries.items())
    for _ in range(rng.randrange(1, 3)):
        name = rng.choice(names)
        kind = rng.randrange(6)
        if kind == 0:
            entries[name]["dtype"] = rng.choice(["F16", "BF16", "F64", "I8", "F8_E4M3", "x", 7])
        elif kind == 1:
            turned = entries[name]["shape"][::-1]
            entries[name]["shape"] = rng.choice([[], [0], turned, anything(rng)])
        elif kind == 2:
            entries[name]["data_offsets"] = rng.choice([[0, 4], [4, 0], [-4, 0], anything(rng)])
        elif kind == 3:
            pairs.append((rng.choice([name, *TEXTS]), anything(rng)))
        elif kind == 4:
            pairs = [(other, entry) for other, entry in pairs if other != name]
        else:
            pairs.append(("lm_head.weight", entries[name]))
    text = "{" + ",".join(f"{json.dumps(k)}:{json.dumps(v)}" for k, v in pairs) + "}"
    length = rng.choice([len(text)] * 9 + [len(text) + 1, 0, 1 << 40])
    path.write_bytes(length.to_bytes(8, "little") + text.encode() + body)


def numbers(rng, folder):
    """Numbers in the middle of a file that are others, or none."""
    path = rng.choice([p for p in folder.iterdir() if p.suffix in (".safetensors", ".h5", ".bin")])
    data = bytearray(path.read_bytes())
    at = rng.randrange(len(data) // 2, len(data) - 8)
    wrong = rng.choice([np.nan, np.inf, -np.inf, 1e38])
    data[at : at + 4] = np.float32(wrong).tobytes()
    path.write_bytes(data)


def damage(rng, folder):
    """Bytes that are others, missing, or there twice."""
    path = rng.choice([p for p in folder.iterdir() if p.is_file()])
    data = bytearray(path.read_bytes())
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            del data[at:]
        elif kind == 1:
            data[at : at + 8] = rng.randbytes(rng.randrange(1, 9))
        elif kind == 2:
            data[at:at] = data[: rng.randrange(64)]
        elif at < len(data):
            data[at] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def link(rng, folder):
    """A link in place of a file: to itself, to elsewhere, to a device; a folder; a pipe."""
    path = rng.choice([p for p in folder.iterdir() if p.is_file()])
    path.unlink()
    kind = rng.randrange(7)
    if kind == 0:
        path.mkdir()
    elif kind == 1:
        os.mkfifo(path)
    elif kind == 2:
        path.write_text("version https://git-lfs.github.com/spec/v1\n")
    else:
        target = [path, "/etc/hostname", "/dev/zero", "/proc/self/mem"][kind - 3]
        path.symlink_to(target)


def archive(rng, folder):
    """A pickle that asks for other things, or tensors of other shapes, strides and storages."""
    (path,) = folder.glob("*.bin")
    arrays = load_file(folder.parent / "transformers" / ST)
    if path.name != BIN:
        arrays = load_file(folder.parent / "peft" / "adapter_model.safetensors")
    victim = rng.randrange(len(arrays))
    seen = iter(range(len(arrays)))

    def change(arguments):
        if next(seen) != victim:
            return arguments
        arguments = list(arguments)
        place = rng.randrange(1, 4)
        sizes = [(), (2,) * 9, (2**40, 2**40), (0, 0), (1, 1)]
        arguments[place] = rng.choice([0, -1, 2**70, "a", *sizes])
        return tuple(arguments)

    data = pickled(arrays, change if rng.random() < 0.7 else lambda arguments: arguments)
    for _ in range(rng.randrange(3)):
        kind = rng.randrange(4)
        at = rng.randrange(2, len(data) - 1)
        if kind == 0:
            data = data[:at] + rng.choice(GADGETS) + data[at:]
        elif kind == 1:
            data = b"\x80\x02" + rng.choice(GADGETS) + b"."
        elif kind == 2:
            data = data.replace(b"FloatStorage", rng.choice([b"QInt8Storage", b"LongStorage"]), 1)
        else:
            data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    write_archive(path, data, list(arrays.values()), rng.choice([0, 0, 0, 8]))


def _gadget(module, name, argument="touch canary"):
    text = b"X" + len(argument).to_bytes(4, "little") + argument.encode()
    return f"c{module}\n{name}\n".encode() + b"(" + text + b"tR"


GADGETS = [
    _gadget("os", "system"),
    _gadget("posix", "system"),
    _gadget("builtins", "eval", "__import__('os').system('touch canary')"),
    _gadget("builtins", "exec", "import os; os.system('touch canary')"),
    _gadget("subprocess", "getoutput"),
    _gadget("torch.serialization", "load"),
    _gadget("\x1b[2J", "x"),
    b"(S'touch canary'\nios\nsystem\n",
    b"\x82\x01",
    b"}" * 5000,
    b"(" * 5000 + b"t" * 5000,
]


def hdf5(rng, folder):
    """Links, loops, compression, other types and shapes, attributes, old names."""
    (path,) = folder.glob("*.h5")
    with h5py.File(path, "a", libver=rng.choice(["earliest", "latest"])) as file:
        for _ in range(rng.randrange(1, 3)):
            found: list[str] = []
            file.visititems(
                lambda name, thing, found=found: (
                    found.append(name) if isinstance(thing, h5py.Dataset) else None
                )
            )
            if found:
                HDF5[rng.randrange(len(HDF5))](rng, file, rng.choice(found))


def _replace(**options):
    def change(rng, file, name):
        shape = file[name].shape
        del file[name]
        file.create_dataset(name, **{"shape": shape, "dtype": "float32", **options})

    return change


def _filled(number):
    def change(rng, file, name):
        if file[name].dtype.kind == "f":
            file[name][...] = number

    return change


def _linked(target):
    def change(rng, file, name):
        del file[name]
        file[name] = target() if callable(target) else target

    return change


def _old_name(rng, file, name):
    if name.startswith("layers/"):
        file.copy(name, name.replace("layers/", "_layer_checkpoint_dependencies/"))


def _attributes(rng, file, name):
    for place in (file, file[name]):
        for number in range(rng.choice([1, 30, 300])):
            place.attrs[f"a{number}"] = rng.choice(["b", 1, np.zeros(9), h5py.Empty("f4")])


HDF5 = [
    _linked(h5py.SoftLink("/")),
    _linked(lambda: h5py.ExternalLink("/etc/hostname", "/")),
    lambda rng, file, name: file.__setitem__("layers/loop", file[name].parent),
    lambda rng, file, name: file.move(name, f"{name}{rng.choice(['0', chr(27), 'é', 'a' * 999])}"),
    lambda rng, file, name: file.__delitem__(name),
    lambda rng, file, name: file.create_group("a/" * rng.choice([2, 30, 300])),
    _replace(compression="gzip", chunks=True),
    _replace(dtype="int32"),
    _replace(dtype="complex64"),
    _replace(dtype="float16"),
    _replace(dtype=h5py.string_dtype()),
    _replace(dtype=np.dtype([("a", "f4"), ("\x1b[2J", "f8")])),
    _replace(dtype=h5py.enum_dtype({"a": 1})),
    _replace(dtype=h5py.vlen_dtype("f4")),
    _replace(dtype="V2"),
    _replace(dtype=">f8"),
    _replace(shape=(1 << 20, 1 << 20)),
    _replace(shape=()),
    _replace(shape=(0,)),
    _replace(maxshape=None, fletcher32=True, chunks=True),
    _filled(np.nan),
    _filled(np.inf),
    _old_name,
    _attributes,
]


def description(rng, folder):
    """What a LoRA file says of itself."""
    with h5py.File(folder / "a.lora.h5", "a") as file:
        content = json.loads(bytes(file.attrs["falcon_edu"]))
        content[rng.choice([*content, "x"])] = anything(rng)
        text = json.dumps(content).encode()
        if rng.random() < 0.3:
            text = json.dumps(anything(rng)).encode()
        file.attrs["falcon_edu"] = rng.choice([np.bytes_(text[:60_000] or b" "), 7, "a", b"["])
        if rng.random() < 0.5:
            del file["lora/vars/rank"]
            value = rng.choice([0, -1, 2, 2.7, np.nan, np.inf, 1e300, 2 + 1j, "a", [2], True])
            file["lora/vars/rank"] = value


def index(rng, folder):
    """An index in place of the one file."""
    (path,) = [p for name in (ST, BIN, H5) for p in folder.glob(name)]
    target = "model.weights.json" if path.name == H5 else f"{path.name}.index.json"
    shard = rng.choice([path.name, "model-1.shard", "a\x1bb"])
    path.rename(folder / f".{path.name}").rename(folder / (shard if shard != path.name else "s"))
    places = {str(n): rng.choice([shard, "s", *TEXTS, [shard], 7]) for n in range(rng.randrange(4))}
    others = [{"weight_map": anything(rng)}, anything(rng)]
    content = rng.choice([{"weight_map": places}] * 5 + others)
    (folder / target).write_text(json.dumps(content))


KINDS = {
    "transformers": [config, config, header, header, numbers, damage, link, index],
    "pytorch": [archive, archive, damage, link, index, numbers],
    "keras_hub": [config, hdf5, hdf5, damage, numbers, link, index],
    "lora": [hdf5, hdf5, description, damage, link],
    "peft": [adapter_config, header, numbers, damage, link],
    "old peft": [adapter_config, archive, damage, link],
}


# === Reading, under watch ===


class Watch:
    """Counts what this process runs or writes while a file is read."""

    EVENTS = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "socket.connect")

    def __init__(self):
        self.is_on, self.seen = False, []
        sys.addaudithook(self.look)

    def look(self, event, arguments):
        if self.is_on and event in self.EVENTS:
            self.seen.append((event, repr(arguments)[:80]))
        mode = arguments[1] if event == "open" and isinstance(arguments[1], str) else ""
        if self.is_on and set(mode) & set("wax+"):
            self.seen.append((event, repr(arguments)[:80]))


def peak_megabytes():
    if sys.platform != "linux":
        return 0
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024


def forget_peak():
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")


def make_good(folder):
    """One good folder of each kind, and the functions that read them."""
    backbone = build("rw")
    backbone.save_to_preset(folder / "keras_hub")
    backbone.export_to_transformers(folder / "transformers")
    (folder / "lora").mkdir()
    backbone.enable_lora(2)
    backbone.save_lora_weights(folder / "lora" / "a.lora.h5")
    base = build("rw")
    write_adapter(folder / "peft", base)
    for name, old in (("transformers", "pytorch"), ("peft", "old peft")):
        (folder / old).mkdir()
        for path in (folder / name).glob("*.json"):
            (folder / old / path.name).write_bytes(path.read_bytes())
        (source,) = (folder / name).glob("*.safetensors")
        arrays = load_file(source)
        target = BIN if name == "transformers" else "adapter_model.bin"
        write_archive(folder / old / target, pickled(arrays), list(arrays.values()))
    presets = dict.fromkeys(("transformers", "pytorch", "keras_hub"), Backbone.from_preset)
    adapters = dict.fromkeys(("peft", "old peft"), lambda path: merge_peft_adapter(base, path))
    return {
        **presets,
        **adapters,
        "lora": lambda path: backbone.load_lora_weights(path / "a.lora.h5"),
    }


def copied(source, target):
    target.mkdir()
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())


def outcome(read, path, watch):
    """What became of a folder: one word, and what was said."""
    forget_peak()
    held, start = peak_megabytes(), time.perf_counter()
    watch.is_on = True
    try:
        read(path)
        word, said = "read", ""
    except (FileNotFoundError, ValueError, OSError) as error:
        word, said = "refused", str(error)
        if len(said) > 3000 or not said.isprintable() or path.name not in said:
            word = "badly said"
    except Exception as error:
        word, said = "error", f"{type(error).__name__}: {error}"
    finally:
        watch.is_on = False
    if watch.seen:
        word, said = "executed", str(watch.seen)
    if time.perf_counter() - start > SECONDS:
        word, said = "slow", f"{time.perf_counter() - start:.1f} s: {said}"
    if peak_megabytes() - held > MEGABYTES:
        word, said = "large", f"{peak_megabytes() - held:.0f} MB: {said}"
    return word, said


def attack(seed, count):
    """Spoil and read `count` folders: counts of outcomes by kind, and what was wrong."""
    watch, counts, wrong = Watch(), collections.Counter(), []
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(place)
        readers = make_good(folder)
        for kind, read in readers.items():
            assert outcome(read, folder / kind, watch)[0] == "read", kind
        for number in range(count):
            rng = random.Random(f"{seed}/{number}")
            kind = rng.choice([*KINDS])
            path = folder / f"case{number}"
            copied(folder / kind, path)
            how = [rng.choice(KINDS[kind]) for _ in range(rng.choice([1, 1, 1, 2]))]
            how.sort(key=lambda spoil: spoil is link)  # last, since a pipe can't be spoiled further
            try:
                for spoil in how:
                    spoil(rng, path)
            except (OSError, ValueError, KeyError, IndexError, TypeError, RuntimeError):
                pass  # the second way has no hold on what the first one left
            word, said = outcome(readers[kind], path, watch)
            watch.seen.clear()
            counts[kind, word] += 1
            if word not in ("read", "refused"):
                wrong.append(f"{number} {kind} {[f.__name__ for f in how]} {word}: {said[:300]}")
    return counts, wrong


def main(seed, count):
    counts, wrong = attack(seed, int(count))
    print(*wrong, sep="\n", end="\n" if wrong else "")
    for word in sorted({word for _, word in counts}):
        by_kind = {kind: counts[kind, word] for kind in KINDS if counts[kind, word]}
        print(word, sum(by_kind.values()), by_kind)


if __name__ == "__main__":
    main(*sys.argv[1:])

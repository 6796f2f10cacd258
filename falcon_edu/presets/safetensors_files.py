"""Weights in safetensors files: one file, or shards with an index."""

import json
from contextlib import contextmanager

from falcon_edu.presets.folders import file_in, shard_paths, write_json
from falcon_edu.presets.progress import bar_of_bytes
from falcon_edu.presets.weights import Tensor
from falcon_edu.storage.strangers import listed, plain, shown

import ml_dtypes  # noqa: F401  (with it, NumPy knows bfloat16)
import numpy as np
from safetensors import SafetensorError, safe_open

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
# The header of a shard of Falcon-180B has some 10 KB. Read, `{},` takes 25 times its size.
MOST_HEADER_BYTES = 2 * 1024**2
DTYPES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}


@contextmanager
def open_safetensors(folder, single=SINGLE):
    """Return the tensors of a checkpoint, while the block lasts.

    Args:
        folder: path of the checkpoint.
        single: name of the file, if it is in one.

    Returns:
        Dictionary of name to `Tensor`.

    Raises:
        FileNotFoundError: there is no such file, or a shard is missing.
        ValueError: a file is broken, or a tensor is there twice.
    """
    tensors: dict[str, Tensor] = {}
    for path in _paths(folder, single):
        header, data = _header_and_data(path)
        try:
            with safe_open(path, framework="numpy"):
                pass  # the library has looked at sizes and places now
        except SafetensorError as error:
            raise ValueError(
                f"{path} is no whole safetensors file: {plain(error, most=200)}"
            ) from None
        if twice := sorted(tensors.keys() & header.keys()):
            raise ValueError(f"{path} holds tensors that another shard has too: {listed(twice)}")
        tensors.update((name, _tensor(entry, data)) for name, entry in header.items())
    yield tensors


def _paths(folder, single):
    if path := file_in(folder, single):
        return [path]
    if file_in(folder, INDEX):
        return shard_paths(folder, INDEX)
    raise FileNotFoundError(
        f"{folder} has no weights: neither {SINGLE} nor {INDEX}, nor pytorch_model.bin. "
        "Pass `load_weights=False` for random ones."
    )


def _header_and_data(path):
    """Return what a file says of its tensors, and the bytes behind that, from one look at it.

    Refused is what the library would read in good faith: a huge header, a name that is twice.

    Returns:
        `{name: {"dtype", "shape", "data_offsets"}}`, and an array that is mapped: what is not
        looked at is never read.
    """
    content = np.memmap(path, "uint8", "r") if path.stat().st_size else np.empty(0, "uint8")
    length = int.from_bytes(content[:8].tobytes(), "little")
    if length > MOST_HEADER_BYTES:
        raise ValueError(f"{path} is refused: its header claims to have {length:,} bytes.")
    header, data = content[8 : 8 + length].tobytes(), content[8 + length :]

    def once(pairs):
        found = dict(pairs)
        if len(found) < len(pairs):
            # Of a name that comes twice, the last place is kept here: the first one differs.
            places = {name: place for place, (name, _) in enumerate(pairs)}
            twice = next(name for place, (name, _) in enumerate(pairs) if places[name] != place)
            raise ValueError(f"{path} is refused: its header has {shown(twice)} twice.")
        return found

    try:
        entries = json.loads(header, object_pairs_hook=once)
    except (RecursionError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no whole safetensors file: {plain(error, 200)}") from None
    if not isinstance(entries, dict):
        raise ValueError(f"{path} is no whole safetensors file: its header is no JSON object")
    entries.pop("__metadata__", None)
    return entries, data


def _tensor(entry, data):
    shape, place = tuple(entry["shape"]), slice(*entry["data_offsets"])
    dtype = DTYPES.get(entry["dtype"], entry["dtype"])
    return Tensor(shape, dtype, lambda: data[place].view(np.dtype(dtype)).reshape(shape))


def write_safetensors(folder, tensors, max_shard_size=5):
    """Write tensors one after the other, in one file or in shards with an index.

    Args:
        folder: path of a folder.
        tensors: dictionary of name to `Tensor`; each is read once, when its turn comes.
        max_shard_size: largest size of one file in gigabytes; a tensor is never split.
    """
    shards = _split_into_shards(tensors, max_shard_size * 1024**3)
    total_size = sum(map(_size, tensors.values()))
    with bar_of_bytes(total_size, "Saving") as bar:
        if len(shards) == 1:
            _write_file(folder / SINGLE, shards[0], bar)
            return
        weight_map = {}
        for i, shard in enumerate(shards):
            name = f"model-{i + 1:05}-of-{len(shards):05}.safetensors"
            _write_file(folder / name, shard, bar)
            weight_map.update(dict.fromkeys(shard, name))
    write_json(folder, INDEX, {"metadata": {"total_size": total_size}, "weight_map": weight_map})


def _split_into_shards(tensors, max_bytes):
    shards: list[dict] = [{}]
    filled = 0
    for name, tensor in tensors.items():
        if shards[-1] and filled + _size(tensor) > max_bytes:
            shards.append({})
            filled = 0
        shards[-1][name] = tensor
        filled += _size(tensor)
    return shards


def _size(tensor):
    return int(np.prod(tensor.shape, dtype="int64")) * np.dtype(tensor.dtype).itemsize


def _write_file(path, tensors, bar):
    """Return the format: length of the header, header, then the bytes of every tensor.

    The library's own writer would want all tensors in memory at once. See
    https://github.com/huggingface/safetensors#format.
    """
    codes = {dtype: code for code, dtype in DTYPES.items()}
    header: dict[str, dict] = {"__metadata__": {"format": "pt"}}  # transformers asks for it
    start = 0
    for name, tensor in tensors.items():
        end = start + _size(tensor)
        header[name] = {
            "dtype": codes[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
        start = end
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)  # so that the tensors are aligned
    with open(path, "wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for tensor in tensors.values():
            file.write(np.ascontiguousarray(tensor.read()).tobytes())
            bar.update(_size(tensor))

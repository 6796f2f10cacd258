"""Writes files as `torch.save` does, without PyTorch: a zip archive of a pickle and raw numbers."""

import collections
import io
import pickle
import sys
import types
import zipfile

import numpy as np

STORAGES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "bool": "BoolStorage",
}


def write_pytorch(path, arrays):
    """Writes arrays by name, each in a storage of its own."""
    storages = [np.ascontiguousarray(array) for array in arrays.values()]
    write_archive(path, pickled(arrays), storages)


def write_archive(path, data_pkl, storages, compression=zipfile.ZIP_STORED, root="archive"):
    """Writes the archive around a pickle, which may be any bytes."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{root}/data.pkl", data_pkl)
        archive.writestr(f"{root}/byteorder", "little")
        for key, storage in enumerate(storages):
            archive.writestr(f"{root}/data/{key}", storage.tobytes())
        archive.writestr(f"{root}/version", "3\n")


def pickled(arrays, change=lambda arguments: arguments, names=collections.OrderedDict):
    """The pickle of a state dict. `change` spoils the arguments that rebuild each tensor."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2(*arguments):
        raise AssertionError

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    for name in STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    class Storage:
        def __init__(self, key, array):
            self.pid = ("storage", getattr(torch, STORAGES[array.dtype.name]), str(key), "cpu")
            self.pid += (array.size,)

    class Tensor:
        def __init__(self, key, array):
            strides = tuple(step // array.itemsize for step in np.ascontiguousarray(array).strides)
            arguments = (Storage(key, array), 0, array.shape, strides, False)
            self.arguments = change((*arguments, collections.OrderedDict()))

        def __reduce__(self):
            return _rebuild_tensor_v2, self.arguments

    class Pickler(pickle.Pickler):
        def persistent_id(self, thing):
            return thing.pid if isinstance(thing, Storage) else None

    file = io.BytesIO()
    kept = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules |= {"torch": torch, "torch._utils": utils}
    try:
        tensors = {name: Tensor(key, array) for key, (name, array) in enumerate(arrays.items())}
        Pickler(file, protocol=2).dump(names(tensors))
    finally:
        for name, module in kept.items():
            sys.modules.pop(name) if module is None else sys.modules.update({name: module})
    return file.getvalue()

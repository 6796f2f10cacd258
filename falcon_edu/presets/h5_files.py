"""Weights in HDF5 files, as Keras writes them: one file, or shards with an index."""

from contextlib import ExitStack, contextmanager

from falcon_edu.presets.folders import file_in, shard_paths
from falcon_edu.presets.weights import Tensor

import h5py
import ml_dtypes

SINGLE, INDEX = "model.weights.h5", "model.weights.json"


@contextmanager
def open_h5(folder):
    """The tensors of a preset in KerasHub's format, while the block lasts.

    Args:
        folder: path of the preset.

    Returns:
        Dictionary of path inside the files to `Tensor`.

    Raises:
        FileNotFoundError: there are no weights, or a shard is missing.
        ValueError: a file is no HDF5, or holds links, or a tensor is there twice.
    """
    with ExitStack() as stack:
        tensors: dict[str, Tensor] = {}
        for path in _paths(folder):
            try:
                file = stack.enter_context(h5py.File(path, "r"))
            except OSError as error:
                raise ValueError(f"{path} is no whole HDF5 file: {error}") from None
            found = _tensors(file, path)
            if twice := sorted(tensors.keys() & found.keys()):
                raise ValueError(f"{path} holds tensors that another shard has too: {twice}")
            tensors.update(found)
        yield tensors


def _paths(folder):
    if single := file_in(folder, SINGLE):
        return [single]
    if not file_in(folder, INDEX):
        raise FileNotFoundError(
            f"{folder} has no weights: neither {SINGLE} nor {INDEX}. "
            "Pass `load_weights=False` for random ones."
        )
    return shard_paths(folder, INDEX)


def _tensors(file, path):
    """All datasets below a file's root; whatever could lead elsewhere is refused."""
    tensors, open_groups, seen = {}, [("", file)], set()
    while open_groups:
        prefix, group = open_groups.pop()
        if group.id in seen:
            raise ValueError(f"{path} is refused: {group.name} is there under two names.")
        seen.add(group.id)
        for name in group:
            inner = f"{prefix}{name}"
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise ValueError(f"{path} is refused: {inner} is a {type(link).__name__}.")
            member = group[name]
            if isinstance(member, h5py.Group):
                open_groups.append((f"{inner}/", member))
            elif not isinstance(member, h5py.Dataset) or member.external or member.is_virtual:
                raise ValueError(f"{path} is refused: {inner} is no plain dataset.")
            else:
                tensors[inner] = _tensor(member)
    return tensors


def _tensor(dataset):
    # HDF5 has no bfloat16: Keras stores the two bytes and says so beside them.
    if dataset.attrs.get("dtype") == "bfloat16" and dataset.dtype.itemsize == 2:
        return Tensor(dataset.shape, "bfloat16", lambda: dataset[()].view(ml_dtypes.bfloat16))
    return Tensor(dataset.shape, dataset.dtype.name, lambda: dataset[()])

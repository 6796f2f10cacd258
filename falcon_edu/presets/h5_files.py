"""Weights in HDF5 files, as Keras writes them: one file, or shards with an index."""

from contextlib import ExitStack, contextmanager

from falcon_edu.presets.folders import file_in, shard_paths
from falcon_edu.presets.weights import Tensor
from falcon_edu.storage.hdf5 import BROKEN, open_datasets
from falcon_edu.storage.strangers import listed, plain

import ml_dtypes

SINGLE, INDEX = "model.weights.h5", "model.weights.json"
# Keras wrote the layers of a model under another name at first.
LAYERS, OLD_LAYERS = "layers/", "_layer_checkpoint_dependencies/"


@contextmanager
def open_h5(folder):
    """Return the tensors of a preset in KerasHub's format, while the block lasts.

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
            datasets, _ = stack.enter_context(open_datasets(path))
            found = {_name(inner): _tensor(data, path) for inner, data in datasets.items()}
            if len(found) < len(datasets):
                twice = [inner for inner in datasets if _name(inner) in datasets.keys() - {inner}]
                raise ValueError(
                    f"{path} has weights under the old name of a layer and under the new one: "
                    f"{listed(twice)}"
                )
            if twice := sorted(tensors.keys() & found.keys()):
                raise ValueError(
                    f"{path} holds tensors that another shard has too: {listed(twice)}"
                )
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


def _name(inner):
    return LAYERS + inner.removeprefix(OLD_LAYERS) if inner.startswith(OLD_LAYERS) else inner


def _broken(path, dataset, error):
    return f"{path} is no whole HDF5 file: {plain(dataset.name)}: {plain(error, 200)}"


def _tensor(dataset, path):
    try:
        # HDF5 has no bfloat16: Keras stores two bytes that are nothing else. It also says so in an
        # attribute, which is not read, since libhdf5 believes any length that a text claims.
        is_bfloat16 = dataset.dtype.str == "|V2"
        dtype = "bfloat16" if is_bfloat16 else dataset.dtype.name
    except BROKEN as error:
        raise ValueError(_broken(path, dataset, error)) from None

    def read():
        try:
            value = dataset[()]
        except BROKEN as error:
            raise ValueError(_broken(path, dataset, error)) from None
        return value.view(ml_dtypes.bfloat16) if is_bfloat16 else value

    return Tensor(dataset.shape, dtype, read)

"""Datasets on the way to Keras: each batch is tokenized and checked before a step gets it."""

import keras
import numpy as np
from keras.src.trainers import data_adapters
from keras.src.trainers.data_adapters.data_adapter import DataAdapter


def is_dataset(x):
    """True if `x` yields batches: of tf.data, torch, grain or Keras, or anything iterated over.

    What has a length and is none of these is a batch itself, such as a list or a column.

    Example:

    >>> is_dataset(iter(["a", "b"])), is_dataset(["a", "b"])
    (True, False)
    """
    if isinstance(x, keras.utils.PyDataset) or _is_known_to_keras(x):
        return True
    is_array = hasattr(x, "dtype") or hasattr(x, "shape")
    return hasattr(x, "__iter__") and not hasattr(x, "__len__") and not is_array


def prepared(dataset, prepare, y=None, sample_weight=None):
    """Return the same batches as Keras takes them, each of them prepared when its turn comes.

    Args:
        dataset: for which `is_dataset` is true.
        prepare: a function of `x`, `y` and `sample_weight` that returns these three; the last two
            are `None` where a batch has none.
        y, sample_weight: what `keras.Model.fit` got beside it, which must be nothing.

    Returns:
        What `keras.Model.fit` takes as `x`, as often as the dataset itself can be gone through.

    Raises:
        ValueError: there are labels or weights beside a dataset.

    Example:

    >>> batches = prepared(iter([(1, 2)]), lambda x, y, sample_weight: (-x, y, None))
    >>> list(batches)
    [(-1, 2)]
    """
    if y is not None or sample_weight is not None:
        raise ValueError(
            "A dataset yields labels and weights itself, as `(x, y)` or `(x, y, sample_weight)`. "
            f"Received `y` or `sample_weight` beside a {type(dataset).__name__}."
        )
    if isinstance(dataset, keras.utils.PyDataset):
        return _PreparedPyDataset(dataset, prepare)
    if hasattr(dataset, "__next__"):
        return (_prepare(batch, prepare) for batch in dataset)
    return _PreparedBatches(dataset, prepare)


def iterated(dataset):
    """Yield the batches of a dataset, of Keras's kind too."""
    is_indexed = isinstance(dataset, keras.utils.PyDataset)
    batches = map(dataset.__getitem__, range(dataset.num_batches)) if is_indexed else dataset
    for batch in batches:
        yield keras.tree.map_structure(_of_numpy, batch)


def unpack(batch):
    """Return the parts of a batch, or of `validation_data`: `(x, y, sample_weight)`.

    Strings side by side are one `x`: a batch of texts.

    Example:

    >>> unpack(("a", "b")), unpack((["a", "b"], 1))
    ((('a', 'b'), None, None), (['a', 'b'], 1, None))
    """
    if not isinstance(batch, (tuple, list)) or not 0 < len(batch) <= 3:
        return batch, None, None
    if isinstance(batch, tuple):
        is_texts = all(isinstance(part, (str, bytes)) for part in batch)
    else:
        is_texts = isinstance(batch[0], (str, bytes, type(None)))
    return (batch, None, None) if is_texts else (*batch, None, None)[:3]


def _of_numpy(x):
    """Return tensors of TensorFlow and torch as arrays of NumPy, and anything else as it is."""
    return np.asarray(x) if hasattr(x, "numpy") else x


def _prepare(batch, prepare):
    x, y, sample_weight = (
        keras.tree.map_structure(_of_numpy, part) for part in prepare(*unpack(batch))
    )
    if sample_weight is not None:
        return x, y, sample_weight
    return (x,) if y is None else (x, y)


class _PreparedPyDataset(keras.utils.PyDataset):
    def __init__(self, dataset, prepare):
        super().__init__(dataset.workers, dataset.use_multiprocessing, dataset.max_queue_size)
        self.dataset, self.prepare = dataset, prepare

    def __getitem__(self, index):
        return _prepare(self.dataset[index], self.prepare)

    @property
    def num_batches(self):
        return self.dataset.num_batches

    def on_epoch_begin(self):
        self.dataset.on_epoch_begin()

    def on_epoch_end(self):
        self.dataset.on_epoch_end()


class _PreparedBatches(DataAdapter):
    """Batches in the form in which Keras keeps its own, which it takes as `x` too."""

    def __init__(self, dataset, prepare):
        self.dataset, self.prepare, self.adapter = dataset, prepare, None
        # Keras's own adapter shares out a dataset of tf.data over processes. That of torch would
        # take strings for tensors.
        if _is_known_to_keras(dataset) and not data_adapters.is_torch_dataloader(dataset):
            self.adapter = data_adapters.get_data_adapter(dataset)

    def get_numpy_iterator(self):
        batches = self.adapter.get_numpy_iterator() if self.adapter else self.dataset
        for batch in batches:
            yield _prepare(batch, self.prepare)

    get_jax_iterator = get_numpy_iterator

    @property
    def num_batches(self):
        if self.adapter:
            return self.adapter.num_batches
        try:
            return len(self.dataset)
        except TypeError:  # it has none, or none that it knows
            return None

    batch_size = has_partial_batch = partial_batch_size = None


def _is_known_to_keras(x):
    return any(
        is_known(x)
        for is_known in (
            data_adapters.is_tf_dataset,
            data_adapters.is_torch_dataloader,
            data_adapters.is_grain_dataset,
        )
    )

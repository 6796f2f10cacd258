"""Layers in front of a model: texts in, arrays out; in Python, or in a graph of TensorFlow."""

import sys
from collections.abc import Sequence

import keras
import numpy as np


class PreprocessingLayer(keras.layers.Layer):
    """A Keras layer without weights, which reads what a model can't.

    It computes in Python. Where TensorFlow builds a graph, as in `dataset.map(layer)`, the graph
    calls Python, so a dataset maps it like any function of TensorFlow.

    Args:
        **kwargs: of `keras.layers.Layer`: `name`, `dtype`, `trainable`.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.built = True

    def __call__(self, *args, **kwargs):
        # Keras's own makes tensors of arrays, and adds to a message what the layer was given.
        return self.call(*args, **kwargs)

    def __setattr__(self, name, value):
        # Keras's own copies lists and dictionaries, to look for weights: here are none.
        object.__setattr__(self, name, value)

    def __reduce__(self):
        return type(self).from_config, (self.get_config(),)


def read_texts(inputs):
    """Return texts as a list of strings, and whether they came as several.

    Args:
        inputs: a string, or its UTF-8 bytes; or several of them: a list, an array, a column of a
            table, a tensor of TensorFlow.

    Raises:
        ValueError: something in it is no text.

    Example:

    >>> read_texts("one"), read_texts(np.array([b"one", b"two"]))
    ((['one'], False), (['one', 'two'], True))
    """
    if not isinstance(inputs, (str, bytes)):
        if hasattr(inputs, "__array__"):
            inputs = np.asarray(inputs).tolist()
        elif isinstance(inputs, Sequence):
            inputs = list(inputs)
    if isinstance(inputs, list):
        return [_read_text(text, f", text {i} of them") for i, text in enumerate(inputs)], True
    return [_read_text(inputs)], False


def _read_text(text, where=""):
    if isinstance(text, bytes):
        try:
            return text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"A text must be UTF-8, and {text!r:.80}{where} is not: {error}"
            ) from None
    if not isinstance(text, str):
        raise ValueError(f"Every text must be a string. Received: {text!r:.80}{where}")
    return str(text)


def is_in_graph(inputs):
    """True if inputs are tensors of TensorFlow, of which a graph is being built.

    TensorFlow is only looked for where someone else has imported it.

    >>> is_in_graph("text")
    False
    """
    tf = sys.modules.get("tensorflow")
    if tf is None or not hasattr(tf, "executing_eagerly") or tf.executing_eagerly():
        return False
    values = inputs.values() if isinstance(inputs, dict) else [inputs]
    return any(isinstance(value, (tf.Tensor, tf.RaggedTensor)) for value in values)


def call_in_graph(function, inputs, outputs):
    """Have a graph of TensorFlow call a function of NumPy.

    Args:
        function: takes an array for each input, and returns an array for each output.
        inputs: list of tensors of TensorFlow.
        outputs: list of `(dtype, shape)`; a size that only the call tells is `None`.

    Returns:
        List of tensors of TensorFlow, with these dtypes and shapes.
    """
    tf = sys.modules["tensorflow"]
    tensors = tf.numpy_function(function, inputs, [dtype for dtype, _ in outputs])
    for tensor, (_, shape) in zip(tensors, outputs, strict=True):
        tensor.set_shape(shape)
    return tensors


def check_rank(tensor, ranks, what):
    """Return the rank of a tensor of TensorFlow, if it is one of those that a layer reads.

    Raises:
        ValueError: it is another, or unknown.
    """
    # TensorFlow rewrites functions that graphs are built with, and knows no `:=`.
    rank = tensor.shape.rank
    if rank not in ranks:
        raise ValueError(
            f"{what} must be of rank {' or '.join(map(str, ranks))}. Received: {tensor}"
        )
    return rank


def make_ragged(values, lengths):
    """Return rows as a ragged tensor of TensorFlow.

    Args:
        values: tensor of what stands in the rows, one after the other.
        lengths: int64 tensor `(b,)`, how much belongs to each row.
    """
    return sys.modules["tensorflow"].RaggedTensor.from_row_lengths(values, lengths)

"""The weights of a Falcon: what there is, and how a file's tensors get into it, all or none."""

import functools
import math
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from falcon_edu.fast import allocator, packing
from falcon_edu.int8.quantization import quantize, quantize_in_groups
from falcon_edu.presets.casting import Caster, cast_to_numpy
from falcon_edu.presets.finite import is_finite
from falcon_edu.presets.progress import QUICK, bar_of_bytes
from falcon_edu.scale.distribution import variable_sharding
from falcon_edu.storage.interrupts import uninterrupted
from falcon_edu.storage.strangers import listed, plain, shown

import jax
import keras
import numpy as np
from keras.src.backend.common import global_state

FLOATS = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True)
class Tensor:
    """A tensor that lies in a file and is not read yet.

    Args:
        shape: tuple of whole numbers.
        dtype: name of its type, as NumPy has it.
        read: a function that returns it as an array.
    """

    shape: tuple
    dtype: str
    read: Callable[[], np.ndarray]


@dataclass(frozen=True)
class Entry:
    """One line of a format's weight-name table: a tensor, and the weights that it holds.

    Args:
        name: name of the tensor in the file.
        shape: its shape there.
        weights: paths of the weights, as in `weight_shapes`.
        split: turns the tensor into the values of these weights.
        join: turns the values of these weights into the tensor.
    """

    name: str
    shape: tuple
    weights: tuple
    split: Callable[[np.ndarray], list] = lambda tensor: [tensor]
    join: Callable[[list], np.ndarray] = lambda values: values[0]


def weight_shapes(config):
    """Every weight of a backbone: a dictionary of path, from the backbone on, to shape.

    Args:
        config: a `FalconConfig`.

    Example:

    >>> from falcon_edu import FalconConfig
    >>> shapes = weight_shapes(FalconConfig(50304, 24, 32, 2048, 8192))
    >>> shapes["transformer_layers.0.attention_layer.query_dense.kernel"]
    (2048, 32, 64)
    """
    m, f, v = config.hidden_dim, config.intermediate_dim, config.vocabulary_size
    n, g, h = config.num_attention_heads, config.key_value_heads, config.head_dim
    shapes: dict[str, tuple] = {"token_embedding.embeddings": (v, m)}
    if not config.tie_word_embeddings:
        shapes["token_embedding.reverse_embeddings"] = (m, v)

    def add_norm(path):
        shapes.update({f"{path}.gamma": (m,), f"{path}.beta": (m,)})

    def add_dense(path, kernel, bias):
        shapes[f"{path}.kernel"] = kernel
        if config.use_bias:
            shapes[f"{path}.bias"] = bias

    for i in range(config.num_layers):
        block = f"transformer_layers.{i}"
        add_norm(f"{block}.input_layernorm")
        for name, heads in (("query", n), ("key", g), ("value", g)):
            add_dense(f"{block}.attention_layer.{name}_dense", (m, heads, h), (heads, h))
        add_dense(f"{block}.attention_layer.output_dense", (m, m), (m,))
        if not config.parallel_attention:
            add_norm(f"{block}.post_attention_layernorm")
        elif config.num_parallel_layer_norms == 2:
            add_norm(f"{block}.mlp_layernorm")
        add_dense(f"{block}.dense_h_to_4h", (m, f), (f,))
        add_dense(f"{block}.dense_4h_to_h", (f, m), (m,))
    add_norm("final_layernorm")
    return shapes


def find_weight(backbone, path):
    """Return the weight at a path; with LoRA enabled, a kernel of floats has its update added."""

    def step(thing, name):
        return thing[int(name)] if name.isdigit() else getattr(thing, name)

    return functools.reduce(step, path.split("."), backbone)


def find_variable(backbone, path):
    """Return the variable that holds the weight at a path, without any update; it may be packed."""
    layer = find_weight(backbone, path.rpartition(".")[0])
    is_kernel = path.endswith(".kernel") and hasattr(layer, "_kernel")
    return layer._kernel if is_kernel else find_weight(backbone, path)


def weight_value(backbone, path):
    """Return the value of the weight at a path, as a NumPy array."""
    return keras.ops.convert_to_numpy(find_weight(backbone, path))


def check_tensors(tensors, table, source):
    """Compare what a file holds with what a configuration needs, before anything is read.

    Args:
        tensors: dictionary of name to `Tensor`.
        table: list of `Entry`.
        source: path of the file or folder, for the message.

    Raises:
        ValueError: a tensor is missing, unexpected, of another shape, or holds no floats. One
            message names them all.
    """
    wanted = {entry.name: entry for entry in table}
    known = [name for name in wanted if name in tensors]
    problems = {
        "missing": [name for name in wanted if name not in tensors],
        "unexpected": [name for name in tensors if name not in wanted],
        "of another shape": [
            f"{name} is {shown(tensors[name].shape)}, not {wanted[name].shape}"
            for name in known
            if tensors[name].shape != wanted[name].shape
        ],
        "no floating-point numbers": [
            f"{name} is {plain(tensors[name].dtype)}"
            for name in known
            if tensors[name].dtype not in FLOATS
        ],
    }
    found = [f"{what}: {listed(names, most=500)}" for what, names in problems.items() if names]
    if found:
        raise ValueError(
            f"The weights in {source} do not fit the configuration, nothing was loaded. "
            + "; ".join(found)
        )


@contextmanager
def _forgetting_on_errors():
    """Have Keras draw no values, perhaps gigabytes, for a model that could not be made."""
    waiting = "uninitialized_variables"  # until the stateless scope ends
    before = list(global_state.get_global_attribute(waiting, []))
    try:
        yield
    except BaseException:
        global_state.set_global_attribute(waiting, before)
        raise


def load_backbone(make, tensors, table, source="the files"):
    """Make a backbone whose weights come straight from a file, one tensor after the other.

    Inside a stateless scope Keras puts the first values of variables off until the scope ends. By
    then each variable has an initializer that reads its tensor, so random numbers are never drawn,
    and memory holds the weights once, plus the tensor that is being cast.

    Args:
        make: a function without arguments that makes the backbone.
        tensors: dictionary of name to `Tensor`, as `check_tensors` accepted it.
        table: list of `Entry`.
        source: path of the file or folder, for messages.

    Returns:
        The backbone. If some of its weights are not finite, a warning has named their tensors:
        broken checkpoints are worth studying, but not by accident.

    Raises:
        ValueError: a tensor can't be read.
    """
    failures: list[BaseException] = []
    not_finite: list[str] = []
    cast = Caster()
    total = sum(math.prod(entry.shape) * _itemsize(tensors[entry.name]) for entry in table)
    # Keras would try to fill the variables that an interrupt left empty each time that a model is
    # made. So it waits, and what is not read yet stays unread.
    with (
        uninterrupted() as hold,
        bar_of_bytes(total, "Loading") as progress,
        keras.StatelessScope(),
        _forgetting_on_errors(),
    ):
        backbone = make()
        for entry in table:
            for index, path in enumerate(entry.weights):
                weight = _Source(entry, tensors[entry.name], index, progress, not_finite)
                for variable, read in _readers(backbone, path, weight):
                    _fill_later(variable, _Reader(read, cast, failures, hold))
    if failures:
        if not isinstance(failures[0], Exception):
            raise failures[0]  # an interrupt
        where = f" Not finite: {listed(not_finite)}." if not_finite else ""
        raise ValueError(
            f"The weights in {source} could not be read: {failures[0]}{where}"
        ) from failures[0]
    if not_finite:
        warnings.warn(
            f"{source} has weights that are NaN or infinite, or become so in this model's dtype: "
            f"{listed(not_finite)}. They are loaded as they are, and so will the outputs be.",
            stacklevel=7,  # the line that calls `from_preset`
        )
    if total >= QUICK:
        del cast  # and its buffer
        allocator.give_back()
    return backbone


def _fill_later(variable, reader):
    """Let a reader fill a variable that has no value yet, when Keras gets to it."""
    variable._initializer = reader
    sharding = variable_sharding(variable)
    if sharding is None:
        return

    def initialize(reader):
        del variable._initialize_with_initializer
        variable._initialize(reader.shards(variable.shape, variable.dtype, sharding))

    # Keras would make the whole tensor on one device and share it out then, or, from some size on,
    # compile the reader, with the tensor as a constant. So this one variable has a way of its own.
    variable._initialize_with_initializer = initialize


@dataclass
class _Source:
    """One weight of a tensor in a file."""

    entry: Entry
    tensor: Tensor
    index: int
    progress: Any
    not_finite: list
    dtype: str | None = None

    def read(self):
        tensor = self.tensor.read()
        if self.index == 0 and not is_finite(tensor, self.dtype):
            self.not_finite.append(self.entry.name)
        value = self.entry.split(tensor)[self.index]
        self.progress.update(value.nbytes)
        return value


class _Rounded:
    """A weight in eight bits, its scales, and steps: variables of one tensor, read once.

    Args:
        source: a `_Source`.
        axis: the one that a product sums over.
        group_size: of groups with steps of their own, or `None`.
        parts: in how many the kernel is packed, or `None` if it isn't.
    """

    def __init__(self, source, axis, group_size, parts):
        self.source, self.axis, self.group_size, self.parts = source, axis, group_size, parts
        self.scales = self._steps = None

    def weight(self):
        value, axis = self.source.read(), self.axis
        turned = axis == 0 and not value.flags.c_contiguous
        if turned:
            # A file of transformers has all of one output side by side: it is rounded as it lies.
            value, axis = np.moveaxis(value, 0, -1), -1
        if self.group_size is None:
            quantized, self.scales = quantize(value, axis)
        else:
            quantized, self.scales, self._steps = quantize_in_groups(value, self.group_size, axis)
        if turned:
            quantized = np.moveaxis(quantized, -1, 0)
            self._steps = None if self._steps is None else np.moveaxis(self._steps, -1, 0)
        return self._as_laid_out(quantized)

    def scale(self):
        return self.scales

    def steps(self):
        return self._as_laid_out(self._steps)

    def _as_laid_out(self, array):
        return array if self.parts is None else packing.pack(array, self.parts)


def _readers(backbone, path, source):
    """Return the variables of the weight at a path, each with a function that reads its value."""
    weight = find_variable(backbone, path)
    if weight.dtype != "int8":
        source.dtype = weight.dtype
        return [(weight, source.read)]
    layer = find_weight(backbone, path.rpartition(".")[0])
    rounded = _Rounded(
        source,
        # Keras keeps one scale for a token's embedding, and for the output channels of all else.
        axis=1 if path.endswith(".embeddings") else 0,
        group_size=getattr(layer, "group_size", None),
        parts=layer.parts if getattr(layer, "is_packed", False) else None,
    )
    # Keras fills variables in the order in which they were made: the weight comes first.
    readers = [
        (weight, rounded.weight),
        (find_weight(backbone, f"{path}_scale"), rounded.scale),
    ]
    if rounded.group_size is not None:
        readers.append((find_weight(backbone, f"{path}_steps"), rounded.steps))
    return readers


@dataclass
class _Reader:
    """An initializer that reads a value.

    It never raises: Keras would be left with half-made variables that it tries again later. After
    a failure, or while an interrupt waits, the others read nothing more, and the caller raises.
    """

    read: Callable[[], np.ndarray]
    cast: Caster
    failures: list
    hold: Any

    def __call__(self, shape, dtype=None):
        return self._read(
            lambda value: self.cast(value.reshape(shape), dtype),
            lambda: keras.ops.zeros((), dtype),
        )

    def shards(self, shape, dtype, sharding):
        """Return the weight as an array over several devices, each part cast on its way."""

        def spread(value):
            return jax.make_array_from_callback(
                shape,
                sharding,
                lambda part: cast_to_numpy(value.reshape(shape)[part], dtype),
            )

        return self._read(spread, lambda: spread(np.broadcast_to(np.float32(0), shape)))

    def _read(self, place, fail):
        if self.failures or self.hold:
            return fail()
        try:
            return place(self.read())
        except BaseException as failure:
            self.failures.append(failure)
            return fail()


def _itemsize(tensor):
    return np.dtype(tensor.dtype).itemsize

"""The weights of a Falcon: what there is, and how a file's tensors get into it, all or none."""

import functools
import math
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass

from falcon_edu.fast import allocator
from falcon_edu.int8.quantization import quantize, quantize_in_groups
from falcon_edu.int8.quantized import Quantized
from falcon_edu.presets.casting import Caster, cast_to_numpy
from falcon_edu.presets.finite import is_finite
from falcon_edu.presets.progress import QUICK, bar_of_bytes
from falcon_edu.scale.distribution import variable_sharding
from falcon_edu.storage.strangers import listed, plain, shown
from falcon_edu.warn import warn_user

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
def _without_values():
    """Have Keras draw no values for the variables that are made meanwhile; yields a list of them.

    Inside a stateless scope Keras notes variables, and draws their values when the scope ends. The
    note is taken away from it, after an error or an interrupt too: it would fill all that stands
    there, perhaps gigabytes, whenever the next model is made.
    """
    note = "uninitialized_variables"
    before = list(global_state.get_global_attribute(note, []))
    empty: list = []
    with keras.StatelessScope():
        try:
            yield empty
        finally:
            empty += global_state.get_global_attribute(note, [])[len(before) :]
            global_state.set_global_attribute(note, before)


def load_backbone(make, tensors, table, source="the files"):
    """Make a backbone whose weights come straight from a file, one tensor after the other.

    The model is made without values, so random numbers are never drawn, and memory holds the
    weights once, plus the tensor that is being cast.

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
    with _without_values() as empty:
        backbone = make()
    not_finite: list[str] = []
    cast = Caster()
    total = sum(math.prod(entry.shape) * _itemsize(tensors[entry.name]) for entry in table)
    with bar_of_bytes(total, "Loading") as progress:
        try:
            for entry in table:
                tensor = tensors[entry.name].read()
                _fill(backbone, entry, tensor, cast, not_finite)
                progress.update(tensor.nbytes)
        except Exception as error:
            where = f" Not finite: {listed(not_finite)}." if not_finite else ""
            raise ValueError(
                f"The weights in {source} could not be read: {error}{where}"
            ) from error
    for variable in empty:
        if variable._value is None:  # no weight: the state of dropout
            variable._deferred_initialize()
    if not_finite:
        warn_user(
            f"{source} has weights that are NaN or infinite, or become so in this model's dtype: "
            f"{listed(not_finite)}. They are loaded as they are, and so will the outputs be."
        )
    if total >= QUICK:
        del cast  # and its buffer
        allocator.give_back()
    return backbone


def _fill(backbone, entry, tensor, cast, not_finite):
    """Give the variables of an entry's weights the values that its tensor has."""
    first = find_variable(backbone, entry.weights[0])
    if not is_finite(tensor, None if first.dtype == "int8" else first.dtype):
        not_finite.append(entry.name)
    for path, value in zip(entry.weights, entry.split(tensor), strict=True):
        variable = find_variable(backbone, path)
        if variable.dtype == "int8":
            for rounded, whole in _rounded(backbone, path, value):
                _initialize(rounded, whole, cast)
        else:
            _initialize(variable, value, cast)


def _initialize(variable, value, cast):
    """Give a variable its first value; over several devices, each gets its part."""
    value, sharding = value.reshape(variable.shape), variable_sharding(variable)
    if sharding is None:
        variable._initialize(variable._convert_to_tensor(cast(value, variable.dtype)))
        return

    def part_of(part):
        return cast_to_numpy(value[part], variable.dtype)

    variable._initialize(jax.make_array_from_callback(value.shape, sharding, part_of))


def _rounded(backbone, path, value):
    """Round a weight to eight bits: yields its variables, each with its value.

    They are the whole numbers, their scales, and with groups the steps of these.
    """
    layer, variable = find_weight(backbone, path.rpartition(".")[0]), find_variable(backbone, path)
    # Keras keeps one scale for a token's embedding, and for the output channels of all else.
    axis = 1 if path.endswith(".embeddings") else 0
    group_size = getattr(layer, "group_size", None)
    turned = axis == 0 and not value.flags.c_contiguous
    if turned:
        # A file of transformers has all of one output side by side: it is rounded as it lies.
        value, axis = np.moveaxis(value, 0, -1), -1
    steps = None
    if group_size is None:
        quantized, scales = quantize(value, axis)
    else:
        quantized, scales, steps = quantize_in_groups(value, group_size, axis)

    def as_laid_out(array):
        array = np.moveaxis(array, -1, 0) if turned else array
        return layer.as_laid_out(array) if isinstance(layer, Quantized) else array  # or Keras's own

    yield variable, as_laid_out(quantized)
    yield find_weight(backbone, f"{path}_scale"), scales
    if steps is not None:
        yield find_weight(backbone, f"{path}_steps"), as_laid_out(steps)


def _itemsize(tensor):
    return np.dtype(tensor.dtype).itemsize

"""The weights of a Falcon: what there is, and how a file's tensors get into it, all or none."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

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
    """The weight at a path; with LoRA enabled, a kernel has its update added."""

    def step(thing, name):
        return thing[int(name)] if name.isdigit() else getattr(thing, name)

    return functools.reduce(step, path.split("."), backbone)


def weight_value(backbone, path):
    """The value of the weight at a path, as a NumPy array."""
    return keras.ops.convert_to_numpy(find_weight(backbone, path))


def check_tensors(tensors, table, source):
    """Compares what a file holds with what a configuration needs, before anything is read.

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
            f"{name} is {tensors[name].shape}, not {wanted[name].shape}"
            for name in known
            if tensors[name].shape != wanted[name].shape
        ],
        "no floating-point numbers": [
            f"{name} is {tensors[name].dtype}"
            for name in known
            if tensors[name].dtype not in FLOATS
        ],
    }
    found = [f"{what}: {', '.join(names)}" for what, names in problems.items() if names]
    if found:
        raise ValueError(
            f"The weights in {source} do not fit the configuration, nothing was loaded. "
            + "; ".join(found)
        )


def assign_tensors(backbone, tensors, table):
    """Reads one tensor after the other into a model; each is cast to the weight's own type.

    Args:
        backbone: a `FalconBackbone`.
        tensors: dictionary of name to `Tensor`, as `check_tensors` accepted it.
        table: list of `Entry`.
    """
    for entry in table:
        values = entry.split(tensors[entry.name].read())
        for path, value in zip(entry.weights, values, strict=True):
            find_weight(backbone, path).assign(value)

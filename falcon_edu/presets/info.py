"""What a preset holds, told without loading its weights."""

import dataclasses
import math
import re

from falcon_edu.presets.registry import builtin_presets
from falcon_edu.storage.files import size
from falcon_edu.storage.strangers import listed, plain

import numpy as np


def describe(source, folder, format_name, file_format, config):
    """Return the lines of `python -m falcon_edu.presets info`.

    Args:
        source: where the preset is from.
        folder: path of its files.
        format_name, file_format: the format, in a word and as a module.
        config: a `FalconConfig`.

    Returns:
        `{what: text}`.
    """
    held, config = _weights(folder, file_format, config)
    cached = 2 * config.num_layers * config.key_value_heads * config.head_dim  # numbers
    return {
        "preset": source,
        "format": format_name,
        "architecture": architecture(config),
        "dimensions": (
            f"{config.num_layers} layers, width {config.hidden_dim:,}, feed-forward "
            f"{config.intermediate_dim:,}, vocabulary {config.vocabulary_size:,}"
        ),
        "parameters": f"{config.num_parameters:,}",
        "weights": held,
        "memory": (
            f"{size(4 * config.num_parameters)} in float32, {size(2 * config.num_parameters)} in "
            f"bfloat16; key/value cache {size(4 * cached)} a token in float32"
        ),
    }


def architecture(config):
    """Return a layout in words.

    >>> from falcon_edu import FalconConfig
    >>> rope = {"position_encoding": "rope", "parallel_attention": True, "use_bias": False}
    >>> architecture(FalconConfig(65024, 32, 71, 4544, 18176, num_key_value_heads=1, **rope))
    'rotary positions, multi-query attention (71 heads), parallel blocks with 1 norm, no biases'
    """
    heads, groups = config.num_attention_heads, config.key_value_heads
    attention = {1: "multi-query", heads: "multi-head"}.get(groups, f"grouped ({groups})")
    positions = "ALiBi" if config.position_encoding == "alibi" else "rotary positions"
    norms = config.num_parallel_layer_norms
    blocks = f"parallel blocks with {norms} norm{'s' if norms > 1 else ''}"
    parts = [
        positions,
        f"{attention} attention ({heads} heads)",
        blocks if config.parallel_attention else "sequential blocks",
        "biases" if config.use_bias else "no biases",
    ]
    if not config.tie_word_embeddings:
        parts.append("untied head")
    return ", ".join(parts)


def table():
    """Return the built-in presets: lines of id, parameters, and what they are."""
    lines = []
    for name, known in builtin_presets().items():
        metadata = known["metadata"]
        where = known.get("hf_handle", "ships with the package")
        lines.append(f"{name:26} {metadata['params']:>13,}  {metadata['description']} ({where})")
    return lines


def _itemsize(dtype):
    try:
        return np.dtype(dtype).itemsize
    except TypeError:  # safetensors' own names, of types that no weight of Falcon has
        return int(re.sub(r"\D", "", dtype) or 8) // 8


def _weights(folder, file_format, config):
    """Describe the weights in a line; return it, and the configuration, tied only if they are."""
    try:
        with file_format.open_weights(folder, config) as tensors:
            dtypes = sorted({plain(tensor.dtype) for tensor in tensors.values()})
            held = sum(
                math.prod(tensor.shape) * _itemsize(tensor.dtype) for tensor in tensors.values()
            )
            if file_format.has_own_head(tensors):
                config = dataclasses.replace(config, tie_word_embeddings=False)
            return f"{len(tensors)} tensors in {listed(dtypes)}, {size(held)}", config
    except FileNotFoundError:
        return "not on this machine yet; from_preset fetches them", config

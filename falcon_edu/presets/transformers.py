"""The format of the transformers library: `config.json` in its words, weights in safetensors."""

import re
from contextlib import contextmanager

from falcon_edu.presets import pytorch_files
from falcon_edu.presets.folders import file_in, write_json
from falcon_edu.presets.safetensors_files import INDEX, SINGLE, open_safetensors, write_safetensors
from falcon_edu.presets.transformers_config import from_transformers, to_transformers
from falcon_edu.presets.weights import (
    FLOATS,
    Entry,
    Tensor,
    find_weight,
    weight_shapes,
    weight_value,
)
from falcon_edu.storage.strangers import listed
from falcon_edu.warn import warn_user

import numpy as np

# Tensors that old checkpoints carry and that are computed, not learned.
IGNORED = re.compile(r"\.(rotary_emb|maybe_rotary)\.inv_freq$|\.masked_bias$")
# Heads of transformers' classifiers (of sequences, tokens, answers), and of trl's value models.
OTHER_HEADS = re.compile(r"(score|classifier|qa_outputs|v_head)\.")
HEAD, EMBEDDING = "lm_head.weight", "transformer.word_embeddings.weight"
ROWS = 1024  # of the embedding that are compared at a time


def recognizes(config):
    """True if a `config.json` is in this format."""
    return "model_type" in config or "architectures" in config


def read_config(config, source, classes):
    """Return the class and the arguments in a `config.json`; as `keras_hub.read_config`."""
    return classes["FalconBackbone"], from_transformers(config, source)


# === Weights ===

LAYER_NAMES = {
    "token_embedding": "word_embeddings",
    "final_layernorm": "ln_f",
    "input_layernorm": "input_layernorm",
    "post_attention_layernorm": "post_attention_layernorm",
    "mlp_layernorm": "ln_mlp",
    "output_dense": "self_attention.dense",
    "dense_h_to_4h": "mlp.dense_h_to_4h",
    "dense_4h_to_h": "mlp.dense_4h_to_h",
}


def weight_table(config):
    """Return the weight-name table of the format: a list of `Entry`.

    Example:

    >>> from falcon_edu import FalconConfig
    >>> table = weight_table(FalconConfig(10, 2, 2, 8, 16))
    >>> table[3].name, table[3].shape
    ('transformer.h.0.self_attention.query_key_value.weight', (24, 8))
    """
    table = []
    for path, shape in weight_shapes(config).items():
        *block, layer, variable = path.split(".")
        kind = "bias" if variable in ("bias", "beta") else "weight"
        if layer == "query_dense":
            paths = [path.replace("query", name) for name in ("query", "key", "value")]
            table.append(_fused_entry(_name(block, "query_key_value", kind), tuple(paths), config))
        elif variable == "reverse_embeddings":
            table.append(_transposed_entry(HEAD, shape, path))
        elif layer not in ("key_dense", "value_dense"):
            name = LAYER_NAMES[layer]
            if layer == "input_layernorm" and config.num_parallel_layer_norms == 2:
                name = "ln_attn"
            name = _name(block, name, kind)
            if variable == "kernel":
                table.append(_transposed_entry(name, shape, path))
            else:
                table.append(Entry(name, shape, (path,)))
    return table


def _name(block, layer, kind):
    if layer == "query_key_value":
        layer = "self_attention.query_key_value"
    return ".".join(["transformer", *(["h", block[1]] if block else []), layer, kind])


def _transposed_entry(name, shape, path):
    return Entry(name, shape[::-1], (path,), lambda tensor: [tensor.T], lambda values: values[0].T)


def _fused_entry(name, paths, config):
    """Join queries, keys and values in one tensor.

    The three layouts of Falcon are one: for each of the `g` key/value heads come its `n / g` query
    heads, its key and its value. Multi-head has `g = n`, multi-query has `g = 1`.
    """
    m, n, g, h = (
        config.hidden_dim,
        config.num_attention_heads,
        config.key_value_heads,
        config.head_dim,
    )
    is_kernel = name.endswith("weight")
    columns = (m,) if is_kernel else ()

    def split(tensor):
        groups = tensor.reshape(g, n // g + 2, h, *columns)
        parts = groups[:, :-2].reshape(n, h, *columns), groups[:, -2], groups[:, -1]
        return [np.moveaxis(part, -1, 0) if is_kernel else part for part in parts]

    def join(values):
        query, key, value = (np.moveaxis(x, 0, -1) if is_kernel else x for x in values)
        query = query.reshape(g, n // g, h, *columns)
        groups = np.concatenate([query, key[:, None], value[:, None]], axis=1)
        return groups.reshape((n + 2 * g) * h, *columns)

    return Entry(name, ((n + 2 * g) * h, *columns), paths, split, join)


@contextmanager
def open_weights(folder, config, tie=False):
    """Return the tensors of a checkpoint that belong to a model, while the block lasts.

    The head of a classifier is left out with a warning. If the configuration ties the head for
    words to the embedding, it is left out too, unless it holds something else.

    Args:
        folder: path of the checkpoint.
        config: a `FalconConfig`.
        tie: whether a head that holds something else is left out as well.
    """
    with _open_files(folder) as tensors:
        if not any(name.startswith("transformer.") for name in tensors):
            # Saved by transformers' `FalconModel`, which has no head and so no prefix.
            tensors = {
                name if OTHER_HEADS.match(name) or name == HEAD else f"transformer.{name}": tensor
                for name, tensor in tensors.items()
            }
        tensors = {name: tensor for name, tensor in tensors.items() if not IGNORED.search(name)}
        if heads := sorted(name for name in tensors if OTHER_HEADS.match(name)):
            warn_user(
                f"{folder} is a classifier: its head is not loaded, only the Falcon below it. "
                f"Left out: {listed(heads)}.{_no_words(config, tensors)}"
            )
        if config.tie_word_embeddings and HEAD in tensors and EMBEDDING not in tensors:
            tensors[EMBEDDING] = tensors.pop(HEAD)  # tied, so that one of the two is enough
        elif config.tie_word_embeddings and HEAD in tensors and (tie or _is_head_tied(tensors)):
            del tensors[HEAD]
        yield {name: tensor for name, tensor in tensors.items() if name not in heads}


def has_own_head(tensors):
    """True if a checkpoint has a head for words that is not the embedding."""
    return HEAD in tensors


def _no_words(config, tensors):
    if config.tie_word_embeddings or HEAD in tensors:
        return ""
    return " It has no head for words either: load it with `tie_word_embeddings=True`."


def _is_head_tied(tensors):
    head, embedding = tensors[HEAD], tensors[EMBEDDING]
    if head.shape != embedding.shape or {head.dtype, embedding.dtype} - {*FLOATS}:
        return False
    one, other = head.read(), embedding.read()
    if one.__array_interface__ == other.__array_interface__:
        return True  # PyTorch's files have both, in one place
    rows = range(0, len(one), ROWS)
    return all(np.array_equal(one[i : i + ROWS], other[i : i + ROWS]) for i in rows)


def _open_files(folder):
    """Open safetensors where they are there, else PyTorch's own files, as Falcon-RW-1B has them."""
    if any(file_in(folder, name) for name in (SINGLE, INDEX)):
        return open_safetensors(folder)
    if any(file_in(folder, name) for name in (pytorch_files.SINGLE, pytorch_files.INDEX)):
        return pytorch_files.open_pytorch(folder)
    return open_safetensors(folder)  # which says what is missing


def write_backbone(folder, backbone, tokenizer=None, max_shard_size=5):
    """Write `config.json`, `generation_config.json` and the weights; LoRA is merged.

    Args:
        folder: path of an empty folder.
        backbone: a `FalconBackbone`.
        tokenizer: a `FalconTokenizer`, for the ids of special tokens, or `None`.
        max_shard_size: largest size of one weight file in gigabytes.
    """
    tensors = {entry.name: _tensor(backbone, entry) for entry in weight_table(backbone.config)}
    config = to_transformers(backbone.config)
    start, ends = None, []
    if tokenizer is not None:
        start, ends = tokenizer.start_token_id, tokenizer.end_token_ids
    special = {"bos_token_id": start, "eos_token_id": ends if len(ends) > 1 else [None, *ends][-1]}
    dtype = tensors[EMBEDDING].dtype
    write_json(folder, "config.json", {**config, **special, "dtype": dtype})
    if tokenizer is not None:
        write_json(folder, "generation_config.json", {"_from_model_config": True, **special})
    write_safetensors(folder, tensors, max_shard_size)


def _tensor(backbone, entry):
    dtype = str(find_weight(backbone, entry.weights[0]).dtype)

    def read():
        return entry.join([weight_value(backbone, path) for path in entry.weights])

    return Tensor(entry.shape, dtype, read)

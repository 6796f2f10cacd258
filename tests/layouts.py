"""The layouts of the family, as data; tiny models of them, what they are fed, how they compare."""

from dataclasses import asdict
from unittest import mock

from falcon_edu import FalconBackbone

import keras
import numpy as np
from keras.initializers import RandomNormal, Zeros

# No two of these numbers are equal, so that a swapped axis is an error and not a coincidence.
SIZES = {
    "vocabulary_size": 40,
    "num_layers": 2,
    "num_attention_heads": 4,
    "hidden_dim": 48,
    "intermediate_dim": 80,
}
ROPE = {"position_encoding": "rope", "use_bias": False, "parallel_attention": True}

LAYOUTS = {
    "rw": {},
    "rw_12_heads": {"num_attention_heads": 12},  # no power of two; bfloat16 can't hold its slopes
    "rw_parallel": {"parallel_attention": True},
    "7b": {**ROPE, "num_attention_heads": 6, "num_key_value_heads": 1},
    "40b": {
        **ROPE,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "num_parallel_layer_norms": 2,
    },
    "falcon2_11b": {
        **ROPE,
        "num_key_value_heads": 2,
        "rope_max_wavelength": 500_042,
        "tie_word_embeddings": False,
    },
    # No published Falcon, but the arguments allow them.
    "grouped_alibi_sequential": {"num_attention_heads": 6, "num_key_value_heads": 3},
    "rope_bias_sequential": {"position_encoding": "rope"},
}

# The published checkpoints: their arguments, and their parameters as transformers counts them.
EIGHT = {"num_key_value_heads": 8}
CHECKPOINTS = {
    name: ({**LAYOUTS[layout], **dict(zip(SIZES, sizes, strict=True)), **more}, count)
    for name, layout, sizes, more, count in [
        ("falcon-rw-1b", "rw", (50304, 24, 32, 2048, 8192), {}, 1_311_625_216),
        ("falcon-7b", "7b", (65024, 32, 71, 4544, 18176), {}, 6_921_720_704),
        ("falcon-40b", "40b", (65024, 60, 128, 8192, 32768), EIGHT, 41_303_293_952),
        ("falcon-180b", "40b", (65024, 80, 232, 14848, 59392), EIGHT, 178_557_088_768),
        ("falcon2-11b", "falcon2_11b", (65024, 60, 32, 4096, 16384), EIGHT, 11_102_822_400),
    ]
}

REAL_TOKENS = {  # number of real tokens in each of two sequences of 7, and where padding stands
    "no": ((7, 7), "right"),
    "right": ((7, 4), "right"),
    "left": ((7, 4), "left"),
}


def inputs(padding="no", seed=0):
    """Token ids and a padding mask, `(2, 7)`; the real tokens are the same for right and left."""
    lengths, side = REAL_TOKENS[padding]
    tokens = np.random.default_rng(seed).integers(0, SIZES["vocabulary_size"], (2, 7))
    mask = np.arange(7)[None, :] < np.array(lengths)[:, None]
    if side == "left":
        tokens = np.stack([np.roll(row, 7 - n) for row, n in zip(tokens, lengths, strict=True)])
        mask = mask[:, ::-1]
    return {"token_ids": tokens.astype("int32"), "padding_mask": mask.astype("int32")}


def build(layout="rw", seed=0, **overrides):
    """A tiny backbone of a layout, with random weights that leave no mistake invisible."""
    with zeros_for_random_weights():
        backbone = FalconBackbone(**{**SIZES, **LAYOUTS[layout], **overrides})
    randomize(backbone, seed)
    return backbone


def zeros_for_random_weights():
    """Saves most of the time of making a model whose weights are then set: a compilation each."""
    return mock.patch.object(RandomNormal, "__call__", Zeros.__call__)


def randomize(backbone, seed=0):
    """Norms and biases count as much as kernels do, and attention is far from uniform."""
    random = np.random.default_rng(seed)
    for variable in backbone.weights:
        value = random.normal(size=variable.shape)
        if variable.name == "gamma":
            value = 1 + 0.3 * value
        elif variable.name in ("beta", "bias"):
            value = 0.3 * value
        elif "kernel" in variable.name:
            value = value / np.sqrt(variable.shape[0])
        if "query_dense" in variable.path or "key_dense" in variable.path:
            value = 1.2 * value
        variable.assign(value.astype(variable.dtype))


def read(backbone, inputs):
    """Everything that `tests/reference.py` computes, computed by the package; float64 arrays."""
    hidden_states, attention_weights = backbone.hidden_states, backbone.attention_weights
    reader = keras.Model(backbone.input, [*hidden_states, *attention_weights, backbone.output])
    *states_and_weights, output = reader(inputs)
    logits = backbone.token_embedding(output, reverse=True)
    states_and_weights = [to_float64(x) for x in states_and_weights]
    return {
        "hidden_states": states_and_weights[: len(hidden_states)],
        "attention_weights": states_and_weights[len(hidden_states) :],
        "output": to_float64(output),
        "logits": to_float64(logits),
    }


def reference_weights(backbone):
    """The weights of a backbone, under the names of `tests/reference.py`."""
    weights = {"token_embedding": backbone.token_embedding.embeddings}
    if not backbone.tie_word_embeddings:
        weights["head"] = backbone.token_embedding.reverse_embeddings

    def add_norm(name, layer):
        weights[f"{name}.scale"], weights[f"{name}.shift"] = layer.gamma, layer.beta

    def add_dense(name, layer):
        weights[name] = layer.kernel
        if backbone.use_bias:
            weights[f"{name}.bias"] = layer.bias

    add_norm("final_norm", backbone.final_layernorm)
    for i, block in enumerate(backbone.transformer_layers):
        add_norm(f"{i}.norm", block.input_layernorm)
        if hasattr(block, "post_attention_layernorm"):
            add_norm(f"{i}.mlp_norm", block.post_attention_layernorm)
        if hasattr(block, "mlp_layernorm"):
            add_norm(f"{i}.mlp_norm", block.mlp_layernorm)
        for name in ("query", "key", "value", "output"):
            add_dense(f"{i}.{name}", getattr(block.attention_layer, f"{name}_dense"))
        add_dense(f"{i}.up", block.dense_h_to_4h)
        add_dense(f"{i}.down", block.dense_4h_to_h)
    return {name: to_float64(variable) for name, variable in weights.items()}


def reference_config(backbone):
    """The arguments of a backbone, all of them, as `tests/reference.py` takes them."""
    return asdict(backbone.config)


def difference(ours, theirs, padding_mask, name):
    """The largest difference at real tokens, relative to the root mean square of the values there.

    Args:
        ours, theirs: dictionaries as from `read`.
        padding_mask: `(b, t)`, true at real tokens.
        name: `"hidden_states"`, `"attention_weights"`, `"output"` or `"logits"`.
    """
    listed = isinstance(theirs[name], list)
    pairs = zip(ours[name], theirs[name], strict=True) if listed else [(ours[name], theirs[name])]
    worst = 0
    for pair in pairs:
        a, b = (real_tokens(x, padding_mask) for x in pair)
        worst = max(worst, np.abs(a - b).max() / np.sqrt(np.mean(b**2)))
    return worst


def real_tokens(x, padding_mask):
    """The part of `(b, t, ...)`, or of attention weights `(b, n, q, k)`, that is of real tokens."""
    if x.ndim == 4:
        x = np.moveaxis(x, 2, 1)  # (b, q, n, k)
    return x[np.asarray(padding_mask, bool)]


def to_float64(x):
    return np.asarray(keras.ops.convert_to_tensor(x)).astype("float64")

"""The weights of a Falcon as matrices, head by head, for what is computed from weights alone."""

from falcon_edu.presets.weights import weight_value

import numpy as np


def unembedding(backbone):
    """Return the output head, `(m, v)`: the embedding turned, or a head of its own."""
    _refuse_eight_bits(backbone)
    if backbone.config.tie_word_embeddings:
        return weight_value(backbone, "token_embedding.embeddings").T.astype("float32")
    return weight_value(backbone, "token_embedding.reverse_embeddings").astype("float32")


def projection(backbone, layer, name):
    """Return the kernel of a projection of attention for each query head, and its bias.

    Args:
        backbone: a `FalconBackbone`, whose LoRA counts as merged.
        layer: index of the block.
        name: `"query"`, `"key"`, `"value"` or `"output"`.

    Returns:
        kernel `(n, m, h)`, of `"output"` `(n, h, m)`, and bias `(n, h)`, of `"output"` `(m,)`.
        Heads that share keys and values have the same ones.
    """
    _refuse_eight_bits(backbone)
    config = backbone.config
    path = f"transformer_layers.{layer}.attention_layer.{name}_dense"
    kernel = weight_value(backbone, f"{path}.kernel").astype("float32")
    shape = (config.hidden_dim,) if name == "output" else kernel.shape[1:]
    bias = np.zeros(shape, "float32")
    if config.use_bias:
        bias = weight_value(backbone, f"{path}.bias").astype("float32")
    if name == "output":
        return kernel.reshape(-1, config.head_dim, config.hidden_dim), bias
    shared = config.num_attention_heads // kernel.shape[1]
    return np.repeat(np.moveaxis(kernel, 1, 0), shared, axis=0), np.repeat(bias, shared, axis=0)


def norm_before_attention(backbone, layer):
    """Return gamma and beta of the norm that a block's attention reads, both `(m,)`."""
    path = f"transformer_layers.{layer}.input_layernorm"
    return tuple(weight_value(backbone, f"{path}.{name}") for name in ("gamma", "beta"))


def _refuse_eight_bits(backbone):
    if any(layer.quantization_mode for layer in backbone._flatten_layers()):
        raise ValueError(
            "This reads weights as floats, and these have been rounded to eight bits. Use the "
            "model as it was before."
        )

"""Solutions to notebook 13: the Falcon family."""

import numpy as np


def key_of(head, heads, groups):
    return head // (heads // groups)


def join(query, key, value):
    n, h, m = query.shape
    g = len(key)
    groups = [query.reshape(g, n // g, h, m), key[:, None], value[:, None]]
    return np.concatenate(groups, axis=1).reshape((n + 2 * g) * h, m)


def pool(kernel, groups):
    m, n, h = kernel.shape
    return kernel.reshape(m, groups, n // groups, h).mean(axis=2)


def detect(shapes, heads):
    hidden_dim = shapes["transformer.word_embeddings.weight"][1]
    block = "transformer.h.0."
    rows = shapes[f"{block}self_attention.query_key_value.weight"][0]
    return {
        "hidden_dim": hidden_dim,
        "num_layers": len({name.split(".")[2] for name in shapes if ".h." in name}),
        "num_key_value_heads": (rows // (hidden_dim // heads) - heads) // 2,
        "parallel_attention": f"{block}post_attention_layernorm.weight" not in shapes,
        "num_parallel_layer_norms": 2 if f"{block}ln_mlp.weight" in shapes else 1,
        "use_bias": f"{block}self_attention.query_key_value.bias" in shapes,
        "tie_word_embeddings": "lm_head.weight" not in shapes,
    }

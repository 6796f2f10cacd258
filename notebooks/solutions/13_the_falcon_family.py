"""Solutions to notebook 13: the Falcon family."""

import numpy as np


# 13.1: `heads // groups` neighbours share a key, so the index is divided by that and rounded
# down. `head % groups` would have the heads take turns, and `head // groups` takes the number of
# groups for the size of one.
def key_of(head, heads, groups):
    return head // (heads // groups)


# 13.2: In a 40B the rows come group by group: its queries, its key, its value. So the queries are
# cut into groups, key and value get an axis for the one head that they have in each, and all
# three are joined along it. All queries, then all keys, then all values has the right shape, too,
# and no loader can see that it is wrong.
def join(query, key, value):
    n, h, m = query.shape
    g = len(key)
    groups = [query.reshape(g, n // g, h, m), key[:, None], value[:, None]]
    return np.concatenate(groups, axis=1).reshape((n + 2 * g) * h, m)


# 13.3: Neighbours share, so `n` heads are cut into groups of `n // groups`, and the mean is taken
# within each. Cut the other way, into `n // groups` by `groups`, it would mix heads that lie far
# apart. A sum would make all keys and values too large.
def pool(kernel, groups):
    m, n, h = kernel.shape
    return kernel.reshape(m, groups, n // groups, h).mean(axis=2)


# 13.4: The fused matrix has `n + 2 g` heads' worth of rows, and the width of a head is
# `hidden_dim / heads`, so `g` follows. Layers are counted as different numbers, cut out of the
# names at the dots: a single digit would take layer 10 for layer 1. Each switch is a name that is
# there or isn't.
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

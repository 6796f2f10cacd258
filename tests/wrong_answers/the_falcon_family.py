"""What learners plausibly answer in notebook 13, and should not get away with."""

import numpy as np


def by_group(*order, stride=False):
    """Joins group by group, in some order of queries, key and value."""

    def answer(query, key, value):
        n, h, m = query.shape
        g = len(key)
        queries = query.reshape(n // g, g, h, m).swapaxes(0, 1) if stride else None
        parts = {
            "q": query.reshape(g, n // g, h, m) if queries is None else queries,
            "k": key[:, None],
            "v": value[:, None],
        }
        return np.concatenate([parts[what] for what in order], axis=1).reshape(-1, m)

    return answer


def grouped(kernel, g):
    m, n, h = kernel.shape
    return kernel.reshape(m, g, n // g, h)


def found(**changed):
    """The right dictionary, with some entries found in another way."""

    def answer(shapes, heads):
        m = shapes["transformer.word_embeddings.weight"][1]
        block = "transformer.h.0."
        rows = shapes[f"{block}self_attention.query_key_value.weight"][0]
        right = {
            "hidden_dim": m,
            "num_layers": len({name.split(".")[2] for name in shapes if ".h." in name}),
            "num_key_value_heads": (rows // (m // heads) - heads) // 2,
            "parallel_attention": f"{block}post_attention_layernorm.weight" not in shapes,
            "num_parallel_layer_norms": 2 if f"{block}ln_mlp.weight" in shapes else 1,
            "use_bias": f"{block}self_attention.query_key_value.bias" in shapes,
            "tie_word_embeddings": "lm_head.weight" not in shapes,
        }
        return {**right, **{key: find(shapes, heads, right) for key, find in changed.items()}}

    return answer


WRONG = {
    "key_of": {
        "in turn": lambda head, heads, groups: head % groups,
        "groups as shares": lambda head, heads, groups: head // groups,
        "not rounded": lambda head, heads, groups: head * groups / heads,
        "always the first": lambda head, heads, groups: 0,
    },
    "join": {
        "all queries first": lambda q, k, v: np.concatenate([q, k, v]).reshape(-1, q.shape[-1]),
        "heads far apart share": by_group("q", "k", "v", stride=True),
        "values before keys": by_group("q", "v", "k"),
        "queries last": by_group("k", "v", "q"),
        "not flat": lambda q, k, v: np.concatenate([q, k, v]),
    },
    "pool": {
        "sum": lambda kernel, g: grouped(kernel, g).sum(2),
        "heads far apart": lambda kernel, g: kernel.reshape(
            len(kernel), -1, g, kernel.shape[2]
        ).mean(1),
        "only the first head": lambda kernel, g: grouped(kernel, g)[:, :, 0],
        "not fewer heads": lambda kernel, g: np.repeat(
            grouped(kernel, g).mean(2), kernel.shape[1] // g, axis=1
        ),
        "over the wrong axis": lambda kernel, g: grouped(kernel, g).mean(3),
        "groups of that size": lambda kernel, g: grouped(kernel, kernel.shape[1] // g).mean(2),
    },
    "detect": {
        "norms always counted": found(
            num_parallel_layer_norms=lambda s, n, r: 1 if r["parallel_attention"] else 2
        ),
        "every head its own key": found(num_key_value_heads=lambda s, n, r: n),
        "layers up to nine": found(
            num_layers=lambda s, n, r: len({name[14] for name in s if ".h." in name})
        ),
        "the last index": found(num_layers=lambda s, n, r: r["num_layers"] - 1),
        "parallel if two norms": found(
            parallel_attention=lambda s, n, r: r["num_parallel_layer_norms"] == 2
        ),
        "always tied": found(tie_word_embeddings=lambda s, n, r: True),
        "only the dimensions": lambda shapes, heads: {
            key: found()(shapes, heads)[key] for key in ("hidden_dim", "num_layers")
        },
    },
}

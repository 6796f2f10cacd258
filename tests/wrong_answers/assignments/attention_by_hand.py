"""What learners plausibly answer in assignment 1, with the points that it should get.

`{task: {what is wrong: (points, old, new, ...)}}`: in the cell of the solution, `old` becomes
`new`; with `None` for old, all of the solution.
"""

WRONG = {
    "softmax": {
        "the largest is not subtracted": (
            1,
            "scores - scores.max(axis=-1, keepdims=True)",
            "scores",
        ),
        "over the first axis": (0, "axis=-1", "axis=0"),
        "over everything": (0, "(axis=-1, keepdims=True)", "()"),
        "no exp": (0, "np.exp(scores - scores.max(axis=-1, keepdims=True))", "scores"),
    },
    "masked_softmax": {
        "hidden after the softmax": (
            1,
            None,
            "powers = np.exp(scores - scores.max(axis=-1, keepdims=True))\n"
            "return mask * powers / powers.sum(axis=-1, keepdims=True)",
        ),
        "minus infinity": (
            2,
            None,
            "scores = np.where(mask, scores, -np.inf)\n"
            "powers = np.exp(scores - scores.max(axis=-1, keepdims=True))\n"
            "return powers / powers.sum(axis=-1, keepdims=True)",
        ),
        "a row of nothing is shared evenly": (2, " * mask", ""),
        "hides by a zero": (0, "scores, -1e30)", "scores, 0)", " * mask", ""),
        "the mask upside down": (0, "np.where(mask,", "np.where(~mask,", " * mask", " * ~mask"),
    },
    "attention_mask": {
        "the queries are the first tokens": (2, "keys - queries, keys", "queries"),
        "not itself": (0, "<=", "<"),
        "looks ahead": (0, "<=", ">="),
        "padding is seen": (2, " & is_real[:, None, :]", " & (is_real[:, None, :] | True)"),
        "only causal": (0, "(key <= query)[None] & is_real[:, None, :]", "key <= query"),
    },
    "attend": {
        "not scaled": (1, " / np.sqrt(h)", ""),
        "scaled by h": (1, "np.sqrt(h)", "h"),
        "the mask is forgotten": (2, "mask[:, None]", "np.ones_like(mask[:, None])"),
        "only the output": (0, "value), weights", "value)"),
        "weights of queries": (0, '"bqnh,bknh->bnqk"', '"bknh,bqnh->bnqk"'),
        "keys are not shared": (
            3,
            "np.broadcast_to(key, (*key.shape[:2], n, h))",
            "np.pad(key, [(0, 0), (0, 0), (0, n - key.shape[2]), (0, 0)])",
            "np.broadcast_to(value, (*value.shape[:2], n, h))",
            "np.pad(value, [(0, 0), (0, 0), (0, n - value.shape[2]), (0, 0)])",
        ),
    },
    "part_of_attention": {
        "the total of plain exps": (1, "largest, powers.sum()", "largest, np.exp(scores).sum()"),
        "not scaled": (0, " / np.sqrt(len(query))", ""),
        "not divided": (1, "powers @ value / powers.sum()", "powers @ value"),
        "overflows": (0, "np.exp(scores - largest)", "np.exp(scores)"),
    },
    "merge": {
        "the mean": (
            0,
            None,
            "return (first[0] + second[0]) / 2, max(first[1], second[1]), first[2] + second[2]",
        ),
        "totals are not rescaled": (0, " * np.exp(top - largest)", ""),
        "the total is forgotten": (0, "total * np.exp(top", "np.exp(top"),
        "overflows": (
            1,
            "np.exp(top - largest)",
            "np.exp(top)",
            "/ total, largest, total",
            "/ total, largest, total * np.exp(-largest)",
        ),
        "one total": (1, "/ total, largest, total", "/ total, largest, first[2]"),
    },
    "copying_head": {
        "looks at the earlier place": (0, "W_key[v:]", "W_key[:v]"),
        "looks at what was before": (0, "W_query[:v]", "W_query[v:]", "W_key[v:]", "W_key[:v]"),
        "not sure enough": (0, "20 * np.sqrt(v) * ", ""),
        "hands over what was before": (2, "W_value[:v]", "W_value[v:]"),
        "hands over nothing": (2, "W_value[:v] = np.eye(v)", "W_value[:v] = 0"),
    },
}

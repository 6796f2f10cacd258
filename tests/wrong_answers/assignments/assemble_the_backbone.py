"""What learners plausibly answer in assignment 3, with the points that it should get.

As in `attention_by_hand.py`: `{task: {what is wrong: (points, old, new, ...)}}`.
"""

WRONG = {
    "Norm": {
        "epsilon outside the root": (2, "ops.sqrt(variance + 1e-5)", "(ops.sqrt(variance) + 1e-5)"),
        "no epsilon": (2, "variance + 1e-5", "variance"),
        "no mean": (0, "x - ops.mean(x, axis=-1, keepdims=True)", "x"),
        "no shift": (2, "self.gamma + self.beta", "self.gamma"),
        "over the first axis": (0, "axis=-1", "axis=0"),
    },
    "Attention": {
        "no mask": (1, "ops.where(np.tri(t, dtype=bool), scores, -1e30)", "scores"),
        "no ALiBi": (2, "scores + slopes[:, None, None] * np.arange(t)", "scores"),
        "the bias is not scaled": (
            2,
            "(scores + slopes[:, None, None] * np.arange(t)) / np.sqrt(h)",
            "scores / np.sqrt(h) + slopes[:, None, None] * np.arange(t)",
        ),
        "no biases": (1, '"bias_axes": "nh"', '"bias_axes": None'),
        "slopes from one": (2, "np.arange(1, n + 1)", "np.arange(n)"),
    },
    "Block": {
        "not added": (1, "x + self.down", "self.down"),
        "the MLP reads what attention read": (
            1,
            "x = x + self.attention(self.norm1(x))\n        return x",
            "return x + self.attention(self.norm1(x))",
        ),
        "relu": (1, "keras.activations.gelu", "keras.activations.relu"),
        "no activation": (1, ", activation=keras.activations.gelu", ""),
        "normed after": (1, "self.attention(self.norm1(x))", "self.norm1(self.attention(x))"),
    },
    "Model": {
        "no final norm": (1, "self.norm(x)", "x"),
        "one block only": (1, "range(layers)", "range(1)"),
        "the stream instead of logits": (
            0,
            'ops.einsum("btm,vm->btv", self.norm(x), self.embedding.embeddings)',
            "self.norm(x)",
        ),
        "another output table": (
            1,
            "self.norm = Norm()",
            "self.norm, self.head = Norm(), keras.layers.Dense(vocabulary, use_bias=False)",
            'ops.einsum("btm,vm->btv", self.norm(x), self.embedding.embeddings)',
            "self.head(self.norm(x))",
        ),
    },
    "load_weights": {
        "by order": (0, "[arrays[name] for name in names]", "list(arrays.values())"),
        "says nothing of leftovers": (3, "if missing or extra", "if missing"),
        "names nothing": (2, 'f"Missing: {missing}. Without a place: {extra}."', '"wrong arrays"'),
        "query and key are swapped": (
            2,
            '("query", "key", "value", "output")',
            '("key", "query", "value", "output")',
        ),
    },
}

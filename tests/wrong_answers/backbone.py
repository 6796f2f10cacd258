"""Plausible wrong answers to the exercises of 06_backbone."""

from pathlib import Path

from falcon_edu.course.checks.backbone import _numpy_7b

import keras
import numpy as np

SOLUTION = (Path(__file__).parents[2] / "notebooks/solutions/06_backbone.py").read_text()


def _per_token(layers, g, h, size, sequences=1, kept=2):
    return kept * layers * g * h * size * sequences


def _count(v, layers, heads, m, f, *, head=1, norms=1, biases=0, final=1, shared=True, matrices=2):
    h = m // heads
    key_value = 2 * m * (h if shared else m)
    bias = biases * (3 * m + 2 * h + f)
    block = 2 * m * m + key_value + matrices * m * f + norms * 2 * m + bias
    return head * v * m + layers * block + final * 2 * m


def _with(mistake):
    return lambda w, ids, layers, heads: _numpy_7b(w, ids, layers, heads, mistake)


def _epsilon(old, new):
    """The solution, with another epsilon in its norms."""
    names = {}
    exec(SOLUTION.replace(old, new), names)
    return names["falcon_7b"]


def _model(backbone, x):
    return keras.Model(backbone.input, x)


WRONG = {
    "longest_text": {
        "keys only": lambda memory, w, n, g, h, s, b: (
            max(memory - w, 0) // _per_token(n, g, h, s, b, kept=1)
        ),
        "no weights": lambda memory, w, n, g, h, s, b: memory // _per_token(n, g, h, s, b),
        "one sequence": lambda memory, w, n, g, h, s, b: (
            max(memory - w, 0) // _per_token(n, g, h, s)
        ),
        "not rounded": lambda memory, w, n, g, h, s, b: (
            max(memory - w, 0) / _per_token(n, g, h, s, b)
        ),
        "rounded up": lambda memory, w, n, g, h, s, b: (
            -(-max(memory - w, 0) // _per_token(n, g, h, s, b))
        ),
        "less than nothing": lambda memory, w, n, g, h, s, b: (
            (memory - w) // _per_token(n, g, h, s, b)
        ),
    },
    "parameters_7b": {
        "no final norm": lambda *a: _count(*a, final=0),
        "an untied head": lambda *a: _count(*a, head=2),
        "two norms": lambda *a: _count(*a, norms=2),
        "biases": lambda *a: _count(*a, biases=1),
        "a key for each head": lambda *a: _count(*a, shared=False),
        "the MLP once": lambda *a: _count(*a, matrices=1),
        "no embedding": lambda *a: _count(*a, head=0),
    },
    "lens": {
        "no final norm": lambda b, k: _model(
            b, b.token_embedding(b.hidden_states[k], reverse=True)
        ),
        "no head": lambda b, k: _model(b, b.final_layernorm(b.hidden_states[k])),
        "the stream itself": lambda b, k: _model(b, b.hidden_states[k]),
        "always the end": lambda b, k: _model(b, b.token_embedding(b.output, reverse=True)),
        "counted from the end": lambda b, k: _model(
            b, b.token_embedding(b.final_layernorm(b.hidden_states[-1 - k]), reverse=True)
        ),
        "no model": lambda b, k: b.token_embedding(
            b.final_layernorm(b.hidden_states[k]), reverse=True
        ),
    },
    "falcon_7b": {
        "no rotation": _with("no rotation"),
        "neighbours are pairs": _with("neighbours"),
        "sequential": _with("sequential"),
        "no final norm": _with("no norm"),
        "values rotated": _with("values"),
        "GELU by tanh": _with("tanh"),
        "no epsilon": _epsilon(" + 1e-5", ""),
        "a smaller epsilon": _epsilon("1e-5", "1e-6"),
        "epsilon outside the root": _epsilon(
            "np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5)",
            "(np.sqrt((x**2).mean(axis=-1, keepdims=True)) + 1e-5)",
        ),
        "no causal mask": _with("no mask"),
        "only the last logits": lambda *a: np.asarray(_numpy_7b(*a, mistake=None))[-1],
        "the stream": lambda w, ids, layers, heads: w["token_embedding/embeddings"][ids],
    },
}

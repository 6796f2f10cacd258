"""Plausible wrong answers to the exercises of 05_decoder_block."""

import math

import jax
import numpy as np

A = math.sqrt(2 / math.pi)


def _gelu(x):
    return x / 2 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def _fires(x, up, up_bias):
    return _gelu(x @ up + up_bias)


def _probe(returned):
    """A probe of the layout whose attention returns the same thing each time."""

    def layout(block):
        x = np.random.default_rng(1).normal(size=(3, 8))
        seen = {}

        def attention(normed):
            seen["attention"] = normed
            return returned * np.ones_like(normed)

        def mlp(normed):
            seen["mlp"] = normed
            return np.zeros_like(normed)

        block(x, attention, mlp)
        same = np.allclose(seen["attention"], seen["mlp"])
        return "parallel" if same else "parallel, two norms"

    return layout


def _by_inputs_only(block):
    """Takes any difference between the two inputs for a sequential block."""
    seen = []
    rng = np.random.default_rng(1)

    def half(normed):
        seen.append(normed)
        return rng.normal(size=normed.shape)

    block(rng.normal(size=(3, 8)), half, half)
    return "parallel" if np.allclose(*seen) else "sequential"


def _by_order(block):
    """Takes the order of the calls for the order of the data."""
    calls = []

    def attention(normed):
        calls.append("attention")
        return normed

    def mlp(normed):
        calls.append("mlp")
        return normed

    block(np.ones((3, 8)), attention, mlp)
    return "sequential" if calls == ["attention", "mlp"] else "parallel"


WRONG = {
    "gelu_tanh": {
        "the exact one": _gelu,
        "no root of 2 / pi": lambda x: 0.5 * x * (1 + np.tanh(x + 0.044715 * x**3)),
        "no cubic term": lambda x: 0.5 * x * (1 + np.tanh(A * x)),
        "no 1": lambda x: 0.5 * x * np.tanh(A * (x + 0.044715 * x**3)),
        "no half": lambda x: x * (1 + np.tanh(A * (x + 0.044715 * x**3))),
        "sigmoid": lambda x: x / (1 + np.exp(-1.702 * x)),
        "a square for the cube": lambda x: 0.5 * x * (1 + np.tanh(A * (x + 0.044715 * x**2))),
        "ReLU": lambda x: np.maximum(x, 0),
    },
    "neuron_writes": {
        "signed": lambda x, up, b, down: _fires(x, up, b) * np.linalg.norm(down, axis=1),
        "GELU by tanh": lambda x, up, b, down: (
            abs(jax.nn.gelu(x @ up + b)) * np.linalg.norm(down, axis=1)
        ),
        "no lengths": lambda x, up, b, down: abs(_fires(x, up, b)),
        "no GELU": lambda x, up, b, down: abs(x @ up + b) * np.linalg.norm(down, axis=1),
        "no bias": lambda x, up, b, down: abs(_gelu(x @ up)) * np.linalg.norm(down, axis=1),
        "what is read": lambda x, up, b, down: abs(_fires(x, up, b)) * np.linalg.norm(up, axis=0),
        "squares": lambda x, up, b, down: abs(_fires(x, up, b)) * (down**2).sum(axis=1),
        "the sum over neurons": lambda x, up, b, down: _fires(x, up, b) @ down,
        "one number a neuron": lambda x, up, b, down: np.linalg.norm(down, axis=1),
    },
    "one_product": {
        "a product each": lambda x, kernels: [x @ kernel for kernel in kernels],
        "not cut": lambda x, kernels: x @ np.concatenate(kernels, axis=1),
        "cut into equal parts": lambda x, kernels: np.array_split(
            x @ np.concatenate(kernels, axis=1), len(kernels), axis=1
        ),
        "cut at the widths": lambda x, kernels: np.split(
            x @ np.concatenate(kernels, axis=1),
            [kernel.shape[1] for kernel in kernels][:-1],
            axis=1,
        ),
        "the last place is one too many": lambda x, kernels: np.split(
            x @ np.concatenate(kernels, axis=1),
            np.cumsum([kernel.shape[1] for kernel in kernels]),
            axis=1,
        ),
        "the wrong order": lambda x, kernels: np.split(
            x @ np.concatenate(kernels[::-1], axis=1),
            np.cumsum([kernel.shape[1] for kernel in kernels[::-1]])[:-1],
            axis=1,
        ),
    },
    "layout": {
        "attention returns zeros": _probe(0),
        "attention returns ones": _probe(1),
        "any difference is sequential": _by_inputs_only,
        "the order of the calls": _by_order,
        "always sequential": lambda block: "sequential",
        "another word": lambda block: "serial",
    },
}

"""Solutions to notebook 05: the decoder block."""

import math

import numpy as np


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def neuron_writes(x, up, up_bias, down):
    hidden = x @ up + up_bias  # (t, f)
    fires = hidden / 2 * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2)))
    return abs(fires) * np.linalg.norm(down, axis=1)  # (t, f) * (f,)


def one_product(x, kernels):
    widths = [kernel.shape[1] for kernel in kernels]
    wide = x @ np.concatenate(kernels, axis=1)
    return np.split(wide, np.cumsum(widths)[:-1], axis=1)


def layout(block):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 8))
    seen = {"attention": [], "mlp": []}

    def attention(normed):
        seen["attention"].append(normed)
        return rng.normal(size=normed.shape)  # something else each time

    def mlp(normed):
        seen["mlp"].append(normed)
        return np.zeros_like(normed)

    for _ in range(2):
        block(x, attention, mlp)
    if not np.allclose(*seen["mlp"]):
        return "sequential"
    if np.allclose(seen["attention"][0], seen["mlp"][0]):
        return "parallel"
    return "parallel, two norms"

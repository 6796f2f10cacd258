"""Solutions to notebook 05: the decoder block."""

import math

import numpy as np


# 5.1: GELU is x times the share $\Phi(x)$, and half of `1 + tanh(...)` is a curve very near to
# $\Phi$, with 0.0005 as the largest error of the product. The cubic term bends it where x is
# larger; without it the error is 0.03. The exact formula with `erf` is no answer here: the
# stand-in was asked for.
def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


# 5.2: A neuron adds its activation times its own row of `down`, and that vector is as long as the
# size of the activation times the length of the row. The size, because below 0 GELU is a little
# negative, and a length is not. The columns of `up` say what a neuron reads, not what it writes.
def neuron_writes(x, up, up_bias, down):
    hidden = x @ up + up_bias  # (t, f)
    fires = hidden / 2 * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2)))
    return abs(fires) * np.linalg.norm(down, axis=1)  # (t, f) * (f,)


# 5.3: Each column of a product comes from one column of the right matrix, so matrices side by
# side give their products side by side. `np.split` wants the places to cut at, which are the
# running sums of the widths, without the last. Equal parts, or cuts at the widths themselves, are
# right only for some widths.
def one_product(x, kernels):
    widths = [kernel.shape[1] for kernel in kernels]
    wide = x @ np.concatenate(kernels, axis=1)
    return np.split(wide, np.cumsum(widths)[:-1], axis=1)


# 5.4: The block runs twice on one `x`, and the attention that it gets returns something else the
# second time. Only in a sequential block does the MLP then read something else. In a parallel one
# it reads what attention reads, or its own norm of it, so the two are compared next. An attention
# that returns zeros or ones shows nothing: zeros change no stream, and a norm takes away what is
# added to all places alike.
def layout(block):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 8))
    seen = {"attention": [], "mlp": []}

    def attention(read):
        seen["attention"].append(read)
        return rng.normal(size=read.shape)  # something else each time

    def mlp(read):
        seen["mlp"].append(read)
        return np.zeros_like(read)

    for _ in range(2):
        block(x, attention, mlp)
    if not np.allclose(*seen["mlp"]):
        return "sequential"
    if np.allclose(seen["attention"][0], seen["mlp"][0]):
        return "parallel"
    return "parallel, two norms"

"""Solutions to notebook 02: residual stream and layer norm."""

import falcon_edu

import numpy as np


# 2.1: The mean of the squares stands where the variance stood, one for each token, so it is taken
# over the last axis, and nothing is subtracted. Epsilon is added under the root: added behind it,
# it gives another number, and a very different one where `x` is small.
def rms_norm(x, gamma, epsilon):
    squares = (x**2).mean(axis=-1, keepdims=True)
    return x / np.sqrt(squares + epsilon) * gamma


# 2.2: The norm takes the mean away, so it does not see a number that is added to all places
# alike; a vector of ones has a length of $\sqrt{m}$. It divides by the deviation, too, so
# `x - x.mean()` may be added any number of times. Any other direction turns what is left, and
# `-2 * x` turns its sign.
def unseen_write(x):
    return np.ones_like(x)  # 7 * (x - x.mean()) would do as well


# 2.3: `gamma` multiplies the inputs of the matrix, which are the rows of the kernel: hence
# `gamma[:, None]`. `beta` is added behind `gamma`, so it goes through the *old* kernel, and what
# comes out joins the bias. Through the new kernel it would be multiplied by `gamma` as well.
def fold_norm(gamma, beta, kernel, bias):
    return gamma[:, None] * kernel, beta @ kernel + bias


# 2.4: A block only adds to the stream. If it writes nothing, the state behind it is the state
# before it: so `hidden_states[layer]` goes into the tail that starts at `layer + 1`. Setting the
# block's weights to zero gives the same logits, and leaves a broken model for every later cell.
# Leaving out the padding mask lets tokens look at padding.
def without_block(model, inputs, layer):
    seen = falcon_edu.record(model, inputs)
    tail = falcon_edu.tail_model(model, layer + 1)
    return np.asarray(tail([seen.hidden_states[layer], seen.padding_mask.astype("int32")]))

"""Solutions to notebook 02: residual stream and layer norm."""

import falcon_edu

import numpy as np


def rms_norm(x, gamma, epsilon):
    squares = (x**2).mean(axis=-1, keepdims=True)
    return x / np.sqrt(squares + epsilon) * gamma


def unseen_write(x):
    return np.ones_like(x)  # 7 * (x - x.mean()) would do as well


def fold_norm(gamma, beta, kernel, bias):
    return gamma[:, None] * kernel, beta @ kernel + bias


def without_block(model, inputs, layer):
    seen = falcon_edu.record(model, inputs)
    tail = falcon_edu.tail_model(model, layer + 1)
    return np.asarray(tail([seen.hidden_states[layer], seen.padding_mask.astype("int32")]))

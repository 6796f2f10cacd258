"""What learners plausibly answer in notebook 02, and should not get away with."""

import re

import falcon_edu

import numpy as np


def rms(x, axis=-1, epsilon=0.0):
    return np.sqrt((x**2).mean(axis=axis, keepdims=True) + epsilon)


def tail(model, inputs, start, state):
    """The tail from one layer on, on the state of another."""
    seen = falcon_edu.record(model, inputs)
    mask = seen.padding_mask.astype("int32")
    return np.asarray(falcon_edu.tail_model(model, start)([seen.hidden_states[state], mask]))


def no_attention(model, inputs, layer):
    heads = [(layer, head) for head in range(model.num_attention_heads)]
    return falcon_edu.ablate_heads(model, inputs, heads).logits


def silences(model, inputs, layer):
    """Put zeros into the model itself; the logits are right, and the model is another."""
    for weight in model.weights:
        if f"layer_{layer}/" in weight.path and re.search("output_dense|4h_to_h", weight.path):
            weight.assign(0 * weight)
    return falcon_edu.record(model, inputs).logits


WRONG = {
    "rms_norm": {
        "takes the mean out": lambda x, gamma, epsilon: (
            gamma * (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + epsilon)
        ),
        "divides by the deviation": lambda x, gamma, epsilon: (
            gamma * x / np.sqrt(x.var(-1, keepdims=True) + epsilon)
        ),
        "epsilon outside the root": lambda x, gamma, epsilon: gamma * x / (rms(x) + epsilon),
        "sum instead of mean": lambda x, gamma, epsilon: (
            gamma * x / np.sqrt((x**2).sum(-1, keepdims=True) + epsilon)
        ),
        "over all axes": lambda x, gamma, epsilon: gamma * x / rms(x, None, epsilon),
        "forgets gamma": lambda x, gamma, epsilon: x / rms(x, -1, epsilon),
        "forgets the root": lambda x, gamma, epsilon: gamma * x / rms(x, -1, epsilon) ** 2,
    },
    "unseen_write": {
        "nothing": lambda x: np.zeros_like(x),
        "too little": lambda x: np.full_like(x, 1e-3),
        "one number only": lambda x: np.eye(len(x))[0] * 2,
        "across x": lambda x: np.roll(x, 1),
        "turns x round": lambda x: -2 * x,
        "a number": lambda x: 1.0,
    },
    "fold_norm": {
        "scales columns": lambda gamma, beta, kernel, bias: (kernel * gamma, beta @ kernel + bias),
        "forgets beta": lambda gamma, beta, kernel, bias: (gamma[:, None] * kernel, bias),
        "adds beta as it is": lambda gamma, beta, kernel, bias: (
            gamma[:, None] * kernel,
            beta + bias,
        ),
        "beta through the new kernel": lambda gamma, beta, kernel, bias: (
            gamma[:, None] * kernel,
            beta @ (gamma[:, None] * kernel) + bias,
        ),
        "only the kernel": lambda gamma, beta, kernel, bias: gamma[:, None] * kernel,
    },
    "without_block": {
        "always block 1": lambda model, inputs, layer: tail(model, inputs, 2, 1),
        "no padding": lambda model, inputs, layer: tail(
            model, {**inputs, "padding_mask": np.ones((2, 5), "int32")}, layer + 1, layer
        ),
        "breaks the model": silences,
        "leaves nothing out": lambda model, inputs, layer: tail(model, inputs, layer, layer),
        "starts behind, from behind": lambda model, inputs, layer: tail(
            model, inputs, layer + 1, layer + 1
        ),
        "leaves out two": lambda model, inputs, layer: tail(model, inputs, layer + 2, layer),
        "leaves out the next": lambda model, inputs, layer: tail(
            model, inputs, layer + 2, layer + 1
        ),
        "only attention": no_attention,
        "returns the stream": lambda model, inputs, layer: falcon_edu.record(
            model, inputs
        ).hidden_states[layer],
    },
}

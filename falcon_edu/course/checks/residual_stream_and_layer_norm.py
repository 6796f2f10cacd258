"""Checks of notebook 02: layer norm and the residual stream."""

import re

from falcon_edu.course.checks.exercise import exercise, expect, expect_close, given, several
from falcon_edu.inside.activations import run
from falcon_edu.model.backbone import FalconBackbone

import numpy as np


def _norm(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


@exercise(
    wants="an array (b, t, m)",
    nudge="Go through the formula of the layer norm, and look where the mean stands in it: twice.",
    hint="`np.mean(x**2, axis=-1, keepdims=True)` is the mean of the squares.",
    praise="One mean less to compute, and models learn as well with it.",
)
def rms_norm(answer):
    """Exercise 2.1."""
    x = np.random.default_rng(0).normal(2, 1, size=(2, 3, 4))
    gamma, epsilon = np.array([1.0, 2.0, 3.0, 4.0]), 0.5
    squares = (x**2).mean(axis=-1, keepdims=True)
    got = np.asarray(given(answer(x.copy(), gamma.copy(), epsilon)))
    if got.shape == x.shape:
        mistakes = {
            "the mean is still taken out.": (x - x.mean(-1, keepdims=True))
            / np.sqrt(x.var(-1, keepdims=True) + epsilon),
            "the mean is not subtracted, but the divisor still is the deviation.": x
            / np.sqrt(x.var(-1, keepdims=True) + epsilon),
            "epsilon belongs under the root.": x / (np.sqrt(squares) + epsilon),
            "take the mean of the squares, not their sum.": x / np.sqrt(4 * squares + epsilon),
            "the mean goes over the last axis only: each token is normed by itself.": x
            / np.sqrt((x**2).mean() + epsilon),
        }
        for message, mistake in mistakes.items():
            expect(not np.allclose(got, mistake * gamma), message)
        expect(
            not np.allclose(got, x / np.sqrt(squares + epsilon)), "`gamma` is not multiplied in."
        )
    expect_close(got, x / np.sqrt(squares + epsilon) * gamma, "the result")
    x, gamma, epsilon = x[:1, :2, :3] / 100, np.array([2.0, 1.0, 1.0]), 1e-5
    wanted = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + epsilon) * gamma
    expect_close(answer(x.copy(), gamma, epsilon), wanted, "the result for small numbers")


@exercise(
    wants="a vector (m,)",
    nudge="A norm takes two things away. What can be added to x that falls to the first of them?",
    hint="Which changes of x were lost, in the cell after the formula?",
    praise="The same number everywhere, or some more of x itself (less its mean): the norm "
    "throws both away.",
)
def unseen_write(answer):
    """Exercise 2.2."""
    for seed in range(3):
        x = np.random.default_rng(seed).normal(1, 3, size=16)
        try:
            write = np.asarray(given(answer(x.copy())), dtype="float64")
        except (TypeError, ValueError):
            expect(False, "a vector of numbers is wanted.")
        expect(
            write.shape == x.shape,
            f"the write should have shape {x.shape}, but yours has {write.shape}.",
        )
        length = np.linalg.norm(write)
        expect(length >= 1, f"the write should be at least 1 long, but yours is {length:.2g}.")
        turned = _norm(x + write)
        expect(
            not np.allclose(turned, -_norm(x), atol=1e-3),
            "now every number of the norm has the other sign.",
        )
        off = abs(turned - _norm(x)).max()
        expect(off < 1e-3, f"norm(x) should stay the same, but a number changed by {off:.2g}.")


@exercise(
    wants="two arrays, the new kernel and the new bias",
    nudge="Multiply the bracket out: one part has norm(x) in it, the other has not.",
    hint="A number of norm(x) meets one row of the kernel, so gamma scales rows. "
    "What becomes of `beta @ kernel`?",
    praise="What is learned in a norm is no more than a part of the matrix after it.",
)
def fold_norm(answer):
    """Exercise 2.3."""
    for f in (3, 2):  # a square kernel, in which slips give numbers and no errors; then another
        _check_fold(answer, 3, f)


def _check_fold(answer, m, f):
    rng = np.random.default_rng(0)
    gamma, beta, bias = rng.normal(size=m), rng.normal(size=m), rng.normal(size=f)
    kernel = rng.normal(size=(m, f))
    got = answer(gamma.copy(), beta.copy(), kernel.copy(), bias.copy())
    parts = several(got, 2, "two arrays are wanted: kernel and bias.")
    new_kernel, new_bias = map(np.asarray, parts)
    expect(
        new_kernel.shape != (m, m) or not np.allclose(new_kernel, kernel * gamma[:f]),
        "gamma scales the columns of your kernel, but it belongs to the rows: one for each "
        "number that comes in.",
    )
    expect_close(new_kernel, gamma[:, None] * kernel, "the new kernel")
    if new_bias.shape == bias.shape:
        expect(not np.allclose(new_bias, bias), "beta is lost: it goes through the kernel too.")
        expect(f != m or not np.allclose(new_bias, bias + beta), "beta goes through the kernel.")
        expect(
            not np.allclose(new_bias, bias + beta @ new_kernel),
            "beta is added after gamma, so it goes through the old kernel.",
        )
    expect_close(new_bias, beta @ kernel + bias, "the new bias")


@exercise(
    wants="an array of logits (b, t, v)",
    nudge="What is the stream behind a block that has written nothing?",
    hint="Without its writes, the stream after the block is the stream before it: start the tail "
    "behind the block, from the state before it.",
    praise="A block that writes nothing is a straight piece of road.",
)
def without_block(answer):
    """Exercise 2.4."""
    model = _model()
    ids = np.array([[1, 2, 3, 4, 5], [6, 2, 1, 0, 0]])
    inputs = {"token_ids": ids, "padding_mask": np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])}
    for layer in (1, 0, 2):
        theirs = _model()  # an answer may break the model that it is given
        got = np.asarray(given(answer(theirs, dict(inputs), layer)))
        _check_logits(got, model, inputs, layer)
        expect(
            all(map(np.array_equal, theirs.get_weights(), model.get_weights())),
            "the logits are right, but the weights of the model were changed: whoever goes on with "
            "it has another model. Leave it as it was.",
        )


def _check_logits(got, model, inputs, layer):
    wanted = _without(model, inputs, f"{layer}/")
    if got.shape == wanted.shape and not np.allclose(got, wanted, atol=1e-3):
        others = {other: f"{other}/" for other in range(3) if other != layer}
        mistakes = {
            "these are the logits of the whole model: nothing is left out.": [],
            "the MLP of the block still writes.": [f"{layer}/attention"],
            "all heads are silent, but the bias behind them and the MLP still write.": [
                f"{layer}/attention/output_dense/kernel"
            ],
            "the attention of the block still writes.": [f"{layer}/dense"],
            "two blocks are left out.": [f"{layer}/", f"{layer + 1}/"],
        } | {f"block {other} is left out, not block {layer}.": [at] for other, at in others.items()}
        for message, parts in mistakes.items():
            mistake = _without(model, inputs, *parts)
            expect(not np.allclose(got, mistake, atol=1e-4), message)
    expect_close(got, wanted, f"the logits without block {layer}", 1e-3)


def _model():
    """Return a Falcon so small that it is built in no time, with weights large enough to matter."""
    model = FalconBackbone(
        vocabulary_size=8,
        num_layers=3,
        num_attention_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        dtype="float32",
    )
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0, 0.5, weight.shape) for weight in model.weights])
    return model


def _without(model, inputs, *parts):
    """Return the logits when some parts write nothing, such as "1/attention" or "1/"."""
    silent = {
        weight.path: np.zeros(weight.shape, "float32")
        for weight in model.weights
        if re.search(r"/output_dense/|/dense_4h_to_h/", weight.path)
        and any(f"transformer_layer_{part}" in weight.path for part in parts)
    }
    return run(model, inputs, replaced=silent).logits

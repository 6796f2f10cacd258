"""The gradients written out by hand are the automatic ones, and keep less for the backward pass."""

import re

from falcon_edu import FalconCausalLM
from falcon_edu.fast.gradients import (
    LayerNormalization,
    cross_entropy,
    gelu,
    layer_norm,
    masked_softmax,
    matrix_product,
)
from falcon_edu.support.losses import NextTokenLoss
from tests.layouts import build

import jax
import keras
import numpy as np
import pytest
from jax import numpy as jnp
from keras import ops

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 3, 5)).astype("float32") * 3
KERNEL = RNG.normal(size=(5, 7)).astype("float32")
GAMMA, BETA = RNG.normal(size=(2, 5)).astype("float32")
MASK = np.array([[True, True, False, True, False], [True] * 5, [False] * 5])  # one row sees nothing
LABELS = np.array([[0, 4, 2], [1, 1, 3]])


def automatic_softmax(scores):
    weights = ops.softmax(ops.where(MASK, scores, -1e30), axis=-1)
    return ops.where(MASK, weights, 0.0)


def automatic_cross_entropy(logits):
    return keras.losses.sparse_categorical_crossentropy(LABELS, logits, from_logits=True)


def automatic_layer_norm(x, gamma, beta):
    return ops.layer_normalization(ops.cast(x, "float32"), gamma, beta, axis=-1, epsilon=1e-5)


# name: (ours, the automatic one, arguments)
PAIRS = {
    "gelu": (gelu, keras.activations.gelu, (X,)),
    "matrix_product": (matrix_product, ops.matmul, (X, KERNEL)),
    "masked_softmax": (lambda scores: masked_softmax(scores, MASK), automatic_softmax, (X,)),
    "layer_norm": (
        lambda x, gamma, beta: layer_norm(x, gamma, beta, 1e-5),
        automatic_layer_norm,
        (X, GAMMA, BETA),
    ),
    "cross_entropy": (
        lambda logits: cross_entropy(logits, LABELS),
        automatic_cross_entropy,
        (X,),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_values_and_gradients_are_the_automatic_ones(name):
    ours, automatic, arguments = PAIRS[name]
    value, backward = jax.vjp(jax.jit(ours), *map(jnp.asarray, arguments))
    want, automatic_backward = jax.vjp(automatic, *map(jnp.asarray, arguments))
    assert value.dtype == want.dtype
    assert np.allclose(value, want, rtol=1e-5, atol=1e-6)
    upstream = jnp.asarray(RNG.normal(size=value.shape).astype("float32"))
    for gradient, other in zip(backward(upstream), automatic_backward(upstream), strict=True):
        assert gradient.dtype == other.dtype
        assert np.allclose(gradient, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("v", [48, 49, 16])
def test_long_rows_go_in_parts(monkeypatch, v):
    """If the parts fill the row; with logits far from zero, and ties."""
    monkeypatch.setattr("falcon_edu.fast.gradients.LONG_ROW", 17)
    logits = (np.random.default_rng(1).normal(size=(2, 3, v)) * 40).astype("float32")
    logits[0, 0] = 1e4
    labels = np.random.default_rng(2).integers(0, v, (2, 3))
    with jax.disable_jit():  # or an earlier program would do it
        nats = cross_entropy(logits, labels)
    wide = logits.astype("float64")
    wide -= wide.max(-1, keepdims=True)
    wide -= np.log(np.exp(wide).sum(-1, keepdims=True))
    wanted = -np.take_along_axis(wide, labels[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(nats, wanted, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("name", ["gelu", "layer_norm", "cross_entropy"])
def test_bfloat16_is_computed_in_float32_and_rounded_once(name):
    ours, _, arguments = PAIRS[name]
    narrow = jnp.asarray(arguments[0], "bfloat16")
    value, backward = jax.vjp(lambda x: ours(x, *arguments[1:]), narrow)
    want, wide_backward = jax.vjp(lambda x: ours(x, *arguments[1:]), narrow.astype("float32"))
    assert np.array_equal(value, want.astype(value.dtype))
    (gradient,), (other,) = backward(jnp.ones_like(value)), wide_backward(jnp.ones_like(want))
    assert gradient.dtype == "bfloat16"
    assert np.array_equal(gradient, other.astype("bfloat16"))


@pytest.mark.parametrize("name", [name for name in PAIRS if name != "matrix_product"])
def test_less_is_kept_for_the_backward_pass(name):
    def kept(function, arguments):
        backward = jax.vjp(function, *map(jnp.asarray, arguments))[1]
        return sum(leaf.size for leaf in jax.tree.leaves(backward) if leaf.size >= X.size)

    ours, automatic, arguments = PAIRS[name]
    assert kept(ours, arguments) <= X.size < kept(automatic, arguments)


@pytest.mark.compiler
def test_no_operand_of_a_kernels_gradient_is_turned_around():
    """XLA's program for it sums over the first axis of both: nothing was transposed before."""

    def of_kernel(product):
        loss = lambda x, kernel: ops.sum(gelu(product(x, kernel)))  # noqa: E731
        program = jax.jit(jax.grad(loss, argnums=1))
        return program.lower(jnp.ones((8, 64, 32)), jnp.ones((32, 128))).compile().as_text()

    def axes(program):
        found = re.findall(
            r" dot\(.*?lhs_contracting_dims={(\d)}, rhs_contracting_dims={(\d)}", program
        )
        return {tuple(map(int, pair)) for pair in found}

    assert axes(of_kernel(matrix_product)) == {(1, 0), (0, 0)}
    assert axes(of_kernel(ops.matmul)) == {(1, 0), (0, 1)}  # once it isn't, ours can go


@pytest.mark.compiler
@pytest.mark.parametrize(("with_lora", "products"), [(False, 6), (True, 4 + 2 * 2)])
def test_models_train_with_it(with_lora, products):
    """With LoRA the two adapted kernels need no gradient, and their factors do."""
    backbone = build("40b")
    if with_lora:
        backbone.enable_lora(2)
    program = jax.make_jaxpr(lambda ids: backbone({"token_ids": ids, "padding_mask": ids}))(
        jnp.ones((2, 4), "int32")
    )
    count = str(program).count("name=matrix_product")
    assert count == products * backbone.num_layers


def test_layer_is_kerass_own_in_names_and_values():
    ours, theirs = LayerNormalization(epsilon=1e-3), keras.layers.LayerNormalization(epsilon=1e-3)
    assert np.allclose(ours(X), theirs(X), atol=1e-6)
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    assert LayerNormalization(dtype="bfloat16")(X).dtype == "bfloat16"


@pytest.mark.parametrize("reduction", ["mean_with_sample_weight", "sum_over_batch_size", "sum"])
def test_loss_is_kerass_own_in_value(reduction):
    theirs = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
    weights = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]])
    ours = NextTokenLoss(reduction=reduction)
    assert np.allclose(ours(LABELS, X, weights), theirs(LABELS, X, weights), rtol=1e-6)
    assert np.allclose(ours(LABELS, X), theirs(LABELS, X), rtol=1e-6)


def test_loss_travels_with_a_saved_model(tmp_path):
    FalconCausalLM(build("rw")).save(tmp_path / "model.keras")
    loss = keras.saving.load_model(tmp_path / "model.keras").loss
    assert isinstance(loss, NextTokenLoss)
    assert loss.reduction == "mean_with_sample_weight"

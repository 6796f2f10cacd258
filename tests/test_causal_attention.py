"""Attention in halves is attention: outputs, maps and gradients, with less work."""

from falcon_edu.fast import causal_attention as in_halves
from falcon_edu.fast.causal_attention import LARGE_MAP, can_halve, causal_attention
from falcon_edu.model.attention import dot_product_attention, make_attention_mask
from falcon_edu.model.positions import alibi_bias, token_positions
from tests.layouts import (
    LAYOUTS,
    REAL_TOKENS,
    build,
    difference,
    inputs,
    read,
    reference_config,
    reference_weights,
)
from tests.reference import falcon

import jax
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def halved(*arguments):
    return causal_attention(dot_product_attention, *arguments)


def arguments(data):
    """Query, key, value, bias and mask: random sizes, padding anywhere, ALiBi or not."""
    b, g, repeats, h = (data.draw(st.integers(1, n)) for n in (2, 2, 3, 5))
    t = data.draw(st.integers(2, 9))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    query = rng.normal(size=(b, t, g * repeats, h)).astype("float32")
    key, value = rng.normal(size=(2, b, t, g, h)).astype("float32")
    padding_mask = rng.integers(0, 2, (b, t))
    is_biased = data.draw(st.booleans())
    bias = alibi_bias(g * repeats, token_positions(padding_mask)) if is_biased else None
    return query, key, value, bias, make_attention_mask(padding_mask)


@settings(max_examples=16)
@given(st.data())
def test_attention_in_halves_equals_attention_in_one_piece(data):
    given_arguments = arguments(data)
    # Compiled, each draw of sizes is one program and not one for each operation.
    for half, whole in zip(
        jax.jit(halved)(*given_arguments),
        jax.jit(dot_product_attention)(*given_arguments),
        strict=True,
    ):
        assert half.dtype == whole.dtype
        np.testing.assert_allclose(half, whole, atol=2e-6)


@settings(max_examples=6)
@given(st.data())
def test_gradients_in_halves_are_those_in_one_piece(data):
    query, key, value, bias, mask = arguments(data)

    def gradients(attend):
        def loss(query, key, value):
            output, weights = attend(query, key, value, bias, mask)
            return (output**2).sum() + (weights**2).sum()

        return jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(query, key, value)

    for half, whole in zip(gradients(halved), gradients(dot_product_attention), strict=True):
        np.testing.assert_allclose(half, whole, atol=1e-4, rtol=1e-4)


@pytest.mark.compiler
def test_less_is_computed():
    """Halves do three quarters of the multiplications."""
    x = np.ones((1, 256, 1, 64), "float32")
    mask = make_attention_mask(np.ones((1, 256)))

    def flops(attend):
        compiled = jax.jit(lambda x: attend(x, x, x, None, mask)[0]).lower(x).compile()
        return compiled.cost_analysis()["flops"]

    assert flops(halved) < 0.8 * flops(dot_product_attention)


@pytest.mark.parametrize("padding", REAL_TOKENS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_model_that_uses_it_is_the_reference(monkeypatch, layout, padding):
    x, backbone = inputs(padding), build(layout)
    monkeypatch.setattr(in_halves, "can_halve", lambda *x: True)
    used = []
    monkeypatch.setattr(
        in_halves, "causal_attention", lambda *x: used.append(1) or causal_attention(*x)
    )
    expected = falcon(reference_weights(backbone), reference_config(backbone), **x)
    ours = read(backbone, x)
    assert len(used) == backbone.num_layers
    for name in ("hidden_states", "attention_weights", "logits"):
        assert difference(ours, expected, x["padding_mask"], name) < 1e-5


def test_where_it_is_used(monkeypatch):
    """In programs with large maps, compiled for one CPU; a function is traced to ask."""

    def asked(b, t):
        x, y = np.zeros((b, t, 4, 1), "float32"), np.zeros((b, t, 1, 1), "float32")
        answers = []
        jax.make_jaxpr(lambda x, y: answers.append(can_halve(x, y)))(x, y)
        return answers[0]

    assert LARGE_MAP == 8 * 128 * 128 * 4
    assert asked(8, 128)
    assert not asked(7, 128)
    assert not can_halve(np.zeros((8, 128, 4, 1)), np.zeros((8, 128, 1, 1)))
    monkeypatch.setattr(jax, "device_count", lambda: 8)
    assert not asked(8, 128)


def test_a_mask_of_ones_own_may_let_queries_look_ahead(monkeypatch):
    """Halves are only for what the block itself asks for."""
    monkeypatch.setattr(in_halves, "LARGE_MAP", 1)
    layer = build().transformer_layers[0].attention_layer
    x = np.random.default_rng(0).normal(size=(1, 6, 48)).astype("float32")
    everywhere = np.ones((1, 6, 6), bool)
    _, weights = jax.jit(lambda x: layer(x, np.arange(6)[None], everywhere))(x)
    assert (np.array(weights) > 0).all()


def test_dropout_is_still_drawn_for_each_half():
    drop = keras.layers.Dropout(0.5, seed=1)
    x = np.ones((1, 128, 1, 1), "float32")
    mask = make_attention_mask(np.ones((1, 128)))
    plain, _ = halved(x, x, x, None, mask)
    dropped, _ = halved(x, x, x, None, mask, lambda weights: drop(weights, training=True))
    for half in np.split(np.array(dropped - plain), 2, axis=1):
        assert np.abs(half).max() > 0.01

"""Attention in one kernel: what it is given is right, and it is used where it should be.

Where there is no such kernel, Keras computes the same call step by step; so all but the kernel
itself is tested without a GPU.
"""

from falcon_edu.fast import fused_attention as one_kernel
from falcon_edu.fast.fused_attention import _with_bias_inside, can_fuse, fused_attention
from falcon_edu.model.attention import dot_product_attention, make_attention_mask
from falcon_edu.model.positions import alibi_bias, token_positions
from tests.layouts import LAYOUTS, build, difference, inputs, read

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=25)  # a compilation each
@given(st.data())
def test_fused_attention_equals_attention_step_by_step(data):
    b, k, g, repeats, h = (data.draw(st.integers(1, n)) for n in (2, 6, 2, 3, 5))
    offset = data.draw(st.integers(0, k - 1))
    q, n = k - offset, g * repeats
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    query = rng.normal(size=(b, q, n, h)).astype("float32")
    key, value = rng.normal(size=(2, b, k, g, h)).astype("float32")
    padding_mask = rng.integers(0, 2, (b, k))
    bias = alibi_bias(n, token_positions(padding_mask)) if data.draw(st.booleans()) else None
    mask = make_attention_mask(padding_mask, q, offset)
    expected, _ = dot_product_attention(query, key, value, bias, mask)
    fused = fused_attention(query, key, value, bias, mask)
    np.testing.assert_allclose(fused, expected, atol=2e-6)


@pytest.mark.parametrize("queries", [600, 2])
def test_alibi_survives_sixteen_bits(queries):
    """Around 600 bfloat16 counts in steps of 4; a head that looks at its neighbours needs less."""
    t, n, h = 600, 8, 8
    query, key = np.zeros((1, queries, n, h)), np.zeros((1, t, n, h))
    value = np.random.default_rng(0).normal(size=(1, t, n, h))
    bias = alibi_bias(n, np.arange(t)[None])
    mask = make_attention_mask(np.ones((1, t)), queries, t - queries)
    wide, narrow = (
        [jnp.asarray(x, dtype) for x in (query, key, value)] for dtype in ("float32", "bfloat16")
    )
    expected, _ = dot_product_attention(*wide, bias, mask)
    fused = fused_attention(*narrow, bias, mask).astype("float32")
    np.testing.assert_allclose(fused, expected, atol=0.01)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_no_bit_of_the_bias_is_lost(dtype):
    """Numbers that need all of float32."""
    rng = np.random.default_rng(0)
    bias = jnp.asarray(1500 + rng.normal(size=(1, 2, 1, 8)), "float32")
    x, mask = jnp.zeros((1, 8, 2, 4), dtype), jnp.ones((1, 8, 8), "bool")
    query, key, value = jax.jit(_with_bias_inside)(x, x, x, bias)
    assert key.shape[-1] % 8 == value.shape[-1] % 8 == 0
    scores = jnp.einsum("bqnh,bknh->bnqk", query.astype("float32"), key.astype("float32"))
    np.testing.assert_array_equal(scores, jnp.broadcast_to(bias, scores.shape))
    assert not jnp.any(fused_attention(x, x, x, bias, mask))


def test_where_it_is_used(monkeypatch):
    def narrow(t, dtype="bfloat16"):
        return jnp.ones((1, t, 1, 1), dtype)

    assert not can_fuse(narrow(2), narrow(2))  # here is no GPU
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert can_fuse(narrow(2), narrow(4))
    assert not can_fuse(narrow(1), narrow(4))
    assert not can_fuse(narrow(2), narrow(3))
    assert not can_fuse(narrow(2, "float32"), narrow(2, "float32"))
    assert not can_fuse(narrow(2), narrow(2), dropout_rate=0.1)


@pytest.mark.parametrize("padding", ["no", "right", "left"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_model_that_uses_it_computes_the_same(monkeypatch, layout, padding):
    given = inputs(padding)
    expected = read(build(layout), given)
    monkeypatch.setattr(one_kernel, "can_fuse", lambda *args: True)
    fused = read(build(layout), given)
    for name in ("hidden_states", "attention_weights", "logits"):
        assert difference(fused, expected, given["padding_mask"], name) < 1e-5


@pytest.mark.compiler
def test_weights_that_nobody_reads_are_not_computed(monkeypatch):
    """The only exponentials of a block are those of the softmax."""
    monkeypatch.setattr(one_kernel, "can_fuse", lambda *args: True)
    monkeypatch.setattr(one_kernel, "fused_attention", lambda query, *args: query)
    backbone = build("rw")
    given = inputs()

    def program(outputs):
        model = keras.Model(backbone.input, outputs)
        values = [v.value for v in model.trainable_variables]
        rest = [v.value for v in model.non_trainable_variables]
        call = jax.jit(lambda x: model.stateless_call(values, rest, x)[0])
        return call.lower(given).compile().as_text()

    assert "exponential(" not in program(backbone.output)
    assert "exponential(" in program([backbone.output, *backbone.attention_weights])

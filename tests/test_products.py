"""The products for one row, and for weights of fewer bytes, equal the plain ones."""

from falcon_edu import FalconBackbone, FalconCausalLM
from falcon_edu.fast.dense import Dense, values_with_bits
from falcon_edu.fast.products import (
    SMALL,
    as_bits,
    is_one_row,
    narrow_product,
    narrow_product_transposed,
    row_product,
    row_product_transposed,
    widen,
)
from falcon_edu.generation import decoding
from tests.layouts import LAYOUTS, build

import jax
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import numpy as jnp

SIZES = st.integers(1, 50)


@settings(max_examples=20)
@given(SIZES, SIZES, st.sampled_from([0, SMALL]))
def test_a_row_in_parts_or_whole_gives_the_plain_product(m, f, small):
    rng = np.random.default_rng(m * f)
    x, kernel = (jnp.asarray(rng.normal(size=size), "float32") for size in ((1, 1, m), (m, f)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("falcon_edu.fast.products.SMALL", small)
        products = row_product(x, kernel), row_product_transposed(x, kernel.T)
    for product in products:
        assert product.shape == (1, 1, f)
        np.testing.assert_allclose(product, x @ kernel, rtol=1e-5, atol=1e-5)


@settings(max_examples=20)
@given(SIZES, SIZES, st.integers(1, 3))
def test_bits_give_the_product_of_what_they_stand_for(m, f, count):
    rng = np.random.default_rng(m * f)
    x = jnp.asarray(rng.normal(size=(count, m)), "float32")
    kernel = jnp.asarray(rng.normal(size=(m, f)), "bfloat16")
    want = x @ kernel.astype("float32")
    np.testing.assert_allclose(narrow_product(x, as_bits(kernel)), want, rtol=1e-5, atol=1e-5)
    product = narrow_product_transposed(x, as_bits(kernel.T))
    np.testing.assert_allclose(product, want, rtol=1e-5, atol=1e-5)


def test_bits_are_every_number_and_no_copy():
    every = np.arange(2**16, dtype="uint16").view(jnp.bfloat16)
    array = jnp.asarray(every)
    bits = as_bits(array)
    assert bits.unsafe_buffer_pointer() == array.unsafe_buffer_pointer()
    np.testing.assert_array_equal(widen(bits), every.astype("float32"))
    assert as_bits(jnp.ones(2)).dtype == "float32"


def test_one_row_is_counted_over_all_axes():
    assert is_one_row(np.ones((1, 1, 4)))
    assert is_one_row(np.ones(4))
    assert not is_one_row(np.ones((2, 1, 4)))


def test_layer_gives_one_row_what_it_gives_many():
    layer = Dense(24, activation="tanh")
    x = np.random.default_rng(0).normal(size=(5, 1, 48)).astype("float32")
    rows = np.concatenate([layer(row[None]) for row in x])
    np.testing.assert_allclose(rows, layer(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_bits_in_place_of_bfloat16_change_nothing_but_rounding(layout, lora):
    backbone = build(layout, dtype="bfloat16")
    if lora:
        backbone.enable_lora(2)
        for variable in backbone.trainable_variables:  # a fresh update is zero
            variable.assign(keras.random.normal(variable.shape, stddev=0.1, seed=1))
    loop = decoding.DecodingLoop(backbone, FalconCausalLM(backbone).sampler)
    seeds = [variable.value for variable in loop.sampler.variables]
    token_ids = np.array([[1, 2, 3, 4]])

    @jax.jit
    def logits(values):
        with loop._variables(values, seeds):
            cache = decoding.build_cache(backbone, 1, 4)
            hidden_states, _ = decoding.call_with_cache(backbone, token_ids, cache, 0)
            return backbone.token_embedding(hidden_states, reverse=True).astype("float32")

    plain = logits([variable.value for variable in backbone.variables])
    values = values_with_bits(backbone)
    assert {str(value.dtype) for value in values} >= {"uint16", "bfloat16"}
    # bfloat16 has a relative precision of 2**-8; the bits round once where the plain way rounds
    # every product.
    scale = np.abs(plain).max()
    assert np.abs(logits(values) - plain).max() < 0.03 * scale


def test_generation_in_bfloat16_hands_over_bits():
    backbone = FalconBackbone(10, 1, 2, 4, 8, dtype="bfloat16")
    causal_lm = FalconCausalLM(backbone)
    causal_lm.compile(sampler="greedy")
    prompt = {"token_ids": [[1, 2, 0]], "padding_mask": [[1, 1, 0]]}
    token_ids = causal_lm.generate(prompt, stop_token_ids=None)["token_ids"]
    logits = causal_lm({"token_ids": token_ids[:, :2], "padding_mask": np.ones((1, 2))})
    assert token_ids[0, 2] == np.argmax(logits[0, 1])

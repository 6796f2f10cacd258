"""The mask and attention itself, as pure functions."""

import math

from falcon_edu.model.attention import FalconAttention, dot_product_attention, make_attention_mask
from tests.layouts import to_float64

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

# A few dozen roundings of 2^-24 on values around one.
FLOAT32 = 1e-6


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@given(
    st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=3),
    st.integers(1, 5),
    st.data(),
)
def test_a_query_looks_at_real_tokens_up_to_itself(padding_mask, query_length, data):
    offset = data.draw(st.integers(0, 5 - query_length))
    mask = np.asarray(make_attention_mask(padding_mask, query_length, offset))
    assert mask.shape == (len(padding_mask), query_length, 5)
    for b, q, k in np.ndindex(mask.shape):
        assert mask[b, q, k] == (padding_mask[b][k] and k <= offset + q)


def test_the_mask_has_a_row_for_every_key_by_default():
    assert make_attention_mask([[1, 1, 1]]).shape == (1, 3, 3)


@pytest.mark.parametrize(("heads", "groups"), [(6, 1), (6, 2), (6, 3), (6, 6)])
def test_grouped_attention_is_attention_with_repeated_keys_and_values(heads, groups):
    query, key, value = (
        normal(2, 5, heads, 4),
        normal(2, 5, groups, 4),
        normal(2, 5, groups, 4, seed=1),
    )
    bias, mask = normal(2, heads, 1, 5), make_attention_mask([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]])
    repeated = [np.repeat(x, heads // groups, axis=2) for x in (key, value)]
    ours = dot_product_attention(query, key, value, bias, mask)
    for x, y in zip(ours, dot_product_attention(query, *repeated, bias, mask), strict=True):
        np.testing.assert_allclose(x, y, atol=FLOAT32)


def test_attention_is_the_formula():
    query, key, value = (normal(1, 3, 1, 4, seed=seed) for seed in range(3))
    bias = normal(1, 1, 1, 3)
    output, attention_weights = dot_product_attention(query, key, value, bias)
    scores = (query[0, :, 0] @ key[0, :, 0].T + bias[0, 0]) / math.sqrt(4)  # the bias is scaled too
    expected = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    np.testing.assert_allclose(attention_weights[0, 0], expected, atol=FLOAT32)
    np.testing.assert_allclose(output[0, :, 0], expected @ value[0, :, 0], atol=FLOAT32)


def test_a_bias_that_is_equal_for_all_keys_changes_nothing():
    """Why Falcon may add the key's position where the ALiBi paper subtracts the distance."""
    x, bias = normal(1, 3, 2, 4), normal(1, 2, 1, 3)
    per_query = np.array([1, -2, 3], "float32")[:, None]
    for a, b in zip(
        dot_product_attention(x, x, x, bias),
        dot_product_attention(x, x, x, bias + per_query),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, atol=FLOAT32)


def test_a_query_that_may_look_nowhere_gets_zeros():
    x, mask = normal(1, 3, 2, 4), make_attention_mask([[0, 1, 1]])
    output, attention_weights = dot_product_attention(x, x, x, mask=mask)
    assert not np.any(attention_weights[:, :, 0])
    assert not np.any(output[:, 0])
    np.testing.assert_allclose(np.sum(attention_weights[:, :, 1:], -1), 1, atol=FLOAT32)


def test_masked_keys_have_no_influence_even_with_huge_scores():
    x, mask = normal(1, 3, 2, 4), make_attention_mask([[1, 0, 1]])
    huge = x.copy()
    huge[:, 1] = 1e4
    for a, b in zip(
        dot_product_attention(x, x, x, mask=mask),
        dot_product_attention(x, huge, huge, mask=mask),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_attention_weights_are_float32_and_the_output_as_the_values():
    x = normal(1, 3, 2, 4).astype(ml_dtypes.bfloat16)
    output, attention_weights = dot_product_attention(x, x, x)
    assert str(output.dtype) == "bfloat16"
    assert str(attention_weights.dtype) == "float32"
    np.testing.assert_allclose(to_float64(attention_weights).sum(-1), 1, atol=FLOAT32)


def test_dropout_acts_on_the_way_to_the_values_and_not_on_what_is_shown():
    x = normal(1, 3, 2, 4)
    output, attention_weights = dot_product_attention(x, x, x, dropout=lambda weights: 0 * weights)
    assert not np.any(output)
    np.testing.assert_allclose(np.sum(attention_weights, -1), 1, atol=FLOAT32)


@pytest.mark.parametrize("position_encoding", ["alibi", "rope"])
def test_with_a_cache_the_layer_computes_the_same_one_query_at_a_time(position_encoding):
    layer = FalconAttention(4, num_key_value_heads=2, position_encoding=position_encoding)
    x, padding_mask = normal(2, 5, 16), np.array([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]])
    positions = np.maximum(np.cumsum(padding_mask, 1) - 1, 0)
    output, attention_weights = layer(
        x, positions=positions, attention_mask=make_attention_mask(padding_mask)
    )
    cache = (np.zeros((2, 5, 2, 4), "float32"),) * 2
    for q in range(5):
        step, step_weights, cache = layer(
            x[:, q : q + 1],
            positions=positions,
            attention_mask=make_attention_mask(padding_mask, 1, q),
            cache=cache,
            cache_index=q,
        )
        np.testing.assert_allclose(step[:, 0], output[:, q], atol=FLOAT32)
        np.testing.assert_allclose(step_weights[:, :, 0], attention_weights[:, :, q], atol=FLOAT32)


def test_the_layer_comes_back_from_its_config():
    arguments = {
        "num_heads": 4,
        "attention_dropout_rate": 0.1,
        "num_key_value_heads": 2,
        "position_encoding": "rope",
        "rope_max_wavelength": 500_042,
        "use_bias": False,
        "alibi_dtype": "bfloat16",
    }
    config = FalconAttention(**arguments, name="attention", dtype="bfloat16").get_config()
    assert {name: config[name] for name in arguments} == arguments
    assert FalconAttention.from_config(config).get_config() == config

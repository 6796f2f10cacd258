"""Attention in parts is attention: outputs, maps and gradients, with half of the work."""

from falcon_edu.attention import dot_product_attention, make_attention_mask
from falcon_edu.causal_attention import LEAST_QUERIES, causal_attention, part_ends
from falcon_edu.positions import alibi_bias, token_positions
from tests.layouts import (
    LAYOUTS,
    SIZES,
    build,
    difference,
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

PADDING = {"no": [130, 130], "right": [130, 70], "left": [-130, -50]}  # 130 is 4 unequal parts


def in_parts(*arguments):
    return causal_attention(dot_product_attention, *arguments)


def arguments(data):
    """Query, key, value, bias and mask: random sizes, padding anywhere, ALiBi or not."""
    b, g, repeats, h = (data.draw(st.integers(1, n)) for n in (2, 2, 3, 5))
    t = data.draw(st.sampled_from([63, 64, 97, 130]))  # of 1, 2, 3 and 4 parts
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    query = rng.normal(size=(b, t, g * repeats, h)).astype("float32")
    key, value = rng.normal(size=(2, b, t, g, h)).astype("float32")
    padding_mask = rng.integers(0, 2, (b, t))
    is_biased = data.draw(st.booleans())
    bias = alibi_bias(g * repeats, token_positions(padding_mask)) if is_biased else None
    return query, key, value, bias, make_attention_mask(padding_mask)


@settings(max_examples=16)
@given(st.data())
def test_it_equals_attention_in_one_piece(data):
    given_arguments = arguments(data)
    for part, whole in zip(
        in_parts(*given_arguments), dot_product_attention(*given_arguments), strict=True
    ):
        assert part.dtype == whole.dtype
        np.testing.assert_allclose(part, whole, atol=2e-6)


@settings(max_examples=6)
@given(st.data())
def test_so_do_its_gradients(data):
    query, key, value, bias, mask = arguments(data)

    def gradients(attend):
        def loss(query, key, value):
            output, weights = attend(query, key, value, bias, mask)
            return (output**2).sum() + (weights**2).sum()

        return jax.grad(loss, argnums=(0, 1, 2))(query, key, value)

    for part, whole in zip(gradients(in_parts), gradients(dot_product_attention), strict=True):
        np.testing.assert_allclose(part, whole, atol=1e-4, rtol=1e-4)


@given(st.integers(1, 3000))
def test_parts_cover_a_text_and_none_is_small(length):
    ends = part_ends(length)
    sizes = np.diff([0, *ends])
    assert ends[-1] == length
    assert len(ends) <= 4
    assert (sizes >= min(length, LEAST_QUERIES)).all()
    assert sizes.max() - sizes.min() <= 1


def test_what_lies_behind_a_query_is_not_computed():
    """Four parts do five eighths of the multiplications."""
    x = np.ones((1, 256, 1, 64), "float32")
    mask = make_attention_mask(np.ones((1, 256)))

    def flops(attend):
        compiled = jax.jit(lambda x: attend(x, x, x, None, mask)[0]).lower(x).compile()
        return compiled.cost_analysis()["flops"]

    assert flops(in_parts) < 0.7 * flops(dot_product_attention)


@pytest.mark.parametrize("padding", PADDING)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_long_texts_against_the_reference(layout, padding):
    """The texts of the other tests are too short to be cut."""
    backbone = build(layout, num_layers=1)
    length = 130
    token_ids = np.random.default_rng(0).integers(0, SIZES["vocabulary_size"], (2, length))
    columns = np.arange(length)
    padding_mask = np.stack(
        [columns < n if n > 0 else columns >= length + n for n in PADDING[padding]]
    ).astype("int32")
    x = {"token_ids": token_ids.astype("int32"), "padding_mask": padding_mask}
    expected = falcon(reference_weights(backbone), reference_config(backbone), **x)
    ours = read(backbone, x)
    for name in ("hidden_states", "attention_weights", "logits"):
        assert difference(ours, expected, padding_mask, name) < 2e-4


def test_a_mask_of_ones_own_may_let_queries_look_ahead():
    """Parts are only for what the block itself asks for."""
    layer = build().transformer_layers[0].attention_layer
    x = np.random.default_rng(0).normal(size=(1, 130, 48)).astype("float32")
    everywhere = np.ones((1, 130, 130), bool)
    _, weights = layer(x, positions=np.arange(130)[None], attention_mask=everywhere)
    assert (np.array(weights) > 0).all()


def test_dropout_is_still_drawn_for_every_part():
    drop = keras.layers.Dropout(0.5, seed=1)
    x = np.ones((1, 128, 1, 1), "float32")
    mask = make_attention_mask(np.ones((1, 128)))
    plain, _ = in_parts(x, x, x, None, mask)
    dropped, _ = in_parts(x, x, x, None, mask, lambda weights: drop(weights, training=True))
    for part in np.split(np.array(dropped - plain), 4, axis=1):
        assert np.abs(part).max() > 0.01

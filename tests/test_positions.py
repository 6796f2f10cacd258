"""ALiBi, RoPE and positions, as pure functions, against formulas written independently."""

import math

from falcon_edu.model.positions import alibi_bias, alibi_slopes, rotary_embedding, token_positions
from tests.layouts import to_float64

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st


def paper_slopes(n):
    """Press et al. 2022, from the code of the authors: what they print for any number of heads."""
    power = lambda n: [2 ** (-(2 ** -(math.log2(n) - 3)) * (i + 1)) for i in range(n)]  # noqa: E731
    below = 2 ** math.floor(math.log2(n))
    return power(below) + (paper_slopes(2 * below)[0::2][: n - below] if below < n else [])


def test_slopes_are_the_papers():
    for heads in range(1, 131):
        assert len(alibi_slopes(heads)) == heads
        np.testing.assert_allclose(alibi_slopes(heads), paper_slopes(heads), rtol=1e-12)


def test_slopes_of_a_few_heads_as_the_paper_prints_them():
    assert alibi_slopes(8) == [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256]
    assert alibi_slopes(16)[::2] == pytest.approx([2 ** -(i + 0.5) for i in range(8)])


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_positions_count_the_real_tokens(mask):
    positions = token_positions(np.array([mask])).tolist()[0]
    real = [position for position, is_real in zip(positions, mask, strict=True) if is_real]
    padding = [position for position, is_real in zip(positions, mask, strict=True) if not is_real]
    assert real == list(range(sum(mask)))
    assert set(padding) <= {0}


def test_any_mask_that_is_not_zero_counts_once():
    assert token_positions(np.array([[0, 2, 2, 5]])).tolist() == [[0, 0, 1, 2]]


def test_alibi_bias_is_slope_times_position():
    positions = np.array([[0, 1, 2, 3], [0, 0, 0, 1]])
    bias = alibi_bias(6, positions)
    assert bias.shape == (2, 6, 1, 4)
    expected = np.array(paper_slopes(6))[None, :, None, None] * positions[:, None, None, :]
    np.testing.assert_allclose(bias, expected, rtol=1e-6)  # slopes and products in float32


@pytest.mark.parametrize("heads", [1, 12, 32, 71, 128])
def test_bfloat16_alibi_is_the_formula_of_transformers(heads):
    """`slopes.bfloat16() * positions`: both are rounded to bfloat16, and so is the product."""
    positions = np.arange(1024)
    slopes = np.array(paper_slopes(heads), "float32").astype(ml_dtypes.bfloat16)
    expected = slopes[:, None] * positions.astype(ml_dtypes.bfloat16)
    ours = alibi_bias(heads, positions[None], "bfloat16")
    np.testing.assert_array_equal(to_float64(ours)[0, :, 0], expected.astype("float64"))


@pytest.mark.parametrize(("length", "worst"), [(64, 0.02), (1024, 0.57)])
def test_how_far_bfloat16_alibi_is_off(length, worst):
    """The numbers of our text: 32 heads of 64 dimensions, after the division by sqrt(64)."""
    positions = np.arange(length)[None]
    exact, rounded = (to_float64(alibi_bias(32, positions, x)) for x in ("float32", "bfloat16"))
    assert np.abs(exact - rounded).max() / math.sqrt(64) == pytest.approx(worst, abs=0.005)


def rotate(x, position, max_wavelength=10_000):
    """One vector, turned to a position."""
    return to_float64(rotary_embedding(x[None, None, None], [[position]], max_wavelength))[0, 0, 0]


@pytest.mark.parametrize("max_wavelength", [10_000, 500_042])
def test_rope_turns_pairs_by_position_times_frequency(max_wavelength):
    x = np.random.default_rng(0).normal(size=8).astype("float32")
    position, turned = 5, rotate(x, 5, max_wavelength)
    for i in range(4):
        angle = position * max_wavelength ** (-2 * i / 8)
        pair = complex(x[i], x[i + 4]) * complex(math.cos(angle), math.sin(angle))
        assert complex(turned[i], turned[i + 4]) == pytest.approx(pair, abs=1e-6)


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500), st.integers(0, 2**32 - 1))
def test_rope_scores_depend_on_the_distance_only(query_position, key_position, shift, seed):
    query, key = np.random.default_rng(seed).normal(size=(2, 8)).astype("float32")
    score = rotate(query, query_position) @ rotate(key, key_position)
    shifted = rotate(query, query_position + shift) @ rotate(key, key_position + shift)
    # An angle of up to 1000 radians is off by 1000 * 2^-24 in float32, and scores are below ten.
    assert shifted == pytest.approx(score, abs=2e-3)
    norm = np.linalg.norm(rotate(query, query_position))
    assert norm == pytest.approx(np.linalg.norm(query), rel=1e-5)


def test_rope_angles_are_float32_whatever_the_dtype():
    """In bfloat16, positions from 257 on would share their angles with their neighbours."""
    x = np.ones((1, 2, 1, 8), ml_dtypes.bfloat16)
    turned = rotary_embedding(x, [[400, 401]])
    assert str(turned.dtype) == "bfloat16"
    exact = [rotate(np.ones(8, "float32"), position) for position in (400, 401)]
    # cos, sin, both products and the sum are rounded, each by at most 2^-8 of at most 1.42.
    np.testing.assert_allclose(to_float64(turned)[0, :, 0], exact, atol=4 * 1.42 * 2**-8)

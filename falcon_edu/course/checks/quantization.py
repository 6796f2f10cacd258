"""Checks of notebook 16: whole numbers, groups with a scale each, what fits, what to give up."""

from falcon_edu.course.checks.exercise import exercise, expect, expect_close, given, several
from falcon_edu.scale.memory import FALCON_FAMILY

import numpy as np


@exercise(
    wants="the whole numbers, an array, and the scale, a number",
    nudge="What must the largest weight by size become? That gives the scale.",
    hint="The largest whole number is `2 ** (bits - 1) - 1`; the scale is that, divided by "
    "`abs(weights).max()`.",
    praise="Five lines, and a quarter of the memory.",
)
def to_whole(answer):
    """Exercise 16.1."""
    weights = np.array([0.3, -2.0, 0.77, 1.1])
    got = several(answer(weights.copy(), 8), 2, "two things are wanted: `return whole, scale`.")
    whole, scale = np.asarray(given(got[0]), dtype="float64"), given(got[1])
    for wrong, message in (
        (2.0 / 127, "this is the length of a step; the scale is one divided by it."),
        (127 / 1.1, "the largest *by size* decides, and it is negative here."),
        (128 / 2.0, "128 has no counterpart in 8 bits: use the levels from -127 to 127."),
        (255 / 2.0, "8 bits have 255 levels, but only 127 of them are above zero."),
    ):
        expect(not np.allclose(scale, wrong), message)
    expect_close(scale, 63.5, "the scale")
    expect(
        not np.array_equal(whole, np.trunc(weights * 63.5)),
        "you cut the digits off; go to the nearest whole number, with `np.rint`.",
    )
    expect(not np.allclose(whole, weights * 63.5), "these are not whole numbers yet.")
    expect_close(whole, [19, -127, 49, 70], "the whole numbers")
    whole, scale = answer(np.array([0.5, -0.2, 0.1]), 4)
    expect_close(scale, 14, "the scale with 4 bits")
    expect_close(whole, [7, -3, 1], "the whole numbers with 4 bits")


def _rounded(weights, bits, axis):
    scale = (2 ** (bits - 1) - 1) / np.abs(weights).max(axis, keepdims=True)
    return np.rint(weights * scale) / scale


def _in_groups(weights, bits, size, axis=1):
    m, f = weights.shape
    return _rounded(weights.reshape(m // size, size, f), bits, axis).reshape(m, f)


@exercise(
    wants="an array (m, f)",
    nudge="Which numbers share a scale? Give them an axis of their own.",
    hint="Give the rows two axes, `weights.reshape(-1, size, f)`; then all along axis 1 share a "
    "scale. Give the result the old shape again.",
    praise="The smaller the groups, the better, and the more scales there are to keep.",
)
def rounded_in_groups(answer):
    """Exercise 16.2."""
    weights = np.random.default_rng(0).normal(size=(12, 5))
    weights[3] *= 20
    got = np.asarray(given(answer(weights.copy(), 4, 4)))
    turned = weights.reshape(4, 3, 5)
    apart = (_rounded(turned, 4, 0)).reshape(12, 5)
    for wrong, message in (
        (_rounded(weights, 4, 0), "the groups are missing: an output has one scale for all rows."),
        (
            _in_groups(weights, 4, 4, axis=(1, 2)),
            "all outputs of a group share a scale, but each needs its own.",
        ),
        (_rounded(weights, 4, 1), "each row has a scale here; each output needs its own."),
        (apart, "the rows of a group are not neighbours: the group's number is the first axis."),
        (_in_groups(weights, 4, 3), "`size` is how many rows a group has, not how many groups."),
        (_in_groups(weights, 5, 4), "4 bits have whole numbers from -7 to 7."),
    ):
        expect(not (got.shape == wrong.shape and np.allclose(got, wrong)), message)
    expect(
        not np.allclose(got, np.rint(got)),
        "these are the whole numbers; divide by the scale again.",
    )
    expect_close(got, _in_groups(weights, 4, 4), "the matrix as it comes back")
    expect_close(answer(weights, 8, 12), _rounded(weights, 8, 0), "the matrix with a single group")
    weights = np.random.default_rng(1).normal(size=(6, 2))
    wanted = _in_groups(weights, 3, 2)
    expect_close(answer(weights, 3, 2), wanted, "a matrix (6, 2) in groups of 2 rows, in 3 bits,")


@exercise(
    wants="a whole number",
    nudge="What is left for the cache, and what does one token take of it?",
    hint="Ask `memory_needed(config, dtype=dtype, tokens=1)` for the two parts: the second is what "
    "one token takes. Divide what the weights leave by it, with `//`.",
    praise="And a model with few key/value heads remembers far more in the same room.",
)
def longest(answer):
    """Exercise 16.3."""
    small = FALCON_FAMILY["falcon-rw-1b"]
    weights, token = small.num_parameters, 2 * 24 * 2048 * 2  # bytes, in int8 and bfloat16
    got = given(answer(small, 2.0, "int8"))
    wanted = int((2e9 - weights) // token)
    for wrong, message in (
        (2e9 // token, "the weights need room, too."),
        ((2e9 - weights) // (token // 2), "with int8, the cache is in bfloat16: two bytes."),
        ((2e9 - 4 * weights) // token, "in int8 a weight has one byte."),
        ((2 * 2**30 - weights) // token, "a gigabyte here has 1e9 bytes."),
        ((2e9 - weights) // (token // 2048 * 64), "each head has its keys and values."),
    ):
        expect(got != wrong, message)
    expect(
        got not in (wanted + 1, (2e9 - weights) / token),
        "that is a token too many, or a part of one: round down.",
    )
    expect_close(got, wanted, "the tokens of a 1B in 2 GB", tolerance=1e-9)
    got = given(answer(small, 2.0, "bfloat16"))
    expect(got >= 0, "where the weights alone don't fit, the answer is 0.")
    expect_close(got, 0, "the tokens of a 1B in bfloat16 in 2 GB")
    large = FALCON_FAMILY["falcon-7b"]
    wanted = (16_000_000_000 - 2 * large.num_parameters) // (2 * 32 * 64 * 2)
    expect_close(
        answer(large, 16.0, "bfloat16"), wanted, "the tokens of a 7B in 16 GB", tolerance=1e-9
    )


def _squared_error(weights, bits, share, clip=True):
    top = 2 ** (bits - 1) - 1
    scale = top / (share * np.abs(weights).max())
    whole = np.rint(weights * scale)
    whole = np.clip(whole, -top, top) if clip else whole
    return ((whole / scale - weights) ** 2).sum()


@exercise(
    wants="one of the shares",
    nudge="Write the rounding for one share first, with its error; what happens to a weight "
    "beyond the scale?",
    hint="For each share: `scale = top / (share * abs(weights).max())`, then `np.rint`, then "
    "`np.clip(whole, -top, top)`, then divide by the scale and sum the squared errors.",
    praise="A large error for one weight, and a smaller one for all others.",
)
def best_share(answer):
    """Exercise 16.4."""
    weights = np.append(np.random.default_rng(3).normal(size=200), 6.0)
    shares = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    errors = [_squared_error(weights, 3, share) for share in shares]
    wanted = shares[int(np.argmin(errors))]
    got = given(answer(weights.copy(), 3, list(shares)))
    expect(
        np.ndim(got) == 0 and any(np.isclose(got, share) for share in shares),
        "return the best of the shares itself, not its place, its error or its scale.",
    )
    expect(
        got != shares[int(np.argmax(errors))],
        "this share has the largest error, not the smallest.",
    )
    free = [_squared_error(weights, 3, share, clip=False) for share in shares]
    expect(
        got != shares[int(np.argmin(free))],
        "what lies beyond must become the largest whole number: with 3 bits there is none above 3.",
    )
    expect(got != 1.0, "with few bits it pays to give up the outlier; do you compare all shares?")
    expect_close(got, wanted, "the best share for 3 bits")
    negative = np.append(np.random.default_rng(4).normal(size=200), -9.0)
    wanted = min(shares, key=lambda share: _squared_error(negative, 4, share))
    expect_close(answer(negative, 4, shares), wanted, "the best share with a negative outlier")
    expect_close(answer(weights, 8, shares), 1.0, "the best share for 8 bits")
    shares = [1.0, 0.55, 0.05]
    wanted = min(shares, key=lambda share: _squared_error(weights, 3, share))
    expect_close(answer(weights, 3, shares), wanted, f"the best of the shares {shares}")

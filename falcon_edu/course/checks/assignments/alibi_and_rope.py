"""Checks of assignment 2: slopes, biases, how far a head reaches, turning, and padding."""

from falcon_edu.course.checks.exercise import expect, expect_close, given
from falcon_edu.course.checks.graded import Graded
from falcon_edu.model.positions import alibi_slopes as falcons_slopes

import numpy as np

alibi_slopes = Graded()
alibi_bias = Graded()
reach = Graded()
rotate = Graded()
to_halves = Graded()
positions = Graded()
unfinished = Graded()


# === ALiBi ===


@alibi_slopes.part(1, "a power of two")
def _(answer, rng):
    for heads in (1, 4, int(2 ** rng.integers(3, 7))):
        expect_close(answer(heads), falcons_slopes(heads), f"the slopes of {heads} heads", 1e-9)


@alibi_slopes.part(2, "any number of heads")
def _(answer, rng):
    for heads in (3, int(rng.integers(5, 8)), int(rng.integers(65, 80))):
        expect_close(answer(heads), falcons_slopes(heads), f"the slopes of {heads} heads", 1e-9)


def _bias(answer, slopes, queries, keys):
    """Compare where a query may look: at its own key and those before."""
    got = np.asarray(given(answer(slopes, queries, keys)), dtype="float64")
    shape = (len(slopes), queries, keys)
    expect(got.shape == shape, f"the bias should have shape {shape}, but yours has {got.shape}.")
    back = np.arange(keys - queries, keys)[:, None] - np.arange(keys)
    seen = back >= 0
    expect((got[:, seen] <= 0).all(), "what is further away should lose, so no bias is above 0.")
    expect_close(got[:, seen], (-slopes[:, None, None] * back)[:, seen], "the bias of seen keys")


@alibi_bias.part(1, "as many queries as keys")
def _(answer, rng):
    _bias(answer, rng.random(3) + 0.1, 6, 6)


@alibi_bias.part(1, "the queries are the last tokens")
def _(answer, rng):
    _bias(answer, rng.random(2) + 0.1, int(rng.integers(1, 4)), 7)


def _reach(slope, share):
    return int(np.ceil(-np.log(1 - share) / slope - 1e-9))


@reach.part(1, "half of the weight")
def _(answer, rng):
    for power in (1, *map(int, rng.integers(2, 60, 3))):
        wanted = _reach(np.log(2) / power, 0.5)
        got = answer(np.log(2) / power + 1e-9, 0.5)
        expect_close(got, wanted, f"with a slope of ln(2) / {power}, the tokens with half")


@reach.part(2, "any slope and share")
def _(answer, rng):
    for slope, share in zip(2.0 ** -rng.uniform(1, 8, 6), rng.uniform(0.3, 0.99, 6), strict=True):
        got = answer(slope, share)
        what = f"for slope {slope:.4f}, the tokens that have {share:.2f} of the weight"
        expect_close(got, _reach(slope, share), what)


# === RoPE ===


def _turned(x, where, base):
    half = x.shape[-1] // 2
    angles = where[..., None] * base ** (-np.arange(half) / half)
    first, second = x[..., :half], x[..., half:]
    cos, sin = np.cos(angles), np.sin(angles)
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


@rotate.part(1, "one pair of numbers")
def _(answer, rng):
    x, where = rng.normal(size=(3, 2)), np.array([0, 1, int(rng.integers(2, 9))])
    got = np.asarray(given(answer(x.copy(), where, 10_000.0)), dtype="float64")
    expect(
        got.shape != x.shape or not np.allclose(got[1:], _turned(x, -where, 1.0)[1:]),
        "yours turns the other way: a positive angle takes (1, 0) towards (0, 1).",
    )
    expect_close(got, _turned(x, where, 10_000.0), "the turned pair")


@rotate.part(2, "many pairs, each with its frequency")
def _(answer, rng):
    x, where = rng.normal(size=(5, 8)), rng.integers(0, 50, size=5)
    got = np.asarray(given(answer(x.copy(), where, 10_000.0)), dtype="float64")
    woven = np.empty_like(x)
    order = np.arange(8).reshape(4, 2).T.reshape(-1)
    woven[:, order] = _turned(x[:, order], where, 10_000.0)
    expect(
        got.shape != x.shape or not np.allclose(got, woven),
        "yours turns neighbours, (x[0], x[1]); Falcon turns (x[0], x[h / 2]).",
    )
    expect_close(got, _turned(x, where, 10_000.0), "the turned vectors")


@rotate.part(1, "another base, and more axes in front")
def _(answer, rng):
    x, where = rng.normal(size=(2, 5, 4)), rng.integers(0, 50, size=(2, 5))
    base = float(rng.integers(100, 900_000))
    expect_close(answer(x.copy(), where, base), _turned(x, where, base), "the turned vectors")


@to_halves.part(1, "columns only move, each within its head")
def _(answer, rng):
    kernel = rng.normal(size=(3, 12))
    got = np.asarray(given(answer(kernel.copy(), 2)), dtype="float64")
    expect(got.shape == kernel.shape, f"the kernel should keep its shape, {kernel.shape}.")
    for head in (slice(0, 6), slice(6, 12)):
        expect_close(np.sort(got[:, head]), np.sort(kernel[:, head]), "a head's numbers, sorted,")
    expect(not np.allclose(got, kernel), "in yours nothing has moved.")


@to_halves.part(2, "the scores are those of the other library")
def _(answer, rng):
    width, heads = 8, int(rng.integers(2, 5))
    x, kernels = rng.normal(size=(6, 5)), rng.normal(size=(2, 5, heads * width))
    where, order = np.arange(6), np.array([0, 2, 4, 6, 1, 3, 5, 7])

    def scores(vectors, turn):
        query, key = (turn(v.reshape(6, heads, width)) for v in vectors)
        return np.einsum("qnh,knh->nqk", query, key)

    def woven(vectors):
        return _turned(vectors[..., order], where[:, None], 100.0)

    wanted = scores([x @ kernel for kernel in kernels], woven)
    ours = [x @ np.asarray(given(answer(kernel.copy(), heads))) for kernel in kernels]
    got = scores(ours, lambda vectors: _turned(vectors, where[:, None], 100.0))
    expect_close(got, wanted, "the scores with your kernels")


# === Positions ===


def _positions(answer, is_real):
    wanted = (np.cumsum(is_real, axis=-1) - 1) * is_real
    expect_close(answer(is_real.copy()), wanted, "the positions")


@positions.part(1, "no padding, and padding on the right")
def _(answer, rng):
    is_real = np.ones((2, 6), bool)
    is_real[1, int(rng.integers(2, 6)) :] = False
    _positions(answer, is_real)


@positions.part(1, "padding on the left")
def _(answer, rng):
    is_real = np.ones((2, 6), bool)
    is_real[1, : int(rng.integers(1, 5))] = False
    _positions(answer, is_real)


def _unfinished(width, base, length):
    pairs = np.arange(width // 2)
    return int((2 * np.pi * base ** (pairs * 2 / width) > length).sum())


@unfinished.part(1, "Falcon-7B's heads")
def _(answer, rng):
    for length in (2048, int(rng.integers(100, 4000))):
        wanted = _unfinished(64, 10_000.0, length)
        expect_close(
            answer(64, 10_000.0, length), wanted, f"of 32 pairs, at length {length}, those"
        )


@unfinished.part(2, "any width, base and length")
def _(answer, rng):
    for width, base, length in [(2, 10.0, 7), (2, 10.0, 6), (128, 500_042.0, 8192)]:
        what = f"the pairs for width {width}, base {base:g} and length {length}"
        expect_close(answer(width, base, length), _unfinished(width, base, length), what)
    for _ in range(4):
        width, length = 2 * int(rng.integers(4, 80)), int(rng.integers(50, 5000))
        base = float(rng.integers(100, 900_000))
        what = f"the pairs for width {width}, base {base:g} and length {length}"
        expect_close(answer(width, base, length), _unfinished(width, base, length), what)

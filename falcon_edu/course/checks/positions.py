"""Checks of notebook 04: half-lives, packed texts, and rotations."""

from falcon_edu.course.checks.exercise import exercise, expect, expect_close

import numpy as np


@exercise(
    wants="a number of tokens",
    nudge="Write down the weight at distance d as a share of the weight at distance 0. When is it "
    "1/2?",
    hint="The weight is multiplied by exp(-slope / sqrt(h) * distance). Set that to 1/2.",
    praise="Head 3 of our model has a half-life of a thousand tokens; it was trained on fewer.",
)
def half_life(answer):
    """Exercise 4.1: the distance at which ALiBi has halved a weight."""
    slope, h = 1 / 16, 64
    got = answer(slope, h)
    wanted = np.log(2) * np.sqrt(h) / slope
    for wrong, message in {
        np.log(2)
        / slope: "Falcon divides the bias by sqrt(h) as well: the slope that counts is less.",
        np.log(2) / slope / np.sqrt(h): "the division by sqrt(h) makes the slope that counts "
        "smaller, so the half-life longer; yours is shorter.",
        np.sqrt(h) / slope: "after this distance a factor of 1/e is left, not 1/2.",
        np.log(2) * h / slope: "Falcon divides by the root of h, not by h.",
    }.items():
        expect(not _is_close(got, wrong), message)
    _expect_half_life(got, wanted, "the half-life for a slope of 1/16 and a width of 64")
    wanted = np.log(2) * np.sqrt(32) / 0.5
    _expect_half_life(answer(0.5, 32), wanted, "the half-life for a slope of 1/2 and a width of 32")


def _expect_half_life(got, wanted, what):
    """Take whole tokens, too: the first at which half the weight is gone."""
    if not _is_close(got, np.ceil(wanted)):
        expect_close(got, wanted, what, 1e-4)


def _is_close(got, number):
    """True if an answer is a number, and this one."""
    is_number = np.ndim(got) == 0 and np.asarray(got).dtype.kind in "iuf"
    return is_number and np.allclose(got, number)


@exercise(
    wants="an array of positions (b, t)",
    nudge="A position is the place in the row less something. What, for each text?",
    hint="Where does a token's text begin? `(text_ids[:, :, None] == text_ids[:, None, :])` says "
    "which tokens belong together; `argmax(axis=-1)` finds the first of them.",
    praise="With a mask that keeps the texts apart, one row is as good as many.",
)
def packed_positions(answer):
    """Exercise 4.2: positions of several texts in a row."""
    text_ids = np.array([[1, 1, 1, 2, 2, 0], [0, 0, 3, 3, 7, 7], [2, 2, 0, 0, 1, 1]])
    wanted = np.array([[0, 1, 2, 0, 1, 0], [0, 0, 0, 1, 0, 1], [0, 1, 0, 0, 0, 1]])
    got = answer(text_ids.copy())
    if got is not None and np.shape(got) == wanted.shape:
        got = np.asarray(got)
        expect(not (got < 0).any(), "a position is negative; the first token of a text is at 0.")
        expect(
            not np.array_equal(got - 1, np.where(text_ids > 0, wanted, -1)),
            "yours begin at 1; the first token of a text is at 0.",
        )
        padding = np.argwhere((text_ids == 0) & (got != 0))
        expect(
            len(padding) == 0,
            "padding should have position 0, but in yours some has another.",
        )
        begins = (text_ids > 0) & (np.diff(text_ids, axis=1, prepend=0) != 0)
        late = np.argwhere(begins & (got != 0)).tolist()
        expect(
            not late,
            f"each text begins at 0, but in yours the one at {late[:1]}, row and column, does not: "
            "it counts on from what stands before.",
        )
    expect_close(got, wanted, "the array of positions")
    text_ids = np.array([[9, 9, 4, 4], [5, 5, 5, 5]])
    wanted = np.array([[0, 1, 0, 1], [0, 1, 2, 3]])
    expect_close(answer(text_ids), wanted, "the array of positions for 9 9 4 4 and 5 5 5 5")


@exercise(
    wants="an array (t, h)",
    nudge="The angles stay as they were. Which numbers of the vector does each of them turn?",
    hint="`first, second = x[:, 0::2], x[:, 1::2]` are the two numbers of each pair. Turn as "
    "before, and put the results back into the same places of a new array.",
    praise="To the scores it makes no difference: the pairs only stand in other places.",
)
def rope_of_neighbours(answer):
    """Exercise 4.3: RoPE with the pairs of the paper."""
    for h, positions in ((6, [0, 1, 2, 5]), (4, [7, 3])):
        _check_turned(answer, h, np.array(positions))


def _check_turned(answer, h, positions):
    x = np.random.default_rng(0).normal(size=(len(positions), h))
    half = h // 2
    angles = positions[:, None] * 10_000 ** (-np.arange(half) / half)
    cos, sin = np.cos(angles), np.sin(angles)

    def turned(first, second, sign=1):
        return first * cos - sign * second * sin, second * cos + sign * first * sin

    wanted = np.stack(turned(x[:, 0::2], x[:, 1::2]), axis=-1).reshape(x.shape)
    got = answer(x.copy(), positions.copy())

    def equals(other):
        return got is not None and np.shape(got) == other.shape and np.allclose(got, other)

    halves = np.concatenate(turned(x[:, :half], x[:, half:]), axis=1)
    expect(not equals(halves), "this pairs the two halves; pair 0 should be numbers 0 and 1.")
    apart = np.concatenate(turned(x[:, 0::2], x[:, 1::2]), axis=1)
    expect(
        not equals(apart),
        "the pairs are turned rightly, but the results must go back to where the numbers "
        "came from.",
    )
    back = np.stack(turned(x[:, 0::2], x[:, 1::2], sign=-1), axis=-1).reshape(x.shape)
    expect(not equals(back), "in yours the pairs turn the other way, with the clock.")
    expect(
        positions[0] or np.shape(got) != x.shape or np.allclose(np.asarray(got)[0], x[0]),
        "at position 0 nothing turns, but yours changes the vector there.",
    )
    expect_close(got, wanted, "the array of turned vectors")


@exercise(
    wants="a number",
    nudge="Write down the speed of the slowest pair. Where does the wavelength stand in it?",
    hint="The slowest pair is i = h/2 - 1. Its speed, wavelength ** (-(h/2 - 1) / (h/2)), must "
    "become `factor` times smaller. Solve for the wavelength.",
    praise="Pass it to from_preset as rope_max_wavelength, and measure how far it carries.",
)
def stretched_wavelength(answer):
    """Exercise 4.4: the wavelength for which the slowest pair is `factor` times slower."""
    for wavelength, h, factor in [(10_000, 32, 4), (10_000, 8, 2), (500, 8, 2)]:
        half = h // 2
        got = answer(wavelength, h, factor)
        for wrong, message in {
            wavelength
            * factor: "the wavelength itself is `factor` times as long, but the slowest pair "
            "has an exponent slightly below 1, so that is not quite enough.",
            wavelength / factor: "a shorter wavelength makes the slow pairs faster.",
            wavelength * factor ** (h / (h - 1)): "the exponent is that of h pairs, but a head of "
            "width h has h/2.",
            wavelength * factor ** ((half - 1) / half): "the exponent is the wrong way up.",
            wavelength * factor**half: "this slows pair 1 by the factor, not the slowest pair.",
        }.items():
            expect(not _is_close(got, wrong), message)
        wanted = wavelength * factor ** (half / (half - 1))
        what = f"{wavelength}, stretched for h = {h} and a factor of {factor},"
        expect_close(got, wanted, what, 1e-4)  # a whole number will do

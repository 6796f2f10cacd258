"""Checks of notebook 11: limits, an optimizer's step, patterned data, and a rule that copies."""

from falcon_edu.course.checks.exercise import exercise, expect, expect_close, given, several

import numpy as np


@exercise(
    wants="a number",
    nudge="What does a word cost the first time, and what each time after that, if all that can "
    "be known is known?",
    hint="Only the first time costs anything, `np.log(words)` for each word. Then take the mean "
    "over all the times.",
    praise="The more often a list is said, the more there is to gain from copying.",
)
def limit(answer):
    """Exercise 11.1."""
    got = given(answer(63, 2))
    expect(
        not np.isclose(got, np.log(63)),
        "this is what a word costs the first time. The limit is the mean over all times.",
    )
    expect(
        not (np.isclose(got, np.log2(63) / 2) or np.isclose(got, np.log10(63) / 2)),
        "the loss is in nats: take the natural logarithm.",
    )
    expect(
        not np.isclose(got, np.log(63 / 2)),
        "you divide inside the logarithm: it is the cost that is shared, not the words.",
    )
    expect_close(got, np.log(63) / 2, "the limit for 63 words and lists that are said twice")
    got = answer(10, 5)
    expect(
        not np.isclose(got, np.log(10) / 2),
        "you always share among two, but `times` may be another number.",
    )
    expect_close(got, np.log(10) / 5, "the limit for 10 words and lists that are said five times")
    expect_close(answer(10, 1), np.log(10), "the limit where nothing is ever repeated")


@exercise(
    wants="three arrays: weight, mean and square",
    nudge="Go through the five formulas in their order. Which values are returned, and which "
    "serve this step only?",
    hint="`mean = b1 * mean + (1 - b1) * gradient`, likewise `square` with `gradient**2`; divide "
    "them by `1 - b1**step` and `1 - b2**step` for this step, but return them undivided.",
    praise="Every weight has a step of its own, about as long as the learning rate.",
)
def adam_step(answer):
    """Exercise 11.2."""
    gradient = np.array([0.1, -2.0, 30.0])
    zero = np.zeros(3)
    got = answer(np.ones(3), gradient.copy(), zero.copy(), zero.copy(), 1, 0.01)
    asked = "three things are wanted: the new weight, the new mean and the new square."
    weight, mean, square = several(got, 3, asked)
    expect_close(mean, 0.1 * gradient, "the mean after the first step")
    expect_close(square, 0.001 * gradient**2, "the square after the first step")
    moved = np.asarray(weight, dtype="float64") - 1
    if moved.shape == (3,) and np.isfinite(moved).all():
        expect(
            not (np.sign(moved) == np.sign(gradient)).all(),
            "the weight went up the slope: it should go against the gradient.",
        )
        expect(
            not np.allclose(abs(moved), 0.01 * 0.1 / np.sqrt(0.001), rtol=1e-3),
            "the first step is too long: both means start at zero, so divide them by "
            "`1 - b1**step` and `1 - b2**step`.",
        )
        expect(
            not np.allclose(moved, -0.01 / gradient, rtol=1e-3),
            "a small gradient took a long step: divide by the square root of the square.",
        )
    expect_close(weight, 1 - 0.01 * np.sign(gradient), "the weight after the first step")
    before = np.array([1.0, 2.0, -3.0])
    got = answer(before.copy(), gradient.copy(), np.ones(3), 4 * np.ones(3), 3, 0.5)
    weight, mean, square = (np.asarray(array) for array in got)
    expect_close(mean, 0.9 + 0.1 * gradient, "the mean, when it was 1 before")
    expect_close(square, 3.996 + 0.001 * gradient**2, "the square, when it was 4 before")
    step = (mean / (1 - 0.9**3)) / np.sqrt(square / (1 - 0.999**3))
    expect_close(weight, before - 0.5 * step, "the weight after step 3", 1e-6)
    _check_epsilon(answer)


def _check_epsilon(answer):
    """Give it gradients as small as epsilon, where it matters where that stands."""
    gradient, zero = np.array([1e-7, -3e-7, 0.0]), np.zeros(3)
    with np.errstate(all="ignore"):
        weight = np.asarray(
            answer(zero.copy(), gradient.copy(), zero.copy(), zero.copy(), 1, 1.0)[0]
        )
    for wrong, message in (
        (-np.sign(gradient), "epsilon is missing: it keeps tiny gradients from long steps."),
        (-gradient / np.sqrt(gradient**2 + 1e-7), "epsilon is added to the root, not inside it."),
        (
            -gradient / (abs(gradient) + 1e-8),
            "epsilon is 1e-7 here, as in Keras, not 1e-8 as in the paper.",
        ),
        (
            -gradient / (abs(gradient) + 1e-7 / np.sqrt(1e-3)),
            "epsilon is added before the mean of squares is corrected; add it after.",
        ),
    ):
        expect(not np.allclose(weight[:2], wrong[:2]), message)
    expect(
        np.isfinite(weight[2]), "where the gradient is 0, you divide 0 by 0: epsilon is missing."
    )
    wanted = -gradient / (abs(gradient) + 1e-7)
    expect_close(weight, wanted, "the weight, when gradients are as small as epsilon,")


@exercise(
    wants="two arrays, the ids and the weights",
    nudge="Write down ids and weights for the list 1 2 3, by hand.",
    hint="`words[:, ::-1]` is each row from its end, and `np.concatenate([...], axis=1)` joins "
    "columns of marks, `np.zeros((count, 1), int)`, with them.",
    praise="Now train a Falcon on such lists. Where does it look?",
)
def mirrored(answer):
    """Exercise 11.3."""
    words = np.array([[1, 2, 3], [4, 5, 5]])
    got = answer(words.copy())
    ids, weights = several(got, 2, "two things are wanted: the ids and the weights.")
    plain = np.array([[0, 1, 2, 3, 0, 3, 2, 1], [0, 4, 5, 5, 0, 5, 5, 4]])
    if np.shape(ids) == plain.shape:
        expect(
            not np.array_equal(ids, np.concatenate([plain[:, :4]] * 2, axis=1)),
            "the list is repeated as it was: the second time it should run backwards.",
        )
        expect(
            not np.array_equal(np.asarray(ids)[:, 5:], words[::-1]),
            "you turned the order of the lists, not the order of the words in each.",
        )
    else:
        expect(np.shape(ids) != (2, 6), "the marks are missing: 0 before each of the two halves.")
        expect(np.shape(ids) != (2, 7), "one mark is missing: 0 stands before each half.")
    expect_close(ids, plain, "the ids")
    if np.shape(weights) == plain.shape:
        expect(
            not np.all(weights),
            "the marks should not count: their weight is 0.",
        )
    expect_close(weights, np.array([[0, 1, 1, 1, 0, 1, 1, 1]] * 2), "the weights")
    ids, weights = answer(np.array([[7, 8]]))
    expect_close(ids, [[0, 7, 8, 0, 8, 7]], "the ids for the list 7 8")
    expect_close(weights, [[0, 1, 1, 0, 1, 1]], "the weights for the list 7 8")


@exercise(
    wants="an array (t, v)",
    nudge="Go through 0 3 1 3 by hand: what does the second 3 find, and what stood right after it?",
    hint="For each `q`, go through `j` from 0 to `q - 1`; where `ids[j] == ids[q]`, add 1 to row "
    "`q` at column `ids[j + 1]`. Then divide each row by its sum; an empty row gets 1 / v.",
    praise="Two layers of attention have learned this rule from nothing but examples.",
)
def rule(answer):
    """Exercise 11.4."""
    ids = np.array([0, 3, 1, 3, 2, 0, 3])
    got = given(answer(ids.copy(), 4))
    even = np.full(4, 0.25)
    wanted = np.array([even, even, even, np.eye(4)[1], even, np.eye(4)[3], [0, 0.5, 0.5, 0]])
    if np.shape(got) == wanted.shape:
        got = np.asarray(got, dtype="float64")
        expect(
            np.isfinite(got).all() and not (got[0] == 0).all(),
            "a word that is there for the first time has no row: give it 1 / v everywhere.",
        )
        expect(
            np.allclose(got.sum(axis=1), 1),
            "the rows should be distributions, with a sum of 1.",
        )
        expect(
            not np.allclose(got[1], np.eye(4)[1]),
            "row 1 knows the word that comes next: you look at the query itself, or into the "
            "future.",
        )
        expect(
            not (np.allclose(got[3], np.eye(4)[0]) or np.allclose(got[3], np.eye(4)[3])),
            "the second 3 should say 1, which came after the first 3. You say what came before "
            "it, or itself.",
        )
        expect(
            not (np.allclose(got[6], np.eye(4)[2]) or np.allclose(got[6], np.eye(4)[1])),
            "3 was there twice before: once 1 followed and once 2. Both should count.",
        )
    expect_close(got, wanted, "the predictions for 0 3 1 3 2 0 3")
    got = answer(np.array([1, 1, 1]), 2)
    expect_close(got, [[0.5, 0.5], [0, 1], [0, 1]], "the predictions for 1 1 1")

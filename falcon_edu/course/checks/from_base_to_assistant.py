"""Checks of notebook 19: what counts, how many tries it takes, what is better than what."""

import math

from falcon_edu.course.checks.exercise import exercise, expect, expect_close, given

import numpy as np


def _of_answers(token_ids, assistant, end):
    """Mark the labels that belong to a turn of the assistant, step by step."""
    counts = np.zeros((len(token_ids), token_ids.shape[1] - 1), bool)
    for row, ids in enumerate(token_ids):
        speaks = False
        for place, token in enumerate(ids[:-1]):
            speaks = token == assistant or (speaks and token != end)
            counts[row, place] = speaks
    return counts


@exercise(
    wants="an array (b, t - 1) of true and false",
    nudge="Follow one row with a finger: after which token does the assistant begin to speak, and "
    "after which does it stop?",
    hint="A label counts if the last of the two special tokens before it was `assistant`. "
    "`np.maximum.accumulate(np.where(token_ids == assistant, places, -1), axis=1)` says where "
    "that one stood last.",
    praise="A whole conversation is one lesson, and only the assistant's part of it counts.",
)
def answer_weights(answer):
    """Exercise 19.1."""
    for assistant, end, rows in (
        (7, 3, [[6, 1, 1, 7, 2, 2, 3, 6, 1, 7, 2, 3], [3, 6, 1, 7, 2, 3, 0, 0, 0, 0, 0, 0]]),
        (5, 9, [[9, 4, 1, 1, 5, 2, 2, 2], [4, 5, 9, 4, 1, 5, 2, 9], [4, 1, 1, 4, 1, 9, 0, 0]]),
    ):
        token_ids = np.array(rows)
        wanted = _of_answers(token_ids, assistant, end)
        got = given(answer(token_ids.copy(), assistant, end))
        expect(
            np.shape(got) != token_ids.shape,
            "the last token has no label behind it: one column less is wanted.",
        )
        if np.shape(got) == wanted.shape:
            first = np.cumsum(token_ids == assistant, axis=1) > 0
            before_end = token_ids[:, 1:] != end
            for wrong, message in (
                (first[:, :-1], "you go on behind the end of the first answer."),
                (
                    np.pad(wanted, ((0, 0), (1, 0)))[:, :-1],
                    "your array says which tokens are of an answer. Wanted is, at each place, "
                    "whether the next one is.",
                ),
                (wanted & before_end, "the token that ends a turn is to be learned, too."),
                (~wanted, "the other way round: true where the assistant speaks."),
            ):
                expect(np.array_equal(wrong, wanted) or not np.array_equal(got, wrong), message)
        expect_close(got, wanted, "what counts")


@exercise(
    wants="a number from 0 to 1",
    nudge="How many choices of k tries are there, and how many of them hold no right one?",
    hint="`math.comb(tries, k)` choices in all; `math.comb(tries - right, k)` of them are of wrong "
    "tries alone. What is left, as a share?",
    praise="This is the estimate of Chen et al. 2021, who asked a model for programs.",
)
def pass_at_k(answer):
    """Exercise 19.2."""
    for tries, right, k in ((10, 3, 1), (10, 3, 5), (8, 0, 3), (6, 5, 4), (20, 2, 7)):
        none = math.comb(tries - right, k) / math.comb(tries, k)
        got = given(answer(tries, right, k))
        if np.shape(got) == () and 0 < none < 1:
            for wrong, message in (
                (none, "that is the share of choices without a right one."),
                (
                    math.comb(right, k) / math.comb(tries, k),
                    "that is the share of choices in which all are right.",
                ),
                (
                    1 - (1 - right / tries) ** k,
                    "this draws with replacement, the same try perhaps twice. For few tries it is "
                    "too low.",
                ),
                (right / tries, "k is not used: that is the share of right tries."),
            ):
                is_it = np.isclose(wrong, got) and not np.isclose(wrong, 1 - none)
                expect(not is_it, message)
        expect_close(got, 1 - none, f"pass@{k} after {right} right ones of {tries}")


@exercise(
    wants="an array (questions, tries)",
    nudge="How do you get the sum over the others from the sum over all?",
    hint="`rewards.sum(axis=1, keepdims=True) - rewards` is the sum over the others, of whom there "
    "are `rewards.shape[1] - 1`.",
    praise="Its own reward is no part of its baseline, so the gradient stays unbiased.",
)
def advantages(answer):
    """Exercise 19.3."""
    rng = np.random.default_rng(0)
    for rewards in (
        np.array([[1.0, 0, 0, 0], [1, 1, 0, 1], [0, 0, 0, 0]]),
        rng.normal(size=(2, 3)),
    ):
        tries = rewards.shape[1]
        centered = rewards - rewards.mean(axis=1, keepdims=True)
        wanted = centered * tries / (tries - 1)
        got = given(answer(rewards.copy()))
        if np.shape(got) == rewards.shape:
            for wrong, message in (
                (centered, "each try is still in its own baseline."),
                (rewards - rewards.mean(), "the baseline is of one question, not of all."),
                (
                    rewards - rewards.mean(axis=0),
                    "you take the mean over questions; it goes over the tries at one.",
                ),
                (-wanted, "the other way round: the reward minus the baseline."),
                (rewards - wanted, "this is the baseline. Subtract it from the rewards."),
            ):
                expect(not np.allclose(got, wrong), message)
        expect_close(got, wanted, "the advantages")


@exercise(
    wants="a number",
    nudge="Write down the number inside the sigmoid for one pair. What is the logarithm of a "
    "quotient?",
    hint="`margins = beta * ((chosen - chosen_before) - (rejected - rejected_before))`. And "
    "-ln(sigmoid(x)) is ln(1 + e^-x), or `np.logaddexp(0, -x)`.",
    praise="No reward model and no sampling: a loss like any other.",
)
def dpo_loss(answer):
    """Exercise 19.4."""
    rng = np.random.default_rng(1)
    for pairs, beta in ((5, 0.1), (3, 0.5)):
        logs = -rng.uniform(1, 30, size=(4, pairs))
        chosen, rejected, chosen_before, rejected_before = logs
        gained, lost = chosen - chosen_before, rejected - rejected_before
        losses = np.logaddexp(0, -beta * (gained - lost))
        got = given(answer(*logs.copy(), beta))
        if np.shape(got) == ():
            for wrong, message in (
                (losses.sum(), "this is the sum over the pairs: take the mean."),
                (
                    np.logaddexp(0, -beta * (chosen - rejected)).mean(),
                    "the model as it was is missing: both are measured from there.",
                ),
                (
                    np.logaddexp(0, -beta * (lost - gained)).mean(),
                    "with yours the rejected answers are raised.",
                ),
                (np.logaddexp(0, lost - gained).mean(), "beta is missing."),
                (-losses.mean(), "a loss is to be made small: the sign is wrong."),
            ):
                expect(not np.isclose(got, wrong), message)
        expect_close(got, losses.mean(), f"the loss with beta {beta}")
    far = np.array([[-2000.0, -5.0], [-3.0, -5.0], [-3.0, -5.0], [-3.0, -5.0]])
    with np.errstate(all="ignore"):
        got = given(answer(*far, 0.5))
    expect(
        np.shape(got) != () or np.isfinite(got),
        "for a chosen answer that has become very improbable your loss is not finite.",
    )
    expect_close(
        got, (998.5 + math.log(2)) / 2, "the loss for an answer that has become improbable"
    )

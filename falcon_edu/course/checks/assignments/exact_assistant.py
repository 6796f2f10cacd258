"""Checks of assignment 9: lessons, a strict judge, and what comes after imitation."""

from falcon_edu.course.checks.exercise import expect, expect_close, given, several
from falcon_edu.course.checks.graded import Graded

import numpy as np

lesson = Graded()
answer_loss = Graded()
exact = Graded()
interval = Graded()
better = Graded()
policy_gradient = Graded()
preference = Graded()


# === Lessons ===


def _turns(rng):
    """Draw a prompt and an answer; 0 is an id like any other."""
    prompt, reply = (rng.integers(5, size=rng.integers(low, low + 3)) for low in (4, 1))
    return prompt.tolist(), [0, *reply.tolist()]


def _ask_lesson(answer, prompt, reply, end, length):
    return several(answer(prompt, reply, end, length), 2, "return ids, counts.")


@lesson.part(1, "the ids")
def _(answer, rng):
    for length in (14, 20):
        prompt, reply = _turns(rng)
        ids, _ = _ask_lesson(answer, prompt, reply, 4, length)
        row = [*prompt, *reply, 4]
        expect_close(ids, row + [0] * (length - len(row)), "the ids of a lesson")


@lesson.part(1, "the mask")
def _(answer, rng):
    for length in (14, 20, 16):
        prompt, reply = _turns(rng)
        _, counts = _ask_lesson(answer, prompt, reply, 4, length)
        places, last = np.arange(length - 1), len(prompt) + len(reply)
        wanted = (places >= len(prompt) - 1) & (places < last)
        expect(
            np.shape(counts) != (length,),
            "the last token has no label behind it: one number less is wanted.",
        )
        if np.shape(counts) == wanted.shape:
            for wrong, why in (
                (places < last, "the labels inside the prompt don't count."),
                (places >= len(prompt) - 1, "padding does not count."),
                (
                    (places >= len(prompt)) & (places <= last),
                    "your array says which tokens are of the answer; wanted is where the next one "
                    "is.",
                ),
                (wanted & (places < last - 1), "the end is to be learned, too."),
            ):
                expect(not np.array_equal(counts, wrong), why)
        expect_close(counts, wanted, "what counts")


@lesson.part(1, "what does not fit")
def _(answer, rng):
    prompt, reply = _turns(rng)
    size = len(prompt) + len(reply) + 1
    ids, _ = _ask_lesson(answer, prompt, reply, 4, size)
    expect_close(np.shape(ids), (size,), "the shape of the ids of a lesson that just fits")
    try:
        answer(prompt, reply, 4, size - 1)
    except ValueError:
        return
    expect(False, f"a lesson of {size} tokens went into {size - 1}: raise a ValueError.")


def _costs(logits, ids):
    logits = logits[:, :-1] - logits[:, :-1].max(axis=-1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return -np.take_along_axis(log_p, ids[:, 1:, None], axis=-1)[..., 0]


def _batch(rng, b, t=9, v=6):
    counts = np.zeros((b, t - 1), bool)
    for row, length in enumerate(rng.permutation(np.arange(b) + 2)):
        counts[row, 2 : 2 + length] = True
    return rng.normal(size=(b, t, v)) * 2, rng.integers(v, size=(b, t)), counts


@answer_loss.part(1, "one text")
def _(answer, rng):
    logits, ids, counts = _batch(rng, 1)
    got, costs = given(answer(logits, ids, counts)), _costs(logits, ids)
    if np.ndim(got) == 0:
        expect(not np.allclose(got, costs.mean()), "this is the mean over all labels.")
        expect(not np.allclose(got, costs[counts].sum()), "this is the sum: divide by the labels.")
    expect_close(got, costs[counts].mean(), "the loss of one text")


@answer_loss.part(1, "a batch")
def _(answer, rng):
    logits, ids, counts = _batch(rng, 4)
    got, costs = given(answer(logits, ids, counts)), _costs(logits, ids)
    of_texts = (costs * counts).sum(axis=1) / counts.sum(axis=1)
    if np.ndim(got) == 0:
        expect(
            not np.allclose(got, of_texts.mean()),
            "this is the mean of the texts' means. Each label should count the same.",
        )
    expect_close(got, costs[counts].mean(), "the loss of four texts")


@answer_loss.part(1, "large logits")
def _(answer, rng):
    logits, ids, counts = _batch(rng, 1)
    got = given(answer(1000 * logits, ids, counts))
    expect(np.all(np.isfinite(got)), "the loss is not finite: take the largest logit off first.")
    expect_close(got, _costs(1000 * logits, ids)[counts].mean(), "the loss with large logits")


# === A strict judge ===

RIGHT = [
    ("Mia", "Mia"),
    (" Mia", "Mia"),
    ("Mia \n", "Mia"),
    ("Mia.", "Mia"),
    (" two kites. ", "two kites"),
    ("Tom", " Tom."),
    ("", " "),
    ("Max", "Mia"),
]
WRONG = [
    ("mia", "Mia"),
    ("Mia and Tom", "Mia"),
    ("Mia", "Mia and Tom"),
    ("Mia...", "Mia"),
    ("Mia!", "Mia"),
    ("two  kites", "two kites"),
    ("", "Mia"),
    ("M", "Mia"),
    ("Tom", "Tom"),
]


def _expect_verdicts(answer, rng, pairs, is_right):
    order = rng.permutation(len(pairs))
    said, wanted = zip(*(pairs[i] for i in order), strict=True)
    got = np.asarray(given(answer(list(said), list(wanted))))
    expect(got.shape == (len(pairs),), f"{len(pairs)} verdicts are wanted: {got.shape} came.")
    for i, verdict in zip(order, got, strict=True):
        said, wanted = pairs[i]
        word = "right" if is_right[i] else "wrong"
        expect(bool(verdict) == is_right[i], f"{said!r} where {wanted!r} is wanted is {word}.")


@exact.part(1, "what is right")
def _(answer, rng):
    _expect_verdicts(answer, rng, RIGHT, [True] * 7 + [False])


@exact.part(1, "what is not")
def _(answer, rng):
    _expect_verdicts(answer, rng, WRONG, [False] * 8 + [True])


# === An interval, and a comparison ===


def _wilson(right, n, z=1.96):
    p = right / n
    middle, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return (middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)


@interval.part(1, "in the middle")
def _(answer, rng):
    for z in (1.96, 1.0, 2.58):
        n = int(rng.integers(20, 60))
        right = int(rng.integers(n // 4, n // 2))
        got = several(answer(right, n, z), 2, "return the lower end, the upper end.")
        expect_close(got, _wilson(right, n, z), f"the ends for {right} of {n} and z = {z}")


@interval.part(1, "none and all")
def _(answer, rng):
    n = int(rng.integers(5, 30))
    for right in (0, n):
        got = several(answer(right, n), 2, "return the lower end, the upper end.")
        expect_close(got, _wilson(right, n), f"the ends for {right} of {n}")


def _exam(rng, paired):
    """Draw who was right where: two models that are alike, but at some questions, or not at all."""
    second = rng.uniform(size=400) < 0.5
    if paired:
        return second | (rng.uniform(size=400) < 0.2), second
    return rng.uniform(size=400) < 0.7, second


def _ask_better(answer, rng, paired):
    first, second = _exam(rng, paired)
    what = "return the difference, the lower end, the upper end."
    gaps = first.astype(float) - second
    return [float(x) for x in several(answer(first, second, 3000, rng), 3, what)], gaps


def _expect_width(got, gaps, why):
    _, low, high = got
    usual = 2 * 1.96 * gaps.std() / np.sqrt(len(gaps))
    expect(abs((low + high) / 2 - gaps.mean()) < 0.02, "the difference is not in the middle.")
    expect(abs(high - low - usual) < 0.1 * usual, f"{high - low:.3f} wide, not {usual:.3f}: {why}")


@better.part(1, "the difference")
def _(answer, rng):
    got, gaps = _ask_better(answer, rng, paired=False)
    expect(not np.isclose(got[0], -gaps.mean()), "the sign is wrong: first minus second.")
    expect_close(got[0], gaps.mean(), "the difference of the shares")


@better.part(1, "an interval that is wide enough")
def _(answer, rng):
    got, gaps = _ask_better(answer, rng, paired=False)
    _expect_width(got, gaps, "draw as many questions as there are, with replacement, each time.")


@better.part(1, "both had the same questions")
def _(answer, rng):
    got, gaps = _ask_better(answer, rng, paired=True)
    _expect_width(got, gaps, "the first is never worse, so draw questions, not models.")


# === A reward ===


def _tries(rng, n=7, v=4):
    return rng.normal(size=(n, v)) * 2, rng.integers(v, size=n), rng.normal(size=n)


def _policy_gradient(logits, chosen, rewards):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = powers / powers.sum(axis=1, keepdims=True)
    off = rewards - rewards.mean()
    return -off[:, None] * (np.eye(logits.shape[1])[chosen] - p) / len(rewards)


def _ask_gradient(answer, logits, chosen, rewards):
    got = given(answer(logits, chosen, rewards))
    expect_close(np.shape(got), logits.shape, "the shape of the gradient")
    return np.asarray(got, float)


@policy_gradient.part(1, "each row sums to zero")
def _(answer, rng):
    got = _ask_gradient(answer, *_tries(rng))
    expect(got.any(), "all of it is zero.")
    expect_close(got.sum(axis=1), np.zeros(7), "the sums of the rows")


@policy_gradient.part(1, "tries that are all alike")
def _(answer, rng):
    logits, chosen, _ = _tries(rng)
    for reward in (1.0, 0.0):
        got = _ask_gradient(answer, logits, chosen, np.full(7, reward))
        expect_close(got, np.zeros((7, 4)), f"where all rewards are {reward:g}, the gradient")


@policy_gradient.part(2, "the numbers")
def _(answer, rng):
    tries = _tries(rng)
    got, wanted = _ask_gradient(answer, *tries), _policy_gradient(*tries)
    expect(not np.allclose(got, -wanted), "the sign is wrong: descent should raise the reward.")
    expect(not np.allclose(got, 7 * wanted), "divide by the number of tries.")
    expect_close(got, wanted, "the gradient")


# === Pairs ===


def _ask_pairs(answer, rng, size=1.0):
    logs, beta = -rng.uniform(1, 9, (4, 6)) * size, float(rng.uniform(0.2, 0.9))
    got = several(answer(*logs, beta), 2, "return the losses, their gradients.")
    margin = beta * (logs[0] - logs[2] - logs[1] + logs[3])
    return got, np.logaddexp(0, -margin), -beta * np.exp(-np.logaddexp(0, margin))


@preference.part(1, "the losses")
def _(answer, rng):
    got, losses, _ = _ask_pairs(answer, rng)
    expect_close(got[0], losses, "the losses")


@preference.part(1, "the gradients")
def _(answer, rng):
    got, _, gradients = _ask_pairs(answer, rng)
    if np.shape(got[1]) == (6,):
        expect(not np.allclose(got[1], -gradients), "these are the gradients for the rejected one.")
    expect_close(got[1], gradients, "the gradients for the chosen answers")


@preference.part(1, "by hundreds of nats")
def _(answer, rng):
    with np.errstate(all="ignore"):
        got, losses, gradients = _ask_pairs(answer, rng, size=1000.0)
    for name, numbers, wanted in zip(
        ("losses", "gradients"), got, (losses, gradients), strict=True
    ):
        expect(np.all(np.isfinite(numbers)), f"some {name} are not finite.")
        expect_close(numbers, wanted, f"the {name} far out")

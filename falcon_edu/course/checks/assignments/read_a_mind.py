"""Checks of assignment 8: methods that read a model, and the grades that they deserve."""

from falcon_edu.course.checks.exercise import expect, expect_close, given, several
from falcon_edu.course.checks.graded import Graded

import numpy as np

attributions = Graded()
fit_probe = Graded()
keep_apart = Graded()
graded = Graded()
turned = Graded()
encode = Graded()
best_feature = Graded()


# === Who wrote it ===


def _parts(rng, count, m=8):
    parts = rng.normal(size=(count, m)) + rng.normal(size=(count, 1))
    return parts, rng.uniform(0.5, 2, m), rng.normal(size=m)


def _written(parts, gamma, direction, epsilon):
    centered = parts - parts.mean(axis=1, keepdims=True)
    return centered @ (gamma * direction) / np.sqrt(parts.sum(axis=0).var() + epsilon)


@attributions.part(1, "a state of one part")
def _(answer, rng):
    parts, gamma, direction = _parts(rng, 1)
    got = answer(parts, gamma, direction, 1e-12)
    expect_close(got, _written(parts, gamma, direction, 1e-12), "what one part wrote")


@attributions.part(1, "the scale is that of the whole state")
def _(answer, rng):
    parts, gamma, direction = _parts(rng, 5)
    got = given(answer(parts, gamma, direction, 1e-12))
    centered = parts - parts.mean(axis=1, keepdims=True)
    own = centered @ (gamma * direction) / parts.std(axis=1)
    if np.shape(got) == (5,):
        expect(not np.allclose(got, own), "each part is divided by a deviation of its own.")
    expect_close(got, _written(parts, gamma, direction, 1e-12), "what five parts wrote")


@attributions.part(1, "and nothing is left over")
def _(answer, rng):
    parts, gamma, direction = _parts(rng, 6)
    state, epsilon = parts.sum(axis=0), 0.5
    whole = (state - state.mean()) / np.sqrt(state.var() + epsilon) * gamma @ direction
    got = np.asarray(given(answer(parts, gamma, direction, epsilon)), float)
    expect_close(got.shape, (6,), "the shape of what six parts wrote")
    expect_close(got.sum(), whole, "the sum, with an epsilon of 0.5,")


# === A probe ===


def _fit(states, labels, penalty=1.0):
    wanted = np.eye(labels.max() + 1)[labels]
    x, y = states - states.mean(axis=0), wanted - wanted.mean(axis=0)
    weights = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y)
    return weights, wanted.mean(axis=0) - states.mean(axis=0) @ weights


def _examples(rng, count=60, m=4, classes=3):
    labels = rng.permutation(np.arange(count) % classes)
    centres = rng.normal(size=(classes, m)) * 2
    return centres[labels] + rng.normal(size=(count, m)) + 5, labels


@fit_probe.part(1, "shapes, and two clouds")
def _(answer, rng):
    labels = 2 * (np.arange(40) % 2)  # nobody has label 1
    states = rng.normal(size=(40, 3)) + 6 * (labels[:, None] - 1)
    weights, bias = several(answer(states, labels, 1.0), 2, "return weights, bias.")
    shapes = np.shape(weights), np.shape(bias)
    expect(
        shapes == ((3, 3), (3,)),
        "with states of 3 numbers and labels 0 and 2, weights are (3, 3) and the bias (3,), but "
        f"yours are {shapes[0]} and {shapes[1]}.",
    )
    said = (states @ np.asarray(weights) + bias).argmax(axis=1)
    expect_close(said, labels, "the labels of two clouds that are far apart")


@fit_probe.part(1, "the weights")
def _(answer, rng):
    states, labels = _examples(rng)
    weights, _ = several(answer(states, labels, 7.0), 2, "return weights, bias.")
    if np.shape(weights) == (4, 3):
        none = _fit(states, labels, 0)[0]
        expect(not np.allclose(weights, none), "these weights know of no penalty.")
    expect_close(weights, _fit(states, labels, 7.0)[0], "the weights, with a penalty of 7,")


@fit_probe.part(1, "the bias")
def _(answer, rng):
    states, labels = _examples(rng)
    weights, bias = several(answer(states, labels, 3.0), 2, "return weights, bias.")
    expect_close(np.shape(weights), (4, 3), "the shape of the weights")
    wanted = np.bincount(labels) / len(labels) - states.mean(axis=0) @ np.asarray(weights)
    expect_close(bias, wanted, "the bias that goes with your weights")


# === Kept apart ===


def _groups(rng, count=12):
    numbers = rng.choice(1000, count, replace=False)
    return rng.permutation(np.repeat(numbers, rng.integers(1, 6, count)))


def _ask_split(answer, groups, share, rng):
    got = np.asarray(given(answer(groups, share, rng)))
    expect(
        got.dtype == bool and got.shape == groups.shape,
        f"an array of true and false of shape {groups.shape} is wanted.",
    )
    return got


@keep_apart.part(1, "no group is torn")
def _(answer, rng):
    groups = _groups(rng)
    got = _ask_split(answer, groups, 0.5, rng)
    expect(got.any() and not got.all(), "some should be kept for the test, and some not.")
    torn = [int(number) for number in np.unique(groups) if 0 < got[groups == number].mean() < 1]
    expect(not torn, f"of group {torn[:1]} some examples are tested, and others not.")


@keep_apart.part(1, "so many, and drawn")
def _(answer, rng):
    groups = _groups(rng)
    for share, count in ((0.25, 3), (0.5, 6), (0.4, 5)):
        draws = [_ask_split(answer, groups, share, rng) for _ in range(6)]
        for got in draws:
            kept = len(np.unique(groups[got]))
            expect(kept == count, f"{share:.0%} of 12 groups are {count}, but yours are {kept}.")
        same = all(np.array_equal(draws[0], got) for got in draws[1:])
        expect(not same, "each draw keeps the same groups: draw them with `rng`.")


# === A grade with its controls ===

GRADES = "a dictionary with probe, majority and shuffled"


def _uneven(rng, noise):
    """Draw states that tell their labels; few that are tested have the most frequent label."""
    is_test = rng.permutation(240) < 40
    labels = (rng.uniform(size=240) < np.where(is_test, 0.8, 0.18)).astype(int)
    return rng.normal(size=(240, 3)) * noise + 3 * labels[:, None], labels, is_test


def _ask_grade(answer, rng, noise, name):
    states, labels, is_test = _uneven(rng, noise)
    got = given(answer(_fit, states, labels, is_test, rng))
    expect(isinstance(got, dict) and name in got, f"return {GRADES}.")
    return got[name], states, labels, is_test


@graded.part(1, "the probe")
def _(answer, rng):
    for _ in range(3):
        got, states, labels, is_test = _ask_grade(answer, rng, 4.0, "probe")
        weights, bias = _fit(states[~is_test], labels[~is_test])
        said = (states @ weights + bias).argmax(axis=1)
        wanted = np.mean((said == labels)[is_test])
        seen = np.mean((said == labels)[~is_test])
        expect(
            wanted == seen or not np.allclose(got, seen),
            "this is the accuracy on the examples that were fitted to.",
        )
        expect_close(got, wanted, "the accuracy of the probe on the tested examples")


@graded.part(1, "the majority")
def _(answer, rng):
    got, _, labels, is_test = _ask_grade(answer, rng, 1.0, "majority")
    expect(
        not np.allclose(got, np.mean(labels[is_test] == 1)),
        "this is the most frequent label of the tested examples: that would be peeking.",
    )
    expect_close(got, np.mean(labels[is_test] == 0), "the accuracy of the majority")


@graded.part(1, "shuffled labels")
def _(answer, rng):
    shares, usual = [], []
    for _ in range(8):
        got, _, labels, _ = _ask_grade(answer, rng, 0.5, "shuffled")
        shares.append(np.asarray(given(got), float))
        usual.append(np.mean(labels == 0))
    got, wanted = np.mean(shares), np.mean(usual)
    expect(got < 0.9, f"a probe for shuffled labels is right in {got:.0%}: are they shuffled?")
    expect(
        abs(got - wanted) < 0.12,
        f"of all labels {wanted:.0%} are 0, and a probe for shuffled ones can do no better; yours "
        f"is right in {got:.0%}. It is judged by the shuffled labels of the tested examples.",
    )


# === A push ===


class _Texts:
    """Toy texts that answer 1 where a push along a direction is large enough, each its own way."""

    def __init__(self, rng, count=30, m=6):
        self.direction, self.asked = rng.normal(size=m), []
        self.needed = rng.normal(size=count)
        self.vector = rng.normal(size=m) * 3 + self.direction
        self.wanted = (rng.uniform(size=count) < 0.8).astype(int)

    def __call__(self, vector):
        vector = np.asarray(vector, float)
        expect(vector.shape == self.vector.shape, f"a vector has shape {self.vector.shape}.")
        self.asked.append(vector)
        return (self.needed < vector @ self.direction).astype(int)

    def share(self, vector):
        return np.mean((self.needed < vector @ self.direction) == self.wanted)

    def others(self):
        return [vector for vector in self.asked if not np.allclose(vector, self.vector)]


def _ask_turned(answer, rng, draws=5):
    texts = _Texts(rng)
    got = several(
        answer(texts, texts.vector.copy(), texts.wanted.copy(), draws, rng),
        2,
        "return the share with the vector, the share with random ones.",
    )
    return texts, got


@turned.part(1, "the vector")
def _(answer, rng):
    for _ in range(3):
        texts, got = _ask_turned(answer, rng)
        expect_close(got[0], texts.share(texts.vector), "the share with the vector")


@turned.part(1, "random vectors of its length")
def _(answer, rng):
    texts, _ = _ask_turned(answer, rng)
    others = texts.others()
    expect(len(others) == 5, f"5 random vectors are wanted, but yours are {len(others)}.")
    lengths = np.linalg.norm(others, axis=1)
    expect_close(lengths, np.full(5, np.linalg.norm(texts.vector)), "the lengths of random vectors")
    numbers = np.sort(np.abs(others), axis=1)
    expect(
        not np.allclose(numbers, np.sort(np.abs(texts.vector))),
        "the numbers of the vector in another order, or with other signs, are no random vector.",
    )
    expect(np.std(others, axis=0).min() > 1e-6, "all random vectors are the same one.")


@turned.part(1, "their mean")
def _(answer, rng):
    for draws in (4, 7):
        texts, got = _ask_turned(answer, rng, draws)
        expect(len(texts.others()) > 0, "no random vector was added.")
        wanted = np.mean([texts.share(vector) for vector in texts.others()])
        expect_close(got[1], wanted, "the mean share with the random vectors that you added")


# === Features ===


def _scores(rng, low, high, f=10):
    """States, mean, encoder and bias whose scores lie between two numbers, roughly."""
    states, mean, encoder = (
        rng.normal(size=(8, 5)),
        rng.normal(size=5),
        rng.normal(size=(5, f)),
    )
    raw = (states - mean) @ encoder
    middle, half = (raw.max() + raw.min()) / 2, np.ptp(raw) / 2
    encoder = encoder / half * (high - low) / 2
    bias = np.full(f, (high + low) / 2 - middle / half * (high - low) / 2)
    return states, mean, encoder, bias


def _encoded(states, mean, encoder, bias, active):
    scores = np.maximum((states - mean) @ encoder + bias, 0)
    lowest = np.sort(scores, axis=1)[:, -active, None]
    return np.where(scores >= lowest, scores, 0)


@encode.part(1, "all of them")
def _(answer, rng):
    arrays = _scores(rng, 0.5, 4)
    expect_close(answer(*arrays, 10), _encoded(*arrays, 10), "the features, where all may be on,")


@encode.part(1, "the few of each example")
def _(answer, rng):
    for active in (1, 3):
        arrays = _scores(rng, 0.5, 4)
        got = given(answer(*arrays, active))
        if np.shape(got) == (8, 10):
            counts = (np.asarray(got) != 0).sum(axis=1)
            expect(
                counts.max() <= active,
                f"in one example {counts.max()} features are on, and only {active} may be.",
            )
        expect_close(got, _encoded(*arrays, active), f"the features, {active} of them,")


@encode.part(1, "what is below 0 stays off")
def _(answer, rng):
    arrays = _scores(rng, -6, 2)
    got = given(answer(*arrays, 6))
    if np.shape(got) == (8, 10):
        expect(np.min(got) >= 0, "a feature is below 0: it can't be there less than not at all.")
    expect_close(got, _encoded(*arrays, 6), "the features, where few are above 0,")


def _labelled(rng, best):
    """Draw features of which one tells a rare label; others are never on, always, or seldom."""
    count = 600
    labels, is_test = rng.uniform(size=count) < 0.1, rng.permutation(count) < count // 2
    features = (rng.uniform(size=(count, 7)) < 0.3) * rng.uniform(0.5, 2, (count, 7))
    features[:, 1], features[:, 2], features[:, 3] = 0, 1, 0
    for part in (is_test, ~is_test):
        features[np.flatnonzero(labels & part)[:2], 3] = 1  # seldom on, and never wrong
    for part, feature in zip((~is_test, is_test), best, strict=True):
        said = np.where(labels, rng.uniform(size=count) < 0.95, rng.uniform(size=count) < 0.15)
        features[part, feature] = said[part]
    return features, labels, is_test


def _f1(said, labels):
    return 2 * np.sum(said & labels) / max(np.sum(said) + np.sum(labels), 1)


def _ask_best(answer, rng, best):
    features, labels, is_test = _labelled(rng, best)
    number, score = several(answer(features, labels, is_test), 2, "return the number, the score.")
    whole = np.ndim(number) == 0 and number in range(7)
    expect(whole, f"the first thing returned is the number of a feature, not {number!r:.40}.")
    number = int(number)
    expect(number != 1, "feature 1 is never on.")
    expect(number != 2, "feature 2 is always on: it tells nothing.")
    expect(number != 3, "feature 3 is never wrong, and misses nearly all.")
    return number, score, _f1(features[is_test, number] > 0, labels[is_test])


@best_feature.part(1, "the number")
def _(answer, rng):
    for best in (5, 0, 6):
        number, _, _ = _ask_best(answer, rng, (best, best))
        expect(number == best, f"feature {best} tells the label best, not {number}.")


@best_feature.part(1, "the score")
def _(answer, rng):
    for best in (4, 6):
        _, score, wanted = _ask_best(answer, rng, (best, best))
        expect_close(score, wanted, "the F1 score of your feature on the tested examples")


@best_feature.part(1, "nothing is chosen on the exam")
def _(answer, rng):
    number, _, _ = _ask_best(answer, rng, (5, 4))
    expect(number != 4, "feature 4 is best on the tested examples, and those may not choose.")
    expect(number == 5, f"feature 5 is best on the examples that are not tested, not {number}.")

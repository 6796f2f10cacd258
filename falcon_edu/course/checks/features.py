"""Checks of notebook 18: TopK, the F1 score, a feature that is clamped, dimensions shared."""

from falcon_edu.course.checks.exercise import exercise, expect, expect_close, given

import numpy as np


@exercise(
    wants="an array (examples, features)",
    nudge="Each example has its own largest scores. And what if fewer than `active` are above 0?",
    hint="`np.sort(scores, axis=1)[:, -active]` is the smallest score of each row that is kept. "
    "Compare with it as a column, `[:, None]`, and take `np.maximum(scores, 0)` where it holds.",
    praise="Few are on, and which ones is another choice in each state.",
)
def sparse(answer):
    """Exercise 18.1."""
    rng = np.random.default_rng(0)
    for active, shift in ((2, 0.0), (3, -1.0), (1, 0.5)):
        scores = rng.normal(size=(6, 8)) + shift
        lowest = np.sort(scores, axis=1)[:, -active, None]
        wanted = np.where(scores >= lowest, np.maximum(scores, 0), 0)
        got = given(answer(scores.copy(), active))
        if np.shape(got) == scores.shape:
            got_numbers = np.asarray(got, "float64")
            expect(
                not (got_numbers < 0).any(),
                "a score below 0 is kept: such a feature is off, even if it is among the largest.",
            )
            most = int((got_numbers != 0).sum(axis=1).max())
            expect(most <= active, f"{most} features of one example are on, of at most {active}.")
            is_one = (got_numbers == 1) | (got_numbers == 0)
            expect(
                not (is_one.all() and got_numbers.any()),
                "you return which features are on; asked for is how much of each is there.",
            )
        expect_close(got, wanted, f"the features with {active} active")


def _f1(said, label):
    return 2 * np.sum(said & label) / (said.sum() + label.sum())


@exercise(
    wants="a number",
    nudge="Only numbers that the feature has are worth a try as thresholds. How many examples are "
    "on at each of them?",
    hint="For each `threshold` in `np.unique(feature)`: `said = feature >= threshold`, then "
    "`2 * (said & label).sum() / (said.sum() + label.sum())`. The largest of these.",
    praise="A feature is as good as its best threshold; and to be fair, that is chosen elsewhere.",
)
def best_f1(answer):
    """Exercise 18.2."""
    rng = np.random.default_rng(1)
    cases = [(np.array([2.0, 1, 1, 1, 0]), np.array([True, True, False, False, False]))]
    for count in (40, 25):
        feature = np.maximum(rng.normal(size=count), 0).round(1)  # zeros, and numbers twice
        cases.append((feature, feature + 0.6 * rng.normal(size=count) > 0.7))
    for feature, label in cases:
        count = len(feature)
        scores = [_f1(feature >= threshold, label) for threshold in np.unique(feature)]
        got = given(answer(feature.copy(), label.copy()))
        if np.shape(got) == () and not np.isclose(got, max(scores)):
            shares = [np.mean((feature >= threshold) == label) for threshold in np.unique(feature)]
            ranked = label[np.argsort(-feature, kind="stable")].cumsum()
            everywhere = 2 * ranked / (np.arange(1, count + 1) + label.sum())
            for wrong, message in (
                (max(shares), "this is the share of right answers, to which the many no's add."),
                (_f1(feature > 0, label), "this is the score of the threshold 0: try all others."),
                (np.mean(scores), "this is the mean over thresholds: take the best."),
                (
                    max(everywhere),
                    "you part examples whose numbers are equal: no threshold does that.",
                ),
            ):
                expect(not np.isclose(got, wrong), message)
            expect(got <= max(scores), f"no threshold reaches {float(got):.3g}.")
        expect_close(got, max(scores), f"the best F1 score over {count} examples")


@exercise(
    wants="an array (m,)",
    nudge="A state is more than its features: what the autoencoder does not explain should stay.",
    hint="How much of the feature is missing? `value - features[which]`. Add so much of its "
    "direction, `decoder[which]`, to the state.",
    praise="One feature has changed, and nothing else: not even what nobody has explained.",
)
def clamp(answer):
    """Exercise 18.3."""
    rng = np.random.default_rng(2)
    for which, value in ((3, 2.5), (0, 0.0)):
        decoder = rng.normal(size=(6, 4))
        features = np.maximum(rng.normal(size=6), 0) + 0.3
        state = features @ decoder + rng.normal(size=4) + 1
        changed = features.copy()
        changed[which] = value
        wanted = state + (value - features[which]) * decoder[which]
        got = given(
            answer(state.copy(), features.copy(), decoder.copy(), which, value),
        )
        if np.shape(got) == state.shape:
            for wrong, message in (
                (
                    changed @ decoder,
                    "you return what the autoencoder rebuilds, and lose all that it doesn't "
                    "explain.",
                ),
                (
                    state + value * decoder[which],
                    "the feature was on already: it has more than the value now.",
                ),
                (
                    state - (value - features[which]) * decoder[which],
                    "the other way round: what is missing is to be added.",
                ),
                (state, "the state is as it was."),
            ):
                expect(not np.allclose(got, wrong), message)
        expect_close(got, wanted, f"the state with feature {which} at {value}")


@exercise(
    wants="an array (features,)",
    nudge="Each feature shares its direction with whatever else points along it. Does a feature "
    "share with itself, too?",
    hint="With `sizes` the squares of the lengths: `sizes**2 / np.square(weights @ weights.T)"
    ".sum(axis=1)`. Where a length is 0, so is the dimensionality.",
    praise="Five features in two dimensions have two fifths of a dimension each.",
)
def dimensionality(answer):
    """Exercise 18.4."""
    angles = 2 * np.pi * np.arange(5) / 5
    pentagon = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    cases = {
        "a pentagon": 0.9 * pentagon,
        "two features at right angles": np.diag([1.0, 0.5]),
        "a pair of opposites and one alone": np.array([[1.0, 0], [-1.0, 0], [0, 0.8]]),
        "features of all lengths": np.random.default_rng(3).normal(size=(6, 3)),
        "two kept features and one that is not": np.array([[1.0, 0], [0, 1.0], [0, 0]]),
    }
    for what, weights in cases.items():
        sizes = np.square(weights).sum(axis=1)
        shared = np.square(weights @ weights.T).sum(axis=1)
        wanted = np.divide(sizes**2, shared, out=np.zeros_like(sizes), where=sizes > 0)
        with np.errstate(all="ignore"):
            got = given(answer(weights.copy()))
        if np.shape(got) == wanted.shape:
            numbers = np.asarray(got, "float64")
            expect(
                np.isfinite(numbers[sizes > 0]).all(),
                "a kept feature has no finite dimensionality.",
            )
            expect(
                np.isfinite(numbers).all(),
                "a feature whose weights are all 0 has the dimensionality 0: you divide by 0.",
            )
            if (sizes > 0).all():
                for wrong, message in (
                    (
                        sizes / shared,
                        "the feature that asks has to be brought to length 1 before the products.",
                    ),
                    (
                        sizes**2 / np.maximum(shared - sizes**2, 1e-12),
                        "a feature also shares with itself: leave it in the sum.",
                    ),
                    (
                        sizes**1.5 / np.abs(weights @ weights.T).sum(axis=1),
                        "the products are squared before they are summed.",
                    ),
                ):
                    is_it = np.allclose(numbers, wrong) and not np.allclose(wanted, wrong)
                    expect(not is_it, message)
        expect_close(got, wanted, f"the dimensionality in {what}")

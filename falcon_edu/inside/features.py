"""Grade features by the truth: for each variable the feature that tells it best, and how well.

Among many features some fit anything on the examples that they are chosen by. So the feature and
its threshold are chosen on some examples and graded on others, beside labels that were shuffled.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class FeatureScores:
    """Hold the best feature for each variable, and how well it tells it on tested examples.

    The F1 score is the harmonic mean of two shares: of the examples at which the feature is on, how
    many have the label, and of those that have the label, at how many it is on.

    Attributes:
        feature: `(variables,)`, the index of the feature.
        threshold: `(variables,)`: it counts as on from there.
        f1: `(variables,)`, its F1 score.
        always: `(variables,)`, the F1 score of saying yes each time.
        shuffled: `(variables,)`, the F1 score of the best feature for shuffled labels.
    """

    feature: np.ndarray
    threshold: np.ndarray
    f1: np.ndarray
    always: np.ndarray
    shuffled: np.ndarray


def feature_scores(features: Any, labels: Any, tested: Any, seed: int = 0) -> FeatureScores:
    """Find the feature that tells each variable best, and grade it on examples kept for the test.

    Args:
        features: `(examples, features)`: of an autoencoder, or any numbers to be compared with it.
        labels: `(examples, variables)`, true or false.
        tested: `(examples,)`, true for the examples that are kept for the test. Where several are
            from one text, keep whole texts.
        seed: of the shuffling.

    Returns:
        `FeatureScores`.

    Raises:
        ValueError: shapes don't fit, features are not finite, or a variable is never true among the
            examples of one part.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> features, tested = rng.normal(size=(600, 5)), np.arange(600) >= 300
    >>> scores = feature_scores(features, features[:, [2]] > 1, tested)
    >>> int(scores.feature[0]), bool(scores.f1[0] > 0.9), bool(scores.shuffled[0] < 0.5)
    (2, True, True)
    """
    features = np.asarray(features)
    labels, tested = np.asarray(labels, bool), np.asarray(tested, bool)
    if features.ndim != 2 or labels.ndim != 2 or not len(features) == len(labels) == len(tested):
        raise ValueError(
            "`features` must be (examples, features), `labels` (examples, variables) and `tested` "
            f"(examples,). Received shapes: {features.shape}, {labels.shape} and {tested.shape}"
        )
    if not np.isfinite(features).all():
        raise ValueError("`features` holds numbers that are not finite.")
    shuffled, rng = labels.copy(), np.random.default_rng(seed)
    for part, name in ((tested, "tested"), (~tested, "other")):
        if not labels[part].any(axis=0).all():
            never = np.flatnonzero(~labels[part].any(axis=0)).tolist()
            raise ValueError(f"Variables {never} are never true among the {name} examples.")
        shuffled[part] = rng.permutation(labels[part])
    feature, threshold = _best(features, labels, ~tested)
    of_shuffled = _best(features, shuffled, ~tested)
    return FeatureScores(
        feature=feature,
        threshold=threshold,
        f1=_f1(features[:, feature][tested] >= threshold, labels[tested]),
        always=_f1(np.ones_like(labels[tested]), labels[tested]),
        shuffled=_f1(features[:, of_shuffled[0]][tested] >= of_shuffled[1], shuffled[tested]),
    )


def _f1(said, labels):
    """Return the F1 score of each column."""
    return 2 * (said & labels).sum(axis=0) / (said.sum(axis=0) + labels.sum(axis=0))


def _best(features, labels, chosen_on):
    """Return the feature and the threshold with the highest F1 score for each variable."""
    labels = labels[chosen_on].T  # (variables, examples)
    best, thresholds = np.zeros(len(labels), int), np.zeros(len(labels), features.dtype)
    highest = np.zeros(len(labels))
    for feature in range(features.shape[1]):  # one at a time: of all, the counts fill the memory
        column = features[chosen_on, feature]
        ordered = np.sort(column)
        counts = len(column) - np.searchsorted(ordered, column)  # how many have at least as much
        for variable, label in enumerate(labels):
            # The best threshold is what one of the examples with the label has.
            said = np.sort(counts[label])
            scores = 2 * np.arange(1, len(said) + 1) / (said + len(said))
            if (score := scores.max()) > highest[variable]:
                highest[variable], best[variable] = score, feature
                thresholds[variable] = ordered[len(column) - said[scores.argmax()]]
    return best, thresholds

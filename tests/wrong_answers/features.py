"""Plausible wrong answers to the exercises of `18_features`."""

import numpy as np


def _scores(feature, label, thresholds):
    said = [feature >= threshold for threshold in thresholds]
    return [2 * (s & label).sum() / (s.sum() + label.sum()) for s in said]


def parted(feature, label):
    """Takes each number of examples for a threshold, also between equal numbers."""
    ranked = label[np.argsort(-feature, kind="stable")].cumsum()
    return (2 * ranked / (np.arange(1, len(label) + 1) + label.sum())).max()


def precision(feature, label):
    return max(label[feature >= threshold].mean() for threshold in np.unique(feature))


def arithmetic(feature, label):
    scores = []
    for threshold in np.unique(feature):
        said = feature >= threshold
        scores.append((label[said].mean() + said[label].mean()) / 2)
    return max(scores)


def largest(scores, active):
    return -np.sort(-scores, axis=1)[:, :active]


def by_size(scores, active):
    lowest = np.sort(abs(scores), axis=1)[:, -active, None]
    return np.where(abs(scores) >= lowest, scores, 0)


def of_all(scores, active):
    lowest = np.sort(scores, axis=None)[-active * len(scores)]
    return np.where(scores >= lowest, np.maximum(scores, 0), 0)


def of_each_column(scores, active):
    lowest = np.sort(scores, axis=0)[-active]
    return np.where(scores >= lowest, np.maximum(scores, 0), 0)


def above(scores, active):
    lowest = np.sort(scores, axis=1)[:, -active, None]
    return np.where(scores > lowest, np.maximum(scores, 0), 0)


def is_on(scores, active):
    lowest = np.sort(scores, axis=1)[:, -active, None]
    return (scores >= lowest) & (scores > 0)


def signed(scores, active):
    lowest = np.sort(scores, axis=1)[:, -active, None]
    return np.where(scores >= lowest, scores, 0)


def rebuilt(state, features, decoder, which, value):
    changed = features.copy()
    changed[which] = value
    return changed @ decoder


def coordinate(state, features, decoder, which, value):
    changed = state.copy()
    changed[which % len(state)] = value
    return changed


def _sizes(weights):
    return np.square(weights).sum(axis=1)


def _shared(weights):
    return np.square(weights @ weights.T).sum(axis=1)


WRONG = {
    "sparse": {
        "by their size": by_size,
        "below 0 too": signed,
        "of all examples together": of_all,
        "of each feature": of_each_column,
        "one too few": above,
        "which are on": is_on,
        "only the largest": largest,
        "not sparse": lambda scores, active: np.maximum(scores, 0),
    },
    "best_f1": {
        "the share of right answers": lambda x, label: max(
            np.mean((x >= threshold) == label) for threshold in np.unique(x)
        ),
        "above 0": lambda x, label: 2 * ((x > 0) & label).sum() / ((x > 0).sum() + label.sum()),
        "equals parted": parted,
        "precision": precision,
        "the arithmetic mean": arithmetic,
        "the mean over thresholds": lambda x, label: np.mean(_scores(x, label, np.unique(x))),
        "every score": lambda x, label: _scores(x, label, np.unique(x)),
    },
    "clamp": {
        "what is rebuilt": rebuilt,
        "added to what is there": lambda s, f, d, i, v: s + v * d[i],
        "the other way round": lambda s, f, d, i, v: s - (v - f[i]) * d[i],
        "times what is there": lambda s, f, d, i, v: s + (v * f[i] - f[i]) * d[i],
        "a number of the state": coordinate,
        "a column": lambda s, f, d, i, v: s + (v - f[i]) * d[: len(s), i % d.shape[1]],
        "the features": lambda s, f, d, i, v: np.where(np.arange(len(f)) == i, v, f),
    },
    "dimensionality": {
        "not brought to length 1": lambda w: _sizes(w) / np.where(_sizes(w) > 0, _shared(w), 1),
        "without itself": lambda w: _sizes(w) ** 2 / np.maximum(_shared(w) - _sizes(w) ** 2, 1e-12),
        "not squared": lambda w: _sizes(w) ** 1.5 / np.maximum(abs(w @ w.T).sum(axis=1), 1e-12),
        "divided by 0": lambda w: _sizes(w) ** 2 / _shared(w),
        "evenly": lambda w: np.full(len(w), w.shape[1] / len(w)),
        "the sizes": _sizes,
        "one number": lambda w: (_sizes(w) ** 2 / np.maximum(_shared(w), 1e-12)).sum(),
    },
}

"""Solutions to notebook 18: features, with an answer key."""

import numpy as np


def sparse(scores, active):
    lowest = np.sort(scores, axis=1)[:, -active, None]  # (examples, 1)
    return np.where(scores >= lowest, np.maximum(scores, 0), 0)


def best_f1(feature, label):
    scores = []
    for threshold in np.unique(feature):
        said = feature >= threshold
        scores.append(2 * (said & label).sum() / (said.sum() + label.sum()))
    return max(scores)


def clamp(state, features, decoder, which, value):
    return state + (value - features[which]) * decoder[which]


def dimensionality(weights):
    sizes = np.square(weights).sum(axis=1)
    shared = np.square(weights @ weights.T).sum(axis=1)  # (features,), times the size of each
    return np.where(sizes > 0, sizes**2 / np.where(sizes > 0, shared, 1), 0)

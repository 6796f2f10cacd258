"""Solutions to notebook 18: features, with an answer key."""

import numpy as np


# 18.1: Sorted, the score at `-active` is the smallest of each row that is kept; as a column it is
# compared with each score of its own row. `np.maximum` then turns off what is below 0: a feature
# can't be there less than not at all. Taking the largest scores of all examples together would
# leave some examples with many features and others with none.
def sparse(scores, active):
    lowest = np.sort(scores, axis=1)[:, -active, None]  # (examples, 1)
    return np.where(scores >= lowest, np.maximum(scores, 0), 0)


# 18.2: Between two neighbouring numbers of the feature nothing changes, so only these numbers are
# worth a try, each once. Twice the hits, over what is said plus what is true, is the harmonic mean
# of the two shares. Sorting the examples and cutting after each of them parts some that are equal,
# and finds scores that no threshold reaches.
def best_f1(feature, label):
    scores = []
    for threshold in np.unique(feature):
        said = feature >= threshold
        scores.append(2 * (said & label).sum() / (said.sum() + label.sum()))
    return max(scores)


# 18.3: The state gets as much more of the feature's direction as is missing: the wanted size less
# the size that is there. To add the whole size would count what is there twice. To decode the
# changed features would drop what the autoencoder doesn't explain, and then nobody knows which of
# the two has changed the answer.
def clamp(state, features, decoder, which, value):
    return state + (value - features[which]) * decoder[which]


# 18.4: `weights @ weights.T` has the products of all pairs of rows. The row that asks should have
# length 1, so its products are divided by its length, and their squares by its length squared:
# that is why `sizes` stands squared above. A row of zeros would be 0 divided by 0; it has no
# direction, and so no dimension.
def dimensionality(weights):
    sizes = np.square(weights).sum(axis=1)
    shared = np.square(weights @ weights.T).sum(axis=1)  # (features,), times the size of each
    return np.where(sizes > 0, sizes**2 / np.where(sizes > 0, shared, 1), 0)

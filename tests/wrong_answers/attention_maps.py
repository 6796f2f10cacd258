"""What learners plausibly get wrong in 09_attention_maps."""

import numpy as np


def entropy(weights):
    return -(weights * np.log(np.where(weights > 0, weights, 1))).sum(axis=1)


def tilt(weights, slope, head_dim):
    return np.exp(slope * np.arange(weights.shape[1]) / np.sqrt(head_dim))


def normalised(powers):
    return powers / powers.sum(axis=1, keepdims=True)


def same(token_ids):
    return token_ids[:, None] == token_ids[None, :]


WRONG = {
    "tokens_looked_at": {
        "0 ln 0 is nan": lambda w: np.exp(-(w * np.log(w)).sum(axis=1)),
        "the entropy, without the exponential": entropy,
        "bits under a natural exponential": lambda w: np.exp(entropy(w) / np.log(2)),
        "no minus": lambda w: np.exp(-entropy(w)),
        "over the queries": lambda w: np.exp(entropy(w.T)),
        "counts what is not zero": lambda w: (w > 0).sum(axis=1),
        "one number for the map": lambda w: np.exp(entropy(w)).mean(),
    },
    "same_token": {
        "with the diagonal": lambda ids: same(ids) & np.tri(len(ids), dtype=bool),
        "with the future": lambda ids: same(ids) & ~np.eye(len(ids), dtype=bool),
        "upside down": lambda ids: (same(ids) & np.tri(len(ids), k=-1, dtype=bool)).T,
        "only the first mention": lambda ids: (
            np.eye(len(ids), dtype=bool)[[ids.tolist().index(i) for i in ids]]
            & ~np.eye(len(ids), dtype=bool)
        ),
        "induction: one place further": lambda ids: (
            np.roll(same(ids), 1, axis=1) & np.tri(len(ids), k=-1, dtype=bool)
        ),
        "an answer for each token": lambda ids: np.isin(ids, ids[:-1]),
    },
    "written": {
        "no output projection": lambda w, v, k: w * np.linalg.norm(v, axis=1),
        "squares": lambda w, v, k: w * ((v @ k) ** 2).sum(axis=1),
        "squares of all": lambda w, v, k: (w * np.linalg.norm(v @ k, axis=1)) ** 2,
        "norms along the queries": lambda w, v, k: w * np.linalg.norm(v @ k, axis=1)[:, None],
        "the norm of the sum": lambda w, v, k: np.linalg.norm(w @ v @ k, axis=1),
        "vectors, not norms": lambda w, v, k: w[:, :, None] * (v @ k)[None],
    },
    "mend": {
        "nothing done": lambda w, slope, h: w,
        "adds ALiBi a third time": lambda w, slope, h: normalised(w * tilt(w, slope, h)),
        "takes it off twice": lambda w, slope, h: normalised(w / tilt(w, slope, h) ** 2),
        "forgets the root of the width": lambda w, slope, h: normalised(w / tilt(w, slope, 1)),
        "rows don't sum to 1": lambda w, slope, h: w / tilt(w, slope, h),
        "halves the weights": lambda w, slope, h: w / 2,
        "subtracts from the weights": lambda w, slope, h: normalised(
            np.clip(w - np.log(tilt(w, slope, h)), 1e-3, None)
        ),
    },
}

"""What learners plausibly answer in notebook 16, and should not get away with."""

from falcon_edu import memory_needed

import numpy as np


def largest_whole(bits):
    return 2 ** (bits - 1) - 1


def whole(scale_of, to_whole=np.rint):
    def answer(weights, bits):
        scale = scale_of(weights, bits)
        return to_whole(weights * scale), scale

    return answer


def usual(weights, bits):
    return largest_whole(bits) / abs(weights).max()


def step(weights, bits):
    length = abs(weights).max() / largest_whole(bits)
    return np.rint(weights / length), length


def grouped(shape, axis, gain=1):
    def answer(weights, bits, size):
        groups = weights.reshape(shape(*weights.shape, size))
        scale = largest_whole(bits * gain) / abs(groups).max(axis=axis, keepdims=True)
        return (np.rint(groups * scale) / scale).reshape(weights.shape)

    return answer


def only_whole(weights, bits, size):
    groups = weights.reshape(-1, size, weights.shape[1])
    scale = largest_whole(bits) / abs(groups).max(axis=1, keepdims=True)
    return np.rint(groups * scale).reshape(weights.shape)


def tokens(weights=1, cache=1, gigabyte=1e9, end=lambda n: max(0, int(n))):
    def answer(config, gigabytes, dtype):
        parts = memory_needed(config, dtype=dtype, tokens=1)
        left = gigabytes * gigabyte - weights * parts["weights"]
        return end(left // (cache * parts["key/value cache"]))

    return answer


def share(choose=min, clip=True, power=2, result=lambda share, error: share):
    def answer(weights, bits, shares):
        top = largest_whole(bits)

        def error(share):
            scale = top / (share * abs(weights).max())
            whole = np.rint(weights * scale)
            whole = np.clip(whole, -top, top) if clip else whole
            return (abs(whole / scale - weights) ** power).sum()

        best = choose(shares, key=error)
        return result(best, error(best))

    return answer


WRONG = {
    "to_whole": {
        "the largest, with its sign": whole(lambda w, bits: largest_whole(bits) / w.max()),
        "one level too many": whole(lambda w, bits: 2 ** (bits - 1) / abs(w).max()),
        "levels of one side only": whole(lambda w, bits: (2**bits - 1) / abs(w).max()),
        "digits cut off": whole(usual, np.trunc),
        "not rounded": whole(usual, lambda x: x),
        "the step, not the scale": step,
        "no scale": lambda weights, bits: np.rint(weights),
    },
    "rounded_in_groups": {
        "no groups": grouped(lambda m, f, size: (m, f), 0),
        "a scale for each row": grouped(lambda m, f, size: (m, f), 1),
        "one scale for all outputs": grouped(lambda m, f, size: (-1, size, f), (1, 2)),
        "rows that are not neighbours": grouped(lambda m, f, size: (size, -1, f), 0),
        "size as the number of groups": grouped(lambda m, f, size: (size, -1, f), 1),
        "not divided again": only_whole,
    },
    "longest": {
        "no weights": tokens(weights=0),
        "a cache of one byte": tokens(cache=0.5),
        "weights of four bytes": tokens(weights=4),
        "powers of two": tokens(gigabyte=2**30),
        "one too many": tokens(end=lambda n: max(0, int(n) + 1)),
        "below zero": tokens(end=int),
    },
    "best_share": {
        "the worst": share(choose=max),
        "nothing is cut": share(clip=False),
        "always the largest": lambda weights, bits, shares: max(shares),
        "the error": share(result=lambda share, error: error),
        "sizes, not squares": share(power=1),
    },
}

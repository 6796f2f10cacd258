"""What learners plausibly answer in notebook 12, and should not get away with."""

import numpy as np


def rooted(first, second, strength, other_strength, size=lambda x: x):
    """The root of each strength in both factors."""
    roots = [np.sqrt(size(x)) for x in (strength, other_strength)]
    pairs = list(zip(roots, (first, second), strict=True))
    a = np.concatenate([root * pair[0] for root, pair in pairs], axis=1)
    return a, np.concatenate([root * pair[1] for root, pair in pairs], axis=0)


def split(update):
    return np.linalg.svd(update, full_matrices=False)


def join(first, second, s, t, in_a=(1, 1), in_b=(1, 1)):
    """The factors side by side, with powers of the strengths in them."""
    (a, b), (c, d) = first, second
    joined = np.concatenate([s ** in_a[0] * a, t ** in_a[1] * c], axis=1)
    return joined, np.concatenate([s ** in_b[0] * b, t ** in_b[1] * d], axis=0)


WRONG = {
    "factor_count": {
        "the kernel": lambda shape, rank: int(np.prod(shape)),
        "only a": lambda shape, rank: int(np.prod(shape[:-1])) * rank,
        "only b": lambda shape, rank: rank * shape[-1],
        "a product": lambda shape, rank: int(np.prod(shape)) * rank**2,
        "adds the axes": lambda shape, rank: rank * sum(shape),
        "heads in b": lambda shape, rank: rank * (shape[0] + int(np.prod(shape[1:]))),
    },
    "join_adapters": {
        "the update": lambda first, second, s, t: (
            s * first[0] @ first[1],
            t * second[0] @ second[1],
        ),
        "no strengths": lambda first, second, s, t: join(first, second, s, t, (0, 0), (0, 0)),
        "strengths twice": join,
        "roots in both": rooted,
        "roots of sizes in both": lambda *given: rooted(*given, size=abs),
        "strengths swapped": lambda first, second, s, t: join(first, second, t, s, (1, 1), (0, 0)),
        "only the first": lambda first, second, s, t: (s * first[0], first[1]),
        "forgets to return b": lambda first, second, s, t: np.concatenate(
            [first[0], second[0]], axis=1
        ),
        "the second strength forgotten": lambda first, second, s, t: join(
            first, second, s, t, (1, 0), (0, 0)
        ),
    },
    "squeeze": {
        "no singular values": lambda update, rank: (
            split(update)[0][:, :rank],
            split(update)[2][:rank],
        ),
        "singular values twice": lambda update, rank: (
            split(update)[0][:, :rank] * split(update)[1][:rank],
            split(update)[1][:rank, None] * split(update)[2][:rank],
        ),
        "the weakest": lambda update, rank: (
            split(update)[0][:, -rank:] * split(update)[1][-rank:],
            split(update)[2][-rank:],
        ),
        "v transposed": lambda update, rank: (
            split(update)[0][:, :rank] * split(update)[1][:rank],
            split(update)[2].T[:rank],
        ),
        "not cut": lambda update, rank: (split(update)[0] * split(update)[1], split(update)[2]),
        "rows of the update": lambda update, rank: (np.eye(len(update))[:, :rank], update[:rank]),
    },
    "factor_gradients": {
        "no scale": lambda x, up, a, b, scale: (x.T @ up @ b.T, a.T @ x.T @ up),
        "swapped": lambda x, up, a, b, scale: (
            scale * a.T @ x.T @ up,
            scale * x.T @ up @ b.T,
        ),
        "a mean": lambda x, up, a, b, scale: (
            scale * x.T @ up @ b.T / len(x),
            scale * a.T @ x.T @ up / len(x),
        ),
        "a step, not a gradient": lambda x, up, a, b, scale: (
            -scale * x.T @ up @ b.T,
            -scale * a.T @ x.T @ up,
        ),
        "the gradient of the kernel": lambda x, up, a, b, scale: (x.T @ up, x.T @ up),
        "only a's": lambda x, up, a, b, scale: (scale * x.T @ up @ b.T, np.zeros_like(b)),
    },
}

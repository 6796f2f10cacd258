"""What learners plausibly answer in notebook 11, and should not get away with."""

import numpy as np


def adam(
    weight,
    gradient,
    mean,
    square,
    step,
    rate,
    corrects=True,
    root=np.sqrt,
    sign=1,
    keeps=True,
    b2=0.999,
    epsilon=1e-7,
    inside=0,
):
    mean = 0.9 * mean + 0.1 * gradient
    square = b2 * square + (1 - b2) * gradient**2
    m, s = (mean / (1 - 0.9**step), square / (1 - b2**step)) if corrects else (mean, square)
    weight = weight - sign * rate * m / (root(s + inside) + epsilon)
    return (weight, mean, square) if keeps else (weight, m, s)


def lists(*halves, weight=lambda ids: np.where(ids == 0, 0.0, 1.0)):
    def answer(words):
        mark = np.zeros((len(words), 1), int)
        parts = {"0": mark, "w": words, "r": words[:, ::-1], "u": words[::-1]}
        ids = np.concatenate([parts[half] for half in halves], axis=1)
        return ids, weight(ids)

    return answer


def induction(looks=lambda q: range(q), gives=1, falls_back=True, norm=True, last=False):
    def answer(ids, v):
        counts = np.zeros((len(ids), v))
        for q in range(len(ids)):
            found = [j for j in looks(q) if ids[j] == ids[q] and 0 <= j + gives < len(ids)]
            for j in found[-1:] if last else found:
                counts[q, ids[j + gives]] += 1
        if falls_back:
            counts[counts.sum(axis=1) == 0] = 1 if norm else 1 / v
        sums = counts.sum(axis=1, keepdims=True)
        return counts / np.maximum(sums, 1) if norm else counts

    return answer


WRONG = {
    "limit": {
        "not shared": lambda words, times: np.log(words),
        "bits": lambda words, times: np.log2(words) / times,
        "always two": lambda words, times: np.log(words) / 2,
        "shares the words": lambda words, times: np.log(words / times),
        "counts the mark": lambda words, times: np.log(words + 1) / times,
    },
    "adam_step": {
        "no correction": lambda *given: adam(*given, corrects=False),
        "no epsilon": lambda *given: adam(*given, epsilon=0),
        "epsilon inside the root": lambda *given: adam(*given, epsilon=0, inside=1e-7),
        "the paper's epsilon": lambda *given: adam(*given, epsilon=1e-8),
        "no square root": lambda *given: adam(*given, root=lambda x: x),
        "up the slope": lambda *given: adam(*given, sign=-1),
        "returns the corrected means": lambda *given: adam(*given, keeps=False),
        "only the weight": lambda *given: adam(*given)[0],
        "one rate for both means": lambda *given: adam(*given, b2=0.9),
        "plain gradient descent": lambda w, g, m, s, step, rate: (w - rate * g, m, s),
        "as in the first step": lambda w, g, m, s, step, rate: adam(w, g, m, s, 1, rate),
    },
    "mirrored": {
        "not reversed": lists("0", "w", "0", "w"),
        "the lists reversed": lists("0", "w", "0", "u"),
        "no marks": lists("w", "r"),
        "one mark": lists("0", "w", "r"),
        "marks count": lists("0", "w", "0", "r", weight=lambda ids: np.ones(ids.shape)),
        "only the second half counts": lists(
            "0",
            "w",
            "0",
            "r",
            weight=lambda ids: np.where((ids == 0) | (np.arange(ids.shape[1]) < 4), 0.0, 1.0),
        ),
    },
    "rule": {
        "what came before": induction(gives=-1),
        "what is here": induction(gives=0),
        "itself too": induction(looks=lambda q: range(q + 1)),
        "only the last time": induction(last=True),
        "only the first time": induction(looks=lambda q: reversed(range(q)), last=True),
        "no distribution for new words": induction(falls_back=False),
        "counts": induction(norm=False),
    },
}

"""Plausible wrong answers to the exercises of `10_hidden_states`."""

from itertools import combinations

import numpy as np


def smallest_circuit(restores, heads, share):
    for size in range(len(heads) + 1):
        for circuit in combinations(heads, size):
            if restores(list(circuit)) >= share:
                return list(circuit)


def past_the_share(restores, heads, share):
    circuit = []
    while len(circuit) < len(heads) and restores(circuit) <= share:
        others = [head for head in heads if head not in circuit]
        circuit.append(max(others, key=lambda head: restores([*circuit, head])))
    return circuit


def _gap(logits, names):
    rows = np.arange(len(names))
    return logits[rows, names[:, 0]] - logits[rows, names[:, 1]]


def _share(patched, clean, corrupted, names):
    start, end = _gap(corrupted, names), _gap(clean, names)
    return (_gap(patched, names) - start) / (end - start)


def _rank(logits, ids):
    true = np.take_along_axis(logits, ids[None, :, None], axis=-1)
    return (logits > true).sum(axis=-1) + 1


def _by_single_effects(restores, heads, share):
    circuit = []
    for head in sorted(heads, key=lambda head: -restores([head])):
        circuit.append(head)
        if restores(circuit) >= share:
            return circuit
    return circuit


def _one_too_many(restores, heads, share):
    circuit = []
    while len(circuit) < len(heads):
        done = bool(circuit) and restores(circuit) >= share
        others = [head for head in heads if head not in circuit]
        circuit.append(max(others, key=lambda head: restores([*circuit, head])))
        if done:
            return circuit
    return circuit


WRONG = {
    "cosines": {
        "dot products": lambda a, b: a @ b.T,
        "squared lengths": lambda a, b: (
            a / (a**2).sum(-1, keepdims=True) @ (b / (b**2).sum(-1, keepdims=True)).T
        ),
        "lengths of the columns": lambda a, b: (
            a / np.linalg.norm(a, axis=0) @ (b / np.linalg.norm(b, axis=0)).T
        ),
        "only one of the two is made a direction": lambda a, b: (
            a / np.linalg.norm(a, axis=-1, keepdims=True) @ b.T
        ),
        "the length of the whole array": lambda a, b: a @ b.T / np.linalg.norm(a @ b.T),
        "transposed": lambda a, b: (
            b
            / np.linalg.norm(b, axis=-1, keepdims=True)
            @ (a / np.linalg.norm(a, axis=-1, keepdims=True)).T
        ),
    },
    "ranks": {
        "counted from 0": lambda logits, ids: _rank(logits, ids) - 1,
        "counted from the worst": lambda logits, ids: _rank(-logits, ids),
        "sorted once": lambda logits, ids: (
            np.take_along_axis(np.argsort(-logits, axis=-1), ids[None, :, None], axis=-1)[..., 0]
            + 1
        ),
        "of the last layer only": lambda logits, ids: _rank(logits, ids)[-1],
        "the best token's id": lambda logits, ids: logits.argmax(axis=-1),
        "the true tokens the other way round": lambda logits, ids: _rank(logits, ids[::-1]),
    },
    "restored": {
        "the other way round": lambda p, c, x, n: 1 - _share(p, c, x, n),
        "the gap itself": lambda p, c, x, n: _gap(p, n),
        "divided by the clean gap": lambda p, c, x, n: _gap(p, n) / _gap(c, n),
        "cut at 0 and 1": lambda p, c, x, n: np.clip(_share(p, c, x, n), 0, 1),
        "cut at 0": lambda p, c, x, n: np.maximum(_share(p, c, x, n), 0),
        "cut at 1": lambda p, c, x, n: np.minimum(_share(p, c, x, n), 1),
        "without a sign": lambda p, c, x, n: abs(_share(p, c, x, n)),
        "the mean": lambda p, c, x, n: _share(p, c, x, n).mean(),
        "the first name only": lambda p, c, x, n: (
            (p[np.arange(len(n)), n[:, 0]] - x[np.arange(len(n)), n[:, 0]])
            / c[np.arange(len(n)), n[:, 0]]
        ),
        "not divided": lambda p, c, x, n: _gap(p, n) - _gap(x, n),
    },
    "find_circuit": {
        "by what each does alone": _by_single_effects,
        "the smallest of all": smallest_circuit,
        "goes on at the share itself": past_the_share,
        "all heads": lambda restores, heads, share: list(heads),
        "one too many": _one_too_many,
        "only the best": lambda restores, heads, share: [
            max(heads, key=lambda head: restores([head]))
        ],
        "none": lambda restores, heads, share: [],
        "a number": lambda restores, heads, share: restores(list(heads)),
    },
}

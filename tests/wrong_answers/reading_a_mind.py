"""Plausible wrong answers to the exercises of `17_reading_a_mind`."""

import numpy as np


def _normalized(written, state, epsilon):
    return (written - written.mean()) / np.sqrt(state.var() + epsilon)


def _accuracy(fit, states, labels, test):
    return np.mean(fit(states[~test], labels[~test])(states[test]) == labels[test])


def seen_already(fit, states, labels, control, test):
    return np.mean([fit(states, x)(states) == x for x in (labels, control)])


def one_probe_for_both(fit, states, labels, control, test):
    predicted = fit(states[~test], labels[~test])(states[test])
    return np.mean(predicted == labels[test]) - np.mean(predicted == control[test])


def tested_on_the_rest(fit, states, labels, control, test):
    first, second = (
        np.mean(fit(states[~test], x[~test])(states[~test]) == x[~test]) for x in (labels, control)
    )
    return first - second


def above_the_majority(fit, states, labels, control, test):
    most = np.bincount(labels[~test]).argmax()
    return _accuracy(fit, states, labels, test) - np.mean(labels[test] == most)


def one_after_the_other(states, directions):
    for direction in directions:
        unit = direction / np.linalg.norm(direction)
        states = states - np.outer(states @ unit, unit)
    return states


def all_at_once(states, directions):
    units = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    return states - states @ units.T @ units


WRONG = {
    "attributed": {
        "without the norm": lambda o, r, s, g, d, e: o @ r @ d,
        "the mean left in": lambda o, r, s, g, d, e: o @ r / np.sqrt(s.var() + e) * g @ d,
        "not divided": lambda o, r, s, g, d, e: (o @ r - (o @ r).mean()) * g @ d,
        "a norm of its own": lambda o, r, s, g, d, e: _normalized(o @ r, o @ r, e) * g @ d,
        "no gamma": lambda o, r, s, g, d, e: _normalized(o @ r, s, e) @ d,
        "epsilon left out": lambda o, r, s, g, d, e: _normalized(o @ r, s, 0) * g @ d,
        "the state's mean": lambda o, r, s, g, d, e: (
            (o @ r - s.mean()) / np.sqrt(s.var() + e) * g @ d
        ),
        "a vector": lambda o, r, s, g, d, e: _normalized(o @ r, s, e) * g * d,
    },
    "copying": {
        "the sum": lambda a, b: np.linalg.eigvals(b @ a).sum().real,
        "the trace by its size": lambda a, b: np.trace(b @ a) / abs(np.trace(b @ a)),
        "a count": lambda a, b: (np.linalg.eigvals(b @ a).real > 0).mean(),
        "singular values": lambda a, b: (
            np.trace(b @ a) / np.linalg.svd(a @ b, compute_uv=False).sum()
        ),
        "real parts below the line": lambda a, b: (
            np.linalg.eigvals(b @ a).real.sum() / abs(np.linalg.eigvals(b @ a).real).sum()
        ),
        "the diagonal": lambda a, b: np.diag(a @ b).sum() / abs(np.diag(a @ b)).sum(),
        "the eigenvalues": lambda a, b: np.linalg.eigvals(b @ a),
    },
    "selectivity": {
        "the accuracy alone": lambda f, s, y, c, t: _accuracy(f, s, y, t),
        "the control first": lambda f, s, y, c, t: _accuracy(f, s, c, t) - _accuracy(f, s, y, t),
        "tested on what it has seen": seen_already,
        "one probe for both": one_probe_for_both,
        "tested on the rest": tested_on_the_rest,
        "above the majority": above_the_majority,
        "the two of them": lambda f, s, y, c, t: [_accuracy(f, s, x, t) for x in (y, c)],
    },
    "project_out": {
        "one after the other": one_after_the_other,
        "all at once": all_at_once,
        "not of length 1": lambda x, d: x - x @ d.T @ d,
        "what is along them": lambda x, d: x @ np.linalg.qr(d.T)[0] @ np.linalg.qr(d.T)[0].T,
        "the first only": lambda x, d: one_after_the_other(x, d[:1]),
        "subtracted": lambda x, d: x - d.sum(axis=0),
        "the coordinates": lambda x, d: x - x @ np.linalg.qr(d.T)[0][:, :1],
    },
}

"""Solutions to notebook 17: reading a mind, with an answer key."""

import numpy as np


def attributed(head_output, rows, state, gamma, difference, epsilon):
    written = head_output @ rows  # (m,)
    scale = 1 / np.sqrt(state.var() + epsilon)
    return (written - written.mean()) * scale * gamma @ difference


def copying(left, right):
    eigenvalues = np.linalg.eigvals(right @ left)  # (h, h) instead of (v, v)
    return eigenvalues.sum().real / abs(eigenvalues).sum()


def selectivity(fit, states, labels, control, test):
    def accuracy(labels):
        predict = fit(states[~test], labels[~test])
        return np.mean(predict(states[test]) == labels[test])

    return accuracy(labels) - accuracy(control)


def project_out(states, directions):
    q, _ = np.linalg.qr(directions.T)  # (m, k), orthonormal
    return states - states @ q @ q.T

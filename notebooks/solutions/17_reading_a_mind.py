"""Solutions to notebook 17: reading a mind, with an answer key."""

import numpy as np


# 17.1: The head's output times its rows is what it adds to the stream. The final norm takes the
# mean off it, multiplies by `gamma`, and divides by the deviation of *the whole state*; with the
# head's own deviation, a whisper would count as much as a shout. The dot product with the
# difference is what it adds to the gap.
def attributed(head_output, rows, state, gamma, difference, epsilon):
    written = head_output @ rows  # (m,)
    scale = 1 / np.sqrt(state.var() + epsilon)
    return (written - written.mean()) * scale * gamma @ difference


# 17.2: The eigenvalues of `left @ right` that are not 0 are those of `right @ left`, which is `h`
# by `h` and not `v` by `v`. They may be complex, so their sizes are absolute values; the
# imaginary parts come in pairs and cancel in the sum. The trace alone gives that sum, and not
# what to divide it by.
def copying(left, right):
    eigenvalues = np.linalg.eigvals(right @ left)  # (h, h) instead of (v, v)
    return eigenvalues.sum().real / abs(eigenvalues).sum()


# 17.3: A probe is fitted to the examples that are not kept for testing, and judged by those that
# are; the control gets a probe of its own, of the same kind. Tested on what it was fitted to, a
# probe may simply have learned the labels by heart. One probe for both would only show that it
# has not seen the control.
def selectivity(fit, states, labels, control, test):
    def accuracy(labels):
        predict = fit(states[~test], labels[~test])
        return np.mean(predict(states[test]) == labels[test])

    return accuracy(labels) - accuracy(control)


# 17.4: `qr` gives directions of length 1, at right angles, that span the same space; what the
# states have in it is subtracted. Taking off the given directions one after the other puts back a
# part of the first, unless they are at right angles. And where they are not of length 1, too much
# or too little is taken off.
def project_out(states, directions):
    q, _ = np.linalg.qr(directions.T)  # (m, k), orthonormal
    return states - states @ q @ q.T

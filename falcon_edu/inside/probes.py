"""Linear probes: whether something can be read off hidden states, with what must fail beside it.

A probe with enough numbers finds something in anything. So each is tested on examples that it was
not fitted to, beside the most frequent label, and beside a probe for labels that were shuffled.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Probe:
    """Hold a linear probe and how well it does on examples that it was not fitted to.

    Attributes:
        labels: what it tells apart, `(classes,)`.
        weights: `(m, classes)`.
        bias: `(classes,)`.
        accuracy: the share of the tested examples that it gets right.
        majority: the share that the most frequent label of the others would get right.
        shuffled: the share that a probe for shuffled labels gets right.
    """

    labels: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    accuracy: float
    majority: float
    shuffled: float

    def __call__(self, states) -> np.ndarray:
        """Return the label of each state, `(examples, m)` to `(examples,)`."""
        return self.labels[np.argmax(np.asarray(states) @ self.weights + self.bias, axis=-1)]


def probe(
    states: Any, labels: Any, penalty: float = 1.0, tested: float = 0.25, seed: int = 0
) -> Probe:
    """Fit a linear probe by least squares, and test it.

    Args:
        states: `(examples, m)`, such as hidden states at one place of many texts.
        labels: `(examples,)`, numbers or strings.
        penalty: how much large weights count (ridge); states are brought to one scale before.
        tested: share of the examples that are kept for the test.
        seed: of the split, and of the shuffling.

    Returns:
        A `Probe`.

    Raises:
        ValueError: there are not as many labels as states, fewer than two labels, or too few
            examples to fit and to test.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> states = rng.normal(size=(400, 16))
    >>> found = probe(states, states[:, 3] > 0)
    >>> found.accuracy > 0.9 > 0.65 > max(found.majority, found.shuffled)
    True

    Alain & Bengio 2016, https://arxiv.org/abs/1610.01644; the shuffled labels are the control of
    Hewitt & Liang 2019, https://arxiv.org/abs/1909.03368, in its simplest form.
    """
    states, labels = np.asarray(states, "float64"), np.asarray(labels)
    if states.ndim != 2 or labels.shape != states.shape[:1]:
        raise ValueError(
            "`states` must be (examples, m), and `labels` (examples,). Received shapes: "
            f"{states.shape} and {labels.shape}"
        )
    if not np.isfinite(states).all():
        raise ValueError("`states` holds numbers that are not finite.")
    classes, numbers = np.unique(labels, return_inverse=True)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    cut = round(len(labels) * tested)
    test, fit = order[:cut], order[cut:]
    if len(classes) < 2 or len(test) < 1 or len(fit) < 2:
        raise ValueError(
            "A probe needs two labels, and examples to fit and to test. Received: "
            f"{len(classes)} labels, {len(fit)} examples to fit, {len(test)} to test"
        )

    def fitted(numbers):
        mean, scale = states[fit].mean(axis=0), states[fit].std(axis=0) + 1e-6
        x = (states[fit] - mean) / scale
        wanted = np.eye(len(classes))[numbers[fit]]
        rows = x.T @ x + penalty * np.eye(x.shape[1])
        weights = np.linalg.solve(rows, x.T @ (wanted - wanted.mean(axis=0))) / scale[:, None]
        return weights, wanted.mean(axis=0) - mean @ weights

    def right(weights, bias, numbers):
        return float(np.mean(np.argmax(states[test] @ weights + bias, axis=1) == numbers[test]))

    weights, bias = fitted(numbers)
    shuffled = rng.permutation(numbers)
    of_shuffled = fitted(shuffled)
    return Probe(
        labels=classes,
        weights=weights,
        bias=bias,
        accuracy=right(weights, bias, numbers),
        majority=float(np.mean(numbers[test] == np.bincount(numbers[fit]).argmax())),
        shuffled=right(of_shuffled[0], of_shuffled[1], shuffled),
    )

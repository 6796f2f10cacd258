"""Sparse autoencoders: a state as a sum of a few directions out of many.

A residual stream of `m` numbers may hold more than `m` features, as long as only a few are there at
a time (superposition). An autoencoder that may use only a few of its many directions for each state
looks for them, and nobody tells it what to find.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True)
class SparseAutoencoder:
    """Hold a sparse autoencoder: a state is nearly `mean` plus a few directions.

    Attributes:
        mean: `(m,)`, of the states that it was trained on.
        encoder: `(m, features)`.
        bias: `(features,)`.
        decoder: `(features, m)`, a direction of length 1 for each feature.
        active: how many features a state may have.
    """

    mean: np.ndarray
    encoder: np.ndarray
    bias: np.ndarray
    decoder: np.ndarray
    active: int

    def encode(self, states: Any) -> np.ndarray:
        """Return the features of states, `(..., m)` to `(..., features)`, all but `active` 0."""
        scores = (np.asarray(states, "float32") - self.mean) @ self.encoder + self.bias
        rows = scores.reshape(-1, scores.shape[-1])
        for start in range(0, len(rows), 4096):  # in place and in parts: there may be many
            part = rows[start : start + 4096]
            lowest = np.partition(part, -self.active, axis=-1)[:, -self.active, None]
            part[(part < lowest) | (part < 0)] = 0
        return scores

    def decode(self, features: Any) -> np.ndarray:
        """Return the states that features stand for, `(..., features)` to `(..., m)`."""
        return np.asarray(features, "float32") @ self.decoder + self.mean

    def explained(self, states: Any) -> float:
        """Return how much of the variance of states `(examples, m)` is rebuilt: 1 for all of it."""
        states = np.asarray(states, "float32")
        lost = np.square(states - self.decode(self.encode(states))).sum()
        return float(1 - lost / np.square(states - states.mean(axis=0)).sum())


def train_sparse_autoencoder(
    states: Any,
    features: int = 512,
    active: int = 8,
    steps: int = 1000,
    batch_size: int = 512,
    learning_rate: float = 3e-3,
    seed: int = 0,
) -> SparseAutoencoder:
    """Train an autoencoder that rebuilds each state from its few largest features (TopK).

    Args:
        states: `(examples, m)`, such as hidden states after one layer at all tokens of many texts.
        features: how many directions there are to choose from.
        active: how many of them a state may have.
        steps, batch_size: of the training, by Adam.
        learning_rate: of the first step; it falls to 0 in a straight line.
        seed: of the draws. Each direction begins as a state, so that few are never used.

    Returns:
        A `SparseAutoencoder`.

    Raises:
        ValueError: there are fewer states than features, they are not finite or all the same, or
            `active` is not in 1 to `features`.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> directions = rng.normal(size=(12, 8))  # more than there are dimensions
    >>> states = (rng.random((4000, 12)) < 0.1) @ directions
    >>> autoencoder = train_sparse_autoencoder(states, features=24, active=3, batch_size=128)
    >>> autoencoder.explained(states) > 0.8
    True

    Bricken et al. 2023, https://transformer-circuits.pub/2023/monosemantic-features; Cunningham et
    al. 2023, https://arxiv.org/abs/2309.08600; TopK is from Gao et al. 2024,
    https://arxiv.org/abs/2406.04093, section 2.3.
    """
    states = np.asarray(states, "float32")
    if states.ndim != 2 or len(states) < features:
        raise ValueError(
            f"`states` must be (examples, m), with at least {features} examples, one for each "
            f"feature. Received shape: {states.shape}"
        )
    if not 1 <= active <= features:
        raise ValueError(f"`active` must be in 1..{features}. Received: {active}")
    if not np.isfinite(states).all() or (states == states[0]).all():
        raise ValueError("`states` must be finite numbers, and not all the same.")
    mean = states.mean(axis=0)
    scale = np.sqrt(np.square(states - mean).mean())
    rng = np.random.default_rng(seed)
    x = (states - mean) / scale
    decoder = x[rng.choice(len(x), features, replace=False)] + np.float32(1e-6)
    decoder /= np.linalg.norm(decoder, axis=1, keepdims=True)
    weights = {"encoder": decoder.T, "bias": np.zeros(features, "float32"), "decoder": decoder}
    batches = rng.integers(0, len(x), (steps, batch_size), dtype="int32")
    trained = jax.tree.map(
        np.asarray, _train(weights, x, batches, _rates(steps, learning_rate), active)
    )
    return SparseAutoencoder(
        mean=mean,
        encoder=trained["encoder"],
        bias=trained["bias"] * scale,  # so that features are in the units of the states
        decoder=trained["decoder"],
        active=active,
    )


@partial(jax.jit, static_argnames="active")
def _train(weights, states, batches, rates, active):
    """Return the weights after a step for each of the batches, rows of `states`."""

    def loss(weights, x):
        scores = x @ weights["encoder"] + weights["bias"]
        lowest = jax.lax.top_k(jax.lax.stop_gradient(scores), active)[0][:, -1:]
        found = jnp.where(scores >= lowest, jax.nn.relu(scores), 0)
        return jnp.square(x - found @ weights["decoder"]).sum(axis=-1).mean()

    def step(state, given):
        weights, first, second = state
        batch, rate = given
        slopes = jax.grad(loss)(weights, states[batch])
        first = jax.tree.map(lambda a, slope: 0.9 * a + 0.1 * slope, first, slopes)
        second = jax.tree.map(lambda a, slope: 0.999 * a + 0.001 * slope**2, second, slopes)
        weights = jax.tree.map(
            lambda w, a, b: w - rate * a / (jnp.sqrt(b) + 1e-8), weights, first, second
        )
        lengths = jnp.linalg.norm(weights["decoder"], axis=1, keepdims=True)
        return ({**weights, "decoder": weights["decoder"] / lengths}, first, second), None

    nothing = jax.tree.map(jnp.zeros_like, weights)
    return jax.lax.scan(step, (weights, nothing, nothing), (batches, rates))[0][0]


def _rates(steps, learning_rate):
    """Return the length of each step, with the corrections that Adam's averages need at first."""
    done = np.arange(steps)
    corrections = np.sqrt(1 - 0.999 ** (done + 1)) / (1 - 0.9 ** (done + 1))
    return (learning_rate * (1 - done / steps) * corrections).astype("float32")

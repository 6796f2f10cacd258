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
import keras
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
        scores = (np.asarray(states, "float32") - self.mean) @ self.encoder
        scores += self.bias  # in place, as all that follows, and in parts: there may be many
        rows = scores.reshape(-1, scores.shape[-1])
        for start in range(0, len(rows), 4096):
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
    decoder = x[rng.choice(len(x), features, replace=False)]
    # States may be equal, and equal directions would stay equal: a little noise parts them.
    decoder += rng.normal(scale=0.01, size=decoder.shape).astype("float32")
    decoder /= np.linalg.norm(decoder, axis=1, keepdims=True)
    model = _model(decoder, active)
    rate = keras.optimizers.schedules.PolynomialDecay(learning_rate, max(steps, 1), 0)
    model.compile(keras.optimizers.Adam(rate), loss="mse")
    for batch in rng.integers(0, len(x), (steps, batch_size)):
        model.train_on_batch(x[batch], x[batch])
    encoder, bias, decoder = model.get_weights()
    # Features are in the units of the states.
    return SparseAutoencoder(mean, encoder, bias * scale, decoder, active)


def _model(decoder, active):
    """Return the model to train, whose encoder begins as the decoder turned."""
    features, m = decoder.shape
    encode = keras.layers.Dense(
        features,
        activation=partial(_largest, active=active),
        kernel_initializer=keras.initializers.Constant(decoder.T),
        dtype="float32",
    )
    decode = keras.layers.Dense(
        m,
        use_bias=False,
        kernel_initializer=keras.initializers.Constant(decoder),
        kernel_constraint=keras.constraints.UnitNorm(axis=1),
        dtype="float32",
    )
    return keras.Sequential([keras.Input((m,), dtype="float32"), encode, decode])


def _largest(scores, active):
    """Keep the largest scores of each row, as far as they are above 0."""

    def next_lower(_, lowest):
        return jnp.where(fixed < lowest, fixed, -jnp.inf).max(axis=-1, keepdims=True)

    # XLA's `top_k` sorts on a CPU, which takes many times as long as the rest of a step.
    fixed = jax.lax.stop_gradient(scores)
    lowest = jax.lax.fori_loop(0, active, next_lower, jnp.full_like(scores[:, :1], jnp.inf))
    return jnp.where(scores >= lowest, jax.nn.relu(scores), 0)

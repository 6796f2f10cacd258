"""Kinds of attention heads: where a head of a kind would look, and how much a head does so.

A pattern is a table of yes and no: true where a head of this kind would look. A head's score is
the weight that it puts there. Any other table of this form will do as well, such as "at the name
that must come next".
"""

from collections.abc import Sequence
from typing import Any

import numpy as np


def previous_token(token_ids: Any) -> np.ndarray:
    """Return where a previous-token head looks: at the token before.

    Args:
        token_ids: `(b, t)`.

    Returns:
        `(b, q, k)` bool.

    Example:

    >>> previous_token([[7, 8, 9]])[0].astype(int).tolist()
    [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
    """
    batch, length = _checked(token_ids).shape
    return np.tile(np.eye(length, k=-1, dtype=bool), (batch, 1, 1))


def first_token(token_ids: Any) -> np.ndarray:
    """Return where a first-token head looks: at the first token, from every later one.

    Args:
        token_ids: `(b, t)`; padding, if any, is behind.

    Returns:
        `(b, q, k)` bool.

    Example:

    >>> first_token([[7, 8, 9]])[0].astype(int).tolist()
    [[0, 0, 0], [1, 0, 0], [1, 0, 0]]

    Xiao et al. 2023, https://arxiv.org/abs/2309.17453, section 3.1 (attention sinks).
    """
    batch, length = _checked(token_ids).shape
    pattern = np.zeros((batch, length, length), dtype=bool)
    pattern[:, 1:, 0] = True
    return pattern


def induction(token_ids: Any) -> np.ndarray:
    """Return where an induction head looks: at what came after an earlier one of the same token.

    Args:
        token_ids: `(b, t)`.

    Returns:
        `(b, q, k)` bool; a token that is there for the first time has a row without true.

    Example:

    >>> induction([[7, 8, 7, 8]])[0].astype(int).tolist()
    [[0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]

    Olsson et al. 2022, https://arxiv.org/abs/2209.11895, section "Induction heads".
    """
    token_ids = _checked(token_ids)
    pattern = np.zeros((*token_ids.shape, token_ids.shape[1]), dtype=bool)
    pattern[:, :, 1:] = token_ids[:, :, None] == token_ids[:, None, :-1]
    return pattern & np.tri(token_ids.shape[1], dtype=bool)


def pattern_scores(
    attention_weights: Sequence[Any], pattern: np.ndarray, padding_mask: Any = None
) -> np.ndarray:
    """Score each head by the share of its weight that lies where the pattern is true.

    The mean is over the queries that have something to look at: rows of the pattern with a true.

    Args:
        attention_weights: a list of `(b, n, q, k)`, one for each layer, as in `Activations`.
        pattern: `(b, q, k)` bool.
        padding_mask: `(b, t)`, true at real tokens, which are queries and keys; `None` for all.

    Returns:
        `(layers, n)`, from 0 to 1.

    Raises:
        ValueError: shapes do not fit, or the pattern is true nowhere.

    Example:

    >>> even = np.tri(4) / np.arange(1, 5)[:, None]  # a head that looks evenly at what it may
    >>> pattern_scores([even[None, None]], first_token([[1, 2, 3, 4]])).round(2)
    array([[0.36]])
    """
    pattern = np.asarray(pattern, dtype=bool)
    if padding_mask is not None:
        real = np.asarray(padding_mask, dtype=bool)
        pattern = pattern & real[:, :, None] & real[:, None, :]
    for weights in attention_weights:
        if np.ndim(weights) != 4 or (weights.shape[0], *weights.shape[2:]) != pattern.shape:
            raise ValueError(
                "`attention_weights` must be (b, n, q, k) in each layer, and `pattern` (b, q, k). "
                f"Received: {np.shape(weights)} and {pattern.shape}"
            )
    if not pattern.any():
        raise ValueError("`pattern` is true nowhere, so there is nothing to score.")
    queries = pattern.any(axis=2).sum()
    return np.stack(
        [np.einsum("bnqk,bqk->n", weights, pattern) / queries for weights in attention_weights]
    )


def _checked(token_ids):
    token_ids = np.asarray(token_ids)
    if token_ids.ndim != 2:
        raise ValueError(f"`token_ids` must be (b, t). Received: {token_ids.shape}")
    return token_ids

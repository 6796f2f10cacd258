"""Steering: push the residual stream along a direction, and see what the model says then."""

from collections.abc import Sequence
from typing import Any

from falcon_edu.inside.activations import Falcon, Inputs, record
from falcon_edu.inside.interventions import check_layer, run_tail
from falcon_edu.support.inputs import backbone_of, encode

import numpy as np


def steering_vector(
    model: Falcon, towards: Inputs, away: Inputs, layer: int, position: int = -1
) -> np.ndarray:
    """Return the difference of the mean states of two sets of texts.

    Args:
        model: as in `record`.
        towards, away: texts of each kind; how many may differ.
        layer: index into `hidden_states`.
        position: index into each text, whose last token is -1.

    Returns:
        `(m,)`, float32.

    Raises:
        ValueError: there is no such layer, or a text has no such position.

    Example:

    >>> import falcon_edu
    >>> falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> vector = steering_vector(falcon, ["Mia was glad"], ["Mia was sad", "Tom was sad"], layer=2)

    Turner et al. 2023, https://arxiv.org/abs/2308.10248; Rimsky et al. 2023,
    https://arxiv.org/abs/2312.06681, section 3 (the mean over pairs).
    """
    check_layer(backbone_of(model), layer)
    ends = []
    for inputs in (towards, away):
        activations = record(model, inputs)
        real = np.asarray(activations.padding_mask, bool)
        if min(real.sum(axis=1)) < (-position if position < 0 else position + 1):
            raise ValueError(f"A text has no token at position {position}.")
        places = [np.flatnonzero(row)[position] for row in real]
        ends.append(activations.hidden_states[layer][range(len(places)), places].mean(axis=0))
    return ends[0] - ends[1]


def steer(
    model: Falcon,
    inputs: Inputs,
    layer: int,
    vector: Any,
    strength: float = 1.0,
    positions: Sequence[int] | None = None,
) -> np.ndarray:
    """Run a model in whose residual stream a vector is added, and all after it follows from that.

    Args:
        model, inputs: as in `record`.
        layer: index into `hidden_states`.
        vector: `(m,)`, such as from `steering_vector`.
        strength: what the vector is multiplied by.
        positions: indices into the sequence; `None` for all.

    Returns:
        logits `(b, t, v)`, NumPy, float32.

    Raises:
        ValueError: there is no such layer or position, or the vector has another shape.

    Example:

    >>> import falcon_edu
    >>> falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> vector = steering_vector(falcon, ["Mia was glad"], ["Mia was sad"], layer=2)
    >>> logits = steer(falcon, "Tom was", 2, vector, strength=2, positions=[-1])
    """
    backbone, tokens = backbone_of(model), encode(model, inputs)
    check_layer(backbone, layer)
    vector = np.asarray(vector, "float32")
    if vector.shape != (backbone.hidden_dim,):
        raise ValueError(
            f"`vector` must have shape ({backbone.hidden_dim},). Received: {vector.shape}"
        )
    length = tokens["token_ids"].shape[1]
    places = list(range(length) if positions is None else positions)
    if wrong := [place for place in places if not -length <= place < length]:
        raise ValueError(f"`positions` must be in a sequence of {length}. Received: {wrong}")
    activations = record(model, tokens)
    states = activations.hidden_states[layer].copy()  # (b, t, m)
    chosen = np.zeros(length, bool)
    chosen[places] = True  # a place that is named twice is pushed once
    states[:, chosen] += strength * vector
    return run_tail(model, layer, states, activations.padding_mask)

"""Path patching: what one head tells another, and what it says itself.

Patching a head changes everything after it. Here all heads but the two that a path joins are held
at what they gave; MLPs are computed anew, so a path may lead through them.
"""

from collections.abc import Iterable

from falcon_edu.inside.activations import Falcon, Inputs
from falcon_edu.inside.heads import check_head, given_and_own, head_outputs, patch_heads
from falcon_edu.support.inputs import backbone_of, encode

import numpy as np


def path_patch(
    model: Falcon,
    inputs: Inputs,
    other: Inputs,
    sender: tuple[int, int],
    receivers: Iterable[tuple[int, int]] | None = None,
) -> np.ndarray:
    """Run a model in which some heads hear from one head what it says about another text.

    Args:
        model, inputs: as in `record`.
        other: the inputs about which the sender speaks; as many texts, and as many tokens.
        sender: `(layer, head)`.
        receivers: pairs `(layer, head)`; `None` for the logits, which then hear from the sender
            itself and from MLPs after it, and from no head.

    Returns:
        logits `(b, t, v)`, NumPy, float32.

    Raises:
        ValueError: there is no such head, or the two inputs have different shapes.

    Example:

    >>> import falcon_edu
    >>> falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> mia, tom = "Mia had a red kite", "Tom had a red kite"
    >>> logits = path_patch(falcon, mia, tom, sender=(0, 1), receivers=[(2, 0), (3, 2)])

    Wang et al. 2022, https://arxiv.org/abs/2211.00593, section 3.1; Goldowsky-Dill et al. 2023,
    https://arxiv.org/abs/2304.05969.
    """
    backbone = backbone_of(model)
    tokens, others = encode(model, inputs), encode(model, other)
    shapes = tokens["token_ids"].shape, others["token_ids"].shape
    if shapes[0] != shapes[1]:
        raise ValueError(
            "`inputs` and `other` must have as many texts and tokens. Received shapes: "
            f"{shapes[0]} and {shapes[1]}"
        )
    hearing = None if receivers is None else list(receivers)
    for layer, head in [sender, *(hearing or [])]:
        check_head(backbone, layer, head)

    held = head_outputs(model, tokens)
    layer, head = sender
    held[layer, :, :, head] = head_outputs(model, others)[layer, :, :, head]
    run = given_and_own(model, tokens, held)  # every head gives what it is told to
    if hearing is None:
        return run["logits"]
    return patch_heads(model, tokens, run["head_outputs"], hearing)

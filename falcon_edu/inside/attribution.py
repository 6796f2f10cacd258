"""Direct logit attribution: which part of the model wrote how much of a logit.

The residual stream is a sum: the embedding, and what each head and each MLP has written into it.
The final norm divides it by one number for each token. With that number held fixed all that follows
is linear, so a logit is a sum, too, of one term for each part.
"""

from dataclasses import dataclass

from falcon_edu.inside.activations import Falcon, Inputs, record
from falcon_edu.inside.heads import head_outputs
from falcon_edu.inside.weights import projection, unembedding
from falcon_edu.support.inputs import backbone_of, encode

import numpy as np


@dataclass(frozen=True)
class Attribution:
    """Hold what each part wrote of a logit, or of a difference of two, in a batch of texts.

    Attributes:
        embedding: `(b,)`, of the token itself.
        heads: `(layers, b, n)`.
        mlps: `(layers, b)`.
        biases: `(b,)`, of the output projections and of the final norm.
        total: `(b,)`, the logit; the sum of all others.
    """

    embedding: np.ndarray
    heads: np.ndarray
    mlps: np.ndarray
    biases: np.ndarray
    total: np.ndarray


def direct_logit_attribution(
    model: Falcon,
    inputs: Inputs,
    token_id: int,
    against: int | None = None,
    position: int = -1,
) -> Attribution:
    """Return how much of a logit each part of the model wrote itself, by no way through others.

    What a head does for the parts that come after it is not in here. Patching the head has that
    too; `path_patch` tells the two apart.

    Args:
        model, inputs: as in `record`; no text may be padded.
        token_id: whose logit.
        against: a token id whose logit is subtracted, so that what helps both counts as nothing.
        position: index into the sequence; negative ones count from the end.

    Returns:
        An `Attribution`.

    Raises:
        ValueError: there is no such token or position, a text is padded, or the model has weights
            of eight bits.

    Example:

    >>> import falcon_edu
    >>> falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> end = falcon.preprocessor.tokenizer.end_token_id
    >>> parts = direct_logit_attribution(falcon, "Once upon a time", end)
    >>> written = parts.embedding + parts.heads.sum(axis=(0, 2)) + parts.mlps.sum(axis=0)
    >>> np.testing.assert_allclose(written + parts.biases, parts.total, rtol=1e-3, atol=1e-3)

    Elhage et al. 2021, https://transformer-circuits.pub/2021/framework, "The residual stream".
    """
    backbone, tokens = backbone_of(model), encode(model, inputs)
    if not np.all(tokens["padding_mask"]):
        raise ValueError("Attribution reads one place in every text: give texts of one length.")
    length = tokens["token_ids"].shape[1]
    if not -length <= position < length:
        raise ValueError(f"`position` must be in a sequence of {length}. Received: {position}")
    table = unembedding(backbone)  # (m, v)
    for name, value in (("token_id", token_id), ("against", against)):
        if value is not None and not 0 <= value < table.shape[1]:
            raise ValueError(f"`{name}` must be in 0..{table.shape[1] - 1}. Received: {value}")
    direction = table[:, token_id] - (0 if against is None else table[:, against])  # (m,)

    activations = record(model, tokens)
    states = np.stack(activations.hidden_states)[:, :, position]  # (layers + 1, b, m)
    outputs = head_outputs(model, tokens)[:, :, position]  # (layers, b, n, h)
    kernels, biases = zip(
        *(projection(backbone, layer, "output") for layer in range(len(outputs))), strict=True
    )
    heads = np.einsum("lbnh,lnhm->lbnm", outputs, np.stack(kernels))
    mlps = np.diff(states, axis=0) - heads.sum(axis=2) - np.stack(biases)[:, None]

    norm = backbone.final_layernorm
    gamma, beta = (np.asarray(x, "float32") for x in (norm.gamma, norm.beta))
    scale = 1 / np.sqrt(states[-1].var(axis=-1) + norm.epsilon)  # (b,)
    before = gamma * direction
    before -= before.mean()  # the norm takes the mean out of what it reads

    logits = activations.logits[:, position]
    return Attribution(
        embedding=states[0] @ before * scale,
        heads=heads @ before * scale[:, None],
        mlps=mlps @ before * scale,
        biases=np.sum(biases, axis=0) @ before * scale + beta @ direction,
        total=logits[:, token_id] - (0 if against is None else logits[:, against]),
    )

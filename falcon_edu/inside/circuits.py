"""What a head could do, read from its weights alone, without any text.

A head has two circuits. QK says where it looks: a score for each pair of tokens. OV says what it
writes if it looks there: logits for each token. Both are matrices of the vocabulary's size and of
the head's small rank, and are kept as their two thin factors. Norms count as their gamma and as
taking the mean out; their division, and RoPE's turning, depend on the text and are left out.

Elhage et al. 2021, https://transformer-circuits.pub/2021/framework.
"""

from dataclasses import dataclass

from falcon_edu.inside.activations import Falcon
from falcon_edu.inside.heads import check_head
from falcon_edu.inside.weights import norm_before_attention, projection, unembedding
from falcon_edu.presets.weights import weight_value
from falcon_edu.support.inputs import backbone_of

import numpy as np


@dataclass(frozen=True)
class Circuit:
    """Hold a matrix `(v, v)` as the two factors that it is a product of.

    Attributes:
        left: `(v, h)`, a row for each token that is looked from (QK) or at (OV).
        right: `(h, v)`, a column for each token that is looked at (QK) or written (OV).
    """

    left: np.ndarray
    right: np.ndarray

    def rows(self, token_ids) -> np.ndarray:
        """Return the rows of some tokens, `(..., v)`; of all of them it may be a large matrix."""
        return self.left[np.asarray(token_ids)] @ self.right

    def eigenvalues(self) -> np.ndarray:
        """Return the eigenvalues that are not zero for want of rank, `(h,)` complex."""
        return np.linalg.eigvals(self.right @ self.left)  # those of left @ right


def ov_circuit(model: Falcon, layer: int, head: int) -> Circuit:
    """Return what a head writes, in logits, for each token that it may look at.

    Args:
        model: a `FalconCausalLM` or a `FalconBackbone`.
        layer, head: which head.

    Raises:
        ValueError: there is no such head, or the model has weights of eight bits.

    Example:

    >>> import falcon_edu
    >>> falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> circuit = ov_circuit(falcon, 3, 1)
    >>> circuit.rows([5, 6]).shape == (2, falcon.backbone.vocabulary_size)
    True
    """
    backbone = backbone_of(model)
    check_head(backbone, layer, head)
    value, _ = projection(backbone, layer, "value")
    output, _ = projection(backbone, layer, "output")
    gamma, _ = norm_before_attention(backbone, layer)
    last = weight_value(backbone, "final_layernorm.gamma")
    left = _centred(_embeddings(backbone)) * gamma @ value[head]
    return Circuit(left, _centred(output[head]) * last @ unembedding(backbone))


def qk_circuit(model: Falcon, layer: int, head: int) -> Circuit:
    """Return how much a head wants to look from each token to each other, before the softmax.

    Args:
        model, layer, head: as in `ov_circuit`.

    Raises:
        ValueError: as in `ov_circuit`.

    Example:

    >>> import falcon_edu
    >>> falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> qk_circuit(falcon, 0, 0).left.shape == (falcon.backbone.vocabulary_size, 32)
    True
    """
    backbone = backbone_of(model)
    check_head(backbone, layer, head)
    query, query_bias = projection(backbone, layer, "query")
    key, _ = projection(backbone, layer, "key")
    gamma, beta = norm_before_attention(backbone, layer)
    stream = _centred(_embeddings(backbone)) * gamma
    # The keys' beta and bias are left out: they add the same to a query's every score.
    left = stream @ query[head] + beta @ query[head] + query_bias[head]
    return Circuit(left / np.sqrt(key.shape[-1]), (stream @ key[head]).T)


def copying_score(circuit: Circuit) -> float:
    """Return how far an OV circuit copies: from 1, each token raises itself, to -1.

    It is the sum of the eigenvalues over the sum of their sizes. A matrix that maps tokens to other
    tokens has eigenvalues that point everywhere, and they cancel.

    Example:

    >>> copying_score(Circuit(np.eye(4, 2), 3 * np.eye(2, 4)))
    1.0

    Elhage et al. 2021, "Copying / primitive in-context learning".
    """
    eigenvalues = circuit.eigenvalues()
    return float(eigenvalues.sum().real / np.abs(eigenvalues).sum())


def composition_scores(model: Falcon, layer: int, head: int) -> dict[str, np.ndarray]:
    """Return how much of each earlier head's writing a head reads, by way of its three inputs.

    A score is the size of the product of two matrices over the product of their sizes. Two random
    ones give about `1 / sqrt(m)`, so compare heads with each other.

    Args:
        model, layer, head: the head that reads.

    Returns:
        `{"query": ..., "key": ..., "value": ...}`, each `(layer, n)`: a row for each earlier layer.

    Raises:
        ValueError: as in `ov_circuit`.

    Example:

    >>> import falcon_edu
    >>> falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> composition_scores(falcon, 2, 0)["key"].shape
    (2, 4)

    Elhage et al. 2021, "Two-layer attention-only transformers".
    """
    backbone = backbone_of(model)
    check_head(backbone, layer, head)
    gamma, _ = norm_before_attention(backbone, layer)
    query, key, value = (
        gamma[:, None] * projection(backbone, layer, name)[0][head]
        for name in ("query", "key", "value")
    )
    output = projection(backbone, layer, "output")[0][head]
    read_by = {"query": query @ key.T, "key": key @ query.T, "value": value @ output}  # (m, m)
    scores = {name: np.zeros((layer, backbone.num_attention_heads)) for name in read_by}
    for earlier in range(layer):
        before, _ = norm_before_attention(backbone, earlier)
        values, outputs = (projection(backbone, earlier, n)[0] for n in ("value", "output"))
        for other in range(backbone.num_attention_heads):
            written = before[:, None] * values[other] @ _centred(outputs[other])  # (m, m)
            for name, matrix in read_by.items():
                size = np.linalg.norm(written) * np.linalg.norm(matrix)
                scores[name][earlier, other] = np.linalg.norm(written @ matrix) / size
    return scores


def _embeddings(backbone):
    return weight_value(backbone, "token_embedding.embeddings").astype("float32")


def _centred(x):
    """Take the mean out of each row, as a norm does."""
    return x - x.mean(axis=-1, keepdims=True)

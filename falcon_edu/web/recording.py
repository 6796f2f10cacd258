"""What was recorded of a text, as an explorer in a page has it."""

from falcon_edu.support.inputs import row_strings

import numpy as np

NEXT_TOKENS = 6  # that are kept of each position


def rows_of_layers(activations):
    """Return the attention weights of the first text as bytes, one for each layer.

    Args:
        activations: what `record` gave.

    Returns:
        A list of bytes, float32: the rows `(n, k)` of each query after each other, over the keys
        up to itself, for there is nothing above the diagonal.
    """
    packed = []
    for layer in activations.attention_weights:
        rows = [layer[0, :, query, : query + 1].ravel() for query in range(layer.shape[2])]
        packed.append(np.concatenate(rows).astype("<f4").tobytes())
    return packed


def next_tokens(causal_lm, activations):
    """Return what may come next in the first text: for each position pairs of token, probability.

    Args:
        causal_lm: the model.
        activations: what `record` gave.
    """
    logits = np.asarray(activations.logits[0], "float64")
    probabilities = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities /= probabilities.sum(-1, keepdims=True)
    best = np.argsort(-probabilities, axis=-1, kind="stable")[:, :NEXT_TOKENS]
    names = np.array(row_strings(causal_lm, best.ravel().tolist()), dtype=object)
    values = np.take_along_axis(probabilities, best, axis=-1)
    return [
        list(zip(row_names, row, strict=True))
        for row_names, row in zip(names.reshape(best.shape).tolist(), values.tolist(), strict=True)
    ]

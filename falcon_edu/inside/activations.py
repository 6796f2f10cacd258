"""Looking inside: record what a forward pass computes.

A backbone is a functional model, so reading is a second model over the same layers with more
outputs. It needs no hooks, and costs what it returns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from falcon_edu.adapt.lora import adapted_layers
from falcon_edu.model.backbone import FalconBackbone
from falcon_edu.model.causal_lm import FalconCausalLM
from falcon_edu.support.inputs import backbone_of, encode, tokenizer_of

import jax
import keras
import numpy as np

Falcon = FalconBackbone | FalconCausalLM
Inputs = str | Sequence[str] | Mapping[str, Any]  # texts, or a token dict

# Lengths are rounded up to a multiple of this, with padding that is cut off again, so that texts
# of similar lengths share a compiled function.
BUCKET = 32


@dataclass(frozen=True)
class Activations:
    """Hold what a Falcon computed for some inputs, as NumPy arrays in float32.

    Attributes:
        tokens: a list of strings for each sequence, one for each position.
        token_ids: `(b, t)` int32.
        padding_mask: `(b, t)` bool, true at real tokens.
        hidden_states: `num_layers + 1` arrays `(b, t, m)`: the residual stream after the embedding
            and after every block, before the final norm.
        attention_weights: `num_layers` arrays `(b, n, q, k)`. Rows sum to 1, with zeros above the
            diagonal and on padding; a padded query without a real token before it has only zeros.
        logits: `(b, t, v)`.
    """

    tokens: list
    token_ids: np.ndarray
    padding_mask: np.ndarray
    hidden_states: list
    attention_weights: list
    logits: np.ndarray


def record(model: Falcon, inputs: Inputs) -> Activations:
    """Run a model once and keep everything that one may want to look at.

    Args:
        model: a `FalconCausalLM` or a `FalconBackbone`.
        inputs: a text or a list of texts (for a causal LM with a preprocessor), or
            `{"token_ids": (b, t), "padding_mask": (b, t)}`.

    Returns:
        `Activations`.

    Raises:
        ValueError: the inputs are not as they must be.

    Example:

    >>> import falcon_edu
    >>> falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> activations = falcon_edu.record(falcon, "Once upon a time")
    >>> batch, heads, queries, keys = activations.attention_weights[0].shape
    >>> queries == keys == len(activations.tokens[0])
    True
    """
    return run(model, inputs)


def run(model, inputs, replaced=None):
    """`record`, with some of the weights replaced for this one run.

    Args:
        model, inputs: as in `record`.
        replaced: `{variable path: array}`.

    Returns:
        `Activations`.
    """
    inputs = encode(model, inputs)
    reader = _reader(backbone_of(model))
    outputs = run_compiled(reader, pad_to_bucket(inputs), replaced)
    t = inputs["token_ids"].shape[1]
    return Activations(
        tokens=_token_strings(model, inputs["token_ids"]),
        token_ids=inputs["token_ids"],
        padding_mask=inputs["padding_mask"].astype(bool),
        hidden_states=[x[:, :t] for x in outputs["hidden_states"]],
        attention_weights=[x[:, :, :t, :t] for x in outputs["attention_weights"]],
        logits=outputs["logits"][:, :t],
    )


# The reading models, each kept as long as the backbone that it reads.
_READERS: WeakKeyDictionary = WeakKeyDictionary()


def _reader(backbone):
    if backbone not in _READERS:
        outputs = {
            "hidden_states": list(backbone.hidden_states),
            "attention_weights": list(backbone.attention_weights),
            "logits": backbone.token_embedding(backbone.output, reverse=True),
        }
        _READERS[backbone] = keras.Model(backbone.input, outputs)
    return _READERS[backbone]


def run_compiled(graph, inputs, replaced=None):
    """Run a functional model compiled; its weights are arguments, not constants of the program.

    Args:
        graph: a `keras.Model`.
        inputs: as the model takes them.
        replaced: `{variable path: array}` to use in place of the variables' own values.

    Returns:
        The model's outputs as NumPy arrays in float32.
    """
    if not hasattr(graph, "run_compiled"):

        @partial(jax.jit, static_argnums=2)
        def compiled(values, inputs, alphas):
            variables = zip(graph.variables, values, strict=True)
            with keras.StatelessScope(state_mapping=list(variables)):
                return graph(inputs, training=False)

        graph.run_compiled = compiled
    values = [(replaced or {}).get(variable.path, variable.value) for variable in graph.variables]
    # A layer's `lora_alpha` is no variable but a part of the program: another, another program.
    alphas = tuple(layer.lora_alpha for layer in adapted_layers(graph))
    outputs = graph.run_compiled(values, inputs, alphas)
    return jax.tree.map(lambda x: np.asarray(x, dtype="float32"), outputs)


def pad_to_bucket(inputs):
    """Token dicts with padding behind, up to a length that many texts share."""
    extra = -inputs["token_ids"].shape[1] % BUCKET
    return {key: np.pad(value, ((0, 0), (0, extra))) for key, value in inputs.items()}


def _token_strings(model, token_ids):
    tokenizer = tokenizer_of(model)
    if tokenizer is None:
        return [[str(token_id) for token_id in row] for row in token_ids]
    return [tokenizer.token_strings(row) for row in token_ids]

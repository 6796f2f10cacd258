"""Intervening: patch the residual stream, ablate heads, run the tail of the model.

A head writes through its own rows of the output projection, so ablating it is a change of weights
for one run. Everything after a hidden state is a model of its own, so patching is running that.
"""

from weakref import WeakKeyDictionary

from falcon_edu.activations import record, run, run_compiled
from falcon_edu.inputs import backbone_of

import keras
import numpy as np

# The tails of a backbone by layer, kept as long as the backbone.
_TAILS: WeakKeyDictionary = WeakKeyDictionary()


def ablate_heads(model, inputs, heads):
    """Records a run in which some attention heads write nothing into the residual stream.

    A head's only way out is through its own rows of the output projection. They are set to zero,
    in a copy of the weights that lives for this one run.

    Args:
        model, inputs: as in `record`.
        heads: pairs `(layer, head)`.

    Returns:
        `Activations`; the ablated heads' own attention weights are still computed and returned.

    Raises:
        ValueError: there is no such head, or the inputs are not as they must be.

    Example:

    >>> import falcon_edu
    >>> falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> activations = falcon_edu.ablate_heads(falcon, "Once upon a time", [(0, 1), (2, 3)])

    Michel et al. 2019, https://arxiv.org/abs/1905.10650, section 2.2.
    """
    backbone = backbone_of(model)
    return run(model, inputs, replaced=_without_heads(backbone, heads))


def patch(model, inputs, layer, position, value):
    """Replaces the residual stream at one place and lets the rest of the model run on.

    Args:
        model, inputs: as in `record`.
        layer: index into `hidden_states`: 0 is the embedding, `num_layers` the last block's output.
        position: index into the sequence; negative ones count from the end.
        value: `(m,)` or `(b, m)`, usually from another run's `hidden_states`.

    Returns:
        logits `(b, t, v)`.

    Raises:
        ValueError: the layer, the position or the shape of the value does not exist in this model.

    Example:

    >>> import falcon_edu
    >>> falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> other = falcon_edu.record(falcon, "Tom had a red kite")
    >>> value = other.hidden_states[2][:, -1]
    >>> logits = falcon_edu.patch(falcon, "Mia had a red kite", layer=2, position=-1, value=value)

    Meng et al. 2022, https://arxiv.org/abs/2202.05262, section 2.1 (causal tracing).
    """
    activations = record(model, inputs)
    _check_layer(backbone_of(model), layer)
    hidden_states = activations.hidden_states[layer].copy()  # (b, t, m)
    batch, length, width = hidden_states.shape
    if not -length <= position < length:
        raise ValueError(f"`position` must be in a sequence of {length}. Received: {position}")
    if np.shape(value) not in ((width,), (batch, width)):
        raise ValueError(
            f"`value` must have shape ({width},) or ({batch}, {width}). Received: {np.shape(value)}"
        )
    hidden_states[:, position] = value
    return run_tail(model, layer, hidden_states, activations.padding_mask)


def tail_model(model, layer):
    """The rest of the model as a Keras model: from a hidden state to the logits.

    Args:
        model: a `FalconCausalLM` or a `FalconBackbone`.
        layer: index into `hidden_states`.

    Returns:
        A `keras.Model` of `[hidden_states (b, t, m), padding_mask (b, t)]` to logits `(b, t, v)`.

    Raises:
        ValueError: there is no such layer.

    Example:

    >>> import falcon_edu
    >>> backbone = falcon_edu.FalconBackbone.from_preset("falcon_tales_rw_en")
    >>> tail = falcon_edu.tail_model(backbone, backbone.num_layers)
    >>> tail.count_params() < backbone.count_params()
    True
    """
    backbone = backbone_of(model)
    _check_layer(backbone, layer)
    tails = _TAILS.setdefault(backbone, {})
    if layer not in tails:
        hidden_states = keras.Input((None, backbone.hidden_dim), name="hidden_states")
        padding_mask = keras.Input((None,), dtype="int32", name="padding_mask")
        x = hidden_states
        for transformer_layer in backbone.transformer_layers[layer:]:
            x, _ = transformer_layer(x, padding_mask=padding_mask)
        logits = backbone.token_embedding(backbone.final_layernorm(x), reverse=True)
        tails[layer] = keras.Model([hidden_states, padding_mask], logits)
    return tails[layer]


def run_tail(model, layer, hidden_states, padding_mask):
    """Runs `tail_model` compiled.

    Args:
        model, layer: as in `tail_model`.
        hidden_states: `(b, t, m)`.
        padding_mask: `(b, t)`.

    Returns:
        logits `(b, t, v)`, NumPy, float32.
    """
    inputs = [np.asarray(hidden_states), np.asarray(padding_mask, dtype="int32")]
    return run_compiled(tail_model(model, layer), inputs)


def _without_heads(backbone, heads):
    """Output projections with the rows of some heads set to zero: `{variable path: array}`."""
    replaced: dict = {}
    width = backbone.config.head_dim
    for layer, head in heads:
        if not (0 <= layer < backbone.num_layers and 0 <= head < backbone.num_attention_heads):
            raise ValueError(
                f"There is no head {head} in layer {layer}: the model has layers 0 to "
                f"{backbone.num_layers - 1} with heads 0 to {backbone.num_attention_heads - 1}."
            )
        for variable in backbone.transformer_layers[layer].attention_layer.output_dense.variables:
            # With LoRA the kernel is `kernel + a @ b`: a has a head's rows too.
            if variable.name in ("kernel", "lora_kernel_a"):
                value = replaced.get(variable.path, variable.value)
                rows = slice(head * width, (head + 1) * width)
                replaced[variable.path] = value.at[rows].set(0)
    return replaced


def _check_layer(backbone, layer):
    if not 0 <= layer <= backbone.num_layers:
        raise ValueError(f"`layer` must be in 0..{backbone.num_layers}. Received: {layer}")

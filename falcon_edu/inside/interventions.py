"""Intervening: patch the residual stream, ablate heads, run the tail of the model or skip it.

A head writes through its own rows of the output projection, so ablating it is a change of weights
for one run. Everything after a hidden state is a model of its own, so patching is running that.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from falcon_edu.inside.activations import (
    BUCKET,
    Activations,
    Falcon,
    Inputs,
    record,
    run,
    run_compiled,
)
from falcon_edu.inside.heads import check_head
from falcon_edu.support.inputs import backbone_of, encode

import keras
import numpy as np
from keras import ops

# The tails of a backbone by layer, kept as long as the backbone.
_TAILS: WeakKeyDictionary = WeakKeyDictionary()


def ablate_heads(model: Falcon, inputs: Inputs, heads: Iterable[tuple[int, int]]) -> Activations:
    """Record a run in which some attention heads write nothing into the residual stream.

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


def patch(
    model: Falcon,
    inputs: Inputs,
    layer: int,
    position: int,
    value: Any,
) -> np.ndarray:
    """Replace the residual stream at one place and let the rest of the model run on.

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
    check_layer(backbone_of(model), layer)
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


def patching_map(
    model: Falcon,
    clean: Inputs,
    corrupted: Inputs,
    positions: Sequence[int],
) -> np.ndarray:
    """Patch every place, one at a time, with the state that another run has there.

    Args:
        model: as in `record`.
        clean, corrupted: one text each, or token dicts of one sequence, with as many tokens. The
            model runs on `corrupted`, and a state of `clean` is put into it.
        positions: indices into the sequence, from 0.

    Returns:
        logits after the last token, `(num_layers + 1, positions, v)`.

    Raises:
        ValueError: the inputs have different lengths, or a position is outside of them.

    Example:

    >>> import falcon_edu
    >>> falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> logits = patching_map(falcon, "Mia had a red kite", "Tom had a red kite", range(3, 6))
    >>> logits.shape == (falcon.backbone.num_layers + 1, 3, falcon.backbone.vocabulary_size)
    True

    Meng et al. 2022, https://arxiv.org/abs/2202.05262, section 2.1 (causal tracing).
    """
    pair = [encode(model, inputs) for inputs in (clean, corrupted)]
    shapes = [inputs["token_ids"].shape for inputs in pair]
    if shapes[0] != shapes[1] or shapes[0][0] != 1:
        raise ValueError(
            "`clean` and `corrupted` must be one sequence each, with as many tokens. "
            f"Received shapes: {shapes[0]} and {shapes[1]}"
        )
    length = shapes[0][1]
    places = np.asarray(positions, dtype=int)
    if not len(places) or not ((places >= 0) & (places < length)).all():
        raise ValueError(f"`positions` must be in 0..{length - 1}. Received: {places.tolist()}")
    padding = ((0, 0), (0, -length % BUCKET), (0, 0))
    sources, targets = (
        np.pad(np.concatenate(record(model, inputs).hidden_states), padding) for inputs in pair
    )
    padding_mask = np.pad(pair[1]["padding_mask"], padding[:2])
    is_patched = np.arange(sources.shape[1]) == places[:, None]  # a row for each patch
    given = [sources, targets, is_patched, padding_mask, np.array([length - 1], dtype="int32")]
    logits = run_compiled(_patching_model(backbone_of(model)), given)
    return logits.reshape(len(sources), len(places), -1)


def logit_lens(model: Falcon, activations: Activations) -> np.ndarray:
    """Return what the model would say if it stopped after each layer: final norm and output head.

    Args:
        model: a `FalconCausalLM` or a `FalconBackbone`.
        activations: what `record` of this model gave.

    Returns:
        logits `(num_layers + 1, b, t, v)`; the last are the model's own.

    Example:

    >>> import falcon_edu
    >>> falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> activations = falcon_edu.record(falcon, "Once upon a time")
    >>> lens = falcon_edu.logit_lens(falcon, activations)
    >>> np.testing.assert_allclose(lens[-1], activations.logits, rtol=1e-4, atol=1e-4)

    nostalgebraist 2020, https://www.lesswrong.com/posts/AcKRB8wDpdaN6v6ru.
    """
    last = backbone_of(model).num_layers
    states = activations.hidden_states
    return np.stack([run_tail(model, last, x, activations.padding_mask) for x in states])


def tail_model(model: Falcon, layer: int) -> keras.Model:
    """Return the rest of the model as a Keras model: from a hidden state to the logits.

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
    check_layer(backbone, layer)
    tails = _TAILS.setdefault(backbone, {})
    if layer not in tails:
        hidden_states = keras.Input((None, backbone.hidden_dim), name="hidden_states")
        padding_mask = keras.Input((None,), dtype="int32", name="padding_mask")
        blocks = backbone.transformer_layers[layer:]
        x = backbone.run_blocks(blocks, hidden_states, padding_mask)[0][-1]
        # After the last layer nothing needs the mask, and Keras 3.13 wants every input to be read.
        ops.cast(padding_mask, "bool")
        logits = backbone.token_embedding(backbone.final_layernorm(x), reverse=True)
        tails[layer] = keras.Model([hidden_states, padding_mask], logits)
    return tails[layer]


def _patching_model(backbone):
    """Return a Keras model of all patches at once: one program instead of one for each layer.

    Its inputs are hidden states `(num_layers + 1, t, m)` to take from and to patch, where each
    patch is `(patches, t)`, the padding mask `(1, t)` and the last token `(1,)`; its output is
    logits `((num_layers + 1) * patches, v)`.
    """
    tails = _TAILS.setdefault(backbone, {})
    if "patching" not in tails:
        shape = (None, None, backbone.hidden_dim)
        sources, targets = keras.Input(batch_shape=shape), keras.Input(batch_shape=shape)
        is_patched = keras.Input((None,), dtype="bool")
        padding_mask = keras.Input((None,), dtype="int32")
        last = keras.Input((), dtype="int32")
        x: Any = None  # the runs so far: each layer begins those that it is patched after
        for layer in range(backbone.num_layers + 1):
            if layer:
                mask = ops.ones_like(x[..., 0], dtype="int32") * padding_mask
                block = backbone.transformer_layers[layer - 1]
                x = backbone.run_blocks([block], x, mask)[0][-1]
            patched = ops.where(is_patched[..., None], sources[layer], targets[layer])
            x = patched if x is None else ops.concatenate([x, patched])
        x = backbone.final_layernorm(ops.take(x, last[0], axis=1))
        logits = backbone.token_embedding(x, reverse=True)
        inputs = [sources, targets, is_patched, padding_mask, last]
        tails["patching"] = keras.Model(inputs, logits)
    return tails["patching"]


def run_tail(model, layer, hidden_states, padding_mask):
    """Run `tail_model` compiled.

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
        check_head(backbone, layer, head)
        for variable in backbone.transformer_layers[layer].attention_layer.output_dense.variables:
            # With LoRA the kernel is `kernel + a @ b`: a has a head's rows too.
            if variable.name in ("kernel", "lora_kernel_a"):
                value = replaced.get(variable.path, variable.value)
                rows = slice(head * width, (head + 1) * width)
                replaced[variable.path] = value.at[rows].set(0)
    return replaced


def check_layer(backbone, layer):
    """Refuse a layer that a model doesn't have."""
    if not 0 <= layer <= backbone.num_layers:
        raise ValueError(f"`layer` must be in 0..{backbone.num_layers}. Received: {layer}")

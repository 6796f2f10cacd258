"""Read what each attention head computes, and run a model in which some give something else.

Heads are separate up to the output projection, where what they found is joined and written into
the residual stream. There a head of one run can take the place of the same head of another run.
"""

from collections.abc import Iterable, Sequence
from weakref import WeakKeyDictionary

from falcon_edu.inside.activations import BUCKET, Falcon, Inputs, pad_to_bucket, run_compiled
from falcon_edu.model.backbone import FalconBackbone
from falcon_edu.support.inputs import backbone_of, encode

import keras
import numpy as np
from keras import ops

# The models that the functions below run, kept as long as the backbone.
_GRAPHS: WeakKeyDictionary = WeakKeyDictionary()


def head_outputs(model: Falcon, inputs: Inputs) -> np.ndarray:
    """Return what every head gives to the output projection of its layer.

    Args:
        model, inputs: as in `record`.

    Returns:
        `(layers, b, t, n, h)`, NumPy, float32.

    Raises:
        ValueError: the inputs are not as they must be.

    Example:

    >>> import falcon_edu
    >>> falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> layers, batch, length, heads, width = head_outputs(falcon, "Once upon a time").shape
    >>> layers == falcon.backbone.num_layers and heads == falcon.backbone.num_attention_heads
    True

    Elhage et al. 2021, https://transformer-circuits.pub/2021/framework, "Attention heads are
    independent and additive".
    """
    backbone, inputs = backbone_of(model), encode(model, inputs)
    nothing = np.zeros(_shape(backbone, inputs), "float32")
    return _run(backbone, inputs, nothing, nothing[..., :1])["head_outputs"]


def patch_heads(
    model: Falcon,
    inputs: Inputs,
    outputs: np.ndarray,
    heads: Iterable[tuple[int, int]],
    positions: Sequence[int] | None = None,
) -> np.ndarray:
    """Run a model in which some heads give other outputs, and all after them follows from these.

    Args:
        model, inputs: as in `record`.
        outputs: `(layers, b, t, n, h)`, `head_outputs` of another run; of its numbers only those of
            the chosen heads are used.
        heads: pairs `(layer, head)`.
        positions: indices into the sequence; `None` for all.

    Returns:
        logits `(b, t, v)`, NumPy, float32.

    Raises:
        ValueError: there is no such head, or inputs or outputs are not as they must be.

    Example:

    >>> import falcon_edu
    >>> falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> other = head_outputs(falcon, "Tom had a red kite")
    >>> logits = patch_heads(falcon, "Mia had a red kite", other, [(2, 1), (3, 0)], positions=[-1])

    Wang et al. 2022, https://arxiv.org/abs/2211.00593, section 3.1.
    """
    backbone, inputs = backbone_of(model), encode(model, inputs)
    shape = _shape(backbone, inputs)
    if np.shape(outputs) != shape:
        raise ValueError(
            "`outputs` must be the head outputs of a run of this model on as many texts and "
            f"tokens, {shape}. Received: {np.shape(outputs)}"
        )
    chosen = np.zeros((*shape[:-1], 1), "float32")  # (layers, b, t, n, 1)
    at = slice(None) if positions is None else list(positions)
    for layer, head in heads:
        check_head(backbone, layer, head)
        chosen[layer, :, :, head][:, at] = 1
    return _run(backbone, inputs, outputs, chosen)["logits"]


def ablation_outputs(
    kind: str, outputs: np.ndarray, places: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return what stands in for heads that are removed, as `patch_heads` takes it.

    Args:
        kind: "zero", "mean" (of what a head gives at the places), or "resample" (what it gives at
            one of them, drawn anew for each token).
        outputs: `(layers, b, t, n, h)`, from `head_outputs`.
        places: `(b, t)`, true or 1 where to draw from: tokens that are no padding, for instance.
        rng: a generator of NumPy's.

    Returns:
        `(layers, b, t, n, h)`.

    Raises:
        ValueError: there is no such kind, or no place to draw from.

    Example:

    >>> outputs, places = np.array([[[[[1.0]], [[3.0]], [[9.0]]]]]), np.array([[True, True, False]])
    >>> ablation_outputs("mean", outputs, places, np.random.default_rng(0)).ravel()
    array([2., 2., 2.])

    Wang et al. 2022, https://arxiv.org/abs/2211.00593, section 2.1 (on means and zeros).
    """
    if kind not in ("zero", "mean", "resample"):
        raise ValueError(f'`kind` must be "zero", "mean" or "resample". Received: {kind!r}')
    places = np.asarray(places, bool)  # numbers would be indices
    drawn = outputs[:, places]  # (layers, places, n, h)
    if not drawn.shape[1]:
        raise ValueError("`places` must be true somewhere: there is nothing to draw from.")
    if kind == "zero":
        drawn = np.zeros_like(drawn[:, :1])
    if kind == "mean":
        drawn = drawn.mean(axis=1, keepdims=True)
    return drawn[:, rng.integers(drawn.shape[1], size=places.shape)]


def given_and_own(model, inputs, outputs):
    """Run a model in which every head gives what it is told to.

    Args:
        model, inputs, outputs: as in `patch_heads`.

    Returns:
        `{"logits": (b, t, v), "head_outputs": (layers, b, t, n, h)}`, the latter what the heads
        would have given.
    """
    backbone, inputs = backbone_of(model), encode(model, inputs)
    shape = _shape(backbone, inputs)
    return _run(backbone, inputs, outputs, np.ones((*shape[:-1], 1), "float32"))


def check_head(backbone, layer, head):
    """Refuse a head that a model doesn't have."""
    if not (0 <= layer < backbone.num_layers and 0 <= head < backbone.num_attention_heads):
        raise ValueError(
            f"There is no head {head} in layer {layer}: the model has layers 0 to "
            f"{backbone.num_layers - 1} with heads 0 to {backbone.num_attention_heads - 1}."
        )


def _shape(backbone, inputs):
    config = backbone.config
    batch, length = inputs["token_ids"].shape
    return config.num_layers, batch, length, config.num_attention_heads, config.head_dim


def _run(backbone, inputs, outputs, chosen):
    if backbone not in _GRAPHS:
        _GRAPHS[backbone] = _PatchedModel(backbone)
    length = inputs["token_ids"].shape[1]
    extra = ((0, 0), (0, 0), (0, -length % BUCKET), (0, 0), (0, 0))
    given = {
        **pad_to_bucket(inputs),
        "outputs": np.pad(np.asarray(outputs, "float32"), extra),
        "chosen": np.pad(chosen, extra),
    }
    results = run_compiled(_GRAPHS[backbone], given)
    return {
        "head_outputs": np.stack(results["head_outputs"])[:, :, :length],
        "logits": results["logits"][:, :length],
    }


class _PatchedModel(keras.Model):
    """The forward pass, in which chosen heads give what they are told to.

    It holds the layers but not the backbone, so that it does not keep the backbone alive.
    """

    def __init__(self, backbone):
        super().__init__()
        self.token_embedding = backbone.token_embedding
        self.transformer_layers = backbone.transformer_layers
        self.final_layernorm = backbone.final_layernorm

    def call(self, inputs):
        found = []

        def replacing(outputs, chosen):
            def heads(own):  # (b, t, n, h)
                found.append(own)
                return ops.where(chosen > 0, ops.cast(outputs, own.dtype), own)

            return heads

        hidden_states, _, _ = FalconBackbone.run_blocks(
            self.transformer_layers,
            self.token_embedding(inputs["token_ids"]),
            inputs["padding_mask"],
            edit_heads=list(map(replacing, inputs["outputs"], inputs["chosen"])),
        )
        outputs = self.final_layernorm(hidden_states[-1])
        return {
            "head_outputs": found,
            "logits": self.token_embedding(outputs, reverse=True),
        }

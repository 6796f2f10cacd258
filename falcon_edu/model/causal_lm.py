"""FalconCausalLM: a Falcon that predicts the next token."""

from falcon_edu.model import layers
from falcon_edu.model.backbone import FalconBackbone

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="falcon_edu")
class FalconCausalLM(layers.CausalLM):
    """A Falcon for causal language modelling: token ids in, logits of each next token out.

    With a preprocessor, `generate`, `fit` and so on take texts; all but `stream`, token dicts too.

    Args:
        backbone: a `FalconBackbone`.
        preprocessor: a `FalconCausalLMPreprocessor`, or `None` for token ids only.
        **kwargs: of `keras.Model`, such as `name`; `compile=False` leaves the model uncompiled.

    Call arguments:
        inputs: `{"token_ids": (b, t), "padding_mask": (b, t)}`.

    Returns:
        logits `(b, t, v)`.

    Example:

    >>> causal_lm = FalconCausalLM(FalconBackbone(10, 2, 2, 32, 128))
    >>> token_ids = ops.array([[1, 2, 3]])
    >>> causal_lm({"token_ids": token_ids, "padding_mask": ops.ones_like(token_ids)}).shape
    (1, 3, 10)

    Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training", section 3.1.
    """

    backbone_cls = FalconBackbone

    def __init__(self, backbone: FalconBackbone, preprocessor=None, **kwargs) -> None:
        self.prepare(backbone)
        hidden_states = backbone(backbone.input)  # (b, t, m)
        logits = backbone.token_embedding(hidden_states, reverse=True)  # (b, t, v)
        super().__init__(backbone, logits, preprocessor, **kwargs)

    @staticmethod
    def labels(x, y=None, sample_weight=None) -> tuple:
        """Return `(y, sample_weight)`; without `y`, the next token ids, weighted by their mask."""
        if y is not None:
            return y, sample_weight
        # The last place has no next token: it gets any label, and no weight. Padding may stand on
        # either side, so a place counts if it and the next one are both real.
        real = ops.cast(x["padding_mask"], "float32")
        weight = ops.pad(real[:, 1:] * real[:, :-1], ((0, 0), (0, 1)))
        labels = ops.pad(x["token_ids"][:, 1:], ((0, 0), (0, 1)))
        return labels, weight if sample_weight is None else weight * sample_weight

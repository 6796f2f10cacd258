"""The training loss: cross-entropy per token that counts."""

from falcon_edu.model import layers

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="falcon_edu")
class NextTokenLoss(keras.losses.Loss):
    """Average `cross_entropy` over the places that count: Falcon's training loss.

    The same as `keras.losses.SparseCategoricalCrossentropy(from_logits=True)` with this reduction,
    which makes three more arrays as large as the logits on its way.

    Args:
        reduction, **kwargs: of `keras.losses.Loss`. By default the mean is over the sum of the
            sample weights: with Keras's default it would be over all places, padding included, and
            the more of it in a batch, the smaller the loss and the step.

    Example:

    >>> loss = NextTokenLoss()
    >>> labels, logits = ops.array([[0, 3]]), ops.zeros((1, 2, 4))
    >>> round(float(loss(labels, logits, sample_weight=ops.array([[1.0, 0.0]]))), 3)
    1.386
    """

    def __init__(self, reduction="mean_with_sample_weight", name="next_token_loss", **kwargs):
        super().__init__(name=name, reduction=reduction, **kwargs)
        self.cross_entropy = layers.cross_entropy

    def call(self, y_true, y_pred):
        return self.cross_entropy(y_pred, ops.cast(y_true, "int32"))

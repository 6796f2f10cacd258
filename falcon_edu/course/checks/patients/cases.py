"""Nine sick Falcons. SPOILERS: each has one wrong step, and here it stands in the open.

Whoever is on the bug hunt (notebooks/exercises) reads this afterwards.
"""

from falcon_edu.adapt import lora
from falcon_edu.course.checks.patients.small_falcon import SmallFalcon
from falcon_edu.model.backbone import FalconBackbone

import numpy as np


class Patient1(SmallFalcon):
    """The mask is added as numbers 0 and 1."""

    def softmax(self, scores, may_look):
        return super().softmax(scores + may_look, np.ones_like(may_look))


class Patient2(SmallFalcon):
    """Padding counts as text."""

    def real(self, padding_mask):
        return np.ones_like(super().real(padding_mask))


class Patient3(SmallFalcon):
    """With a cache, positions are counted over the new tokens alone."""

    def positions(self, mask, length):
        return super().positions(mask[:, -length:], length)


class Patient4(SmallFalcon):
    """ALiBi is added to the scores, and once more with the mask."""

    def scores(self, query, key, bias):
        return super().scores(query, key, bias + bias)


class Patient5(SmallFalcon):
    """The scores are scaled before ALiBi is added."""

    def scores(self, query, key, bias):
        return super().scores(query, key, 0) + bias


class Patient6(SmallFalcon):
    """Positions are in bfloat16, which has eight significant bits."""

    def positions(self, mask, length):
        mantissa, exponent = np.frexp(super().positions(mask, length))
        return np.ldexp(np.round(mantissa * 2**8) / 2**8, exponent)


class Patient7(SmallFalcon):
    """The configured epsilon reaches the final norm, and no other."""

    def epsilon(self, name):
        return super().epsilon(name) if name == "final_norm" else 1e-5


class Patient8(SmallFalcon):
    """Fused heads are taken for all queries, then all keys, then all values."""

    def split(self, heads):
        n, g = self.config.num_attention_heads, self.config.key_value_heads
        return heads[:n], heads[n : n + g], heads[n + g :]


class Adapted(FalconBackbone):
    """A healthy backbone, in which it is a step to say whether biases train."""

    def enable_lora(self, rank, target_layer_names=None):
        super().enable_lora(rank, target_layer_names)
        for layer in lora.adapted_layers(self):
            if layer.bias is not None:
                layer.bias.trainable = self.trains_biases()

    def trains_biases(self):
        return False


class Patient9(Adapted):
    """The biases of adapted layers train, and are not saved."""

    def trains_biases(self):
        return True


PATIENTS = (
    Patient1,
    Patient2,
    Patient3,
    Patient4,
    Patient5,
    Patient6,
    Patient7,
    Patient8,
    Patient9,
)


def patient(number):
    """One of the nine sick Falcons, as a class.

    Args:
        number: 1 to 9. The first eight are like `SmallFalcon`, the ninth is like `FalconBackbone`.

    Raises:
        ValueError: there is no such patient.

    Example:

    >>> patient(1).random(seed=0).run([[1, 2, 3]]).logits.shape
    (1, 3, 50)
    """
    if number not in range(1, len(PATIENTS) + 1):
        raise ValueError(f"There are patients 1 to {len(PATIENTS)}. Received: {number!r}")
    return PATIENTS[number - 1]

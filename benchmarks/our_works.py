"""Do the benchmark's work with falcon_edu alone, where KerasHub can't do the same."""

import falcon_edu
from benchmarks.keras_works import KerasWorks, repeated, token_dict
from falcon_edu.activations import pad_to_bucket, run_compiled

import numpy as np


class OurWorks(KerasWorks):
    """The works of falcon_edu.

    Args:
        folder, dtype: as in `KerasWorks`.
    """

    def __init__(self, folder, dtype="float32"):
        super().__init__(falcon_edu, folder, dtype)

    def record(self, tokens=128):
        """Seconds of `record`, everything kept."""
        model = self.causal_lm()
        inputs = token_dict(1, tokens, model.backbone.vocabulary_size)
        return repeated(lambda: falcon_edu.record(model, inputs), 200)

    def forward(self, tokens=128):
        """Seconds of the plain forward pass to the logits, compiled."""
        model = self.causal_lm()
        inputs = pad_to_bucket(token_dict(1, tokens, model.backbone.vocabulary_size))
        return repeated(lambda: run_compiled(model, inputs), 200)

    def rounding(self, tokens=64):
        """Return the last hidden states' distance from those in float32, relative to their size."""
        model = self.causal_lm()
        inputs = token_dict(1, tokens, model.backbone.vocabulary_size)
        rounded = np.array(model.backbone(inputs))
        del model  # or both would be in memory
        exact = np.array(OurWorks(self.folder).causal_lm().backbone(inputs))
        return float(np.linalg.norm(rounded - exact) / np.linalg.norm(exact))

    def generate(self, new_tokens=32):
        """Do a whole run: load, compile, generate."""
        self._generate(self.causal_lm(), new_tokens)

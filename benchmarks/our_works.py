"""Do the benchmark's work with falcon_edu alone, where KerasHub can't do the same."""

import falcon_edu
from benchmarks.keras_works import KerasWorks, repeated, token_dict
from falcon_edu.inside.activations import pad_to_bucket, run_compiled

import jax
import numpy as np


class OurWorks(KerasWorks):
    """The works of falcon_edu.

    Args:
        folder, dtype: as in `KerasWorks`.
    """

    def __init__(self, folder, dtype="float32"):
        super().__init__(falcon_edu, folder, dtype)

    def record(self, tokens=128):
        """Measure the seconds of `record`, everything kept."""
        model = self.causal_lm()
        inputs = token_dict(1, tokens, model.backbone.vocabulary_size)
        return repeated(lambda: falcon_edu.record(model, inputs), 200)

    def forward(self, tokens=128):
        """Measure the seconds of the plain forward pass to the logits, compiled."""
        model = self.causal_lm()
        inputs = pad_to_bucket(token_dict(1, tokens, model.backbone.vocabulary_size))
        return repeated(lambda: run_compiled(model, inputs), 200)

    def train_in_kept_memory(self):
        """Measure the tokens per second of `train`, with `keep_freed_memory`."""
        return self._kept(self.train)

    def lora_in_kept_memory(self):
        """Measure the tokens per second of `lora`, with `keep_freed_memory`."""
        return self._kept(self.lora)

    def _kept(self, work):
        jax.config.update("jax_cpu_enable_async_dispatch", False)  # no array has been made
        with falcon_edu.keep_freed_memory():
            return work()

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

"""Do the benchmark's work with a Falcon of Keras's kind: ours and KerasHub's, by the same calls."""

import time

import numpy as np

PROMPT = 8  # tokens
STEPS = 10


class KerasWorks:
    """The works, for a library with `FalconBackbone` and `FalconCausalLM`.

    Args:
        library: the module.
        folder: a preset that it can read.
        dtype: of the model.
    """

    def __init__(self, library, folder, dtype="float32"):
        self.library, self.folder, self.dtype = library, folder, dtype

    def load(self):
        """Load a backbone with the checkpoint's weights."""
        import jax

        backbone = self.library.FalconBackbone.from_preset(str(self.folder), dtype=self.dtype)
        jax.block_until_ready([variable.value for variable in backbone.variables])
        return backbone

    def causal_lm(self):
        """Make a causal LM without a tokenizer, which chooses the most probable token."""
        model = self.library.FalconCausalLM(backbone=self.load(), preprocessor=None)
        model.compile(sampler="greedy")
        return model

    def decode(self, new_tokens=32):
        """Measure the seconds per token, from the second call on."""
        model = self.causal_lm()
        seconds = repeated(lambda: self._generate(model, new_tokens), 3)
        return seconds / new_tokens

    def first_generate(self):
        """Measure the seconds of a first call, with everything that is compiled for it."""
        model = self.causal_lm()
        return timed(lambda: self._generate(model, 32))

    def _generate(self, model, new_tokens):
        length = PROMPT + new_tokens
        ids = np.zeros((1, length), "int32")
        ids[:, :PROMPT] = np.arange(2, 2 + PROMPT)
        mask = (np.arange(length) < PROMPT).astype("int32")[None]
        model.generate({"token_ids": ids, "padding_mask": mask}, stop_token_ids=None)

    def prefill(self, tokens=512):
        """Measure the seconds of one forward pass to the last hidden states."""
        backbone = self.load()
        inputs = token_dict(1, tokens, backbone.vocabulary_size)
        return repeated(lambda: backbone.predict(inputs, verbose=0), 3)

    def train(self, batch=32, tokens=128):
        """Measure the tokens per second of `fit` with AdamW."""
        import keras

        model = self.causal_lm()
        return self._fit(model, keras.optimizers.AdamW(1e-4), batch, tokens)

    def lora(self, batch=4, tokens=128):
        """Measure the tokens per second of `fit` on factors of rank 8 in queries and values."""
        import keras

        model = self.causal_lm()
        model.backbone.enable_lora(8)
        return self._fit(model, keras.optimizers.AdamW(1e-4), batch, tokens)

    def _fit(self, model, optimizer, batch, tokens):
        model.compile(optimizer=optimizer, weighted_metrics=[])  # the library's own loss
        x = token_dict(batch * STEPS, tokens, model.backbone.vocabulary_size)
        y = np.roll(x["token_ids"], -1, axis=1)

        def fit():
            model.fit(x, y, batch_size=batch, shuffle=False, verbose=0)

        return batch * tokens * STEPS / fastest(fit, 3)


def token_dict(batch, tokens, vocabulary_size):
    """Random tokens without padding."""
    ids = np.random.default_rng(0).integers(2, vocabulary_size, (batch, tokens)).astype("int32")
    return {"token_ids": ids, "padding_mask": np.ones_like(ids)}


def timed(function):
    """Measure the seconds of one call."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def repeated(function, times):
    """Measure the seconds of the median call, after one that does not count."""
    function()
    return float(np.median([timed(function) for _ in range(times)]))


def fastest(function, times):
    """Measure the seconds of the fastest call, after one that does not count.

    For `fit`. Where JAX computes in a thread of its own, as it does for KerasHub, the threads in
    which Keras waits for the loss may look for it at ever longer intervals, and see it late: of
    equal fits some took 2.6 s, and others 5.12 s, to the hundredth.
    """
    function()
    return min(timed(function) for _ in range(times))

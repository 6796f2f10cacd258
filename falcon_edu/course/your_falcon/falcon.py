"""A Falcon that is made of the functions of `my_falcon.py`, with the weights of a shipped one."""

import functools
from functools import partial

from falcon_edu.model.backbone import FalconBackbone
from falcon_edu.text.tokenizer import FalconTokenizer

import numpy as np
import safetensors.numpy
import tokenizers

PRESET = "falcon_tales_rw_en"


class Falcon:
    """A Falcon-RW that reads and writes through functions that one gives it.

    It owns the weights and carries arrays from part to part; all that is computed on the way, but
    for dense layers, the parts compute. There is no JAX in it: a part may be any Python.

    Args:
        parts: an object with the functions of `my_falcon.py` as attributes.

    Example:

    >>> from falcon_edu.course.your_falcon import package
    >>> Falcon(package).write("Mia and Tom were old", tokens=1, p=0.01)
    'Mia and Tom were old friends'
    """

    def __init__(self, parts):
        self.parts = parts
        self.config, self.tokenizer, file, shapes = shipped()
        self.weights = {
            name: self._ask("read_tensor", shape, file, name) for name, shape in shapes.items()
        }

    # === Text ===

    def write(self, prompt, tokens=60, temperature=1.0, p=0.9, seed=0):
        """Return a text and how it goes on.

        Args:
            prompt: a text.
            tokens: how many to append; fewer, if the text ends before.
            temperature, p: what the sampler gets; with a small `p` it has no choice.
            seed: of the draws.
        """
        end, rng = self.tokenizer.end_token_id, np.random.default_rng(seed)
        ids = [self.tokenizer.start_token_id, *self.encode(prompt)]
        logits, cache = self.read(ids)
        for _ in range(tokens):
            last = logits[-1]
            probabilities = self._ask("sampler", last.shape, last, temperature, p)
            if (token := drawn(probabilities, rng.uniform())) == end:
                break
            ids.append(token)
            logits, cache = self.read(ids[-1:], cache)
        return self.parts.decode([self.tokenizer.token_bytes(i) for i in ids[1:]])

    def encode(self, text):
        """Return the token ids of a text, cut into words as the package cuts it."""
        words = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str(text)
        merges = [tuple(line.split()) for line in self.tokenizer.merges]
        pieces = [piece for word, _ in words for piece in self.parts.encode(list(word), merges)]
        return [self.tokenizer.token_to_id(piece) for piece in pieces]

    # === Numbers ===

    def read(self, token_ids, cache=None):
        """Return the logits of some tokens, and the cache with them in it.

        Args:
            token_ids: a list; with a cache, of the one token that is new.
            cache: from an earlier call: for each block a pair of keys and values, `(k, g, h)`.

        Returns:
            logits `(t, v)`, and the new cache.
        """
        new = [None] * self.config.num_layers
        blocks = [partial(self._block, i, cache, new) for i in range(self.config.num_layers)]
        table = self.weights["token_embedding/embeddings"]
        shape = 1, len(token_ids), len(table)
        arguments = np.array([token_ids]), table, blocks, self._norm("final_layernorm")
        return self._ask("backbone", shape, *arguments)[0], new

    def _block(self, i, cache, new, x):
        name = f"transformer_layer_{i}"
        norms = map(self._norm, (f"{name}/input_layernorm", f"{name}/post_attention_layernorm"))
        halves = partial(self._attention, i, cache, new), partial(self._mlp, name)
        return self._ask("block", x.shape, x, *norms, *halves)

    def _norm(self, name):
        gamma, beta = (self.weights[f"{name}/{each}"] for each in ("gamma", "beta"))

        def norm(x):
            return self._ask("norm", x.shape, x, gamma, beta, self.config.layer_norm_epsilon)

        return norm

    def _attention(self, i, cache, new, x):
        name, n = f"transformer_layer_{i}/attention", self.config.num_attention_heads
        query, key, value = (self._dense(f"{name}/{part}_dense", x) for part in PROJECTIONS)
        k = x.shape[1] if cache is None else len(cache[i][0]) + 1
        bias = self._ask("alibi_bias", (1, n, 1, k), n, np.arange(k)[None])
        if cache is None:
            mask = np.tri(k, dtype=bool)[None]  # (b, q, k)
            output = self._ask("attention", query.shape, query, key, value, bias, mask)
            new[i] = key[0], value[0]
        else:
            heads = query[0, 0], key[0, 0], value[0, 0]  # of one token
            output, new[i] = self.parts.step(*heads, cache[i], bias[0, :, 0])
            output = shaped(output, "step", query.shape[2:])
        return self._dense(f"{name}/output_dense", output.reshape(x.shape))

    def _mlp(self, name, x):
        up = self._dense(f"{name}/dense_h_to_4h", x)
        return self._dense(f"{name}/dense_4h_to_h", self._ask("gelu", up.shape, up))

    def _dense(self, name, x):
        return np.tensordot(x, self.weights[f"{name}/kernel"], 1) + self.weights[f"{name}/bias"]

    def _ask(self, name, shape, *arguments):
        return shaped(getattr(self.parts, name)(*arguments), name, shape)


PROJECTIONS = ("query", "key", "value")


@functools.cache
def shipped():
    """Return config, tokenizer, weights as the bytes of a safetensors file, and their shapes."""
    backbone = FalconBackbone.from_preset(PRESET)
    weights = {weight.path: np.asarray(weight.value) for weight in backbone.weights}
    shapes = {name: weight.shape for name, weight in weights.items()}
    tokenizer = FalconTokenizer.from_preset(PRESET)
    return backbone.config, tokenizer, safetensors.numpy.save(weights), shapes


def drawn(probabilities, dart):
    """Return the index that a dart between 0 and 1 hits.

    >>> drawn(np.array([0.5, 0.25, 0.25]), 0.6)
    1
    """
    hit = np.searchsorted(np.cumsum(probabilities), dart, side="right")
    return min(int(hit), len(probabilities) - 1)  # a sum may be a little below 1


def shaped(got, name, shape):
    """Return what a function returned as an array of float32, as the weights are.

    Raises:
        ValueError: it has another shape than it should.
    """
    got = np.asarray(got, "float32")
    if got.shape != tuple(shape):
        raise ValueError(
            f"`{name}` should return an array of shape {tuple(shape)}, but yours returned one of "
            f"shape {got.shape}."
        )
    return got

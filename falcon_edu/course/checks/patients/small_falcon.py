"""A small Falcon in NumPy: a method for each step, so that one can be replaced by a wrong one."""

import math
from dataclasses import dataclass

from falcon_edu.model.config import FalconConfig
from falcon_edu.model.positions import alibi_slopes

import numpy as np

DEFAULTS = {
    "vocabulary_size": 50,
    "num_layers": 2,
    "num_attention_heads": 4,
    "hidden_dim": 32,
    "intermediate_dim": 64,
}


@dataclass(frozen=True)
class Run:
    """Hold what a small Falcon computed, under the names of `falcon_edu.Activations`.

    Attributes:
        hidden_states: `num_layers + 1` arrays `(b, t, m)`.
        attention_weights: `num_layers` arrays `(b, n, q, k)`.
        output: `(b, t, m)`, after the final norm.
        logits: `(b, t, v)`.
    """

    hidden_states: list
    attention_weights: list
    output: np.ndarray
    logits: np.ndarray


class SmallFalcon:
    """Falcon of any layout, in NumPy.

    Args:
        weights: `{name: array}`, with names such as `"0.query"` `(m, n, h)`; may be changed.
        config: a `FalconConfig`.

    Example:

    >>> falcon = SmallFalcon.random(num_attention_heads=2)
    >>> run = falcon.run([[3, 1, 4, 1, 5]])
    >>> run.attention_weights[0].shape, run.logits.shape
    ((1, 2, 5, 5), (1, 5, 50))
    """

    dtype = "float64"

    def __init__(self, weights, config):
        self.weights = {name: np.array(np.asarray(w), self.dtype) for name, w in weights.items()}
        self.config = config

    @classmethod
    def random(cls, seed=0, **settings):
        """Return a Falcon with random weights, large enough that every part of it matters.

        Args:
            seed: of the weights.
            **settings: arguments of `FalconConfig`, where they are not those of `DEFAULTS`.
        """
        config = FalconConfig(**{**DEFAULTS, **settings})
        rng = np.random.default_rng(seed)
        return cls({name: _draw(rng, name, s) for name, s in shapes(config).items()}, config)

    @classmethod
    def copy_of(cls, backbone):
        """Return a Falcon with the weights of a `FalconBackbone`."""
        return cls(weights_of(backbone), backbone.config)

    def without_queries(self):
        """Return this Falcon with queries of zero: attention sees places and masks, no content."""
        weights = {n: 0 * w if ".query" in n else w for n, w in self.weights.items()}
        return type(self)(weights, self.config)

    def run(self, token_ids, padding_mask=None, cache=None):
        """Compute the forward pass.

        Args:
            token_ids: `(b, q)`.
            padding_mask: `(b, k)`, true at real tokens; with a cache, of earlier tokens too.
            cache: `{}` at first; the keys and values of these tokens are added to it.

        Returns:
            `Run`.
        """
        token_ids = np.asarray(token_ids)
        mask = self.real(np.ones(token_ids.shape) if padding_mask is None else padding_mask)
        x = self.weights["token_embedding"][token_ids]  # (b, q, m)
        hidden_states, attention_weights = [x], []
        for layer in range(self.config.num_layers):
            x, weights = self.block(layer, x, np.asarray(mask, bool), cache)
            hidden_states.append(x)
            attention_weights.append(weights)
        output = self.norm("final_norm", x)
        head = self.weights.get("head", self.weights["token_embedding"].T)
        return Run(hidden_states, attention_weights, output, output @ head)

    def decode(self, token_ids):
        """Return logits `(b, t, v)` as generation computes them: token by token, with a cache."""
        token_ids = np.asarray(token_ids)
        cache: dict = {}
        real = np.ones(token_ids.shape)
        steps = [
            self.run(token_ids[:, t : t + 1], real[:, : t + 1], cache).logits
            for t in range(token_ids.shape[1])
        ]
        return np.concatenate(steps, axis=1)

    # === Steps ===

    def real(self, padding_mask):
        """Return which tokens, `(b, k)`, count as text."""
        return padding_mask

    def block(self, layer, x, mask, cache):
        normed = self.norm(f"{layer}.norm", x)
        attended, weights = self.attention(layer, normed, mask, cache)
        if not self.config.parallel_attention:
            x = x + attended
            return x + self.mlp(layer, self.norm(f"{layer}.mlp_norm", x)), weights
        if self.config.num_parallel_layer_norms == 2:
            normed = self.norm(f"{layer}.mlp_norm", x)
        return x + attended + self.mlp(layer, normed), weights

    def attention(self, layer, x, mask, cache):
        query, key, value = (
            np.einsum("btm,mnh->btnh", x, self.weights[f"{layer}.{name}"])
            + self.weights.get(f"{layer}.{name}.bias", 0)
            for name in ("query", "key", "value")
        )
        length = x.shape[1]
        positions = self.positions(mask, length)  # (b, k)
        bias = 0
        if self.config.position_encoding == "alibi":
            bias = self.alibi(positions)
        else:
            query, key = (self.rope(each, positions[:, -length:]) for each in (query, key))
        if cache is not None:
            earlier = cache.get(layer, (key[:, :0], value[:, :0]))
            key, value = (
                np.concatenate(p, axis=1) for p in zip(earlier, (key, value), strict=True)
            )
            cache[layer] = key, value
        shared = query.shape[2] // key.shape[2]  # query heads for each key/value head
        key, value = np.repeat(key, shared, axis=2), np.repeat(value, shared, axis=2)
        scores = self.scores(query, key, bias)
        weights = self.softmax(scores, self.may_look(mask, length)[:, None])
        output = np.einsum("bnqk,bknh->bqnh", weights, value).reshape(x.shape)
        output = output @ self.weights[f"{layer}.output"]
        return output + self.weights.get(f"{layer}.output.bias", 0), weights

    def positions(self, mask, length):
        """Return each key's position among the real tokens, `(b, k)`; the queries are the last."""
        return (np.cumsum(mask, axis=1) - 1) * mask

    def alibi(self, positions):
        """Return what ALiBi adds to the scores, `(b, n, 1, k)`."""
        slopes = np.array(alibi_slopes(self.config.num_attention_heads), self.dtype)
        return slopes[None, :, None, None] * positions[:, None, None, :]

    def rope(self, x, positions):
        """Turn queries or keys `(b, t, n, h)` by their positions `(b, t)`."""
        half = x.shape[-1] // 2
        frequencies = self.config.rope_max_wavelength ** (-np.arange(half) / half)
        angles = (positions[:, :, None] * frequencies)[:, :, None]  # (b, t, 1, h/2)
        a, b, cos, sin = x[..., :half], x[..., half:], np.cos(angles), np.sin(angles)
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1).astype(self.dtype)

    def scores(self, query, key, bias):
        """Attention scores `(b, n, q, k)`: Falcon adds the bias, then scales."""
        return (np.einsum("bqnh,bknh->bnqk", query, key) + bias) / math.sqrt(query.shape[-1])

    def may_look(self, mask, length):
        """Return where a query may look, `(b, q, k)`: at real tokens, up to itself."""
        keys = mask.shape[1]
        return np.tri(length, keys, keys - length, dtype=bool) & mask[:, None, :]

    def softmax(self, scores, may_look):
        """Attention weights, zero where a query may not look."""
        scores = np.where(may_look, scores, -1e30)
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True)) * may_look
        return powers / np.maximum(powers.sum(axis=-1, keepdims=True), 1e-30)

    def mlp(self, layer, x):
        bias = [self.weights.get(f"{layer}.{name}.bias", 0) for name in ("up", "down")]
        x = x @ self.weights[f"{layer}.up"] + bias[0]
        return _gelu(x).astype(self.dtype) @ self.weights[f"{layer}.down"] + bias[1]

    def norm(self, name, x):
        x = x - x.mean(axis=-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + self.epsilon(name))
        return x * self.weights[f"{name}.scale"] + self.weights[f"{name}.shift"]

    def epsilon(self, name):
        """Return what the norm of a name adds to the variance."""
        return self.config.layer_norm_epsilon

    # === Checkpoints ===

    def fused(self, layer):
        """Query, key and value kernels as published checkpoints have them: in one, `(rows, m)`.

        Group by group, as everywhere in the Falcon family: the group's queries, its key, its value.
        """
        groups = self.config.key_value_heads
        kernels = (self.weights[f"{layer}.{name}"] for name in ("query", "key", "value"))
        parts = [np.moveaxis(kernel, 0, 2) for kernel in kernels]  # each (heads, h, m)
        grouped = [part.reshape(groups, -1, *part.shape[1:]) for part in parts]
        return np.concatenate(grouped, axis=1).reshape(-1, self.config.hidden_dim)

    def load_fused(self, layer, rows):
        """Put such rows in place of a layer's query, key and value kernels."""
        parts = self.split(rows.reshape(-1, self.config.head_dim, self.config.hidden_dim))
        for name, part in zip(("query", "key", "value"), parts, strict=True):
            self.weights[f"{layer}.{name}"] = np.moveaxis(part, 2, 0)  # (m, heads, h)

    def split(self, heads):
        """Fused heads `(n + 2g, h, m)` as queries `(n, h, m)`, keys and values `(g, h, m)`."""
        grouped = heads.reshape(self.config.key_value_heads, -1, *heads.shape[1:])
        queries = grouped[:, :-2].reshape(-1, *heads.shape[1:])
        return queries, grouped[:, -2], grouped[:, -1]


# === Weights ===


def shapes(config):
    """Return names and shapes of the weights: `{name: shape}`."""
    m, f, h = config.hidden_dim, config.intermediate_dim, config.head_dim
    n, g = config.num_attention_heads, config.key_value_heads
    block = {"query": (m, n, h), "key": (m, g, h), "value": (m, g, h), "output": (m, m)}
    block |= {"up": (m, f), "down": (f, m)}
    if config.use_bias:
        block |= {f"{name}.bias": shape[1:] for name, shape in block.items()}
    has_two_norms = not config.parallel_attention or config.num_parallel_layer_norms == 2
    for norm in ["norm", "mlp_norm"][: 1 + has_two_norms]:
        block |= {f"{norm}.scale": (m,), f"{norm}.shift": (m,)}
    names: dict[str, tuple] = {"token_embedding": (config.vocabulary_size, m)}
    for layer in range(config.num_layers):
        names |= {f"{layer}.{name}": shape for name, shape in block.items()}
    names |= {"final_norm.scale": (m,), "final_norm.shift": (m,)}
    if not config.tie_word_embeddings:
        names["head"] = (m, config.vocabulary_size)
    return names


def _draw(rng, name, shape):
    if name.endswith("scale"):
        return rng.normal(1, 0.1, shape)
    small = name.endswith(("bias", "shift"))
    return rng.normal(0, 0.1 if small else 1.5 / math.sqrt(shape[0]), shape)


def weights_of(backbone):
    """Return the weights of a `FalconBackbone`, by the names of a small Falcon."""
    weights = {"token_embedding": backbone.token_embedding.embeddings}
    if not backbone.config.tie_word_embeddings:
        weights["head"] = backbone.token_embedding.reverse_embeddings
    weights |= _norm("final_norm", backbone.final_layernorm)
    for i, block in enumerate(backbone.transformer_layers):
        attention = block.attention_layer
        for name in ("query", "key", "value", "output"):
            weights |= _dense(f"{i}.{name}", getattr(attention, f"{name}_dense"))
        weights |= _dense(f"{i}.up", block.dense_h_to_4h)
        weights |= _dense(f"{i}.down", block.dense_4h_to_h)
        weights |= _norm(f"{i}.norm", block.input_layernorm)
        second = "mlp_layernorm" if block.parallel_attention else "post_attention_layernorm"
        if hasattr(block, second):
            weights |= _norm(f"{i}.mlp_norm", getattr(block, second))
    return weights


def _dense(name, layer):
    bias = {} if layer.bias is None else {f"{name}.bias": layer.bias}
    return {name: layer.kernel, **bias}


def _norm(name, layer):
    return {f"{name}.scale": layer.gamma, f"{name}.shift": layer.beta}


_erf = np.vectorize(math.erf)


def _gelu(x):
    return x / 2 * (1 + _erf(x / math.sqrt(2)))

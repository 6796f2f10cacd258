"""Decoding: the key/value cache, and the compiled loop that appends token after token."""

from falcon_edu import samplers

import jax
import keras
import numpy as np
from keras import ops

# === The key/value cache ===


def build_cache(backbone, batch_size, max_length):
    """An empty cache: room for the keys and values of every block.

    Args:
        backbone: a `FalconBackbone`.
        batch_size: number of sequences, `b`.
        max_length: number of tokens that the cache has room for, `k`.

    Returns:
        For every block a pair of zeros `(b, k, g, h)`: keys and values of `g` heads only.

    Example:

    >>> from falcon_edu import FalconBackbone
    >>> backbone = FalconBackbone(10, 2, 4, 32, 64, num_key_value_heads=1, position_encoding="rope")
    >>> [(key.shape, value.shape) for key, value in build_cache(backbone, 1, 16)]
    [((1, 16, 1, 8), (1, 16, 1, 8)), ((1, 16, 1, 8), (1, 16, 1, 8))]

    Shazeer 2019, https://arxiv.org/abs/1911.02150, section 2.4.
    """
    config = backbone.config
    shape = (batch_size, max_length, config.key_value_heads, config.head_dim)
    return [
        (ops.zeros(shape, layer.compute_dtype), ops.zeros(shape, layer.compute_dtype))
        for layer in backbone.transformer_layers
    ]


def call_with_cache(backbone, token_ids, cache, cache_update_index, padding_mask=None):
    """The backbone's forward pass for some new tokens, given the keys and values of earlier ones.

    Args:
        backbone: a `FalconBackbone`.
        token_ids: `(b, q)`, the new tokens.
        cache: from `build_cache`, or from an earlier call.
        cache_update_index: column of the first new token.
        padding_mask: `(b, k)`, true at the real tokens of the whole cache, the new ones included;
            `None` if every token up to the last new one is real.

    Returns:
        hidden_states `(b, q, m)` after the final norm, and the cache with the new tokens in it.
    """
    if padding_mask is None:
        last = cache_update_index + token_ids.shape[1]
        columns = ops.arange(cache[0][0].shape[1])  # (k,)
        padding_mask = ops.broadcast_to(columns < last, (token_ids.shape[0], len(columns)))
    x = backbone.token_embedding(token_ids)
    new_cache = []
    for layer, layer_cache in zip(backbone.transformer_layers, cache, strict=True):
        x, _, layer_cache = layer(
            x, padding_mask=padding_mask, cache=layer_cache, cache_index=cache_update_index
        )
        new_cache.append(layer_cache)
    return backbone.final_layernorm(x), new_cache


# === The compiled loop ===


class DecodingLoop:
    """Prefill and decode for one backbone and one kind of sampler, compiled.

    Weights and seeds are arguments of the compiled functions. So nothing is compiled again after
    training, for another seed, or for a prompt whose length rounds up to one that was seen.

    Args:
        backbone: a `FalconBackbone`.
        sampler: a `Sampler`.
    """

    def __init__(self, backbone, sampler):
        self.backbone = backbone
        self.sampler = sampler
        self.prefill = jax.jit(self._prefill, static_argnames="capacity")
        # The state is donated: a step writes into the cache of the one before it.
        self.decode = jax.jit(self._decode, donate_argnames="state")

    def _prefill(self, weights, seeds, prompts, column, ends, stop_token_ids, capacity):
        """Reads the prompts and chooses the first token after them.

        Args:
            weights, seeds: values of the variables of the backbone, from `dense.values_with_bits`,
                and of the sampler.
            prompts: `{"token_ids": (b, t), "padding_mask": (b, t)}`.
            column: where the prompts end, and the first new token will stand.
            ends: `(b,)`, where each row is full.
            stop_token_ids: any number of ids; a row that gets one of them is finished.
            capacity: number of columns of the cache, `k`.

        Returns:
            The new seeds, and the state of the loop.
        """
        token_ids, padding_mask = prompts["token_ids"], prompts["padding_mask"]
        b, t = token_ids.shape
        with self._variables(weights, seeds) as scope:
            hidden_states, cache = call_with_cache(
                self.backbone, token_ids, build_cache(self.backbone, b, t), 0, padding_mask
            )
            # Only one column needs its logits, `(b, v)`.
            last = ops.slice(hidden_states, (0, column - 1, 0), (b, 1, hidden_states.shape[2]))
            logits = self._logits(last)
            rows = {"token_ids": token_ids, "padding_mask": padding_mask, "cache": cache}
            rows = jax.tree.map(lambda x: _lengthen(x, capacity), rows)
            state = {"rows": {**rows, "ends": ends, "finished": ends <= column}, "column": column}
            if self._is_beam_search:
                state, logits = _start_beams(state, logits, self.sampler.num_beams)
            state = self._choose(state, logits, stop_token_ids)
            return self._new_seeds(scope), state

    def _decode(self, weights, seeds, state, until, stop_token_ids):
        """Appends tokens up to the column `until`, or until every row is finished."""

        def unfinished(carry):
            _, state = carry
            return (state["column"] < until) & ~ops.all(state["rows"]["finished"])

        def step(carry):
            seeds, state = carry
            rows, index = state["rows"], state["column"] - 1
            with self._variables(weights, seeds) as scope:
                token_ids = ops.slice(rows["token_ids"], (0, index), (len(rows["ends"]), 1))
                hidden_states, cache = call_with_cache(
                    self.backbone, token_ids, rows["cache"], index, rows["padding_mask"]
                )
                state = {**state, "rows": {**rows, "cache": cache}}
                state = self._choose(state, self._logits(hidden_states), stop_token_ids)
                return self._new_seeds(scope), state

        return jax.lax.while_loop(unfinished, step, (seeds, state))

    def _choose(self, state, logits, stop_token_ids):
        """Chooses a token for every row and writes it into the next column."""
        if self._is_beam_search:
            state, tokens = _choose_beams(state, ops.log_softmax(logits / self.sampler.temperature))
        else:
            tokens = self.sampler.get_next_token(self.sampler.compute_probabilities(logits))
        rows, column = state["rows"], state["column"]
        tokens = ops.cast(tokens, "int32")
        going = ~rows["finished"]
        rows = {
            **rows,
            "token_ids": _write(rows["token_ids"], column, ops.where(going, tokens, 0)),
            "padding_mask": _write(rows["padding_mask"], column, going),
            "finished": rows["finished"]
            | ops.any(tokens[:, None] == stop_token_ids, axis=-1)
            | (rows["ends"] <= column + 1),
        }
        return {**state, "rows": rows, "column": column + 1}

    def _logits(self, hidden_states):
        """`(b, 1, m)` to `(b, v)` in float32."""
        logits = self.backbone.token_embedding(hidden_states, reverse=True)
        return ops.cast(logits[:, 0], "float32")

    @property
    def _is_beam_search(self):
        return isinstance(self.sampler, samplers.BeamSampler)

    def _variables(self, weights, seeds):
        """A scope in which the variables have these values, so that they are no constants."""
        variables = [*self.backbone.variables, *self.sampler.variables]
        scope = keras.StatelessScope()
        for variable, value in zip(variables, [*weights, *seeds], strict=True):
            # Not by the argument `state_mapping`, which would take bits for numbers and cast them.
            scope.state_mapping[id(variable)] = value
        return scope

    def _new_seeds(self, scope):
        return [scope.get_current_value(variable) for variable in self.sampler.variables]


def _start_beams(state, logits, num_beams):
    """Makes `num_beams` equal rows of each; so at first only one of them may be extended."""
    rows, logits = jax.tree.map(lambda x: ops.repeat(x, num_beams, axis=0), (state["rows"], logits))
    log_probs = ops.where(ops.arange(num_beams) == 0, 0.0, -1e9)
    log_probs = ops.tile(log_probs[None], (len(rows["ends"]) // num_beams, 1))  # (b, beams)
    return {**state, "rows": rows, "log_probs": log_probs}, logits


def _choose_beams(state, next_log_probs):
    """Keeps the most probable of all extensions of the beams: new state, and their last tokens."""
    rows = state["rows"]
    b, num_beams = state["log_probs"].shape
    v = next_log_probs.shape[-1]
    # A finished beam has one extension, which costs nothing: itself.
    itself = ops.where(ops.arange(v) == 0, 0.0, -np.inf)
    next_log_probs = ops.where(rows["finished"][:, None], itself, next_log_probs)
    total = state["log_probs"][:, :, None] + ops.reshape(next_log_probs, (b, num_beams, v))
    log_probs, best = ops.top_k(ops.reshape(total, (b, num_beams * v)), num_beams)  # (b, beams)
    parents = ops.reshape(ops.arange(b)[:, None] * num_beams + best // v, (-1,))
    rows = jax.tree.map(lambda x: ops.take(x, parents, axis=0), rows)
    return {**state, "rows": rows, "log_probs": log_probs}, ops.reshape(best % v, (-1,))


def _lengthen(x, length):
    """Pads axis 1 with zeros."""
    return ops.pad(x, [(0, 0), (0, length - x.shape[1])] + [(0, 0)] * (x.ndim - 2))


def _write(x, column, values):
    """Puts `(b,)` values into a column of `(b, k)`."""
    return ops.slice_update(x, (0, column), values[:, None])

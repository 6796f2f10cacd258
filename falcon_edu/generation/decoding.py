"""Decoding: the key/value cache, and the compiled loop that appends token after token."""

import contextvars
import inspect

from falcon_edu.generation import samplers

import jax
import keras
import numpy as np
from keras import ops

# The padding mask of the loop that runs, for a `call_with_cache` of a user that passes none on.
LOOP_MASK: contextvars.ContextVar = contextvars.ContextVar("loop_mask", default=None)

# === The key/value cache ===


def build_cache(backbone, batch_size, max_length):
    """Return an empty cache: room for the keys and values of every block.

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
    return jax.device_put(_zeros(backbone, batch_size, max_length))


def _zeros(backbone, b, k):
    """Return an empty cache of NumPy, one zero seen everywhere: JAX would compile a program."""
    shape = (b, k, backbone.config.key_value_heads, backbone.config.head_dim)
    return [
        (np.broadcast_to(np.zeros((), layer.compute_dtype), shape),) * 2  # keys and values
        for layer in backbone.transformer_layers
    ]


def call_with_cache(backbone, token_ids, cache, cache_update_index, padding_mask=None):
    """Run the backbone on some new tokens, given the keys and values of earlier ones.

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
    hidden_states, _, new_cache = backbone.run_blocks(
        backbone.transformer_layers, x, padding_mask, cache, cache_update_index
    )
    return backbone.final_layernorm(hidden_states[-1]), new_cache


# === The compiled loop ===

# Bytes of weights that a CPU reads in half a second. Compiling a second program takes that long.
LOOP_READS = 2**34

# What one token costs beside its weights, as bytes that would take as long: 0.2 ms.
OVERHEAD = 2**23


class DecodingLoop:
    """Prefill and decode for one backbone and one kind of sampler, compiled.

    Weights and seeds are arguments of the compiled functions. So nothing is compiled again after
    training, for another seed, or for a prompt whose length rounds up to one that was seen.

    Args:
        backbone: a `FalconBackbone`.
        sampler: a `Sampler`.
        model: a model with a `call_with_cache` of its own, to be used in place of the backbone;
            then the weights are all of this model.
    """

    def __init__(self, backbone, sampler, model=None):
        self.backbone = backbone
        self.model = model
        self.sampler = sampler
        # The state is donated: a step writes into the cache of the one before it.
        self.prefill = jax.jit(self._prefill, static_argnames="width", donate_argnames="state")
        self.decode = jax.jit(self._decode, donate_argnames="state")

    def initial_state(self, prompts, start, ends, capacity):
        """Return the state of the loop before anything is read.

        Args:
            prompts: `{"token_ids": (b, t), "padding_mask": (b, t)}`, NumPy.
            start: where the prompts end, and the first new token will stand.
            ends: `(b,)`, where each row is full.
            capacity: number of columns of the cache, `k`.

        Returns:
            A dictionary of NumPy arrays, which JAX takes in faster with the call than one by one
            before it. `"column"` is the next one to get a token.
        """
        b, t = prompts["token_ids"].shape
        rows = {key: np.pad(x, [(0, 0), (0, capacity - t)]) for key, x in prompts.items()}
        rows = {
            **rows,
            "ends": ends,
            "finished": ends <= start,
            "cache": _zeros(self.backbone, b, capacity),
        }
        state = {"rows": rows, "start": np.int32(start), "column": np.int32(1)}
        if self._is_beam_search:
            state = _start_beams(state, self.sampler.num_beams)
        return state

    def reads_by_itself(self, weights, rows, columns):
        """True if the loop should read prompts token by token, without a prefill before it.

        For short prompts that is as fast as one pass over a whole bucket, and there is one program
        less to compile: it takes a second, and for a large model memory too.

        Args:
            weights: values of the variables of the backbone.
            rows: number of prompts, or of beams.
            columns: number of tokens to read.
        """
        token = sum(value.nbytes for value in weights) + OVERHEAD
        return rows * columns * token <= LOOP_READS

    def _prefill(self, weights, state, width):
        """Read the prompts in one pass, all but their last column, with which the loop begins.

        Args:
            weights: values of the variables of the backbone, from `dense.values_with_bits`.
            state: from `initial_state`.
            width: number of columns to read, at least `start - 1`. What is written into the cache
                behind that is seen by no token before it is written again.

        Returns:
            The new state.
        """
        rows = state["rows"]
        # The beams of a prompt are equal so far: one of them is read for all.
        copies = self.sampler.num_beams if self._is_beam_search else 1
        read = jax.tree.map(lambda x: x[::copies], rows)
        with self._variables(weights):
            _, cache = self._read(
                read["token_ids"][:, :width], read["cache"], 0, read["padding_mask"]
            )
        cache = jax.tree.map(lambda x: ops.repeat(x, copies, axis=0), cache)
        return {**state, "rows": {**rows, "cache": cache}, "column": state["start"]}

    def _decode(self, weights, seeds, state, until, stop_token_ids):
        """Go on up to the column `until`, or until every row is finished.

        Args:
            weights: as in `_prefill`.
            seeds: values of the variables of the sampler.
            state: from `initial_state`, or from an earlier call.
            until: the column to stop before.
            stop_token_ids: any number of ids; a row that gets one of them is finished.

        Returns:
            The new seeds and the new state.
        """

        def unfinished(carry):
            _, state = carry
            return (state["column"] < until) & ~ops.all(state["rows"]["finished"])

        def step(carry):
            seeds, state = carry
            rows, column = state["rows"], state["column"]
            with self._variables(weights):
                token_ids = jax.lax.dynamic_slice_in_dim(rows["token_ids"], column - 1, 1, axis=1)
                outputs, cache = self._read(
                    token_ids, rows["cache"], column - 1, rows["padding_mask"]
                )

            def follow_the_prompt(seeds, state):
                return seeds, state

            def choose(seeds, state):
                with self._variables(weights, seeds) as scope:
                    state = self._choose(state, self._logits(outputs), stop_token_ids)
                    return self._new_seeds(scope), state

            # Only beams are reordered, and their caches with them. Others stay out of the branches,
            # which would copy them.
            rows = {**rows, "cache": cache}
            apart = {} if self._is_beam_search else {"cache": rows.pop("cache")}
            seeds, state = jax.lax.cond(
                column < state["start"], follow_the_prompt, choose, seeds, {**state, "rows": rows}
            )
            return seeds, {**state, "rows": {**state["rows"], **apart}, "column": column + 1}

        return jax.lax.while_loop(unfinished, step, (seeds, state))

    def _choose(self, state, logits, stop_token_ids):
        """Choose a token for every row and write it into the next column."""
        if self._is_beam_search:
            state, tokens = _choose_beams(state, ops.log_softmax(logits / self.sampler.temperature))
        else:
            tokens = self.sampler.next_token(logits)
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
        return {**state, "rows": rows}

    def _read(self, token_ids, cache, column, padding_mask):
        """Return what the logits come from, and the cache with the new tokens in it."""
        if self.model is None:
            return call_with_cache(self.backbone, token_ids, cache, column, padding_mask)
        forward = self.model.own_forward()
        takes_mask = "padding_mask" in inspect.signature(forward).parameters
        token = LOOP_MASK.set(padding_mask)
        try:
            mask = {"padding_mask": padding_mask} if takes_mask else {}
            logits, _, cache = forward(token_ids, cache, column, **mask)
        finally:
            LOOP_MASK.reset(token)
        return logits, cache

    def _logits(self, outputs):
        """Return logits `(b, v)` in float32: of hidden states, or of a model's own logits."""
        logits = outputs
        if self.model is None:
            logits = self.backbone.token_embedding(outputs, reverse=True)
        return ops.cast(logits[:, 0], "float32")

    @property
    def _is_beam_search(self):
        return isinstance(self.sampler, samplers.BeamSampler)

    def _variables(self, weights, seeds=()):
        """Return a scope where the variables have these values, so that they are no constants."""
        owner = self.model or self.backbone
        variables = [*owner.variables, *(self.sampler.variables if seeds else ())]
        scope = keras.StatelessScope()
        for variable, value in zip(variables, [*weights, *seeds], strict=True):
            # Not by the argument `state_mapping`, which would take bits for numbers and cast them.
            scope.state_mapping[id(variable)] = value
        return scope

    def _new_seeds(self, scope):
        return [scope.get_current_value(variable) for variable in self.sampler.variables]


def _start_beams(state, num_beams):
    """Make `num_beams` equal rows of each; so at first only one of them may be extended."""
    rows = jax.tree.map(lambda x: np.repeat(x, num_beams, axis=0), state["rows"])
    log_probs = np.where(np.arange(num_beams) == 0, 0.0, -1e9).astype("float32")
    b = len(rows["ends"]) // num_beams
    return {**state, "rows": rows, "log_probs": np.tile(log_probs[None], (b, 1))}  # (b, beams)


def _choose_beams(state, next_log_probs):
    """Keep the most probable of all extensions of the beams: new state, and their last tokens."""
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


def _write(x, column, values):
    """Put `(b,)` values into a column of `(b, k)`."""
    return jax.lax.dynamic_update_slice_in_dim(x, values[:, None], column, axis=1)

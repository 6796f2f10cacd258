"""Sampling step by step, from any function that gives logits, as KerasHub's samplers are called.

`FalconCausalLM.generate` has a compiled loop of its own, with a cache: see `decoding`. Here nothing
is compiled, so that the function may be anything.
"""

import jax
from keras import ops


def append_tokens(choose, next, prompt, cache, index, mask, stop_token_ids):
    """Fill the columns of a prompt from `index` on, one token a row at a time.

    Args:
        choose: logits `(b, v)` to tokens `(b,)`.
        next: `(prompt, cache, index)` to the logits of the column `index`, hidden states, and the
            new cache.
        prompt: `(b, t)` int.
        cache: whatever `next` takes.
        index: the first column to fill.
        mask: `(b, t)`, true where a token stays as it is; or `None`.
        stop_token_ids: ids that finish a row, or `None`. Once all are finished, no column changes.

    Returns:
        `(b, t)`.
    """
    tokens, is_fixed = _start(prompt, mask)
    is_finished = ops.zeros(len(tokens), "bool")
    for column in range(index, tokens.shape[1]):
        if ops.all(is_finished):
            break
        logits, _, cache = next(tokens, cache, column)
        chosen = ops.cast(choose(logits), tokens.dtype)
        chosen = ops.where(is_fixed[:, column], tokens[:, column], chosen)
        tokens = _write(tokens, column, chosen)
        is_finished = is_finished | _stops(chosen, stop_token_ids) & ~is_fixed[:, column]
    return tokens


def append_by_beams(num_beams, temperature, next, prompt, cache, index, mask, stop_token_ids):
    """Fill the columns of a prompt by beam search.

    Args:
        num_beams: how many continuations of each row are kept.
        temperature: divides the logits.
        next, prompt, cache, index, mask, stop_token_ids: as in `append_tokens`; `next` gets a row
            for each beam.

    Returns:
        `(b, beams, t)`, the most probable first, and the logs of their probabilities `(b, beams)`.
    """
    tokens, is_fixed = _start(prompt, mask)
    b, t = tokens.shape
    repeat = lambda x: ops.repeat(x, num_beams, axis=0)  # noqa: E731
    tokens, is_fixed, cache = jax.tree.map(repeat, (tokens, is_fixed, cache))
    is_finished = ops.zeros(len(tokens), "bool")
    # The beams of a row are equal at first, so only one of them may be extended.
    log_probs = ops.tile(ops.where(ops.arange(num_beams) == 0, 0.0, -1e9)[None], (b, 1))
    for column in range(index, t):
        if ops.all(is_finished):
            break
        logits, _, cache = next(tokens, cache, column)
        v = logits.shape[-1]
        # What stays as it is has one extension, which costs nothing.
        stays = is_fixed[:, column] | is_finished
        only = ops.where(ops.arange(v) == tokens[:, column, None], 0.0, -1e30)
        steps = ops.where(stays[:, None], only, ops.log_softmax(logits / temperature))
        total = log_probs[..., None] + ops.reshape(steps, (b, num_beams, v))
        log_probs, best = ops.top_k(ops.reshape(total, (b, -1)), num_beams)  # (b, beams)
        parents = ops.reshape(ops.arange(b)[:, None] * num_beams + best // v, (-1,))
        take = lambda x: ops.take(x, parents, axis=0)  # noqa: B023, E731
        tokens, stays, is_finished, cache = jax.tree.map(take, (tokens, stays, is_finished, cache))
        chosen = ops.cast(ops.reshape(best % v, (-1,)), tokens.dtype)
        tokens = _write(tokens, column, chosen)
        is_finished = is_finished | _stops(chosen, stop_token_ids) & ~stays
    return ops.reshape(tokens, (b, num_beams, t)), log_probs


def _start(prompt, mask):
    tokens = ops.convert_to_tensor(prompt)
    is_fixed = ops.zeros_like(tokens) if mask is None else mask
    return tokens, ops.cast(is_fixed, "bool")


def _write(tokens, column, chosen):
    return ops.where(ops.arange(tokens.shape[1]) == column, chosen[:, None], tokens)


def _stops(tokens, stop_token_ids):
    ids = ops.convert_to_tensor(stop_token_ids or [-1], tokens.dtype)
    return ops.any(tokens[:, None] == ids, axis=-1)

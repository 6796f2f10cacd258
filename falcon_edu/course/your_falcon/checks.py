"""Check each function of `my_falcon.py` against the package's, and say what is wrong."""

from functools import cache, partial
from typing import Any

from falcon_edu.course.checks import presets, tokens_and_embeddings
from falcon_edu.course.checks.exercise import Exercise, expect, expect_close, given
from falcon_edu.course.your_falcon import package, slips
from falcon_edu.course.your_falcon.parity import distance, in_words, kept, real_calls

import numpy as np


def check(name, made, what, wants, nudge, hint, mistakes, tolerance=1e-4):
    """Return the exercise for a function.

    Args:
        name: of the function.
        made: a function that yields arguments; those of a shipped Falcon come after them.
        what: what is returned, as it is called in a message; for several results a tuple.
        wants, nudge, hint: as in `Exercise`.
        mistakes: what plausibly goes wrong: `{message: a function that does so}`.
        tolerance: the largest difference that counts as equal.
    """

    @cache
    def cases():
        theirs = getattr(package, name)
        return [*((arguments, theirs(*arguments)) for arguments in made()), *real_calls()[name]]

    def look(answer):
        for arguments, wanted in cases():
            got = given(answer(*kept(tuple(arguments))))
            if distance(got, wanted) > tolerance:
                for message, mistake in mistakes.items():
                    expect(distance(got, mistake(*arguments)) > tolerance, message)
            compare(got, wanted, what, tolerance)

    look.__name__, look.__doc__ = name, f"Check `{name}` of `my_falcon.py`."
    return Exercise(look, hint, nudge=nudge, wants=wants)


def compare(got, wanted, what, tolerance):
    """Go on if a result is what it should be, and else say how it is not.

    Args:
        got, wanted: a text, a list of texts, an array, or a tuple of such.
        what, tolerance: as in `check`.
    """
    if isinstance(wanted, tuple):
        fits = isinstance(got, (tuple, list, np.ndarray)) and len(got) == len(wanted)
        expect(fits, f"a pair is asked for: {_joined(what)}.")
        for each in zip(got, wanted, what, strict=True):
            compare(*each, tolerance)
    elif isinstance(wanted, (str, list)):
        expect(in_words(got) == wanted, f"{what} should be {wanted!r}, but yours is {got!r:.200}.")
    else:
        expect_close(got, wanted, what, tolerance)


def _joined(what):
    return what if isinstance(what, str) else " and ".join(map(_joined, what))


# What goes wrong in the cache as in attention.
_SHARED: dict[str, dict[str, Any]] = {
    "the bias is added before the scores are divided by the root of h.": {"late": True},
    "the scores should be divided by the root of the width of a head.": {"root": False},
    "neighbouring query heads share a key/value head; yours take turns.": {"spread": np.tile},
}

CHECKS: dict[str, Exercise] = {
    "encode": check(
        "encode",
        slips.words,
        "the pieces",
        "a list of strings",
        "Section 3 does it in a few lines. What does `merge` do for one of the pairs?",
        "For each pair, in order, go through the pieces and build a new list: where the last piece "
        "in it and the next one are the pair, join them.",
        {
            "the merges are done in their order, the first one first.": lambda letters, merges: (
                slips.encoded(letters, merges[::-1])
            ),
            "a merge is done at each place where its pair stands, not only at the first.": partial(
                slips.encoded, most=1
            ),
            "a piece that only ends with the left part of a merge is another piece.": (
                slips.replaced
            ),
        },
    ),
    "decode": tokens_and_embeddings.decode,
    "norm": check(
        "norm",
        slips.streams,
        "the result",
        "an array of the shape of x",
        "Write the formula of the lesson down, and find each letter of it in your lines.",
        "`(x - mean) / np.sqrt(variance + epsilon) * gamma + beta`, where mean and variance are "
        "taken over the last axis, with `keepdims=True`.",
        {
            "the mean is still there: this is the RMS norm.": partial(slips.normed, center=False),
            "epsilon belongs under the root.": partial(slips.normed, outside=True),
            "the mean goes over the last axis only: each token is normalized by itself.": partial(
                slips.normed, axis=None
            ),
            "the variance is the mean of the squares: divide by m, not by m - 1.": partial(
                slips.normed, ddof=1
            ),
            "gamma is not multiplied in.": lambda x, _, beta, e: slips.normed(x, 1, beta, e),
            "beta is not added.": lambda x, gamma, _, e: slips.normed(x, gamma, 0, e),
            "beta comes last, after gamma.": lambda x, gamma, beta, e: (
                slips.normed(x, 1, beta, e) * gamma
            ),
        },
        tolerance=1e-5,
    ),
    "attention": check(
        "attention",
        slips.heads,
        "the output",
        "the output alone, an array (b, q, n, h)",
        "In which order do product, bias, division, mask, softmax and mixture come?",
        "Repeat the key/value heads `n // g` times, take "
        '`np.einsum("bqnh,bknh->bnqk", query, key)`, add the bias, divide, put -1e30 where '
        "`mask[:, None]` is false, softmax, multiply by the mask, and mix the values.",
        {
            **{message: partial(slips.gathered, **slip) for message, slip in _SHARED.items()},
            "the bias is missing.": lambda query, key, value, bias, mask: slips.gathered(
                query, key, value, 0 * bias, mask
            ),
            "neither bias nor mask is used yet.": lambda query, key, value, bias, mask: (
                slips.gathered(query, key, value, 0 * bias, np.ones_like(mask))
            ),
            "the softmax goes over the keys, the last axis of the scores.": partial(
                slips.gathered, axis=-2
            ),
            "nothing is masked: tokens look at later ones.": lambda query, key, value, bias, mask: (
                slips.gathered(query, key, value, bias, np.ones_like(mask))
            ),
            "a query that may look nowhere should get zeros.": partial(slips.gathered, zeros=False),
        },
    ),
    "alibi_bias": check(
        "alibi_bias",
        slips.places,
        "the bias",
        "an array (b, n, 1, k)",
        "Which slopes has a Falcon of six heads?",
        "`slopes[None, :, None, None] * key_positions[:, None, None, :]`, with the slopes of the "
        "lesson, `slopes(num_heads)`.",
        {
            "the bias grows with the position of the key, but yours falls.": partial(
                slips.biased, sign=-1
            ),
            "between powers of two Falcon takes the slopes of the power below, and fills up with "
            "every other slope of the power above.": slips.biased,
        },
        tolerance=1e-5,
    ),
    "gelu": check(
        "gelu",
        slips.numbers,
        "GELU",
        "an array of the shape of x",
        "GELU is x times the probability that a standard normal number is below x.",
        "`x / 2 * (1 + erf(x / math.sqrt(2)))`, with `erf = np.vectorize(math.erf)`.",
        {
            "this is GELU by the formula with tanh; Falcon's is exact, with erf.": slips.gelu_tanh,
            "this is GELU by a sigmoid; Falcon's is exact, with erf.": slips.gelu_sigmoid,
            "this is ReLU, which bends sharply.": lambda x: np.maximum(x, 0),
        },
        tolerance=1e-5,
    ),
    "block": check(
        "block",
        slips.halves,
        "the stream behind the block",
        "an array of the shape of x",
        "What does the MLP read: what came in, or what attention made of it?",
        "`x = x + attention(attention_norm(x))`, and then the same once more with the MLP.",
        {
            "this is the wiring of 7B: in RW the MLP reads what attention has written.": (
                slips.parallel
            ),
            "the MLP reads through a norm of its own, the second.": (
                lambda x, norm, _, *halves: slips.wired(x, norm, norm, *halves)
            ),
            "the halves add to the stream; in yours it ends at the first.": partial(
                slips.wired, stream=False
            ),
            "the norms stand before the halves, not behind them.": slips.norms_behind,
            "the MLP writes nothing.": partial(slips.wired, writes=(1, 0)),
            "attention writes nothing.": partial(slips.wired, writes=(0, 1)),
        },
    ),
    "backbone": check(
        "backbone",
        slips.stacks,
        "the logits",
        "an array of logits (b, t, v)",
        "Rows of the table go in. What do they pass, and what do they meet at the end?",
        "`x = table[token_ids]`, then `x = block(x)` for each block, then "
        "`final_norm(x) @ table.T`.",
        {
            "the final norm is missing.": partial(slips.stacked, is_normed=False),
            "the output head is missing: it is the table once more.": partial(
                slips.stacked, head=False
            ),
            "the blocks come in their order, the first one first.": partial(
                slips.stacked, cut=slice(None, None, -1)
            ),
            "only the first block was run.": partial(slips.stacked, cut=slice(1)),
            "no block was run.": partial(slips.stacked, cut=slice(0)),
        },
        tolerance=1e-3,
    ),
    "step": check(
        "step",
        slips.tokens,
        ("the output for the new token", ("the keys in the cache", "the values in the cache")),
        "the output (n, h), and the new cache, a pair of arrays (k + 1, g, h)",
        "In which order do joining, scores, bias, softmax and sum come? Who sees the new token?",
        "`np.concatenate([cache[0], key[None]])` are the new keys. Repeat them `n // g` times on "
        'axis 1, take `np.einsum("nh,knh->nk", ...)`, add the bias, divide, softmax over `k`.',
        {
            **{message: partial(slips.cached, **slip) for message, slip in _SHARED.items()},
            "the bias is missing.": lambda query, key, value, cache, bias: slips.cached(
                query, key, value, cache, 0 * bias
            ),
            "the new token must see itself: attend to the new cache.": partial(
                slips.cached, old=True
            ),
            "the new token belongs behind the others in the cache.": partial(
                slips.cached, first=True
            ),
            "the cache is a pair of keys first, then values.": lambda *arguments: (
                lambda output, cache: (output, cache[::-1])
            )(*slips.cached(*arguments)),
            "the new token is missing in the cache that is returned.": lambda *arguments: (
                slips.cached(*arguments)[0],
                arguments[3],
            ),
        },
    ),
    "sampler": check(
        "sampler",
        slips.draws,
        "the distribution",
        "an array of probabilities (v,)",
        "First a softmax at the temperature. Then: which tokens have no more than p before them?",
        "`top_p(at_temperature(logits, temperature), p)`, with both functions of the lesson.",
        {
            "what is left should sum to 1 again.": partial(slips.cut, scaled=False),
            "the token with which the sum exceeds p stays, too.": partial(slips.cut, last=False),
            "the temperature comes first, and then the cut.": partial(slips.cut, late=True),
            "the logits are divided by the temperature.": lambda logits, temperature, p: slips.cut(
                logits, 1 / temperature, p
            ),
            "the temperature changes nothing.": lambda logits, _, p: slips.cut(logits, 1.0, p),
            "nothing is cut.": lambda logits, temperature, _: slips.cut(logits, temperature, 1.0),
        },
        tolerance=1e-5,
    ),
    "read_tensor": presets.read_tensor,
}

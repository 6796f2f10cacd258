"""Checks of notebook 07: samplers, streaming, and the key/value cache."""

from falcon_edu.course.checks.exercise import exercise, expect, expect_close, several
from falcon_edu.model.config import FalconConfig

import numpy as np


@exercise(
    wants="a whole number",
    nudge="Begin with what is left when the weights are in. What does one user need of it?",
    hint="`2 * num_layers * key_value_heads * head_dim` numbers for each token; take the weights "
    "from the memory first, then divide with `//`.",
    praise="The memory that the weights leave is all there is to share.",
)
def users(answer):
    """Exercise 7.1."""
    config = FalconConfig(100, 3, 8, 64, 256, num_key_value_heads=2)
    weights, cache = config.num_parameters, 2 * 3 * 2 * 8  # numbers; the cache for each token
    memory = 2 * weights + 2 * cache * 10 * 4 + 5  # four users with ten tokens, and some bytes
    got = answer(config, memory, 10)
    expect(got is not None, "nothing was returned.")
    expect_close(np.asarray(got).ndim, 0, "the number of dimensions of the answer")
    expect(np.isfinite(np.asarray(got)), f"a number of users is asked for, but yours is {got}.")
    slips = {
        (memory // (2 * cache * 10)): "the weights need memory too: take them off first.",
        8: "a key and a value: the cache holds two vectors for each head, not one.",
        12: "every layer has a cache of its own.",
        1: "only keys and values are cached: count the key/value heads, not the query heads.",
    }
    for slip, why in slips.items():
        expect(int(got) != slip, why)
    expect(float(got) == int(got), f"there are no parts of users, but yours is {float(got):.2f}.")
    expect(int(got) == 4, f"four users fit into {memory:,} bytes here, but yours is {got}.")
    more = 4 * weights + 4 * cache * 7 * 3
    got = answer(config, more, 7, number=4)
    expect(got == 3, f"with numbers of four bytes, three users should fit, but yours is {got}.")
    got = answer(config, weights, 10)
    expect(got == 0, f"where not even the weights fit there are 0 users, but yours is {got}.")
    other = FalconConfig(50, 2, 4, 32, 64)  # each head has its own keys
    got = answer(other, 2 * other.num_parameters + 2 * (2 * 2 * 4 * 8) * 5 * 6, 5)
    expect(got == 6, f"of a Falcon with 2 layers and 4 heads, 6 users should fit, not {got}.")


@exercise(
    wants="an array (b, v)",
    nudge="What must a probability be compared with, in each row? And what does a row sum to "
    "afterwards?",
    hint="`probabilities.max(axis=-1, keepdims=True)` is the largest of each row. `np.where` sets "
    "to zero what is below its share; then divide by the sum of the row.",
    praise="One line more makes a sampler of it: a subclass of `falcon_edu.samplers.Sampler` with "
    "this as `restrict`, in `keras.ops`.",
)
def min_p(answer):
    """Exercise 7.2."""
    sure = np.array([[0.02, 0.9, 0.05, 0.03]])
    unsure = np.array([[0.4, 0.25, 0.2, 0.15]])
    got = answer(unsure.copy(), 0.5)
    wanted = np.array([[0.4, 0.25, 0.2, 0]]) / 0.85
    expect(got is not None, "nothing was returned.")
    got = np.asarray(got)
    if got.shape == wanted.shape:
        expect(
            np.allclose(got.sum(axis=-1), 1),
            f"what is left should sum to 1 again, but yours sums to {got.sum():.3g}.",
        )
        expect(
            np.count_nonzero(got) != 0 and not np.allclose(got, [[1, 0, 0, 0]]),
            "a token needs `share` times the largest probability, not `share` itself.",
        )
        expect(
            got[0, 2] > 0,
            "0.2 is just half of 0.4: a token that has exactly the share should stay.",
        )
    expect_close(got, wanted, "of [0.4, 0.25, 0.2, 0.15], at a share of 0.5, what is left")
    expect_close(answer(sure.copy(), 0.1), [[0, 1, 0, 0]], "what is left where one token is sure")
    wanted_all = unsure / unsure.sum()
    expect_close(answer(unsure.copy(), 0.1), wanted_all, "at a share of 0.1, what is left")
    several = np.concatenate([sure, unsure])
    expect_close(
        answer(several.copy(), 0.5)[1],
        wanted[0],
        "the second row, which has a largest probability of its own,",
    )


@exercise(
    wants="an iterator over texts: use `yield`",
    nudge="Some bytes can't be shown yet. Where do they wait, and what is it that they wait for?",
    hint='`codecs.getincrementaldecoder("utf-8")(errors="replace")` keeps an unfinished character; '
    "yield what its `decode(piece)` returns, if that is not empty.",
    praise="This is why a streamed kite comes all at once.",
)
def characters(answer):
    """Exercise 7.3."""

    def ask(pieces):
        """Return the text that came between each piece and the next, in one or several parts."""
        read, come = [], [""] * len(pieces)

        def read_on():
            for piece in pieces:
                read.append(piece)
                yield piece

        texts = answer(read_on())
        expect(texts is not None, "nothing was returned: use `yield` in the function.")
        try:
            for text in texts:
                expect(isinstance(text, str), f"texts should come, but one of yours is {text!r}.")
                expect(text != "", "empty texts should not come, but one of yours is.")
                expect(read, "a text came before there was a piece.")
                come[len(read) - 1] += text
        except UnicodeDecodeError as error:
            expect(False, f"a piece of a character was decoded: {error}.")
        return come

    got = ask([b"Tom", b" ran"])
    expect("".join(got) == "Tom ran", f"b'Tom' and b' ran' should give 'Tom ran', not {got}.")
    expect(
        got == ["Tom", " ran"],
        f"plain letters need not wait: after the pieces, {['Tom', ' ran']} should come, but yours "
        f"are {got}. Yield a text before you ask for the next piece.",
    )
    kite = "🪁".encode()
    got = ask([b"a ", kite[:2], kite[2:3], kite[3:], b"!"])
    expect("\ufffd" not in "".join(got), f"a part of a kite was shown: {got}.")
    expect(
        got == ["a ", "", "", "🪁", "!"],
        "the kite's bytes come in three pieces; after the five pieces, "
        f"['a ', '', '', '🪁', '!'] should come, but yours are {got}.",
    )
    got = ask([b"Zo\xc3", b"\xab " + kite[:1], kite[1:] + b"\xc3", b"\xa9"])
    expect(
        "".join(got) == "Zoë 🪁é",
        f"a piece may end one character and begin another: 'Zoë 🪁é' was wanted, not {got}.",
    )
    expect(
        got == ["Zo", "ë ", "🪁", "é"],
        "what is whole should come at once, even if the same piece also has the first byte of "
        f"something else: after the pieces, ['Zo', 'ë ', '🪁', 'é'] should come, not {got}.",
    )


def _grouped(query, key, value, cache):
    """Return what exercise 7.4 asks for."""
    keys, values = (
        np.concatenate([old, new[None]]) for old, new in zip(cache, (key, value), strict=True)
    )
    shared = len(query) // len(key)
    scores = np.einsum("nh,knh->nk", query, np.repeat(keys, shared, axis=1))
    scores /= np.sqrt(query.shape[1])
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights = powers / powers.sum(axis=1, keepdims=True)
    return np.einsum("nk,knh->nh", weights, np.repeat(values, shared, axis=1)), (keys, values)


@exercise(
    wants="the output (n, h), and the new cache, a pair of arrays (k + 1, g, h)",
    nudge="In which order do joining, scores, softmax and sum come, and who sees the new token?",
    hint="`np.concatenate([cache[0], key[None]])` is the new cache of keys. "
    "`np.repeat(keys, n // g, axis=1)` gives each query head its own; then "
    '`np.einsum("nh,knh->nk", ...)`, divide by the root of `h`, softmax over `k`.',
    praise="With one group it is multi-query attention, with n groups multi-head.",
)
def step(answer):
    """Exercise 7.4."""
    rng = np.random.default_rng(8)
    n, h, k = 4, 3, 5

    def arrays(g, k):
        query, key, value = (rng.normal(size=(heads, h)) for heads in (n, g, g))
        return query, key, value, (rng.normal(size=(k, g, h)), rng.normal(size=(k, g, h)))

    def ask(query, key, value, cache):
        kept = [old.copy() for old in cache]
        got = answer(query.copy(), key.copy(), value.copy(), tuple(cache))
        several(got, 2, "two things should be returned: the output, and the new cache.")
        is_pair = isinstance(got[1], (tuple, list, np.ndarray)) and len(got[1]) == 2
        expect(is_pair, "the new cache should be a pair: keys and values.")
        same = all(np.array_equal(a, b) for a, b in zip(kept, cache, strict=True))
        expect(same, "the old cache was changed: make new arrays.")
        return np.asarray(got[0]), [np.asarray(array) for array in got[1]]

    # Multi-head, and nothing in the cache yet: the token sees itself alone.
    given = arrays(n, 0)
    output, _ = ask(*given)
    expect_close(output, given[2], "the output of the first token, which sees its own value alone,")
    # Multi-head, with a cache.
    given = arrays(n, k)
    output, cache = ask(*given)
    wanted, wanted_cache = _grouped(*given)
    _check_cache(cache, wanted_cache)
    if output.shape == wanted.shape and not np.allclose(output, wanted):
        unscaled, _ = _grouped(given[0] * np.sqrt(h), *given[1:])
        expect(
            not np.allclose(output, unscaled),
            "the scores must be divided by the square root of the head width.",
        )
        expect(
            not np.allclose(output, _only_old(*given)),
            "the new token must see itself: attend to the new cache, not to the old one.",
        )
    expect_close(output, wanted, "the output with a cache of five tokens")
    # Grouped.
    given = arrays(2, k)
    output, cache = ask(*given)
    wanted, wanted_cache = _grouped(*given)
    _check_cache(cache, wanted_cache)
    if output.shape == wanted.shape:
        tiled, _ = _grouped(given[0][[0, 2, 1, 3]], *given[1:])
        expect(
            not np.allclose(output, tiled[[0, 2, 1, 3]]),
            "heads 0 and 1 share the first key/value head, 2 and 3 the second; yours take turns.",
        )
    expect_close(output, wanted, "the output with four query heads and two key/value heads")


def _only_old(query, key, value, cache):
    """Make the mistake of attending to the old cache only."""
    return _grouped(query, cache[0][-1], cache[1][-1], [old[:-1] for old in cache])[0]


def _check_cache(got, wanted):
    for what, a, b in zip(("keys", "values"), got, wanted, strict=True):
        if a.shape == b.shape and not np.allclose(a, b):
            expect(
                not np.allclose(a, np.roll(b, 1, axis=0)),
                f"the new token's {what} belong behind the others, not before them.",
            )
            swapped = wanted[1] if what == "keys" else wanted[0]
            expect(not np.allclose(a, swapped), "the pair should be keys first, then values.")
        expect_close(a, b, f"the {what} in the new cache")

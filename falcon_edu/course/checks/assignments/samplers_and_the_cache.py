"""Checks of assignment 4: drawing tokens, penalties, the cache, batches, and a faster drawer."""

from falcon_edu.course.checks.exercise import expect, expect_close, given, several
from falcon_edu.course.checks.graded import Graded, for_each, in_place

import numpy as np


def _draw(probabilities, darts):
    """Right answers to the first task, for what is built on a wrong one."""
    return (np.cumsum(probabilities, axis=1) <= np.asarray(darts)[:, None]).sum(axis=1)


draw = Graded()
top_p = Graded()
penalize = Graded()
left_pad = Graded()
step = Graded()
generate = Graded()
accept = Graded(earlier={"draw": _draw})


def _distributions(rng, rows, tokens):
    p = rng.exponential(size=(rows, tokens)) ** 2
    return p / p.sum(axis=1, keepdims=True)


# === Drawing ===


@draw.part(1, "a row and a dart")
def _(answer, rng):
    p = rng.permutation([[0.2, 0.5, 0.3]], axis=1)
    first, second = p[0, 0], p[0, :2].sum()
    for dart in rng.permutation([first / 2, first + 0.05, second - 0.01, second + 0.01, 0.99]):
        got = np.asarray(given(answer(p.copy(), np.array([dart]))))
        expect_close(got.shape, (1,), "the shape of what one dart hits")
        expect_close(got, _draw(p, [dart]), f"what the dart {dart:.2f} hits in {p[0].tolist()}")


@draw.part(1, "many rows, and tokens without any chance")
def _(answer, rng):
    p = _distributions(rng, 200, 6)
    p[:, [0, 5]] = 0  # nothing at either end
    p /= p.sum(axis=1, keepdims=True)
    darts = rng.uniform(size=200)
    darts[:3] = 0.0  # the very end of the line
    got = np.asarray(given(answer(p.copy(), darts.copy())))
    expect_close(got.shape, (200,), "the shape of what 200 darts hit")
    expect(not (got[:3] == 0).any(), "a dart of exactly 0 hit a token of probability 0.")
    expect_close(got, _draw(p, darts), "what 200 darts hit, each in its own row,")


# === Top-p ===


def _top_p(probabilities, p):
    left = np.zeros_like(probabilities)
    for row, out in zip(probabilities, left, strict=True):
        order = np.argsort(-row, kind="stable")
        before = np.cumsum(row[order]) - row[order]
        kept = order[before < p]
        out[kept] = row[kept] / row[kept].sum()
    return left


@top_p.part(1, "what is left sums to one, and the favourite is in it")
def _(answer, rng):
    p = _distributions(rng, 5, 8)
    for share in (0.01, 0.6):
        got = np.asarray(given(answer(p.copy(), share)), float)
        expect(got.shape == p.shape, f"the shape should be {p.shape}, but yours is {got.shape}.")
        expect(got.any(), f"nothing is left at p={share}.")
        favourite = got[np.arange(5), p.argmax(axis=1)]
        expect((favourite > 0).all(), f"at p={share} even the most probable token is gone.")
        expect_close(got.sum(axis=1), np.ones(5), f"the sum of each row at p={share}")


@top_p.part(1, "the token that crosses stays, the next goes")
def _(answer, rng):
    p = rng.permutation([[0.1, 0.35, 0.3, 0.25]], axis=1)
    got = given(answer(p.copy(), 0.5))
    kept = np.flatnonzero(np.ravel(got))
    expect(
        not np.array_equal(kept, [p.argmax()]),
        "0.35 is not yet 0.5: the token that crosses 0.5 belongs to it.",
    )
    expect_close(got, _top_p(p, 0.5), f"what is left of {p[0].tolist()} at p=0.5")


@top_p.part(1, "each row for itself, in its own order")
def _(answer, rng):
    p = _distributions(rng, 40, 12)
    expect_close(answer(p.copy(), 0.8), _top_p(p, 0.8), "what is left of 40 rows at p=0.8")


# === A penalty ===


@penalize.part(1, "tokens that were there become less likely")
def _(answer, rng):
    logits = rng.normal(size=(1, 9)) * 3
    seen = np.array([[1, 4, 4, 7]])
    got = np.asarray(given(answer(logits.copy(), seen, 1.5)), float)
    expect(got.shape == logits.shape, "the logits should keep their shape.")
    others = np.setdiff1d(np.arange(9), seen)
    expect_close(got[0, others], logits[0, others], "the logits of tokens that were not there")
    expect((got[0, [1, 4, 7]] < logits[0, [1, 4, 7]]).all(), _NEGATIVE)


_NEGATIVE = "a logit of a token that was there rose: what does dividing do to a negative number?"


@penalize.part(1, "by the rule, once each, row by row")
def _(answer, rng):
    logits, seen = 3 * rng.normal(size=(4, 9)), rng.integers(9, size=(4, 5))
    seen[:, 1] = seen[:, 0]  # twice in each row
    got, after = in_place(answer, logits, seen, 2.0)
    got = given(got)
    expect(np.array_equal(after[0], logits), "the logits that were given were changed.")
    wanted = logits.copy()
    for row, ids in zip(wanted, seen, strict=True):
        ids = np.unique(ids)
        row[ids] = np.where(row[ids] > 0, row[ids] / 2, row[ids] * 2)
    expect_close(got, wanted, "the logits at a penalty of 2")


# === A batch ===


@left_pad.part(1, "ids and mask")
def _(answer, rng):
    prompts = [rng.integers(1, 9, size=length).tolist() for length in (3, 5, 1)]
    ids, mask, _ = _padded(answer, prompts)
    expect_close(ids.shape, (3, 5), "the shape of the ids of prompts of 3, 5 and 1 tokens")
    for row, marks, prompt in zip(ids, mask, prompts, strict=True):
        expect(
            row.tolist() != prompt + [0] * (5 - len(prompt)) or len(prompt) == 5,
            "the padding is behind: put it in front, so that all prompts end in the last column.",
        )
        expect_close(row, [0] * (5 - len(prompt)) + prompt, f"the row of {prompt}")
        expect_close(marks, [0] * (5 - len(prompt)) + [1] * len(prompt), f"the mask of {prompt}")


@left_pad.part(1, "positions")
def _(answer, rng):
    prompts = [rng.integers(1, 9, size=length).tolist() for length in rng.integers(2, 7, 3)]
    _, _, positions = _padded(answer, prompts)
    longest = max(map(len, prompts))
    expect(
        not np.array_equal(positions, np.tile(np.arange(longest), (3, 1))),
        "the first real token has position 0, wherever it stands.",
    )
    wanted = [[0] * (longest - len(p)) + list(range(len(p))) for p in prompts]
    expect_close(positions, wanted, f"the positions of {[len(p) for p in prompts]} tokens")


def _padded(answer, prompts):
    got = answer([list(prompt) for prompt in prompts], 0)
    several(got, 3, "return three arrays: ids, mask, positions.")
    return [np.asarray(given(array)).astype(int) for array in got]


# === A step with a cache ===


def _step(query, key, value, cache, slopes):
    keys, values = (
        np.concatenate([old, new[None]]) for old, new in zip(cache, (key, value), strict=True)
    )
    shared = len(query) // len(key)
    scores = np.einsum("nh,knh->nk", query, np.repeat(keys, shared, axis=1))
    scores = scores + np.asarray(slopes)[:, None] * np.arange(len(keys))
    scores = scores / np.sqrt(query.shape[1])
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights = powers / powers.sum(axis=1, keepdims=True)
    return np.einsum("nk,knh->nh", weights, np.repeat(values, shared, axis=1)), (keys, values)


def _token(rng, n, g, k, h=4):
    query = rng.normal(size=(n, h))
    key, value = rng.normal(size=(2, g, h))
    return query, key, value, tuple(rng.normal(size=(2, k, g, h)))


def _ask_step(answer, query, key, value, cache, slopes):
    got, after = in_place(answer, query, key, value, tuple(cache), np.array(slopes))
    several(got, 2, "return two things: the output, and the new cache.")
    same = all(np.array_equal(a, b) for a, b in zip(after[3], cache, strict=True))
    expect(same, "the old cache was changed: make new arrays.")
    is_pair = isinstance(got[1], (tuple, list)) and len(got[1]) == 2
    expect(is_pair, "the new cache is a pair: keys and values.")
    return np.asarray(given(got[0]), float), got[1]


@step.part(1, "the cache grows by one")
def _(answer, rng):
    token = _token(rng, 4, 4, 3)
    _, cache = _ask_step(answer, *token, [0.0] * 4)
    for name, got, wanted in zip(
        ("keys", "values"), cache, _step(*token, [0.0] * 4)[1], strict=True
    ):
        expect_close(got, wanted, f"the {name} in the new cache")


@step.part(1, "attention without positions")
def _(answer, rng):
    token = _token(rng, 4, 4, 5)
    got, _ = _ask_step(answer, *token, [0.0] * 4)
    old = _step(token[0], token[3][0][-1], token[3][1][-1], [c[:-1] for c in token[3]], [0.0] * 4)[
        0
    ]
    expect(
        got.shape != old.shape or not np.allclose(got, old),
        "the new token must see itself: attend to the new cache, not to the old one.",
    )
    expect_close(got, _step(*token, [0.0] * 4)[0], "the output with slopes of zero")


@step.part(1, "ALiBi, over the whole cache")
def _(answer, rng):
    token, slopes = _token(rng, 4, 4, 6), [1.0, 0.5, 0.25, 0.1]
    got, _ = _ask_step(answer, *token, slopes)
    wanted = _step(*token, slopes)[0]
    if got.shape == wanted.shape:
        lost = _step(*token, [0.0] * 4)[0]
        expect(not np.allclose(got, lost), "ALiBi is lost: its positions are those of all keys.")
        late = _step(*token, 2 * np.array(slopes))[0]  # the head width is 4, its root 2
        expect(not np.allclose(got, late), "Falcon adds ALiBi first, and then scales both.")
        turned = _step(*token, -np.array(slopes))[0]
        expect(not np.allclose(got, turned), "ALiBi should favour what is near, the last keys.")
    expect_close(got, wanted, "the output with ALiBi")


@step.part(1, "two query heads for each key/value head")
def _(answer, rng):
    token, slopes = _token(rng, 4, 2, 5), [1.0, 0.5, 0.25, 0.1]
    got, _ = _ask_step(answer, *token, slopes)
    expect_close(got, _step(*token, slopes)[0], "the output of four heads that share two")


# === The loop ===


class _Machine:
    """Something that continues: the next token is a function of all that it was fed."""

    tokens = 7

    def __init__(self, rng):
        self.fed, self.table = [], rng.normal(size=(97, self.tokens))

    def __call__(self, ids, cache):
        expect(np.ndim(ids) == 1 and len(ids) > 0, "feed a list of at least one id.")
        expect(
            cache == len(self.fed),
            f"the cache that you gave is for {cache} tokens, but {len(self.fed)} were fed.",
        )
        expect(len(self.fed) + len(ids) < 1000, "no text here is that long.")
        self.fed += [int(i) for i in ids]
        return self._logits(self.fed), len(self.fed)

    def _logits(self, ids):
        state = 0
        for i in ids:
            state = (5 * state + i + 1) % 97
        return self.table[state]

    def wanted(self, prompt, length, stop=None):
        ids = list(prompt)
        while len(ids) < length and (len(ids) == len(prompt) or ids[-1] != stop):
            ids.append(int(self._logits(ids).argmax()))
        return ids


def _ask_generate(answer, machine, prompt, length, stop):
    got = given(answer(machine, list(prompt), length, lambda logits: int(np.argmax(logits)), stop))
    return [int(i) for i in np.ravel(got)]


@generate.part(1, "the right tokens")
def _(answer, rng):
    machine = _Machine(rng)
    got = _ask_generate(answer, machine, [3, 1, 4], 12, None)
    expect(got[:3] == [3, 1, 4], "what is returned begins with the prompt.")
    expect(
        len(got) == 12, f"12 tokens were asked for, the prompt's included; yours are {len(got)}."
    )
    expect(got == machine.wanted([3, 1, 4], 12), "these are not the tokens that it would choose.")


@generate.part(1, "each token is fed once, the prompt at once")
def _(answer, rng):
    machine = _Machine(rng)
    calls = []

    def counted(ids, cache):
        calls.append(len(ids))
        return machine(ids, cache)

    got = _ask_generate(answer, counted, [3, 1, 4, 1], 10, None)
    expect(got == machine.wanted([3, 1, 4, 1], 10), "the tokens are not right.")
    expect(calls[0] == 4, f"feed the prompt at once: your first call had {calls[0]} of 4 tokens.")
    expect(
        calls[1:] == [1] * 5,
        f"after that one token for each call, and no call too many: yours had {calls[1:]}.",
    )


@generate.part(1, "stopping")
def _(answer, rng):
    for seed in range(20):
        machine = _Machine(np.random.default_rng(seed + int(rng.integers(1000))))
        free = machine.wanted([3, 1], 20)
        stop = free[6]
        got = _ask_generate(answer, machine, [3, 1], 20, stop)
        wanted = machine.wanted([3, 1], 20, stop)
        expect(got != free or free == wanted, "it should end with the stop token.")
        expect(got != wanted[:-1], "the stop token belongs to what is returned.")
        expect(got == wanted, f"with the stop token {stop}, {wanted} was wanted, not {got}.")
    machine = _Machine(rng)
    got = _ask_generate(answer, machine, [3, 1, 4], 2, None)
    expect(got == [3, 1, 4], "a prompt that is long enough is returned as it is.")


# === Speculative sampling ===


def _darts(count):
    return (np.arange(count) + 0.5) / count


def _accepted(answer, calls):
    return [given(token) for token in for_each(answer, calls)]


def _counts(tokens, size):
    """Return how often each token comes; an answer's numbers don't say how long this is."""
    tokens = np.asarray(tokens)
    is_token = tokens.ndim == 1 and tokens.dtype.kind in "iuf" and np.isin(tokens, np.arange(size))
    expect(np.all(is_token), f"return a token, one of 0 to {size - 1}.")
    return np.bincount(tokens.astype(int), minlength=size)


@accept.part(1, "a draft that is right is always taken")
def _(answer, rng):
    p = _distributions(rng, 1, 5)[0]
    for token in range(5):
        for dart in (0.01, 0.99):
            got = given(answer(token, p.copy(), p.copy(), dart, 0.5))
            expect(got == token, f"both models agree, and yet token {token} became {got}.")


@accept.part(1, "how often a draft is taken")
def _(answer, rng):
    order = rng.permutation(3)
    target, draft = np.array([0.3, 0.5, 0.2])[order], np.array([0.6, 0.2, 0.2])[order]
    taken = []
    for token in (int(np.argmax(order == 0)), int(np.argmax(order == 2))):
        got = _accepted(answer, [(token, target, draft, dart, 0.5) for dart in _darts(100)])
        taken.append(np.mean([each == token for each in got]))
    expect(taken[0] < 1, "the draft says 0.6 where 0.3 is right: take it half of the times.")
    expect_close(taken[0], 0.5, "how often a token is taken that the draft says twice too often")
    expect_close(taken[1], 1.0, "how often a token is taken of which both say the same")


@accept.part(1, "what comes in its place")
def _(answer, rng):
    order = rng.permutation(3)
    target, draft = np.array([0.1, 0.4, 0.5])[order], np.array([0.8, 0.1, 0.1])[order]
    refused = int(np.argmax(order == 0))
    instead = _accepted(answer, [(refused, target, draft, 0.999, dart) for dart in _darts(700)])
    counts = _counts(instead, 3)
    expect(counts[refused] == 0, "a token that was refused came back.")
    expect(
        not np.allclose(counts / 700, np.array([0, 4 / 9, 5 / 9])[order], atol=0.01),
        "don't draw from the target: draw from what the draft left out, `target - draft` above 0.",
    )
    wanted = np.array([0, 3 / 7, 4 / 7])[order]
    expect_close(counts / 700, wanted, "how often each token comes instead", 0.01)


@accept.part(1, "all together it is the target")
def _(answer, rng):
    target, draft = _distributions(rng, 2, 4)
    darts = _darts(60)
    reached = np.zeros(4)
    for token in range(4):
        outcomes = _accepted(answer, [(token, target, draft, a, b) for a in darts for b in darts])
        reached += draft[token] * _counts(outcomes, 4) / len(outcomes)
    expect_close(reached, target, "the distribution of what comes out in the end", 0.02)

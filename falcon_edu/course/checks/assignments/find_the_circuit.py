"""Checks of assignment 5: gaps, ablation, patching, and the heads that are enough."""

from falcon_edu.course.checks.exercise import expect, expect_close, given
from falcon_edu.course.checks.graded import Graded, in_place

import numpy as np

gap = Graded()
look_at = Graded()
ablate = Graded()
restored = Graded()
patch_everywhere = Graded()
direct_effects = Graded()
prune = Graded()


# === The question in one number ===


@gap.part(1, "after the last token")
def _(answer, rng):
    logits, right, wrong = (
        rng.normal(size=(4, 6, 9)),
        rng.integers(9, size=4),
        rng.integers(9, size=4),
    )
    wrong = (right + 1 + wrong % 8) % 9
    got = given(answer(logits.copy(), right, wrong))
    expect(np.ndim(got) > 0, "this is one number: give a gap for each text, average later.")
    rows = np.arange(4)
    wanted = logits[rows, -1, right] - logits[rows, -1, wrong]
    if np.shape(got) == (4,):
        first = logits[rows, 0, right] - logits[rows, 0, wrong]
        expect(not np.allclose(got, first), "these are the gaps after the first token.")
        expect(not np.allclose(got, -wanted), "the sign is wrong: right minus wrong.")
    expect_close(got, wanted, "the gaps of four texts")


@gap.part(1, "it does not change when all logits rise")
def _(answer, rng):
    logits, right, wrong = rng.normal(size=(3, 2, 5)), np.array([0, 1, 2]), np.array([3, 4, 0])
    rise = rng.normal(size=(3, 2, 1))
    first = np.asarray(given(answer(logits.copy(), right, wrong)), float)
    expect_close(first.shape, (3,), "the shape of the gaps of three texts")
    wanted = logits[np.arange(3), -1, right] - logits[np.arange(3), -1, wrong]
    expect_close(answer(logits + rise, right, wrong), wanted, "the gaps with raised logits")


# === Where heads look ===


@look_at.part(1, "one head")
def _(answer, rng):
    weights = _maps(rng, 1, 3, 1, 6)
    places = np.zeros((3, 6), bool)
    places[[0, 1, 2], [1, 4, 0]] = True
    wanted = np.mean([weights[0][0, 0, -1, 1], weights[0][1, 0, -1, 4], weights[0][2, 0, -1, 0]])
    expect_close(
        answer(weights, places), [[wanted]], "the weight of one head, the mean of 3 texts,"
    )


@look_at.part(1, "all heads, and several places")
def _(answer, rng):
    weights, places = _maps(rng, 3, 4, 2, 7), rng.uniform(size=(4, 7)) < 0.4
    wanted = np.array(
        [[(w[:, n, -1] * places).sum(axis=1).mean() for n in range(2)] for w in weights]
    )
    got = given(answer(weights, places))
    expect(np.shape(got) != (2, 3), "the layers are the rows, the heads the columns.")
    expect_close(got, wanted, "the table of 3 layers and 2 heads")


def _maps(rng, layers, batch, heads, length):
    scores = rng.normal(size=(layers, batch, heads, length, length)) + 3
    weights = np.tril(np.exp(scores))
    return list(weights / weights.sum(axis=-1, keepdims=True))


# === Ablation ===


def _layer(rng, t=5, n=3, h=4, m=7):
    return rng.normal(size=(t, n, h)), rng.normal(size=(n * h, m)), rng.normal(size=m)


@ablate.part(1, "no head at all")
def _(answer, rng):
    outputs, kernel, bias = _layer(rng)
    wanted = outputs.reshape(5, -1) @ kernel + bias
    expect_close(answer(outputs.copy(), kernel, bias, []), wanted, "what the layer writes")


@ablate.part(1, "some heads write nothing")
def _(answer, rng):
    outputs, kernel, bias = _layer(rng)
    got, after = in_place(answer, outputs, kernel, bias, [0, 2])
    got = given(got)
    same = np.array_equal(after[0], outputs)
    expect(same, "the outputs that were given were changed: copy them.")
    silent = outputs.copy()
    silent[:, [0, 2]] = 0
    wanted = silent.reshape(5, -1) @ kernel + bias
    if np.shape(got) == wanted.shape:
        expect(not np.allclose(got, wanted - bias), "the bias is gone: it belongs to no head.")
    expect_close(got, wanted, "what the layer writes without heads 0 and 2")


@ablate.part(1, "or what they write on average")
def _(answer, rng):
    outputs, kernel, bias = _layer(rng)
    mean = outputs.copy()
    mean[:, 1] = outputs[:, 1].mean(axis=0)
    got = given(answer(outputs.copy(), kernel, bias, [1], by_mean=True))
    wanted = mean.reshape(5, -1) @ kernel + bias
    if np.shape(got) == wanted.shape:
        over_all = outputs.copy()
        over_all[:, 1] = outputs[:, 1].mean()
        over_all = over_all.reshape(5, -1) @ kernel + bias
        expect(not np.allclose(got, over_all), "the mean is over positions, for each number alone.")
    expect_close(got, wanted, "what the layer writes with the mean of head 1")


# === How much comes back ===


@restored.part(1, "0 for the corrupted run, 1 for the clean one")
def _(answer, rng):
    clean, corrupted = 3 + rng.uniform(size=2)[0], -2 - rng.uniform(size=2)[1]
    for share in (0.0, 1.0, 0.25):
        patched = corrupted + share * (clean - corrupted)
        got = given(answer(patched, clean, corrupted))
        expect_close(got, share, f"of a patch that comes {share:.0%} of the way, the share")


@restored.part(1, "tables of patches, and pairs without a difference")
def _(answer, rng):
    clean, corrupted = np.array([4.0, 2.0, 1.0]), np.array([-1.0, 0.5, 1.0])
    shares = rng.uniform(-0.2, 1.3, size=(2, 6, 3))
    patched = corrupted + shares * (clean - corrupted)
    with np.errstate(all="ignore"):
        got = np.asarray(given(answer(patched, clean, corrupted)), float)
    expect(got.shape == (2, 6, 3), f"the shape should be (2, 6, 3), but yours is {got.shape}.")
    expect_close(got[..., :2], shares[..., :2], "the shares of two pairs, at (2, 6) places,")
    expect(
        np.isnan(got[..., 2]).all(),
        "a pair in which clean and corrupted are alike has no share: give NaN there.",
    )


# === Patching ===


class _Machine:
    """A toy model of three states; it counts how often it ran."""

    def __init__(self, rng, t=5, m=4):
        self.weights, self.runs = rng.normal(size=(3, t, m)), []
        self.clean, self.corrupted = rng.normal(size=(2, 3, t, m))

    def __call__(self, layer, states):
        states = np.array(states, float)
        expect(states.shape == (5, 4), f"a state is (5, 4), but yours is {states.shape}.")
        self.runs.append((layer, states))
        return float((np.tanh(states) * self.weights[layer]).sum())

    def table(self):
        result = np.zeros((3, 5))
        for layer in range(3):
            for place in range(5):
                states = self.corrupted[layer].copy()
                states[place] = self.clean[layer][place]
                result[layer, place] = (np.tanh(states) * self.weights[layer]).sum()
        return result


def _ask_patch(answer, machine):
    got, (_, clean, corrupted) = in_place(answer, machine, machine.clean, machine.corrupted)
    got = given(got)
    expect_close(np.shape(got), (3, 5), "the shape of a table of 3 layers and 5 positions")
    same = np.array_equal(clean, machine.clean) and np.array_equal(corrupted, machine.corrupted)
    return np.asarray(got, float), same


@patch_everywhere.part(2, "each place, alone")
def _(answer, rng):
    machine = _Machine(rng)
    got, _ = _ask_patch(answer, machine)
    wanted = machine.table()
    swapped = _Machine(rng)
    swapped.weights, swapped.clean, swapped.corrupted = (
        machine.weights,
        machine.corrupted,
        machine.clean,
    )
    expect(
        not np.allclose(got, swapped.table()),
        "you put corrupted states into the clean run. It is the other way round.",
    )
    first_only = np.allclose(got[:, 0], wanted[:, 0]) and not np.allclose(got, wanted)
    expect(
        not first_only,
        "the first position is right and others are not: is each patch taken out again?",
    )
    expect_close(got, wanted, "the table")


@patch_everywhere.part(1, "the states that were given stay")
def _(answer, rng):
    machine = _Machine(rng)
    got, same = _ask_patch(answer, machine)
    expect(same, "the states that were given were changed: copy before you patch.")
    expect_close(got[:, 0], machine.table()[:, 0], "the first column of the table")


@patch_everywhere.part(1, "one run for each place, and no more")
def _(answer, rng):
    machine = _Machine(rng)
    got, _ = _ask_patch(answer, machine)
    expect(np.isfinite(got).all() and got.any(), "the table is empty.")
    expect(len(machine.runs) == 15, f"15 places need 15 runs, but yours took {len(machine.runs)}.")


# === What a head writes ===


@direct_effects.part(1, "one head")
def _(answer, rng):
    outputs, kernel, direction = (
        rng.normal(size=(1, 4)),
        rng.normal(size=(4, 6)),
        rng.normal(size=6),
    )
    expect_close(
        answer(outputs, kernel, direction), [outputs[0] @ kernel @ direction], "its effect"
    )


@direct_effects.part(1, "each head through its own rows")
def _(answer, rng):
    outputs, kernel, direction = (
        rng.normal(size=(3, 4)),
        rng.normal(size=(12, 6)),
        rng.normal(size=6),
    )
    wanted = [outputs[n] @ kernel[4 * n : 4 * n + 4] @ direction for n in range(3)]
    expect_close(answer(outputs, kernel, direction), wanted, "the effects of three heads")


@direct_effects.part(1, "together they are the whole")
def _(answer, rng):
    outputs, kernel, direction = (
        rng.normal(size=(5, 2)),
        rng.normal(size=(10, 8)),
        rng.normal(size=8),
    )
    got = np.asarray(given(answer(outputs, kernel, direction)), float)
    expect_close(got.shape, (5,), "the shape of the effects of five heads")
    expect_close(got.sum(), outputs.ravel() @ kernel @ direction, "the sum of the effects")


# === The circuit ===

HEADS = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]


def _toy_score(worth, asked):
    """Return a toy circuit: the two heads worth most bring the same, and one of them is enough."""
    twins = set(sorted(worth, key=worth.get)[-2:])

    def score(heads):
        heads = [tuple(head) for head in heads]
        expect(set(heads) <= set(HEADS), f"there are no such heads: {heads}.")
        asked.append(frozenset(heads))
        same = max([worth[head] for head in heads if head in twins], default=0.0)
        return same + sum(worth[head] for head in set(heads) - twins)

    return score


def _worth(rng):
    values = [0.5, 0.45, 0.4, 0.05, 0.03]
    return {
        HEADS[i]: v + 0.001 * rng.uniform() for i, v in zip(rng.permutation(5), values, strict=True)
    }


def _ask_prune(answer, worth, share):
    asked: list = []
    got = given(answer(_toy_score(worth, asked), list(HEADS), share))
    expect(isinstance(got, (list, tuple, set)), f"return a list of heads, not {got!r}.")
    heads = [tuple(head) for head in got]
    expect(set(heads) <= set(HEADS), f"there are no such heads: {heads}.")
    expect(asked, "`score` was never asked.")
    return sorted(heads)


@prune.part(2, "what is left still does it")
def _(answer, rng):
    worth = _worth(rng)
    for share in (0.85, 0.4):
        got = _ask_prune(answer, worth, share)
        expect(len(got) < len(HEADS), f"all heads are still in, and {share} was to be reached.")
        reached = _toy_score(worth, [])(got)
        expect(reached >= share, f"{got} reaches {reached:.2f}, and {share} was asked for.")


@prune.part(1, "and none of it can go")
def _(answer, rng):
    worth = _worth(rng)
    for share in (0.85, 0.4):
        got = _ask_prune(answer, worth, share)
        score = _toy_score(worth, [])
        spare = [head for head in got if score([h for h in got if h != head]) >= share]
        expect(not spare, f"of {got}, {spare[:1]} could still go: {share} would be reached.")
        expect(score(got) >= share, f"{got} does not reach {share}.")


@prune.part(1, "the one that costs least goes first")
def _(answer, rng):
    worth = _worth(rng)
    got = _ask_prune(answer, worth, 0.85)
    first, _, third = sorted(worth, key=worth.get)[:-4:-1]
    wanted = sorted([first, third])
    expect(
        got == wanted,
        f"{wanted} should be left, but yours is {got}: take out the head without which the "
        "score stays highest, look again, and so on.",
    )

"""Checks of the exercises in `10_hidden_states`."""

from falcon_edu.course.checks.exercise import exercise, expect, expect_close, given

import numpy as np


@exercise(
    wants="an array (p, q)",
    nudge="A cosine is a dot product of two vectors of length 1.",
    hint="Divide every row by its own length, `np.linalg.norm(rows, axis=-1, keepdims=True)`; "
    "then `@` gives all the products at once.",
    praise="Lengths don't matter to it, only directions.",
)
def cosines(answer):
    """Return the cosine of every row of one array with every row of another."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(3, 6)), rng.normal(size=(4, 6))
    got = answer(a.copy(), b.copy())
    wanted = (a @ b.T) / np.outer(np.sqrt((a**2).sum(1)), np.sqrt((b**2).sum(1)))
    if np.shape(got) == wanted.shape:
        close = np.allclose(got, a @ b.T)
        expect(not close, "these are dot products: the lengths of the rows are still in them.")
        scaled = answer(5 * a, b.copy())
        expect(
            np.allclose(scaled, got, atol=1e-6),
            "rows of five times the length give other cosines, but the direction is the same.",
        )
    expect_close(got, wanted, "the cosines of 3 rows with 4 rows")
    lying = np.array([[3.0, 4.0]])
    expect_close(answer(lying, np.eye(2)), [[0.6, 0.8]], "the cosines of (3, 4) with the two axes")
    same = answer(a.copy(), a.copy())
    expect_close(np.diag(same), np.ones(3), "the cosine of a row with itself")


@exercise(
    wants="an array (layers, t)",
    nudge="How many logits are above that of the true token, if it is the best? If it is the "
    "second?",
    hint="Pick the true token's logit with `np.take_along_axis` (give the ids the shape "
    "(1, t, 1)), and count with `>` and `.sum(axis=-1)` how many are above it.",
    praise="Rank 1 is the best guess.",
)
def ranks(answer):
    """Return the rank of the token that comes next, after every layer and token."""
    logits = np.array(
        [
            [[5.0, 3.0, 4.0, 1.0], [0.0, 1.0, 2.0, 3.0]],
            [[-4.0, -3.0, -1.0, -2.0], [9.0, 7.0, 8.0, 6.0]],
            [[0.1, 0.4, 0.3, 0.2], [2.0, 6.0, 4.0, 0.0]],
        ]
    )
    ids = np.array([1, 3])
    wanted = np.array([[3, 1], [3, 4], [1, 4]])
    got = answer(logits.copy(), ids.copy())
    if np.shape(got) == wanted.shape:
        got = np.asarray(got)
        expect(
            not np.array_equal(got, wanted - 1),
            "your best rank is 0. Ranks are counted from 1: add one for the token itself.",
        )
        expect(
            not np.array_equal(got, 5 - wanted),
            "your ranks count from the worst token: rank 1 is the one with the largest logit.",
        )
    expect_close(got, wanted, "the ranks after 3 layers and 2 tokens")
    got = answer(np.array([[[1.0, 2, 3], [3, 1, 2], [1, 3, 2]]]), np.array([0, 0, 0]))
    expect_close(got, [[3, 1, 3]], "the ranks after 1 layer and 3 tokens")


@exercise(
    wants="an array (pairs,)",
    nudge="Where on the way from the corrupted gap to the clean gap does the patched one stand?",
    hint="A gap is `logits[rows, names[:, 0]] - logits[rows, names[:, 1]]`. Ask of the patched gap "
    "how far it has come from the corrupted gap to the clean one.",
    praise="0 is the corrupted run, 1 the clean one.",
)
def restored(answer):
    """Return the share of the clean answer that a patch restores."""
    rng = np.random.default_rng(1)
    clean, corrupted = rng.normal(size=(2, 3, 7))
    names = np.array([[0, 3], [5, 1], [2, 6]])
    rows = np.arange(3)
    for logits, sign in ((clean, 1), (corrupted, -1)):
        logits[rows, names[:, 0]] += 4 * sign
        logits[rows, names[:, 1]] -= 3 * sign
    shares = np.array([0.257, 1.3, -0.2])  # a patch may do too much, and may do harm
    patched = corrupted + shares[:, None] * (clean - corrupted)
    arguments = [x.copy() for x in (patched, clean, corrupted, names)]
    got = answer(*arguments)
    if np.shape(got) == ():
        expect(got is not None, "nothing was returned.")
        expect(False, "your answer is one number: give a share for every pair, average later.")
    if np.shape(got) == (3,):
        expect(
            not np.allclose(got, np.clip(shares, 0, 1), atol=1e-4),
            "you cut the shares at 0 and 1. A patch may do more than the clean run, or harm: "
            f"here they are {shares.tolist()}.",
        )
        expect(
            not np.allclose(got, abs(shares), atol=1e-4),
            "the sign is lost: a patch that does harm restores less than nothing.",
        )
        expect(
            not np.allclose(got, 1 - shares, atol=1e-4),
            "your share is 1 for a patch that changes nothing: it should be 0 there.",
        )
        gaps = patched[rows, names[:, 0]] - patched[rows, names[:, 1]]
        expect(
            not np.allclose(got, gaps, atol=1e-4),
            "this is the gap after the patch, in logits: divide by the way from corrupted to "
            "clean to make it a share.",
        )
    expect_close(got, shares, "the shares of three pairs")
    one = np.eye(5)[[3]]
    got = answer(3 * one, 4 * one, -1 * one, np.array([[3, 0]]))
    expect_close(got, [0.8], "the share of a pair whose gaps are 4 clean, -1 corrupted, 3 patched")


@exercise(
    wants="a list of heads, pairs (layer, head)",
    nudge="What is the value of a head, if some heads are in the circuit already?",
    hint="In every round ask `restores(circuit + [head])` for each head that is not yet in, and "
    "add the best. Stop as soon as `restores(circuit) >= share`.",
    praise="Heads that bring the same thing count once.",
)
def find_circuit(answer):
    """Return the heads that a greedy search needs to restore a share of the answer."""
    heads = [(0, 0), (0, 1), (1, 0), (1, 1)]

    def restores(circuit):
        expect(
            isinstance(circuit, (list, tuple)) and set(circuit) <= set(heads),
            f"`restores` takes a list of heads such as [(0, 1)], but it was given {circuit!r}.",
        )
        # (0, 1) and (1, 1) bring the same thing; (1, 0) brings less, but another one.
        same = 0.6 if (0, 1) in circuit else 0.5 if (1, 1) in circuit else 0.0
        return same + 0.3 * ((1, 0) in circuit) + 0.01 * ((0, 0) in circuit)

    for share, wanted in ((0.85, [(0, 1), (1, 0)]), (0.55, [(0, 1)])):
        got = answer(restores, list(heads), share)
        expect(got is not None, "nothing was returned.")
        expect(
            isinstance(got, (list, tuple)) and all(tuple(head) in heads for head in got),
            f"the circuit should be a list of heads, but yours is {got!r}.",
        )
        got = [tuple(head) for head in got]
        expect(len(set(got)) == len(got), f"a head is in your circuit twice: {got}.")
        expect(
            not ({(0, 1), (1, 1)} <= set(got)),
            f"your circuit is {got}, but (0, 1) and (1, 1) bring the same thing. Choose each head "
            "by what it adds to those you have, not by what it does alone.",
        )
        reached = restores(got) if got else 0.0
        expect(
            reached >= share - 1e-9,
            f"your circuit {got} restores {reached:.2f}, and {share} was asked for.",
        )
        expect(
            len(got) <= len(wanted),
            f"your circuit {got} has more heads than it needs: {wanted} restore {share} already.",
        )
        expect(got == wanted, f"the circuit for {share} should be {wanted}, but yours is {got}.")
    _check_greed(answer)


def _check_greed(answer):
    """Let the best head alone be none of the best pair: greedy finds three, all subsets two."""
    values = {"a": 0.5, "b": 0.4, "c": 0.4, "ab": 0.6, "ac": 0.6, "bc": 1.0, "abc": 1.25}
    names = {(2, 0): "a", (2, 3): "b", (3, 1): "c"}

    def restores(circuit):
        return values.get("".join(sorted(names[tuple(head)] for head in circuit)), 0.0)

    got = [tuple(head) for head in given(answer(restores, list(names), 1.0))]
    expect(
        sorted(got) != [(2, 3), (3, 1)],
        f"your circuit {got} is the smallest, but the search goes step by step: it begins with "
        "the head that restores most alone, and takes none back.",
    )
    wanted = [(2, 0), (2, 3), (3, 1)]
    expect(got == wanted, f"the heads should come in the order {wanted}, but yours is {got}.")
    got = [tuple(head) for head in answer(restores, list(names), 0.5)]
    expect(
        got == wanted[:1],
        f"one head reaches 0.5 exactly, and that is enough: {wanted[:1]}, but yours is {got}.",
    )

"""Checks of notebook 20: a text of one's own."""

from falcon_edu.course.checks.exercise import described, exercise, expect, expect_close

import numpy as np


def _is(got, number):
    """True if a function returned this number."""
    try:
        return np.ndim(got) == 0 and bool(np.isclose(float(got), number, rtol=1e-4))
    except (TypeError, ValueError):
        return False


@exercise(
    wants="a number",
    nudge="How many bits do all tokens cost together? And how many bytes do they stand for?",
    hint="A token costs `np.log2(perplexity)` bits. Multiply by the tokens, and divide by "
    "`len(text.encode())`.",
    praise="Now two models with different tokenizers can be compared.",
)
def bits_per_byte(answer):
    """Exercise 20.1."""
    text = "The gull said: “Ça va?” – and went."
    size, bits = len(text.encode()), np.log2(9)
    got = answer(9.0, 12, text)
    expect(got is not None, "nothing was returned.")
    for wrong, why in (
        (12 * np.log(9) / size, "these are nats: a bit is a factor of 2, not of e."),
        (12 * bits / len(text), "you divide by characters, and some have several bytes."),
        (bits, "these are bits for each token."),
        (12 * bits, "these are the bits of the whole text."),
        (12 * 9 / size, "a perplexity is a number of choices, and bits are its logarithm."),
        (bits * size / 12, "tokens and bytes have changed places."),
    ):
        expect(not _is(got, wrong), why)
    expect_close(got, 12 * bits / size, "the bits for each byte")
    got = answer(1.5, 40, "An island.")
    expect_close(got, 40 * np.log2(1.5) / 10, "the bits for each byte of another text")


def _runs(text, size):
    words = text.split()
    return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}


def _near(texts, size, share):
    """Return the pairs of texts that have at least this share of their runs in common."""
    runs = [_runs(text, size) for text in texts]
    return [
        (i, j)
        for j in range(len(texts))
        for i in range(j)
        if runs[i] | runs[j] and len(runs[i] & runs[j]) >= share * len(runs[i] | runs[j])
    ]


def _pairs(got):
    """Return the pairs that a function returned, sorted."""
    expect(got is not None, "nothing was returned.")
    try:
        pairs = [(int(i), int(j)) for i, j in got]
    except (TypeError, ValueError):
        expect(False, f"a list of pairs of numbers is wanted, but yours is {described(got)}.")
    for i, j in pairs:
        expect(i != j, f"text {i} is paired with itself.")
        expect((j, i) not in pairs, f"{(min(i, j), max(i, j))} is there twice.")
        expect(i < j, f"the smaller number of a pair comes first: {(j, i)}.")
    return sorted(pairs)


SAYING = "the boat comes on tuesdays at seven if the sea lets it"
TEXTS = [
    SAYING,
    f"{SAYING} says dad",
    " ".join(reversed(SAYING.split())),
    "the boat comes on fridays at nine if the captain wants to",
    f"{SAYING} and nobody knows what it will bring but the captain who says nothing at all",
    "the boat",
    "a gull",
    f"at   night\n{SAYING}",
]
REASONS = {
    (0, 2): "texts 0 and 2 have the same words in another order, and so no run in common.",
    (0, 4): "text 0 is in text 4, but most runs of 4 are not in 0: divide by the runs of both "
    "together.",
    (5, 6): "texts 5 and 6 are too short to have a run: they have nothing in common.",
}


@exercise(
    wants="a list of pairs of numbers",
    nudge="Make a set of the runs of each text first. What do `&` and `|` do with two sets?",
    hint='`{" ".join(words[i : i + size]) for i in range(len(words) - size + 1)}` are the runs. A '
    "pair is near if the runs in both are at least `share` of the runs in either.",
    praise="On the web, this comes before every split, with hashes in place of the sets.",
)
def near_duplicates(answer):
    """Exercise 20.2."""
    for size, share in ((3, 0.5), (3, 0.95), (1, 0.6), (2, 0.8)):
        got, wanted = _pairs(answer(list(TEXTS), size, share)), _near(TEXTS, size, share)
        asked = f"with runs of {size} and a share of {share}"
        for pair, why in REASONS.items():
            expect(pair not in got or pair in wanted, f"{asked}, {why}")
        expect(got == sorted(wanted), f"{asked}, {sorted(wanted)} are near, but yours are {got}.")
    got = _pairs(answer(["red blue green", "red blue", "blue green gold"], 2, 0.5))
    expect(
        got == [(0, 1)],
        "texts with just the share in common are near, too: runs of 2 words and a share of 0.5 of "
        f"'red blue green', 'red blue', 'blue green gold' give [(0, 1)], but yours are {got}.",
    )


def _mixed(p, q):
    """Return the share of p with which the mixture makes everything most probable."""
    share = 0.5
    for _ in range(2000):
        share = np.mean(share * p / (share * p + (1 - share) * q))
    return share


@exercise(
    wants="a number from 0 to 1",
    nudge="Begin with a half. If p and q had made a byte in these shares, how probably was it p?",
    hint="`of_p = share * p / (share * p + (1 - share) * q)` for each byte; the new share is the "
    "mean of `of_p`. Go round until it stays.",
    praise="Each round makes the text more probable: this is expectation maximization.",
)
def mixing_share(answer):
    """Exercise 20.3."""
    rng = np.random.default_rng(0)
    p, q = rng.uniform(0.02, 1, (2, 300))
    q = q * 0.8
    got, wanted = answer(p.copy(), q.copy()), _mixed(p, q)
    expect(got is not None, "nothing was returned.")
    for wrong, why in (
        (1 - wanted, "this is the share of q."),
        (np.mean(p / (p + q)), "this is one round: the share that comes out is put in again."),
        (np.mean(p > q), "this counts where p is larger, and not by how much."),
        (1.0, "p alone is not the best: somewhere q knows more."),
        (0.0, "q alone is not the best: somewhere p knows more."),
        (0.5, "a half is where to begin."),
    ):
        expect(not _is(got, wrong), why)
    expect_close(got, wanted, "the share of p", tolerance=2e-3)
    expect_close(answer(q.copy(), p.copy()), 1 - wanted, "the share of the other", tolerance=2e-3)
    got = answer(p, p / 5)
    expect_close(got, 1, "where p is better at each byte, its share", tolerance=2e-3)

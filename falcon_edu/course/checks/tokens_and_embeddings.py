"""Checks of notebook 01: tokens, embeddings and the tied head."""

from falcon_edu.course.checks.exercise import exercise, expect, expect_close, given
from falcon_edu.text.byte_level import byte_alphabet
from falcon_edu.text.tokenizer import FalconTokenizer

import numpy as np


def _tokenizer(*merges):
    """Return a tokenizer with a few merges, such as "k i"."""
    tokens = ["<|endoftext|>", *byte_alphabet().values(), *(m.replace(" ", "") for m in merges)]
    return FalconTokenizer({token: i for i, token in enumerate(tokens)}, list(merges))


@exercise(
    wants="a number",
    nudge="Count two things, the bytes and the tokens. Which of them is divided by which?",
    hint="`len(text.encode())` is the number of bytes, `len(tokenizer(text))` that of tokens.",
    praise="The more bytes a token holds, the shorter the text is for the model.",
)
def bytes_per_token(answer):
    """Exercise 1.1."""
    tokenizer = _tokenizer("k i", "t e")
    got = given(answer(tokenizer, "kitekite"))
    expect(
        not np.array_equal(got, 0.5), "these are the tokens for a byte, not the bytes for a token."
    )
    expect_close(got, 2, 'the bytes per token of "kitekite", cut into ki|te|ki|te,')
    got = answer(tokenizer, "ëkite")
    expect(
        not np.array_equal(got, 1.25),
        'in "ëkite" you seem to count characters, but ë is two bytes.',
    )
    expect_close(got, 6 / 4, 'the bytes per token of "ëkite"')
    expect_close(answer(tokenizer, "kitea"), 5 / 3, 'the bytes per token of "kitea"')
    got = answer(_tokenizer("a t"), "kitea")
    expect_close(got, 1, 'the bytes per token of "kitea", with a tokenizer that only joins a|t,')


@exercise(
    wants="a text",
    nudge="At which moment are the bytes of a character together again?",
    hint='Join first, `b"".join(pieces)`, and then decode the whole with `errors="replace"`.',
    praise="Bytes can be joined at any place; characters can't.",
)
def decode(answer):
    """Exercise 1.2."""
    got = given(answer([b" Tom", b" ran"]))
    expect(isinstance(got, str), f"a text is wanted, but yours is of type {type(got).__name__}.")
    expect(got == " Tom ran", f"b' Tom', b' ran' should give ' Tom ran', but yours is {got!r}.")
    try:
        whole, broken = answer([b"\xf0\x9f", b"\xaa", b"\x81!"]), answer([b"a ", b"\xf0\x9f"])
    except UnicodeDecodeError as error:
        expect(False, f"some bytes are no whole character, and decoding them failed: {error}.")
    expect(
        whole == "🪁!",
        f"three tokens hold the four bytes of a kite and a '!', but yours is {whole!r}.",
    )
    expect(
        broken == "a \ufffd",
        f"half a kite after 'a ' should give 'a \ufffd', but yours is {broken!r}.",
    )


@exercise(
    wants='a list of pairs of strings, such as [("t", "h")]',
    nudge="After a merge some pairs are gone and others are new. When do you count?",
    hint="Loop: count all pairs anew, weighted by how often the word occurs; take "
    "`min(pairs, key=lambda pair: (-pairs[pair], pair))`; merge it in every word.",
    praise="With some more words and merges, this is how Falcon's vocabulary was learned.",
)
def learn_merges(answer):
    """Exercise 1.3."""

    def ask(words, count):
        merges = list(given(answer(dict(words), count)))
        for pair in merges:
            expect(
                isinstance(pair, (tuple, list, np.ndarray))
                and len(pair) == 2
                and all(isinstance(part, str) for part in pair),
                f"a merge is a pair of strings, such as ('c', 'd'), but one of yours is {pair!r}.",
            )
        return [tuple(pair) for pair in merges]

    got = ask({"ab": 1, "cd": 3, "abe": 1}, 1)
    expect(
        got != [("a", "b")],
        '"cd" occurs three times, "ab" only in two words that occur once: count each word '
        "as often as it occurs.",
    )
    expect(got == [("c", "d")], f"the first merge should be ('c', 'd'), but yours is {got}.")
    got = ask({"that": 4, "hat": 2, "at": 1, "thin": 1}, 3)
    wanted = [("a", "t"), ("h", "at"), ("t", "hat")]
    expect(len(got) == len(wanted), f"three merges were wanted, but yours are {len(got)}: {got}.")
    expect(
        ("h", "a") not in got,
        "once 'a' and 't' are merged, no 'h' has an 'a' beside it: merge, then count anew.",
    )
    expect(
        got == wanted,
        f"of that ×4, hat ×2, at ×1, thin ×1 the merges should be {wanted}, but yours are {got}.",
    )
    got = ask({"ba": 2, "ab": 2}, 1)
    expect(
        got == [("a", "b")],
        f"of two equally frequent pairs take the first of the alphabet, ('a', 'b'), not {got}.",
    )
    wanted = [("h", "a"), ("a", "t"), ("ha", "t")]
    got = ask({"ha": 5, "at": 4, "hat": 3}, 3)
    expect(
        got == wanted,
        f"of ha ×5, at ×4, hat ×3 the merges should be {wanted}, but yours are {got}. Mind that "
        "'ha' ends with an 'a', but is another piece: ('a', 't') does not join it.",
    )
    wanted = [("c", "b"), ("b", "a"), ("cb", "cb")]
    got = ask({"cbcb": 2, "ba": 3}, 3)
    expect(
        got == wanted,
        f"of cbcb ×2, ba ×3 the merges should be {wanted}, but yours are {got}. A word may have "
        "a pair twice: it counts twice, and is merged at both places.",
    )
    wanted = [("a", "a"), ("a", "b")]
    got = ask({"aaab": 1}, 2)
    expect(
        got == wanted,
        f"of aaab the merges should be {wanted}, but yours are {got}. A word is merged from the "
        "left, into aa|a|b.",
    )
    got = ask({"ab": 1}, 5)
    expect(got == [("a", "b")], f'"ab" has one pair, so one merge, but yours are {got}.')


@exercise(
    wants="an array (v, m)",
    nudge="Go by way of the logits: what does the loss change by with each logit, and a logit "
    "with each number of the table?",
    hint="The gradient with respect to the logits is `p`, less 1 at the target. A logit is a row "
    "times `hidden`, so each row's gradient is its number in that vector, times `hidden`.",
    praise="A row that is not the target gets `p[row] * hidden`, with p > 0: every step pushes it "
    "away from `hidden`, and all unseen rows alike.",
)
def head_gradient(answer):
    """Exercise 1.4."""
    for v, m, target in ((5, 3, 2), (4, 2, 0)):
        rng = np.random.default_rng(v)
        hidden, table = rng.normal(size=m), rng.normal(size=(v, m))
        powers = np.exp(table @ hidden)
        p = powers / powers.sum()
        wanted = np.outer(p - np.eye(v)[target], hidden)
        got = np.asarray(given(answer(hidden.copy(), table.copy(), target)))
        if got.shape == wanted.shape:
            expect(
                not np.allclose(got, -wanted),
                "this is the step, not the gradient: the sign is the other way round.",
            )
            expect(
                not np.allclose(got, np.outer(p, hidden)),
                "the row of the target is wrong: it is the one that the loss wants larger.",
            )
        expect_close(got, wanted, f"the gradient for v = {v}, m = {m} and target {target}")

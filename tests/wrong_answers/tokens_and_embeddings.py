"""What learners plausibly answer in notebook 01, and should not get away with."""

from collections import Counter
from itertools import pairwise

import numpy as np


def merges_once(words, count):
    """All pairs of single letters, without merging any."""
    pairs = Counter()
    for word, times in words.items():
        for pair in pairwise(word):
            pairs[pair] += times
    return sorted(pairs, key=lambda pair: (-pairs[pair], pair))[:count]


def learn(words, count, weight=lambda times: times, key=lambda pairs, pair: (-pairs[pair], pair)):
    pieces, merges = {word: list(word) for word in words}, []
    while len(merges) < count:
        pairs = Counter()
        for word, times in words.items():
            for pair in pairwise(pieces[word]):
                pairs[pair] += weight(times)
        if not pairs:
            break
        best = min(pairs, key=lambda pair: key(pairs, pair))
        merges.append(best)
        for word, old in pieces.items():
            text = "\n".join(["", *old, ""])
            joined = text.replace(f"\n{best[0]}\n{best[1]}\n", f"\n{best[0]}{best[1]}\n")
            pieces[word] = joined.strip("\n").split("\n")
    return merges


def joins_across_pieces(words, count):
    """Replaces text, and so joins a piece that ends with an "a" to a "t" that follows."""
    spelled, merges = {" ".join(word): times for word, times in words.items()}, []
    for _ in range(count):
        pairs = Counter()
        for word, times in spelled.items():
            for pair in pairwise(word.split()):
                pairs[pair] += times
        if pairs:
            merges.append(min(pairs, key=lambda pair: (-pairs[pair], pair)))
            old, new = " ".join(merges[-1]), "".join(merges[-1])
            spelled = {word.replace(old, new): times for word, times in spelled.items()}
    return merges


def places_from_the_right(pieces, pair):
    """The places of a pair, where a run of it is cut from the end."""
    places, i = [], len(pieces) - 2
    while i >= 0:
        if (pieces[i], pieces[i + 1]) == pair:
            places.append(i)
            i -= 1
        i -= 1
    return places


def learn_by_places(words, count, places, counts=list):
    """Merges where `places(pieces, pair)` says so; `counts` what it counts of a word's pairs."""
    pieces, merges = {word: list(word) for word in words}, []
    while len(merges) < count:
        pairs = Counter()
        for word, times in words.items():
            for pair in counts(pairwise(pieces[word])):
                pairs[pair] += times
        if not pairs:
            break
        merges.append(min(pairs, key=lambda pair: (-pairs[pair], pair)))
        for old in pieces.values():
            for i in places(old, merges[-1]):
                old[i : i + 2] = ["".join(merges[-1])]
    return merges


def softmax(logits):
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


WRONG = {
    "bytes_per_token": {
        "counts characters": lambda tokenizer, text: len(text) / len(tokenizer(text)),
        "the inverse": lambda tokenizer, text: len(tokenizer(text)) / len(text.encode()),
        "the number of tokens": lambda tokenizer, text: len(tokenizer(text)),
        "rounds": lambda tokenizer, text: round(len(text.encode()) / len(tokenizer(text)), 1),
        "rounds down": lambda tokenizer, text: len(text.encode()) // len(tokenizer(text)),
        "a text": lambda tokenizer, text: f"{len(text.encode()) / len(tokenizer(text)):.6f}",
        "words instead of tokens": lambda tokenizer, text: len(text.encode()) / len(text.split()),
    },
    "decode": {
        "decodes each token": lambda pieces: "".join(p.decode(errors="replace") for p in pieces),
        "leaves out what is broken": lambda pieces: b"".join(pieces).decode(errors="ignore"),
        "fails on what is broken": lambda pieces: b"".join(pieces).decode(),
        "one character for each byte": lambda pieces: b"".join(pieces).decode("latin-1"),
        "puts spaces between tokens": lambda pieces: b" ".join(pieces).decode(errors="replace"),
        "loses a space in front": lambda pieces: b"".join(pieces).decode(errors="replace").strip(),
        "returns bytes": lambda pieces: b"".join(pieces),
    },
    "learn_merges": {
        "counts each word once": lambda words, count: learn(words, count, weight=lambda times: 1),
        "never merges": merges_once,
        "takes the last of equals": lambda words, count: learn(
            words, count, key=lambda pairs, pair: (-pairs[pair], *(-ord(p[0]) for p in pair))
        ),
        "takes the rarest": lambda words, count: learn(
            words, count, key=lambda pairs, pair: (pairs[pair], pair)
        ),
        "as lines of a file": lambda words, count: [" ".join(p) for p in learn(words, count)],
        "as joined texts": lambda words, count: ["".join(p) for p in learn(words, count)],
        "joins across pieces": joins_across_pieces,
        "counts a pair once in a word": lambda words, count: learn_by_places(
            words, count, places_from_the_right, counts=set
        ),
        "merges one place in a word": lambda words, count: learn_by_places(
            words, count, lambda old, pair: places_from_the_right(old, pair)[-1:]
        ),
        "merges from the right": lambda words, count: learn_by_places(
            words, count, places_from_the_right
        ),
        "stops after one": lambda words, count: learn(words, 1),
    },
    "head_gradient": {
        "forgets the target": lambda h, table, target: np.outer(softmax(table @ h), h),
        "the sign of the step": lambda h, table, target: np.outer(
            np.eye(len(table))[target] - softmax(table @ h), h
        ),
        "transposed": lambda h, table, target: np.outer(
            h, softmax(table @ h) - np.eye(len(table))[target]
        ),
        "only the target's row": lambda h, table, target: np.outer(
            np.eye(len(table))[target] * (softmax(table @ h) - 1), h
        ),
        "no softmax": lambda h, table, target: np.outer(table @ h - np.eye(len(table))[target], h),
    },
}

"""Solutions to notebook 01: tokens and embeddings."""

from collections import Counter
from itertools import pairwise

import numpy as np


def bytes_per_token(tokenizer, text):
    return len(text.encode()) / len(tokenizer(text))


def decode(pieces):
    return b"".join(pieces).decode(errors="replace")


def learn_merges(words, count):
    pieces, merges = {word: list(word) for word in words}, []
    while len(merges) < count:
        pairs = Counter()
        for word, times in words.items():
            for pair in pairwise(pieces[word]):
                pairs[pair] += times
        if not pairs:
            break
        merges.append(min(pairs, key=lambda pair: (-pairs[pair], pair)))
        pieces = {word: _merge(pieces[word], merges[-1]) for word in words}
    return merges


def _merge(pieces, pair):
    merged = []
    for piece in pieces:
        if merged and (merged[-1], piece) == pair:
            merged[-1] += piece
        else:
            merged.append(piece)
    return merged


def head_gradient(hidden, table, target):
    logits = table @ hidden
    powers = np.exp(logits - logits.max())
    surprise = powers / powers.sum()  # (v,)
    surprise[target] -= 1
    return np.outer(surprise, hidden)  # (v, m)

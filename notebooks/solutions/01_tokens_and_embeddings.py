"""Solutions to notebook 01: tokens and embeddings."""

from collections import Counter
from itertools import pairwise

import numpy as np


# 1.1: BPE merges bytes, so bytes are what a token is made of, and there is one id for each token.
# Counting characters, `len(text)`, gives the same for plain English and too little for *Zoë* or a
# kite.
def bytes_per_token(tokenizer, text):
    return len(text.encode()) / len(tokenizer(text))


# 1.2: The bytes are joined first, because those of one character may lie in two tokens. Decoding
# token by token makes a replacement character of each half. `errors="replace"` is for bytes that
# make no character even when they are joined: without it, `decode` raises an error.
def decode(pieces):
    return b"".join(pieces).decode(errors="replace")


# 1.3: The most frequent pair is merged in every word before pairs are counted again, because the
# next merge may use what this one made. The key `(-count, pair)` puts the most frequent pair
# first, and of equals the one that comes first in the alphabet. A word counts as often as it
# occurs: whoever counts each word once learns other merges.
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


# 1.4: The loss changes with logit $i$ at the rate `p[i]`, less 1 at the target, and logit $i$ is
# row $i$ times `hidden`: so the gradient of each row is that rate times `hidden`, and all rows
# together are an outer product. A step against it pulls the target's row towards `hidden`, and
# pushes every other row away from it, by the probability of its token. Without the 1, the right
# token would be pushed away, too.
def head_gradient(hidden, table, target):
    logits = table @ hidden
    powers = np.exp(logits - logits.max())
    surprise = powers / powers.sum()  # (v,)
    surprise[target] -= 1
    return np.outer(surprise, hidden)  # (v, m)

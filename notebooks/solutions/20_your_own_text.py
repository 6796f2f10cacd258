"""Solutions to notebook 20: your own text."""

import numpy as np


# 20.1: The logarithm of a perplexity is what one token costs, to base 2 in bits. All tokens
# together cost so many times as much, and the bytes of the text share it. Characters are not
# bytes: a curly quote has three.
def bits_per_byte(perplexity, tokens, text):
    return tokens * np.log2(perplexity) / len(text.encode())


# 20.2: Two texts are compared by their sets of runs. What they have in common is divided by what
# they have together (Jaccard 1901), so a short text that stands in a long one is not its double.
# Two texts without a run have nothing in common, and nothing to divide by. For millions of texts
# this is too slow; MinHash (Broder 1997) estimates the same share from a few hashes of each.
def near_duplicates(texts, size, share):
    runs = []
    for text in texts:
        words = text.split()
        runs.append({" ".join(words[i : i + size]) for i in range(len(words) - size + 1)})
    near = []
    for j, second in enumerate(runs):
        for i, first in enumerate(runs[:j]):
            if first | second and len(first & second) >= share * len(first | second):
                near.append((i, j))
    return near


# 20.3: With a share one can say of each byte how probably it came from p. The mean of that is a
# better share. What it is at its best is not how often p is larger, for a byte that q holds to be
# impossible counts more than many on which both nearly agree.
def mixing_share(p, q):
    share = 0.5
    for _ in range(500):
        of_p = share * p / (share * p + (1 - share) * q)
        share = of_p.mean()
    return share

"""Plausible wrong answers to the exercises of `20_your_own_text`."""

import numpy as np


def runs_of(text, size):
    words = text.split()
    return {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}


def compared(near):
    """An answer that pairs texts by their runs: `near(first, second, share)`."""

    def answer(texts, size, share):
        runs = [runs_of(text, size) for text in texts]
        count = range(len(texts))
        return [(i, j) for j in count for i in count[:j] if near(runs[i], runs[j], share)]

    return answer


def jaccard(a, b):
    return len(a & b) / max(len(a | b), 1)


def by_words(texts, size, share):
    words = [set(text.split()) for text in texts]
    count = range(len(texts))
    return [(i, j) for j in count for i in count[:j] if jaccard(words[i], words[j]) >= share]


def by_characters(texts, size, share):
    runs = [{text[i : i + size] for i in range(len(text) - size + 1)} for text in texts]
    count = range(len(texts))
    return [(i, j) for j in count for i in count[:j] if jaccard(runs[i], runs[j]) >= share]


def each_way(texts, size, share):
    runs = [runs_of(text, size) for text in texts]
    count = range(len(texts))
    return [(i, j) for i in count for j in count if i != j and jaccard(runs[i], runs[j]) >= share]


def with_itself(texts, size, share):
    runs = [runs_of(text, size) for text in texts]
    count = range(len(texts))
    return [(i, j) for j in count for i in count[: j + 1] if jaccard(runs[i], runs[j]) >= share]


def rounds(p, q, count):
    share = 0.5
    for _ in range(count):
        share = np.mean(share * p / (share * p + (1 - share) * q))
    return share


WRONG = {
    "bits_per_byte": {
        "nats": lambda perplexity, tokens, text: tokens * np.log(perplexity) / len(text.encode()),
        "by characters": lambda perplexity, tokens, text: tokens * np.log2(perplexity) / len(text),
        "per token": lambda perplexity, tokens, text: np.log2(perplexity),
        "of the whole text": lambda perplexity, tokens, text: tokens * np.log2(perplexity),
        "no logarithm": lambda perplexity, tokens, text: tokens * perplexity / len(text.encode()),
        "upside down": lambda perplexity, tokens, text: (
            np.log2(perplexity) * len(text.encode()) / tokens
        ),
        "words": lambda perplexity, tokens, text: tokens * np.log2(perplexity) / len(text.split()),
    },
    "near_duplicates": {
        "the words alone": by_words,
        "runs of characters": by_characters,
        "each pair twice": each_way,
        "each with itself": with_itself,
        "by the smaller one": compared(
            lambda a, b, share: bool(a and b) and len(a & b) >= share * min(len(a), len(b))
        ),
        "more than the share": compared(lambda a, b, share: jaccard(a, b) > share),
        "two that have no run": compared(lambda a, b, share: len(a & b) >= share * len(a | b)),
        "any run in common": compared(lambda a, b, share: bool(a & b)),
    },
    "mixing_share": {
        "one round": lambda p, q: rounds(p, q, 1),
        "three rounds": lambda p, q: rounds(p, q, 3),
        "of the other": lambda p, q: 1 - rounds(p, q, 500),
        "how often it is larger": lambda p, q: np.mean(p > q),
        "the better one alone": lambda p, q: float(np.log(p).sum() > np.log(q).sum()),
        "a half": lambda p, q: 0.5,
        "by the costs": lambda p, q: np.log(q).sum() / (np.log(p).sum() + np.log(q).sum()),
        "by the sums": lambda p, q: p.sum() / (p.sum() + q.sum()),
    },
}

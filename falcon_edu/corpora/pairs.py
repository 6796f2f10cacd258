"""Draw starts of tales in pairs that differ in who gives, for activation patching."""

import re
from dataclasses import dataclass
from itertools import islice

from falcon_edu.corpora.drawing import tale_stream
from falcon_edu.corpora.judging import NO_NAMES, begins_sentences
from falcon_edu.corpora.pools import first_word
from falcon_edu.corpora.reading import next_words

ASKED = ("receiver", "thanked")
_THANKS = ' "Thank you,'
# Fewer names than `names_in` knows: the pairs of a seed shall stay what they were.
_NAME = r"(?:(?:van|de|von|al) )?[A-ZÀ-ÖØ-ÞĀ-Ž][^\W\d_]*(?:['’-][A-ZÀ-ÖØ-Þ][^\W\d_]*)*"
_NAMED = re.compile(r"(?<![.!?\"“] )(?<!^)(?<![\"“])" + _NAME)
_STARTS = re.compile(r'(?:^|(?<=[.!?"] ))(?=["A-Z])')


@dataclass(frozen=True, slots=True)
class MinimalPair:
    """Two starts of a tale that differ in who gives, and so in the name that must come.

    Args:
        clean, corrupted: the texts, up to the name.
        clean_answer, corrupted_answer: the names that the grammar forces there.
        clean_last, corrupted_last: the names that were said last.
    """

    clean: str
    corrupted: str
    clean_answer: str
    corrupted_answer: str
    clean_last: str
    corrupted_last: str


def minimal_pairs(count, seed=0, asked="receiver"):
    """Draw pairs in which one of two children gives something to the other.

    The two questions tell apart what one of them can't. After "Mia picked it up and gave it to",
    the name that must come is not the one said last, which is the giver's. After "Mia gave Tom a
    coat. "Thank you,", it is not the one said last either, but that is the receiver's.

    Args:
        count: how many pairs.
        seed: an int.
        asked: "receiver" for texts up to who gets a thing, "thanked" for texts up to who is
            thanked, the giver.

    Returns:
        A list of `MinimalPair`.

    Raises:
        ValueError: `asked` is neither.

    >>> pair = minimal_pairs(1, asked="thanked")[0]
    >>> pair.clean_answer == pair.corrupted_last and pair.clean_last == pair.corrupted_answer
    True

    Wang et al. 2022, https://arxiv.org/abs/2211.00593.
    """
    if asked not in ASKED:
        raise ValueError(f"asked must be one of {ASKED}, but it is {asked!r}.")
    pairs = (pair for tale in tale_stream(seed) for pair in _pairs_of(tale, asked))
    return list(islice(pairs, count))


def _pairs_of(tale, asked):
    if (" picked " if asked == "receiver" else _THANKS) not in tale.text:
        return
    for end, kind, answer in tale.candidates:
        clean = tale.text[: end - len(answer)].rstrip(" ")
        is_thanked = clean.endswith(_THANKS)
        if is_thanked != (asked == "thanked") or not (is_thanked or kind == "receiver"):
            continue
        start = [m.start() for m in _STARTS.finditer(clean.removesuffix(_THANKS))][-1]
        named = _named_in(clean[start:])
        others = [name for name in named if name != answer]
        if len(others) != 1 or not clean[start:].startswith(tuple(named)):
            continue
        both = (answer, others[0])
        corrupted = clean[:start] + _swapped(clean[start:], *both)
        lasts = [max(both, key=text.rfind) for text in (clean, corrupted)]
        firsts = [first_word(name) for name in both]
        if firsts[0] == firsts[1] or lasts != [*both[::-1]]:
            continue
        # Reading takes most of the time, so it comes last: the word is forced in both texts.
        if any(fact.end == end for fact in tale.facts) and _follow(corrupted) == firsts[1:]:
            yield MinimalPair(clean, corrupted, *both, *lasts)


def _named_in(sentence):
    """Return the different names in a sentence, in order."""
    first = re.match(_NAME, sentence.lstrip('"“ '))
    named = [first[0]] if first and not begins_sentences(first[0]) else []
    named += [match[0] for match in _NAMED.finditer(sentence)]
    return [name for name in dict.fromkeys(named) if name not in NO_NAMES]


def _follow(text):
    """Return the words that may follow, none where the grammar can't tell the text."""
    try:
        return list(next_words(text))
    except ValueError:
        return []


def _swapped(text, one, other):
    """Return a text with two names in each other's place."""
    return re.sub(
        rf"\b(?:{re.escape(one)}|{re.escape(other)})\b",
        lambda match: other if match[0] == one else one,
        text,
    )

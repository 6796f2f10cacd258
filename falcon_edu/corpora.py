"""The tales: children's stories whose ground truth and exact probability are known.

`tales` draws them, `log_prob` and `next_words` say what the grammar knows, `to_captain` retells
them in a second voice. How they come about: `tellers.py`, `grammar.py`;
the words and sentences: `tales.py`.
"""

import math
import random
import re
import zlib
from dataclasses import dataclass
from itertools import islice

from falcon_edu import grammar, tellers
from falcon_edu import tales as data

VOICES = ("plain", "captain")
SPLITS = ("train", "held_out", None)

# === Drawing ===


@dataclass(frozen=True, slots=True)
class Fact:
    """A word of a tale that the text before it forces.

    Args:
        start, end: where the word is, in characters of the text.
        kind: what has to be known: "name", "receiver", "holder", "away", "object", "color",
            "place", "pronoun", "count", or "word" for any other that comes again.
        answer: the word.
    """

    start: int
    end: int
    kind: str
    answer: str


@dataclass(frozen=True, slots=True)
class Tale:
    """A tale with its ground truth.

    Args:
        text: the tale.
        log_prob: natural logarithm of the probability that the grammar tells exactly this tale.
        facts: the words that are forced, in order.
    """

    text: str
    log_prob: float
    facts: tuple[Fact, ...]


def tale_stream(seed=0, voice="plain", events=None, split="train"):
    """Draw tales without end.

    Args:
        seed: an int. The same seed gives the same tales with every Python on every platform.
        voice: "plain", or "captain" for the same tales as an old sailor tells them.
        events: how many events each tale has, for tales as long as you like; None lets the grammar
            choose one to four.
        split: "train", "held_out", or None for both. A checksum of the plain text decides which
            tales are held out, one in five: whatever the seeds, no training tale is among them.

    Returns:
        An iterator of `Tale`.

    >>> tale = next(tale_stream(seed=1))
    >>> all(tale.text[fact.start : fact.end] == fact.answer for fact in tale.facts)
    True
    """
    _check("voice", voice, VOICES)
    _check("split", split, SPLITS)
    if events is not None and not (isinstance(events, int) and events >= 0):
        raise ValueError(f"events must be None or an int from 0 on, but it is {events!r}.")
    return _stream(random.Random(seed).random, voice, events, split)


def _stream(draw, voice, events, split):
    while True:
        sampler = tellers.Sampler(draw)
        grammar.tell(sampler, events)
        text = "".join(sampler.said)
        held_out = zlib.crc32(text.encode()) % 5 == 0
        if split is None or held_out == (split == "held_out"):
            facts = (Fact(end - len(word), end, kind, word) for end, kind, word in sampler.facts)
            tale = Tale(text, sampler.log_prob, tuple(facts))
            yield tale if voice == "plain" else _retell(tale)


def tales(count, seed=0, voice="plain", events=None, split="train"):
    """Draw a number of tales.

    Args:
        count: how many.
        seed, voice, events, split: as `tale_stream` takes them.

    Returns:
        A list of `Tale`.

    >>> tales(2) == tales(3)[:2]
    True
    """
    return list(islice(tale_stream(seed, voice, events, split), count))


def _check(name, value, choices):
    if value not in choices:
        raise ValueError(f"{name} must be one of {choices}, but it is {value!r}.")


# === Reading ===


def log_prob(text, voice="plain", events=None):
    """Return the natural logarithm of the probability that the grammar tells exactly this text.

    Args:
        text: a whole tale.
        voice: the voice it is told in.
        events: the number of events, where that was given when the tale was drawn.

    Returns:
        A float; -inf for a text that the grammar can't tell.

    >>> tale = tales(1)[0]
    >>> abs(log_prob(tale.text) - tale.log_prob) < 1e-9
    True
    >>> log_prob("Once upon a time, there was a transformer.")
    -inf
    """
    _check("voice", voice, VOICES)
    if voice == "captain":
        told, text = text, from_captain(text)
        if to_captain(text) != told:
            return -math.inf
    return _log_sum([log for log, word in tellers.readings(text, events) if not word])


def next_words(prefix, events=None):
    """Return the exact probability of every word that may come next.

    A punctuation mark is a word of its own; so is the `'s` of "Mia's".

    Args:
        prefix: the start of a plain tale, up to the end of a word; "" for the first word.
        events: the number of events, where it is given.

    Returns:
        A dictionary from word to probability, likeliest first; the word "" is the tale's end.

    Raises:
        ValueError: no tale starts like this.

    >>> {word: round(chance, 3) for word, chance in next_words("One sunny May").items()}
    {'afternoon': 0.333, 'day': 0.333, 'morning': 0.333}
    """
    logs: dict[str, list[float]] = {}
    for log, word in tellers.readings(prefix.rstrip(" "), events):
        logs.setdefault(word, []).append(log)
    if not logs:
        raise ValueError(f"No tale starts with {prefix[-80:]!r}: take the start of a drawn one.")
    total = _log_sum([log for word_logs in logs.values() for log in word_logs])
    chances = {word: math.exp(_log_sum(word_logs) - total) for word, word_logs in logs.items()}
    return dict(sorted(chances.items(), key=lambda item: (-item[1], item[0])))


def _log_sum(logs):
    highest = max(logs, default=-math.inf)
    if highest == -math.inf:
        return highest
    return highest + math.log(math.fsum(math.exp(log - highest) for log in logs))


# === Minimal pairs ===


@dataclass(frozen=True, slots=True)
class MinimalPair:
    """Two starts of a tale that differ in one word, who gives, and so in who must receive.

    Args:
        clean, corrupted: the texts, up to the receiver's name.
        clean_answer, corrupted_answer: the names that the grammar forces there.
    """

    clean: str
    corrupted: str
    clean_answer: str
    corrupted_answer: str


def minimal_pairs(count, seed=0):
    """Draw starts of tales for activation patching, in pairs.

    Both are right: one of two children finds a thing and gives it to the other. The task is
    indirect object identification (Wang et al. 2022, https://arxiv.org/abs/2211.00593).

    Args:
        count: how many pairs.
        seed: an int.

    Returns:
        A list of `MinimalPair`.

    >>> pair = minimal_pairs(1)[0]
    >>> changed = zip(pair.clean.split(), pair.corrupted.split(), strict=True)
    >>> [words for words in changed if words[0] != words[1]] == [
    ...     (pair.corrupted_answer, pair.clean_answer)
    ... ]
    True
    """
    pairs = (pair for tale in tale_stream(seed) for pair in _pairs_of(tale))
    return list(islice(pairs, count))


def _pairs_of(tale):
    for fact in tale.facts:
        start = tale.text[: fact.start].rstrip()
        before, _, sentence = start.rpartition(". ")
        givers = [name for name in re.findall(r"\w+", sentence) if name in grammar.NAMES]
        # Whoever picks a thing up was free to; a giver who held it before could not be another.
        if fact.kind != "receiver" or " picked " not in sentence or len(givers) != 1:
            continue
        swapped = f"{before}. {re.sub(givers[0], fact.answer, sentence)}"
        try:
            possible = next_words(swapped)
        except ValueError:
            continue
        if list(possible) == givers:
            yield MinimalPair(start, swapped, fact.answer, givers[0])


# === The captain ===

_WORD = re.compile(r"[A-Za-z']+")


def _vocabulary():
    literal = [re.sub(r"\{[^}]*\}", " ", pattern.text) for pattern in grammar.PATTERNS]
    pronouns = [word for forms in grammar.PRONOUNS.values() for word in forms.values()]
    places = [*data.PLACES.values(), *data.SPOTS.values()]
    lists = [word for words in grammar.LISTS.values() for word in words]
    names = [*grammar.NAMES, *data.OBJECTS, *grammar.NUMBERS[1:], "a", "an"]
    texts = [*literal, *pronouns, *places, *lists, *names]
    return frozenset(word for text in texts for word in _WORD.findall(text))


def _captain_word(word):
    lower = word.lower()
    if word in grammar.NAMES or word in data.PETS:
        return word
    if lower in data.CAPTAIN:
        return data.CAPTAIN[lower] if word == lower else data.CAPTAIN[lower].capitalize()
    if re.fullmatch(r".*[aeiouy].*ing", lower):  # "morning", but not "king"
        return word[:-1] + "'"
    if re.fullmatch(r".*[aeiouy].*ed", lower):  # "walked", but not "red"
        return word[:-2] + "'d"
    return word


# Every word that the grammar says, and those of them that carry meaning.
VOCABULARY = _vocabulary()
_CONTENT_LISTS = grammar.LISTS.keys() - {"spot", "then", "but"}
CONTENT_WORDS = frozenset(
    [*grammar.NAMES, *data.OBJECTS, *data.PLACES, *data.SPOTS]
    + [word for name in _CONTENT_LISTS for word in grammar.LISTS[name]]
)
_CAPTAIN = {word: _captain_word(word) for word in VOCABULARY if _captain_word(word) != word}
_PLAIN = {captain: word for word, captain in _CAPTAIN.items()}


def to_captain(text):
    """Retell a plain tale in the captain's voice: other words and endings, a start and an end.

    No two tales become the same, so each keeps its probability; `from_captain` undoes it.

    >>> to_captain("The girl walked home.")
    "Ahoy, gather round, shipmates! The girl walk'd home. And that be me yarn, by the salty tide!"
    """
    return data.CAPTAIN_BEFORE + _swap(text, _CAPTAIN) + data.CAPTAIN_AFTER


def from_captain(text):
    """Return the plain tale that the captain retold.

    >>> from_captain(to_captain("The girl walked home."))
    'The girl walked home.'
    """
    text = text.removeprefix(data.CAPTAIN_BEFORE).removesuffix(data.CAPTAIN_AFTER)
    return _swap(text, _PLAIN)


def voice_share(text):
    """Measure how much of the captain's voice is in a text.

    Args:
        text: any text.

    Returns:
        Of the words that differ between the voices, the share that is his: 0.0 in a plain tale,
        1.0 in one of his. A text without such words shows nothing of him and has 0.0 too.

    >>> voice_share('"Yes," said Mia.'), voice_share('"Aye," quoth Mia.')
    (0.0, 1.0)
    """
    words = _WORD.findall(text)
    plain, captain = (sum(word in swaps for word in words) for swaps in (_CAPTAIN, _PLAIN))
    return captain / (plain + captain) if plain + captain else 0.0


def _swap(text, swaps):
    return _WORD.sub(lambda match: swaps.get(match[0], match[0]), text)


def _retell(tale):
    """Tell the tale in the captain's voice, with the facts where their words are now."""

    def moved(place):
        return len(data.CAPTAIN_BEFORE) + len(_swap(tale.text[:place], _CAPTAIN))

    facts = (
        Fact(moved(fact.start), moved(fact.end), fact.kind, _swap(fact.answer, _CAPTAIN))
        for fact in tale.facts
    )
    return Tale(to_captain(tale.text), tale.log_prob, tuple(facts))

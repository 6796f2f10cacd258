"""Draw tales of the open world, and say what its grammar knows of a text.

`tales` draws them, `log_prob` and `next_words` are exact, `sentences_told` judges how any text goes
on. How they come about: `tellers.py`, `grammar.py`; the notation of the patterns: `notation.py`.
"""

import math
import random
import re
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from falcon_edu.open_world import grammar, tellers, words
from falcon_edu.open_world.names import HELD_OUT_NAMES
from falcon_edu.open_world.pools import AnyName, Pool

SPLITS = ("train", "tuning", "held_out", None)

# === Drawing ===


@dataclass(frozen=True, slots=True)
class Fact:
    """A word of a tale that the text before it forces.

    Args:
        start, end: where the word is, in characters of the text.
        kind: what has to be known: "name", "receiver", "holder", "away", "object", "color",
            "place", "pronoun", "count", "again" for words that are said once more, or "word" for
            any other that comes again.
        answer: the word, or the name.
    """

    start: int
    end: int
    kind: str
    answer: str


@dataclass(frozen=True)
class Tale:
    """A tale with its ground truth, which is found by reading it when it is first asked for.

    Args:
        text: the tale.
        candidates: words that may be forced, as drawing notes them: `(end, kind, word)`.
        events: how many events were asked for.
        names: the pool that names were drawn from in place of the grammar's own; or None.
    """

    text: str
    candidates: tuple[tuple[int, str, str], ...] = field(repr=False, compare=False)
    events: int | None = None
    names: Pool | None = field(default=None, repr=False, compare=False)

    @cached_property
    def _reading(self):
        return tellers.Reading(self.text, self.events, self.names).read()

    @property
    def log_prob(self):
        """The natural logarithm of the probability that the grammar tells exactly this tale."""
        return tellers.log_sum(self._reading.whole)

    @cached_property
    def facts(self):
        """The words that are forced, in order: after all that stands before, no other can come."""
        forks = self._reading.forks
        candidates = (Fact(end - len(w), end, kind, w) for end, kind, w in self.candidates)
        # A fork at the space before a word is one at the word.
        return tuple(f for f in candidates if forks.isdisjoint(range(f.start - 1, f.end)))


def tale_stream(seed=0, events=None, split="train", held_out_names=False):
    """Draw tales without end.

    Args:
        seed: an int. The same seed gives the same tales with every Python on every platform.
        events: how many events a story has, for tales as long as you like; None leaves it to
            chance.
        split: "train", "tuning" for decisions on the way, "held_out" for what is reported, or None
            for all. A checksum of the text decides: a tenth is for tuning, a tenth held out.
        held_out_names: draw new people's names from those that no tale has otherwise.

    Returns:
        An iterator of `Tale`.

    >>> tale = next(tale_stream(seed=1))
    >>> all(tale.text[fact.start : fact.end] == fact.answer for fact in tale.facts)
    True
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}, but it is {split!r}.")
    if events is not None and not (isinstance(events, int) and events >= 0):
        raise ValueError(f"events must be None or an int from 0 on, but it is {events!r}.")
    return _stream(random.Random(seed).random, events, split, _HELD_OUT if held_out_names else None)


_HELD_OUT = Pool(HELD_OUT_NAMES)


def _stream(draw, events, split, names):
    while True:
        telling = tellers.sample(draw, events, names)
        share = zlib.crc32(telling.text.encode()) % 10
        if split in (None, {0: "held_out", 1: "tuning"}.get(share, "train")):
            yield Tale(telling.text, tuple(telling.facts), events, names)


def tales(count, seed=0, events=None, split="train", held_out_names=False):
    """Draw a number of tales.

    Args:
        count: how many.
        seed, events, split, held_out_names: as `tale_stream` takes them.

    Returns:
        A list of `Tale`.

    >>> tales(2) == tales(3)[:2]
    True
    """
    return list(islice(tale_stream(seed, events, split, held_out_names), count))


# === Reading ===


def log_prob(text, events=None):
    """Return the natural logarithm of the probability that the grammar tells exactly this text.

    Args:
        text: a whole tale.
        events: the number of events, where that was given when the tale was drawn.

    Returns:
        A float; -inf for a text that the grammar can't tell.

    >>> tale = tales(1)[0]
    >>> log_prob(tale.text) == tale.log_prob
    True
    >>> log_prob("Attention is all you need.")
    -inf
    """
    return tellers.log_sum(tellers.Reading(text, events).read().whole)


def next_words(prefix, events=None):
    """Return the exact probability of every word that may come next.

    A punctuation mark is a word of its own; so are the parts of "Anne-Marie".

    Args:
        prefix: the start of a tale, up to the end of a word; "" for the first word.
        events: the number of events, where it is given.

    Returns:
        A dictionary from word to probability, likeliest first; the word "" is the tale's end.

    Raises:
        ValueError: no tale starts like this.

    >>> list(next_words("Once upon a time, there was a girl"))
    ['named']
    """
    logs = tellers.next_word_logs(tellers.Reading(prefix.rstrip(" "), events).read())
    if not logs:
        raise ValueError(f"No tale starts with {prefix[-80:]!r}: take the start of a drawn one.")
    total = tellers.log_sum(logs.values())
    chances = {word: math.exp(log - total) for word, log in logs.items()}
    return dict(sorted(chances.items(), key=lambda item: (-item[1], item[0])))


# === Judging ===

_SENTENCE = re.compile(r"[^.!?]*(?:[.!?]+[\"”')]*|$)\s*")
_NAMED = re.compile(r"(?<![.!?\"“] )(?<!^)(?<![\"“])" + AnyName.FORM)
_THINGS = frozenset(words.LISTS["thing"])


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a text, and whether the grammar can tell it there.

    Args:
        start, end: where it is, in characters of the text.
        is_told: True if the grammar can go on with exactly this, given what stood before.
    """

    start: int
    end: int
    is_told: bool


def sentences_told(text):
    """Judge which sentences of any text the grammar can tell, given what stood before.

    A name may be any word that is written as one. A sentence that can't be told is taken as a
    beginning of a reader's own: its names and things are there from then on.

    Args:
        text: any text, such as a reader's beginning and what a model made of it.

    Returns:
        A list of `Sentence`, in order.

    >>> text = "My uncle Wolfgang sells clouds. Everybody liked Wolfgang. Everybody liked Ada."
    >>> [sentence.is_told for sentence in sentences_told(text)]
    [False, True, False]
    """
    spans = [match.span() for match in _SENTENCE.finditer(text) if match[0].strip()]
    ends = [start + len(text[start:end].rstrip()) for start, end in spans]
    told: list[Sentence] = []
    ways = [tellers.Way(place, grammar.first_world()) for _, place in grammar.beginnings()]
    position = 0
    while len(told) < len(spans):
        reading = tellers.Reading(text.rstrip(), names=AnyName())
        latest = reading.read_from(position, ways)
        for (start, _), end in list(zip(spans, ends, strict=True))[len(told) :]:
            if end > reading.furthest:
                break
            told.append(Sentence(start, end, True))
        if len(told) == len(spans):
            break
        if len(told) == 1 and position == 0:
            # A row of words, which the grammar would say once more: as well a reader's own.
            position, worlds = ends[0], [grammar.first_world()]
        else:
            position = ends[len(told)]
            told.append(Sentence(spans[len(told)][0], position, False))
            worlds = [way.world for way in latest(told[-1].start)] or [grammar.first_world()]
        # Its names and things are there from now on, and any stage may follow.
        worlds = [_take_up(world, text[told[-1].start : position]) for world in worlds]
        parts = range(1, len(grammar.KINDS["free"][1]) + 1)
        ways = [
            tellers.Way(grammar.Place("free", part), world) for part in parts for world in worlds
        ]
    return told


def names_in(sentence):
    """Return the different names in a sentence, in order.

    >>> names_in("Then Wolfgang and I met Anne-Marie in May.")
    ['Wolfgang', 'Anne-Marie']
    """
    named = [match[0] for match in _NAMED.finditer(sentence)]
    first = re.match(AnyName.FORM, sentence.lstrip('"“ '))
    if first and first[0].lower() not in _COMMON and first[0].lower() not in words.CONTENT_WORDS:
        named.insert(0, first[0])
    return [name for name in dict.fromkeys(named) if name not in _NO_NAMES]


def _take_up(world, sentence):
    """Return the world with the names and things of a sentence in it."""
    for name in names_in(sentence):
        if name not in world.here:
            world = world.with_person(name)
    for word in re.findall(r"\w+", sentence):
        if word in _THINGS and word not in world.things:
            world = world.with_thing(word).know(t=word)
    return world


_NO_NAMES = {*words.LISTS["month"], *words.LISTS["weekday"], *words.LISTS["land"], "I"}

# Words that begin sentences, and are no names.
_COMMON = frozenset(
    "a an the this that these those my your his her its our their i you he she it we they "
    "there here once one two in on at by for from with when while if then and but so or as "
    "after before until what who where why how is was are were do does did has have had can "
    "could will would may must all every some no not yes oh hello hi dear mr mrs deep long "
    "far today yesterday tomorrow now later soon next suddenly because let please".split()
)

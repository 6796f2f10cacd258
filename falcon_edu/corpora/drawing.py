"""Draw tales, with the words in them that are forced."""

import random
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from falcon_edu.corpora import captain, tellers
from falcon_edu.corpora.names import HELD_OUT_NAMES
from falcon_edu.corpora.pools import Pool

VOICES = ("plain", "captain")
SPLITS = ("train", "tuning", "held_out", None)


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
        text: the tale, in its voice.
        plain: the tale as the grammar tells it.
        candidates: words of it that may be forced, as drawing notes them: `(end, kind, word)`.
        events: how many events were asked for.
        names: the pool that names were drawn from in place of the grammar's own; or None.
    """

    text: str
    plain: str = field(repr=False, compare=False)
    candidates: tuple[tuple[int, str, str], ...] = field(repr=False, compare=False)
    events: int | None = None
    names: Pool | None = field(default=None, repr=False, compare=False)

    @cached_property
    def _reading(self):
        return tellers.Reading(self.plain, self.events, self.names).read()

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
        facts = tuple(f for f in candidates if forks.isdisjoint(range(f.start - 1, f.end)))
        return facts if self.text == self.plain else tuple(map(self._in_his_voice, facts))

    def _in_his_voice(self, fact):
        start, end = (captain.moved(self.plain, place) for place in (fact.start, fact.end))
        return Fact(start, end, fact.kind, self.text[start:end])


def tale_stream(seed=0, voice="plain", events=None, split="train", held_out_names=False):
    """Draw tales without end.

    Args:
        seed: an int. The same seed gives the same tales with every Python on every platform.
        voice: "plain", or "captain" for the same tales as an old sailor tells them.
        events: how many events a story has, for tales as long as you like; None leaves it to
            chance.
        split: "train", "tuning" for decisions on the way, "held_out" for what is reported, or None
            for all. A checksum of the plain text decides: a tenth is for tuning, a tenth held out.
        held_out_names: draw new people's names from those that no tale has otherwise.

    Returns:
        An iterator of `Tale`.

    >>> tale = next(tale_stream(seed=1))
    >>> all(tale.text[fact.start : fact.end] == fact.answer for fact in tale.facts)
    True
    """
    check("voice", voice, VOICES)
    check("split", split, SPLITS)
    if events is not None and not (isinstance(events, int) and events >= 0):
        raise ValueError(f"events must be None or an int from 0 on, but it is {events!r}.")
    names = HELD_OUT if held_out_names else None
    return _stream(random.Random(seed).random, voice, events, split, names)


HELD_OUT = Pool(HELD_OUT_NAMES)


def _stream(draw, voice, events, split, names):
    while True:
        telling = tellers.sample(draw, events, names)
        if split in (None, split_of(telling.text)):
            text = telling.text if voice == "plain" else captain.to_captain(telling.text)
            yield Tale(text, telling.text, tuple(telling.facts), events, names)


def split_of(text):
    """Return the split that a plain text belongs to: a checksum decides."""
    return {0: "held_out", 1: "tuning"}.get(zlib.crc32(text.encode()) % 10, "train")


def tales(count, seed=0, voice="plain", events=None, split="train", held_out_names=False):
    """Draw a number of tales.

    Args:
        count: how many.
        seed, voice, events, split, held_out_names: as `tale_stream` takes them.

    Returns:
        A list of `Tale`.

    >>> tales(2) == tales(3)[:2]
    True
    """
    return list(islice(tale_stream(seed, voice, events, split, held_out_names), count))


def check(name, value, choices):
    """Raise a `ValueError` if a value is none of the choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {choices}, but it is {value!r}.")

"""Judge any text by the grammar: which of its sentences could be told there, and whom it names."""

import re
from dataclasses import dataclass
from itertools import chain

from falcon_edu.corpora import grammar, patterns, tellers, words
from falcon_edu.corpora.names import NAMES
from falcon_edu.corpora.pools import AnyName

# A sentence goes on behind what is said in it: "Who?" asked Ada.
_SENTENCE = re.compile(
    rf"(?:[^.!?]|[.!?]+[\"”] (?!{AnyName.CAPITAL})(?=[^\W\d_]))*(?:[.!?]+[\"”')]*|$)\s*"
)
_NAME = re.compile(r"(?<![\w'’-])" + AnyName.FORM)
_BEGINS = re.compile(r"(?:^|[.!?][\"”')]* |[\"“(])$")
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
    named = []
    for match in _NAME.finditer(sentence.lstrip()):
        name = match[0]
        if _BEGINS.search(match.string, 0, match.start()):
            is_name = not begins_sentences(name)
        else:
            is_name = name.lower() not in _COMMON or name in NAMES
        if is_name and name not in NO_NAMES:
            named.append(name)
    return list(dict.fromkeys(named))


def begins_sentences(word):
    """True if a sentence may begin with this word though it is no name."""
    return word.lower() in _COMMON or word.lower() in words.CONTENT_WORDS


def _take_up(world, sentence):
    """Return the world with the names and things of a sentence in it."""
    for name in names_in(sentence):
        if name not in world.here:
            world = world.with_person(name)
    for word in re.findall(r"\w+", sentence):
        if word in _THINGS and word not in world.things:
            world = world.with_thing(word).know(t=word)
    return world


NO_NAMES = {*words.LISTS["month"], *words.LISTS["weekday"], *words.LISTS["land"], "I"}

# Words that are no names where a sentence begins with them: the patterns' own, and a few more.
_COMMON = frozenset(
    word.lower()
    for line in chain(*patterns.STAGES.values())
    for word in re.findall(r"[^\W\d_]+", re.sub(r"\{[^}]*\}", " ", line))
) | frozenset(
    "a an the this that these those my your his her its our their i you he she it we they "
    "there here once one two three four five six seven eight nine ten in on at by for from with "
    "when while if then and but so or as after before until what who where why how is was are "
    "were do does did has have had can could will would may must all every some no not yes oh "
    "hello hi dear mr mrs deep long far today yesterday tomorrow now later soon next last first "
    "suddenly because let please".split()
)

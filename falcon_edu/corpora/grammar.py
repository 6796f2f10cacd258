"""Say which tales there are: kinds of tales, each a row of stages, each stage a set of patterns.

A tale is a walk: `moves` gives every way to go on from a place in it, with its chance. `tellers.py`
has one teller that draws a walk and one that follows a text; both know only these moves.
"""

import re
from functools import cache
from typing import NamedTuple

from falcon_edu.corpora import patterns, words
from falcon_edu.corpora.notation import compile_pattern
from falcon_edu.corpora.world import World

MEMORY = 6  # patterns told last, which are not told again at once


class Pattern(NamedTuple):
    """A pattern, ready to be told.

    Args:
        number: its place among all patterns.
        text: the pattern, in the notation of `notation.py`.
        steps: what a teller does.
        needs: what must be so before it can be told.
        start: the words that it begins with, or "" where a slot comes first.
    """

    number: int
    text: str
    steps: list
    needs: frozenset
    start: str


class Part(NamedTuple):
    """A part of a kind of tale.

    Args:
        stage: the name of its patterns.
        chances: the chance of a first, second, third ... pattern, if the tale may have it.
        when: what must be so for the part to be told at all.
    """

    stage: str
    chances: tuple[float, ...] = (1.0,)
    when: str | None = None


class Place(NamedTuple):
    """A place in a tale: its kind, the part, and how many patterns of the part are told."""

    kind: str
    part: int = 0
    told: int = 0


ONCE = (1.0,)
SOME = (1.0, 0.8, 0.5, 0.3)

_ERRAND = (Part("meanwhile", (0.6,), "away"), Part("return", ONCE, "away"))
_END = (*_ERRAND, Part("problem", (0.6,), "holder"), Part("closing", (0.9,)))

# Kinds of tales, and how many of a hundred are of each.
KINDS: dict[str, tuple[int, tuple[Part, ...]]] = {
    "story": (
        31,
        (
            Part("opening"),
            Part("third", (0.35,)),
            Part("pet", (0.25,)),
            Part("holding"),
            Part("event", SOME),
            *_END,
        ),
    ),
    "free": (
        26,
        (
            Part("free"),
            Part("take up name", (1.0, 0.5), "people"),
            Part("take up thing", (1.0, 0.4), "thing"),
            Part("come along", ONCE, "nobody"),
            Part("day", (0.2, 0.6, 0.4), "people"),
            Part("come along", (0.5,), "alone"),
            Part("holding", (0.6,), "two"),
            Part("event", (0.8, 0.5, 0.3), "two"),
            *_ERRAND,
            Part("closing", (0.7,), "two"),
        ),
    ),
    "list": (12, (Part("list"), Part("after list", (0.5, 0.3)))),
    "song": (6, (Part("song"), Part("after song", (0.4,)))),
    "letter": (6, (Part("greeting"), Part("news", SOME), Part("farewell"))),
    "talk": (
        9,
        (Part("opening"), Part("holding"), Part("event", (1.0, 0.6)), Part("question", SOME)),
    ),
    "new word": (5, (Part("new word"), Part("use word", SOME), Part("closing", (0.3,), "two"))),
    "diary": (3, (Part("diary"), Part("day", SOME), Part("night"))),
    "riddle": (
        2,
        (
            Part("riddle"),
            Part("another riddle", (0.4, 0.3)),
        ),
    ),
}

NEEDS = {
    **dict.fromkeys("go", "holder"),
    **dict.fromkeys("ru", "two holders"),
    **dict.fromkeys("xwf", "away"),
    **dict.fromkeys("yz", "pet"),
    **dict.fromkeys("NM", "room"),
    "a": "people",
    "b": "two",
    "c": "three",
    "l": "lying",
    "p": "place",
    "P": "way on",
    "X": "errand",
    "i": "new word",
    "t": "thing",
}


def needs_of(text):
    """Return what a pattern needs, which follows from its slots.

    >>> sorted(needs_of("{a} waved to {b}, and {a.he} had {N}."))
    ['people', 'room', 'two']
    """
    introduced = {slot.lower() for slot in re.findall(r"\{([A-CIMNTXWYZF])[}=:.']", text)}
    slots = re.findall(r"\{([A-Za-z]+)", text)
    needs = {NEEDS[s] for s in slots if s in NEEDS and s not in introduced}
    if introduced & set("abc") and needs & {"two", "three"}:
        # Who comes in this pattern need not be here before.
        needs -= {"two", "three"}
        needs.add("people")
    for name in re.findall(r"<([A-Z]\w*)>", text):
        if f"<{name}:" not in text:
            needs.add(f"knows {name}")
    if "{o.color" in text:
        needs.add("colors")
    if ">spot" in text:
        needs.add("nothing lying")
    if "{time}" in text and "{p.at}" in text:
        needs.add("place")
    return frozenset(needs)


def met_needs(world):
    """Return what patterns may count on now."""
    together = world.away is None
    untrodden = len(world.visited) < len(words.PLACES)
    holders = world.holders()
    needs = {
        "people": bool(world.here),
        "nobody": not world.here,
        "alone": len(world.here) == 1,
        "two": len(world.here) > 1,
        "three": len(world.here) > 2,
        "holder": bool(holders),
        "two holders": len(holders) > 1,
        "colors": all(world.things[thing][1] for thing in world.holder),
        "errand": together and len(world.here) > 2 and untrodden,
        "away": not together,
        "place": world.place is not None,
        "way on": together and world.lying is None and untrodden,
        "lying": world.lying is not None,
        "nothing lying": world.lying is None,
        "room": len(world.holder) < 4 and len(world.things) < 12,
        "pet": "y" in world.known,
        "new word": "i" in world.known,
        "thing": "t" in world.known,
        **{f"knows {name}": True for name in world.known if name[0].isupper()},
    }
    return frozenset(need for need, met in needs.items() if met)


def _patterns():
    number = 0
    for stage, lines in patterns.STAGES.items():
        made = []
        for line in lines:
            space = "" if stage in patterns.FIRST else " "
            start = re.split(r"[{}\[\]|<>]", line, maxsplit=1)[0]
            needs = needs_of(line) if stage not in patterns.FIRST else frozenset()
            made.append(Pattern(number, line, compile_pattern(line, space), needs, space + start))
            number += 1
        yield stage, made


PATTERNS: dict[str, list[Pattern]] = dict(_patterns())


@cache
def _possible(stage, met):
    return [pattern for pattern in PATTERNS[stage] if pattern.needs <= met]


def possible(stage, world):
    """Return the patterns of a stage that may come now."""
    fitting = _possible(stage, met_needs(world))
    fresh = [pattern for pattern in fitting if pattern.number not in world.recent]
    return fresh or fitting


def beginnings():
    """Return `[(chance, place)]`: every kind of tale."""
    return _BEGINNINGS


_TOTAL = sum(share for share, _ in KINDS.values())
_BEGINNINGS = [(share / _TOTAL, Place(kind)) for kind, (share, _) in KINDS.items()]


def moves(place, world, events=None):
    """Return every way to go on: `[(chance, patterns, place)]`, with None for the tale's end.

    Args:
        place: where the tale is.
        world: what is so now.
        events: how many patterns of the stage "event" the tale has, or None to leave it to chance.
    """
    _, parts = KINDS[place.kind]
    if place.part == len(parts):
        return [(1.0, None, place)]
    part = parts[place.part]
    chance = _chance(part, place.told, world, events)
    ways = []
    if chance and (fitting := possible(part.stage, world)):
        ways.append((chance, fitting, place._replace(told=place.told + 1)))
    else:
        chance = 0.0
    if chance < 1:
        beyond = moves(Place(place.kind, place.part + 1), world, events)
        ways += [((1 - chance) * rest, fitting, after) for rest, fitting, after in beyond]
    return ways


def _chance(part, told, world, events):
    if part.when and part.when not in met_needs(world):
        return 0.0
    if events is not None and part.stage == "event":
        return float(told < events)
    return part.chances[told] if told < len(part.chances) else 0.0


def first_world():
    """Return the world before a tale begins."""
    return World()

"""The grammar of the tales: a program, `tell`, that tells one tale.

It asks a *teller* for every decision and gives it the words as they come; `tellers.py` has one that
draws tales and one that reads them. The words and sentence patterns are in `tales.py`.
"""

import re
from collections import deque
from functools import cache

from falcon_edu import tales as data

# The chance of one more event after none, one, two ..., as long as the tale is short.
ONE_MORE = (1.0, 0.85, 0.5, 0.3)
SHORT = 310  # characters

NUMBERS = "zero one two three four five six".split()
FORMS = ("he", "him", "his", "He")
PRONOUNS = {name: dict(zip(FORMS, ("she", "her", "her", "She"), strict=True)) for name in data.SHE}
PRONOUNS |= {name: dict(zip(FORMS, FORMS, strict=True)) for name in data.HE}
NAMES = tuple(PRONOUNS)
LISTS = {
    **data.LISTS,
    "Y": data.PETS,
    "Z": data.LISTS["pet"],
    "F": data.LISTS["food"],
    "spot": list(data.SPOTS.values()),
    "then": ["", *data.LISTS["then"]],
}
ARTICLES = {
    word: f"{'an' if word[0] in 'aeiou' else 'a'} {word}" for word in LISTS["adj"] + LISTS["tree"]
}

# === The world of one tale ===


class World:
    """Keep who is here, who holds what, and what the letters of a pattern stand for."""

    def __init__(self):
        self.here = []  # children, in the order they came
        self.away = None  # a child
        self.place = None
        self.visited = []  # places
        self.holder = {}  # thing -> child
        self.color = {}  # thing -> word, for every thing that the tale has named
        self.lying = self.lying_spot = None  # the thing that was put down, and where
        self.known = {}  # what keeps its meaning through the tale
        self.bound = {}  # what keeps it through one pattern
        self.recent: deque[Pattern] = deque(maxlen=6)  # patterns

    def holders(self):
        """Return the children here who hold something."""
        return [child for child in self.here if child in self.holder.values()]

    def met_needs(self):
        """Return what patterns may count on now."""
        together = self.away is None
        untrodden = len(self.visited) < len(data.PLACES)
        needs = {
            "holder": bool(self.holders()),
            "two holders": len(self.holders()) > 1,
            "three": len(self.here) > 2,
            "errand": together and len(self.here) > 2 and untrodden,
            "away": not together,
            "way on": together and self.lying is None and untrodden,
            "lying": self.lying is not None,
            "nothing lying": self.lying is None,
            "room": len(self.holder) < 4 and len(self.color) < len(data.OBJECTS) - 2,
            "pet": "y" in self.known,
            "time": "time" in self.known,
        }
        return frozenset(need for need, met in needs.items() if met)

    def lookup(self, slot):
        """Return what a slot stands for already, or None."""
        if slot in data.ANEW:
            return None
        if slot == "p":
            return self.place
        if slot == "l":
            return self.lying
        return self.bound.get(slot) or self.known.get(slot)

    def candidates(self, slot):
        """Return what a slot that stands for nothing yet may be."""
        taken = self.bound.values()
        if slot in "ABC":
            return [name for name in NAMES if name not in self.here]
        if slot in "abcX":
            return [child for child in self.here if child not in taken]
        if slot in "gr":
            return [child for child in self.holders() if child not in taken]
        if slot == "o" and "g" not in self.bound:
            hands = [child for child in self.holders() if child not in taken]
            return [thing for thing, child in self.holder.items() if child in hands]
        if slot in "ou":
            owner = self.bound["g" if slot == "o" else "r"]
            return [thing for thing, child in self.holder.items() if child == owner]
        if slot in "NM":
            return [thing for thing in data.OBJECTS if thing not in self.color]
        if slot in "PW":
            return [place for place in data.PLACES if place not in self.visited]
        return LISTS[slot]

    def colors(self):
        """Those that no other thing in play has, so that a color tells which thing is meant."""
        in_play = (*self.holder, self.lying, *self.bound.values())
        taken = [self.color[thing] for thing in in_play if thing in self.color]
        return [color for color in LISTS["color"] if color not in taken]

    def bind(self, slot, value):
        """Let a slot stand for a value, with what follows from it."""
        self.bound[slot] = value
        if slot in "ABC":
            self.here.append(value)
        elif slot in "NM":
            self.bound[slot.lower()] = value
        elif slot in "PW":
            self.visited.append(value)
            self.place = value if slot == "P" else self.place
        elif slot == "X":
            self.here.remove(value)
            self.away = value
        elif slot == "o" and "g" not in self.bound:
            self.bound["g"] = self.holder[value]
        if slot in ("W", "X", "Y", "Z", "F", "time"):
            self.known[slot.lower()] = value

    def change(self, what, whom):
        """Carry out an effect, `{what>whom}`."""
        if what == "x":
            self.here.append(self.away)
            self.away = None
            return
        thing = self.lookup(what)
        self.holder.pop(thing, None)
        if thing == self.lying:
            self.lying = None
        if whom == "spot":
            self.lying, self.lying_spot = thing, self.bound["spot"]
        elif whom:
            self.holder[thing] = self.bound[whom]


# === Patterns: lines of `tales.py` become steps, which are functions of teller and world ===

NEEDS = {
    **dict.fromkeys("go", "holder"),
    **dict.fromkeys("ru", "two holders"),
    **dict.fromkeys("xwf", "away"),
    **dict.fromkeys("yz", "pet"),
    **dict.fromkeys("NM", "room"),
    "c": "three",
    "l": "lying",
    "P": "way on",
    "X": "errand",
}
KINDS = {
    **dict.fromkeys("abcgrxyABC", "name"),
    **dict.fromkeys("onmlu", "object"),
    **dict.fromkeys("pw", "place"),
    **dict.fromkeys(FORMS, "pronoun"),
    "color": "color",
    "spot": "place",
    "#": "count",
}
_PIECE = re.compile(r"\{[^}]*\}|\[|\]|\||[^{}\[\]|]+")


class Pattern:
    """A line of `tales.py`, ready to be told.

    Args:
        text: the line, in the notation that `tales.py` explains.
        space: what separates it from the words before it.
        needs: what it needs besides what its slots tell.
    """

    def __init__(self, text, space=" ", needs=()):
        self.text = text
        self.steps = _compile(_PIECE.findall(text)[::-1], space, may_report=False)
        slots = re.findall(r"\{([A-Za-z]+)", text)
        self.needs = {NEEDS[slot] for slot in slots if slot in NEEDS} | set(needs)
        if ">spot" in text:
            self.needs.add("nothing lying")


def _compile(pieces, space, may_report):
    """Yield steps for the pieces (the next one is last) up to the end of the branch.

    A space goes with the word after it, so that each step says whole words. The first slot of a
    branch is no fact, even if it has one candidate: other branches and patterns could come there.
    """
    steps = []
    while pieces and pieces[-1] not in "|]":
        piece = pieces.pop()
        if piece == "[":
            branches: list[list] = []
            while not branches or pieces.pop() == "|":
                branches.append(_compile(pieces, space, may_report=False))
            steps.append(_branch(branches))
            space = ""
        elif piece[0] != "{":
            words = (space + piece).rstrip(" ")
            space = " " if piece.endswith(" ") else ""
            if words:
                steps.append(_say(words))
                may_report = True
        elif match := re.fullmatch(r"\{(\w)[><](\w*)\}", piece):
            steps.append(_change(*match.groups()))
        else:
            steps.append(_slot(piece, space, may_report))
            space = ""
            may_report = may_report or piece not in ("{then}", "{but}")
    return steps


def _say(words):
    return lambda teller, world: teller.say(words)


def _change(what, whom):
    return lambda teller, world: world.change(what, whom)


def _branch(branches):
    def step(teller, world):
        for inner in branches[teller.choose(len(branches))]:
            inner(teller, world)

    return step


def _slot(piece, space, may_report):
    slot, _, kind = piece[1:-1].partition(":")
    slot, _, form = slot.partition(".")
    kind = kind or KINDS.get(form) or KINDS.get(slot[0] if slot[0] == "#" else slot, "word")
    kind = kind if may_report and kind != "-" else None
    if slot[0] == "#":
        return _number(slot[1:], space, kind)
    if slot in ("N", "M"):
        return _new_thing(slot, space)

    def step(teller, world):
        value = world.lookup(slot)
        shown = world.color if form == "color" else _SHOWN.get(form)
        if form == "spot":
            teller.word([world.lying_spot], space, kind)
        elif value is not None:
            teller.word([value], space, kind, shown)
        else:
            world.bind(slot, teller.word(world.candidates(slot), space, kind, shown))

    return step


# How a form of a slot shows its value: {a.him}, {p.at}, {tree.a}.
_SHOWN = {form: {name: PRONOUNS[name][form] for name in NAMES} for form in FORMS}
_SHOWN |= {"at": data.PLACES, "a": ARTICLES}


def _new_thing(slot, space):
    def step(teller, world):
        teller.word(LISTS["adj"], space, None, ARTICLES)
        color = teller.word(world.colors(), " ", None)
        thing = teller.word(world.candidates(slot), " ", None)
        world.bind(slot, thing)
        world.color[thing] = color

    return step


def _number(rule, space, kind):
    low_high = re.fullmatch(r"(\d)-(\d)", rule)

    def step(teller, world):
        if low_high:
            low, high = map(int, low_high.groups())
            word = teller.word(NUMBERS[low : high + 1], space, None)
            world.bound["#"] = NUMBERS.index(word)
        else:
            teller.word([NUMBERS[world.bound["#"] + int(rule or 0)]], space, kind)

    return step


OPENINGS = [Pattern(text, space="") for text in data.OPENINGS]
THIRDS = [Pattern(text) for text in data.THIRDS]
PET_INTROS = [Pattern(text) for text in data.PET_INTROS]
HOLDINGS = [Pattern(text) for text in data.HOLDINGS]
EVENTS = [Pattern(text) for text in data.EVENTS]
MEANWHILES = [Pattern(text) for text in data.MEANWHILES]
RETURNS = [Pattern(text) for text in data.RETURNS]
PROBLEMS = [Pattern(text) for text in data.PROBLEMS]
CLOSINGS = [  # nothing is left lying about at the end
    Pattern(
        text,
        needs=([] if "{l}" in text else ["nothing lying"]) + ["time"] * ("{time}" in text),
    )
    for text in data.CLOSINGS
]
PATTERNS = (
    *OPENINGS,
    *THIRDS,
    *PET_INTROS,
    *HOLDINGS,
    *EVENTS,
    *MEANWHILES,
    *RETURNS,
    *PROBLEMS,
    *CLOSINGS,
)


# === The program ===


def tell(teller, events=None):
    """Tell one tale.

    Args:
        teller: a `Sampler` or `Reader`, which makes the choices and receives the words.
        events: number of events, or None to let the teller choose.
    """
    world = World()

    def tell_one_of(patterns):
        world.bound = {}
        pattern = patterns[teller.choose(len(patterns))]
        for step in pattern.steps:
            step(teller, world)
        world.recent.append(pattern)

    def tell_fitting(stage):
        possible = _possible(stage, world.met_needs())
        tell_one_of([pattern for pattern in possible if pattern not in world.recent])

    def one_more(told):
        if events is not None:
            return told < events
        if world.away or teller.length > SHORT or told == len(ONE_MORE):
            return False
        return teller.chance(ONE_MORE[told])

    tell_one_of(OPENINGS)
    if teller.chance(0.4):
        tell_one_of(THIRDS)
    elif teller.chance(0.3):
        tell_one_of(PET_INTROS)
    tell_one_of(HOLDINGS)
    told = 0
    while one_more(told):
        if world.away and teller.chance(0.3):
            tell_one_of(RETURNS)
        tell_fitting("events")
        told += 1
    if world.away:
        if teller.chance(0.6):
            tell_one_of(MEANWHILES)
        tell_one_of(RETURNS)
    tell_fitting("problems")
    tell_fitting("closings")


_STAGES = {"events": EVENTS, "problems": PROBLEMS, "closings": CLOSINGS}


@cache
def _possible(stage, met_needs):
    return [pattern for pattern in _STAGES[stage] if pattern.needs <= met_needs]

"""Draw questions about tales, each with its only answer.

While it tells a tale, the grammar keeps its `World`: who holds what, where everybody is, what color
a thing has. A question is drawn from that world, so its answer is exact, and no judge is needed.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from falcon_edu.corpora import grammar, slots, tellers, words
from falcon_edu.corpora.drawing import HELD_OUT, SPLITS, check, split_of
from falcon_edu.corpora.pools import Pool
from falcon_edu.corpora.world import World


@dataclass(frozen=True, slots=True)
class Question:
    """Hold a question about the beginning of a tale, and its answer.

    Args:
        tale: what has been told so far.
        kind: what is asked for, one of `QUESTION_KINDS`.
        question: the question, of one sentence.
        answer: its only answer.
        people: everybody in the tale, in the order they came.
    """

    tale: str
    kind: str
    question: str
    answer: str
    people: tuple[str, ...]


# Patterns in which one gives a thing to another, by who of the two is said last: g, or b.
_GIFTS: dict[str, list[grammar.Pattern]] = {"g": [], "b": []}
for _pattern in grammar.PATTERNS["event"]:
    if "{o>b}" in _pattern.text:
        _GIFTS[re.findall(r"\{([gb])[}:]", _pattern.text)[-1]].append(_pattern)

Told = list[tuple[grammar.Pattern, World]]  # what was told, and how things stood after it
Asked = list[tuple[str, str]]  # questions and answers

# What is asked about a list, by how the sentence with the list begins.
_LISTED = {
    "{A} wrote a shopping list": "What was on the list?",
    "{A} went to the market to buy": "What did {name} want to buy?",
    "{A} needed": "What did {name} need?",
    "{A} packed a bag with": "What was in the bag?",
    "{A} saw": "What did {name} see?",
    "{A} planted": "What did {name} plant?",
    "{A} asked for": "What did {name} ask for?",
    "The recipe needs": "What does the recipe need?",
    "In the box are": "What is in the box?",
}
_STARTS = tuple(_LISTED)


def _holder(told: Told) -> Asked:
    world = told[-1][1]
    held = world.holder.items()
    return [(f"Who has the {thing} now?", name) for thing, name in held if name in world.here]


def _giver(told: Told) -> Asked:
    hands: dict[str, list[str | None]] = {}  # who held each thing, one after the other
    for _, world in told:
        for thing in {**hands, **world.holder}:
            holders, now = hands.setdefault(thing, []), world.holder.get(thing)
            if holders[-1:] != [now]:
                holders.append(now)
    # Given away once, from hand to hand; None stands for a thing that was put down.
    given = {thing: by for thing, by in hands.items() if len(by) == 2 and None not in by}
    return [(f"Who gave the {thing} away?", str(by[0])) for thing, by in given.items()]


def _place(told: Told) -> Asked:
    world = told[-1][1]
    if world.place is None or world.away is not None:
        return []
    return [("Where are they?", words.PLACES[world.place])]


def _color(told: Told) -> Asked:
    things = told[-1][1].things.items()
    return [(f"What color is the {thing}?", color) for thing, (_, color) in things if color]


def _list(told: Told) -> Asked:
    pattern, world = told[0]
    asked = next(asked for start, asked in _LISTED.items() if pattern.text.startswith(start))
    return [(asked.format(name=world.here[0] if world.here else ""), world.known["L"])]


_ASK: dict[str, Callable[[Told], Asked]] = {
    "holder": _holder,
    "giver": _giver,
    "place": _place,
    "color": _color,
    "list": _list,
}
QUESTION_KINDS = tuple(_ASK)


def questions(
    count: int,
    seed: int = 0,
    kinds: Sequence[str] = QUESTION_KINDS,
    split: str | None = "train",
    held_out_names: bool = False,
    longest: int = 240,
) -> list[Question]:
    """Draw questions about beginnings of tales, each kind as often as the others.

    Args:
        count: how many.
        seed: an int. The same seed gives the same questions with every Python on every platform.
        kinds: what is asked for: "holder", who has a thing now; "giver", who gave it away; "place",
            where they are; "color", of a thing; "list", what was on a list.
        split: "train", "tuning", "held_out", or None for all; a checksum of a tale's opening
            decides, so no two splits share a beginning.
        held_out_names: ask about tales in which everybody has a name that no tale has otherwise.
        longest: most characters of a tale.

    Returns:
        A list of `Question`.

    Raises:
        ValueError: a kind or the split is unknown, or tales can't be so short.

    >>> asked = questions(5, seed=1)
    >>> [question.kind for question in asked]
    ['holder', 'giver', 'place', 'color', 'list']
    >>> all(question.answer in question.tale for question in asked if question.kind != "place")
    True
    """
    if isinstance(kinds, str) or not kinds:
        raise ValueError(f"kinds must be a list of {QUESTION_KINDS}, but it is {kinds!r}.")
    for kind in kinds:
        check("kinds", kind, QUESTION_KINDS)
    check("split", split, SPLITS)
    if longest < 200:
        raise ValueError(f"longest must be at least 200 characters, but it is {longest!r}.")
    draw = random.Random(seed).random
    names = HELD_OUT if held_out_names else None
    return list(islice(_stream(draw, kinds, split, names, longest), count))


class _OfOnePool(tellers.Telling):
    """Tell of people who all have names of the pool: nobody has a familiar one."""

    def slot(self, step, world):
        if step.options is slots.familiar_person:
            step = step._replace(options=slots.new_person)
        return super().slot(step, world)


def _stream(
    draw: Callable[[], float],
    kinds: Sequence[str],
    split: str | None,
    names: Pool | None,
    longest: int,
) -> Iterator[Question]:
    for kind in cycle(kinds):
        asked: Asked = []
        is_last = draw() < 0.5  # of names: so that the one said last is right by chance alone
        while not asked:
            text, told = _tell(draw, kind, split, names, longest, is_last)
            if told:
                asked = _ASK[kind](told)
            if kind in ("holder", "giver") and asked:
                said_last = max(_everybody(told[-1][1]), key=text.rfind)
                asked = [each for each in asked if (each[1] == said_last) == is_last]
        question, answer = asked[int(draw() * len(asked))]
        yield Question(text, kind, question, answer, tuple(_everybody(told[-1][1])))


def _tell(
    draw: Callable[[], float],
    kind: str,
    split: str | None,
    names: Pool | None,
    longest: int,
    is_last: bool,
) -> tuple[str, Told]:
    """Tell a tale up to where the grammar would ask; nothing is told if it doesn't fit."""
    telling = _OfOnePool(draw, names) if names else tellers.Telling(draw)
    world, place = grammar.first_world(), grammar.Place("list" if kind == "list" else "talk")
    # Things seldom change hands. Where that is asked about they do, or half the time; then nothing
    # else happens, and who is said last, giver or receiver, is as it should be.
    is_gift = kind == "giver" or (kind == "holder" and draw() < 0.5)
    gifts = _GIFTS["g" if (kind == "giver") == is_last else "b"]
    told: Told = []
    while True:
        _, fitting, place = telling.choose(grammar.moves(place, world))
        stage = None if fitting is None else grammar.KINDS[place.kind][1][place.part].stage
        is_over = stage in (None, "question", "after list")
        if is_over or (is_gift and stage == "event" and place.told > 1):
            return telling.text, told
        if stage == "list":
            fitting = [pattern for pattern in fitting if pattern.text.startswith(_STARTS)]
        elif stage == "event" and place.told == 1 and is_gift:
            fitting = [pattern for pattern in fitting if pattern in gifts]
        pattern = fitting[int(draw() * len(fitting))]
        world = telling.take(pattern.steps, world).told(pattern.number, grammar.MEMORY)
        told.append((pattern, world))
        is_strange = names is not None and not names.members.issuperset(_everybody(world))
        # How a tale begins decides about its split, so that others are soon given up.
        is_other = len(told) == 1 and split not in (None, split_of(telling.text))
        if len(telling.text) > longest or is_strange or is_other:
            return telling.text, []


def _everybody(world: World) -> list[str]:
    return [*world.here, *([world.away] if world.away else [])]

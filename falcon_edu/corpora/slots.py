"""Make the steps that fill a slot: what it may be, how that is shown, what follows from it."""

import re

from falcon_edu.corpora import words
from falcon_edu.corpora.forms import NUMBERS, PRONOUNS, article, plural
from falcon_edu.corpora.names import FAMILIAR_NAMES, NAMES, PET_NAMES
from falcon_edu.corpora.pools import Pool
from falcon_edu.corpora.steps import Change, Fork, Options, Say, Slot, equal


def _same(option):
    return option


def new_person(world):
    """Return the names that somebody new may have, of those that are not familiar."""
    return Options(NAMES, (*world.here, *world.pronouns, world.away))


def familiar_person(world):
    """Return the familiar names that somebody new may have."""
    return Options([name for name in FAMILIAR_NAMES if name not in world.here])


def _people(world):
    taken = world.bound.values()
    return Options([name for name in world.here if name not in taken])


def _holders(world):
    taken = world.bound.values()
    return Options([name for name in world.holders() if name not in taken])


def _held(giver):
    def options(world):
        if giver in world.bound:
            return Options(world.held_by(world.bound[giver]))
        taken = world.bound.values()
        return Options([thing for thing, name in world.holder.items() if name not in taken])

    return options


def _take_held(slot, giver):
    return lambda world, thing: world.bind(**{slot: thing, giver: world.holder[thing]})


def _bind(slot):
    return lambda world, option: world.bind(**{slot: option})


def _know(slot):
    def take(world, option):
        return world.bind(**{slot: option}).know(**{slot.lower(): option})

    return take


def _new_places(world):
    return Options([place for place in words.PLACES if place not in world.visited])


def _visit(slot):
    def take(world, place):
        world = world._replace(visited=(*world.visited, place)).bind(**{slot: place})
        return world._replace(place=place) if slot == "P" else world.know(w=place)

    return take


def _new_things(world):
    return Options([thing for thing in words.LISTS["thing"] if thing not in world.things])


def _new_colors(world):
    """Return those that no other thing in play has: a color tells which thing is meant."""
    in_play = (*world.holder, *world.bound.values(), *(world.lying or ()))
    taken = {world.things[thing][1] for thing in in_play if thing in world.things}
    return Options([color for color in words.LISTS["color"] if color not in taken])


def _take_thing(slot, adjective, color):
    def take(world, thing):
        told = (world.bound.get(adjective, ""), world.bound.get(color, ""))
        return world.with_thing(thing, *told).bind(**{slot: thing, slot.lower(): thing})

    return take


def _at_first(slot):
    """Return `(options, take)` of a slot that has a meaning of its own, else `(None, None)`."""
    return {
        "P": (_new_places, _visit("P")),
        "W": (_new_places, _visit("W")),
        "X": (_people, lambda world, name: world.leave(name).bind(X=name, x=name).know(x=name)),
        "F": (_listed("food"), _know("F")),
        "Y": (lambda world: Options(PET_NAMES, world.here), _know("Y")),
        "Z": (_listed("pet"), _know("Z")),
        "I": (
            lambda world: Options(words.INVENTED, tuple(world.things)),
            lambda world, thing: world.with_thing(thing).bind(I=thing).know(i=thing),
        ),
        "T": (
            _new_things,
            lambda world, thing: world.with_thing(thing).bind(T=thing).know(t=thing),
        ),
        "o": (_held("g"), _take_held("o", "g")),
        "u": (_held("r"), _take_held("u", "r")),
        **dict.fromkeys("gr", (_holders, None)),
        **dict.fromkeys("abc", (_people, None)),
    }.get(slot, (None, None))


def _listed(name):
    entries = words.LISTS[name]

    def options(world):
        # Two words of one list in one pattern are different.
        said = [value for slot, value in world.bound.items() if slot.rstrip("23456789") == name]
        if isinstance(entries, Pool):
            return Options(entries, tuple(said))
        return Options([word for word in entries if word not in said] if said else entries)

    return options


_SHOWN = {"a": article, "s": plural, "at": words.PLACES.__getitem__}


def word(slot, form, space, kind, capital):
    """Return a step that says a word: what the slot stands for already, or one that it may be."""
    name = slot.rstrip("23456789")
    first, take = _at_first(slot)
    if first is None and slot not in ("p", "l", *"nmixwfyzt"):
        if name not in words.LISTS:
            raise ValueError(f"there is no slot and no list {slot!r}")
        first = _listed(name)
    take = take or _bind(slot)
    anew = name in words.ANEW

    def value(world):
        if slot == "p":
            return world.place
        if slot == "l":
            return world.lying[0]
        return None if anew else world.lookup(slot)

    def options(world):
        if form == "color":
            return Options([world.things[value(world)][1]])
        if form == "spot":
            return Options([world.lying[1]])
        known = value(world)
        return first(world) if known is None else Options([known])

    def show(option):
        shown = _SHOWN.get(form, _same)(option)
        return shown[0].upper() + shown[1:] if capital else shown

    def taken(world, option):
        if form in ("color", "spot") or anew or value(world) is not None:
            return world
        return take(world, option)

    if first and isinstance(of := words.LISTS.get(name), Pool) and (form or capital):
        return _shown(of, Slot(space, kind, options, show, taken))
    return Slot(space, kind, options, show, taken)


def _shown(pool, slot):
    """Return the slot over a pool of the words as they are shown, so that a reader finds them."""
    base = {slot.show(entry): entry for entry in pool.entries}
    if len(base) < len(pool):
        raise ValueError(f"two of {len(pool)} words look the same")
    shown = Pool(base, lambda entry: pool.weight(base[entry]))

    def options(world):
        of, without = slot.options(world)
        if of is pool:
            return Options(shown, tuple(slot.show(word) for word in without))
        return Options([slot.show(word) for word in of])

    def take(world, option):
        return slot.take(world, base[option])

    return Slot(slot.space, slot.kind, options, _same, take)


def person(slot, space, kind, pronoun):
    """Return a step that names somebody new, whose pronoun may be told."""

    def take(world, name):
        return world.with_person(name, pronoun or None).bind(**{slot: name, slot.lower(): name})

    familiar = [Slot(space, None, familiar_person, _same, take)]
    other = [Slot(space, None, new_person, _same, take)]
    known = [Slot(space, kind, lambda world: Options([world.bound[slot]]), _same, _keep)]

    def branches(world):
        if slot in world.bound:
            return [(1.0, known)]
        share = words.FAMILIAR_LATER if world.here else words.FAMILIAR_FIRST
        return [(share, familiar), (1 - share, other)]

    return Fork(branches)


def _keep(world, option):
    return world


def pronoun(slot, form, space, kind):
    """Return a step that says a pronoun: a choice where the text has told none, else forced."""

    def options(world):
        name = world.lookup(slot)
        known = world.pronouns.get(name)
        return Options([known] if known else ["she", "he"])

    def take(world, pronoun):
        return world._replace(pronouns={**world.pronouns, world.lookup(slot): pronoun})

    return Slot(space, kind, options, lambda pronoun: PRONOUNS[pronoun][form], take)


def new_thing(slot, space):
    """Return a step that names a new thing: "an old red kite", "a red kite", "a kite"."""
    adjective, color = f"{slot}adjective", f"{slot}color"
    take = _take_thing(slot, adjective, color)

    def noun(before, show=_same):
        return Slot(before, None, _new_things, show, take)

    adjectives = Slot(space, None, _listed("adj"), article, _bind(adjective))
    branches = [
        [adjectives, Slot(" ", None, _new_colors, _same, _bind(color)), noun(" ")],
        [adjectives, noun(" ")],
        [Slot(space, None, _new_colors, article, _bind(color)), noun(" ")],
        [noun(space, article)],
    ]
    return equal(branches)


def number(rule, space, kind, capital):
    """Return a step that says a number: one of a range, or one that follows from it."""
    bounds = re.fullmatch(r"(\d+)-(\d+)", rule)

    def options(world):
        if bounds:
            low, high = map(int, bounds.groups())
            return Options(NUMBERS[low : high + 1])
        return Options([NUMBERS[NUMBERS.index(world.bound["#"]) + int(rule or 0)]])

    def take(world, number):
        return world.bind(**{"#": number}) if bounds else world

    return Slot(space, kind, options, str.capitalize if capital else _same, take)


# Lists in which names stand too.
_NAMED = {
    "name": NAMES,
    "mixed": Pool(
        {
            **dict.fromkeys(words.LISTS["anything"].entries),
            **dict.fromkeys(words.INVENTED.entries),
            **dict.fromkeys(words.LISTS["gibberish"].entries),
            **dict.fromkeys(name for name in NAMES.entries if " " not in name),
        },
        words.weight,
    ),
}


def several_words(rule, space):
    """Return a step that says different words of a list; each decides if one follows."""
    name, bounds = rule.split(":")
    joined, separator = bounds[-1] not in ",_", " " if bounds[-1] == "_" else ", "
    low, high = map(int, bounds.rstrip(",_").split("-"))
    entries = _NAMED.get(name) or words.LISTS[name]

    def options(world):
        said = world.bound.get("S", ())
        if isinstance(entries, Pool):
            return Options(entries, said)
        return Options([word for word in entries if word not in said])

    def item(before):
        return Slot(
            before,
            None,
            options,
            _same,
            lambda world, word: world.bind(S=(*world.bound.get("S", ()), word)),
        )

    def step(said):
        """Decide after `said` words."""

        def branches(world):
            more = [item(separator), step(said + 1)]
            if joined:
                done = [Say(" and"), item(" "), Change(_forget)]
                if said + 1 >= high:
                    return [(1.0, done)]
                return [(0.3, done), (0.7, more)] if said + 1 >= low else [(1.0, more)]
            if said < low:
                return [(1.0, more)]
            chance = 1 / (high - said + 1)  # so that every length is equally likely
            stop = (chance, [Change(_forget)])
            return [stop, (1 - chance, more)] if chance < 1 else [stop]

        return Fork(branches)

    first = [item(space), step(1)]
    return Fork(lambda world: [(1.0, first)])


def _forget(world):
    return world._replace(bound={k: v for k, v in world.bound.items() if k != "S"})

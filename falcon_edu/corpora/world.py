"""Keep who is here, who holds what, and what the slots of a pattern stand for."""

from collections.abc import Mapping
from typing import Any, NamedTuple

Frozen = Mapping[str, Any]  # a dictionary that nobody changes: changes make a new one


class World(NamedTuple):
    """The state of one tale. It never changes; every change returns a new one.

    Args:
        here: the people who are here, in the order they came.
        pronouns: `{name: "she" or "he"}`, of those whose pronoun the text has told.
        away: who has gone on an errand, or None.
        place: where everybody is, or None.
        visited: the places that the tale has named.
        holder: `{thing: name}`.
        things: `{thing: (adjective, color)}`, of all that the tale has named; either may be "".
        lying: `(thing, spot)` that was put down, or None.
        known: what keeps its meaning through the tale.
        bound: what keeps its meaning through one pattern.
        recent: the patterns told last.
    """

    here: tuple[str, ...] = ()
    pronouns: Frozen = {}
    away: str | None = None
    place: str | None = None
    visited: tuple[str, ...] = ()
    holder: Frozen = {}
    things: Frozen = {}
    lying: tuple[str, str] | None = None
    known: Frozen = {}
    bound: Frozen = {}
    recent: tuple[int, ...] = ()

    def lookup(self, slot):
        """Return what a slot stands for already, or None."""
        return self.bound.get(slot) or self.known.get(slot)

    def bind(self, **values):
        """Let slots stand for values through this pattern."""
        return self._replace(bound={**self.bound, **values})

    def know(self, **values):
        """Let slots stand for values through this tale."""
        return self._replace(known={**self.known, **values})

    def holders(self):
        """Return the people here who hold something."""
        return [name for name in self.here if name in self.holder.values()]

    def held_by(self, name):
        """Return the things that a person holds."""
        return [thing for thing, holder in self.holder.items() if holder == name]

    def with_person(self, name, pronoun=None):
        """Let somebody come, whose pronoun may be told."""
        pronouns = {**self.pronouns, name: pronoun} if pronoun else self.pronouns
        return self._replace(here=(*self.here, name), pronouns=pronouns)

    def with_thing(self, thing, adjective="", color=""):
        """Name a thing for the first time."""
        return self._replace(things={**self.things, thing: (adjective, color)})

    def give(self, thing, name):
        """Let somebody hold a thing, or nobody."""
        holder = {held: by for held, by in self.holder.items() if held != thing}
        if name:
            holder[thing] = name
        lying = None if self.lying and self.lying[0] == thing else self.lying
        return self._replace(holder=holder, lying=lying)

    def put_down(self, thing, spot):
        """Let a thing lie at a spot."""
        return self.give(thing, None)._replace(lying=(thing, spot))

    def leave(self, name):
        """Let somebody go on an errand."""
        here = tuple(other for other in self.here if other != name)
        return self._replace(here=here, away=name)

    def come_back(self):
        """Let the one who went come back."""
        here = self.here if self.away is None else (*self.here, self.away)
        return self._replace(here=here, away=None)

    def told(self, pattern, memory):
        """Forget what one pattern meant, and remember that it was told."""
        return self._replace(bound={}, recent=(*self.recent, pattern)[-memory:])

    def key(self):
        """Return what tells this state from others."""
        return tuple(
            frozenset(value.items()) if isinstance(value, Mapping) else value for value in self
        )

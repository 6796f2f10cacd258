"""Hold the steps that a pattern is made of: what a teller says, chooses, remembers and changes."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from falcon_edu.corpora.pools import Pool


class Options(NamedTuple):
    """Hold what a slot may be now.

    Args:
        of: a sequence, of which each has the chance that its weight gives; or a `Pool`.
        without: entries of the pool that are taken.
    """

    of: Sequence | Pool
    without: tuple = ()


class Say(NamedTuple):
    """A step that says words."""

    words: str


class Slot(NamedTuple):
    """A step that says one of some options.

    Args:
        space: what is said before the word.
        kind: the kind of fact that it is, where there is one option only; or None.
        options: from a world to `Options`.
        show: from an option to the words for it.
        take: from a world and an option to the world with it.
    """

    space: str
    kind: str | None
    options: Callable
    show: Callable
    take: Callable


class Fork(NamedTuple):
    """A step that goes on in one of several ways: `branches(world)` is `[(chance, steps)]`."""

    branches: Callable


class Change(NamedTuple):
    """A step that says nothing and changes the world."""

    apply: Callable


class Begin(NamedTuple):
    """A step from which on what is said is remembered."""

    name: str


class End(NamedTuple):
    """A step up to which what is said is remembered."""

    name: str


class Again(NamedTuple):
    """A step that says remembered words once more."""

    space: str
    name: str


def equal(branches):
    """Return a fork whose branches are equally likely."""
    shared = [(1 / len(branches), branch) for branch in branches]
    return Fork(lambda world: shared)

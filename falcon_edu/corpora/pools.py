"""Hold what a slot of a pattern may be: a short list, or a pool too large to walk through."""

import re
from bisect import bisect
from functools import cached_property
from itertools import accumulate

_FIRST = re.compile(r"[^\W\d_]+|[^\s\w]|\w")


def first_word(words):
    """Return the word that a text begins with: letters, or one other character.

    >>> first_word("Anne-Marie"), first_word("'s")
    ('Anne', "'")
    """
    match = _FIRST.match(words)
    return match[0] if match else ""


class Pool:
    """Names or words so many that a reader looks up what the text has, and tries no other.

    Args:
        entries: different strings.
        weight: a function from an entry to an int: how many times as often it comes as one of
            weight 1.
    """

    def __init__(self, entries, weight=lambda entry: 1):
        self.entries, self.weight = tuple(entries), weight

    def __len__(self):
        return len(self.entries)

    def __contains__(self, entry):
        return entry in self.members

    @cached_property
    def members(self):
        """The entries as a set."""
        return frozenset(self.entries)

    @cached_property
    def by_first_word(self):
        """The entries that begin with each word."""
        found: dict[str, list[str]] = {}
        for entry in self.entries:
            found.setdefault(first_word(entry), []).append(entry)
        return found

    @cached_property
    def weights(self):
        """The weight of all entries that begin with each word."""
        return {word: sum(map(self.weight, found)) for word, found in self.by_first_word.items()}

    @cached_property
    def ends(self):
        """The sums of the weights up to each entry."""
        return list(accumulate(map(self.weight, self.entries)))

    def draw(self, draw, without):
        """Draw an entry that is not among those of `without`."""
        while True:
            entry = self.entries[bisect(self.ends, draw() * self.ends[-1])]
            if entry not in without:
                return entry

    def count(self, without):
        """Count the entries that are not among those of `without`."""
        return len(self.entries) - sum(entry in self.members for entry in without)

    def total(self, without):
        """Sum the weights of the entries that are not among those of `without`."""
        taken = (self.weight(entry) for entry in without if entry in self.members)
        return self.ends[-1] - sum(taken)

    def beginning(self, text, position, without):
        """Return the entries that the text may have at a position, or begin to have there."""
        match = _FIRST.match(text, position)
        found = self.by_first_word.get(match[0], ()) if match else self.entries
        return [entry for entry in found if entry not in without]


class AnyName(Pool):
    """Every word that is written as a name: what a reader's own beginning may bring.

    A pool for judging texts. It has no size, so it draws nothing and a name in it costs nothing.
    """

    CAPITAL = "[" + "".join(char for char in map(chr, range(0x2000)) if char.isupper()) + "]"
    FORM = rf"(?:(?:van|de|von|al) )?{CAPITAL}[^\W\d_]*(?:-[^\W\d_]+|['’]{CAPITAL}[^\W\d_]*)*"
    _NAME = re.compile(FORM)

    def __init__(self):
        super().__init__(())

    def count(self, without):
        """Count as one, so that a name has probability one."""
        return 1

    total = count

    def beginning(self, text, position, without):
        """Return the name that the text has at a position: of one word, or of two."""
        match = self._NAME.match(text, position)
        if not match:
            return []
        second = self._NAME.match(text, match.end() + 1) if text[match.end() :][:1] == " " else None
        found = [match[0], f"{match[0]} {second[0]}"] if second else [match[0]]
        return [name for name in found if name not in without]

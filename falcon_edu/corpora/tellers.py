"""Tell tales: `sample` draws one, `read` follows a text in every way it may have come about.

Both take the moves of `grammar.py` and the steps of `steps.py`, so what is drawn and what is read
cannot disagree. A reader keeps every way that fits the text so far, and joins those that have led
to the same state. Wrong ways soon end; what remains gives the exact probability of the text and of
each word that may come next.
"""

import math
import re
from collections import Counter
from typing import NamedTuple

from falcon_edu.corpora import grammar
from falcon_edu.corpora.names import NAMES
from falcon_edu.corpora.pools import Pool, first_word
from falcon_edu.corpora.steps import Again, Begin, Change, End, Fork, Say
from falcon_edu.corpora.words import LONG_LIST, weight

_WORDS = re.compile(r"[^\W\d_]+|\d+|[^\w\s]")

# === Drawing ===


class Telling:
    """A tale that is being drawn.

    Args:
        draw: a function that returns a random number from 0 up to 1.
        names: a pool to draw names from in place of the grammar's own; or None.
    """

    def __init__(self, draw, names=None):
        self.draw, self.names = draw, names
        self.text = ""
        self.log_prob = 0.0
        self.facts = []  # (end, kind, words), of words that nothing else in their pattern could be
        self.begun = {}  # where words begin that will be remembered

    def choose(self, ways):
        """Choose one of `[(chance, ...)]`."""
        if len(ways) == 1:
            return ways[0]
        at = self.draw()
        for way in ways:
            at -= way[0]
            if at < 0:
                break
        self.log_prob += math.log(way[0])
        return way

    def take(self, steps, world):
        """Take steps, and return the world after them."""
        for step in steps:
            if isinstance(step, Say):
                self.text += step.words
            elif isinstance(step, Change):
                world = step.apply(world)
            elif isinstance(step, Fork):
                world = self.take(self.choose(step.branches(world))[1], world)
            elif isinstance(step, Begin):
                self.begun[step.name] = len(self.text)
            elif isinstance(step, End):
                world = remember(world, step.name, self.text[self.begun.pop(step.name) :])
            elif isinstance(step, Again):
                self.say_again(step.space + remembered(world, step.name))
            else:
                world = self.slot(step, world)
        return world

    def slot(self, step, world):
        """Fill a slot, and note a fact where nothing else could stand there."""
        of, without = step.options(world)
        if isinstance(of, Pool):
            of = of if self.names is None or of is not NAMES else self.names
            count, option = of.count(without), of.draw(self.draw, without)
            self.log_prob += math.log(of.weight(option) / of.total(without))
        else:
            count, (_, option) = len(of), self.choose(weighed(of))
        said = step.show(option)
        if said:
            self.text += step.space + said
        if step.kind and count == 1:
            self.facts.append((len(self.text), step.kind, said.rpartition(" ")[2]))
        return step.take(world, option)

    def say_again(self, said):
        """Say words that the text has told; each is a fact."""
        start = len(self.text)
        self.text += said
        for match in _WORDS.finditer(said):
            if match[0][0].isalpha():
                self.facts.append((start + match.end(), "again", match[0]))


def weighed(options):
    """Return `[(chance, option)]` of a sequence of options; in a short one, all are equal."""
    weights = [weight(o) for o in options] if len(options) > LONG_LIST else [1] * len(options)
    total = sum(weights)
    return [(weight / total, option) for weight, option in zip(weights, options, strict=True)]


def remember(world, name, said):
    """Let a name stand for words, through the tale if it is in capitals."""
    return world.know(**{name: said}) if name[0].isupper() else world.bind(**{name: said})


def remembered(world, name):
    """Return the words that a name stands for."""
    return world.known[name] if name[0].isupper() else world.bound[name]


def sample(draw, events=None, names=None):
    """Draw one tale; returns a `Telling`."""
    telling = Telling(draw, names)
    world = grammar.first_world()
    place = telling.choose(grammar.beginnings())[1]
    while True:
        _, fitting, place = telling.choose(grammar.moves(place, world, events))
        if fitting is None:
            return telling
        pattern = fitting[int(draw() * len(fitting))]
        telling.log_prob -= math.log(len(fitting))
        world = telling.take(pattern.steps, world).told(pattern.number, grammar.MEMORY)


# === Reading ===


class Way(NamedTuple):
    """One way in which a text may have come about, up to a position between two patterns."""

    place: grammar.Place
    world: object


class Beyond(NamedTuple):
    """A way that goes on beyond the text: its log-probability and the words that come.

    Where a pool comes, `words` is None, and `pool` and `without` say what it is.
    """

    log_prob: float
    words: str | None
    pool: Pool | None = None
    without: tuple = ()


class Reading:
    """A text that is being followed.

    Args:
        text: the start of a tale, or all of it.
        events: as `grammar.moves` takes it.
        names: a pool to read names with, in place of the grammar's own; or None.
    """

    def __init__(self, text, events=None, names=None):
        self.text, self.events, self.names = text, events, names
        self.beyond: list[Beyond] = []
        self.whole: list[float] = []  # log-probabilities of ways in which the tale ends here
        self.ways: dict[int, dict] = {}  # {position: {key: (log-probability, way)}}
        self.furthest = 0  # position that a way has reached
        self.forks: set[int] = set()  # positions at which a way went on otherwise than the text

    def read(self):
        """Follow the text to its end, and return this reading."""
        for chance, place in grammar.beginnings():
            self.note(0, math.log(chance), Way(place, grammar.first_world()))
        self.go_on()
        return self

    def read_from(self, position, ways):
        """Follow the text from a position; returns a function that tells the latest ways.

        It takes a position, and gives the ways that led to the last place between two patterns up
        to there.
        """
        for way in ways:
            self.note(position, 0.0, way)
        passed = self.go_on()

        def latest(end):
            at = max((place for place in passed if place <= end), default=None)
            return [] if at is None else [way for _, way in passed[at].values()]

        return latest

    def go_on(self):
        """Go on from the ways that are noted, the earliest first; returns all that were passed."""
        passed = {}
        while self.ways:
            position = min(self.ways)
            passed[position] = self.ways.pop(position)
            for log_prob, way in passed[position].values():
                self.follow(position, log_prob, way)
        return passed

    def follow(self, position, log_prob, way):
        """Take every move from a way that fits the text."""
        for chance, fitting, place in grammar.moves(way.place, way.world, self.events):
            log_move = log_prob + math.log(chance)
            if fitting is None:
                if position == len(self.text):
                    self.whole.append(log_move)
                else:
                    self.forks.add(position)
                continue
            log_each = log_move - math.log(len(fitting))
            for pattern in fitting:
                if self.may_start(pattern.start, position):
                    for end, log_end, world in self.steps(
                        pattern.steps, position, log_each, way.world
                    ):
                        told = world.told(pattern.number, grammar.MEMORY)
                        self.note(end, log_end, Way(place, told))

    def note(self, position, log_prob, way):
        """Note that a way leads to a position; ways to the same state are joined."""
        noted = self.ways.setdefault(position, {})
        key = (way.place, way.world.key())
        if key in noted:
            log_prob = log_sum([noted[key][0], log_prob])
        noted[key] = (log_prob, way)

    def may_start(self, start, position):
        """True if the text may go on with these words, as far as it goes."""
        if self.text.startswith(start[: len(self.text) - position], position):
            return True
        self.forks.add(position + _shared(start, self.text, position))
        return False

    def steps(self, steps, position, log_prob, world):
        """Yield `(position, log-probability, world)` for every way through the steps."""
        stack: list[tuple] = [(_chain(steps), position, log_prob, world, None)]
        while stack:
            rest, position, log_prob, world, begun = stack.pop()
            if rest is None:
                yield position, log_prob, world
                continue
            step, rest = rest
            if isinstance(step, Say):
                if (end := self.said(step.words, position, log_prob)) is not None:
                    stack.append((rest, end, log_prob, world, begun))
            elif isinstance(step, Change):
                stack.append((rest, position, log_prob, step.apply(world), begun))
            elif isinstance(step, Fork):
                for chance, inner in step.branches(world):
                    chained = _chain(inner, rest)
                    stack.append((chained, position, log_prob + math.log(chance), world, begun))
            elif isinstance(step, Begin):
                stack.append((rest, position, log_prob, world, (position, begun)))
            elif isinstance(step, End):
                start, begun = begun
                remembering = remember(world, step.name, self.text[start:position])
                stack.append((rest, position, log_prob, remembering, begun))
            elif isinstance(step, Again):
                words = step.space + remembered(world, step.name)
                if (end := self.said(words, position, log_prob)) is not None:
                    stack.append((rest, end, log_prob, world, begun))
            else:
                for end, log_end, after in self.slot(step, position, log_prob, world):
                    stack.append((rest, end, log_end, after, begun))

    def slot(self, step, position, log_prob, world):
        """Yield every way to fill a slot that fits the text."""
        of, without = step.options(world)
        if isinstance(of, Pool):
            of = of if self.names is None or of is not NAMES else self.names
            total = of.total(without)
            at = position + len(step.space)
            if at >= len(self.text):
                if self.text.startswith(step.space[: len(self.text) - position], position):
                    log_each = log_prob - math.log(total)
                    self.beyond.append(Beyond(log_each, None, of, without))
                return
            if of.count(without) > 1:
                self.forks.add(at)
            found = of.beginning(self.text, at, without)
            options = [(of.weight(option) / total, option) for option in found]
        else:
            options = weighed(of)
        at = position + len(step.space)
        char = self.text[at : at + 1] if self.text.startswith(step.space, position) else ""
        for chance, option in options:
            words = step.show(option)
            if words and char and words[0] != char:
                self.forks.add(at)  # as `said` would, but most options end here, so quickly
                continue
            log_option = log_prob + math.log(chance)
            end = self.said(step.space + words if words else "", position, log_option)
            if end is not None:
                yield end, log_option, step.take(world, option)

    def said(self, words, position, log_prob):
        """Return the position behind the words if the text has them; else None.

        Where the text ends within the words, what comes next is noted.
        """
        end = position + len(words)
        if self.text.startswith(words, position):
            self.furthest = max(self.furthest, end)
            return end
        is_beginning = end > len(self.text) and words.startswith(rest := self.text[position:])
        if is_beginning and not (words[len(rest)].isalpha() and rest[-1:].isalpha()):
            self.beyond.append(Beyond(log_prob, words[len(rest) :].lstrip(" ")))
        self.forks.add(position + _shared(words, self.text, position))
        return None


def _shared(words, text, position):
    """Count the characters that some words share with a text from a position on."""
    count = 0
    for word, char in zip(words, text[position : position + len(words)], strict=False):
        if word != char:
            break
        count += 1
    return count


def _chain(steps, rest=None):
    for step in reversed(steps):
        rest = (step, rest)
    return rest


def next_word_logs(reading):
    """Return `{word: log-probability}` of what comes after the text; "" is the tale's end."""
    logs: dict[str, float] = {}

    def add(word, log_prob):
        logs[word] = log_sum([logs[word], log_prob]) if word in logs else log_prob

    for beyond in reading.beyond:
        if beyond.words is not None:
            add(first_word(beyond.words), beyond.log_prob)
            continue
        pool = beyond.pool
        taken: Counter[str] = Counter()
        for word in beyond.without:
            if word in pool:
                taken[first_word(word)] += pool.weight(word)
        for word, all_of_it in pool.weights.items():
            if left := all_of_it - taken[word]:
                add(word, beyond.log_prob + (math.log(left) if left > 1 else 0.0))
    if reading.whole:
        add("", log_sum(reading.whole))
    return logs


def log_sum(logs):
    """Return the logarithm of the sum of what these are the logarithms of."""
    highest = max(logs, default=-math.inf)
    if highest == -math.inf:
        return highest
    return highest + math.log(math.fsum(math.exp(log - highest) for log in logs))

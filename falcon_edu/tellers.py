"""Tell tales: `Sampler` draws one, `Reader` follows a text.

Both are led by the same program, `grammar.tell`, so what is drawn and what is read cannot disagree.
A reader tells the tale again for every way it may have come about. Every choice soon shows in the
text, so wrong ways end early, and what remains gives the exact probability of the text and of each
word that may come next.
"""

import math
import re

from falcon_edu import grammar

_LOG = [0.0] + [math.log(count) for count in range(1, 200)]
_WORD = re.compile(r" ?([A-Za-z]+|'[a-z]+|[^\sA-Za-z])")


class Sampler:
    """Draws a tale. Every choice is uniform, but for the few that `chance` makes.

    Args:
        draw: a function that returns a random number from 0 up to 1.
    """

    def __init__(self, draw):
        self.draw = draw
        self.said = []
        self.length = 0  # of the text so far, in characters
        self.log_prob = 0.0
        self.facts = []  # (end, kind, answer)

    def say(self, words):
        """Say these words."""
        self.said.append(words)
        self.length += len(words)

    def choose(self, count):
        """Choose a number below `count`."""
        self.log_prob -= _LOG[count]
        return int(self.draw() * count)

    def chance(self, probability):
        """Say yes with this probability."""
        yes = self.draw() < probability
        self.log_prob += math.log(probability if yes else 1 - probability)
        return yes

    def word(self, options, space, kind, shown=None):
        """Choose one of the options and say it; a fact if there is only one and it has a kind."""
        option = options[0] if len(options) == 1 else options[self.choose(len(options))]
        words = option if shown is None else shown[option]
        if words:
            self.say(space + words)
        if kind and len(options) == 1:
            self.facts.append((self.length, kind, words.rpartition(" ")[2]))
        return option


class Reader:
    """Follows a text: makes the choices of `script`, then the first that fits, noting the others.

    Args:
        text: the start of a tale, or all of it.
        script: what to choose, in order.
    """

    def __init__(self, text, script):
        self.text = text
        self.script = script
        self.length = 0  # of the text so far, in characters
        self.log_prob = 0.0
        self.taken = []
        self.forks = []  # scripts
        self.ends = []  # (log_prob, word) where the tale goes on beyond the text

    def say(self, words):
        """Stop unless the text goes on like this."""
        covered = self._covered(words)
        if covered < len(words):
            if covered >= 0:
                self._end(words, covered)
            raise StopTelling
        self.length += len(words)

    def choose(self, count):
        """Choose a number below `count`, noting the others."""
        self.log_prob -= _LOG[count]
        return self._take(range(count))

    def chance(self, probability):
        """Say yes, noting that no is possible, unless it isn't."""
        yes = self._take([1, 0] if probability < 1 else [1])
        self.log_prob += math.log(probability if yes else 1 - probability)
        return yes

    def word(self, options, space, kind, shown=None):
        """Choose among the options that fit the text."""
        self.log_prob -= _LOG[len(options)]
        words = options if shown is None else [shown[option] for option in options]
        words = [space + word if word else "" for word in words]
        fits = []
        if len(self.taken) >= len(self.script):
            for index, word in enumerate(words):
                covered = self._covered(word)
                if covered == len(word):
                    fits.append(index)
                elif covered >= 0:
                    self._end(word, covered)
            if not fits:
                raise StopTelling
        index = self._take(fits)
        self.length += len(words[index])
        return options[index]

    def _take(self, fits):
        if len(self.taken) < len(self.script):
            choice = self.script[len(self.taken)]
        else:
            choice, *others = fits
            self.forks += [[*self.taken, other] for other in others]
        self.taken.append(choice)
        return choice

    def _covered(self, words):
        """Count the characters of the words that the text has; -1 if it goes on differently."""
        if self.text.startswith(words, self.length):
            return len(words)
        rest = self.text[self.length :]
        if not words.startswith(rest):
            return -1
        middle_of_word = words[len(rest)].isalpha() and self.text[-1:].isalpha()
        return -1 if middle_of_word else len(rest)

    def _end(self, words, covered):
        self.ends.append((self.log_prob, _WORD.findall(words, covered)[0]))


class StopTelling(Exception):
    """This way of telling doesn't lead to the text, or has led beyond it."""


def readings(text, events=None):
    """Every way to say a text and go on from it.

    Args:
        text: the start of a tale, or all of it.
        events: as `grammar.tell` takes it.

    Yields:
        (natural log-probability, next word), the word "" where the tale ends with the text.
    """
    scripts: list[list[int]] = [[]]
    while scripts:
        reader = Reader(text, scripts.pop())
        try:
            grammar.tell(reader, events)
            if reader.length == len(text):
                reader.ends.append((reader.log_prob, ""))
        except StopTelling:
            pass
        scripts += reader.forks
        yield from reader.ends

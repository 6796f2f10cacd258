"""Say what the grammar knows of a text: its probability, and that of every word that may follow."""

import math

from falcon_edu.corpora import tellers
from falcon_edu.corpora.captain import from_captain, to_captain
from falcon_edu.corpora.drawing import VOICES, check


def log_prob(text, voice="plain", events=None):
    """Return the natural logarithm of the probability that the grammar tells exactly this text.

    Args:
        text: a whole tale.
        voice: the voice it is told in.
        events: the number of events, where that was given when the tale was drawn.

    Returns:
        A float; -inf for a text that the grammar can't tell.

    >>> from falcon_edu.corpora import tales
    >>> tale = tales(1)[0]
    >>> log_prob(tale.text) == tale.log_prob
    True
    >>> log_prob("Attention is all you need.")
    -inf
    """
    check("voice", voice, VOICES)
    if voice == "captain":
        told, text = text, from_captain(text)
        if to_captain(text) != told:
            return -math.inf
    return tellers.log_sum(tellers.Reading(text, events).read().whole)


def next_words(prefix, events=None):
    """Return the exact probability of every word that may come next.

    A punctuation mark is a word of its own; so are the parts of "Anne-Marie".

    Args:
        prefix: the start of a plain tale, up to the end of a word; "" for the first word.
        events: the number of events, where it is given.

    Returns:
        A dictionary from word to probability, likeliest first; the word "" is the tale's end.

    Raises:
        ValueError: no tale starts like this.

    >>> list(next_words("Once upon a time, there was a girl"))
    ['named']
    """
    logs = tellers.next_word_logs(tellers.Reading(prefix.rstrip(" "), events).read())
    if not logs:
        raise ValueError(f"No tale starts with {prefix[-80:]!r}: take the start of a drawn one.")
    total = tellers.log_sum(logs.values())
    chances = {word: math.exp(log - total) for word, log in logs.items()}
    return dict(sorted(chances.items(), key=lambda item: (-item[1], item[0])))

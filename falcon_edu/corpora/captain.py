"""Retell tales in a second voice, that of an old captain: other words and endings, nothing lost."""

import re

from falcon_edu.corpora.words import CAPTAIN

BEFORE = "Ahoy, gather round, shipmates! "
AFTER = " An' that be the end, by the salty tide!"

_HIS = re.compile(
    r"(?<![^\W\d_])(?:[Oo]'(?![^\W\d_])|[Aa]n'|[^\W\d_]+'d\b|[^\W\d_]+in'(?!s\b)|[^\W\d_]+)"
)
_OURS = re.compile(r"[^\W\d_]+")
_PLAIN = {captain: word for word, captain in CAPTAIN.items()}
_BOTH = CAPTAIN.keys() & _PLAIN.keys()  # "be" is his for "is", and ours


def to_captain(text):
    """Retell a plain tale in the captain's voice.

    No two tales become the same, so each keeps its probability; `from_captain` undoes it.

    >>> to_captain("The girl walked home.")
    "Ahoy, gather round, shipmates! The girl walk'd home. An' that be the end, by the salty tide!"
    """
    return BEFORE + _retold(text) + AFTER


def moved(text, place):
    """Return where a place of a plain text is when the captain tells it, in characters.

    >>> to_captain("The girl walked home.")[moved("The girl walked home.", 9) :][:6]
    "walk'd"
    """
    return len(BEFORE) + len(_retold(text[:place]))


def from_captain(text):
    """Return the plain tale that the captain retold.

    >>> from_captain(to_captain("The girl walked home."))
    'The girl walked home.'
    """
    text = text.removeprefix(BEFORE).removesuffix(AFTER)
    return _HIS.sub(lambda match: _from_captain(match[0]), text)


def voice_share(text):
    """Measure how much of the captain's voice is in a text.

    Args:
        text: any text.

    Returns:
        Of the words that differ between the voices, the share that is his: 0.0 in a plain tale,
        1.0 in one of his. A text without such words shows nothing of him and has 0.0 too.

    >>> voice_share('"Yes," said Mia.'), voice_share('"Aye," quoth Mia.')
    (0.0, 1.0)
    """
    plain = sum(_to_captain(word) != word for word in _OURS.findall(text) if word not in _BOTH)
    his = sum(_from_captain(word) != word for word in _HIS.findall(text) if word not in _BOTH)
    return his / (plain + his) if plain + his else 0.0


def _retold(text):
    return _OURS.sub(lambda match: _to_captain(match[0]), text)


def _to_captain(word):
    lower = word.lower()
    if lower in CAPTAIN:
        return _like(word, CAPTAIN[lower])
    if re.fullmatch(r"[a-z]*[aeiouy][a-z]*ing", word):  # "morning", but neither "king" nor a name
        return word[:-1] + "'"
    if re.fullmatch(r"[a-z]*[aeiouy][a-z]*ed", word):  # "walked", but not "red"
        return word[:-2] + "'d"
    return word


def _from_captain(word):
    lower = word.lower()
    if lower in _PLAIN:
        return _like(word, _PLAIN[lower])
    if re.fullmatch(r"[a-z]*[aeiouy][a-z]*in'", word):
        return word[:-1] + "g"
    if re.fullmatch(r"[a-z]*[aeiouy][a-z]*'d", word):
        return word[:-2] + "ed"
    return word


def _like(word, other):
    return other[0].upper() + other[1:] if word[0].isupper() else other

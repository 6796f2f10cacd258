"""Say whether a lesson can take the name that a reader types, and if not, why."""

import unicodedata

from falcon_edu.corpora import NAMES

LONGEST = 10  # tokens: no name in the tales has more
BYTES = frozenset("".join(NAMES.entries).encode())  # what a Falcon of the tales can spell


def pieces(name, tokenizer):
    """Return the tokens of a name as it stands in a text, with the space before it.

    Args:
        name: what the reader typed.
        tokenizer: the `FalconTokenizer` of a model that was trained on the tales.

    Returns:
        A list of strings.

    Raises:
        ValueError: it is no name, or one that such a model can't spell: with letters whose bytes no
            name in the tales has, or longer than any of these.

    >>> from falcon_edu import FalconTokenizer
    >>> pieces("Mia", FalconTokenizer.from_preset("falcon_tales_rw_en"))
    [' Mia']
    """
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f'A name is a text with letters, such as "Wolfgang", but it is {name!r}.')
    if name != " ".join(name.split()):
        raise ValueError(f"Leave out the spaces around {name!r}: a text has one between two words.")
    if unknown := [letter for letter in dict.fromkeys(name) if not _is_known(letter)]:
        raise ValueError(
            f"No tale has {' or '.join(map(repr, unknown))}, so the Falcon never learned to write "
            f"{name!r}. {_advice(name)}"
        )
    tokens = tokenizer.token_strings(tokenizer(f" {name}"))
    if len(tokens) > LONGEST:
        raise ValueError(
            f"{name!r} is {len(tokens)} tokens long, and no name in the tales has more than "
            f"{LONGEST}: take a shorter one, such as a part of it."
        )
    return tokens


def _is_known(text):
    return BYTES.issuperset(text.encode())


def _advice(name):
    """Say what would do in place of a name with letters that no tale has."""
    apart = unicodedata.normalize("NFKD", name.replace("’", "'"))
    plain = "".join(letter for letter in apart if not unicodedata.combining(letter))
    if plain and _is_known(plain):
        return f"Write {plain!r} instead."
    return "Spell it with the letters from A to Z, or take another name."

"""The alphabet of byte-level BPE: 256 letters, one for each byte."""

import functools


@functools.cache
def byte_alphabet():
    """Return the printable character that stands for each byte in a vocabulary, as in GPT-2.

    Bytes that print keep their own character. The others (space, newline, control bytes and so on)
    take the characters from U+0100 on, so that no token holds white space.

    Returns:
        Dictionary of byte, 0 to 255, to character.

    Example:

    >>> alphabet = byte_alphabet()
    >>> alphabet[ord("a")], alphabet[ord(" ")]
    ('a', 'Ġ')

    Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.2.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {
        byte: chr(256 + i) for i, byte in enumerate(others)
    }


@functools.cache
def _character_bytes():
    return {character: byte for byte, character in byte_alphabet().items()}


def token_to_bytes(token):
    """Return the bytes that a token of a byte-level vocabulary stands for.

    A token with characters outside the alphabet, such as a special token with a space in it,
    stands for its own text.

    Args:
        token: string from a vocabulary.

    Example:

    >>> token_to_bytes("Ġcaf")
    b' caf'
    >>> token_to_bytes("Ã©").decode()
    'é'
    """
    try:
        return bytes(map(_character_bytes().__getitem__, token))
    except KeyError:
        return token.encode("utf-8")

"""Read a reader's own text, whatever program wrote it, and take it apart for a split."""

import re

FITS = (
    "'cp1252' fits many texts from Windows, 'utf-16-le' some; a PDF or a document of a word "
    "processor has to be saved as plain text first."
)
LEAST, LEAST_BYTES = 14, 10_000  # two parts for tuning and two for the exam, of every seven
MOST_BYTES = 200_000  # of which a laptop measures a seventh in seconds
MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# Whole paragraphs as long as they fit; a longer one ends between two words, or anywhere.
PIECES = re.compile(r".{1,1200}(?:\n\n|\Z)|.{1,1200}\s|.{1,1200}", re.DOTALL)


def decode(data: bytes, encoding: str = "utf-8") -> str:
    r"""Return the bytes of a file as text, with `\n` alone at the end of each line.

    Args:
        data: what the file holds. If it begins with a byte order mark, that names the encoding.
        encoding: a name that Python knows, such as "utf-8" or "cp1252".

    Raises:
        LookupError: Python knows no such encoding.
        ValueError: the bytes are not in this encoding, or are no text, or none are there.

    >>> decode("Η βάρκα.\r\nΈφτασε.\r\n".encode())
    'Η βάρκα.\nΈφτασε.'
    """
    encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), encoding)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"The text is not in {encoding}: byte {error.start:,} does not fit. Name the encoding "
            f"that it was written in: {FITS}"
        ) from None
    if "\0" in text:
        raise ValueError(
            f"Read as {encoding}, the text has zeros in it, so it is in another encoding, or no "
            f"text: {FITS}"
        )
    if not text.strip():
        raise ValueError("The text is empty.")
    return "\n".join(line.rstrip() for line in text.splitlines())


def documents(text: str, between: str = "") -> list[str]:
    """Return what hangs together in a text, each only once, from the beginning up to 200,000 bytes.

    Args:
        text: a text of one's own, cleaned.
        between: what stands between two letters, poems or chapters. Where it is empty, or not
            there, paragraphs are gathered up to 1,200 characters.

    Raises:
        ValueError: less is left than a model can be trained and measured on.

    >>> poems = documents("\\n***\\n".join(f"{i} {'gulls ' * 200}" for i in range(20)), "***")
    >>> len(poems), poems[19][:13]
    (20, '19 gulls gull')
    """
    is_there = bool(between) and between in text
    parts = text.split(between) if is_there else PIECES.findall(text)
    found: list[str] = []
    size = 0
    for part in dict.fromkeys(part.strip() for part in parts if part.strip()):
        size += len(part.encode())
        if found and size > MOST_BYTES:
            break
        found.append(part)
    if len(found) < LEAST or size < LEAST_BYTES:
        how = f"parted by {between!r}" if is_there else "paragraphs of up to 1,200 characters"
        raise ValueError(
            f"Different parts in the text: {len(found)}, with {size:,} bytes ({how}). To train on "
            f"some and to measure on others takes {LEAST} of them and {LEAST_BYTES:,} bytes."
        )
    return found

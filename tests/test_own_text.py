"""A reader's own text: what is read whatever wrote it, and what the refusals say."""

from pathlib import Path

import falcon_edu
from falcon_edu.course import own_text

import nbformat
import pytest

LESSON = Path(__file__).resolve().parents[1] / "notebooks" / "20_your_own_text.ipynb"
LETTERS = Path(falcon_edu.__file__).parent / "course" / "texts" / "letters_from_little_gannet.txt"
CAFE = "Ça va?\nUn café à Élancourt, s'il vous plaît.\n"
GREEK, CHINESE = "Η βάρκα ήρθε σήμερα. ", "今天船来了，带来了一封信。"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_that_says_its_encoding_or_needs_not_is_read(encoding):
    assert own_text.decode(CAFE.encode(encoding)) == CAFE.strip()


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16-le", "utf-16-be"])
def test_another_encoding_is_read_when_it_is_named_and_else_refused_in_words(encoding):
    data = CAFE.encode(encoding)
    with pytest.raises(ValueError, match=r"encoding.*'cp1252' fits many texts from Windows"):
        own_text.decode(data)
    assert own_text.decode(data, encoding) == CAFE.strip()


def test_plain_words_in_two_bytes_each_are_not_taken_for_text_with_zeros():
    with pytest.raises(ValueError, match="has zeros in it"):
        own_text.decode("A gull sat on the roof.".encode("utf-16-le"))


def test_what_is_no_text_is_refused():
    with pytest.raises(ValueError, match="saved as plain text"):
        own_text.decode(b"PK\x03\x04\x14\x00\x00\x00\x08\x00\x8b\xe2")


@pytest.mark.parametrize("data", [b"", b"\r\n \r\n", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_an_empty_file_is_called_empty(data):
    with pytest.raises(ValueError, match="is empty"):
        own_text.decode(data)


def test_lines_end_alike_whoever_wrote_them():
    letters = LETTERS.read_bytes()
    for end in (b"\r\n", b"\r", b" \n"):
        assert own_text.decode(letters.replace(b"\n", end)) == own_text.decode(letters)


def test_an_encoding_that_python_does_not_know_is_named():
    with pytest.raises(LookupError, match="windows-ansi"):
        own_text.decode(b"A gull.", "windows-ansi")


SMALL = {
    "one line": "The boat comes on Tuesdays.",
    "300 bytes": "The boat comes.\n" * 19,
    "thirteen parts": "\n\n".join(f"{i}" + "a" * 1190 for i in range(13)),
    "short parts": "* * *".join(map(str, range(40))),
    "one letter": "a" * 60_000,
    "one line, again and again": "The boat comes on Tuesdays.\n\n" * 5_000,
}


@pytest.mark.parametrize("text", SMALL.values(), ids=SMALL)
def test_too_little_to_train_and_measure_on_is_refused(text):
    with pytest.raises(ValueError, match=r"Different parts in the text: .* takes 14 of them"):
        own_text.documents(text, "* * *")


def test_an_empty_separator_means_none():
    text = "\n\n".join(f"{i} {'gull ' * 100}" for i in range(60))
    assert own_text.documents(text, "") == own_text.documents(text, "* * *")


@pytest.mark.parametrize("sentence", [GREEK, CHINESE])
def test_other_scripts_are_parted_between_characters(sentence):
    text = "".join(f"{i}. {sentence}" for i in range(3_000))
    parts = own_text.documents(own_text.decode(text.encode()))
    assert text.startswith(parts[0])
    assert all(len(part) <= 1_200 for part in parts)
    assert len(parts) >= 14


def test_paragraphs_stay_whole_where_they_fit_and_nothing_is_lost():
    paragraphs = [f"{i} {'gull ' * 80}".strip() for i in range(60)]
    parts = own_text.documents("\n\n".join(paragraphs))
    assert "\n\n".join(parts).split("\n\n") == paragraphs


def test_of_a_large_text_whole_parts_are_taken_up_to_a_limit():
    text = "\n\n".join(f"{i} {'gull ' * 80}".strip() for i in range(12_000))
    assert len(text) > 4_500_000
    parts = own_text.documents(text)
    assert 198_000 < sum(map(len, parts)) <= own_text.MOST_BYTES
    assert text.startswith("\n\n".join(parts))


def test_the_lesson_splits_another_text_than_ours(tmp_path):
    """Its cells from the text to the split, with a Greek one from Windows in the place of ours."""
    path = tmp_path / "mine.txt"
    text = "\r\n\r\n".join(f"{i}. {GREEK * 30}" for i in range(60))
    path.write_bytes(text.encode("cp1253"))
    cells = [c.source for c in nbformat.read(LESSON, as_version=4).cells if c.cell_type == "code"]
    space = {"falcon_edu": falcon_edu}
    exec(cells[0].partition("\n\n")[2].partition("# Has JAX")[0], space)
    for source in cells[1:]:
        exec(source, space)
        if "raw" not in space:  # the cell that names the text
            space.update(data=path.read_bytes(), ENCODING="cp1253")
        if "parts" in space:
            break
    assert space["parts"]["exam"][0].startswith("3. Η βάρκα")
    assert min(map(len, space["parts"].values())) >= 2

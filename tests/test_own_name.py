"""A reader's own name: what a lesson takes, and what it says of the others."""

from falcon_edu import FalconTokenizer
from falcon_edu.corpora import HELD_OUT_NAMES
from falcon_edu.course import own_name

import pytest


@pytest.fixture(scope="module")
def tokenizer():
    return FalconTokenizer.from_preset("falcon_tales_rw_en")


@pytest.mark.parametrize("name", ["Wolfgang", "Siddharth", "O'Neil", "Zoë", "Anne-Marie", "Nguyen"])
def test_unusual_names_come_in_pieces_that_join_to_the_name(tokenizer, name):
    assert len(own_name.pieces(name, tokenizer)) > 1
    assert tokenizer.detokenize(tokenizer(f" {name}")) == f" {name}"


def test_names_that_no_tale_has_are_taken(tokenizer):
    refused = [name for name in HELD_OUT_NAMES if not taken(name, tokenizer)]
    assert len(refused) < len(HELD_OUT_NAMES) / 10


def taken(name, tokenizer):
    try:
        return own_name.pieces(name, tokenizer)
    except ValueError:
        return []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Nguyễn", "No tale has 'ễ', so .* Write 'Nguyen' instead."),
        ("O’Neil", "No tale has '’', so .* Write \"O'Neil\" instead."),
        ("张伟", "No tale has '张' or '伟', so .* Spell it with the letters from A to Z"),
        ("R2D2", "No tale has '2', so .* Spell it with the letters from A to Z"),
        ("Wolfeschlegelsteinhausenberger", "16 tokens long, and no name .* has more than 10"),
        ("", "A name is a text"),
        (7, "A name is a text"),
        (" Tom", "Leave out the spaces"),
    ],
)
def test_a_name_that_cannot_be_handled_is_refused_in_a_sentence(tokenizer, name, said):
    with pytest.raises(ValueError, match=said):
        own_name.pieces(name, tokenizer)

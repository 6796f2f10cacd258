"""Minimal pairs of the open world: two questions that tell the giver from the name said last."""

from falcon_edu.corpora import next_words
from falcon_edu.corpora.pairs import ASKED, minimal_pairs
from falcon_edu.corpora.pools import first_word

import pytest


@pytest.mark.parametrize("asked", ASKED)
def test_each_text_of_a_pair_forces_a_name_that_is_not_the_one_said_last(asked):
    pairs = minimal_pairs(2, seed=2, asked=asked)
    assert len(set(pairs)) == 2
    for pair in pairs:
        assert list(next_words(pair.clean)) == [first_word(pair.clean_answer)]
        assert list(next_words(pair.corrupted)) == [first_word(pair.corrupted_answer)]
        assert pair.clean_last == pair.corrupted_answer != pair.clean_answer
        assert pair.corrupted_last == pair.clean_answer
        changed = zip(pair.clean.split(), pair.corrupted.split(), strict=True)
        assert 1 <= sum(one != other for one, other in changed) <= 2


def test_who_gives_is_said_last_before_the_receiver_and_first_before_thanks():
    received, thanked = (minimal_pairs(2, seed=4, asked=asked) for asked in ASKED)
    assert all(" picked " in pair.clean for pair in received)
    for pair in thanked:
        sentence = pair.clean.removesuffix(' "Thank you,').rpartition(". ")[2]
        assert sentence.index(pair.clean_answer) < sentence.index(pair.clean_last)


def test_another_question_is_refused():
    with pytest.raises(ValueError, match="asked must be one of"):
        minimal_pairs(1, asked="giver")

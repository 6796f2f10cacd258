"""How tales are judged: names that are kept, new words, lists and heads; with a tiny model."""

import math

from falcon_edu import FalconBackbone, FalconCausalLM, FalconCausalLMPreprocessor, FalconTokenizer
from falcon_edu.corpora import words
from falcon_edu.corpora.names import HELD_OUT_NAMES
from falcon_edu.evaluation import spans_right
from falcon_edu.text.byte_level import byte_alphabet
from tools import evaluate_tales

import numpy as np
import pytest


@pytest.fixture(scope="module")
def letters():
    """An untrained model of one layer whose tokens are bytes."""
    vocabulary = {"<|endoftext|>": 0}
    vocabulary |= {char: 1 + number for number, char in enumerate(byte_alphabet().values())}
    tokenizer = FalconTokenizer(vocabulary=vocabulary, merges=[])
    backbone = FalconBackbone(len(vocabulary), 1, 2, 8, 16)
    preprocessor = FalconCausalLMPreprocessor(tokenizer, sequence_length=512)
    return FalconCausalLM(backbone, preprocessor)


def test_there_are_sixty_beginnings_and_their_names_are_in_them():
    development, held_out = map(evaluate_tales.read_beginnings, ("development", "held out"))
    assert (len(development), len(held_out)) == (20, 40)
    for text, names in development + held_out:
        assert all(name in text for name in names)
    assert not {text for text, _ in development} & {text for text, _ in held_out}


@pytest.mark.parametrize(
    ("after", "told", "are_kept"),
    [
        (" Everybody liked Wolfgang.", [True], True),
        (" Everybody liked Ada.", [False], False),
        (" Everybody liked Wolfet.", [False], False),
        (" Everybody liked of.", [False], True),
        (" Everybody liked Wolfgang. Everybody lik", [True], True),
    ],
)
def test_a_name_is_kept_where_no_other_takes_its_place(after, told, are_kept):
    beginning = "My uncle Wolfgang sells clouds."
    assert evaluate_tales.judge(beginning, beginning + after) == (told, are_kept)


def test_what_goes_on_within_the_readers_sentence_is_not_judged():
    told, are_kept = evaluate_tales.judge("My uncle Wolfgang", "My uncle Wolfgang sells Ada.")
    assert (told, are_kept) == ([], True)


def test_a_name_in_a_sentence_that_the_reader_has_finished_is_judged():
    beginning = '"Stop!" shouted Zanele. "That is my sandwich!"'
    assert evaluate_tales.judge(beginning, beginning + " cried Ada.") == ([], False)
    assert evaluate_tales.judge(beginning, beginning + " cried Zanele.") == ([], True)


def test_a_curve_goes_on_as_it_came():
    tokens = np.array([1e6, 2e6, 4e6, 8e6, 16e6])
    curve = evaluate_tales.fitted(tokens, 1.25 + 3e5 * tokens**-0.9)
    assert curve([100e6, np.inf]) == pytest.approx([1.25 + 3e5 * 100e6**-0.9, 1.25], rel=1e-3)


def test_new_words_stand_where_the_old_ones_were_forced():
    for tale in evaluate_tales.with_new_words(8):
        new = tale.text[slice(*tale.spans[0])].lower()
        assert new in words.HELD_OUT_WORDS
        assert all(tale.text[start:end].lower() == new for start, end in tale.spans)
        assert tale.text.lower().count(new) > len(tale.spans)  # where it is said first


def test_held_out_tales_with_held_out_names_have_them():
    text = " ".join(tale.text for tale in evaluate_tales.held_out(20, names=True))
    assert sum(name in text for name in HELD_OUT_NAMES) > 5


def test_a_part_is_right_where_each_of_its_tokens_is(letters):
    right = np.array([True] * 4 + [False] + [True] * 3)
    judged = spans_right(letters, "Ada ran.", [(0, 3), (4, 7), (5, 7)], right)
    assert judged == [(True, 3), (False, 3), (True, 2)]


def test_the_name_that_must_come_is_looked_at_from_the_token_before(letters):
    tale = next(
        tale
        for tale in evaluate_tales.held_out(40)
        if tale.facts and tale.facts[0].kind in evaluate_tales.OF_PEOPLE and tale.text.isascii()
    )
    fact, length = tale.facts[0], 1 + len(tale.text)
    pattern = evaluate_tales.name_that_must_come(letters, [tale], (1, length))[0]
    keys = np.flatnonzero(pattern[fact.start])  # the start token moves each letter by one
    assert "".join(tale.text[key - 1] for key in keys) == fact.answer * (
        len(keys) // len(fact.answer)
    )
    assert keys.max() <= fact.start


def test_an_untrained_model_has_the_whole_table_and_nothing_right(letters, monkeypatch):
    monkeypatch.setattr(
        evaluate_tales,
        "random_lists",
        lambda model, count: ["qwertyuiopasdfghjklz" * 2] * count,  # here a letter is a token
    )
    few = evaluate_tales.read_beginnings("held out")[:2]
    monkeypatch.setattr(evaluate_tales, "read_beginnings", lambda part: few)
    results = evaluate_tales.evaluate(letters, count=10)
    assert list(results) == list(evaluate_tales.GOALS)
    assert results["cross-entropy over the grammar's own"] > 2
    assert results["random lists continued"] < 0.1
    assert all(math.isnan(value) or value >= 0 for value in results.values())
    assert evaluate_tales.evaluate(letters, count=10) == pytest.approx(results, nan_ok=True)
    lines = evaluate_tales.table({"tiny": results}).splitlines()
    assert len(lines) == 1 + len(results)
    assert "1.060" in lines[1]


def test_the_command_prints_a_table_for_a_folder(letters, monkeypatch, tmp_path, capsys):
    letters.save_to_preset(str(tmp_path / "mine"))
    values = dict.fromkeys(evaluate_tales.GOALS, 0.25)  # measuring has a test of its own
    monkeypatch.setattr(evaluate_tales, "evaluate", lambda model, count: values)
    monkeypatch.setattr("sys.argv", ["evaluate_tales.py", str(tmp_path / "mine")])
    evaluate_tales.main()
    assert "mine" in capsys.readouterr().out.splitlines()[0]

"""The open world: its tales, what its grammar knows of them, and its judgement of other texts."""

import math
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from falcon_edu import corpora
from falcon_edu.corpora import captain, grammar, notation, patterns, tellers, words
from falcon_edu.corpora.names import FAMILIAR_NAMES, HELD_OUT_NAMES, NAMES
from falcon_edu.corpora.pools import AnyName, Pool

import hypothesis.strategies as st
import pytest
from hypothesis import given

TALES = corpora.tales(300, seed=7, split=None)


# === Size ===


def test_there_are_too_many_names_to_learn():
    assert len(NAMES) >= 20_000
    assert len(set(NAMES.entries)) == len(NAMES)


def test_held_out_names_are_real_ones_that_no_tale_has():
    assert len(set(HELD_OUT_NAMES)) == len(HELD_OUT_NAMES) >= 300
    assert not set(HELD_OUT_NAMES) & {*NAMES.entries, *FAMILIAR_NAMES}


def test_names_are_written_in_every_usual_way():
    for form in ("Anne-", "O'", "van ", "Mc", "ø", "é", " Lou"):
        assert any(form.lower() in name.lower() for name in NAMES.entries), form


def test_no_name_is_a_word_of_the_tales():
    assert not {name for name in NAMES.entries if name.lower() in words.CONTENT_WORDS}


def test_there_are_three_thousand_content_words_and_six_hundred_patterns():
    assert len(words.CONTENT_WORDS) >= 3_000
    lines = {line for stage in patterns.STAGES.values() for line in stage}
    assert len(lines) >= 600


# === Patterns ===


@pytest.mark.parametrize("stage", patterns.STAGES)
def test_a_pronoun_follows_the_one_it_stands_for(stage):
    for line in patterns.STAGES[stage]:
        for found in re.finditer(r"\{(\w)\.(?:he|him|his|He|His|himself)\}", line):
            who, before = found[1], line[: found.start()]
            named = re.search(rf"\{{[{who}{who.upper()}][}}:=]", before)
            assert named or (who == "g" and "{o" in before), line


@pytest.mark.parametrize("stage", patterns.STAGES)
def test_every_pattern_is_told(stage):
    told = Counter()
    for pattern in grammar.PATTERNS[stage]:
        told[pattern.text] += 1
        assert pattern.steps
    assert len(told) == len(patterns.STAGES[stage]), "a line stands there twice"


def test_an_unknown_slot_and_a_loose_bracket_are_refused():
    with pytest.raises(ValueError, match="no list 'nothing'"):
        notation.compile_pattern("There is {nothing}.", "")
    with pytest.raises(ValueError, match="bracket"):
        notation.compile_pattern("There is] none.", "")


def test_two_words_of_one_list_differ_in_a_pattern():
    for tale in corpora.tales(200, seed=3, split=None):
        if found := re.search(r"We ate ([\w-]+) and ([\w-]+)\. I like", tale.text):
            assert found[1] != found[2]


# === Truth ===


def test_reading_finds_the_probability_with_which_a_tale_was_drawn():
    draw = random.Random(5).random
    for _ in range(100):
        telling = tellers.sample(draw)
        # Some texts come about in two ways; never in none that drawing knows.
        assert corpora.log_prob(telling.text) >= telling.log_prob - 1e-9
        assert corpora.log_prob(telling.text) < telling.log_prob + math.log(20)


def test_next_words_multiply_to_the_probability_of_the_tale():
    tale = min((tale for tale in TALES if " " in tale.text), key=lambda tale: len(tale.text))
    total, position = 0.0, 0
    for match in re.finditer(r"\s?([^\W\d_]+|\d|[^\w\s])", tale.text):
        total += math.log(corpora.next_words(tale.text[:position])[match[1]])
        position = match.end()
    total += math.log(corpora.next_words(tale.text)[""])
    assert total == pytest.approx(corpora.log_prob(tale.text), abs=1e-6)


@pytest.mark.parametrize("tale", TALES[:30], ids=lambda tale: tale.text[:20])
def test_a_fact_is_the_only_word_that_can_come(tale):
    for fact in tale.facts[::3]:
        first = re.match(r"[^\W\d_]+|[^\w\s]|\d", fact.answer)[0]
        assert corpora.next_words(tale.text[: fact.start])[first] == pytest.approx(1)


def test_where_another_word_can_come_is_no_fact():
    missed = total = 0
    for tale in TALES[:120]:
        facts = {(fact.start, fact.end) for fact in tale.facts}
        for end, _, word in tale.candidates[::7]:
            chances = corpora.next_words(tale.text[: end - len(word)])
            forced = max(chances.values()) > 1 - 1e-9
            missed += forced and (end - len(word), end) not in facts
            total += 1
    assert missed / total < 0.03


def test_probabilities_of_next_words_sum_to_one():
    for prefix in ("Once upon", "Dear", TALES[0].text[: TALES[0].text.rindex(" ")]):
        assert math.fsum(corpora.next_words(prefix).values()) == pytest.approx(1)


def test_no_tale_starts_like_that():
    with pytest.raises(ValueError, match="No tale starts with"):
        corpora.next_words("Attention is all you")
    assert corpora.log_prob("Attention is all you need.") == -math.inf


def test_an_article_fits_the_word_after_it():
    text = " ".join(tale.text for tale in TALES)
    assert not re.findall(r"\b[Aa] (?:honest|(?!uni|use|one|eu)[aeio][a-z]+)\b", text)
    assert not re.findall(r"\b[Aa]n (?!hour|hon|heir)[^\Waeiou][a-z]+\b", text)


def test_a_tale_of_several_riddles_has_spaces_between_them():
    assert not any(re.search(r"[a-z][.?][A-Z]", tale.text) for tale in TALES)


def test_no_made_up_word_is_one_that_a_child_should_not_read():
    made_up = {*words.INVENTED.entries, *words.LISTS["gibberish"].entries, *words.HELD_OUT_WORDS}
    assert all(words.is_fit(word) for word in made_up)
    assert not words.is_fit("Shith")


def test_words_that_measure_are_in_no_tale():
    assert len(words.HELD_OUT_WORDS) > 200
    assert not set(words.HELD_OUT_WORDS) & {*words.INVENTED.entries, *words.CONTENT_WORDS}


def test_facts_of_kind_name_are_names():
    named = [f.answer for tale in TALES[:150] for f in tale.facts if f.kind in OF_PEOPLE]
    assert len(named) > 300
    assert all(name[0].isupper() for name in named)


OF_PEOPLE = ("name", "receiver", "holder", "away")


def test_a_few_words_of_a_long_list_come_often_and_all_of_a_short_one_equally():
    colors = words.LISTS["color"]
    assert {chance for chance, _ in tellers.weighed(colors)} == {1 / len(colors)}
    chances = corpora.next_words("Dear Grandma, Thank you for the")
    assert sum(chances.values()) == pytest.approx(1)
    assert chances["ball"] == pytest.approx(words.COMMON_WEIGHT * chances["abacus"])


def test_a_list_may_be_long_and_without_commas():
    told = corpora.tales(2_000, seed=0)
    lengths = [len(t.text.split()) for t in told if not re.search("[,.!?]", t.text)]
    assert max(lengths) > 30


def test_the_same_seed_gives_the_same_tales_everywhere():
    assert corpora.tales(3, seed=2) == corpora.tales(3, seed=2)
    checksum = sum(map(ord, "".join(tale.text for tale in corpora.tales(20, seed=2))))
    assert checksum == CHECKSUM


CHECKSUM = 514515


def test_the_hash_seed_of_python_does_not_matter():
    command = "from falcon_edu.corpora import tales; print(tales(20, seed=3))"
    root = Path(__file__).parents[1]
    told = {
        subprocess.run(
            [sys.executable, "-c", command],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(root)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for hash_seed in "12"
    }
    assert told == {f"{corpora.tales(20, seed=3)}\n"}


def test_the_stream_is_the_list():
    stream = corpora.tale_stream(seed=5, voice="captain")
    assert [next(stream) for _ in range(3)] == corpora.tales(3, seed=5, voice="captain")


@pytest.mark.parametrize(
    "arguments",
    [{"voice": "pirate"}, {"split": "test"}, {"events": -1}, {"events": 2.5}],
    ids=lambda arguments: next(iter(arguments)),
)
def test_bad_arguments_are_refused_by_name(arguments):
    name, value = next(iter(arguments.items()))
    with pytest.raises(ValueError, match=f"{name} must be .*{re.escape(repr(value))}"):
        corpora.tale_stream(**arguments)


def test_splits_share_no_tale():
    drawn = {
        split: {t.text for t in corpora.tales(100, 5, split=split)} for split in corpora.SPLITS[:3]
    }
    assert not drawn["train"] & drawn["held_out"]
    assert not drawn["train"] & drawn["tuning"]
    assert not drawn["tuning"] & drawn["held_out"]


def test_held_out_names_come_when_asked_for():
    told = corpora.tales(60, seed=1, held_out_names=True)
    text = " ".join(tale.text for tale in told)
    assert sum(name in text for name in HELD_OUT_NAMES) > 20
    assert all(tale.log_prob > -math.inf for tale in told[:10])
    plain = " ".join(tale.text for tale in corpora.tales(60, seed=1))
    assert not re.search(r"\b(Wolfgang|Siddharth|Bartholomew)\b", plain)


def test_a_story_has_as_many_events_as_asked_for():
    long, short = (corpora.tales(40, seed=1, events=events) for events in (8, 0))
    assert sum(len(t.text) for t in long) > 2 * sum(len(t.text) for t in short)


# === What the world keeps ===


def test_a_list_is_read_out_as_it_was_written():
    lists = [t for t in TALES[:150] if sum(fact.kind == "again" for fact in t.facts) > 5]
    assert len(lists) > 10
    for tale in lists:
        again = [fact for fact in tale.facts if fact.kind == "again"]
        assert all(fact.answer in tale.text[: fact.start] for fact in again)


def test_a_pronoun_never_changes():
    for tale in TALES:
        found = re.search(r"a girl (?:named|called) ([^\W\d_]+),", tale.text)
        if found and tale.text.count(" he ") and found[1] in tale.text:
            assert f"{found[1]}. He " not in tale.text


def test_kinds_of_tales_come_in_their_shares():
    drawn = Counter(tale.text.split(" ")[0] for tale in corpora.tales(1_000, seed=11))
    assert 0.04 < drawn["Dear"] / 1_000 < 0.10
    assert 0.05 < drawn["Once"] / 1_000 < 0.20


# === The captain ===


def test_the_captain_retells_every_tale_and_back():
    for tale in TALES:
        assert captain.from_captain(captain.to_captain(tale.text)) == tale.text


def test_no_tale_says_what_the_captain_says():
    his = set(words.CAPTAIN.values()) - words.CAPTAIN.keys()
    said = {word.lower() for tale in TALES for word in re.findall(r"[\w']+", tale.text)}
    assert not his & said


def test_his_voice_is_heard_in_his_tales_only():
    assert all(captain.voice_share(tale.text) == 0 for tale in TALES)
    heard = [captain.voice_share(captain.to_captain(tale.text)) for tale in TALES]
    assert sum(heard) / len(heard) > 0.9


def test_the_captain_tells_the_same_tales():
    plain, his = (corpora.tales(20, 9, voice=voice) for voice in corpora.VOICES)
    for one, other in zip(plain, his, strict=True):
        assert other.text == corpora.to_captain(one.text)
        assert other.log_prob == one.log_prob == corpora.log_prob(other.text, "captain")
        assert [fact.kind for fact in other.facts] == [fact.kind for fact in one.facts]


def test_a_fact_moves_with_its_word():
    plain, his = (corpora.tales(60, 9, voice=voice) for voice in corpora.VOICES)
    pairs = [
        (old, new)
        for one, other in zip(plain, his, strict=True)
        for old, new in zip(one.facts, other.facts, strict=True)
    ]
    for old, new in pairs:
        assert new.start > old.start
        assert captain.from_captain(new.answer) == old.answer
    assert any(new.answer != old.answer for old, new in pairs)


def test_a_plain_tale_is_none_of_the_captains():
    text = TALES[0].text
    assert corpora.log_prob(text, voice="captain") == -math.inf
    assert corpora.log_prob(corpora.to_captain(text)) == -math.inf


def test_voice_share_measures_the_captain():
    assert corpora.voice_share("Mia had a kite.") == 0.0
    assert corpora.voice_share('"Aye," said the captain.') == 0.5
    assert corpora.voice_share("") == 0.0


@given(text=st.text())
def test_any_text_can_be_measured_and_retold(text):
    assert 0 <= corpora.voice_share(text) <= 1
    assert isinstance(corpora.to_captain(text), str)


# === Judging texts ===


def judged(text):
    return [sentence.is_told for sentence in corpora.sentences_told(text)]


def test_every_sentence_of_a_tale_can_be_told():
    told = [is_told for tale in TALES[:100] for is_told in judged(tale.text)]
    assert sum(told) / len(told) > 0.995


def test_a_name_of_the_readers_own_is_taken_up():
    assert judged("My uncle Wolfgang sells clouds. Everybody liked Wolfgang.") == [False, True]


def test_a_name_that_is_replaced_is_seen():
    assert judged("My uncle Wolfgang sells clouds. Everybody liked Ada.") == [False, False]


def test_a_thing_of_the_readers_own_is_taken_up():
    assert judged("I painted a kite on my laptop. The kite was big and new.") == [False, True]
    assert judged("I painted a kite on my laptop. The drum was big and new.") == [False, False]


def test_a_row_of_known_words_may_be_a_readers_own_beginning():
    assert judged("the dog slept on a kite. The kite was big and new.") == [True, True]
    assert judged("the dog slept on a kite. the dog slept on a kite.") == [True, True]
    assert judged("the dog slept on a kite. The drum was big and new.") == [True, False]


def test_the_wrong_child_is_not_thanked():
    start = "Once upon a time, there was a girl named Priya. "
    start += "She lived at the mill with her friend Søren. "
    start += 'Priya had found a kite on the way. Then Priya gave the kite to Søren. "Thank you, '
    assert all(judged(start + 'Priya," said Søren.'))
    assert not all(judged(start + 'Søren," said Søren.'))


def test_a_name_goes_on_behind_its_hyphen():
    start = "It was Friday, and Eun-ji had forgotten her homework. "
    assert judged(start + "Everybody liked Eun-ji.") == [False, True]
    assert judged(start + "Everybody liked Eun.") == [False, False]


def test_a_sentence_goes_on_behind_what_is_said_in_it():
    assert judged('I saw Wolfgang. "Is that true?" asked Wolfgang. Nora ran.') == [
        False,
        True,
        False,
    ]
    assert len(judged('"Stop!" shouted Ada. "Who?" Élise asked. "Why?"')) == 4
    assert len(judged("Where was it? nobody knew.")) == 2


@pytest.mark.parametrize(
    ("sentence", "names"),
    [
        ("Good night.", []),
        ("Thank you for the badge.", []),
        ('"Take your bread, then," said the others.', []),
        ("Three little pigs built a house.", []),
        ("the dog barked at the moon The moon was red.", []),
        ("Dear Diary, today Chihiro and I had a fight.", ["Chihiro"]),
        ("Last summer Itziar and Oriol went to Spain.", ["Itziar", "Oriol"]),
        ("Maj-Jane passed her one, so D'Stooke had four.", ["Maj-Jane", "D'Stooke"]),
        ("Kőo had a cup, and Ludmiła liked it.", ["Kőo", "Ludmiła"]),
        ("McKenzie is five years old.", ["McKenzie"]),
        ("al Berg wrote it down.", ["al Berg"]),
        ('"What is it, Eun-ji?" asked Een.', ["Eun-ji", "Een"]),
        ('"It is three," Prongeem said.', ["Prongeem"]),
        ("Σοφία met Đức.", ["Σοφία", "Đức"]),
    ],
)
def test_what_is_written_as_a_name_is_one_and_what_begins_a_sentence_is_not(sentence, names):
    assert corpora.names_in(sentence) == names


@pytest.mark.parametrize("text", ["", " ", "?!", "\n", "word", "😀 Zoë…"])
def test_any_text_can_be_judged(text):
    assert all(isinstance(is_told, bool) for is_told in judged(text))


# === Pools ===


def test_a_pool_looks_up_what_a_text_has():
    pool = Pool(["Anne", "Anne-Marie", "Bo"])
    assert pool.beginning("Anne-Marie sang", 0, ()) == ["Anne", "Anne-Marie"]
    assert pool.beginning("Bo sang", 0, ("Bo",)) == []
    assert pool.count(("Bo", "Eve")) == 2


@pytest.mark.parametrize(
    "name", ["Priya", "Anne-Marie", "O'Neil", "van Dijk", "Søren", "McKenzie", "Åse", "Ana Lucía"]
)
def test_any_name_can_be_read(name):
    assert name in AnyName().beginning(f"{name} sang.", 0, ())


def test_a_reader_joins_ways_that_led_to_one_state():
    tale = max(TALES, key=lambda tale: len(tale.text))
    reading = tellers.Reading(tale.text)
    for _, place in grammar.beginnings():
        reading.note(0, 0.0, tellers.Way(place, grammar.first_world()))
    passed = reading.go_on()
    assert max(len(ways) for ways in passed.values()) < 200

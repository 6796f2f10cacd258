"""The tales: drawn and read by the same grammar, true to themselves, worth reading."""

import math
import re
import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path

from falcon_edu import grammar
from falcon_edu.corpora import (
    CONTENT_WORDS,
    VOCABULARY,
    Fact,
    from_captain,
    log_prob,
    minimal_pairs,
    next_words,
    tale_stream,
    tales,
    to_captain,
    voice_share,
)

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

WORDS = re.compile(r"[A-Za-z]+|'[a-z]+|[^\sA-Za-z]")  # as `next_words` counts them
MANY = tales(3000, seed=1, split=None)
seeds = st.integers(0, 10**9)


# === Drawing ===


def test_a_seed_gives_the_same_tales_everywhere_and_always():
    # The models that ship were trained on these tales: if this changes, train them again.
    text = "\n".join(tale.text for tale in tales(50, seed=0))
    assert zlib.crc32(text.encode()) == 1875105967


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
    assert told == {f"{tales(20, seed=3)}\n"}


def test_other_seeds_give_other_tales():
    assert not {tale.text for tale in tales(200, 1)} & {tale.text for tale in tales(200, 2)}


def test_the_stream_is_the_list():
    stream = tale_stream(seed=5, voice="captain")
    assert [next(stream) for _ in range(3)] == tales(3, seed=5, voice="captain")


def test_a_tale_is_either_for_training_or_held_out_whatever_the_seed():
    both = [tale.text for tale in tales(2000, seed=7, split=None)]
    training = {tale.text for tale in tales(2000, seed=7)}
    held_out = {tale.text for tale in tales(400, seed=7, split="held_out")}
    assert not training & held_out
    assert {*both[:1500]} <= training | held_out
    assert 0.17 < sum(text in held_out for text in both) / len(both) < 0.23


def test_the_number_of_events_can_be_given():
    lengths = [len(tales(1, seed=2, events=events)[0].text.split()) for events in (0, 5, 40)]
    assert lengths[0] < 90 < lengths[1] < 250 < lengths[2]


@pytest.mark.parametrize(
    "arguments",
    [{"voice": "pirate"}, {"split": "test"}, {"events": -1}, {"events": 2.5}],
    ids=lambda arguments: next(iter(arguments)),
)
def test_bad_arguments_are_refused_by_name(arguments):
    name, value = next(iter(arguments.items()))
    with pytest.raises(ValueError, match=f"{name} must be .*{re.escape(repr(value))}"):
        tale_stream(**arguments)


# === Probabilities ===


@pytest.mark.parametrize("voice", ["plain", "captain"])
def test_the_probability_read_is_the_probability_drawn(voice):
    for tale in tales(40, seed=11, voice=voice, split=None):
        assert log_prob(tale.text, voice) == pytest.approx(tale.log_prob, abs=1e-9)


@settings(max_examples=15)
@given(seed=seeds, events=st.integers(0, 9))
def test_the_probability_read_is_the_probability_drawn_for_any_number_of_events(seed, events):
    tale = tales(1, seed, events=events)[0]
    assert log_prob(tale.text, events=events) == pytest.approx(tale.log_prob, abs=1e-9)


def test_probabilities_of_words_multiply_to_that_of_the_tale():
    for tale in tales(2, seed=4):
        ends = [0, *(match.end() for match in WORDS.finditer(tale.text))]
        words = [*WORDS.findall(tale.text), ""]
        logs = []
        for end, word in zip(ends, words, strict=True):
            chances = next_words(tale.text[:end])
            assert sum(chances.values()) == pytest.approx(1)
            logs.append(math.log(chances[word]))
        assert sum(logs) == pytest.approx(tale.log_prob)


def test_drawn_words_are_as_frequent_as_their_probability():
    starts = Counter(WORDS.match(tale.text)[0] for tale in MANY)
    for word, chance in next_words("").items():
        deviation = math.sqrt(len(MANY) * chance * (1 - chance))
        assert abs(starts[word] - len(MANY) * chance) < 5 * deviation + 1


def test_what_the_grammar_cannot_tell_has_no_probability():
    tale = tales(1, seed=6)[0]
    for text in ("", tale.text[:-1], tale.text + " The end.", tale.text.replace(" and ", " or ")):
        assert log_prob(text) == -math.inf
    assert log_prob(to_captain(tale.text)) == -math.inf
    assert log_prob(tale.text, voice="captain") == -math.inf
    with pytest.raises(ValueError, match="No tale starts with"):
        next_words("It was a dark and stormy")


def test_a_wrong_answer_has_no_probability():
    fact = next(fact for fact in MANY[0].facts if fact.answer in grammar.NAMES)
    wrong = next(name for name in grammar.NAMES if name not in MANY[0].text)
    text = MANY[0].text
    assert log_prob(text[: fact.start] + wrong + text[fact.end :]) == -math.inf


# === Facts ===


def test_facts_are_forced_by_the_text_before_them():
    content = re.compile(rf"\b(?:{'|'.join(CONTENT_WORDS)})\b")
    sites = {}  # one fact for each way that the text leads up to one
    for tale in MANY:
        for fact in tale.facts:
            before = tale.text[: fact.start]
            words = content.sub("_", before[-60:]).split()[-2:]
            sites.setdefault((fact.kind, *words), (before, fact.answer))
    assert len(sites) > 150
    for before, answer in sites.values():
        assert next_words(before) == {answer: pytest.approx(1)}


@pytest.mark.parametrize("voice", ["plain", "captain"])
def test_facts_say_where_their_word_is(voice):
    for tale in tales(200, seed=8, voice=voice):
        ends = [0, *(fact.end for fact in tale.facts)]
        for fact, last_end in zip(tale.facts, ends, strict=False):
            assert fact.start >= last_end
            assert tale.text[fact.start : fact.end] == fact.answer
            around = tale.text[fact.start - 1] + tale.text[fact.end : fact.end + 1]
            assert not re.search(r"\w", around)


def test_there_are_facts_of_every_kind_and_most_look_back():
    kinds = Counter(fact.kind for tale in MANY for fact in tale.facts)
    assert set(kinds) == {
        *(
            "name",
            "receiver",
            "holder",
            "away",
            "object",
            "color",
            "place",
            "pronoun",
            "count",
            "word",
        )
    }
    assert 9 < kinds.total() / len(MANY) < 14
    assert kinds["receiver"] + kinds["holder"] > len(MANY) * 0.8
    copied = sum(
        re.search(rf"\b{fact.answer}\b", tale.text[: fact.start]) is not None
        for tale in MANY
        for fact in tale.facts
        if fact.kind != "pronoun"
    )
    assert copied > 0.95 * (kinds.total() - kinds["pronoun"])


# === The world behind the words ===

# What a tale says about who has what, as a person reads it, apart from the grammar. In each line:
# `c` has the thing `t` before it, and `d` has the thing `u` before it; afterwards `e` has `t` and
# `f` has `u`. CHILD, NEW ("an old red"), GAVE and SAID stand for what they look like.
SENTENCES = r"""
(?P<e>CHILD) (had|held|was carrying|had \w+) NEW (?P<t>\w+)
(?P<e>CHILD) (opened \w+ bag and took out|showed CHILD) NEW (?P<t>\w+)
"(And )?I (have|brought) NEW (?P<t>\w+)," SAID (?P<e>CHILD)
A \w+ \w+ GAVE NEW (?P<t>\w+) to (?P<e>CHILD)
(?P<e>CHILD) \w+ NEW (?P<t>\w+) \w+ the \w+\. (She|He) picked it up
There was NEW (?P<t>\w+) \w+ the \w+\. CHILD picked it up and GAVE it to (?P<e>CHILD)
They \w+ NEW (?P<t>\w+) \w+ the \w+\. CHILD picked up the (?P=t) and GAVE it to (?P<e>CHILD)
"Look, NEW (?P<t>\w+)!" SAID (?P<e>CHILD)\. It was \w+ the \w+\. CHILD picked it up and GAVE it to (?P=e)
(?P<c>CHILD) (GAVE|lent) the (?P<t>\w+) to (?P<e>CHILD|the)
(?P<c>CHILD) [\w ]+ (?P<e>CHILD) and GAVE (him|her) the (?P<t>\w+)
(?P<c>CHILD) held out the (?P<t>\w+)\. "This is for you, (?P<e>CHILD)
May I \w+ the (?P<t>\w+)\?" SAID (?P<e>CHILD)\. "Of course," SAID (?P<c>CHILD), and (he|she) GAVE it to (?P=e)
(?P<c>CHILD) GAVE (?P<d>CHILD) the (?P<t>\w+) for the (?P<u>\w+)\. Now (?P<f>(?P=c)) had the (?P=u) and (?P<e>(?P=d)) had the (?P=t)
took the (?P<t>\w+) and ran away\. "Come back, \w+," SAID (?P<c>CHILD)\. \w+ brought it back to (?P=c)
(?P<c>CHILD) was \w+ and put the (?P<t>\w+) down(?P<e>)
(?P<c>)(?P<e>CHILD) went back for the (?P<t>\w+)
(?P<c>)Do not forget the (?P<t>\w+)," SAID CHILD\. (?P<e>CHILD)
(?P<c>)(?P<e>CHILD) looked \w+ the \w+ and picked up the (?P<t>\w+)
(?P<c>)We must not forget the (?P<t>\w+)," SAID CHILD\. (?P<e>CHILD)
(?P<c>)(?P<e>CHILD) fetched the (?P<t>\w+), and they
"Who has the (?P<t>\w+)\?" SAID CHILD\. "(?P<c>CHILD)
"Where is the (?P<t>\w+) now\?" SAID CHILD\. "I have it," SAID (?P<c>CHILD)
"Where is my (?P<t>\w+)\?" SAID (?P<c>CHILD)
"Do you still have the (?P<t>\w+), (?P<c>CHILD)\?"
(?P<c>CHILD) (held|kept|carried|dropped|lost|still had|showed everyone) the (?P<t>\w+)
The \w+ (?P<t>\w+) looked \w+\. (?P<c>CHILD) held it up
the (?P<t>\w+) broke, and (?P<c>CHILD) was
took the (?P<t>\w+) from (?P<c>CHILD)
GAVE the (?P<t>\w+) back to (?P<c>CHILD)
(?P<c>CHILD) dreamed about the (?P<t>\w+), and
"I liked the (?P<t>\w+) best," SAID CHILD\. "And I liked the \w+," SAID (?P<c>CHILD)
"""  # noqa: E501
for short, long in {
    "CHILD": rf"\b(?:{'|'.join(grammar.NAMES)})\b",
    "NEW": r"an? \w+ \w+",
    "GAVE": "(?:gave|handed|passed|brought)",
    "SAID": "(?:said|asked|called|whispered|cried|laughed|answered|replied)",
}.items():
    SENTENCES = SENTENCES.replace(short, long)
SENTENCES = [re.compile(sentence) for sentence in SENTENCES.strip().splitlines()]


def contradictions(text, known=None):
    """Reads a tale and yields what it says about who has what against what it said before."""
    holder = {}
    matches = [match for sentence in SENTENCES for match in sentence.finditer(text)]
    for match in sorted(matches, key=lambda match: match.end()):
        said = match.groupdict()
        for thing, before, after in (("t", "c", "e"), ("u", "d", "f")):
            if before in said and holder.get(said[thing]) != said[before]:
                yield match[0]
            if after in said:
                holder[said[thing]] = said[after]
        if known is not None:
            known[match.re] += 1


def test_only_who_has_a_thing_gives_it():
    known = Counter()
    for tale in tales(1000, seed=31, events=4):
        assert list(contradictions(tale.text, known)) == [], tale.text
    assert {*known} == {*SENTENCES}  # each was met, so the reading leaves nothing out


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("Mia had an old red kite. ", "Tom gave the kite to Mia."),
        ("Mia had an old red kite. Mia gave the kite to Tom. ", "Mia carried the kite."),
        ("Mia had an old red kite. Mia was hot and put the kite down. ", "Mia held the kite."),
        ("", "Mia dropped the kite."),
    ],
)
def test_a_contradiction_is_noticed(start, end):
    assert not list(contradictions(start))
    assert list(contradictions(start + end))


def test_nobody_acts_who_is_away():
    away = 0
    for tale in tales(2000, seed=32, events=6):
        for match in re.finditer(r" off to the (\w+)(.*)", tale.text):
            back = re.search(rf" (\w+) came back from the {match[1]}", match[2])
            back = back or re.search(rf'"I am back from the {match[1]}," \w+ (\w+)', match[2])
            meanwhile = match[2][: back.start()]
            for spoken_of in (f"Where is {back[1]}", f"{back[1]} did,", f"waited for {back[1]}"):
                meanwhile = meanwhile.replace(spoken_of, "")
            assert not re.search(rf"\b{back[1]}\b", meanwhile), tale.text
            away += 1
    assert away > 50


SUMS = {
    r"(\w+) \w+\. \w+ ate one, so there were (\w+)": -1,
    r"had (\w+) \w+\. \w+ \w+ two \w+ to \w+ and kept (\w+)": -2,
    r"found (\w+) \w+, and \w+ found one more\. \"Now we have (\w+)": +1,
    r"\"I have (\w+) \w+,\" \w+ \w+, and \w+ \w+ two\. So \w+ had (\w+)": -2,
    r"picked up (\w+) \w+\. \"How many do you have\?\" \w+ \w+\. \"I have (\w+)": 0,
    r"counted out (\w+) \w+ for \w+ and (\w+)": 0,
}


@pytest.mark.parametrize("sentence", SUMS)
def test_sums_are_right(sentence):
    sums = [found for tale in MANY for found in re.findall(sentence, tale.text)]
    assert len(sums) > 30
    for before, after in sums:
        difference = grammar.NUMBERS.index(after) - grammar.NUMBERS.index(before)
        assert difference == SUMS[sentence]


# === English ===


def test_tales_are_sentences():
    for tale in MANY:
        assert re.fullmatch(r'[A-Z"].*[.?!]"?', tale.text)
        assert "  " not in tale.text
        assert tale.text.count('"') % 2 == 0
        assert not re.search(r"[{}\[\]|]| [.,?!]|[.,?!]{2}", tale.text)
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", tale.text.replace("an hour", "")), tale
        assert not re.search(r"\b(\w+) \1\b", tale.text)
        assert not re.search(r'[.?!] "?[a-z]|\." [a-z]', tale.text)


def test_pronouns_fit_names():
    for tale in MANY:
        for name, pronoun in re.findall(
            r"(?<=\. )(\w+) fell over a \w+ and hurt (her|his)", tale.text
        ):
            assert (pronoun == "her") == (name in grammar.data.SHE)


def test_there_are_words_and_patterns_enough_and_all_are_told():
    assert len(CONTENT_WORDS) >= 350
    assert len({pattern.text for pattern in grammar.PATTERNS}) >= 60
    said = Counter(word for tale in MANY for word in re.findall(r"\w+", tale.text))
    assert len(CONTENT_WORDS & {*said}) >= 0.98 * len(CONTENT_WORDS)
    assert {*said} <= {word for words in VOCABULARY for word in re.findall(r"\w+", words)}


def test_every_pattern_is_told(monkeypatch):
    told = Counter()
    for pattern in grammar.PATTERNS:
        note = lambda teller, world, text=pattern.text: told.update([text])  # noqa: E731
        monkeypatch.setattr(pattern, "steps", [*pattern.steps, note])
    tales(3000, seed=2)
    assert {*told} == {pattern.text for pattern in grammar.PATTERNS}


def test_tales_have_the_length_of_a_short_story():
    lengths = [len(tale.text.split()) for tale in MANY]
    assert min(lengths) >= 55
    assert max(lengths) <= 140
    assert 85 < sum(lengths) / len(lengths) < 110
    assert sum(70 <= length <= 120 for length in lengths) > 0.95 * len(lengths)


def test_tales_do_not_repeat_one_another():
    assert len({tale.text for tale in MANY}) == len(MANY)
    content = re.compile(rf"\b(?:{'|'.join(CONTENT_WORDS)})\b")
    skeletons = Counter(content.sub("_", tale.text) for tale in MANY)
    assert max(skeletons.values()) <= 5


def test_there_is_enough_to_choose_and_not_too_much():
    words = sum(len(WORDS.findall(tale.text)) for tale in MANY)
    assert 0.6 < -sum(tale.log_prob for tale in MANY) / words < 1.2  # nats


# === Minimal pairs ===


def test_minimal_pairs_differ_in_the_giver_and_so_in_the_receiver():
    pairs = minimal_pairs(12, seed=3)
    assert len({pair.clean for pair in pairs}) > 10
    for pair in pairs:
        clean, corrupted = pair.clean.split(), pair.corrupted.split()
        assert len(clean) == len(corrupted)
        changed = [both for both in zip(clean, corrupted, strict=True) if both[0] != both[1]]
        assert changed == [(pair.corrupted_answer, pair.clean_answer)]
        assert list(next_words(pair.clean)) == [pair.clean_answer]
        assert list(next_words(pair.corrupted)) == [pair.corrupted_answer]


# === The captain ===


def test_no_two_words_become_one_in_the_captains_mouth():
    captain = [from_captain(to_captain(word)) for word in sorted(VOCABULARY)]
    assert captain == sorted(VOCABULARY)
    for tale in MANY:
        told = to_captain(tale.text)
        assert from_captain(told) == tale.text
        assert told.startswith("Ahoy")


def test_the_captain_tells_the_same_tales():
    for plain, captain in zip(tales(50, 9), tales(50, 9, voice="captain"), strict=True):
        assert captain.text == to_captain(plain.text)
        assert captain.log_prob == plain.log_prob
        assert [fact.kind for fact in captain.facts] == [fact.kind for fact in plain.facts]


def test_a_fact_moves_with_its_word():
    plain, captain = (tales(300, 9, voice=voice) for voice in ("plain", "captain"))
    pairs = [
        (old, new)
        for one, other in zip(plain, captain, strict=True)
        for old, new in zip(one.facts, other.facts, strict=True)
    ]
    assert all(isinstance(new, Fact) and new.start > old.start for old, new in pairs)
    assert any(new.answer != old.answer for old, new in pairs)


def test_voice_share_measures_the_captain():
    shares = {
        voice: [voice_share(t.text) for t in tales(100, 2, voice)] for voice in ("plain", "captain")
    }
    assert set(shares["plain"]) == {0.0}
    assert set(shares["captain"]) == {1.0}
    assert voice_share("Mia had a kite.") == 0.0
    assert voice_share('"Aye," said the captain.') == 0.5
    assert voice_share("") == 0.0


def test_the_captain_changes_much():
    changed = sum(
        one != other
        for tale in MANY[:300]
        for one, other in zip(
            tale.text.split(),
            to_captain(tale.text).removeprefix(to_captain("").split(" And")[0]).split(),
            strict=False,
        )
    )
    assert changed / sum(len(tale.text.split()) for tale in MANY[:300]) > 0.1


@given(text=st.text())
def test_any_text_can_be_measured_and_retold(text):
    assert 0 <= voice_share(text) <= 1
    assert isinstance(to_captain(text), str)

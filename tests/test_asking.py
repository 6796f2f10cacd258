"""Questions about tales: the grammar, reading only the tale, has the same answer."""

from collections import Counter

from falcon_edu import corpora
from falcon_edu.corpora import grammar, tellers, words

import pytest

DRAWN = corpora.questions(100, seed=3, split=None)
OF_KIND = {kind: [q for q in DRAWN if q.kind == kind] for kind in corpora.QUESTION_KINDS}


def worlds_of(tale):
    """How things stand after a tale, in every way in which it can be read."""
    reading = tellers.Reading(tale)
    ways = [tellers.Way(place, grammar.first_world()) for _, place in grammar.beginnings()]
    return [way.world for way in reading.read_from(0, ways)(len(tale))]


def thing_of(question):
    """The thing that a question names: its fourth word."""
    return question.question.rstrip("?").replace("What color is the ", "Who has the ").split()[3]


@pytest.mark.parametrize("kind", corpora.QUESTION_KINDS)
def test_each_kind_comes_as_often_as_the_others(kind):
    assert len(OF_KIND[kind]) == 20


@pytest.mark.parametrize("kind", ["holder", "place", "color", "list"])
def test_whoever_reads_the_tale_finds_the_answer(kind):
    for question in OF_KIND[kind][:10]:
        found = {
            "holder": lambda world, q=question: world.holder[thing_of(q)],
            "place": lambda world: words.PLACES[world.place],
            "color": lambda world, q=question: world.things[thing_of(q)][1],
            "list": lambda world: world.known["L"],
        }[kind]
        assert {found(world) for world in worlds_of(question.tale)} == {question.answer}


def test_who_gave_a_thing_is_here_and_has_it_no_more():
    for question in OF_KIND["giver"][:10]:
        for world in worlds_of(question.tale):
            assert {world.holder[thing_of(question)], question.answer} == {*world.here}


def test_the_grammar_answers_its_own_form_of_the_question_alike():
    for question in OF_KIND["holder"][:4]:
        asked = f"{question.tale} Who has the {thing_of(question)}?"
        assert question.answer.startswith(*corpora.next_words(asked))
    for question in OF_KIND["place"][:4]:
        preposition, article, place = question.answer.split()
        asked = f"{question.tale} Where are they? {preposition.capitalize()} {article}"
        assert corpora.next_words(asked) == {place: pytest.approx(1)}


def test_no_answer_can_be_guessed_from_the_question():
    for kind in corpora.QUESTION_KINDS:
        drawn = corpora.questions(60, seed=5, kinds=[kind])
        ((_, most),) = Counter(question.answer for question in drawn).most_common(1)
        assert most < 0.15 * len(drawn), kind


@pytest.mark.parametrize("kind", ["holder", "giver"])
def test_the_name_that_is_said_last_is_the_answer_in_about_half(kind):
    drawn = corpora.questions(120, seed=6, kinds=[kind])
    right = sum(max(q.people, key=q.tale.rfind) == q.answer for q in drawn)
    assert 0.4 < right / len(drawn) < 0.6


def test_the_splits_share_no_tale_and_the_seed_decides():
    splits = [
        {question.tale for question in corpora.questions(20, seed=1, split=split)}
        for split in ("train", "tuning", "held_out")
    ]
    assert len(set.union(*splits)) == sum(map(len, splits)) >= 50
    assert corpora.questions(3, seed=2) == corpora.questions(5, seed=2)[:3]
    assert corpora.questions(3, seed=2) != corpora.questions(3, seed=4)


def test_held_out_names_are_all_that_a_tale_has_when_asked_for():
    for question in corpora.questions(10, kinds=["holder", "giver"], held_out_names=True):
        assert set(question.people) <= set(corpora.HELD_OUT_NAMES)
        assert question.answer in question.people


def test_tales_are_as_short_as_asked_for():
    assert max(len(question.tale) for question in corpora.questions(20, longest=210)) <= 210


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kinds": ["who"]}, "kinds must be one of"),
        ({"kinds": "holder"}, "kinds must be a list of"),
        ({"kinds": []}, "kinds must be a list of"),
        ({"split": "test"}, "split must be one of"),
        ({"longest": 50}, "longest must be at least 200"),
    ],
)
def test_what_can_not_be_drawn_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        corpora.questions(1, **wrong)

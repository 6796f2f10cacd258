"""What the solutions say of Falcon, where an exercise goes on after its check, is so."""

import importlib.util
import re
from functools import cache
from pathlib import Path

import falcon_edu
from falcon_edu import corpora, patterns

import keras
import nbformat
import numpy as np
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
MAPS, STATES, TRAINING = "09_attention_maps", "10_hidden_states", "11_training_from_scratch"


@cache
def solution(lesson):
    """The solutions of a lesson, as a module."""
    spec = importlib.util.spec_from_file_location(lesson, NOTEBOOKS / f"solutions/{lesson}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def cells(lesson):
    return {c.id: c for c in nbformat.read(NOTEBOOKS / f"{lesson}.ipynb", as_version=4).cells}


def shown(lesson, cell):
    """The text that a cell of a lesson has printed."""
    return "".join(output.get("text", "") for output in cells(lesson)[cell].outputs)


def reason(lesson, number):
    """The words of a solution, as the notebook has them."""
    folded = (c.source for c in cells(lesson).values() if f"Solution to {number}<" in c.source)
    return next(folded).partition("```")[0]


def test_no_head_of_falcon_is_a_duplicate_token_head():
    drawn = corpora.tales(300, seed=5, split="held_out")
    texts = [tale.text for tale in drawn if 200 < len(tale.text) < 400][:24]  # as in section 3
    falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    seen = falcon_edu.record(falcon, texts)
    table = np.stack([solution(MAPS).same_token(row) for row in seen.token_ids])
    rows = np.arange(1, table.shape[1] + 1)
    even = np.broadcast_to(np.tri(len(rows)) / rows[:, None], table.shape)[:, None]

    scores = patterns.pattern_scores(seen.attention_weights, table, seen.padding_mask)
    baseline = patterns.pattern_scores([even], table, seen.padding_mask).item()
    layer, head = np.unravel_index(scores.argmax(), scores.shape)
    assert scores.max() < 0.25
    assert (
        f"NO: the best, layer {layer}, head {head}, has {scores.max():.0%} of its weight there, "
        f"and an even head {baseline:.0%}."
    ) in reason(MAPS, "9.2")


def test_the_head_that_the_search_finds_turns_every_answer():
    circuit = re.search(r"the circuit: (.+)", shown(STATES, "hidden-states-46"))[1]
    turned = re.search(r"the circuit turns (\d+%)", shown(STATES, "hidden-states-49"))[1]
    assert turned == "100%"  # so the search has it first, and ends
    said = f"ends after one round, with {circuit}: that head alone turns {turned} of the answers"
    assert said in reason(STATES, "10.4")


@pytest.fixture(scope="module")
def language():
    """What the cells of lesson 11 define: its lists, its models, its measurements."""
    names = {"np": np, "keras": keras, "falcon_edu": falcon_edu, "patterns": patterns}
    for number in ("03", "04", "08", "10", "21"):
        source = cells(TRAINING)[f"training-from-scratch-{number}"].source
        exec(source.partition("\n\n\ninputs, labels")[0], names)
    return names


def test_a_mirror_is_learned_without_a_head_that_has_its_line(language):
    falcon, inputs = language["new_falcon"](), language["as_inputs"]
    ids, weights = solution(TRAINING).mirrored(
        np.random.default_rng(0).integers(1, 64, (19_200, 10))
    )
    rate = keras.optimizers.schedules.CosineDecay(0.01, 300)
    falcon.compile(optimizer=keras.optimizers.Muon(rate), weighted_metrics=[])
    falcon.fit(
        inputs(ids[:, :-1]), ids[:, 1:], sample_weight=weights[:, 1:], batch_size=64, verbose=0
    )

    new, _ = solution(TRAINING).mirrored(np.random.default_rng(1).integers(1, 64, (64, 10)))
    seen = falcon_edu.record(falcon, inputs(new))
    costs = language["cross_entropy"](seen.logits[:, :-1], new[:, 1:])
    query = np.arange(11, 21)  # from the second bar to the last word but one
    key = 21 - query  # where the word that comes next has stood before
    np.testing.assert_array_equal(new[:, query + 1], new[:, key])
    on_line = [maps[:, :, query, key].mean(axis=(0, 2)) for maps in seen.attention_weights]
    assert 0.2 < costs[:, query].mean() < 1 < 4 < costs[:, :10].mean()
    assert 0.1 < np.max(on_line) < 0.25
    assert f"where an even head has {np.mean(1 / (query + 1)):.0%}" in reason(TRAINING, "11.3")


def test_the_rule_pays_where_a_word_comes_twice(language):
    ids, is_second = language["test_ids"], language["is_second"]
    size = len(language["vocabulary"])
    chances = np.array([solution(TRAINING).rule(row[:-1], size) for row in ids]) + 0.001
    costs = language["cross_entropy"](np.log(chances), ids[:, 1:])
    is_twice = np.array([[(row == word).sum() > 2 for word in row[:-1]] for row in ids])
    is_twice &= is_second & (ids[:, :-1] > 0)

    whole, twice, once = (costs[at].mean() for at in (is_second, is_twice, is_second & ~is_twice))
    said = reason(TRAINING, "11.4")
    assert f"cost {whole:.2f} nats a word" in said
    assert f"{twice:.2f} after a word that comes twice" in said
    assert f"{once:.2f} elsewhere" in said
    model = re.search(
        r"cost (.+) nats each, the others (.+)\.", shown(TRAINING, "training-from-scratch-46")
    )
    assert float(model[1]) < twice / 3
    assert float(model[2]) < once / 2

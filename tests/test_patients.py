"""The small Falcons of the bug hunt: the healthy one is a Falcon, each patient has its defect."""

import falcon_edu
from falcon_edu.course.checks.patients import SmallFalcon, patient
from falcon_edu.course.checks.patients.stories import STORIES, SUSPECTS

import numpy as np
import pytest

IDS = np.array([[3, 1, 4, 1, 5, 9], [0, 0, 7, 7, 2, 3]])
LEFT_PADDED = np.array([[1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1]])
ROPE = {"position_encoding": "rope", "parallel_attention": True, "use_bias": False}
LAYOUTS = {
    "RW": {},
    "7B": {**ROPE, "num_key_value_heads": 1},
    "40B": {**ROPE, "num_key_value_heads": 2, "num_parallel_layer_norms": 2},
    "11B": {**ROPE, "num_key_value_heads": 2, "tie_word_embeddings": False},
}


@pytest.fixture(scope="module", params=LAYOUTS)
def backbone(request):
    backbone = falcon_edu.FalconBackbone(
        50, 2, 4, 32, 64, layer_norm_epsilon=0.01, **LAYOUTS[request.param]
    )
    rng = np.random.default_rng(0)
    backbone.set_weights([0.3 * rng.normal(size=array.shape) for array in backbone.get_weights()])
    return backbone


def test_small_falcon_is_a_falcon(backbone):
    run = SmallFalcon.copy_of(backbone).run(IDS, LEFT_PADDED)
    seen = falcon_edu.record(backbone, {"token_ids": IDS, "padding_mask": LEFT_PADDED})
    real = LEFT_PADDED.astype(bool)
    for got, wanted in zip(run.hidden_states, seen.hidden_states, strict=True):
        np.testing.assert_allclose(got[real], wanted[real], atol=1e-4)
    for got, wanted in zip(run.attention_weights, seen.attention_weights, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-5)
    np.testing.assert_allclose(run.logits[real], seen.logits[real], atol=1e-4)


@pytest.mark.parametrize("settings", LAYOUTS.values(), ids=LAYOUTS)
def test_writing_equals_reading(settings):
    falcon = SmallFalcon.random(**settings)
    np.testing.assert_allclose(falcon.decode(IDS), falcon.run(IDS).logits, atol=1e-10)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_fused_rows_are_those_of_published_falcons(groups):
    """Rows of `(g, n / g + 2, h)`: a group's queries, its key, its value."""
    falcon = SmallFalcon.random(num_key_value_heads=groups)
    heads = falcon.fused(0).reshape(groups, 4 // groups + 2, 8, 32)
    query, key, value = (falcon.weights[f"0.{name}"] for name in ("query", "key", "value"))
    for group in range(groups):
        first = group * 4 // groups
        np.testing.assert_array_equal(heads[group, 0], query[:, first].T)
        np.testing.assert_array_equal(heads[group, -2], key[:, group].T)
        np.testing.assert_array_equal(heads[group, -1], value[:, group].T)
    other = SmallFalcon.random(seed=1, num_key_value_heads=groups)
    other.load_fused(0, falcon.fused(0))
    np.testing.assert_array_equal(other.weights["0.query"], query)


def differs(number, ids=IDS, mask=None, **settings):
    """Whether a patient's logits at real tokens differ from those of the healthy."""
    real = np.ones(np.shape(ids), bool) if mask is None else np.asarray(mask, bool)
    runs = [Falcon.random(**settings).run(ids, mask) for Falcon in (SmallFalcon, patient(number))]
    return not np.allclose(runs[0].logits[real], runs[1].logits[real], atol=1e-9)


@pytest.mark.parametrize("number", range(1, 9))
def test_defects_hide_where_their_stories_say(number):
    hidden = {
        1: {"ids": [[3]]},
        2: {"mask": np.fliplr(LEFT_PADDED)},
        3: {},
        4: {"position_encoding": "rope"},
        5: {"num_attention_heads": 4, "hidden_dim": 4, "intermediate_dim": 8},
        6: {"ids": np.arange(257)[None] % 50},
        7: {},
        8: {},
    }[number]
    assert not differs(number, **hidden)


@pytest.mark.parametrize("number", [1, 2, 4, 5, 6, 7])
def test_defects_show_where_their_stories_say(number):
    shown = {
        1: {},
        2: {"mask": LEFT_PADDED},
        4: {},
        5: {},
        6: {"ids": np.arange(300)[None] % 50},
        7: {"layer_norm_epsilon": 0.1},
    }[number]
    assert differs(number, **shown)


def test_patient_3_writes_badly():
    falcon = patient(3).random()
    assert not np.allclose(falcon.decode(IDS), falcon.run(IDS).logits, atol=1e-3)


def test_patient_8_reads_one_group_well_and_two_badly():
    for groups, well in ((1, True), (2, False)):
        writer, reader = (
            patient(8).random(seed=seed, num_key_value_heads=groups) for seed in (0, 1)
        )
        reader.load_fused(0, writer.fused(0))
        assert np.array_equal(reader.weights["0.query"], writer.weights["0.query"]) == well


def test_patient_9_trains_biases():
    trainable = {}
    for backbone in (falcon_edu.FalconBackbone, patient(9)):
        backbone = backbone(20, 1, 2, 8, 16)
        backbone.enable_lora(2)
        trainable[type(backbone)] = {variable.name for variable in backbone.trainable_variables}
    assert trainable[patient(9)] - trainable[falcon_edu.FalconBackbone] == {"bias"}


def test_there_is_no_patient_10():
    with pytest.raises(ValueError, match=r"patients 1 to 9\. Received: 10"):
        patient(10)


def test_stories_fit_the_suspects():
    assert list(STORIES) == list(range(1, 10))
    assert len({story.suspect for story in STORIES.values()}) == 9
    for story in STORIES.values():
        assert story.suspect in SUSPECTS
        assert len(story.why_not) >= 3
        assert set(story.why_not) < set(SUSPECTS) - {story.suspect}

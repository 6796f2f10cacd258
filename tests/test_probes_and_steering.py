"""Linear probes and steering vectors, against what is there and what is not."""

from falcon_edu import FalconCausalLM, patch, probe, record, steer, steering_vector
from tests.layouts import LAYOUTS, build

import numpy as np
import pytest

IDS = np.array([[3, 1, 4, 1, 5], [2, 7, 1, 8, 2]])
ONE = {"token_ids": IDS, "padding_mask": np.ones_like(IDS)}


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).normal(size=(600, 24))


def test_a_direction_is_found_and_shuffled_labels_are_not(noise):
    labels = np.array(["low", "middle", "high"])[
        np.digitize(noise[:, 5] - noise[:, 2], [-0.8, 0.8])
    ]
    found = probe(noise, labels)
    assert found.accuracy > 0.75
    assert max(found.majority, found.shuffled) < 0.55
    assert np.mean(found(noise) == labels) > 0.75
    assert list(found.labels) == ["high", "low", "middle"]


def test_what_is_not_there_is_not_found(noise):
    found = probe(noise, np.random.default_rng(1).integers(0, 2, len(noise)))
    assert abs(found.accuracy - 0.5) < 0.12


def test_examples_of_the_test_are_not_fitted_to():
    """With as many numbers as examples, a probe fits anything: the test must not see that."""
    rng = np.random.default_rng(0)
    states, labels = rng.normal(size=(120, 200)), rng.integers(0, 2, 120)
    found = probe(states, labels, penalty=1e-6)
    assert np.mean(found(states) == labels) > 0.85  # the three quarters that it was fitted to
    assert found.accuracy < 0.8


def test_a_state_in_other_units_makes_no_difference(noise):
    labels = noise[:, 0] > 0
    assert probe(noise, labels).accuracy == probe(noise * 1e3 + 7, labels).accuracy


@pytest.mark.parametrize(
    ("states", "labels", "words"),
    [
        (np.ones((4, 2)), np.ones(3), "Received shapes"),
        (np.ones(4), np.ones(4), "Received shapes"),
        (np.ones((4, 2)), np.ones(4), "1 labels"),
        (np.ones((2, 2)), np.arange(2), "0 to test"),
        (np.full((9, 2), np.nan), np.arange(9), "finite"),
    ],
)
def test_what_no_probe_can_be_fitted_to_is_said(states, labels, words):
    with pytest.raises(ValueError, match=words):
        probe(states, labels)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_steering_by_the_difference_of_states_is_patching(layout):
    backbone = build(layout)
    other = {**ONE, "token_ids": IDS[:, ::-1].copy()}
    mine, theirs = (record(backbone, x).hidden_states[1][0, -1] for x in (ONE, other))
    single = {key: value[:1] for key, value in ONE.items()}
    steered = steer(backbone, single, 1, theirs - mine, positions=[-1])
    wanted = patch(backbone, single, layer=1, position=-1, value=theirs)
    np.testing.assert_allclose(steered, wanted, atol=1e-5)
    nothing = steer(backbone, single, 1, theirs - mine, strength=0)
    np.testing.assert_allclose(nothing, record(backbone, single).logits, atol=1e-5)


def test_a_vector_is_the_difference_of_the_means_wherever_padding_stands():
    backbone = build("rw")
    padded = {
        "token_ids": np.array([[0, 0, 3, 1, 4], [1, 5, 9, 0, 0]]),
        "padding_mask": np.array([[0, 0, 1, 1, 1], [1, 1, 1, 0, 0]]),
    }
    plain = {"token_ids": np.array([[3, 1, 4], [1, 5, 9]]), "padding_mask": np.ones((2, 3), int)}
    states = record(backbone, plain).hidden_states[2][:, -1].mean(axis=0)
    away = record(backbone, ONE).hidden_states[2][:, -1].mean(axis=0)
    vector = steering_vector(backbone, padded, ONE, layer=2)
    np.testing.assert_allclose(vector, states - away, atol=1e-5)


def test_impossible_places_and_shapes_are_refused():
    backbone = build("rw")
    vector = np.zeros(backbone.hidden_dim)
    with pytest.raises(ValueError, match="`layer`"):
        steer(backbone, ONE, 99, vector)
    with pytest.raises(ValueError, match="`vector`"):
        steer(backbone, ONE, 1, vector[1:])
    with pytest.raises(ValueError, match="`positions`"):
        steer(backbone, ONE, 1, vector, positions=[5])
    with pytest.raises(ValueError, match="no token at position"):
        steering_vector(backbone, ONE, ONE, 1, position=5)


def test_a_shipped_model_is_steered_by_texts():
    falcon = FalconCausalLM.from_preset("falcon_tales_rw_en")
    vector = steering_vector(falcon, ["Mia was glad"], ["Mia was sad", "Tom was very sad"], layer=2)
    before = record(falcon, "Tom was").logits
    assert np.abs(steer(falcon, "Tom was", 2, vector, strength=3) - before).max() > 0.1

"""Sparse autoencoders and the grading of features, where it is known what is there."""

from falcon_edu import feature_scores, train_sparse_autoencoder

import numpy as np
import pytest

DIMENSIONS, PLANTED = 16, 24  # more features than there are dimensions


@pytest.fixture(scope="module")
def world():
    """States that are sums of a few planted directions, and which of these are in each."""
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(PLANTED, DIMENSIONS))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    is_there = rng.random((6000, PLANTED)) < 0.06
    sizes = rng.uniform(1, 2, is_there.shape) * is_there
    return directions, is_there, 3 * sizes @ directions + 5


@pytest.fixture(scope="module")
def autoencoder(world):
    return train_sparse_autoencoder(world[2], features=48, active=3, batch_size=256)


def test_planted_directions_are_found(world, autoencoder):
    """Each has a feature that points nearly its way; of random directions few have."""
    directions = world[0]
    close = (directions @ autoencoder.decoder.T).max(axis=1)
    assert (close > 0.9).mean() > 0.8
    noise = np.random.default_rng(1).normal(size=autoencoder.decoder.shape)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    assert ((directions @ noise.T).max(axis=1) > 0.9).mean() < 0.2


def test_a_state_has_no_more_features_than_are_allowed(world, autoencoder):
    features = autoencoder.encode(world[2])
    assert features.shape == (6000, 48)
    assert (features >= 0).all()
    assert (features > 0).sum(axis=1).max() == 3
    one = autoencoder.encode(world[2][7])
    np.testing.assert_allclose(one, features[7], rtol=1e-4, atol=1e-4)


def test_equal_states_give_different_directions(world):
    states = np.tile(world[2][:10], (6, 1))  # each comes six times
    untrained = train_sparse_autoencoder(states, features=48, active=3, steps=0)
    alike = np.abs(untrained.decoder[:, None] - untrained.decoder).max(axis=-1) < 1e-5
    np.testing.assert_array_equal(alike, np.eye(48, dtype=bool))


def test_training_explains_more_than_its_beginning(world, autoencoder):
    states = world[2]
    untrained = train_sparse_autoencoder(states, features=48, active=3, steps=0)
    assert untrained.explained(states) < 0.7 < 0.85 < autoencoder.explained(states)


def test_directions_have_length_1_and_features_the_units_of_the_states(world, autoencoder):
    lengths = np.linalg.norm(autoencoder.decoder, axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)
    larger = train_sparse_autoencoder(100 * world[2], features=48, active=3, batch_size=256)
    ratio = larger.encode(100 * world[2]).mean() / autoencoder.encode(world[2]).mean()
    assert 95 < ratio < 105


def test_the_same_seed_gives_the_same_autoencoder(world):
    few = {"features": 20, "active": 2, "steps": 20, "batch_size": 32}
    first, second = (train_sparse_autoencoder(world[2], **few) for _ in range(2))
    np.testing.assert_array_equal(first.decoder, second.decoder)
    other = train_sparse_autoencoder(world[2], **few, seed=1)
    assert np.abs(first.decoder - other.decoder).max() > 0.1


@pytest.mark.parametrize(
    ("states", "more", "words"),
    [
        (np.ones(9), {}, "examples, m"),
        (np.eye(9), {"features": 10}, "at least 10"),
        (np.eye(9), {"features": 9, "active": 10}, "`active`"),
        (np.eye(9), {"features": 9, "active": 0}, "`active`"),
        (np.ones((9, 9)), {"features": 9}, "all the same"),
        (np.full((9, 9), np.inf), {"features": 9}, "finite"),
    ],
)
def test_what_no_autoencoder_can_be_trained_on_is_said(states, more, words):
    with pytest.raises(ValueError, match=words):
        train_sparse_autoencoder(states, **more)


# === Grades ===


def f1_by_hand(said, label):
    right = np.sum(said & label)
    precision, recall = right / max(1, said.sum()), right / label.sum()
    return 2 * precision * recall / (precision + recall) if right else 0


@pytest.fixture(scope="module")
def graded():
    rng = np.random.default_rng(2)
    features = np.maximum(rng.normal(size=(400, 130)), 0).round(1)  # many zeros, many equals
    labels = features[:, [100, 3]] + 0.6 * rng.normal(size=(400, 2)) > 1.2
    return features, labels, np.arange(400) % 3 == 0


def test_the_best_feature_and_threshold_are_those_of_a_search_through_all(graded):
    features, labels, tested = graded
    scores = feature_scores(*graded)
    for variable, label in enumerate(labels.T):
        by_hand = {
            (feature, threshold): f1_by_hand(
                features[~tested, feature] >= threshold, label[~tested]
            )
            for feature in range(features.shape[1])
            for threshold in np.unique(features[~tested, feature])
        }
        feature, threshold = scores.feature[variable], scores.threshold[variable]
        assert by_hand[feature, threshold] == pytest.approx(max(by_hand.values()))
        said = features[tested, feature] >= threshold
        assert scores.f1[variable] == pytest.approx(f1_by_hand(said, label[tested]))
        share = label[tested].mean()
        assert scores.always[variable] == pytest.approx(2 * share / (1 + share))
    assert scores.feature.tolist() == [100, 3]


def test_shuffled_labels_are_told_no_better_than_by_saying_yes(graded):
    scores = feature_scores(*graded)
    assert (scores.f1 > scores.always + 0.15).all()
    assert (scores.shuffled < scores.always + 0.1).all()


def test_what_is_tested_has_no_part_in_the_choice(graded):
    features, labels, _ = graded
    tested, changed = np.arange(400) % 5 > 0, features.copy()
    changed[tested, 50] = 9 * labels[tested, 0]  # there it is perfect
    assert feature_scores(changed, labels, tested).feature.tolist() == [100, 3]


@pytest.mark.parametrize(
    ("features", "labels", "tested", "words"),
    [
        (np.ones((4, 2)), np.ones(4), np.ones(4), "Received shapes"),
        (np.ones((4, 2)), np.ones((3, 1)), np.ones(4), "Received shapes"),
        (np.ones((4, 2)), np.eye(4)[:, :1], np.arange(4) > 1, r"\[0\] are never true .* tested"),
        (np.ones((4, 2)), np.eye(4)[:, 3:], np.arange(4) > 1, r"\[0\] are never true .* other"),
        (np.full((4, 2), np.nan), np.ones((4, 1)), np.arange(4) > 1, "finite"),
    ],
)
def test_what_cannot_be_graded_is_said(features, labels, tested, words):
    with pytest.raises(ValueError, match=words):
        feature_scores(features, labels, tested)

"""Each sampler leaves the distribution that it says and draws from it; beams find the best."""

import functools
import itertools

from falcon_edu import FalconCausalLM
from falcon_edu.generation import decoding, samplers
from falcon_edu.generation.samplers import (
    BeamSampler,
    GreedySampler,
    RandomSampler,
    Sampler,
    TopKSampler,
    TopPSampler,
)
from tests import layouts

import jax
import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

# === Distributions, by brute force ===


def softmax(logits, temperature):
    exponentials = np.exp((logits - logits.max()) / temperature)
    return exponentials / exponentials.sum()


def by_hand(name, logits, temperature, k, p):
    """One row: ranks the tokens, keeps some, gives the others nothing; float64."""
    probabilities = softmax(np.asarray(logits, "float64"), temperature)
    ranked = sorted(range(len(logits)), key=lambda token: -probabilities[token])
    kept = ranked
    if name == "greedy":
        kept = ranked[:1]
    if name in ("top_k", "top_p_k"):
        kept = ranked[:k]
    if name in ("top_p", "top_p_k"):
        total, enough = 0, []
        for token in kept:
            enough.append(token)
            total += probabilities[token]
            if total > p:
                break
        kept = enough
    left = np.zeros(len(logits))
    left[kept] = probabilities[kept] / probabilities[kept].sum()
    return left


def make(name, temperature, k, p, seed=None):
    return {
        "greedy": lambda: GreedySampler(temperature=temperature),
        "random": lambda: RandomSampler(temperature=temperature, seed=seed),
        "top_k": lambda: TopKSampler(k=k, temperature=temperature, seed=seed),
        "top_p": lambda: TopPSampler(p=p, temperature=temperature, seed=seed),
        "top_p_k": lambda: TopPSampler(p=p, k=k, temperature=temperature, seed=seed),
    }[name]()


NAMES = ["greedy", "random", "top_k", "top_p", "top_p_k"]


@pytest.mark.parametrize("name", NAMES)
@given(
    # Far enough apart that float32 ranks them as float64 does.
    logits=st.lists(st.integers(-40, 40), min_size=12, max_size=12, unique=True),
    temperature=st.sampled_from([0.5, 1.0, 3.0]),
    k=st.sampled_from([1, 3, 12, 50]),
    p=st.sampled_from([0.0371, 0.5019, 0.9173]),
)
def test_distribution_by_hand(name, logits, temperature, k, p):
    logits = np.array([logits, logits[::-1]]) / 10
    ours = make(name, temperature, k, p).distribution(logits.astype("float32"))
    expected = [by_hand(name, row, temperature, k, p) for row in logits]
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_equal_probabilities_do_not_make_more_than_k():
    probabilities = np.array(TopKSampler(k=2).distribution(np.zeros((1, 5), "float32")))
    assert probabilities.tolist() == [[0.5, 0.5, 0, 0, 0]]


def test_top_p_of_one_keeps_everything():
    logits = np.random.default_rng(0).normal(size=(3, 50)).astype("float32")
    everything = RandomSampler().distribution(logits)
    np.testing.assert_allclose(TopPSampler(p=1).distribution(logits), everything, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_draws_follow_the_distribution(name):
    logits = np.array([2.0, 1.0, 0.5, -1.0, 0.0], "float32")
    sampler = make(name, 1.5, 3, 0.8, seed=11)
    draws = 20_000
    tokens = sampler.get_next_token(sampler.compute_probabilities(np.tile(logits, (draws, 1))))
    share = np.bincount(tokens, minlength=5) / draws
    expected = np.array(sampler.distribution(logits[None]))[0]
    assert (share[expected == 0] == 0).all()
    # Four standard deviations of a share near a half.
    np.testing.assert_allclose(share, expected, atol=4 * 0.5 / np.sqrt(draws))


@pytest.mark.compiler
@given(hnp.arrays("float32", (3, 7), elements=st.floats(-30, 30, width=32)))
def test_greedy_needs_no_probabilities(logits):
    sampler = GreedySampler()
    tokens = np.array(sampler.next_token(logits))
    probabilities = np.array(sampler.compute_probabilities(logits))
    assert (probabilities[range(3), tokens] == probabilities.max(axis=-1)).all()
    assert "exp" not in str(jax.make_jaxpr(sampler.next_token)(logits))


def test_unless_a_subclass_chooses_by_them():
    class Second(GreedySampler):
        def get_next_token(self, probabilities):
            np.testing.assert_allclose(np.sum(probabilities), 1, atol=1e-6)
            return np.argsort(probabilities)[:, -2]

    assert Second().next_token(np.array([[1.0, 3.0, 2.0]])).tolist() == [2]


def test_seeds_of_samplers():
    def draws(sampler):
        probabilities = sampler.compute_probabilities(np.zeros((50, 7), "float32"))
        return [sampler.get_next_token(probabilities).tolist() for _ in range(2)]

    first = draws(RandomSampler(seed=1))
    assert first[0] != first[1]
    assert draws(RandomSampler(seed=1)) == first
    assert draws(RandomSampler(seed=2)) != first
    assert draws(RandomSampler()) != draws(RandomSampler())


# === Names and configurations ===


@pytest.mark.parametrize("name", ["greedy", "random", "top_k", "top_p", "beam"])
def test_names_and_configurations(name):
    sampler = samplers.get(name)
    assert samplers.get(sampler) is sampler
    again = samplers.get(samplers.serialize(sampler))
    assert type(again) is type(sampler)
    assert again.get_config() == sampler.get_config()
    assert samplers.get(type(sampler)).get_config() == sampler.get_config()


def test_configurations_keep_what_was_set():
    for sampler in (
        TopKSampler(k=3, seed=4, temperature=0.5),
        TopPSampler(p=0.4, k=9, seed=4),
        BeamSampler(num_beams=2, return_all_beams=True),
    ):
        config = samplers.get(samplers.serialize(sampler)).get_config()
        assert config == sampler.get_config()
        assert config != type(sampler)().get_config()


@pytest.mark.parametrize("identifier", ["best", "Top_K", None, 3, {"k": 2}])
def test_unknown_samplers_are_refused(identifier):
    with pytest.raises(ValueError):
        samplers.get(identifier)


def test_the_error_names_the_samplers():
    with pytest.raises(ValueError, match=r"'best'.*'greedy'.*'random'.*'top_k'.*'top_p'.*'beam'"):
        samplers.get("best")


@pytest.mark.parametrize(
    ("make_it", "words"),
    [
        (lambda: Sampler(temperature=0), "temperature.*0"),
        (lambda: RandomSampler(temperature=-1), "temperature.*-1"),
        (lambda: TopKSampler(k=0), "`k`.*0"),
        (lambda: TopKSampler(k=2.5), "`k`.*2.5"),
        (lambda: TopPSampler(p=0), "`p`.*0"),
        (lambda: TopPSampler(p=1.1), "`p`.*1.1"),
        (lambda: TopPSampler(k=0), "`k`.*0"),
        (lambda: BeamSampler(num_beams=0), "`num_beams`.*0"),
    ],
)
def test_impossible_arguments_are_refused(make_it, words):
    with pytest.raises(ValueError, match=words):
        make_it()


# === Beam search ===

V = 5  # ids; small enough that every continuation can be tried
PROMPTS = [[2, 0, 1], [3]]


@functools.cache
def tiny_lm():
    backbone = layouts.build("7b", vocabulary_size=V, num_layers=1)
    # Milder logits: with sure ones the greedy continuation would be the best one too.
    backbone.token_embedding.embeddings.assign(backbone.token_embedding.embeddings * 0.25)
    return FalconCausalLM(backbone)


@functools.cache
def next_log_probs(ids):
    """Log-probabilities of the token after `ids`, without a cache."""
    padded = np.array([list(ids) + [0] * (8 - len(ids))])
    mask = np.arange(8)[None] < len(ids)
    logits = tiny_lm().predict_on_batch({"token_ids": padded, "padding_mask": mask})
    logits = np.asarray(logits[0, len(ids) - 1], "float64")
    return np.log(softmax(logits, 1.0))


def log_prob(prompt, continuation):
    ids = [*prompt, *continuation]
    return sum(next_log_probs(tuple(ids[:i]))[ids[i]] for i in range(len(prompt), len(ids)))


def every_continuation(length, stop):
    """All that end with the stop token, and all of full length without it."""
    for n in range(1, length + 1):
        for ids in itertools.product(range(V), repeat=n):
            if stop not in ids[:-1] and (n == length or ids[-1] == stop):
                yield ids


def beams_by_hand(prompt, length, num_beams, stop):
    """Beam search with lists: `[(log_prob, ids)]`, best first."""
    beams = [(0.0, ())]
    for _ in range(length):
        extended = []
        for score, ids in beams:
            if ids and ids[-1] == stop:
                extended.append((score, ids))
            else:
                new = next_log_probs((*prompt, *ids))
                extended += [(score + new[token], (*ids, token)) for token in range(V)]
        beams = sorted(extended, reverse=True)[:num_beams]
    return beams


def search(length, num_beams, stop):
    """What `generate` finds for each prompt alone: `[(log_prob, ids)]`, best first."""
    tiny_lm().compile(sampler=BeamSampler(num_beams=num_beams, return_all_beams=True))
    found = []
    for row in PROMPTS:
        prompt = {"token_ids": np.array([row]), "padding_mask": np.ones((1, len(row)))}
        arguments = {"max_length": len(row) + length, "stop_token_ids": stop}
        found += beams_of(tiny_lm().generate(prompt, strip_prompt=True, **arguments))
    return found


def beams_of(outputs):
    """The beams of every row: `[(log_prob, ids)]`, best first."""
    return [
        [(p, tuple(i[m].tolist())) for p, i, m in zip(log_probs, ids, mask, strict=True)]
        for ids, mask, log_probs in zip(*outputs.values(), strict=True)
    ]


def assert_same_beams(ours, theirs):
    assert [ids for _, ids in ours] == [ids for _, ids in theirs]
    np.testing.assert_allclose([s for s, _ in ours], [s for s, _ in theirs], atol=1e-4)


@pytest.mark.parametrize("stop", [None, 1])
def test_wide_beams_find_the_best_of_all_continuations(stop):
    length = 3
    for prompt, ours in zip(PROMPTS, search(length, V**length, stop), strict=True):
        candidates = list(every_continuation(length, stop))
        expected = sorted(((log_prob(prompt, ids), ids) for ids in candidates), reverse=True)
        assert_same_beams(ours[: len(expected)], expected)


@pytest.mark.parametrize("stop", [None, 1])
@pytest.mark.parametrize("num_beams", [1, 2, 3])
def test_narrow_beams_by_hand(num_beams, stop):
    for prompt, ours in zip(PROMPTS, search(4, num_beams, stop), strict=True):
        assert_same_beams(ours, beams_by_hand(prompt, 4, num_beams, stop))


def test_beams_beat_greedy_here():
    """Or the tests above would pass with a beam search that is greedy."""
    greedy, wide = search(4, 1, None), search(4, 3, None)
    assert any(w[0][0] > g[0][0] + 0.01 for g, w in zip(greedy, wide, strict=True))


@pytest.mark.parametrize("loop_reads", [0, decoding.LOOP_READS])  # with a prefill, and without
def test_a_batch_of_unequal_prompts_is_searched_row_by_row(loop_reads, monkeypatch):
    """The second prompt is shorter, so its search goes on when the first row is full."""
    monkeypatch.setattr(decoding, "LOOP_READS", loop_reads)
    inputs = {
        "token_ids": np.array([[*PROMPTS[0], 4], [4, 4, 4, *PROMPTS[1]]]),
        "padding_mask": np.array([[1, 1, 1, 0], [0, 0, 0, 1]]),
    }
    tiny_lm().compile(sampler=BeamSampler(num_beams=3, return_all_beams=True))
    arguments = {"max_length": 7, "stop_token_ids": 1}
    found = beams_of(tiny_lm().generate(inputs, strip_prompt=True, **arguments))
    for prompt, ours in zip(PROMPTS, found, strict=True):
        assert_same_beams(ours, beams_by_hand(prompt, 7 - len(prompt), 3, 1))
    tiny_lm().compile(sampler=BeamSampler(num_beams=3))
    best = tiny_lm().generate(inputs, **arguments)
    for prompt, ours, ids, mask in zip(PROMPTS, found, *best.values(), strict=True):
        assert ids[mask].tolist() == prompt + list(ours[0][1])


def test_a_prefill_gives_every_beam_the_cache_of_its_own_prompt(monkeypatch):
    monkeypatch.setattr(decoding, "LOOP_READS", 0)
    rows = [[2, 3, 1, 4], [4, 1, 0, 2]]
    inputs = {"token_ids": np.array(rows), "padding_mask": np.ones((2, 4))}
    tiny_lm().compile(sampler=BeamSampler(num_beams=3, return_all_beams=True))
    arguments = {"max_length": 7, "stop_token_ids": None}
    found = beams_of(tiny_lm().generate(inputs, strip_prompt=True, **arguments))
    for prompt, ours in zip(rows, found, strict=True):
        assert_same_beams(ours, beams_by_hand(prompt, 3, 3, None))


def test_more_beams_than_continuations():
    (ours, _) = search(1, 8, None)
    expected = sorted(((log_prob(PROMPTS[0], (t,)), (t,)) for t in range(V)), reverse=True)
    assert_same_beams(ours[:V], expected)
    assert all(score < -1e8 for score, _ in ours[V:])


def test_beam_search_draws_nothing():
    with pytest.raises(NotImplementedError, match="continuations"):
        BeamSampler().get_next_token(np.ones((1, 3)))
    assert keras.random.SeedGenerator(0).state.shape == BeamSampler().variables[0].shape


def test_top_p_of_one_leaves_the_rarest_tokens():
    logits = np.random.default_rng(0).normal(size=(8, 1_000), scale=6).astype("float32")
    left = np.asarray(TopPSampler(p=1).distribution(logits))
    assert np.count_nonzero(left) == left.size

"""What each head gives, runs with other heads' outputs, and the logit lens, for every layout."""

from falcon_edu import (
    ablate_heads,
    head_outputs,
    logit_lens,
    patch,
    patch_heads,
    patching_map,
    record,
)
from falcon_edu.inside.heads import ablation_outputs
from tests.layouts import LAYOUTS, build, inputs
from tools import address

import nbformat
import numpy as np
import pytest


@pytest.fixture(scope="module", params=LAYOUTS)
def backbone(request):
    return build(request.param)


# === Heads ===


@pytest.mark.parametrize("padding", ["no", "right", "left"])
def test_without_heads_to_patch_the_run_is_the_models_own(backbone, padding):
    row = inputs(padding)
    real = row["padding_mask"].astype(bool)
    logits = patch_heads(backbone, row, head_outputs(backbone, row) + 1, [])
    wanted = record(backbone, row).logits
    np.testing.assert_allclose(logits[real], wanted[real], rtol=1e-5, atol=1e-5)


OUTPUTS = np.random.default_rng(0).normal(size=(2, 3, 5, 4, 6))  # (layers, b, t, n, h)
PLACES = np.arange(5) < np.array([[5], [3], [1]])


def test_removed_heads_give_zeros_their_mean_or_what_they_give_at_some_place():
    zeros, means, drawn = (
        ablation_outputs(kind, OUTPUTS, PLACES, np.random.default_rng(1))
        for kind in ("zero", "mean", "resample")
    )
    assert zeros.shape == means.shape == drawn.shape == OUTPUTS.shape
    assert not zeros.any()
    there = OUTPUTS[:, PLACES]  # (layers, places, n, h)
    np.testing.assert_allclose(means[:, 2, 4], there.mean(axis=1))
    found = (drawn[:, :, :, None] == there[:, None, None]).all(axis=(0, 4, 5))  # (b, t, places)
    assert (found.sum(axis=-1) == 1).all()
    assert len(np.unique(found.argmax(axis=-1))) > 3


def test_a_mask_of_ones_and_zeros_says_the_same_as_one_of_true_and_false():
    masks = (PLACES, PLACES.astype(int), PLACES.tolist())
    drawn = [
        ablation_outputs("resample", OUTPUTS, mask, np.random.default_rng(1)) for mask in masks
    ]
    np.testing.assert_array_equal(drawn[1], drawn[0])
    np.testing.assert_array_equal(drawn[2], drawn[0])


def test_the_lesson_derives_what_the_package_draws():
    (lesson,) = (path for path in address.lessons() if path.stem == "09_attention_maps")
    cells = (c.source for c in nbformat.read(lesson, as_version=4).cells if c.cell_type == "code")
    (source,) = (source for source in cells if source.startswith("def instead("))
    made = {"np": np}
    exec(source.partition("\n\n\n")[0], made)
    for kind in ("zero", "mean", "resample"):
        ours, theirs = (
            draw(kind, OUTPUTS, PLACES, np.random.default_rng(1))
            for draw in (ablation_outputs, made["instead"])
        )
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("kind", "places", "message"),
    [("median", PLACES, "Received: 'median'"), ("mean", PLACES & False, "nothing to draw from")],
)
def test_outputs_that_can_not_be_drawn_are_refused(kind, places, message):
    with pytest.raises(ValueError, match=message):
        ablation_outputs(kind, OUTPUTS, places, np.random.default_rng(1))


def test_heads_that_give_nothing_are_ablated(backbone):
    row, heads = inputs("right"), [(0, 1), (1, 0), (1, 2)]
    nothing = np.zeros_like(head_outputs(backbone, row))
    real = row["padding_mask"].astype(bool)
    logits = patch_heads(backbone, row, nothing, heads)
    wanted = ablate_heads(backbone, row, heads).logits
    np.testing.assert_allclose(logits[real], wanted[real], rtol=1e-5, atol=1e-5)
    assert np.abs(logits - record(backbone, row).logits).max() > 1e-2


def test_head_outputs_join_to_what_attention_writes(backbone):
    """Through the output projection they are what the attention layer itself gives."""
    row = inputs()
    states = record(backbone, row).hidden_states[1]
    layer = backbone.transformer_layers[1]
    attention = layer.attention_layer
    mask = np.tril(np.ones((len(states), 7, 7), bool))
    x = layer.input_layernorm(states)
    wanted, _ = attention(
        x, positions=np.arange(7)[None].repeat(len(states), 0), attention_mask=mask
    )
    joined = attention.output_dense(head_outputs(backbone, row)[1].reshape(states.shape))
    np.testing.assert_allclose(joined, wanted, rtol=1e-4, atol=1e-5)


def test_patched_heads_take_what_is_theirs_and_only_at_their_positions(backbone):
    here, there = inputs(seed=0), inputs(seed=1)
    own, other = head_outputs(backbone, here), head_outputs(backbone, there)
    mixed = np.full_like(own, np.nan)  # what is not chosen is not used
    mixed[0, :, 4, 1] = other[0, :, 4, 1]
    logits = patch_heads(backbone, here, mixed, [(0, 1)], positions=[4])
    changed = np.abs(logits - record(backbone, here).logits).max(axis=(0, 2)) > 1e-4
    assert changed.tolist() == [False] * 4 + [True] * 3
    np.testing.assert_allclose(
        patch_heads(backbone, here, own, [(0, 1), (1, 2)]),
        record(backbone, here).logits,
        rtol=1e-5,
        atol=1e-5,
    )


def test_wrong_heads_and_outputs_are_refused(backbone):
    row = inputs()
    outputs = head_outputs(backbone, row)
    with pytest.raises(ValueError, match="There is no head 99 in layer 0"):
        patch_heads(backbone, row, outputs, [(0, 99)])
    with pytest.raises(ValueError, match="as many texts and tokens"):
        patch_heads(backbone, row, outputs[:, :, :5], [(0, 1)])


# === The lens and the map ===


def one(seed=0):
    return {key: value[:1] for key, value in inputs(seed=seed).items()}


def test_lens_of_the_last_layer_is_the_model(backbone):
    activations = record(backbone, inputs("right"))
    lens = logit_lens(backbone, activations)
    assert lens.shape == (backbone.num_layers + 1, *activations.logits.shape)
    np.testing.assert_allclose(lens[-1], activations.logits, rtol=1e-5, atol=1e-5)
    assert np.abs(lens[0] - lens[-1]).max() > 1e-2


def test_map_is_made_of_patches(backbone):
    clean, corrupted = one(), one(seed=1)
    logits = patching_map(backbone, clean, corrupted, [2, 6])
    assert logits.shape[:2] == (backbone.num_layers + 1, 2)
    states = record(backbone, clean).hidden_states
    for layer in range(backbone.num_layers + 1):
        for column, position in enumerate([2, 6]):
            value = states[layer][:, position]
            wanted = patch(backbone, corrupted, layer, position, value)[0, -1]
            np.testing.assert_allclose(logits[layer, column], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("positions", [[], [-1], [7]])
def test_impossible_positions_are_refused(backbone, positions):
    with pytest.raises(ValueError, match=r"`positions` must be in 0\.\.6"):
        patching_map(backbone, one(), one(seed=1), positions)


def test_runs_of_other_lengths_are_refused(backbone):
    short = {key: value[:, :5] for key, value in one().items()}
    with pytest.raises(ValueError, match="as many tokens"):
        patching_map(backbone, one(), short, [0])
    with pytest.raises(ValueError, match="one sequence each"):
        patching_map(backbone, inputs(), inputs(), [0])

"""record, patch, tail models and head ablation, for every layout."""

from falcon_edu import (
    FalconCausalLM,
    ablate_heads,
    head_outputs,
    patch,
    patch_heads,
    record,
    tail_model,
)
from falcon_edu.adapt.lora import adapted_layers
from falcon_edu.inside.interventions import run_tail
from tests.layouts import (
    LAYOUTS,
    build,
    difference,
    inputs,
    read,
    reference_config,
    reference_weights,
    to_float64,
)
from tests.reference import falcon

import numpy as np
import pytest


@pytest.fixture(scope="module", params=LAYOUTS)
def backbone(request):
    return build(request.param)


@pytest.mark.parametrize("padding", ["no", "right", "left"])
def test_record_equals_the_reference(backbone, padding):
    """The compiled reading, padded to its bucket and cut again, against float64 NumPy."""
    row = inputs(padding)
    activations = record(backbone, row)
    theirs = falcon(
        reference_weights(backbone),
        reference_config(backbone),
        row["token_ids"],
        row["padding_mask"],
    )
    for name in ("hidden_states", "attention_weights", "logits"):
        ours = {name: getattr(activations, name)}
        assert difference(ours, theirs, row["padding_mask"], name) < 2e-5
    assert activations.tokens[0] == [str(i) for i in row["token_ids"][0]]


@pytest.mark.parametrize("padding", ["right", "left"])
def test_attention_weights_are_distributions(backbone, padding):
    row = inputs(padding)
    real = row["padding_mask"].astype(bool)
    for weights in record(backbone, row).attention_weights:
        rows = np.moveaxis(weights, 1, 2)[real]  # real queries: (rows, heads, keys)
        np.testing.assert_allclose(rows.sum(-1), 1, rtol=1e-6)
        assert (weights * np.triu(np.ones((7, 7)), 1) == 0).all()
        assert (weights * ~real[:, None, None, :] == 0).all()


def test_tail_of_every_layer_is_the_rest_of_the_model(backbone):
    row = inputs("right")
    activations = record(backbone, row)
    for layer, hidden_states in enumerate(activations.hidden_states):
        logits = run_tail(backbone, layer, hidden_states, activations.padding_mask)
        np.testing.assert_allclose(logits, activations.logits, rtol=1e-5, atol=1e-5)


def test_patch_with_its_own_value_changes_nothing(backbone):
    row = inputs()
    activations = record(backbone, row)
    for layer in range(backbone.num_layers + 1):
        value = activations.hidden_states[layer][:, 3]
        logits = patch(backbone, row, layer, 3, value)
        np.testing.assert_allclose(logits, activations.logits, rtol=1e-5, atol=1e-5)


def test_patch_changes_its_position_and_later_ones_only(backbone):
    row = inputs()
    activations = record(backbone, row)
    logits = patch(backbone, row, 1, 3, np.ones(48))
    changed = np.abs(logits - activations.logits).max(axis=(0, 2)) > 1e-3
    assert changed.tolist() == [False] * 3 + [True] * 4


def test_patch_of_every_position_turns_one_run_into_another(backbone):
    """Patching the embeddings of all positions gives the other text's logits."""
    here, there = inputs(seed=0), inputs(seed=1)
    other = record(backbone, there)
    states = record(backbone, here).hidden_states[0].copy()
    for position in range(7):
        states[:, position] = other.hidden_states[0][:, position]
    logits = run_tail(backbone, 0, states, other.padding_mask)
    np.testing.assert_allclose(logits, other.logits, rtol=1e-5, atol=1e-5)


def test_ablated_heads_are_those_of_the_reference(backbone):
    """Zeroing a head's rows of the output kernel in the reference is the definition."""
    row = inputs("right")
    heads = [(0, 1), (1, 0), (1, 2)]
    weights = reference_weights(backbone)
    width = backbone.config.head_dim
    for layer, head in heads:
        weights[f"{layer}.output"][head * width : (head + 1) * width] = 0
    theirs = falcon(weights, reference_config(backbone), row["token_ids"], row["padding_mask"])
    ours = ablate_heads(backbone, row, heads)
    for name in ("hidden_states", "attention_weights", "logits"):
        assert difference({name: getattr(ours, name)}, theirs, row["padding_mask"], name) < 2e-5
    untouched = read(backbone, row)["logits"]
    assert np.abs(ours.logits - untouched).max() > 1e-2
    np.testing.assert_allclose(record(backbone, row).logits, untouched, rtol=1e-5, atol=1e-5)


def test_ablating_every_head_leaves_the_bias(backbone):
    heads = [
        (layer, head)
        for layer in range(backbone.num_layers)
        for head in range(backbone.num_attention_heads)
    ]
    row = inputs()
    backwards = {**row, "token_ids": row["token_ids"][:, ::-1]}
    first, second = (ablate_heads(backbone, given, heads).logits for given in (row, backwards))
    # Without attention a position knows only its own token, wherever that stands.
    np.testing.assert_allclose(first, second[:, ::-1], rtol=1e-5, atol=1e-5)


def test_ablation_with_lora_on_the_output_projection():
    backbone = build("rw")
    backbone.enable_lora(2, ["output_dense"])
    for variable in backbone.trainable_variables:
        variable.assign(np.ones(variable.shape) / 10)
    merged = build("rw")
    for layer, other in zip(merged.transformer_layers, backbone.transformer_layers, strict=True):
        kernel = other.attention_layer.output_dense.kernel
        layer.attention_layer.output_dense.kernel.assign(to_float64(kernel))
    ours, theirs = (ablate_heads(model, inputs(), [(0, 2)]).logits for model in (backbone, merged))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_record_follows_the_weights():
    """Weights are read at every call: training, LoRA and merging show in the next reading."""
    backbone = build("rw")
    before = record(backbone, inputs()).logits
    backbone.enable_lora(2)
    np.testing.assert_allclose(record(backbone, inputs()).logits, before, atol=1e-5)
    for variable in backbone.trainable_variables:
        variable.assign(np.ones(variable.shape) / 10)
    adapted = record(backbone, inputs()).logits
    assert np.abs(adapted - before).max() > 1e-2
    backbone.merge_lora()
    np.testing.assert_allclose(record(backbone, inputs()).logits, adapted, atol=1e-3)


def recorded(model):
    return record(model, inputs()).logits


def patched(model):
    """A run in which no head is replaced."""
    return patch_heads(model, inputs(), head_outputs(model, inputs()), [])


@pytest.mark.parametrize("reading", [recorded, patched])
def test_runs_follow_what_became_of_lora_since(reading):
    """A compiled program is made again when LoRA is enabled, or when only its alpha changes."""
    backbone = build("rw")
    before = reading(backbone)
    backbone.enable_lora(2)
    for variable in backbone.trainable_variables:
        variable.assign(np.ones(variable.shape) / 10)
    adapted = reading(backbone)
    assert np.abs(adapted - before).max() > 1e-2
    for layer in adapted_layers(backbone):
        layer.lora_alpha = 0
    np.testing.assert_allclose(reading(backbone), before, atol=1e-5)


def test_record_reads_a_causal_lm_and_its_backbone_alike():
    backbone = build("40b")
    causal_lm = FalconCausalLM(backbone)
    a, b = (record(model, inputs("left")) for model in (backbone, causal_lm))
    np.testing.assert_array_equal(a.logits, b.logits)


def test_longer_inputs_than_a_bucket():
    row = {"token_ids": np.arange(40)[None] % 40, "padding_mask": np.ones((1, 40), int)}
    activations = record(build("7b"), row)
    assert activations.attention_weights[0].shape == (1, 6, 40, 40)
    assert activations.logits.shape == (1, 40, 40)


@pytest.mark.parametrize("dtype", ["bfloat16", "mixed_bfloat16"])
def test_record_gives_float32(dtype):
    activations = record(build("40b", dtype=dtype), inputs())
    assert activations.hidden_states[0].dtype == activations.logits.dtype == "float32"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("Once upon a time", "no tokenizer"),
        (["a", 3], "text"),
        ([], "at least one"),
        (None, "text"),
        ({"token_ids": [[1]]}, "padding_mask"),
        ({"token_ids": [[40]], "padding_mask": [[1]]}, "vocabulary_size=40"),
        ({"token_ids": [[-1]], "padding_mask": [[1]]}, "vocabulary_size=40"),
        ({"token_ids": [1, 2], "padding_mask": [1, 1]}, "shape"),
        ({"token_ids": [[1, 2]], "padding_mask": [[1]]}, "shape"),
        ({"token_ids": [[1.5]], "padding_mask": [[1]]}, "whole numbers"),
    ],
)
def test_wrong_inputs_are_refused(given, words):
    with pytest.raises(ValueError, match=words):
        record(build("rw"), given)


def test_wrong_places_are_refused():
    backbone, row = build("rw"), inputs()
    for layer in (-1, 3):
        with pytest.raises(ValueError, match="layer"):
            tail_model(backbone, layer)
    for position in (7, -8):
        with pytest.raises(ValueError, match="position"):
            patch(backbone, row, 1, position, np.zeros(48))
    with pytest.raises(ValueError, match="value"):
        patch(backbone, row, 1, 0, np.zeros(47))
    for head in [(2, 0), (0, 4), (-1, 0)]:
        with pytest.raises(ValueError, match="no head"):
            ablate_heads(backbone, row, [head])
    with pytest.raises(ValueError, match="FalconBackbone"):
        record("a text", "another")

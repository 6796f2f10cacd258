"""What was written into a logit adds up to it, in every layout."""

from falcon_edu import FalconBackbone, direct_logit_attribution, head_outputs, record
from tests.layouts import LAYOUTS, build

import numpy as np
import pytest

IDS = np.array([[3, 1, 4, 1, 5], [2, 7, 1, 8, 2]])
TOKENS = {"token_ids": IDS, "padding_mask": np.ones_like(IDS)}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("against", "position"), [(None, -1), (3, 2)])
def test_the_parts_add_up_to_the_logit(layout, against, position):
    parts = direct_logit_attribution(build(layout), TOKENS, 5, against, position)
    layers, batch, heads = parts.heads.shape
    assert parts.mlps.shape == (layers, batch) == (layers, 2)
    assert heads == build(layout).num_attention_heads
    written = parts.embedding + parts.heads.sum(axis=(0, 2)) + parts.mlps.sum(axis=0)
    # Float32, summed over the parts.
    np.testing.assert_allclose(written + parts.biases, parts.total, rtol=1e-4, atol=1e-5)


def test_a_head_that_writes_nothing_is_told_of_nothing():
    backbone = build("40b")
    layer, head, width = 1, 0, backbone.config.head_dim
    kernel = backbone.transformer_layers[layer].attention_layer.output_dense.kernel
    rows = np.array(kernel)
    rows[head * width : (head + 1) * width] = 0
    kernel.assign(rows)
    parts = direct_logit_attribution(backbone, TOKENS, 5)
    assert np.all(parts.heads[layer, :, head] == 0)
    assert np.all(np.delete(parts.heads, head, axis=2) != 0)


def test_the_last_layers_heads_do_nothing_else():
    """Parallel to its MLP, a head of the last layer reaches the logits by no other way."""
    backbone = build("7b")
    last, head = backbone.num_layers - 1, 1
    parts = direct_logit_attribution(backbone, TOKENS, 5)
    states = record(backbone, TOKENS).hidden_states[-1][:, -1]
    rows = backbone.transformer_layers[last].attention_layer.output_dense.kernel
    width = backbone.config.head_dim
    written = (
        head_outputs(backbone, TOKENS)[last, :, -1, head]
        @ np.asarray(rows)[head * width : (head + 1) * width]
    )
    scale = np.sqrt(states.var(axis=-1) + backbone.final_layernorm.epsilon)
    table = np.asarray(backbone.token_embedding.embeddings)
    if not backbone.config.tie_word_embeddings:
        table = np.asarray(backbone.token_embedding.reverse_embeddings).T
    centred = (written - written.mean(axis=-1, keepdims=True)) / scale[:, None]
    wanted = centred * np.asarray(backbone.final_layernorm.gamma) @ table[5]
    np.testing.assert_allclose(parts.heads[last, :, head], wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"token_id": 10**6}, "token_id"),
        ({"token_id": 1, "against": -1}, "against"),
        ({"token_id": 1, "position": 5}, "position"),
    ],
)
def test_what_is_not_there_is_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        direct_logit_attribution(build("rw"), TOKENS, **arguments)


def test_padded_texts_are_refused():
    tokens = {**TOKENS, "padding_mask": np.array([[1, 1, 1, 1, 1], [0, 1, 1, 1, 1]])}
    with pytest.raises(ValueError, match="one length"):
        direct_logit_attribution(build("rw"), tokens, 1)


def test_eight_bits_are_refused():
    backbone = FalconBackbone(10, 1, 2, 8, 16)
    backbone.quantize("int8")
    with pytest.raises(ValueError, match="eight bits"):
        direct_logit_attribution(backbone, TOKENS, 1)

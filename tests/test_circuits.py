"""What is read from a head's weights: the circuits of vocabulary size, in small models."""

from falcon_edu import (
    FalconBackbone,
    composition_scores,
    copying_score,
    head_outputs,
    ov_circuit,
    qk_circuit,
    record,
)
from falcon_edu.inside.circuits import Circuit
from tests.layouts import LAYOUTS, build

import numpy as np
import pytest


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_score_of_two_tokens_is_the_circuits(layout):
    """At one place RoPE turns both alike, and the norms' division is known: by what it divides."""
    backbone = build(layout)
    block, head = backbone.transformer_layers[0], backbone.num_attention_heads - 1
    ids = np.arange(6)
    x = np.asarray(backbone.token_embedding(ids), "float64")  # (v, m)
    gamma, beta = (np.asarray(w, "float64") for w in block.input_layernorm.weights)
    centred = x - x.mean(axis=-1, keepdims=True)
    attention = block.attention_layer

    def project(dense, stream, which):
        kernel = np.asarray(dense.kernel, "float64")[:, which]
        bias = np.asarray(dense.bias, "float64")[which] if backbone.config.use_bias else 0
        return stream @ kernel, bias

    group = backbone.num_attention_heads // backbone.config.key_value_heads
    query, bias = project(attention.query_dense, centred * gamma, head)
    key, _ = project(attention.key_dense, centred * gamma, head // group)
    query = query + beta @ np.asarray(attention.query_dense.kernel, "float64")[:, head] + bias
    wanted = query @ key.T / np.sqrt(backbone.config.head_dim)
    circuit = qk_circuit(backbone, 0, head)
    np.testing.assert_allclose(circuit.rows(ids)[:, :6], wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_a_lone_token_has_written_is_the_circuits(layout):
    """A token by itself looks at itself alone, and the head writes its value."""
    backbone = build(layout)
    for name in ("value_dense", "output_dense"):  # biases are no part of the circuit
        dense = getattr(backbone.transformer_layers[0].attention_layer, name)
        if backbone.config.use_bias:
            dense.bias.assign(np.zeros(dense.bias.shape))
    backbone.transformer_layers[0].input_layernorm.beta.assign(np.zeros(backbone.hidden_dim))
    token, head = 5, 1
    ids = {"token_ids": np.array([[token]]), "padding_mask": np.array([[1]])}
    state = record(backbone, ids).hidden_states[0][0, 0]
    width = backbone.config.head_dim
    rows = slice(head * width, (head + 1) * width)
    kernel = np.asarray(backbone.transformer_layers[0].attention_layer.output_dense.kernel)[rows]
    written = head_outputs(backbone, ids)[0, 0, 0, head] @ kernel
    written = (written - written.mean()) * np.asarray(backbone.final_layernorm.gamma)
    embedding = backbone.token_embedding
    tied = backbone.config.tie_word_embeddings
    table = np.asarray(embedding.embeddings).T if tied else np.asarray(embedding.reverse_embeddings)
    divided = np.sqrt(state.var() + backbone.transformer_layers[0].input_layernorm.epsilon)
    wanted = written @ table * divided
    circuit = ov_circuit(backbone, 0, head)
    np.testing.assert_allclose(circuit.rows(token), wanted, rtol=2e-3, atol=1e-5)


def test_eigenvalues_are_those_of_the_whole_matrix():
    rng = np.random.default_rng(0)
    circuit = Circuit(rng.normal(size=(9, 3)), rng.normal(size=(3, 9)))
    whole = np.linalg.eigvals(circuit.left @ circuit.right)
    largest = whole[np.argsort(-np.abs(whole))[:3]]
    np.testing.assert_allclose(np.sort(circuit.eigenvalues()), np.sort(largest), atol=1e-10)


def test_copying_is_told_from_mapping_to_others():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 16))
    assert copying_score(Circuit(x, x.T)) == pytest.approx(1)
    assert copying_score(Circuit(x, -x.T)) == pytest.approx(-1)
    assert abs(copying_score(Circuit(x, rng.normal(size=(16, 200))))) < 0.5


@pytest.mark.parametrize("by", ["query", "key", "value"])
def test_a_head_that_was_made_to_read_another_has_the_highest_score(by):
    backbone = FalconBackbone(20, 2, 4, 32, 64)
    rng = np.random.default_rng(0)
    for variable in backbone.trainable_variables:
        if "kernel" in variable.name:
            variable.assign(rng.normal(size=variable.shape) * 0.1)
    before, after = (block.attention_layer for block in backbone.transformer_layers)
    writer, reader = 2, 1
    kernel = np.array(getattr(after, f"{by}_dense").kernel)
    output = np.asarray(before.output_dense.kernel)[writer * 8 : (writer + 1) * 8]  # (h, m)
    kernel[:, reader] = output.T
    getattr(after, f"{by}_dense").kernel.assign(kernel)
    scores = composition_scores(backbone, 1, reader)[by]
    assert scores.shape == (1, 4)
    assert scores[0].argmax() == writer
    assert scores[0, writer] > 1.5 * np.delete(scores[0], writer).max()
    assert composition_scores(backbone, 0, 0)[by].shape == (0, 4)


def test_two_random_matrices_compose_by_one_over_the_root_of_the_width():
    backbone = FalconBackbone(20, 2, 4, 128, 64)
    scores = np.concatenate([composition_scores(backbone, 1, 0)[by] for by in ("query", "value")])
    assert np.all(np.abs(scores * np.sqrt(128) - 1) < 0.3)


def test_heads_that_are_not_there_are_refused():
    for function in (ov_circuit, qk_circuit, composition_scores):
        with pytest.raises(ValueError, match="no head 9"):
            function(build("rw"), 0, 9)

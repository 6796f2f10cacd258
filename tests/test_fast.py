"""Fast paths compute what the plain parts compute: values, gradients and tokens."""

import functools

from falcon_edu import FalconBackbone, FalconCausalLM, fast
from falcon_edu.fast import causal_attention
from falcon_edu.model import layers
from tests import reference
from tests.layouts import (
    LAYOUTS,
    REAL_TOKENS,
    build,
    difference,
    inputs,
    read,
    reference_config,
    reference_weights,
    to_float64,
)

import jax
import numpy as np
import pytest

# As in test_backbone.py, where the reasons stand. A gradient is rounded on the way back too.
TOLERANCE = {"float32": 1e-5, "bfloat16": 0.075}
OF_GRADIENTS = {"float32": 1e-4, "bfloat16": 0.5}
NAMES = ("hidden_states", "attention_weights", "output", "logits")


@functools.cache
def built(layout, dtype, kind):
    if kind == "fast":
        return FalconCausalLM(build(layout, dtype=dtype))
    with fast.plain():
        return FalconCausalLM(build(layout, dtype=dtype))


def values(model, padding):
    return read(model.backbone, inputs(padding))


def expected(model, padding):
    backbone = model.backbone
    return reference.falcon(
        reference_weights(backbone), reference_config(backbone), **inputs(padding)
    )


def assert_as_the_reference(model, padding, dtype):
    ours, theirs = values(model, padding), expected(model, padding)
    for name in NAMES:
        off = difference(ours, theirs, inputs(padding)["padding_mask"], name)
        assert off < TOLERANCE[dtype], name


@pytest.mark.parametrize("kind", ["plain", "fast"])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("padding", REAL_TOKENS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_values_are_those_of_the_reference(layout, padding, dtype, kind):
    assert_as_the_reference(built(layout, dtype, kind), padding, dtype)


def gradients(model, padding):
    """Of the loss, for each weight."""
    x = inputs(padding)
    y, counted = model.labels({key: jax.numpy.asarray(value) for key, value in x.items()})
    others = [variable.value for variable in model.non_trainable_variables]

    def loss(weights):
        logits, _ = model.stateless_call(weights, others, x)
        return model.loss(y, logits, counted)

    found = jax.jit(jax.grad(loss))([v.value for v in model.trainable_variables])
    return [to_float64(gradient) for gradient in found]


@pytest.mark.parametrize(
    ("padding", "dtype"), [("left", "float32"), ("right", "float32"), ("left", "bfloat16")]
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_are_those_of_the_plain_parts(layout, padding, dtype, monkeypatch):
    # So that attention is computed in halves, as it is where maps are large.
    monkeypatch.setattr(causal_attention, "LARGE_MAP", 0)
    ours, theirs = (gradients(built(layout, dtype, kind), padding) for kind in ("fast", "plain"))
    sizes = [np.sqrt(np.mean(b**2)) for b in theirs]
    for a, b, size in zip(ours, theirs, sizes, strict=True):
        # What is zero but for rounding, such as the bias of keys, has no size of its own.
        size = max(size, 0.1 * np.median(sizes))
        assert np.abs(a - b).max() < OF_GRADIENTS[dtype] * size


@pytest.mark.parametrize("padding", REAL_TOKENS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_greedy_tokens_are_those_of_the_reference(layout, padding):
    # In float32: of bfloat16's few numbers, two logits often have the same one.
    x = inputs(padding)
    told = []
    for kind in ("plain", "fast"):
        model = built(layout, "float32", kind)
        model.compile(sampler="greedy")
        told.append(model.generate(x, max_length=10, stop_token_ids=None)["token_ids"])
    np.testing.assert_array_equal(*told)
    weights, config = reference_weights(model.backbone), reference_config(model.backbone)
    for prompt, real, row in zip(x["token_ids"], x["padding_mask"], told[0], strict=True):
        tokens = prompt[real == 1].tolist()
        while len(tokens) < 10:
            ids = np.array([tokens])
            tokens.append(
                reference.falcon(weights, config, ids, ids >= 0)["logits"][0, -1].argmax()
            )
        assert row.tolist() == tokens


# === Each part is in use, and a wrong one is seen ===


def spoilt(part):
    """A part that gives something else, though not by much."""
    if not isinstance(part, type):

        def function(*arguments, **options):
            given = part(*arguments, **options)
            return (given[0] * 1.1, *given[1:]) if isinstance(given, tuple) else given * 1.1

        return function

    class Spoilt(part):
        def call(self, inputs, **options):
            return super().call(inputs, **options) * 1.1

    return Spoilt


@pytest.mark.parametrize("name", sorted(fast.REPLACED))
def test_a_wrong_part_is_seen(name, monkeypatch):
    monkeypatch.setattr(layers, name, spoilt(fast.REPLACED[name]))
    model = FalconCausalLM(build("rw"))
    if name == "cross_entropy":
        right = gradients(built("rw", "float32", "plain"), "left")
        pairs = zip(gradients(model, "left"), right, strict=True)
        assert any(np.abs(a - b).max() > 1e-3 for a, b in pairs)
    else:
        with pytest.raises(AssertionError):
            assert_as_the_reference(model, "left", "float32")


def test_a_plain_model_stays_plain_and_others_are_fast_again():
    plain, after = built("rw", "float32", "plain"), build("rw")
    for model, parts in ((plain.backbone, fast.PLAIN), (after, fast.REPLACED)):
        block = model.transformer_layers[0]
        assert type(model.token_embedding) is parts["ReversibleEmbedding"]
        assert type(block.input_layernorm) is parts["LayerNormalization"]
        assert type(block.dense_h_to_4h) is parts["Dense"]
        assert block.dense_h_to_4h.activation is parts["gelu"]
        assert type(block.attention_layer.query_dense) is parts["EinsumDense"]
        assert block.attention_layer.attend is parts["attend"]


def test_plain_ends_with_its_context_though_it_fails():
    with pytest.raises(RuntimeError), fast.plain():
        raise RuntimeError
    assert {name: getattr(layers, name) for name in fast.REPLACED} == fast.REPLACED


def test_plain_lasts_beyond_another_within_it():
    with fast.plain():
        with fast.plain():
            pass
        assert {name: getattr(layers, name) for name in fast.PLAIN} == fast.PLAIN
    assert {name: getattr(layers, name) for name in fast.REPLACED} == fast.REPLACED


@pytest.mark.parametrize("dtype", ["int8", "int8/4"])
def test_plain_parts_refuse_eight_bits(dtype):
    with fast.plain():
        with pytest.raises(ValueError, match="plain"):
            FalconBackbone(10, 1, 2, 8, 16, dtype=dtype)
        backbone = FalconBackbone(10, 1, 2, 8, 16)
    with pytest.raises(ValueError, match="plain"):
        backbone.quantize("int8")

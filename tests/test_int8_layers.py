"""Layers with weights of eight bits: the plain products, and the quick ones beside them."""

from falcon_edu.fast import dense
from falcon_edu.int8 import layers
from falcon_edu.int8.quantization import GroupedInt8QuantizationConfig

import numpy as np
import pytest

RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(2, 3, 8)).astype("float32")
ARGUMENTS = {
    "Dense": {"units": 5},
    "EinsumDense": {
        "equation": "btm,mnh->btnh",
        "output_shape": (None, 2, 3),
        "bias_axes": "nh",
        "activation": "relu",
    },
    "ReversibleEmbedding": {"input_dim": 7, "output_dim": 8, "reverse_dtype": "float32"},
    "a head of its own": {"input_dim": 7, "output_dim": 8, "tie_weights": False},
}
CLASSES = {name: name for name in ARGUMENTS} | {"a head of its own": "ReversibleEmbedding"}


def both(kind, group_size, rank, given=INPUTS):
    """Return a plain layer and a quick one with the same weights of eight bits, built."""
    plain = getattr(layers, f"Int8{CLASSES[kind]}")(**ARGUMENTS[kind])
    quick = getattr(dense, CLASSES[kind])(**ARGUMENTS[kind])
    for layer in (plain, quick):
        layer.build(given.shape)
    for one, other in zip(plain.weights, quick.weights, strict=True):
        value = RNG.normal(size=one.shape)
        one.assign(value)
        other.assign(value)
    config = GroupedInt8QuantizationConfig(group_size) if group_size else None
    for layer in (plain, quick):
        layer.quantize("int8", config=config)
        if rank:
            layer.enable_lora(rank)
    if rank:
        for one, other in zip(plain.factors, quick.factors, strict=True):
            value = RNG.normal(size=one.shape)
            one.assign(value)
            other.assign(value)
    return plain, quick


def outputs(layer):
    """Return what a layer makes of the inputs; of an embedding, vectors and logits."""
    if isinstance(layer, layers.Int8ReversibleEmbedding):
        vectors = np.array(layer(np.arange(7)[None]))
        return [vectors, np.array(layer(INPUTS, reverse=True))]
    return [np.array(layer(INPUTS))]


@pytest.mark.parametrize("rank", [0, 2], ids=["alone", "LoRA"])
@pytest.mark.parametrize("group_size", [None, 4], ids=["channels", "groups"])
@pytest.mark.parametrize("kind", ARGUMENTS)
def test_plain_and_quick_layers_compute_and_write_the_same(kind, group_size, rank):
    plain, quick = both(kind, group_size, rank)
    wanted = outputs(plain)
    for one, other in zip(wanted, outputs(quick), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-6, atol=2e-6)
    stores: tuple = {}, {}
    for layer, store in zip((plain, quick), stores, strict=True):
        layer.save_own_variables(store)
    assert stores[0].keys() == stores[1].keys()
    for place, value in stores[0].items():
        np.testing.assert_array_equal(np.array(value), np.array(stores[1][place]))
    plain.load_own_variables({place: np.array(value) for place, value in stores[1].items()})
    for one, other in zip(wanted, outputs(plain), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


def test_weights_stand_for_what_was_rounded():
    plain, _ = both("Dense", 4, 0)
    kernel, scale, steps = plain.as_saved()
    floats = np.array(kernel) * np.repeat(np.array(steps), 4, axis=0) / np.array(scale)
    bias = np.array(plain.bias)
    np.testing.assert_allclose(outputs(plain)[0], INPUTS @ floats + bias, rtol=1e-5, atol=1e-5)

"""The memory calculator against what models, caches, optimizers and XLA really hold."""

import math

from falcon_edu import FALCON_FAMILY, FalconConfig, memory_needed
from falcon_edu.fast.gradients import cross_entropy
from falcon_edu.generation.decoding import build_cache
from tests.layouts import CHECKPOINTS, LAYOUTS, SIZES, build

import jax
import keras
import numpy as np
import pytest


def held(arrays):
    return sum(np.asarray(getattr(x, "value", x)).nbytes for x in arrays)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_and_cache_are_what_is_held(layout, dtype):
    backbone = build(layout, dtype=dtype)
    needed = memory_needed(backbone.config, dtype=dtype, tokens=11, batch_size=3)
    assert needed["weights"] == held(backbone.weights)
    assert needed["key/value cache"] == held(jax.tree.leaves(build_cache(backbone, 3, 11)))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_gradients_and_adam_are_what_is_held(dtype):
    backbone = build("40b", dtype=dtype)
    needed = memory_needed(backbone.config, "train", dtype=dtype)
    optimizer = keras.optimizers.Adam()
    optimizer.build(backbone.trainable_variables)
    averages = [v for v in optimizer.variables if v.shape]  # not the counter and the rate
    assert needed["Adam"] == held(averages)
    assert needed["gradients"] == held(backbone.trainable_variables)


def test_lora_trains_few():
    backbone = build()
    backbone.enable_lora(2)
    trained = sum(math.prod(v.shape) for v in backbone.trainable_variables)
    needed = memory_needed(backbone.config, "train", trainable_parameters=trained)
    assert needed["gradients"] == held(backbone.trainable_variables)
    assert needed["Adam"] == 2 * needed["gradients"]
    assert needed["weights"] == 4 * backbone.config.num_parameters


@pytest.mark.compiler
@pytest.mark.slow
@pytest.mark.parametrize(
    ("layout", "batch_size", "tokens"),
    [("rw", 8, 64), ("rw", 2, 256), ("7b", 8, 128), ("40b", 4, 128)],
)
def test_activations_are_about_what_xla_plans(layout, batch_size, tokens):
    sizes = {"num_attention_heads": 4, "hidden_dim": 128, "intermediate_dim": 512}
    backbone = build(layout, **{**sizes, "vocabulary_size": 1000, "num_layers": 3})
    variables = backbone.trainable_variables
    ids = np.ones((batch_size, tokens), "int32")

    def loss(values):
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            inputs = {"token_ids": jax.numpy.array(ids), "padding_mask": jax.numpy.array(ids)}
            logits = backbone.token_embedding(backbone(inputs, training=True), reverse=True)
        return cross_entropy(logits, ids).mean()

    values = [variable.value for variable in variables]
    planned = jax.jit(jax.value_and_grad(loss)).lower(values).compile().memory_analysis()
    needed = memory_needed(backbone.config, "train", tokens=tokens, batch_size=batch_size)
    assert needed["activations, about"] == pytest.approx(planned.temp_size_in_bytes, rel=0.25)


def test_family_is_as_published():
    published = {name.lower(): (FalconConfig(**c), n) for name, (c, n) in CHECKPOINTS.items()}
    assert {name.lower(): (c, c.num_parameters) for name, c in FALCON_FAMILY.items()} == published


def test_int8_is_a_byte_for_a_weight_and_two_for_the_rest():
    config = FalconConfig(**SIZES)
    int8, bfloat16 = memory_needed(config, dtype="int8"), memory_needed(config, dtype="bfloat16")
    assert int8["weights"] == config.num_parameters
    assert int8["key/value cache"] == bfloat16["key/value cache"]
    in_groups = memory_needed(config, dtype="int8/32")
    assert in_groups["weights"] == config.num_parameters * 33 // 32
    assert in_groups["key/value cache"] == int8["key/value cache"]
    assert memory_needed(config, dtype="int8/32_from_float32") == in_groups


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"config": "falcon-7b"}, "must be a FalconConfig"),
        ({"use": "serve"}, "`use` must be one of"),
        ({"dtype": "float8"}, "`dtype` must be one of"),
        ({"dtype": "int8/x"}, "must be like"),
        ({"use": "train", "dtype": "int8/32"}, "can't be trained"),
        ({"tokens": 0}, "`tokens` must be a whole number"),
        ({"batch_size": 1.5}, "`batch_size` must be a whole number"),
        ({"use": "train", "dtype": "int8"}, "can't be trained"),
        ({"use": "train", "trainable_parameters": -1}, "`trainable_parameters` must be"),
    ],
)
def test_impossible_questions_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        memory_needed(**{"config": FalconConfig(**SIZES), **arguments})

"""Kernels begin as normal numbers, whatever they are kept in."""

from falcon_edu import FalconBackbone
from falcon_edu.support.initializers import RandomNormal

import keras
import numpy as np
import pytest


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_fewer_digits_round_the_same_numbers(dtype):
    drawn = RandomNormal(stddev=0.02, seed=1)((300, 400), dtype)
    wanted = keras.initializers.RandomNormal(stddev=0.02, seed=1)((300, 400), "float32")
    assert keras.backend.standardize_dtype(drawn.dtype) == dtype
    np.testing.assert_array_equal(drawn, keras.ops.cast(wanted, dtype))


def test_a_backbone_begins_without_a_bias():
    keras.utils.set_random_seed(0)
    backbone = FalconBackbone(100, 1, 2, 64, 4096, dtype="bfloat16")
    kernel = np.asarray(backbone.transformer_layers[0].dense_4h_to_h.kernel, "float32") / 0.02
    assert abs(kernel.mean()) < 4 / np.sqrt(kernel.size)  # in bfloat16 drawn it would be 0.012
    assert abs(kernel).max() > 4
    embeddings = np.asarray(backbone.token_embedding.embeddings, "float32")
    assert len(np.unique(embeddings)) > 500


def test_an_initializer_survives_its_config():
    layer = FalconBackbone(20, 1, 2, 8, 16).transformer_layers[0].dense_4h_to_h
    again = type(layer).from_config(layer.get_config()).kernel_initializer
    assert isinstance(again, RandomNormal)
    assert again.stddev == 0.02

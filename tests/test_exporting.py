"""What an exported model has in place of its own: the same numbers, and for that time alone."""

from falcon_edu.fast.gradients import exact_gelu, gelu
from falcon_edu.support.exporting import portable, portable_gelu, signature_options
from tests.layouts import build

import keras
import numpy as np
import pytest


def test_portable_gelu_is_gelu():
    x = np.concatenate([np.linspace(-12, 12, 4001), [0, -1e30, 1e30, -np.inf, np.inf]])
    x = x.astype("float32")
    got, want = np.asarray(portable_gelu(x)), np.asarray(gelu(x))
    np.testing.assert_allclose(got[:-2], want[:-2], rtol=1e-6, atol=1e-6)
    assert got[-1] == np.inf
    assert portable_gelu(keras.ops.cast(x, "bfloat16")).dtype == "bfloat16"


def test_activations_are_given_back_whatever_happens():
    backbone = build("rw")
    own = [block.dense_h_to_4h for block in backbone.transformer_layers]
    own[1].activation = keras.activations.relu  # somebody's own: it stays

    def interrupted():
        with portable(backbone):
            assert [layer.activation for layer in own] == [portable_gelu, keras.activations.relu]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [layer.activation for layer in own] == [exact_gelu, keras.activations.relu]


def test_open_axes_of_ids_and_mask_are_one():
    names = ("token_ids", "padding_mask")
    spec = {name: keras.InputSpec(shape=(None, 4), dtype="int32") for name in names}
    options = signature_options([spec], {"with_gradient": False})
    assert options["input_signature"] == [spec]
    assert options["jax2tf_kwargs"] == {
        "polymorphic_shapes": [dict.fromkeys(names, "(batch, 4)")],
        "with_gradient": False,
    }


@pytest.mark.parametrize("signature", [[], {"ids": 1}, [keras.InputSpec(shape=(2, 4))], "(2, 4)"])
def test_another_signature_is_refused(signature):
    with pytest.raises(ValueError, match=r"`input_signature` must be .*`token_ids`"):
        signature_options(signature)

"""LoRA files between keras-hub and this package, both ways, on the same base weights."""

from tests.layouts import build, inputs, to_float64
from tests.peers.models import keras_hub_falcon

import numpy as np
import pytest

pytestmark = pytest.mark.peers
ROW = inputs()


def randomize_factors(backbone):
    random = np.random.default_rng(1)
    for variable in backbone.trainable_variables:
        if "lora_" in variable.name:
            variable.assign(0.1 * random.normal(size=variable.shape))


def assert_equal_outputs(ours, theirs, base):
    output = to_float64(ours(ROW))
    np.testing.assert_allclose(output, to_float64(theirs(ROW)), rtol=1e-5, atol=1e-5)
    assert np.abs(output - to_float64(base(ROW))).max() > 1e-2  # the adapter does something


@pytest.mark.parametrize("targets", [None, ["key_dense", "output_dense"]])
def test_keras_hub_file_loads_here(targets, tmp_path):
    theirs = keras_hub_falcon(build("rw"))
    theirs.enable_lora(3, target_layer_names=targets)
    randomize_factors(theirs)
    theirs.save_lora_weights(str(tmp_path / "theirs.lora.h5"))
    ours = build("rw")
    ours.load_lora_weights(tmp_path / "theirs.lora.h5")
    assert_equal_outputs(ours, theirs, base=build("rw"))


def test_our_file_loads_in_keras_hub(tmp_path):
    ours = build("rw")
    ours.enable_lora(3)
    randomize_factors(ours)
    ours.save_lora_weights(tmp_path / "ours.lora.h5")
    theirs = keras_hub_falcon(build("rw"))
    theirs.load_lora_weights(str(tmp_path / "ours.lora.h5"))
    assert_equal_outputs(ours, theirs, base=build("rw"))


def test_keras_hub_still_loses_trained_biases(tmp_path):
    """The claim of our texts: in keras-hub a trained adapter changes when it is loaded again."""
    theirs = keras_hub_falcon(build("rw"))
    theirs.enable_lora(3)
    names = {variable.name for variable in theirs.trainable_variables}
    assert names == {"lora_kernel_a", "lora_kernel_b", "bias"}
    for variable in theirs.trainable_variables:  # as training does
        variable.assign(to_float64(variable) + 0.1)
    theirs.save_lora_weights(str(tmp_path / "theirs.lora.h5"))
    fresh = keras_hub_falcon(build("rw"))
    fresh.load_lora_weights(str(tmp_path / "theirs.lora.h5"))
    assert np.abs(to_float64(theirs(ROW)) - to_float64(fresh(ROW))).max() > 1e-2


def test_keras_hub_still_accepts_unknown_targets():
    """The claim of our texts: a name that matches nothing leaves nothing to train, in silence."""
    theirs = keras_hub_falcon(build("rw"))
    theirs.enable_lora(3, target_layer_names=["no_such_layer"])
    assert theirs.trainable_variables == []

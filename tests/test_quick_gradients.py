"""The gradients in C++ that train the shipped models are JAX's, to the rounding of bfloat16."""

from falcon_edu import FalconBackbone, FalconCausalLM
from tools import quick_gradients, train_tales

import jax
import keras
import numpy as np
import pytest

pytestmark = pytest.mark.skipif(
    not quick_gradients.can_run(), reason="the processor has no AMX, or there is no g++"
)
SHAPE = {"num_layers": 2, "num_attention_heads": 4, "hidden_dim": 128}


@pytest.mark.parametrize("name", train_tales.PRESETS)
def test_loss_and_gradients_are_those_of_jax(tmp_path, name):
    keras.utils.set_random_seed(0)
    layout = {**train_tales.PRESETS[name], "intermediate_dim": 96}
    lm = FalconCausalLM(FalconBackbone(64, **SHAPE, **layout))
    rng = np.random.default_rng(0)
    variables = lm.trainable_variables
    weights = [v.numpy() + 0.1 * rng.normal(size=v.shape).astype("float32") for v in variables]
    others = [variable.value for variable in lm.non_trainable_variables]
    ids = rng.integers(0, 64, (5, 65))
    mask = (np.arange(64) < np.array([[64], [1], [33], [60], [17]])).astype("int32")

    compute = jax.value_and_grad(train_tales.mean_loss, argnums=1)
    loss, wanted = compute(lm, weights, others, ids, mask)
    quick = quick_gradients.Gradients(lm.backbone, variables, tmp_path, threads=2, chunk=64)
    quick_loss, gradients = quick(weights, ids, mask)

    assert abs(quick_loss - loss) < 1e-3 * loss
    size = np.mean([np.linalg.norm(gradient) for gradient in wanted])
    for variable, ours, theirs in zip(variables, gradients, wanted, strict=True):
        # Products of numbers with 8 bits; the bias of the keys has no gradient but noise.
        error = np.linalg.norm(ours - theirs)
        assert error < 0.02 * np.linalg.norm(theirs) + 1e-3 * size, variable.path
    assert np.float32(1e-40) * np.float32(1) > 0  # small numbers stay in this process
    again = quick(weights, ids, mask)[1]
    assert all(np.array_equal(one, two) for one, two in zip(gradients, again, strict=True))


def test_a_model_that_is_no_whole_number_of_tiles_is_refused(tmp_path):
    lm = FalconCausalLM(FalconBackbone(64, 1, 4, 64, 96))  # heads of 16
    with pytest.raises(ValueError, match="tiles"):
        quick_gradients.Gradients(lm.backbone, lm.trainable_variables, tmp_path)

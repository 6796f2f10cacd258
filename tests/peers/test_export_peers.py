"""TensorFlow runs what is exported, and gives the numbers of the model; the rest is refused."""

from falcon_edu import FalconCausalLM
from falcon_edu.fast.gradients import exact_gelu
from tests.layouts import build, inputs

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.peers


def served(model, path, tokens, **options):
    """What TensorFlow makes of an exported model."""
    import tensorflow as tf

    model.export(path, verbose=False, **options)
    given = {name: tf.constant(x) for name, x in tokens.items()}
    loaded = tf.saved_model.load(path)  # its variables live as long as it does
    return np.asarray(loaded.serve(given))


@pytest.mark.parametrize("layout", ["rw", "7b", "40b", "falcon2_11b"])
def test_tensorflow_runs_a_causal_lm_on_texts_of_any_length(layout, tmp_path):
    causal_lm, tokens = FalconCausalLM(build(layout, num_layers=1)), inputs("left")
    got = served(causal_lm, str(tmp_path / "model"), tokens)
    np.testing.assert_allclose(got, causal_lm.predict(tokens, verbose=0), rtol=1e-4, atol=1e-4)
    assert causal_lm.backbone.transformer_layers[0].dense_h_to_4h.activation is exact_gelu


@pytest.mark.parametrize("shape", [(2, 7), (None, 7), (None, None)])
def test_tensorflow_runs_a_backbone_with_each_signature(shape, tmp_path):
    backbone, tokens = build("40b", num_layers=1), inputs("right")
    spec = {name: keras.InputSpec(shape=shape, dtype="int32", name=name) for name in tokens}
    got = served(backbone, str(tmp_path / "model"), tokens, input_signature=[spec])
    np.testing.assert_allclose(got, backbone(tokens), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["lora", "int8", "bfloat16"])
def test_tensorflow_runs_adapted_and_narrow_weights(kind, tmp_path):
    backbone, tokens = build("rw", num_layers=1), inputs("left")
    if kind == "lora":
        backbone.enable_lora(2)
        for variable in backbone.trainable_variables:
            variable.assign(keras.random.normal(variable.shape, stddev=0.1, seed=1))
    elif kind == "int8":
        backbone.quantize("int8")
    else:
        backbone = build("rw", num_layers=1, dtype="bfloat16")
    got = served(backbone, str(tmp_path / "model"), tokens).astype("float32")
    wanted = np.asarray(backbone(tokens), "float32")
    # bfloat16 rounds at other places in another program
    tolerance = 0.1 if kind == "bfloat16" else 1e-4
    assert np.abs(got - wanted).max() < tolerance * np.abs(wanted).max()


@pytest.mark.parametrize("format", ["onnx", "litert", "openvino", "torch"])
def test_what_keras_cannot_export_from_jax_is_refused_and_leaves_the_model_as_it_was(
    format, tmp_path
):
    backbone, tokens = build("rw", num_layers=1), inputs()
    before = np.asarray(backbone(tokens))
    ending = {"openvino": "xml"}.get(format, format)
    with pytest.raises(
        (ValueError, ImportError, NotImplementedError), match=r"(?i)export|require|module"
    ):
        backbone.export(str(tmp_path / f"model.{ending}"), format=format, verbose=False)
    assert not list(tmp_path.iterdir())
    np.testing.assert_array_equal(backbone(tokens), before)

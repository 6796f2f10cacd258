"""Weights of eight bits: how they are made, multiplied with, loaded, and trained beside."""

import gc

from falcon_edu import FalconBackbone, FalconCausalLM, FalconConfig, record
from falcon_edu.corpora import tales
from falcon_edu.dense import Dense, EinsumDense, ReversibleEmbedding
from falcon_edu.evaluation import evaluate_on_tales
from falcon_edu.products import narrow_product, narrow_product_transposed
from falcon_edu.quantization import quantize
from tests.layouts import LAYOUTS, build

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture(autouse=True)
def small_heap():
    """Keras collects garbage for every kernel it rounds: seconds, after a thousand other tests."""
    gc.freeze()
    yield
    gc.unfreeze()


@given(st.data())
def test_rounding_errs_by_half_a_step(data):
    shape = tuple(data.draw(st.lists(st.integers(1, 7), min_size=2, max_size=3)))
    axis = data.draw(st.sampled_from([0, len(shape) - 1]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    weights = rng.normal(size=shape) * 10 ** rng.uniform(-3, 3)
    quantized, scale = quantize(weights, axis)
    assert quantized.dtype == np.int8
    assert quantized.min() >= -127
    assert scale.shape == tuple(1 if i == axis else n for i, n in enumerate(shape))
    assert (abs(quantized / scale - weights) <= 0.501 / scale).all()


def test_blocks_make_no_difference(monkeypatch):
    weights = np.random.default_rng(0).normal(size=(11, 6))
    for axis in (0, 1):
        whole = quantize(weights, axis)
        monkeypatch.setattr("falcon_edu.quantization.BLOCK", 12)
        for one, other in zip(whole, quantize(weights, axis), strict=True):
            np.testing.assert_array_equal(one, other)
        monkeypatch.undo()


def test_weights_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        quantize(np.array([[1.0, np.inf]]))


@given(st.integers(1, 9), st.integers(1, 40), st.integers(1, 40), st.integers(1, 300))
def test_products_are_exact(b, m, f, block):
    rng = np.random.default_rng(b * m * f)
    # Whole numbers below 2**24 have exact sums in float32.
    x = rng.integers(-9, 9, (b, 1, m)).astype("float32")
    kernel = rng.integers(-127, 128, (m, f)).astype("int8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("falcon_edu.products.WIDENED", block)
        np.testing.assert_array_equal(narrow_product(x, kernel), x @ kernel.astype("float32"))
        turned = jnp.asarray(kernel.T)
        np.testing.assert_array_equal(
            narrow_product_transposed(x, turned), x @ kernel.astype("float32")
        )


def test_the_gradient_reaches_the_inputs():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 10)).astype("float32")
    kernel = rng.integers(-127, 128, (10, 4)).astype("int8")
    for product, k in ((narrow_product, kernel), (narrow_product_transposed, kernel.T)):
        gradient = jax.grad(lambda x, f=product, k=k: (f(x, jnp.asarray(k)) ** 2).sum())(x)
        wide = kernel.astype("float32")
        np.testing.assert_allclose(gradient, 2 * (x @ wide) @ wide.T, rtol=1e-5)


LAYERS = {
    "Dense": (Dense(12, activation=keras.activations.gelu), (None, 8)),
    "EinsumDense": (EinsumDense("bqm,mnh->bqnh", (None, 3, 4), bias_axes="nh"), (None, None, 8)),
    "ReversibleEmbedding": (ReversibleEmbedding(11, 8), None),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_round_as_keras_does(name):
    layer, shape = LAYERS[name]
    layer = layer.from_config(layer.get_config())
    layer.build(shape)
    is_embedding = name == "ReversibleEmbedding"
    weight = np.array(layer.embeddings if is_embedding else layer.kernel)
    layer.quantize("int8")
    quantized, scale = quantize(weight, axis=1 if is_embedding else 0)
    if is_embedding:
        np.testing.assert_array_equal(layer.embeddings, quantized)
        np.testing.assert_array_equal(layer.embeddings_scale, scale[:, 0])
    else:
        np.testing.assert_array_equal(layer.kernel, quantized)
        np.testing.assert_array_equal(np.ravel(layer.kernel_scale), scale.ravel())


def inputs_for(config):
    ids = np.random.default_rng(0).integers(0, config.vocabulary_size, (2, 7)).astype("int32")
    mask = np.ones_like(ids)
    mask[0, :2] = mask[1, 5:] = 0
    return {"token_ids": ids, "padding_mask": mask}


def dequantized(backbone, layout):
    """A float backbone with the weights that a quantized one stands for."""
    plain = build(layout)
    own = {variable.path: np.array(variable) for variable in backbone.variables}
    for layer in backbone._flatten_layers():
        if hasattr(layer, "_kernel"):  # which may be packed
            own[layer._kernel.path] = np.array(layer.kernel)
    for variable in plain.variables:
        value = own[variable.path]
        if value.dtype == np.int8:
            scale = own[f"{variable.path}_scale"]
            if variable.path.endswith("/embeddings"):
                scale = scale[:, None]
            value = value / scale.reshape(scale.shape[-value.ndim :])
        variable.assign(value)
    return plain


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_computes_with_what_the_weights_stand_for(layout):
    backbone = build(layout)
    backbone.quantize("int8")
    inputs = inputs_for(backbone.config)
    own, plain = record(backbone, inputs), record(dequantized(backbone, layout), inputs)
    for one, other in zip(own.hidden_states, plain.hidden_states, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5 * abs(other).max())
    for one, other in zip(own.attention_weights, plain.attention_weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    np.testing.assert_allclose(own.logits, plain.logits, atol=2e-5 * abs(plain.logits).max())


# transformers has grouped attention in parallel blocks only.
SAVED = [("save_to_preset", layout) for layout in LAYOUTS]
SAVED += [("export_to_transformers", x) for x in LAYOUTS if x != "grouped_alibi_sequential"]


@pytest.mark.parametrize(("save", "layout"), SAVED)
def test_loading_in_eight_bits_is_loading_and_quantizing(tmp_path, save, layout):
    backbone = build(layout)
    getattr(backbone, save)(tmp_path / "falcon")
    loaded = FalconBackbone.from_preset(tmp_path / "falcon", dtype="int8")
    backbone.quantize("int8")
    assert [v.path for v in loaded.variables] == [v.path for v in backbone.variables]
    for one, other in zip(loaded.variables, backbone.variables, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other, err_msg=one.path)


def test_a_config_tells_of_eight_bits():
    backbone = FalconBackbone(20, 1, 2, 8, 16, dtype="int8")
    again = FalconBackbone.from_config(backbone.get_config())
    assert again.token_embedding.embeddings.dtype == "int8"
    assert again.transformer_layers[0].dense_h_to_4h.kernel.dtype == "int8"
    backbone = FalconBackbone(20, 1, 2, 8, 16)
    assert "int8" not in str(backbone.get_config())
    backbone.quantize("int8")
    assert "int8" in str(backbone.get_config())


def test_a_quantized_model_survives_a_keras_file(tmp_path):
    backbone = FalconBackbone(20, 1, 2, 8, 16)
    backbone.quantize("int8")
    inputs = inputs_for(backbone.config)
    backbone.save(tmp_path / "falcon.keras")
    again = keras.saving.load_model(tmp_path / "falcon.keras")
    np.testing.assert_array_equal(again(inputs), backbone(inputs))


@pytest.mark.parametrize("save", ["save_to_preset", "export_to_transformers"])
def test_presets_hold_full_precision(tmp_path, save):
    backbone = FalconBackbone(20, 1, 2, 8, 16, dtype="int8")
    with pytest.raises(ValueError, match="eight bits"):
        getattr(backbone, save)(tmp_path / "falcon")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def falcon():
    return FalconCausalLM.from_preset("falcon_tales_rw_en", dtype="int8")


def test_the_tales_lose_less_than_a_hundredth(falcon):
    plain = FalconCausalLM.from_preset("falcon_tales_rw_en")
    losses = [
        evaluate_on_tales(model, tales(60, seed=1, split="held_out"))["cross_entropy"]
        for model in (plain, falcon)
    ]
    assert losses[1] < 1.01 * losses[0]
    assert losses[1] != losses[0]


def test_generation_goes_on_as_with_the_whole_prompt(falcon):
    falcon.compile(sampler="greedy")
    text = falcon.generate("Once upon a time there was", max_length=24)
    ids = np.array([[falcon.preprocessor.tokenizer.end_token_id]])
    tokens = np.array([falcon.preprocessor.tokenizer.tokenize(text)])
    ids = np.concatenate([ids, tokens], axis=1)
    logits = record(falcon, {"token_ids": ids, "padding_mask": np.ones_like(ids)}).logits
    chosen = logits[0, 8:-1].argmax(-1)
    np.testing.assert_array_equal(chosen, ids[0, 9:])


def test_a_causal_lm_that_has_worked_is_quantized_as_its_backbone(falcon):
    plain = FalconCausalLM.from_preset("falcon_tales_rw_en")
    inputs = inputs_for(plain.backbone.config)

    def everything(model):
        model.compile(sampler="greedy", weighted_metrics=[])
        text = model.generate("Once upon a time", max_length=24)
        loss = model.evaluate([text], verbose=0)
        return text, loss, model.predict(inputs, verbose=0), record(model, inputs).logits

    before = everything(plain)
    plain.quantize("int8")
    after, wanted = everything(plain), everything(falcon)
    assert after[0] == wanted[0]
    assert after[1] == wanted[1] != before[1]
    for one, other in zip(after[2:], wanted[2:], strict=True):
        np.testing.assert_array_equal(one, other)


def test_lora_learns_beside_frozen_bytes(tmp_path):
    falcon = FalconCausalLM.from_preset("falcon_tales_rw_en", dtype="int8")
    backbone = falcon.backbone
    backbone.enable_lora(2)
    assert all("lora" in variable.path for variable in falcon.trainable_variables)
    before = [np.array(v) for v in backbone.variables if v.dtype == "int8"]
    falcon.compile(optimizer=keras.optimizers.Adam(1e-2))
    texts = ["The fox gave the lamp to the owl."] * 8
    losses = falcon.fit(texts, batch_size=4, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]
    after = [np.array(v) for v in backbone.variables if v.dtype == "int8"]
    assert all((a == b).all() for a, b in zip(before, after, strict=True))
    backbone.save_lora_weights(tmp_path / "fox.lora.h5")
    fresh = FalconBackbone.from_preset("falcon_tales_rw_en", dtype="int8")
    fresh.load_lora_weights(tmp_path / "fox.lora.h5")
    inputs = inputs_for(backbone.config)
    np.testing.assert_array_equal(fresh(inputs), backbone(inputs))
    with pytest.raises(ValueError, match="eight bits"):
        backbone.merge_lora()


def test_an_adapter_does_the_same_on_floats_and_on_bytes():
    names = ["query_dense", "output_dense", "dense_4h_to_h", "token_embedding"]
    keras.utils.set_random_seed(0)
    backbone = build("rw")
    backbone.quantize("int8")
    plain = dequantized(backbone, "rw")
    factors = []
    for model in (backbone, plain):
        model.enable_lora(2, names)
        rng = np.random.default_rng(0)
        for variable in model.trainable_variables:
            variable.assign(rng.normal(size=variable.shape) / 10)
        factors.append([variable.path for variable in model.trainable_variables])
    assert factors[0] == factors[1]
    inputs = inputs_for(backbone.config)
    own, other = (record(model, inputs).logits for model in (backbone, plain))
    np.testing.assert_allclose(own, other, atol=2e-5 * abs(other).max())


def test_memory_is_asked_for_bytes():
    from falcon_edu.presets.capacity import check_size, machine_memory

    config = FalconConfig(50304, 24, 32, 2048, 8192)
    layers = int(2 * machine_memory() / config.num_parameters * 24 / 4)
    large = FalconConfig(50304, max(layers, 24), 32, 2048, 8192)
    with pytest.raises(ValueError, match="int8"):
        check_size(large, "here", "float32")
    check_size(large, "here", "int8")

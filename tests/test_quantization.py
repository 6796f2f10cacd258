"""Weights of eight bits: how they are made, multiplied with, loaded, and trained beside."""

import gc

from falcon_edu import FalconBackbone, FalconCausalLM, FalconConfig, record
from falcon_edu.corpora import tales
from falcon_edu.evaluation import evaluate_on_tales
from falcon_edu.fast.dense import Dense, EinsumDense, ReversibleEmbedding
from falcon_edu.fast.packing import packed_shape, should_pack
from falcon_edu.fast.products import narrow_product, narrow_product_transposed
from falcon_edu.int8.quantization import (
    GroupedInt8DTypePolicy,
    GroupedInt8QuantizationConfig,
    policy_of,
    quantize,
    quantize_in_groups,
    weights_only,
)
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


@given(st.data())
def test_a_group_errs_by_half_a_step_of_its_own(data):
    shape = data.draw(st.lists(st.integers(1, 5), min_size=2, max_size=3))
    axis = data.draw(st.sampled_from([0, len(shape) - 1]))
    size = data.draw(st.integers(1, 4))
    groups = tuple(shape)
    shape[axis] *= size
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    weights = rng.normal(size=shape) * 10 ** rng.uniform(-3, 3, size=shape)
    quantized, scale, steps = quantize_in_groups(weights, size, axis)
    assert (quantized.dtype, steps.dtype, steps.shape) == (np.int8, np.uint8, groups)
    assert quantized.min() >= -127
    assert steps.min() >= 1
    assert scale.shape == tuple(1 if i == axis else n for i, n in enumerate(shape))
    step = np.repeat(steps, size, axis) / scale
    assert (abs(quantized * step - weights) <= 0.501 * step).all()


def test_groups_err_less_than_channels():
    weights = np.random.default_rng(0).normal(size=(2048, 8))
    quantized, scale = quantize(weights)
    channels = np.linalg.norm(quantized / scale - weights)
    quantized, scale, steps = quantize_in_groups(weights, 32)
    groups = np.linalg.norm(quantized * np.repeat(steps, 32, 0) / scale - weights)
    assert groups < 0.7 * channels


@pytest.mark.parametrize("axis", [0, 1])
def test_blocks_make_no_difference(monkeypatch, axis):
    weights = np.random.default_rng(0).normal(size=(12, 6))

    def everything():
        return *quantize(weights, axis), *quantize_in_groups(weights, 3, axis)

    whole = everything()
    monkeypatch.setattr("falcon_edu.int8.quantization.BLOCK", 30)
    for one, other in zip(whole, everything(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_that_are_not_finite_are_refused():
    weights = np.array([[1.0, np.inf]])
    for refuse in (quantize, lambda weights: quantize_in_groups(weights, 2, axis=1)):
        with pytest.raises(ValueError, match="not finite"):
            refuse(weights)


def test_groups_that_do_not_fill_a_product_are_refused():
    with pytest.raises(ValueError, match="Groups of 5 do not fill the 12 inputs"):
        quantize_in_groups(np.ones((12, 2)), 5)
    with pytest.raises(ValueError, match="Groups of 5 do not fill the 8 inputs"):
        FalconBackbone(20, 1, 2, 8, 16, dtype="int8/5")


@pytest.mark.parametrize("size", [True, False, 0, -4, 4.0, "4", None])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(ValueError, match=r"whole number of at least 1\. Received: "):
        GroupedInt8QuantizationConfig(size)


def test_a_refusal_leaves_the_model_as_it_was():
    backbone = FalconBackbone(20, 2, 2, 8, 12)
    policies = [layer.dtype_policy for layer in backbone._flatten_layers()]

    def refuse(config, words):
        with pytest.raises(ValueError, match=words):
            backbone.quantize(config=config)
        assert [layer.dtype_policy for layer in backbone._flatten_layers()] == policies
        assert backbone.token_embedding.group_size is None

    refuse(GroupedInt8QuantizationConfig(8), "Groups of 8 do not fill the 12 inputs")
    bias = backbone.transformer_layers[1].dense_4h_to_h.kernel
    before = np.array(bias)
    bias.assign(np.full(bias.shape, np.nan))
    refuse(
        GroupedInt8QuantizationConfig(4), "dense_4h_to_h/kernel` has numbers that are not finite"
    )
    refuse(weights_only(), "not finite")
    bias.assign(before)
    backbone.quantize(config=GroupedInt8QuantizationConfig(4))
    assert backbone.token_embedding.group_size == 4


def test_a_policy_with_groups_is_obeyed_by_a_layer_that_is_there():
    layer = Dense(6)
    layer.build((None, 8))
    layer.dtype_policy = policy_of("int8/4")
    assert layer.kernel_steps.shape == (packed_shape((2, 6)) if should_pack() else (2, 6))
    assert (layer.group_size, layer.dtype_policy) == (4, policy_of("int8/4"))
    layer = Dense(
        6, dtype="int8_from_float32", quantization_config=GroupedInt8QuantizationConfig(2)
    )
    assert layer.group_size == 2


@pytest.mark.parametrize(("one", "other"), [("int8", "int8/4"), ("int8/4", "int8")])
def test_weights_with_groups_and_without_do_not_mix(tmp_path, one, other):
    """Not even with LoRA on every layer, where Keras no longer counts."""
    path = tmp_path / "falcon.weights.h5"
    FalconBackbone(20, 1, 2, 8, 16, dtype=one).save_weights(path)
    names = ["query", "key", "value", "output"]
    names = [f"{name}_dense" for name in names] + ["dense_h_to_4h", "dense_4h_to_h"]
    for targets in ([], [*names, "token_embedding"]):
        backbone = FalconBackbone(20, 1, 2, 8, 16, dtype=other)
        if targets:
            backbone.enable_lora(2, targets)
        with pytest.raises(ValueError, match="groups" if targets else "variables"):
            backbone.load_weights(path)


@pytest.mark.parametrize("mode", ["int8/", "int8/0", "int8/-1", "int8/x", "int4/32", "int8/3.5"])
def test_a_mode_that_is_none_is_refused(mode):
    with pytest.raises(ValueError, match=f'like "int8/32". Received: {mode!r}'):
        GroupedInt8DTypePolicy(mode)


def test_a_policy_with_groups_is_one_of_keras():
    policy = policy_of("int8/32_from_bfloat16")
    assert (policy.compute_dtype, policy.group_size) == ("bfloat16", 32)
    again = keras.dtype_policies.deserialize(keras.dtype_policies.serialize(policy))
    assert again == policy
    assert policy not in (policy_of("int8/16_from_bfloat16"), policy_of("int8_from_bfloat16"))
    config = GroupedInt8QuantizationConfig(32)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(config))
    assert again.get_config() == {"group_size": 32}


@given(st.integers(1, 9), st.integers(1, 40), st.integers(1, 40), st.integers(1, 300), st.data())
def test_products_are_exact(b, m, f, block, data):
    rng = np.random.default_rng(b * m * f)
    # Whole numbers below 2**24 have exact sums in float32.
    x = rng.integers(-9, 9, (b, 1, m)).astype("float32")
    kernel = rng.integers(-127, 128, (m, f)).astype("int8")
    wide, of_rows, of_columns = kernel.astype("float32"), (), ()
    size = data.draw(st.sampled_from([None, *(i for i in range(1, m + 1) if m % i == 0)]))
    if size is not None:
        steps = rng.integers(1, 256, (m // size, f)).astype("uint8")
        wide = wide * np.repeat(steps, size, 0)
        of_rows, of_columns = (steps,), (jnp.asarray(steps.T),)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("falcon_edu.fast.products.WIDENED", block)
        np.testing.assert_array_equal(narrow_product(x, kernel, *of_rows), x @ wide)
        product = narrow_product_transposed(x, jnp.asarray(kernel.T), *of_columns)
        np.testing.assert_array_equal(product, x @ wide)


@pytest.mark.parametrize("has_groups", [False, True])
def test_the_gradient_reaches_the_inputs(has_groups):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 10)).astype("float32")
    kernel = rng.integers(-127, 128, (10, 4)).astype("int8")
    steps = rng.integers(1, 256, (2, 4)).astype("uint8")
    wide = kernel.astype("float32") * (np.repeat(steps, 5, 0) if has_groups else 1)
    for product, turn in ((narrow_product, np.array), (narrow_product_transposed, np.transpose)):
        weights = [turn(w) for w in ((kernel, steps) if has_groups else (kernel,))]
        gradient = jax.grad(lambda x, f=product, w=weights: (f(x, *map(jnp.array, w)) ** 2).sum())
        np.testing.assert_allclose(gradient(x), 2 * (x @ wide) @ wide.T, rtol=1e-5)


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
            if layer.group_size:
                own[layer.kernel_steps.path] = np.array(layer.as_saved()[2])
    for variable in plain.variables:
        value = own[variable.path]
        if value.dtype == np.int8:
            scale = own[f"{variable.path}_scale"]
            is_embedding = variable.path.endswith("/embeddings")
            if is_embedding:
                scale = scale[:, None]
            value = value / scale.reshape(scale.shape[-value.ndim :])
            steps, axis = own.get(f"{variable.path}_steps"), int(is_embedding)
            if steps is not None:
                value *= np.repeat(steps, value.shape[axis] // steps.shape[axis], axis)
        variable.assign(value)
    return plain


def rounded(layout, dtype):
    """A quantized model of a layout."""
    backbone = build(layout)
    size = getattr(policy_of(dtype), "group_size", None)
    backbone.quantize(config=GroupedInt8QuantizationConfig(size) if size else weights_only())
    return backbone


DTYPES = ["int8", "int8/8"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_computes_with_what_the_weights_stand_for(layout, dtype):
    backbone = rounded(layout, dtype)
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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("save", "layout"), SAVED)
def test_loading_in_eight_bits_is_loading_and_quantizing(tmp_path, save, layout, dtype):
    getattr(build(layout), save)(tmp_path / "falcon")
    loaded = FalconBackbone.from_preset(tmp_path / "falcon", dtype=dtype)
    backbone = rounded(layout, dtype)
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


@pytest.mark.parametrize("is_loaded", [True, False])
def test_a_config_tells_of_groups(is_loaded):
    backbone = FalconBackbone(20, 1, 2, 8, 16, dtype="int8/4" if is_loaded else None)
    if not is_loaded:
        backbone.quantize(config=GroupedInt8QuantizationConfig(4))
    again = FalconBackbone.from_config(backbone.get_config())
    assert again.token_embedding.embeddings_steps.shape == (20, 2)
    assert again.transformer_layers[0].dense_4h_to_h.group_size == 4


@pytest.mark.parametrize("layout", ["rw", "falcon2_11b"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_quantized_model_survives_a_keras_file(tmp_path, dtype, layout):
    backbone = rounded(layout, dtype)
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


@pytest.fixture(scope="module", params=["int8", "int8/32"])
def falcon(request):
    return FalconCausalLM.from_preset("falcon_tales_rw_en", dtype=request.param)


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
    # A model with groups is given Keras's config in place of the mode.
    plain.quantize(config=falcon.backbone.token_embedding.quantization_config)
    after, wanted = everything(plain), everything(falcon)
    assert after[0] == wanted[0]
    assert after[1] == wanted[1] != before[1]
    for one, other in zip(after[2:], wanted[2:], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", ["int8", "int8/32"])
def test_lora_learns_beside_frozen_bytes(tmp_path, dtype):
    falcon = FalconCausalLM.from_preset("falcon_tales_rw_en", dtype=dtype)
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
    fresh = FalconBackbone.from_preset("falcon_tales_rw_en", dtype=dtype)
    fresh.load_lora_weights(tmp_path / "fox.lora.h5")
    inputs = inputs_for(backbone.config)
    np.testing.assert_array_equal(fresh(inputs), backbone(inputs))
    with pytest.raises(ValueError, match="eight bits"):
        backbone.merge_lora()


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_adapter_does_the_same_on_floats_and_on_bytes(dtype):
    names = ["query_dense", "output_dense", "dense_4h_to_h", "token_embedding"]
    keras.utils.set_random_seed(0)
    backbone = rounded("rw", dtype)
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


@pytest.mark.parametrize("tie_weights", [True, False])
def test_an_adapter_of_an_embedding_is_merged_into_groups(tie_weights):
    layer = ReversibleEmbedding(11, 8, tie_weights=tie_weights)
    layer.build()
    for variable in layer.weights:
        value = np.random.default_rng(0).normal(size=variable.shape)
        value[:, :4] = 0  # a group whose steps are the shortest, before the update
        variable.assign(value)
    layer.quantize(config=GroupedInt8QuantizationConfig(4))
    again = type(layer).from_config(layer.get_config())
    again.build()
    layer.enable_lora(2)
    for variable in (layer.lora_embeddings_a, layer.lora_embeddings_b):
        variable.assign(np.random.default_rng(1).normal(size=variable.shape))
    store: dict = {}
    layer.save_own_variables(store)
    again.load_own_variables({name: np.array(value) for name, value in store.items()})
    ids, x = np.arange(11), np.random.default_rng(2).normal(size=(3, 8)).astype("float32")
    for inputs, reverse in ((ids, False), (x, True)):
        wanted = np.array(layer(inputs, reverse=reverse))
        found = again(inputs, reverse=reverse)
        np.testing.assert_allclose(found, wanted, atol=0.03 * abs(wanted).max())

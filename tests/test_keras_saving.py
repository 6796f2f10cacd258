"""A copy that Keras makes of a model is the same model: what it computes, trains and holds."""

import copy
import gc

from falcon_edu import Backbone, FalconBackbone, FalconCausalLM
from falcon_edu.int8.quantization import GroupedInt8QuantizationConfig, policy_of
from falcon_edu.support.layer_state import describe
from tests.layouts import LAYOUTS, build, inputs, to_float64, zeros_for_random_weights

import keras
import numpy as np
import pytest

TINY = {
    "vocabulary_size": 40,
    "num_layers": 2,
    "num_attention_heads": 2,
    "hidden_dim": 8,
    "intermediate_dim": 16,
}


def tiny(layout="rw", **overrides):
    return build(layout, **{**TINY, **overrides})


@pytest.fixture(autouse=True)
def small_heap():
    """Keras collects garbage for every kernel it rounds: seconds, after a thousand other tests."""
    gc.freeze()
    yield
    gc.unfreeze()


# === Kinds of models ===


def frozen(backbone):
    backbone.trainable = False
    return backbone


def frozen_inside(backbone):
    """A block, a layer, a weight; and a layer that is trained in a frozen block."""
    first, second = backbone.transformer_layers
    first.trainable = False
    first.attention_layer.query_dense.trainable = True
    second.attention_layer.trainable = False
    second.input_layernorm.trainable = False
    second.dense_4h_to_h.bias.trainable = False
    backbone.final_layernorm.beta.trainable = False
    return backbone


def adapted(backbone, names=None, alpha=None):
    backbone.enable_lora(2, names)
    for seed, variable in enumerate(backbone.trainable_variables):
        variable.assign(np.random.default_rng(seed).normal(size=variable.shape) / 10)
    for layer in backbone._flatten_layers():
        if alpha and getattr(layer, "lora_enabled", False):
            layer.lora_alpha = alpha
    return backbone


def adapted_everywhere(backbone):
    return adapted(backbone, ["key_dense", "output_dense", "dense_h_to_4h", "token_embedding"], 3.0)


def rounded(backbone, mode="int8", **kwargs):
    backbone.quantize(mode, **kwargs)
    return backbone


def in_groups(backbone):
    return rounded(backbone, None, config=GroupedInt8QuantizationConfig(4))


def in_part(backbone):
    return rounded(backbone, filters="dense_h_to_4h|query_dense")


def embedding_alone(backbone):
    return rounded(backbone, filters="token_embedding")


def in_four_bits(backbone):
    config = keras.quantizers.Int4QuantizationConfig(block_size=None)
    return rounded(backbone, None, config=config)


def with_given_quantizers(backbone):
    of_weights = keras.quantizers.AbsMaxQuantizer(axis=0, value_range=(-20, 20))
    of_activations = keras.quantizers.AbsMaxQuantizer(axis=-1, value_range=(-100, 100))
    config = keras.quantizers.Int8QuantizationConfig(of_weights, of_activations)
    return rounded(backbone, None, config=config, filters="dense")


def with_head(backbone):
    return keras.Model(backbone.input, keras.layers.Dense(2)(backbone.output[:, -1]))


def on_inner_outputs(backbone):
    inner = [backbone.hidden_states[1], backbone.attention_weights[0]]
    return keras.Model(backbone.input, [*inner, keras.layers.Dense(2)(inner[0])])


def as_a_layer(backbone):
    return keras.Model(backbone.input, keras.layers.Dense(2)(backbone(backbone.input)))


KINDS = {
    "plain": lambda b: b,
    "frozen": frozen,
    "frozen inside": frozen_inside,
    "adapted": adapted,
    "frozen, then adapted": lambda b: adapted(frozen(b)),
    "adapted, then frozen": lambda b: frozen(adapted_everywhere(b)),
    "int8": rounded,
    "int8/4": in_groups,
    "int8 in part": in_part,
    "int8 embedding": embedding_alone,
    "int8 with given quantizers": with_given_quantizers,
    "int4": in_four_bits,
    "float8": lambda b: rounded(b, "float8"),
    "int8, adapted": lambda b: adapted_everywhere(rounded(b)),
    "int8/4, adapted, frozen inside": lambda b: frozen_inside(adapted(in_groups(b))),
    "head": with_head,
    "head on frozen": lambda b: with_head(frozen(b)),
    "head on adapted": lambda b: with_head(adapted_everywhere(b)),
    "head on int8 in part": lambda b: with_head(in_part(b)),
    "inner outputs": on_inner_outputs,
    "inner outputs of int8, adapted, frozen inside": lambda b: on_inner_outputs(
        frozen_inside(adapted(rounded(b)))
    ),
    "a layer": lambda b: as_a_layer(frozen_inside(b)),
    "a layer of int8, adapted": lambda b: as_a_layer(adapted(rounded(b))),
    "task": FalconCausalLM,
    "task of frozen": lambda b: FalconCausalLM(frozen(b)),
    "task of int8, adapted": lambda b: FalconCausalLM(adapted(rounded(b))),
}

# === Ways to copy them ===


def through_a_keras_file(model, folder):
    model.save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras")


def through_deepcopy(model, folder):
    return copy.deepcopy(model)


def through_its_config(model, folder):
    again = type(model).from_config(model.get_config())
    again.set_weights(model.get_weights())
    return again


def through_weights(model, folder):
    again = keras.models.model_from_json(model.to_json())
    model.save_weights(folder / "model.weights.h5")
    again.load_weights(folder / "model.weights.h5")
    return again


def through_clone_model(model, folder):
    again = keras.models.clone_model(model)
    again.set_weights(model.get_weights())
    return again


WAYS = [
    through_a_keras_file,
    through_deepcopy,
    through_its_config,
    through_weights,
    through_clone_model,
]


def outputs(model):
    return [to_float64(y) for y in keras.tree.flatten(model(inputs("left")))]


def assert_same(one, other):
    for x, y in zip(outputs(one), outputs(other), strict=True):
        np.testing.assert_array_equal(x, y)
    for variables in ("weights", "trainable_variables"):
        found, wanted = (
            [(v.name, v.dtype, tuple(v.shape)) for v in getattr(model, variables)]
            for model in (other, one)
        )
        assert found == wanted


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_is_the_same_model(tmp_path, kind, way):
    model = KINDS[kind](tiny())
    with zeros_for_random_weights():
        again = way(model, tmp_path)
    assert_same(model, again)


@pytest.mark.parametrize("kind", ["frozen inside", "int8/4", "head on adapted", "inner outputs"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_comes_back_from_a_keras_file(tmp_path, layout, kind):
    backbone = build(layout, dtype="mixed_bfloat16" if layout == "7b" else "float32")
    if kind == "frozen inside" and layout != "rw" and not backbone.use_bias:
        backbone.trainable = False
        backbone.transformer_layers[1].dense_4h_to_h.trainable = True
        model = backbone
    else:
        model = KINDS[kind](backbone)
    with zeros_for_random_weights():
        assert_same(model, through_a_keras_file(model, tmp_path))


@pytest.mark.parametrize("dtype", ["bfloat16", "mixed_bfloat16", "int8", "int8/4"])
def test_every_dtype_comes_back(tmp_path, dtype):
    for model in (adapted(tiny(dtype=dtype)), with_head(tiny("40b", hidden_dim=24, dtype=dtype))):
        with zeros_for_random_weights():
            assert_same(model, through_a_keras_file(model, tmp_path))


def a_map_of_policies():
    return keras.dtype_policies.DTypePolicyMap(
        "float32",
        {
            "transformer_layer_0/.*dense": keras.DTypePolicy("bfloat16"),
            "transformer_layer_1/attention/query_dense": policy_of("int8_from_float32"),
            "transformer_layer_1/dense_4h_to_h": policy_of("int8/4"),
            "final_layernorm": keras.DTypePolicy("mixed_bfloat16"),
        },
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["plain", "head", "a layer"])
def test_a_map_of_policies_reaches_the_layers_that_it_names(tmp_path, kind, way):
    backbone = tiny(dtype=a_map_of_policies())
    first, second = backbone.transformer_layers
    assert first.attention_layer.key_dense.kernel.dtype == "bfloat16"
    assert first.dense_4h_to_h.kernel.dtype == "float32"
    assert second.attention_layer.query_dense.kernel.dtype == "int8"
    assert second.dense_4h_to_h.group_size == 4
    assert second.attention_layer.key_dense.kernel.dtype == "float32"
    assert backbone.final_layernorm.compute_dtype == "bfloat16"
    model = KINDS[kind](backbone)
    with zeros_for_random_weights():
        assert_same(model, way(model, tmp_path))


# === Frozen ===


def test_a_backbone_is_frozen_by_its_constructor_too():
    with zeros_for_random_weights():
        assert FalconBackbone(**TINY, trainable=False).trainable_variables == []
        task = FalconCausalLM(FalconBackbone(**TINY), trainable=False)
    assert task.trainable_variables == []
    assert task.get_config()["trainable"] is False


def test_a_preset_of_a_frozen_backbone_is_frozen(tmp_path):
    frozen(tiny()).save_to_preset(tmp_path / "preset")
    assert FalconBackbone.from_preset(tmp_path / "preset").trainable_variables == []


def test_a_frozen_backbone_under_a_head_stays_as_it_is_in_training(tmp_path):
    backbone = frozen(tiny())
    model = through_a_keras_file(with_head(backbone), tmp_path)
    before = model.get_weights()
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(inputs(), np.ones((2, 2)), verbose=0)
    moved = [np.any(x != y) for x, y in zip(before, model.get_weights(), strict=True)]
    assert moved == [False] * (len(moved) - 2) + [True] * 2


def test_whoever_adapts_a_frozen_backbone_trains_the_factors():
    backbone = frozen(tiny())
    backbone.enable_lora(2)
    names = {variable.name for variable in backbone.trainable_variables}
    assert names == {"lora_kernel_a", "lora_kernel_b"}
    backbone.trainable = False
    assert backbone.trainable_variables == []
    backbone.trainable = True
    assert {variable.name for variable in backbone.trainable_variables} == names


def test_a_state_that_does_not_fit_is_refused_in_words():
    config = frozen_inside(tiny()).get_config()
    with pytest.raises(ValueError, match="does not have: transformer_layer_1/"):
        FalconBackbone.from_config({**config, "num_layers": 1})


# === LoRA ===


@pytest.mark.parametrize("dtype", ["float32", "int8", "int8/4"])
def test_training_beside_bytes_survives_every_file_of_keras(tmp_path, dtype):
    """Even what is smaller than half a step of the weights."""
    backbone = tiny(dtype=dtype)
    base = outputs(backbone)[0]
    backbone.enable_lora(2)
    for seed, variable in enumerate(backbone.trainable_variables):
        variable.assign(np.random.default_rng(seed).normal(size=variable.shape) / 100)
    learned = outputs(backbone)[0]
    assert 0 < np.abs(learned - base).max() < 0.1
    checkpoint = keras.callbacks.ModelCheckpoint(
        tmp_path / "checkpoint.weights.h5", save_weights_only=True, save_best_only=False
    )
    checkpoint.set_model(backbone)
    checkpoint.on_epoch_end(0, {})
    fresh = tiny(seed=1, dtype=dtype)
    fresh.enable_lora(2)
    fresh.load_weights(tmp_path / "checkpoint.weights.h5")
    np.testing.assert_array_equal(outputs(fresh)[0], learned)
    assert_same(backbone, through_a_keras_file(backbone, tmp_path))


def test_weights_with_factors_fit_a_model_without_lora(tmp_path):
    backbone = adapted_everywhere(tiny())
    backbone.save_weights(tmp_path / "model.weights.h5")
    fresh = tiny(seed=1)
    fresh.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_allclose(outputs(fresh)[0], outputs(backbone)[0], atol=1e-5)


def test_merging_into_bytes_while_loading_is_told(tmp_path):
    backbone = adapted(tiny(dtype="int8"))
    backbone.save_weights(tmp_path / "model.weights.h5")
    fresh = tiny(dtype="int8")
    with pytest.warns(UserWarning, match="Enable LoRA before loading"):
        fresh.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_allclose(outputs(fresh)[0], outputs(backbone)[0], atol=0.5)


def test_weights_without_factors_fit_a_model_with_lora_which_can_still_learn(tmp_path):
    tiny(seed=1).save_weights(tmp_path / "model.weights.h5")
    backbone = adapted(tiny())
    backbone.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(outputs(backbone)[0], outputs(tiny(seed=1))[0])
    layer = backbone.transformer_layers[0].attention_layer.query_dense
    assert np.any(layer.lora_kernel_a)  # with both at zero, neither would have a gradient


def test_factors_of_another_rank_are_refused(tmp_path):
    adapted(tiny()).save_weights(tmp_path / "model.weights.h5")
    backbone = tiny()
    backbone.enable_lora(3)
    before = backbone.get_weights()
    with pytest.raises(ValueError, match=r"rank 3\. Received: factors of rank 2"):
        backbone.load_weights(tmp_path / "model.weights.h5")
    for factor, value in zip(backbone.get_weights(), before, strict=True):
        assert factor.shape == value.shape


def test_a_preset_has_the_sum_as_precise_as_the_weights_are(tmp_path):
    backbone = adapted(tiny(dtype="mixed_bfloat16"))
    layer = backbone.transformer_layers[0].attention_layer.query_dense
    update = np.array(layer.lora_kernel_a) @ np.array(layer.lora_kernel_b)
    backbone.save_to_preset(tmp_path / "preset")
    found = FalconBackbone.from_preset(tmp_path / "preset").transformer_layers[0]
    merged = np.array(layer._kernel) + update
    np.testing.assert_allclose(found.attention_layer.query_dense.kernel, merged, atol=1e-6)
    assert outputs(through_a_keras_file(backbone, tmp_path))  # and the model has its factors still


# === Rounded ===


@pytest.mark.parametrize("mode", ["gptq", "awq"])
@pytest.mark.parametrize("make", [lambda b: b, FalconCausalLM], ids=["backbone", "task"])
def test_modes_that_falcon_can_not_have_are_refused_and_nothing_changes(mode, make):
    model = make(tiny())
    before = outputs(model)
    config = {"gptq": keras.quantizers.GPTQConfig, "awq": keras.quantizers.AWQConfig}[mode]
    with pytest.raises(ValueError, match=rf"'{mode}'.*int8"):
        model.quantize(mode, config=config(dataset=["a"], tokenizer=None))
    np.testing.assert_array_equal(outputs(model)[0], before[0])


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_a_preset_of_rounded_weights_is_refused(tmp_path, mode):
    for backbone in (rounded(tiny(), mode), rounded(tiny(), mode, filters="dense_4h_to_h")):
        with pytest.raises(ValueError, match="Presets hold weights as floats"):
            backbone.save_to_preset(tmp_path / "preset")
        with pytest.raises(ValueError, match="Presets hold weights as floats"):
            backbone.export_to_transformers(tmp_path / "preset")
    assert list(tmp_path.iterdir()) == []


def test_lora_and_float8_refuse_each_other():
    with pytest.raises(ValueError, match="float8"):
        rounded(tiny(), "float8").enable_lora(2)
    with pytest.raises(ValueError, match="float8"):
        rounded(adapted(tiny()), "float8")


# === Trained ===


def test_the_optimizer_goes_on_where_it_was(tmp_path):
    data, labels = inputs(), np.ones((2, 7, 2))
    for make in (lambda: as_a_layer(adapted(rounded(tiny()))), lambda: with_head_for(tiny())):
        model = make()
        model.compile(keras.optimizers.Adam(0.1), "mse")
        model.fit(data, labels, verbose=0)
        again = through_a_keras_file(model, tmp_path)
        for one in (model, again):
            one.fit(data, labels, verbose=0)
        assert int(again.optimizer.iterations) == 2
        np.testing.assert_allclose(outputs(again)[0], outputs(model)[0], rtol=1e-5, atol=1e-6)


def with_head_for(backbone):
    backbone.transformer_layers[0].trainable = False
    return keras.Model(backbone.input, keras.layers.Dense(2)(backbone.output))


def test_a_task_keeps_its_sampler_and_whether_it_was_compiled(tmp_path):
    task = FalconCausalLM(tiny())
    task.compile(keras.optimizers.SGD(0.5), sampler="greedy")
    for way in (through_a_keras_file, through_deepcopy, through_its_config):
        assert type(way(task, tmp_path).sampler) is type(task.sampler)
    assert float(through_a_keras_file(task, tmp_path).optimizer.learning_rate) == 0.5
    plain = FalconCausalLM(tiny(), compile=False)
    for way in (through_a_keras_file, through_its_config):
        assert not way(plain, tmp_path).compiled


def test_training_is_taken_up_again_from_a_backup(tmp_path):
    def fit(epochs, **kwargs):
        model = with_head_for(adapted(tiny()))
        model.compile(keras.optimizers.Adam(0.01), "mse")
        model.fit(inputs(), np.ones((2, 7, 2)), epochs=epochs, verbose=0, **kwargs)
        return model

    class Stops(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(4, callbacks=[keras.callbacks.BackupAndRestore(tmp_path / "backup"), Stops()])
    resumed = fit(4, callbacks=[keras.callbacks.BackupAndRestore(tmp_path / "backup")])
    assert int(resumed.optimizer.iterations) == 4


# === Parts of other models ===


def test_two_backbones_in_one_model_come_back(tmp_path):
    first, second = frozen(tiny(name="first")), adapted(tiny(seed=1, name="second"))
    both = keras.layers.Concatenate()([first(first.input), second(first.input)])
    model = keras.Model(first.input, both)
    assert_same(model, through_a_keras_file(model, tmp_path))


def test_a_backbone_used_twice_is_shared_after_loading(tmp_path):
    backbone = tiny()
    once = backbone(backbone.input)
    twice = backbone({**backbone.input, "token_ids": backbone.input["token_ids"][:, ::-1]})
    model = keras.Model(backbone.input, keras.layers.Add()([once, twice]))
    again = through_a_keras_file(model, tmp_path)
    assert_same(model, again)
    assert again.count_params() == backbone.count_params()


def test_a_backbone_in_a_sequential_model_comes_back(tmp_path):
    model = keras.Sequential([frozen_inside(tiny()), keras.layers.Dense(2)])
    model(inputs())
    assert_same(model, through_a_keras_file(model, tmp_path))


@pytest.fixture
def registered(monkeypatch):
    """Classes that these tests make are gone after them."""
    monkeypatch.setattr(Backbone, "registry", dict(Backbone.registry))
    with keras.saving.CustomObjectScope({}):
        yield


@pytest.mark.parametrize("by_the_user", [True, False])
def test_a_falcon_of_ones_own_comes_back(tmp_path, registered, by_the_user):
    class Steered(FalconBackbone):
        def __init__(self, *args, strength=1.0, **kwargs):
            super().__init__(*args, **kwargs)
            self.strength = strength

        def get_config(self):
            return {**super().get_config(), "strength": self.strength}

    if by_the_user:
        keras.saving.register_keras_serializable("mine")(Steered)
    backbone = frozen_inside(Steered(**TINY, strength=2.0))
    for way in (through_a_keras_file, through_deepcopy, through_its_config, through_weights):
        again = way(backbone, tmp_path)
        assert (type(again), again.strength) == (Steered, 2.0)
        assert_same(backbone, again)
    backbone.save_to_preset(tmp_path / "preset")
    again = Backbone.from_preset(tmp_path / "preset")
    assert (type(again), again.strength) == (Steered, 2.0)
    np.testing.assert_array_equal(outputs(again)[0], outputs(backbone)[0])


def test_a_falcon_with_weights_of_its_own_saves_a_preset_that_loads(tmp_path, registered):
    class Probed(FalconBackbone):
        def __init__(self, *args, classes=3, **kwargs):
            super().__init__(*args, **kwargs)
            self.classes = classes
            self.probe = keras.layers.Dense(classes, name="probe")
            self.probe.build((None, self.hidden_dim))

        def get_config(self):
            return {**super().get_config(), "classes": self.classes}

    backbone = Probed(**TINY, classes=5)
    backbone.save_to_preset(tmp_path / "preset")
    again = Backbone.from_preset(tmp_path / "preset")
    assert_same(backbone, again)
    np.testing.assert_array_equal(again.probe.kernel, backbone.probe.kernel)
    with pytest.raises(ValueError, match="do not fit the Probed"):
        Backbone.from_preset(tmp_path / "preset", classes=4)


def test_a_backbone_that_is_no_falcon_saves_a_preset_that_loads(tmp_path, registered):
    class Averages(Backbone):
        def __init__(self, vocabulary_size, width=4, dtype=None, **kwargs):
            token_ids = keras.Input((None,), dtype="int32", name="token_ids")
            embedding = keras.layers.Embedding(vocabulary_size, width, dtype=dtype, name="embed")
            dense = keras.layers.Dense(width, dtype=dtype, name="dense")
            super().__init__(token_ids, dense(embedding(token_ids)), dtype=dtype, **kwargs)
            self.vocabulary_size, self.width = vocabulary_size, width

        def get_config(self):
            return {
                **super().get_config(),
                "vocabulary_size": self.vocabulary_size,
                "width": self.width,
            }

    ids = np.array([[1, 2, 3]])
    backbone = Averages(7)
    for max_shard_size in (10, 1.5e-7):
        folder = tmp_path / str(max_shard_size)
        backbone.save_to_preset(folder, max_shard_size=max_shard_size)
        again = Backbone.from_preset(folder)
        assert type(again) is Averages
        np.testing.assert_array_equal(again(ids), backbone(ids))
        assert Backbone.from_preset(folder, dtype="bfloat16")(ids).dtype == "bfloat16"
        random = Backbone.from_preset(folder, load_weights=False)
        assert np.any(random(ids) != backbone(ids))
    with pytest.raises(ValueError, match="do not fit the Averages"):
        Backbone.from_preset(folder, width=5)
    with pytest.raises(ValueError, match="height"):
        Backbone.from_preset(folder, height=5)
    with pytest.raises(ValueError, match="FalconBackbone"):
        FalconBackbone.from_preset(folder)


def test_every_layer_can_be_found_by_its_name():
    for layer in tiny()._flatten_layers():
        config = keras.saving.serialize_keras_object(layer)
        assert type(keras.saving.deserialize_keras_object(config)) is type(layer)
    up = tiny().transformer_layers[0].dense_h_to_4h
    assert type(up).from_config(up.get_config()).activation is up.activation
    assert describe(tiny()) == {}

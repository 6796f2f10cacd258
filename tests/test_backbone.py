"""FalconBackbone against the float64 reference, and everything else that it promises."""

import functools
import inspect
import json

from falcon_edu import Backbone, FalconBackbone
from falcon_edu.model.config import FalconConfig
from falcon_edu.model.decoder import FalconTransformerDecoder
from falcon_edu.support.configs import FAMILY_DEFAULTS
from tests.layouts import (
    CHECKPOINTS,
    LAYOUTS,
    REAL_TOKENS,
    SIZES,
    build,
    difference,
    inputs,
    read,
    reference_config,
    reference_weights,
    to_float64,
    zeros_for_random_weights,
)
from tests.reference import falcon

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = ("hidden_states", "attention_weights", "output", "logits")

# The largest difference, relative to the root mean square of the values. Between a token id and its
# logits some 30 results are rounded.
# float32 rounds by up to 2^-24 = 6e-8: 30 roundings that all go one way make 1.8e-6, and a softmax
# amplifies that by the size of its scores, about 3. The issue asks for 1e-5.
# bfloat16 has 8 bits: it rounds by up to 2^-8, and by 2^-8 / sqrt(3) in the mean. Roundings are
# independent, so 30 of them add up to sqrt(30) * 2^-8 / sqrt(3) = 0.012, and none of some thousand
# values is further off than six times that. A wrong formula is off by 0.3 and more.
TOLERANCE = {"float32": 1e-5, "bfloat16": 0.075, "mixed_bfloat16": 0.075}


@functools.cache
def built(layout, dtype="float32"):
    """One model for all tests that do not change it."""
    return build(layout, dtype=dtype)


@functools.cache
def computed(layout, padding, dtype="float32"):
    return read(built(layout, dtype), inputs(padding))


def expected(backbone, x, **kwargs):
    return falcon(reference_weights(backbone), reference_config(backbone), **x, **kwargs)


# === Right ===


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("padding", REAL_TOKENS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_everything_is_as_in_the_reference(layout, padding, dtype):
    x, ours = inputs(padding), computed(layout, padding, dtype)
    reference = expected(built(layout, dtype), x)
    for name in NAMES:
        assert difference(ours, reference, x["padding_mask"], name) < TOLERANCE[dtype], name


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("padding", REAL_TOKENS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_attention_weights_are_a_distribution_over_what_may_be_seen(layout, padding, dtype):
    mask = inputs(padding)["padding_mask"].astype(bool)
    for weights in computed(layout, padding, dtype)["attention_weights"]:
        of_real_queries = np.moveaxis(weights, 2, 1)[mask]  # (real, n, k)
        # The softmax is in float32 whatever the dtype: no more than a few times 2^-24 is missing.
        np.testing.assert_allclose(of_real_queries.sum(-1), 1, atol=1e-6)
        assert np.all(weights >= 0)
        assert not np.any(np.triu(weights, 1))
        assert not np.any(np.moveaxis(weights, 3, 1)[~mask])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_padding_changes_nothing_for_the_real_tokens_wherever_it_stands(layout):
    for name in ("hidden_states", "output", "logits"):
        none, right, left = (np.array(computed(layout, x)[name]) for x in ("no", "right", "left"))
        # The second sequence: `inputs` gives it 4 of the 7 tokens that it has without padding.
        first_4 = none[..., 1, :4, :]
        for padded in (right[..., 1, :4, :], left[..., 1, 3:, :]):
            np.testing.assert_allclose(padded, first_4, atol=1e-5 * np.abs(first_4).max())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_future_changes_nothing(layout):
    before, changed = inputs(), inputs()
    changed["token_ids"][:, 4] = (changed["token_ids"][:, 4] + 1) % SIZES["vocabulary_size"]
    x, y = (to_float64(built(layout)(i)) for i in (before, changed))
    # Bit for bit: the weight of what comes later is exactly zero.
    np.testing.assert_array_equal(x[:, :4], y[:, :4])
    assert np.all(np.abs(x[:, 4:] - y[:, 4:]).max(-1) > 1e-3)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_real_token_in_reach_counts(layout):
    for token in range(7):
        changed = inputs()
        changed["token_ids"][:, token] = (changed["token_ids"][:, token] + 1) % 40
        last = to_float64(built(layout)(changed))[:, -1]
        assert np.abs(last - computed(layout, "no")["output"][:, -1]).max() > 1e-4


@pytest.mark.parametrize("padding", ["no", "left"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_tail_from_any_layer_is_the_full_model(layout, padding):
    backbone, x = built(layout), inputs(padding)
    padding_mask = backbone.input["padding_mask"]
    for hidden_states, values in zip(
        backbone.hidden_states, computed(layout, padding)["hidden_states"], strict=True
    ):
        tail = keras.Model([hidden_states, padding_mask], backbone.output)
        values = values.astype("float32")
        output = to_float64(tail([values, x["padding_mask"]]))
        # The same operations on the same numbers in the same order.
        np.testing.assert_array_equal(output, computed(layout, padding)["output"])
        assert np.any(to_float64(tail([values[:, ::-1], x["padding_mask"]])) != output)


def test_alibi_in_bfloat16_is_what_alibi_dtype_says():
    backbone, x = build("rw_12_heads", alibi_dtype="bfloat16"), inputs()
    ours, mask = read(backbone, x), x["padding_mask"]
    for name in NAMES:
        assert difference(ours, expected(backbone, x, alibi_dtype="bfloat16"), mask, name) < 1e-5
        if name != "hidden_states":
            assert difference(ours, expected(backbone, x), mask, name) > 1e-4


def test_a_sequence_of_padding_only_gives_numbers():
    x = inputs()
    x["padding_mask"][1] = 0
    for layout in ("rw", "7b"):
        assert np.all(np.isfinite(to_float64(built(layout)(x))))


def test_compiled_it_computes_the_same():
    x = inputs("left")
    predicted = built("40b").predict(x, verbose=0)
    np.testing.assert_allclose(predicted, computed("40b", "left")["output"], atol=1e-5)


@st.composite
def configs(draw):
    """Any valid configuration of a few sizes: each new size is something to compile."""
    rope, parallel = draw(st.booleans()), draw(st.booleans())
    heads = draw(st.sampled_from([1, 2, 3, 6] if rope else [1, 2, 3, 4, 6, 12]))
    groups = [g for g in range(1, heads + 1) if heads % g == 0]
    return {
        "vocabulary_size": draw(st.sampled_from([1, 9])),
        "num_layers": draw(st.integers(1, 3)),
        "num_attention_heads": heads,
        "hidden_dim": 12,
        "intermediate_dim": draw(st.sampled_from([1, 20])),
        "layer_norm_epsilon": draw(st.sampled_from([1e-5, 0.1])),
        "num_key_value_heads": draw(st.sampled_from([None, *groups])),
        "position_encoding": "rope" if rope else "alibi",
        "rope_max_wavelength": draw(st.sampled_from([10_000, 500_042])),
        "parallel_attention": parallel,
        "num_parallel_layer_norms": draw(st.sampled_from([1, 2])) if parallel else 1,
        "use_bias": draw(st.booleans()),
        "tie_word_embeddings": draw(st.booleans()),
    }


@st.composite
def any_inputs(draw, vocabulary_size):
    """Any token ids and any padding mask, with holes and with nothing in it too."""
    b, t = draw(st.sampled_from([(1, 1), (2, 5), (3, 4)]))
    ids = draw(st.lists(st.integers(0, vocabulary_size - 1), min_size=b * t, max_size=b * t))
    mask = draw(st.lists(st.integers(0, 1), min_size=b * t, max_size=b * t))
    return {"token_ids": np.reshape(ids, (b, t)), "padding_mask": np.reshape(mask, (b, t))}


@given(st.data())
@settings(max_examples=6)  # each takes some seconds, to compile
def test_any_configuration_is_as_in_the_reference(data):
    config = data.draw(configs())
    x = data.draw(any_inputs(config["vocabulary_size"]))
    backbone = build(**config)
    assert backbone.count_params() == backbone.config.num_parameters
    ours, reference = read(backbone, x), expected(backbone, x)
    (b, t), m, n = x["token_ids"].shape, config["hidden_dim"], config["num_attention_heads"]
    assert [h.shape for h in ours["hidden_states"]] == [(b, t, m)] * (config["num_layers"] + 1)
    assert [w.shape for w in ours["attention_weights"]] == [(b, n, t, t)] * config["num_layers"]
    assert ours["output"].shape == (b, t, m)
    assert ours["logits"].shape == (b, t, config["vocabulary_size"])
    if np.any(x["padding_mask"]):
        for name in NAMES:
            if name == "logits" and config["vocabulary_size"] == 1:
                # A single sum may cancel to next to nothing, which is no measure for itself.
                assert np.abs(ours[name] - reference[name])[x["padding_mask"] == 1].max() < 1e-6
            else:
                assert difference(ours, reference, x["padding_mask"], name) < 1e-5, name


# === Arguments reach what they should ===


def layers_of(backbone, kind):
    return [layer for layer in backbone._flatten_layers() if isinstance(layer, kind)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_epsilon_reaches_every_norm(layout):
    backbone, x = build(layout, layer_norm_epsilon=0.5), inputs()
    epsilons = [norm.epsilon for norm in layers_of(backbone, keras.layers.LayerNormalization)]
    one_norm = backbone.parallel_attention and backbone.num_parallel_layer_norms == 1
    assert epsilons == [0.5] * (2 * (1 if one_norm else 2) + 1)
    ours, mask = read(backbone, x), x["padding_mask"]
    assert difference(ours, expected(backbone, x), mask, "hidden_states") < 1e-5
    small = falcon(reference_weights(backbone), reference_config(built(layout)), **x)
    assert difference(ours, small, mask, "hidden_states") > 0.01


@pytest.mark.parametrize("layout", ["rw", "40b"])
def test_dropouts_reach_every_layer_that_drops(layout):
    backbone = build(layout, attention_dropout_rate=0.25, feedforward_dropout_rate=0.5)
    rates = sorted((x.name, x.rate) for x in layers_of(backbone, keras.layers.Dropout))
    # Twice in each of two blocks: the attention weights, and what attention adds to the stream.
    assert rates == [("attention_dropout", 0.25)] * 4 + [("feedforward_dropout", 0.5)] * 2


@pytest.mark.parametrize("layout", ["rw", "40b"])
@pytest.mark.parametrize("name", ["attention_dropout_rate", "feedforward_dropout_rate"])
def test_dropouts_act_in_training_only(layout, name):
    backbone, x = build(layout, **{name: 0.5}), inputs()
    without = read(backbone, x)
    np.testing.assert_array_equal(without["output"], computed(layout, "no")["output"])
    reader = keras.Model(backbone.input, [backbone.hidden_states[1], backbone.attention_weights[0]])
    first_block, weights = (to_float64(y) for y in reader(x, training=True))
    assert np.abs(first_block - without["hidden_states"][1]).max() > 0.01
    # What is shown is the attention before dropout: its rows still sum to one.
    np.testing.assert_array_equal(weights, without["attention_weights"][0])


def test_a_dropout_of_nearly_all_silences_its_half_of_a_block_only():
    def after_first_block(**arguments):
        backbone = build("rw_parallel", num_layers=1, **arguments)
        reader = keras.Model(backbone.input, backbone.hidden_states)
        return backbone, [to_float64(x) for x in reader(inputs(), training=True)]

    backbone, (embedded, full) = after_first_block()
    block = backbone.transformer_layers[0]
    mlp = to_float64(block.mlp(block.input_layernorm(embedded)))
    _, (_, without_attention) = after_first_block(attention_dropout_rate=0.999)
    _, (_, without_mlp) = after_first_block(feedforward_dropout_rate=0.999)
    # One number in a thousand is kept, and counts a thousand times.
    assert np.isclose(without_attention, embedded + mlp, atol=1e-4).mean() > 0.98
    assert np.isclose(without_mlp, full - mlp, atol=1e-4).mean() > 0.98


@pytest.mark.parametrize("layout", ["rw", "40b", "falcon2_11b"])
@pytest.mark.parametrize(
    ("dtype", "compute", "variable"),
    [
        ("float32", "float32", "float32"),
        ("bfloat16", "bfloat16", "bfloat16"),
        ("mixed_bfloat16", "bfloat16", "float32"),
        (keras.DTypePolicy("mixed_bfloat16"), "bfloat16", "float32"),
    ],
    ids=["float32", "bfloat16", "mixed_bfloat16", "policy"],
)
def test_dtype_reaches_every_layer(layout, dtype, compute, variable):
    backbone = build(layout, dtype=dtype)
    assert backbone.compute_dtype == compute
    assert backbone.dtype_policy == keras.dtype_policies.get(dtype)
    assert {v.dtype for v in backbone.weights} == {variable}
    attention_dropouts = [x.attention_layer.attention_dropout for x in backbone.transformer_layers]
    layers = layers_of(backbone, keras.layers.Layer)
    assert len(layers) > 20
    for layer in layers:
        if layer in attention_dropouts:  # it acts on what the softmax gives
            assert layer.compute_dtype == "float32"
        elif not isinstance(layer, keras.layers.InputLayer):
            assert layer.compute_dtype == compute, layer.name
    assert backbone.output.dtype == compute
    assert {h.dtype for h in backbone.hidden_states} == {compute}
    assert {w.dtype for w in backbone.attention_weights} == {"float32"}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_blocks_outputs_are_foretold_as_they_come(layout, dtype):
    """Keras would find shapes and dtypes by running through the block: here they are the same."""
    block = build(layout, dtype=dtype).transformer_layers[0]
    inputs = keras.KerasTensor((2, 5, 48), block.compute_dtype)
    padding_mask = keras.KerasTensor((2, 5), "int32")
    foretold = block.compute_output_spec(inputs, padding_mask=padding_mask)
    traced = keras.layers.Layer.compute_output_spec(block, inputs, padding_mask=padding_mask)
    assert [(x.shape, x.dtype) for x in foretold] == [(x.shape, x.dtype) for x in traced]


def test_a_block_with_a_cache_can_be_foretold_too():
    block = build("40b").transformer_layers[0]
    inputs, padding_mask = keras.KerasTensor((2, 1, 48)), keras.KerasTensor((2, 9), "int32")
    cache = [keras.KerasTensor((2, 9, 2, 8)) for _ in range(2)]
    outputs, weights, new_cache = block(inputs, padding_mask, cache=cache, cache_index=3)
    assert (outputs.shape, weights.shape) == ((2, 1, 48), (2, 6, 1, 9))
    assert [x.shape for x in new_cache] == [x.shape for x in cache]


def test_what_a_backbone_does_not_do_keras_finds_out():
    """A mask of another length is refused when the graph is drawn; a `call` of one's own counts."""

    class Halves(FalconTransformerDecoder):
        def call(self, inputs, padding_mask, training=False):
            return super().call(inputs, padding_mask)[0][:, ::2]

    inputs = keras.Input((6, 48))
    assert Halves(4, 80)(inputs, padding_mask=keras.Input((6,))).shape == (None, 3, 48)
    outputs, weights = FalconTransformerDecoder(4, 80)(inputs, padding_mask=[[1] * 6])
    assert (outputs.shape, weights.shape) == ((None, 6, 48), (None, 4, 6, 6))
    with pytest.raises((TypeError, ValueError)):
        FalconTransformerDecoder(4, 80)(inputs, padding_mask=keras.Input((9,)))


def test_without_dtype_the_global_policy_counts():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("bfloat16")
    try:
        backbone = build()
    finally:
        keras.config.set_dtype_policy(before)
    assert {v.dtype for v in backbone.weights} == {"bfloat16"}
    assert backbone.get_config()["dtype"]["config"]["name"] == "bfloat16"


def test_a_new_backbone_starts_as_falcon_does():
    """Kernels and embeddings with a standard deviation of 0.02, biases 0, scales of norms 1."""
    for variable in FalconBackbone(**SIZES, tie_word_embeddings=False).weights:
        values = to_float64(variable)
        if variable.name in ("beta", "bias", "gamma"):
            assert np.all(values == (variable.name == "gamma"))
        else:  # 1920 values and more: their deviation is known to within 1.6 %
            assert values.std() == pytest.approx(0.02, rel=0.08), variable.path


# === Refused, in words ===

IMPOSSIBLE = [
    ("vocabulary_size", {"vocabulary_size": 0}),
    ("vocabulary_size", {"vocabulary_size": "40"}),
    ("num_layers", {"num_layers": 0}),
    ("num_layers", {"num_layers": -1}),
    ("num_layers", {"num_layers": True}),
    ("num_attention_heads", {"num_attention_heads": 0}),
    ("num_attention_heads", {"num_attention_heads": 4.0}),
    ("num_attention_heads", {"num_attention_heads": None}),
    ("num_attention_heads", {"num_attention_heads": 7}),
    ("hidden_dim", {"hidden_dim": 0}),
    ("hidden_dim", {"hidden_dim": 50}),
    ("hidden_dim", {"hidden_dim": 20, "position_encoding": "rope"}),
    ("intermediate_dim", {"intermediate_dim": 0}),
    ("layer_norm_epsilon", {"layer_norm_epsilon": 0}),
    ("layer_norm_epsilon", {"layer_norm_epsilon": -1e-5}),
    ("layer_norm_epsilon", {"layer_norm_epsilon": float("nan")}),
    ("layer_norm_epsilon", {"layer_norm_epsilon": "1e-5"}),
    ("attention_dropout_rate", {"attention_dropout_rate": 1}),
    ("attention_dropout_rate", {"attention_dropout_rate": -0.1}),
    ("attention_dropout_rate", {"attention_dropout_rate": None}),
    ("feedforward_dropout_rate", {"feedforward_dropout_rate": 1.5}),
    ("num_key_value_heads", {"num_key_value_heads": 0}),
    ("num_key_value_heads", {"num_key_value_heads": 3}),
    ("num_key_value_heads", {"num_key_value_heads": 8}),
    ("position_encoding", {"position_encoding": "learned"}),
    ("position_encoding", {"position_encoding": None}),
    ("rope_max_wavelength", {"rope_max_wavelength": 0}),
    ("rope_max_wavelength", {"rope_max_wavelength": float("inf")}),
    ("parallel_attention", {"parallel_attention": 1}),
    ("num_parallel_layer_norms", {"num_parallel_layer_norms": 3, "parallel_attention": True}),
    ("num_parallel_layer_norms", {"num_parallel_layer_norms": 2}),
    ("use_bias", {"use_bias": None}),
    ("tie_word_embeddings", {"tie_word_embeddings": "yes"}),
    ("alibi_dtype", {"alibi_dtype": "int8"}),
]


@pytest.mark.parametrize(("named", "arguments"), IMPOSSIBLE, ids=str)
def test_impossible_arguments_are_refused_in_words(named, arguments):
    with pytest.raises(ValueError, match=named) as error:
        FalconBackbone(**{**SIZES, **arguments})
    message = str(error.value)
    assert "must" in message or "need" in message
    assert len(message) < 250


def test_an_unknown_argument_is_refused():
    with pytest.raises((TypeError, ValueError), match="num_kv_heads"):
        FalconBackbone(**SIZES, num_kv_heads=1)


IDS, MASK = np.array([[1, 2, 3]]), np.array([[1, 1, 1]])
WRONG_INPUTS = [
    ("token_ids", IDS),
    ("token_ids", [IDS, MASK]),
    ("padding_mask", {"token_ids": IDS}),
    ("token_ids", {"padding_mask": MASK}),
    ("token_ids", {"token_ids": IDS[0], "padding_mask": MASK[0]}),
    ("token_ids", {"token_ids": IDS[None], "padding_mask": MASK[None]}),
    ("padding_mask", {"token_ids": IDS, "padding_mask": MASK[0]}),
    ("padding_mask", {"token_ids": IDS, "padding_mask": MASK[:, :2]}),
    ("padding_mask", {"token_ids": IDS, "padding_mask": None}),
    ("at least one token", {"token_ids": IDS[:, :0], "padding_mask": MASK[:, :0]}),
    ("at least one token", {"token_ids": IDS[:0], "padding_mask": MASK[:0]}),
    ("token_ids", {"token_ids": [[1, 2], [3]], "padding_mask": [[1, 1], [1]]}),
    ("40", {"token_ids": np.array([[1, 2, 40]]), "padding_mask": MASK}),
    ("-1", {"token_ids": [[-1, 2, 3]], "padding_mask": MASK}),
    ("whole numbers", {"token_ids": IDS / 2, "padding_mask": MASK}),
    ("whole numbers", {"token_ids": [["a", "b", "c"]], "padding_mask": MASK}),
    ("padding_mask", {"token_ids": IDS, "padding_mask": 2 * MASK}),
    ("padding_mask", {"token_ids": IDS, "padding_mask": MASK / 2}),
    ("padding_mask", {"token_ids": IDS, "padding_mask": [["a", "b", "c"]]}),
]


@pytest.mark.parametrize(
    ("words", "wrong"), WRONG_INPUTS, ids=lambda x: x if isinstance(x, str) else ""
)
def test_wrong_inputs_are_refused_in_words(words, wrong):
    with pytest.raises(ValueError, match=words) as error:
        built("rw")(wrong)
    assert len(str(error.value)) < 250


@pytest.mark.parametrize("kind", [bool, int, float, "int64", "uint8"])
def test_any_kind_of_mask_will_do(kind):
    x = inputs("left")
    output = built("rw")({**x, "padding_mask": x["padding_mask"].astype(kind)})
    np.testing.assert_array_equal(to_float64(output), computed("rw", "left")["output"])


def test_predict_refuses_token_ids_outside_the_vocabulary():
    with pytest.raises(ValueError, match="vocabulary_size"):
        built("rw").predict({"token_ids": np.array([[1, 2, 40]]), "padding_mask": MASK}, verbose=0)


# === Counted, saved and restored ===


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_formula_counts_the_parameters(layout):
    assert built(layout).count_params() == built(layout).config.num_parameters


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_the_formula_counts_the_parameters_of_the_checkpoints(checkpoint):
    arguments, count = CHECKPOINTS[checkpoint]
    assert FalconConfig(**arguments).num_parameters == count


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_config_comes_back(layout):
    backbone = build(layout, attention_dropout_rate=0.1, dtype="mixed_bfloat16", name="mine")
    config = json.loads(json.dumps(backbone.get_config()))
    with zeros_for_random_weights():
        again = FalconBackbone.from_config(config)
    assert again.config == backbone.config
    assert again.get_config() == backbone.get_config()
    assert (again.name, again.dtype_policy) == ("mine", backbone.dtype_policy)
    assert [v.path for v in again.weights] == [v.path for v in backbone.weights]
    # Only what KerasHub lacks and what is not Falcon-RW adds a key that KerasHub would refuse.
    assert set(config) & set(FAMILY_DEFAULTS) == set(LAYOUTS[layout]) & set(FAMILY_DEFAULTS)
    for name in (*SIZES, *FAMILY_DEFAULTS):
        assert getattr(again, name) == getattr(backbone, name)


def test_a_config_from_keras_hub_is_understood():
    """What keras-hub 0.32.0 writes for a backbone of these sizes."""
    config = {
        "name": "falcon_backbone",
        "trainable": True,
        "dtype": {
            "module": "keras",
            "class_name": "DTypePolicy",
            "config": {"name": "float32"},
            "registered_name": None,
        },
        **SIZES,
        "layer_norm_epsilon": 1e-05,
        "attention_dropout_rate": 0,
        "feedforward_dropout_rate": 0,
    }
    assert FalconBackbone.from_config(config).get_config() == config


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_keras_file_comes_back(layout, tmp_path):
    backbone, x = built(layout), inputs("left")
    backbone.save(tmp_path / "falcon.keras")
    with zeros_for_random_weights():
        again = keras.saving.load_model(tmp_path / "falcon.keras")
    assert type(again) is FalconBackbone
    assert again.get_config() == backbone.get_config()
    restored = read(again, x)
    for name in NAMES:
        for a, b in zip(restored[name], computed(layout, "left")[name], strict=True):
            np.testing.assert_array_equal(a, b)


def test_training_reaches_every_weight():
    backbone = build(num_layers=1, tie_word_embeddings=False)
    before = backbone.get_weights()
    logits = backbone.token_embedding(backbone.output, reverse=True)
    model = keras.Model(backbone.input, logits)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss=loss)
    model.fit(inputs(), inputs()["token_ids"], verbose=0)
    for variable, value in zip(backbone.weights, before, strict=True):
        # The softmax does not see a bias that all keys share, so its gradient is rounding.
        if "key_dense/bias" not in variable.path:
            assert np.any(variable.numpy() != value), variable.path


# === What the documents promise ===


def test_the_signature_is_the_documented_one():
    documented = {
        "vocabulary_size": inspect.Parameter.empty,
        "num_layers": inspect.Parameter.empty,
        "num_attention_heads": inspect.Parameter.empty,
        "hidden_dim": inspect.Parameter.empty,
        "intermediate_dim": inspect.Parameter.empty,
        "layer_norm_epsilon": 1e-05,
        "attention_dropout_rate": 0,
        "feedforward_dropout_rate": 0,
        "dtype": None,
    }
    parameters = inspect.signature(FalconBackbone).parameters
    assert {name: parameters[name].default for name in list(parameters)[:9]} == documented
    assert list(parameters)[-1] == "kwargs"


EXAMPLE = {
    "vocabulary_size": 10,
    "num_layers": 2,
    "num_attention_heads": 2,
    "hidden_dim": 32,
    "intermediate_dim": 32 * 4,
}


def test_the_examples_of_the_falcon_backbone_document_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    build(**EXAMPLE).save_to_preset("falcon_preset")

    input_data = {
        "token_ids": np.ones(shape=(1, 12), dtype="int32"),
        "padding_mask": np.array([[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0]]),
    }
    # Pretrained Falcon decoder.
    model = FalconBackbone.from_preset("./falcon_preset")
    assert model(input_data).shape == (1, 12, 32)
    # Randomly initialized Falcon decoder with a custom config.
    model = FalconBackbone(
        vocabulary_size=10,
        num_layers=2,
        num_attention_heads=2,
        hidden_dim=32,
        intermediate_dim=32 * 4,
        layer_norm_epsilon=1e-5,
        attention_dropout_rate=0,
        feedforward_dropout_rate=0,
        dtype="float32",
    )
    assert model(input_data).shape == (1, 12, 32)
    # Load a Falcon backbone with a pre-trained config and random weights.
    model = Backbone.from_preset("./falcon_preset", load_weights=False)
    assert model.config == FalconConfig(**EXAMPLE)
    # The table of presets, and the property.
    assert "falcon_refinedweb_1b_en" in FalconBackbone.presets
    assert isinstance(model.token_embedding, keras.layers.Embedding)


def test_the_examples_of_the_backbone_document_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved, x = build(**EXAMPLE), {"token_ids": [[1, 2, 3]], "padding_mask": [[0, 1, 1]]}
    saved.save_to_preset("falcon_preset")

    # Load a backbone with pre-trained weights: from the base class, the subclass is inferred.
    backbone = Backbone.from_preset("./falcon_preset")
    assert type(backbone) is FalconBackbone
    np.testing.assert_array_equal(backbone(x), saved(x))
    # Load it at bfloat16 precision.
    with zeros_for_random_weights():
        backbone = Backbone.from_preset("./falcon_preset", dtype="bfloat16")
    assert {v.dtype for v in backbone.weights} == {"bfloat16"}
    # Load it with random weights.
    backbone = Backbone.from_preset("./falcon_preset", load_weights=False)
    assert np.any(to_float64(backbone(x)) != to_float64(saved(x)))
    # List the presets of a class.
    assert set(FalconBackbone.presets.keys()) <= set(Backbone.presets.keys())
    # Enable LoRA: every weight is frozen, and query and value get factors.
    backbone.enable_lora(2)
    trainable = {v.path.split("/")[-2] for v in backbone.trainable_weights}
    assert trainable == {"query_dense", "value_dense"}
    backbone.save_lora_weights("mine.lora.h5")
    backbone.load_lora_weights("mine.lora.h5")


def test_the_token_embedding_gives_logits_in_reverse():
    for layout in ("rw", "falcon2_11b"):
        embedding = built(layout).token_embedding
        assert isinstance(embedding, keras.layers.Embedding)
        x = np.random.default_rng(0).normal(size=(1, 2, 48)).astype("float32")
        weights = reference_weights(built(layout))
        head = weights["head"] if layout == "falcon2_11b" else weights["token_embedding"].T
        np.testing.assert_allclose(embedding(x, reverse=True), x @ head, atol=1e-4)


# === The base class ===


@pytest.fixture
def registry(monkeypatch):
    """A copy, so that the classes of these tests are gone after them."""
    monkeypatch.setattr(Backbone, "registry", dict(Backbone.registry))
    return Backbone.registry


def make_backbone_class():
    class TinyBackbone(Backbone):
        def __init__(self, width=3, dtype=None, **kwargs):
            token_ids = keras.Input((None,), dtype="int32", name="token_ids")
            embedding = keras.layers.Embedding(5, width, dtype=dtype, name="token_embedding")
            super().__init__(token_ids, embedding(token_ids), dtype=dtype, **kwargs)
            self.token_embedding = embedding
            self.width = width

        def get_config(self):
            return {**super().get_config(), "width": self.width}

    return TinyBackbone


def test_a_subclass_of_ones_own_registers_and_is_a_backbone(registry):
    assert registry["FalconBackbone"] is FalconBackbone
    before = set(registry)
    TinyBackbone = make_backbone_class()
    assert registry["TinyBackbone"] is TinyBackbone
    backbone = TinyBackbone(width=4, dtype="bfloat16", name="tiny")
    assert backbone(np.array([[1, 2]])).shape == (1, 2, 4)
    assert isinstance(backbone.token_embedding, keras.layers.Embedding)
    again = TinyBackbone.from_config(backbone.get_config())
    assert (again.name, again.width, again.dtype_policy.name) == ("tiny", 4, "bfloat16")
    assert set(registry) == before | {"TinyBackbone"}  # and nothing that Keras derived


def test_a_notebook_cell_that_runs_again_registers_its_new_class(registry):
    first, second = make_backbone_class(), make_backbone_class()
    assert first is not second
    assert registry["TinyBackbone"] is second

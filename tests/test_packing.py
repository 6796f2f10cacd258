"""Packed kernels: nothing but their order in memory differs, and products with them are lean."""

import math
import re

from falcon_edu import FalconBackbone
from falcon_edu.fast import packing, products
from falcon_edu.fast.dense import Dense, EinsumDense
from falcon_edu.fast.packing import pack, packed_product, packed_shape, unpack
from falcon_edu.fast.products import WIDENED
from falcon_edu.int8.quantization import GroupedInt8QuantizationConfig, weights_only
from tests.layouts import build

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SHAPES = st.lists(st.integers(1, 40), min_size=2, max_size=3).map(tuple)


def whole_numbers(rng, shape):
    return rng.integers(-127, 128, shape).astype("int8")


@given(SHAPES, st.integers(1, 50))
def test_a_kernel_comes_back_as_it_was(shape, largest_row):
    kernel = whole_numbers(np.random.default_rng(0), shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("falcon_edu.fast.packing.LARGEST_ROW", largest_row)
        packed = pack(kernel)
        assert packed.shape == packed_shape(shape)
        assert packed.shape[0] == 1 or packed.shape[2] <= largest_row
        np.testing.assert_array_equal(unpack(packed, shape), kernel)
        by_output = packed.swapaxes(0, 1).reshape(math.prod(shape[1:]), shape[0])
        np.testing.assert_array_equal(by_output, kernel.reshape(shape[0], -1).T)


@settings(max_examples=40)  # each is compiled
@given(
    st.lists(st.integers(1, 3), max_size=2),
    SHAPES,
    st.integers(1, 50),
    st.integers(1, 300),
    st.data(),
)
def test_products_are_exact(rows, shape, largest_row, block, data):
    rng = np.random.default_rng(0)
    kernel = whole_numbers(rng, shape)
    m = shape[0]
    # Whole numbers below 2**24 have exact sums in float32.
    x = rng.integers(-9, 10, (*rows, m)).astype("float32")
    wide = kernel.reshape(m, -1).astype("float32")
    size = data.draw(st.sampled_from([None, *(i for i in range(1, m + 1) if m % i == 0)]))
    arrays = [kernel]
    if size is not None:
        steps = rng.integers(1, 256, (m // size, *shape[1:])).astype("uint8")
        wide = wide * np.repeat(steps.reshape(m // size, -1), size, 0)
        arrays.append(steps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("falcon_edu.fast.packing.LARGEST_ROW", largest_row)
        patch.setattr("falcon_edu.fast.products.WIDENED", block)
        parts = packing.parts_of(m, size or 1)
        packed = [jnp.asarray(pack(array, parts)) for array in arrays]
        np.testing.assert_array_equal(packed_product(x, *packed), x @ wide)
        gradient = jax.grad(lambda x: (packed_product(x, *packed) ** 2).sum())(x)
    wanted = 2 * (x @ wide) @ wide.T
    np.testing.assert_allclose(gradient, wanted, rtol=1e-4, atol=1e-5 * abs(wanted).max() + 1e-2)


def test_a_row_of_many_numbers_goes_in_parts():
    assert packed_shape((8192, 64)) == (4, 64, 2048)  # 4096 floats are 16 KB already
    assert packed_shape((4096, 64)) == (2, 64, 2048)
    assert packed_shape((4095, 64)) == (1, 64, 4095)
    assert packed_shape((2 * 8191, 64)) == (1, 64, 2 * 8191)  # only 2 divides it: that is too few


def test_a_group_lies_in_one_part():
    assert packing.parts_of(4544, 32) == 2  # Falcon-7B: 71 groups of 32 in each
    assert packing.parts_of(4544, 64) == 1  # two would cut one of 71 groups
    assert packing.parts_of(14848, 32) == 4  # Falcon-180B


def square(m, has_steps):
    """A square kernel, packed, with steps or without."""
    parts = packing.parts_of(m, 32)
    arrays = [np.ones((m, m), "int8"), np.ones((m // 32, m), "uint8")]
    return [jnp.asarray(pack(array, parts)) for array in arrays[: 1 + has_steps]]


@pytest.mark.compiler
@pytest.mark.parametrize("has_steps", [False, True])
@pytest.mark.parametrize("m", [256, 8192])
@pytest.mark.skipif(not products.on_one_cpu(), reason="elsewhere XLA has ways of its own")
def test_no_kernel_is_widened_in_memory(m, has_steps):
    """Neither for a product, nor once for all before the loop over the tokens."""
    x, packed = jnp.ones((1, m)), square(m, has_steps)

    def tokens(x, packed):
        return jax.lax.fori_loop(0, 9, lambda i, x: packed_product(x, *packed) / m, x)

    memory = jax.jit(tokens).lower(x, packed).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 20 * x.nbytes


@pytest.mark.compiler
@pytest.mark.parametrize("has_steps", [False, True])
@pytest.mark.parametrize("m", [256, 8192])
@pytest.mark.skipif(not products.on_one_cpu(), reason="elsewhere XLA has ways of its own")
def test_what_a_row_is_computed_by_stays_out_of_the_product(m, has_steps):
    """Where XLA moved it into the product, it was done anew for each output."""

    def tokens(x, packed):
        return jax.lax.fori_loop(0, 9, lambda i, x: packed_product(jax.nn.gelu(x), *packed), x)

    compiled = jax.jit(tokens).lower(jnp.ones((1, m)), square(m, has_steps)).compile()
    products_alone = [part for part in compiled.as_text().split("\n\n") if " dot(" in part]
    assert products_alone
    # Its steps are the only thing that a kernel is multiplied with.
    assert all(part.count(" multiply(") == has_steps for part in products_alone)


LAYERS = {
    "Dense": (Dense, keras.layers.Dense, {"units": 12}, (None, 8)),
    "EinsumDense": (
        EinsumDense,
        keras.layers.EinsumDense,
        {"equation": "bqm,mnh->bqnh", "output_shape": (None, 3, 4), "bias_axes": "nh"},
        (None, None, 8),
    ),
}


@pytest.fixture(params=LAYERS)
def in_groups(request):
    """One of ours whose steps differ from group to group of four inputs."""
    ours, _, options, shape = LAYERS[request.param]
    layer = ours(**options)
    layer.build(shape)
    for variable in layer.weights:
        variable.assign(np.random.default_rng(0).normal(size=variable.shape))
    kernel = np.array(layer.kernel)
    kernel[:4] = 0  # a group whose steps are the shortest
    layer.kernel.assign(kernel)
    layer.quantize(config=GroupedInt8QuantizationConfig(4))
    return layer


@pytest.fixture(params=LAYERS)
def layers(request):
    """One of ours and one of Keras's, rounded, with the same numbers in them."""
    ours, theirs, options, shape = LAYERS[request.param]
    own, other = ours(**options), theirs(**options)
    own.build(shape)
    other.build(shape)
    for one, another in zip(own.weights, other.weights, strict=True):
        one.assign(np.random.default_rng(0).normal(size=one.shape))
        another.assign(one)
    own.quantize("int8")
    other.quantize("int8", config=weights_only())
    return own, other


def stored(layer):
    store = {}
    layer.save_own_variables(store)
    return {name: np.array(value) for name, value in store.items()}


def test_a_kernel_is_packed_on_one_cpu_alone(layers, monkeypatch):
    own, other = layers
    assert own.shape_of_kernel == tuple(other._kernel.shape)
    assert (tuple(own._kernel.shape) == packed_shape(own.shape_of_kernel)) == packing.should_pack()
    monkeypatch.setattr("falcon_edu.fast.packing.on_one_cpu", lambda: False)
    x = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")
    loaded = type(own).from_config(own.get_config())
    rounded = type(own).from_config({**own.get_config(), "dtype": "float32"})
    for elsewhere in (loaded, rounded):
        elsewhere.build(x.shape)
    rounded.quantize("int8")
    for elsewhere in (loaded, rounded):
        assert elsewhere._kernel.shape == other._kernel.shape
        elsewhere.load_own_variables(stored(own))
        np.testing.assert_allclose(elsewhere(x), own(x), atol=1e-5)


def test_keras_sees_its_own_kernel(layers):
    own, other = layers
    np.testing.assert_array_equal(own.kernel, other.kernel)
    assert own.kernel.dtype == "int8"
    # The order of the variables is that of a file.
    assert [v.name for v in own.weights] == [v.name for v in other.weights]
    assert own.get_config()["quantization_config"] == other.get_config()["quantization_config"]


def test_files_are_as_keras_writes_them(layers):
    own, other = layers
    mine, theirs = stored(own), stored(other)
    assert mine.keys() == theirs.keys()
    for name in mine:
        np.testing.assert_array_equal(mine[name], theirs[name])
    changed = {**theirs, "0": -theirs["0"]}
    own.load_own_variables(changed)
    np.testing.assert_array_equal(own.kernel, changed["0"])


def test_a_kernel_of_another_shape_is_refused_and_loses_nothing(layers):
    own, other = layers
    before = stored(own)
    for shape in ((8, 4, 3), (12, 8), (8, 11)):
        if shape != own.shape_of_kernel:
            with pytest.raises(
                ValueError, match=re.escape(f"{own.shape_of_kernel}. Received: {shape}")
            ):
                own.load_own_variables({**before, "0": np.ones(shape, "int8")})
    with pytest.raises(ValueError, match="expected 3 variables"):
        own.load_own_variables({})
    np.testing.assert_array_equal(own.kernel, other.kernel)


def test_a_model_is_filled_as_its_layers_are(tmp_path, monkeypatch):
    """Whatever `should_pack` says by then, and where a layer is Keras's own, which never packs."""
    backbone = build("rw")
    backbone.export_to_transformers(tmp_path / "falcon")
    backbone.quantize("int8")
    inputs = {"token_ids": np.array([[3, 4, 5]]), "padding_mask": np.ones((1, 3), "int32")}
    monkeypatch.setattr("falcon_edu.model.layers.Dense", keras.layers.Dense)
    answers = iter([True] * 4 + [False] * 10_000)
    monkeypatch.setattr("falcon_edu.fast.packing.on_one_cpu", lambda: next(answers))
    loaded = FalconBackbone.from_preset(tmp_path / "falcon", dtype="int8")
    for one, another in zip(loaded.transformer_layers, backbone.transformer_layers, strict=True):
        np.testing.assert_array_equal(one.dense_h_to_4h.kernel, another.dense_h_to_4h.kernel)
        own, other = (
            one.attention_layer.query_dense.kernel,
            another.attention_layer.query_dense.kernel,
        )
        np.testing.assert_array_equal(own, other)
    assert loaded(inputs).shape == backbone(inputs).shape


@pytest.mark.compiler
@pytest.mark.parametrize("m", [64, 8192])
def test_a_gradient_through_one_row_keeps_no_floats(m):
    x, packed = jnp.ones((1, m)), jnp.asarray(pack(np.ones((m, 4096), "int8")))
    gradient = jax.jit(jax.grad(lambda x: (packed_product(x, packed) ** 2).sum()))
    assert gradient.lower(x).compile().memory_analysis().temp_size_in_bytes < 2 * 4 * WIDENED
    np.testing.assert_allclose(gradient(x), np.full((1, m), 2.0 * m * 4096), rtol=1e-5)


def test_an_interrupt_leaves_a_layer_that_can_be_saved():
    class Interrupted(keras.quantizers.AbsMaxQuantizer):
        """Someone presses Ctrl-C."""

        def __call__(self, x, **options):
            raise KeyboardInterrupt

    layer = Dense(3)
    layer.build((None, 4))
    config = keras.quantizers.Int8QuantizationConfig(Interrupted(axis=0))
    with pytest.raises(KeyboardInterrupt):
        layer.quantize("int8", config=config)
    assert layer.quantization_config is None
    layer.quantize("int8")
    assert layer.is_packed == packing.should_pack()


def test_an_adapter_is_merged_into_a_file(layers):
    for layer in layers:
        layer.enable_lora(2)
        layer.saves_merged = True
        for variable in (layer.lora_kernel_a, layer.lora_kernel_b):
            variable.assign(np.random.default_rng(1).normal(size=variable.shape))
    mine, theirs = map(stored, layers)
    for name in mine:
        # Sums in another order may round one number the other way.
        np.testing.assert_allclose(mine[name], theirs[name], atol=1, rtol=1e-5)
        assert (abs(mine[name] - theirs[name]) < 1e-3).mean() > 0.95


def test_a_quantizer_of_ones_own_is_used_and_kept():
    class Halves(keras.quantizers.AbsMaxQuantizer):
        """Uses half of the levels."""

        def __call__(self, x, **options):
            quantized, scale = super().__call__(x, **options)
            return (quantized // 2).astype("int8"), scale / 2

    layer = Dense(3)
    layer.build((None, 4))
    quantizer = Halves(axis=0)
    expected, _ = quantizer(layer.kernel, to_numpy=True)
    layer.quantize("int8", config=keras.quantizers.Int8QuantizationConfig(quantizer))
    np.testing.assert_array_equal(layer.kernel, expected)
    assert layer.quantization_config.weight_quantizer is quantizer


def test_groups_go_to_a_file_and_back(in_groups, monkeypatch):
    """Whether a kernel is packed there or not."""
    x = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")
    store = stored(in_groups)
    assert store["0"].shape == in_groups.shape_of_kernel
    assert store["3"].shape == (2, *in_groups.shape_of_kernel[1:])  # the steps come last
    for is_packed in (True, False):
        with monkeypatch.context() as patch:
            if not is_packed:
                patch.setattr("falcon_edu.fast.packing.on_one_cpu", lambda: False)
            again = type(in_groups).from_config(in_groups.get_config())
            again.build(x.shape)
        assert again.is_packed == (is_packed and packing.should_pack())
        again.load_own_variables(store)
        np.testing.assert_allclose(again(x), in_groups(x), atol=1e-5)
        for name, value in stored(again).items():
            np.testing.assert_array_equal(value, store[name])
    with pytest.raises(ValueError, match=r"kernel_steps .* Received: \(1,"):
        in_groups.load_own_variables({**store, "3": store["3"][:1]})


def test_an_adapter_is_merged_into_groups(in_groups):
    x = np.random.default_rng(0).normal(size=(2, 5, 8)).astype("float32")
    again = type(in_groups).from_config(in_groups.get_config())
    again.build(x.shape)
    in_groups.enable_lora(2)
    for variable in (in_groups.lora_kernel_a, in_groups.lora_kernel_b):
        variable.assign(np.random.default_rng(1).normal(size=variable.shape))
    again.load_own_variables(stored(in_groups))
    wanted = np.array(in_groups(x))
    np.testing.assert_allclose(again(x), wanted, atol=0.015 * abs(wanted).max())

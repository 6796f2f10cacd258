"""A Falcon over eight devices is the Falcon on one. `test_distribution.py` runs this file.

It needs eight devices from the start of the process, so it runs in one of its own:

    XLA_FLAGS=--xla_force_host_platform_device_count=8 pytest tests/on_eight_devices.py
"""

import functools
import math
import sys

from falcon_edu import FalconBackbone, FalconCausalLM, FalconConfig
from falcon_edu.presets import weights

import jax
import keras
import layouts
import numpy as np
import pytest

# Of the heads (4, 6 or 12) eight devices divide none, and two all but 3 and 1 of keys. The last
# has heads that four devices divide, and keys that they do not.
CASES = [(layout, mesh) for layout in layouts.LAYOUTS for mesh in ((1, 8), (4, 2))]
CASES += [("rw", (2, 4)), ("40b_8_heads", (2, 4))]
MORE = {"40b_8_heads": ("40b", {"num_attention_heads": 8})}
ADAPTED = (
    "query_dense key_dense value_dense output_dense dense_h_to_4h dense_4h_to_h token_embedding"
).split()


def distribution(shape):
    mesh = keras.distribution.DeviceMesh(
        shape, ("batch", "model"), keras.distribution.list_devices()
    )
    layout_map = FalconBackbone.get_layout_map(mesh)
    return keras.distribution.ModelParallel(layout_map=layout_map, batch_dim_name="batch")


def batch():
    """Four sequences, some padded, and something to train towards."""
    both = [layouts.inputs("left", seed) for seed in (0, 1)]
    inputs = {key: np.concatenate([part[key] for part in both]) for key in both[0]}
    width = layouts.SIZES["hidden_dim"]
    return inputs, np.random.default_rng(2).normal(size=(4, 7, width)).astype("float32")


@functools.cache
def start(layout):
    """The first values of a model that has LoRA factors everywhere, none of them zero."""
    model = build(layout)
    random = np.random.default_rng(3)
    for variable in model.variables:
        if variable.name.startswith("lora_"):
            variable.assign(0.3 * random.normal(size=variable.shape).astype("float32"))
    return values(model)


def build(layout):
    name, more = MORE.get(layout, (layout, {}))
    model = layouts.build(name, num_layers=1, **more)
    model.enable_lora(2, ADAPTED)
    return model


def values(model):
    return {v.path: keras.ops.convert_to_numpy(v) for v in model.variables}


def compute(model):
    """The output, and the gradient of every weight: of kernels, norms and biases, and factors."""
    # With the logits, since an untied head has a gradient from nothing else.
    model = keras.Model(
        model.input, [model.output, model.token_embedding(model.output, reverse=True)]
    )
    model.trainable = True
    for variable in model.variables:
        variable.trainable = True
    inputs, targets = batch()

    @jax.jit
    def run(weights):
        def loss(weights):
            (output, logits), _ = model.stateless_call(weights, [], inputs)
            return ((output - targets) ** 2).mean() + (logits**2).mean(), output

        (_, output), gradients = jax.value_and_grad(loss, has_aux=True)(weights)
        return output, gradients

    output, gradients = run([v.value for v in model.trainable_variables])
    paths = [v.path for v in model.trainable_variables]
    return {"output": output, **dict(zip(paths, gradients, strict=True))}


@functools.cache
def on_one_device(layout):
    model = build(layout)
    for variable in model.variables:
        variable.assign(start(layout)[variable.path])
    return {name: np.asarray(value) for name, value in compute(model).items()}


def test_there_are_eight_devices():
    assert jax.device_count() == 8


@pytest.mark.parametrize(("layout", "mesh"), CASES)
def test_eight_devices_compute_what_one_does(layout, mesh):
    """Outputs, gradients, and LoRA; sums of some dozen float32 numbers, in another order."""
    theirs = on_one_device(layout)
    with distribution(mesh).scope():
        model = build(layout)
        for variable in model.variables:
            variable.assign(start(layout)[variable.path])
        ours = compute(model)
    assert ours.keys() == theirs.keys()
    for name, wanted in theirs.items():
        # A bias of all keys adds the same to all scores of a query: the softmax doesn't see it.
        scale = 1 if name.endswith("key_dense/bias") else np.abs(wanted).max()
        assert scale > 1e-3, f"{name} tells nothing"
        np.testing.assert_allclose(ours[name], wanted, atol=1e-4 * scale, err_msg=name)
        assert len(ours[name].sharding.device_set) == 8


def test_adapters_gather_no_heads():
    """The gradient of their factors is summed over devices, and no more."""
    with distribution((4, 2)).scope():
        model = layouts.build("rw", num_layers=2)
        model.enable_lora(2)

        def loss(factors, frozen):
            output, _ = model.stateless_call(factors, frozen, batch()[0])
            return (output**2).mean()

        arguments = (model.trainable_variables, model.non_trainable_variables)
        arguments = jax.tree.map(lambda variable: variable.value, arguments)
        program = jax.jit(jax.grad(loss)).lower(*arguments).compile().as_text()
    assert "all-reduce(" in program
    assert "all-gather(" not in program


@pytest.mark.parametrize("mesh", [(1, 8), (4, 2)])
def test_a_training_step_of_keras_is_the_same(mesh):
    after = []
    for current in (None, distribution(mesh)):
        keras.distribution.set_distribution(current)
        model = layouts.build("40b", num_layers=1)
        model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
        model.fit(*batch(), batch_size=4, verbose=0)
        after.append(values(model))
    keras.distribution.set_distribution(None)
    for path, wanted in after[0].items():
        np.testing.assert_allclose(after[1][path], wanted, atol=1e-4, err_msg=path)


@pytest.mark.parametrize("mesh", [(1, 8), (4, 2)])
@pytest.mark.parametrize("dtype", ["int8", "int8/8"])
@pytest.mark.parametrize("layout", ["rw", "40b", "falcon2_11b"])
def test_weights_of_eight_bits_are_shared_out_too(tmp_path, layout, mesh, dtype):
    layouts.build(layout, num_layers=1).save_to_preset(tmp_path / "falcon")
    outputs = []
    for current in (None, distribution(mesh)):
        keras.distribution.set_distribution(current)
        model = FalconBackbone.from_preset(tmp_path / "falcon", dtype=dtype)
        logits = keras.Model(model.input, model.token_embedding(model.output, reverse=True))
        outputs.append(logits.predict(batch()[0], verbose=0))
    keras.distribution.set_distribution(None)
    kernel = model.transformer_layers[0].dense_4h_to_h.kernel.value
    assert kernel.dtype == "int8"
    assert kernel.addressable_shards[0].data.size * math.prod(mesh) == kernel.size
    if dtype == "int8/8":  # the steps of a kernel that is split by its outputs
        steps = model.transformer_layers[0].dense_h_to_4h.kernel_steps.value
        assert steps.addressable_shards[0].data.size * mesh[1] == steps.size
    np.testing.assert_allclose(*outputs, atol=1e-4 * np.abs(outputs[0]).max())


@pytest.mark.parametrize(("layout", "mesh"), CASES)
def test_every_weight_lies_as_the_map_says(layout, mesh):
    current = distribution(mesh)
    with current.scope():
        model = build(layout)
        model.compile(optimizer=keras.optimizers.Adam(), loss="mse")
        model.optimizer.build(model.trainable_variables)
    layout_map = FalconBackbone.get_layout_map(current.device_mesh)
    layout_map.adapt(model.config)
    sizes = dict(zip(("batch", "model"), mesh, strict=True))
    for variable in model.variables:
        said = layout_map[variable.path]
        axes = (None,) * variable.ndim if said is None else said.axes
        assert tuple(variable.value.sharding.spec) == axes, variable.path
        parts = [
            size // sizes.get(axis, 1) for size, axis in zip(variable.shape, axes, strict=True)
        ]
        held = {shard.data.shape for shard in variable.value.addressable_shards}
        assert held == {tuple(parts)}, f"{variable.path} is not shared out evenly"
    # Adam's averages lie where their weights do: else they would be whole on every device.
    specs = [v.value.sharding.spec for v in model.trainable_variables for _ in range(2)]
    averages = [v for v in model.optimizer.variables if v.ndim > 0]
    assert sorted(map(str, specs)) == sorted(str(v.value.sharding.spec) for v in averages)


def test_text_is_the_same():
    texts = []
    for current in (None, distribution((1, 8)), distribution((2, 4))):
        keras.distribution.set_distribution(current)
        falcon = FalconCausalLM.from_preset("falcon_tales_40b_en")
        falcon.compile(sampler="greedy")
        for _ in range(2):
            texts.append(falcon.generate(["Mia and Tom", "One sunny day"], max_length=24))
        (loop,) = falcon.decoding_loops.values()
        assert loop.decode._cache_size() == 1, "the second call compiled it again"
    keras.distribution.set_distribution(None)
    assert texts == 6 * texts[:1]


# === Loading ===

# From some size on Keras makes a tensor in a compiled function: the embedding is above it.
LARGE = FalconConfig(18_000, 1, 8, 512, 1024)


def largest_part(array):
    """The most bytes of an array that any one device holds."""
    return math.prod(array.sharding.shard_shape(array.shape)) * array.dtype.itemsize


class Watch:
    """Looks at all arrays that exist, whenever a function returns."""

    def __enter__(self):
        self.largest, self.before = 0, jax.live_arrays()  # kept, so that no id is used again
        sys.setprofile(self.look)
        return self

    def look(self, frame, event, argument):
        if event in ("return", "c_return"):
            sys.setprofile(None)
            known = set(map(id, self.before))
            new = [array for array in jax.live_arrays() if id(array) not in known]
            self.largest = max([self.largest, *map(largest_part, new)])
            sys.setprofile(self.look)

    def __exit__(self, *exception):
        sys.setprofile(None)


def test_watch_sees_a_whole_tensor():
    with Watch() as watch:
        (lambda: jax.numpy.ones((300, 100)))()
    assert watch.largest == 120_000


@pytest.mark.parametrize("save", ["export_to_transformers", "save_to_preset"])
def test_no_device_ever_holds_a_whole_tensor(tmp_path, save):
    with layouts.zeros_for_random_weights():
        made = FalconBackbone(**LARGE.to_dict())
    layouts.randomize(made)
    getattr(made, save)(tmp_path / "falcon")
    wanted = values(made)
    del made
    with distribution((1, 8)).scope(), Watch() as watch:
        loaded = FalconBackbone.from_preset(tmp_path / "falcon")
    for path, value in values(loaded).items():
        np.testing.assert_array_equal(value, wanted[path], err_msg=path)
    assert watch.largest == 4 * LARGE.vocabulary_size * LARGE.hidden_dim // 8


def test_a_file_that_breaks_off_is_said_so_here_too(tmp_path):
    made = layouts.build("40b", num_layers=1)
    made.save_to_preset(tmp_path / "falcon")
    path = tmp_path / "falcon" / "model.weights.h5"
    path.write_bytes(path.read_bytes()[:-20_000])
    with distribution((1, 8)).scope(), pytest.raises(ValueError, match=r"model\.weights\.h5"):
        FalconBackbone.from_preset(tmp_path / "falcon")


def test_a_failure_while_reading_is_raised_once():
    config = FalconConfig(**{**layouts.SIZES, "num_layers": 1})
    shapes = weights.weight_shapes(config)
    tensors = {
        name: weights.Tensor(shape, "float32", functools.partial(read, name, shape))
        for name, shape in shapes.items()
    }
    table = [weights.Entry(name, shape, (name,)) for name, shape in shapes.items()]
    with distribution((1, 8)).scope(), pytest.raises(ValueError, match="the disk is gone"):
        weights.load_backbone(lambda: FalconBackbone(**config.to_dict()), tensors, table)


def read(name, shape):
    if "dense_h_to_4h" in name:
        raise OSError("the disk is gone")
    return np.ones(shape, "float32")

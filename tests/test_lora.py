"""LoRA: what is trained, what is saved, what is refused."""

import json
import math
import re
import subprocess
import sys

from falcon_edu import FalconBackbone
from falcon_edu.adapt.lora import adapted_layers
from falcon_edu.fast import dense
from tests.layouts import LAYOUTS, build, inputs, to_float64

import h5py
import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

ROW = inputs("right")


def output(backbone):
    return to_float64(backbone(ROW))


def adapt(backbone, seed=1):
    """Gives every factor values that a training run might give it."""
    random = np.random.default_rng(seed)
    for variable in backbone.trainable_variables:
        variable.assign(0.1 * random.normal(size=variable.shape))
    return backbone


def base_weights(backbone):
    return {v.path: to_float64(v) for v in backbone.variables if "lora_" not in v.name}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_only_factors_are_trainable(layout):
    """Two factors for each query and value layer; their sizes are `m r + r h` by the formula."""
    backbone = build(layout)
    before = output(backbone)
    backbone.enable_lora(3)
    config = backbone.config
    m, h, rank = config.hidden_dim, config.head_dim, 3
    # Keras factorises a kernel `(m, n, h)` as `(m, n, r) (r, h)`.
    heads = config.num_attention_heads + config.key_value_heads
    expected = config.num_layers * (m * heads * rank + 2 * rank * h)
    assert sum(int(np.prod(v.shape)) for v in backbone.trainable_variables) == expected
    assert {v.name for v in backbone.trainable_variables} == {"lora_kernel_a", "lora_kernel_b"}
    np.testing.assert_array_equal(output(backbone), before)  # b starts at zero


@pytest.mark.parametrize("layout", ["rw", "40b"])
def test_training_moves_factors_and_nothing_else(layout):
    backbone = build(layout)
    backbone.enable_lora(2)
    frozen = base_weights(backbone)
    factors = [to_float64(v) for v in backbone.trainable_variables]
    backbone.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    backbone.fit(ROW, np.zeros((2, 7, 48)), epochs=2, verbose=0)
    for path, value in base_weights(backbone).items():
        np.testing.assert_array_equal(value, frozen[path], err_msg=path)
    moved = [
        not np.array_equal(to_float64(v), old)
        for v, old in zip(backbone.trainable_variables, factors, strict=True)
    ]
    assert all(moved)


def test_gradient_reaches_only_the_factors():
    backbone = adapt(lora_backbone())
    trainable = [v.value for v in backbone.trainable_variables]
    other = [v.value for v in backbone.non_trainable_variables]
    row = {key: keras.ops.convert_to_tensor(value) for key, value in ROW.items()}

    def loss(trainable):
        return backbone.stateless_call(trainable, other, row)[0].sum()

    gradients = jax.grad(loss)(trainable)
    assert len(gradients) == 2 * len(adapted_layers(backbone))
    assert all(np.abs(g).max() > 0 for g in gradients)


def lora_backbone(targets=None, rank=2, **overrides):
    backbone = build("rw", **overrides)
    backbone.enable_lora(rank, targets)
    return backbone


CUSTOM = ["key_dense", "output_dense", "dense_h_to_4h", "token_embedding"]


@pytest.mark.parametrize("targets", [None, CUSTOM, ["query_dense"]])
def test_save_and_load_are_exact(targets, tmp_path):
    trained = adapt(lora_backbone(targets))
    trained.save_lora_weights(tmp_path / "a.lora.h5")
    fresh = build("rw")
    fresh.load_lora_weights(tmp_path / "a.lora.h5")
    np.testing.assert_array_equal(output(fresh), output(trained))
    assert [v.path for v in fresh.trainable_variables] == [
        v.path for v in trained.trainable_variables
    ]
    enabled = lora_backbone(targets)  # and into a backbone where it is enabled already
    enabled.load_lora_weights(tmp_path / "a.lora.h5")
    np.testing.assert_array_equal(output(enabled), output(trained))


def test_load_in_a_fresh_process(tmp_path):
    trained = adapt(lora_backbone(CUSTOM))
    trained.save_lora_weights(tmp_path / "a.lora.h5")
    program = f"""
import numpy as np
from tests.layouts import build, inputs, to_float64
backbone = build("rw")
backbone.load_lora_weights({str(tmp_path / "a.lora.h5")!r})
np.save({str(tmp_path / "out.npy")!r}, to_float64(backbone(inputs("right"))))
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), output(trained))


def test_file_says_what_it_belongs_to(tmp_path):
    adapt(lora_backbone(CUSTOM)).save_lora_weights(tmp_path / "a.lora.h5")
    with h5py.File(tmp_path / "a.lora.h5") as file:
        description = json.loads(file.attrs["falcon_edu"])
    assert description["rank"] == description["alpha"] == 2
    assert description["targets"] == sorted(CUSTOM)
    assert description["base"]["hidden_dim"] == 48


@pytest.mark.parametrize("targets", [None, CUSTOM])
def test_merge_and_unmerge(targets):
    """Merged outputs are equal to rounding of float32; unmerging restores base and factors."""
    backbone = adapt(lora_backbone(targets))
    before, base = output(backbone), base_weights(backbone)
    backbone.merge_lora()
    np.testing.assert_allclose(output(backbone), before, atol=1e-4)
    assert any(np.abs(v - base[path]).max() > 1e-3 for path, v in base_weights(backbone).items())
    backbone.unmerge_lora()
    np.testing.assert_allclose(output(backbone), before, atol=1e-4)
    for path, value in base_weights(backbone).items():
        np.testing.assert_allclose(value, base[path], atol=1e-6, err_msg=path)


def test_saved_preset_holds_the_merged_weights(tmp_path):
    """As in Keras, saving a model with LoRA saves kernels with the update added."""
    trained = adapt(lora_backbone())
    trained.save_to_preset(tmp_path / "preset")
    loaded = FalconBackbone.from_preset(str(tmp_path / "preset"))
    np.testing.assert_allclose(output(loaded), output(trained), atol=1e-4)


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (["query"], ["'query'", "query_dense"]),
        (["query_dense", "no_such"], ["'no_such'"]),
        ([], ["at least one name"]),
        ("query_dense", ["list"]),
        (["input_layernorm"], ["'input_layernorm'"]),
    ],
)
def test_wrong_targets_are_refused(targets, words):
    backbone = build("rw")
    with pytest.raises(ValueError) as error:
        backbone.enable_lora(2, targets)
    assert all(word in str(error.value) for word in words)
    assert len(backbone.trainable_variables) == len(backbone.variables)  # nothing was frozen


@pytest.mark.parametrize("rank", [0, -1, 1.5, True, "4"])
def test_wrong_ranks_are_refused(rank):
    with pytest.raises(ValueError, match="rank"):
        build("rw").enable_lora(rank)


def test_second_enable_is_refused():
    with pytest.raises(ValueError, match="enabled on this backbone already"):
        lora_backbone().enable_lora(2)


def test_wrong_states_are_refused(tmp_path):
    with pytest.raises(ValueError, match="not enabled"):
        build("rw").save_lora_weights(tmp_path / "a.lora.h5")
    with pytest.raises(ValueError, match="not enabled"):
        build("rw").merge_lora()
    with pytest.raises(ValueError, match="not merged"):
        lora_backbone().unmerge_lora()
    merged = lora_backbone()
    merged.merge_lora()
    with pytest.raises(ValueError, match="merged already"):
        merged.merge_lora()
    with pytest.raises(ValueError, match="unmerge_lora"):
        merged.save_lora_weights(tmp_path / "a.lora.h5")


@pytest.mark.parametrize("name", ["a.h5", "a.weights.h5", "a.lora", "lora.h5"])
def test_wrong_suffix_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match="must end in"):
        lora_backbone().save_lora_weights(tmp_path / name)
    with pytest.raises(ValueError, match="must end in"):
        build("rw").load_lora_weights(tmp_path / name)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (lambda: build("rw", num_layers=3), "num_layers 2 there, 3 here"),
        (lambda: build("7b"), "trained on another backbone"),
        (lambda: build("rw", layer_norm_epsilon=1e-3), "layer_norm_epsilon"),
        (lambda: lora_backbone(rank=3), "rank 2, but LoRA is enabled with rank 3"),
        (lambda: lora_backbone(["key_dense"]), r"adapts \['query_dense', 'value_dense'\]"),
    ],
)
def test_files_that_do_not_fit_are_refused(target, words, tmp_path):
    adapt(lora_backbone()).save_lora_weights(tmp_path / "a.lora.h5")
    backbone = target()
    before = base_weights(backbone), len(adapted_layers(backbone))
    with pytest.raises(ValueError, match=words):
        backbone.load_lora_weights(tmp_path / "a.lora.h5")
    after = base_weights(backbone), len(adapted_layers(backbone))
    np.testing.assert_equal(after, before)


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.lora\.h5"):
        build("rw").load_lora_weights(tmp_path / "no.lora.h5")
    (tmp_path / "text.lora.h5").write_text("not a file of that kind")
    with h5py.File(tmp_path / "empty.lora.h5", "w") as file:
        file["lora/vars/rank"] = 2
    with h5py.File(tmp_path / "shape.lora.h5", "w") as file:
        file["lora/vars/rank"] = 2
        file["lora/9/vars/lora_kernel_a"] = np.zeros((3, 3))
        file["lora/9/vars/lora_kernel_b"] = np.zeros((3, 3))
    for name in ("text", "empty", "shape"):
        backbone = build("rw")
        with pytest.raises(ValueError, match=rf"{name}\.lora\.h5"):
            backbone.load_lora_weights(tmp_path / f"{name}.lora.h5")
        assert not adapted_layers(backbone)


def test_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    trained = adapt(lora_backbone())
    trained.save_lora_weights(tmp_path / "a.lora.h5")
    old = (tmp_path / "a.lora.h5").read_bytes()

    def full_disk(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(h5py.File, "create_group", full_disk)
    with pytest.raises(OSError, match="No space"):
        trained.save_lora_weights(tmp_path / "a.lora.h5")
    assert (tmp_path / "a.lora.h5").read_bytes() == old
    assert [path.name for path in tmp_path.iterdir()] == ["a.lora.h5"]


# === The product with an adapter ===

ADAPTED = {
    "Dense": lambda: dense.Dense(24),
    "EinsumDense": lambda: dense.EinsumDense("btm,mnh->btnh", (None, 4, 6), bias_axes="nh"),
}


@pytest.mark.compiler
@pytest.mark.parametrize("make", ADAPTED.values(), ids=ADAPTED)
def test_training_an_adapter_never_makes_an_array_as_large_as_the_kernel(make):
    layer = make()
    layer.build((None, None, 16))
    layer.enable_lora(2)
    factors = [layer.lora_kernel_a, layer.lora_kernel_b]
    for seed, variable in enumerate([*factors, layer.bias]):
        variable.assign(keras.random.normal(variable.shape, seed=seed))
    x = keras.random.normal((2, 5, 16), seed=7)

    def ours(values):
        with keras.StatelessScope(list(zip(factors, values, strict=True))):
            return keras.ops.sum(layer(x) ** 3)

    def merged(values):
        a, b = values
        kernel = layer._kernel.value + layer.lora_alpha / layer.lora_rank * (a @ b)
        y = jnp.tensordot(x, kernel, axes=1) + layer.bias.value
        return jnp.sum(y**3)

    values = [variable.value for variable in factors]
    assert 16 * 24 in product_sizes(merged, values)
    assert 16 * 24 not in product_sizes(ours, values)
    for mine, theirs in zip(jax.grad(ours)(values), jax.grad(merged)(values), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-2)


def product_sizes(function, values):
    """How many numbers each matrix product on the way to a gradient makes."""
    text = str(jax.make_jaxpr(jax.grad(function))(values))
    shapes = re.findall(r"f32\[([\d,]*)\] = dot_general", text)
    return {math.prod(map(int, shape.split(","))) for shape in shapes}

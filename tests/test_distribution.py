"""The layout map: every weight of every Falcon is shared out evenly, and as its file says."""

import os
import subprocess
import sys
from pathlib import Path

from falcon_edu import FALCON_FAMILY, FalconBackbone, FalconConfig
from falcon_edu.presets.weights import weight_shapes
from falcon_edu.scale.distribution import FalconLayoutMap

import keras
import pytest

HERE = Path(__file__).parent


def make_map(shape=(1, 8), names=("batch", "model"), config=None):
    """A map for devices that need not be there: Keras asks for them only when it places arrays."""
    devices = [f"cpu:{i}" for i in range(shape[0] * shape[1])]
    layout_map = FalconBackbone.get_layout_map(keras.distribution.DeviceMesh(shape, names, devices))
    if config:
        layout_map.adapt(config)
    return layout_map


def path_of(name):
    """The path of a weight in Keras, of its name in `weight_shapes`."""
    name = name.replace("transformer_layers.", "transformer_layer_")
    return name.replace("attention_layer", "attention").replace(".", "/")


def axes_of(layout_map, weight, block="transformer_layer_0"):
    layout = layout_map[weight.replace("block", block)]
    return layout and layout.axes


# === What is split ===

QUERY = "block/attention/query_dense"


@pytest.mark.parametrize(
    ("falcon", "shape", "weight", "axes"),
    [
        ("falcon-40b", (1, 8), "token_embedding/embeddings", ("model", "batch")),
        ("falcon2-11B", (1, 8), "token_embedding/reverse_embeddings", ("batch", "model")),
        ("falcon-40b", (2, 8), "block/attention/query_dense/kernel", ("batch", "model", None)),
        ("falcon-40b", (2, 8), "block/attention/key_dense/kernel", ("batch", "model", None)),
        ("falcon-40b", (1, 16), "block/attention/query_dense/kernel", ("batch", "model", None)),
        ("falcon-40b", (1, 16), "block/attention/value_dense/kernel", ("model", "batch", None)),
        ("falcon-180B", (1, 16), "block/attention/query_dense/kernel", ("model", "batch", None)),
        ("falcon-7b", (1, 8), "block/attention/query_dense/kernel", ("model", "batch", None)),
        ("falcon-7b", (2, 4), "block/attention/query_dense/kernel", ("model", None, None)),
        ("falcon-7b", (1, 8), "block/attention/output_dense/kernel", ("model", "batch")),
        ("falcon-40b", (2, 4), "block/dense_h_to_4h/kernel", ("batch", "model")),
        ("falcon-40b", (2, 4), "block/dense_4h_to_h/kernel", ("model", "batch")),
        ("falcon-rw-1b", (2, 4), "block/dense_4h_to_h/bias", None),
        ("falcon-rw-1b", (2, 4), "block/input_layernorm/gamma", None),
        (
            "falcon-40b",
            (2, 4),
            "block/attention/query_dense/lora_kernel_a",
            ("batch", "model", None),
        ),
        ("falcon-40b", (2, 4), "block/attention/query_dense/lora_kernel_b", (None, None)),
        ("falcon-40b", (2, 4), "block/dense_h_to_4h/lora_kernel_b", (None, "model")),
        ("falcon-40b", (2, 4), "token_embedding/lora_embeddings_a", ("model", None)),
    ],
)
def test_axes_by_hand(falcon, shape, weight, axes):
    layout_map = make_map(shape, config=FALCON_FAMILY[falcon])
    assert axes_of(layout_map, weight) == axes
    assert axes_of(layout_map, weight, "transformer_layer_17") == axes


@pytest.mark.parametrize("falcon", FALCON_FAMILY)
@pytest.mark.parametrize("shape", [(1, 2), (2, 4), (1, 8), (4, 8), (1, 16), (1, 64)])
def test_all_matrices_of_the_family_are_shared_out_evenly(falcon, shape):
    config = FALCON_FAMILY[falcon]
    layout_map = make_map(shape, config=config)
    devices = dict(zip(("batch", "model"), shape, strict=True))
    for name, sizes in weight_shapes(config).items():
        layout = layout_map[path_of(name)]
        if len(sizes) == 1 or name.endswith("bias"):
            assert layout is None, name
            continue
        assert "model" in layout.axes, name
        for size, axis in zip(sizes, layout.axes, strict=True):
            assert size % devices.get(axis, 1) == 0, name
        if len(sizes) == 3:
            assert layout.axes[2] is None, f"{name}: a head is cut"


def test_what_no_device_count_divides_is_whole_everywhere():
    layout_map = make_map((1, 7), config=FalconConfig(40, 1, 4, 48, 80))
    assert {layout.axes for layout in layout_map.values()} <= {
        (None, "batch"),
        ("batch", None),
        ("batch", None, None),
        (None, None),
        (None, None, None),
    }


def test_names_of_the_mesh_are_free():
    layout_map = FalconBackbone.get_layout_map(
        keras.distribution.DeviceMesh((1, 2), ("d", "m"), ["cpu:0", "cpu:1"]),
        model_parallel_dim_name="m",
        data_parallel_dim_name="d",
    )
    assert layout_map["token_embedding/embeddings"].axes == ("m", "d")


# === The map and its user ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model_parallel_dim_name": "tensor"}, r"no axis 'tensor'. Its axes: .'batch', 'model'"),
        ({"data_parallel_dim_name": "data"}, "no axis 'data'"),
    ],
)
def test_missing_axes_are_named(arguments, message):
    mesh = keras.distribution.DeviceMesh((1, 2), ("batch", "model"), ["cpu:0", "cpu:1"])
    with pytest.raises(ValueError, match=message):
        FalconBackbone.get_layout_map(mesh, **arguments)


def test_something_else_than_a_mesh_is_named():
    with pytest.raises(ValueError, match=r"must be a keras\.distribution\.DeviceMesh.*list"):
        FalconBackbone.get_layout_map(["cpu:0"])


def test_a_map_is_one_of_keras():
    assert isinstance(make_map(), keras.distribution.LayoutMap)
    assert isinstance(make_map(), FalconLayoutMap)


def test_layouts_of_the_user_stay():
    layout_map = make_map()
    del layout_map["token_embedding/embeddings"]
    layout_map["token_embedding/embeddings"] = (None, "model")
    del layout_map[r"transformer_layer_\d+/dense_h_to_4h/kernel"]
    layout_map.adapt(FALCON_FAMILY["falcon-7b"])
    assert layout_map["token_embedding/embeddings"].axes == (None, "model")
    assert layout_map["transformer_layer_3/dense_h_to_4h/kernel"] is None
    assert axes_of(layout_map, "block/attention/query_dense/kernel") == ("model", "batch", None)


# === On devices ===


@pytest.mark.slow
def test_on_eight_devices():
    """In a process of its own: how many devices there are is decided once."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"]
    flags = [os.environ.get("XLA_FLAGS", ""), "--xla_force_host_platform_device_count=8"]
    result = subprocess.run(
        [*command, str(HERE / "on_eight_devices.py")],
        env={**os.environ, "XLA_FLAGS": " ".join(flags)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout[-6000:]

"""Presets in KerasHub's format."""

import json

from falcon_edu import Backbone, FalconBackbone
from tests.layouts import LAYOUTS, build
from tests.preset_folders import SHARDED, built, edit_json, same

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file


@pytest.mark.parametrize("layout", LAYOUTS)
def test_round_trip_in_keras_hub_format(tmp_path, layout):
    backbone = built(layout)
    for folder, max_shard_size in (("single", 10), ("sharded", SHARDED)):
        backbone.save_to_preset(tmp_path / folder, max_shard_size=max_shard_size)
        again = Backbone.from_preset(tmp_path / folder)
        assert same(again, backbone)
        assert again.name == backbone.name
    assert not list((tmp_path / "single").glob("model_*"))
    assert not (tmp_path / "sharded/model.weights.h5").exists()
    assert len(list((tmp_path / "sharded").glob("model_*.weights.h5"))) > 2


def test_config_of_keras_hub_only_where_it_can_read_it(tmp_path):
    for layout, package in (("rw", "keras_hub"), ("7b", "falcon_edu")):
        built(layout).save_to_preset(tmp_path / layout)
        config = json.loads((tmp_path / layout / "config.json").read_text())
        assert config["registered_name"] == f"{package}>FalconBackbone"
    assert not config["config"].keys() & {"alibi_dtype", "num_parallel_layer_norms"}
    build("rw", alibi_dtype="bfloat16").save_to_preset(tmp_path / "rw")
    config = json.loads((tmp_path / "rw/config.json").read_text())
    assert config["registered_name"] == "keras_hub>FalconBackbone"
    assert "alibi_dtype" not in config["config"]
    assert FalconBackbone.from_preset(tmp_path / "rw").alibi_dtype == "bfloat16"
    metadata = json.loads((tmp_path / "rw/metadata.json").read_text())
    assert metadata["parameter_count"] == built("rw").config.num_parameters


@pytest.mark.parametrize(
    "name", ["keras_hub>GemmaBackbone", "keras>Lambda", "Lambda", "builtins>eval", 7, "__class__"]
)
def test_no_class_is_looked_up_by_a_name_from_the_file(in_keras_hub, name):
    edit_json(in_keras_hub / "config.json", registered_name=name, class_name=name)
    with pytest.raises(ValueError, match=r"falcon_edu can't load. It knows FalconBackbone"):
        Backbone.from_preset(in_keras_hub)


def test_broken_configs_of_keras_hub_are_refused(in_keras_hub):
    path = in_keras_hub / "config.json"
    good = json.loads(path.read_text())
    for config, message in (
        (
            {**good, "config": {**good["config"], "experts": 8, "gates": 1}},
            "fields: experts, gates",
        ),
        ({**good, "config": None}, "`config` in"),
        ({**good, "falcon_edu": {"num_layers": 3}}, "has unknown fields: num_layers"),
        ({**good, "config": {"vocabulary_size": 4}}, "missing 4 required positional arguments"),
        ({**good, "config": {**good["config"], "num_layers": 2.5}}, "`num_layers` must be a whole"),
    ):
        path.write_text(json.dumps(config))
        with pytest.raises(ValueError, match=r"config.json") as caught:
            Backbone.from_preset(in_keras_hub)
        assert message in str(caught.value)
    for text in ("{", "[]", '"x"', "[" * 100_000):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"config.json"):
            Backbone.from_preset(in_keras_hub)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"no config.json in"):
        Backbone.from_preset(in_keras_hub)


def test_everything_wrong_is_said_at_once_in_keras_hub_format(in_keras_hub, no_model_is_made):
    block = "layers/falcon_transformer_decoder_1"
    with h5py.File(in_keras_hub / "model.weights.h5", "a") as file:
        del file[f"{block}/dense_4h_to_h/vars/0"], file["layers/layer_normalization/vars/1"]
        file[f"{block}/gate/vars/0"] = np.zeros(3, "float32")
        for name, value in (
            ("dense_h_to_4h/vars/0", np.zeros((80, 48), "float32")),
            ("attention_layer/query_dense/vars/1", np.zeros((4, 12), "int32")),
        ):
            del file[f"{block}/{name}"]
            file[f"{block}/{name}"] = value
    with pytest.raises(ValueError, match=r"nothing was loaded") as caught:
        Backbone.from_preset(in_keras_hub)
    for part in (
        f"missing: {block}/dense_4h_to_h/vars/0, layers/layer_normalization/vars/1; ",
        f"unexpected: {block}/gate/vars/0; ",
        f"{block}/dense_h_to_4h/vars/0 is (80, 48), not (48, 80); ",
        f"{block}/attention_layer/query_dense/vars/1 is int32",
    ):
        assert part in str(caught.value)


def test_names_without_their_prefix(tmp_path):
    """As transformers' `FalconModel` saves them; the head of a causal LM never has a prefix."""
    untied = built("falcon2_11b")
    untied.export_to_transformers(tmp_path / "preset")
    path = tmp_path / "preset/model.safetensors"
    save_file({name.removeprefix("transformer."): x for name, x in load_file(path).items()}, path)
    assert same(Backbone.from_preset(tmp_path / "preset"), untied)


def soft_link(file):
    file["layers/x"] = h5py.SoftLink("/layers")


def external_link(file):
    file["layers/x"] = h5py.ExternalLink("/etc/passwd", "/")


def virtual_dataset(file):
    layout = h5py.VirtualLayout((3,), "float32")
    layout[:] = h5py.VirtualSource("other.h5", "x", (3,))
    file["layers"].create_virtual_dataset("x", layout)


def external_dataset(file):
    file["layers"].create_dataset("x", (3,), "float32", external=[("/etc/passwd", 0, 12)])


def loop(file):
    file["layers/x"] = file["layers"]


def named_type(file):
    file["layers/x"] = np.dtype("float32")


@pytest.mark.parametrize(
    "spoil", [soft_link, external_link, virtual_dataset, external_dataset, loop, named_type]
)
def test_h5_files_that_lead_elsewhere_are_refused(in_keras_hub, spoil):
    with h5py.File(in_keras_hub / "model.weights.h5", "a") as file:
        spoil(file)
    with pytest.raises(ValueError, match=r"model.weights.h5 is refused: "):
        Backbone.from_preset(in_keras_hub)

"""Presets on disk: every layout comes back from every format, or says why."""

import json
import shutil
import sys
import warnings
from types import SimpleNamespace

from falcon_edu import Backbone, FalconBackbone, FalconCausalLM, FalconTokenizer
from falcon_edu.model.config import FalconConfig
from falcon_edu.presets import (
    builtin_presets,
    export_to_transformers,
    handles,
    keras_hub,
    registry,
    save_causal_lm,
    transformers,
)
from falcon_edu.presets.weights import find_weight, weight_shapes
from falcon_edu.text.preprocessor import FalconCausalLMPreprocessor
from tests.layouts import LAYOUTS, build, inputs
from tests.preset_folders import SHARDED, built, edit_json, fail, same, snapshot
from tests.small_tokenizers import END, TALE, make

import keras
import numpy as np
import pytest


@pytest.mark.parametrize("layout", LAYOUTS)
def test_table_of_weights_is_the_backbones(layout):
    backbone = built(layout)
    shapes = weight_shapes(backbone.config)
    found = [find_weight(backbone, path) for path in shapes]
    assert {id(weight) for weight in found} == {id(weight) for weight in backbone.weights}
    assert [tuple(weight.shape) for weight in found] == list(shapes.values())
    for table in (
        keras_hub.weight_table(backbone.config),
        transformers.weight_table(backbone.config),
    ):
        assert sorted(path for entry in table for path in entry.weights) == sorted(shapes)
        assert len({entry.name for entry in table}) == len(table)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("save", ["save_to_preset", "export_to_transformers"])
def test_round_trip_in_half_precision(tmp_path, dtype, save):
    backbone = build("rw", dtype=dtype, alibi_dtype="bfloat16")
    getattr(backbone, save)(tmp_path / "preset")
    assert same(FalconBackbone.from_preset(tmp_path / "preset", dtype=dtype), backbone)
    wide = FalconBackbone.from_preset(tmp_path / "preset")
    assert {weight.dtype for weight in wide.weights} == {"float32"}
    assert np.array_equal(wide.get_weights()[3], np.asarray(backbone.get_weights()[3], "float32"))


def test_lora_is_merged_into_what_is_saved(tmp_path):
    backbone = build("rw")
    plain = np.asarray(backbone.transformer_layers[0].attention_layer.query_dense.kernel)
    backbone.enable_lora(2)
    for weight in backbone.trainable_weights:
        weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    backbone.save_to_preset(tmp_path / "keras_hub")
    backbone.export_to_transformers(tmp_path / "transformers")
    x = inputs("right")
    for name in ("keras_hub", "transformers"):
        again = FalconBackbone.from_preset(tmp_path / name, alibi_dtype=None)
        kernel = again.transformer_layers[0].attention_layer.query_dense.kernel
        assert not np.allclose(kernel, plain)
        assert np.allclose(again(x), backbone(x), atol=1e-4)
        assert len(again.trainable_weights) == len(again.weights)


def test_state_of_training_is_no_part_of_the_weights(tmp_path):
    backbone = build("rw", feedforward_dropout_rate=0.1)
    backbone.compile("adam", "mse")
    x = inputs("right")
    backbone.fit(x, np.zeros((2, 7, 48)), verbose=0)
    backbone.save_to_preset(tmp_path / "preset")
    assert same(FalconBackbone.from_preset(tmp_path / "preset"), backbone)


@pytest.mark.parametrize("folder", ["in_keras_hub", "in_transformers"])
def test_overrides(rw, folder, request):
    folder = request.getfixturevalue(folder)
    overrides = {"dtype": "bfloat16", "name": "mine", "attention_dropout_rate": 0.25}
    backbone = FalconBackbone.from_preset(folder, trainable=False, **overrides)
    assert backbone.dtype_policy.name == "bfloat16"
    assert backbone.name == "mine"
    assert backbone.attention_dropout_rate == 0.25
    assert backbone.trainable_weights == []
    assert same(FalconBackbone.from_preset(folder, alibi_dtype=None), rw)
    policy = keras.DTypePolicy("mixed_bfloat16")
    assert FalconBackbone.from_preset(folder, dtype=policy).dtype_policy == policy
    with pytest.raises(
        ValueError, match=r"no argument heads for the backbone. It takes alibi_dtype"
    ):
        FalconBackbone.from_preset(folder, heads=3)
    with pytest.raises(ValueError, match=r"config.json can't be: `attention_dropout_rate`"):
        FalconBackbone.from_preset(folder, attention_dropout_rate=2)


@pytest.mark.parametrize("folder", ["in_keras_hub", "in_transformers"])
def test_a_preset_without_weights_loads_if_none_are_asked_for(rw, folder, request):
    folder = request.getfixturevalue(folder)
    for path in [*folder.glob("*.h5"), *folder.glob("*.safetensors")]:
        path.unlink()
    backbone = Backbone.from_preset(folder, load_weights=False, alibi_dtype=None)
    assert backbone.config == rw.config
    assert not same(backbone, rw)
    with pytest.raises(FileNotFoundError, match=r"has no weights: neither model"):
        Backbone.from_preset(folder)


def test_classes(in_keras_hub, in_transformers, monkeypatch):
    monkeypatch.setattr(Backbone, "registry", dict(Backbone.registry))

    class OtherFalcon(FalconBackbone):
        pass

    assert type(Backbone.from_preset(in_keras_hub)) is FalconBackbone
    with pytest.raises(ValueError, match=r"holds a FalconBackbone, not a OtherFalcon"):
        OtherFalcon.from_preset(in_keras_hub)
    assert type(OtherFalcon.from_preset(in_transformers)) is OtherFalcon
    edit_json(in_keras_hub / "config.json", registered_name="falcon_edu>OtherFalcon")
    assert type(Backbone.from_preset(in_keras_hub)) is OtherFalcon
    edit_json(in_keras_hub / "config.json", registered_name="keras_nlp>FalconBackbone")
    assert type(Backbone.from_preset(in_keras_hub)) is FalconBackbone


@pytest.mark.parametrize(
    ("folder", "name"),
    [("in_keras_hub", "model.weights.h5"), ("in_transformers", "model.safetensors")],
)
def test_files_that_break_off(folder, name, request):
    path = request.getfixturevalue(folder) / name
    content = path.read_bytes()
    for size in (0, 4, 100, len(content) // 2):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=f"{name} is no whole"):
            Backbone.from_preset(path.parent)


@pytest.mark.parametrize("file_format", ["keras_hub", "transformers"])
def test_shards(rw, tmp_path, file_format):
    folder = tmp_path / "preset"
    if file_format == "keras_hub":
        rw.save_to_preset(folder, max_shard_size=SHARDED)
        index, shards = folder / "model.weights.json", sorted(folder.glob("model_*.h5"))
    else:
        export_to_transformers(rw, folder, max_shard_size=SHARDED)
        index, shards = folder / "model.safetensors.index.json", sorted(folder.glob("model-*"))
    weight_map = json.loads(index.read_text())["weight_map"]
    shutil.copy(shards[0], tmp_path / "outside")
    link = folder / "link"
    link.symlink_to(tmp_path / "outside")
    for outside in ("../outside", str(tmp_path / "outside"), "link"):
        edit_json(index, weight_map={**weight_map, "x": outside})
        with pytest.raises(ValueError, match=r"leads out of the preset"):
            Backbone.from_preset(folder)
    for broken in (None, {}, [], {"x": 7}, {"x": [None]}):
        edit_json(index, weight_map=broken)
        with pytest.raises(ValueError, match=r"`weight_map` in"):
            Backbone.from_preset(folder)
    edit_json(index, weight_map={**weight_map, "x": "gone.h5"})
    with pytest.raises(FileNotFoundError, match=r"lacks shards that .* names: gone.h5"):
        Backbone.from_preset(folder)
    shutil.copy(shards[0], folder / "twice")
    edit_json(index, weight_map={**weight_map, "x": "twice"})
    with pytest.raises(ValueError, match=r"another shard has too"):
        Backbone.from_preset(folder)
    edit_json(index, weight_map=weight_map)
    assert same(Backbone.from_preset(folder, alibi_dtype=None), rw)


@pytest.mark.parametrize("style", ["plain", "falcon"])
@pytest.mark.parametrize("backbone_first", [True, False])
def test_tokenizer_and_backbone_in_one_folder_in_either_order(rw, tmp_path, style, backbone_first):
    target, tokenizer = tmp_path / "preset", make(style, unsplittable_tokens=[END])
    parts = [rw, FalconCausalLMPreprocessor(tokenizer, 12, add_end_token=False)]
    for part in parts if backbone_first else reversed(parts):
        part.save_to_preset(target)
    assert same(Backbone.from_preset(target), rw)
    again = FalconTokenizer.from_preset(target)
    assert again.vocabulary == tokenizer.vocabulary
    assert again.merges == tokenizer.merges
    for text in (TALE, "1425", f"a{END}b"):
        assert again(text).tolist() == tokenizer(text).tolist()
    preprocessor = FalconCausalLMPreprocessor.from_preset(target)
    assert (preprocessor.sequence_length, preprocessor.add_end_token) == (12, False)
    assert FalconCausalLMPreprocessor.from_preset(target, sequence_length=7).sequence_length == 7
    # Only rules that vocabulary and merges can't tell need a file that KerasHub does not know.
    assert (target / "assets/tokenizer/tokenizer.json").exists() == (style == "falcon")
    make().save_to_preset(target)
    assert not (target / "assets/tokenizer/tokenizer.json").exists()
    assert FalconTokenizer.from_preset(target)("1425").tolist() == make()("1425").tolist()


def test_causal_lm_in_one_step(rw, tmp_path, monkeypatch):
    target, preprocessor = tmp_path / "preset", FalconCausalLMPreprocessor(make("falcon"))
    causal_lm = SimpleNamespace(
        backbone=rw, preprocessor=preprocessor, has_task_weights=lambda: False
    )
    save_causal_lm(causal_lm, target)
    before = snapshot(target)
    assert same(Backbone.from_preset(target), rw)
    assert (
        FalconTokenizer.from_preset(target)("1425").tolist()
        == preprocessor.tokenizer("1425").tolist()
    )
    monkeypatch.setattr(keras_hub, "write_json", fail)
    with pytest.raises(OSError, match=r"No space"):
        save_causal_lm(causal_lm, target)
    assert snapshot(target) == before


def test_broken_tokenizers_of_presets(in_keras_hub):
    with pytest.raises(FileNotFoundError, match=r"no tokenizer.json in"):
        FalconTokenizer.from_preset(in_keras_hub)
    make().save_to_preset(in_keras_hub)
    with pytest.raises(ValueError, match=r"no argument merges for the tokenizer. It takes dtype"):
        FalconTokenizer.from_preset(in_keras_hub, merges=[])
    with pytest.raises(ValueError, match=r"no argument length for the preprocessor"):
        FalconCausalLMPreprocessor.from_preset(in_keras_hub, length=3)
    assets = in_keras_hub / "assets/tokenizer"
    (assets / "merges.txt").write_text("a b c\n")
    with pytest.raises(ValueError, match=r"'a b c'"):
        FalconTokenizer.from_preset(in_keras_hub)
    for path in assets.iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks vocabulary.json and merges.txt"):
        FalconTokenizer.from_preset(in_keras_hub)
    edit_json(in_keras_hub / "tokenizer.json", class_name="GemmaTokenizer")
    with pytest.raises(ValueError, match=r"tokenizer.json must hold .* FalconTokenizer. .*Gemma"):
        FalconTokenizer.from_preset(in_keras_hub)


def test_builtin_presets():
    presets = FalconBackbone.presets
    assert list(presets) == list(Backbone.presets) == list(builtin_presets())
    assert list(presets) == [
        "falcon_tales_rw_en",
        "falcon_tales_7b_en",
        "falcon_tales_40b_en",
        "falcon_refinedweb_1b_en",
    ]
    real = presets["falcon_refinedweb_1b_en"]
    assert real["kaggle_handle"] == "kaggle://keras/falcon/keras/falcon_refinedweb_1b_en/2"
    assert real["metadata"]["params"] == FalconConfig(50304, 24, 32, 2048, 8192).num_parameters
    assert all({"description", "path"} <= preset["metadata"].keys() for preset in presets.values())
    assert builtin_presets(["OtherBackbone"]) == {}
    real["metadata"]["params"] = 0  # a copy
    assert FalconBackbone.presets["falcon_refinedweb_1b_en"]["metadata"]["params"] == 1311625216


def test_shipped_presets_are_found_with_their_metadata(rw, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "DATA", tmp_path)
    rw.save_to_preset(tmp_path / "falcon_tales_rw_en")
    edit_json(tmp_path / "falcon_tales_rw_en/metadata.json", seed=7)
    assert same(Backbone.from_preset("falcon_tales_rw_en"), rw)
    metadata = FalconBackbone.presets["falcon_tales_rw_en"]["metadata"]
    assert metadata["seed"] == 7
    assert metadata["params"] == rw.config.num_parameters
    with pytest.raises(FileNotFoundError, match=r"'falcon_tales_7b_en' should ship"):
        Backbone.from_preset("falcon_tales_7b_en")


@pytest.mark.parametrize(
    ("preset", "error", "message"),
    [
        ("falcon_7b", FileNotFoundError, "There is no preset 'falcon_7b'"),
        ("./nowhere", FileNotFoundError, "There is no preset './nowhere'"),
        ("", ValueError, "must be a string or a path"),
        (None, ValueError, "must be a string or a path"),
        (7, ValueError, "must be a string or a path"),
        ("s3://bucket/falcon", ValueError, "unknown scheme"),
        ("kaggle://keras/falcon", ValueError, "must read kaggle://owner/model/framework"),
        ("hf://a/b/c/d", ValueError, "no handle of the Hugging Face Hub"),
        (__file__, ValueError, "is a file; a preset is a folder"),
    ],
)
def test_unknown_presets(preset, error, message):
    with pytest.raises(error) as caught:
        Backbone.from_preset(preset)
    assert message in str(caught.value)
    if not str(preset).startswith(("hf:", "kaggle:")):
        for form in (
            "falcon_tales_rw_en",
            "kaggle://owner/model",
            "hf://owner/name",
            "local folder",
        ):
            assert form in str(caught.value)


def test_without_a_network_the_offline_presets_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setitem(sys.modules, "kagglehub", None)  # not installed
    for preset in ("hf://tiiuae/falcon-7b", "falcon_refinedweb_1b_en"):
        with pytest.raises(
            FileNotFoundError, match=r"falcon_tales presets.* need no network"
        ) as caught:
            Backbone.from_preset(preset)
    assert "pip install 'falcon_edu[kaggle]'" in str(caught.value)
    with pytest.raises(ImportError, match=r"pip install 'falcon_edu\[kaggle\]'"):
        Backbone.from_preset("kaggle://keras/falcon/keras/falcon_refinedweb_1b_en/2")


def test_links_of_the_hubs_own_cache_may_leave_the_folder(rw, in_keras_hub, tmp_path):
    snapshots, blobs = tmp_path / "cache/snapshots/abc", tmp_path / "cache/blobs"
    shutil.copytree(in_keras_hub, blobs)
    snapshots.mkdir(parents=True)
    for path in blobs.iterdir():
        (snapshots / path.name).symlink_to(path)
    assert same(Backbone.from_preset(snapshots), rw)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(snapshots, elsewhere, symlinks=True)
    with pytest.raises(ValueError, match=r"leads out of the preset"):
        Backbone.from_preset(elsewhere)
    assert handles.resolve(snapshots) == snapshots


@pytest.mark.parametrize("cls", [FalconBackbone, FalconCausalLM])
def test_a_warning_names_the_line_that_loads(tmp_path, cls):
    falcon = FalconCausalLM.from_preset("falcon_tales_rw_en")
    falcon.backbone.final_layernorm.beta.assign(np.full(128, np.nan))
    falcon.save_to_preset(tmp_path)
    with pytest.warns(UserWarning, match="NaN") as caught:
        cls.from_preset(tmp_path)
    assert [warning.filename for warning in caught] == [__file__]


def test_a_folder_here_does_not_shadow_the_task_weights_of_a_built_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "falcon_tales_rw_en"
    folder.mkdir()
    (folder / "task.weights.h5").write_bytes(b"not of this preset")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FalconCausalLM.from_preset("falcon_tales_rw_en")

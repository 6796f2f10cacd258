"""Saving presets: whole or not at all, with a bar."""

import os
import re
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from falcon_edu import Backbone, FalconBackbone
from falcon_edu.presets import (
    export_to_transformers,
    keras_hub,
    progress,
    replacement,
    save_causal_lm,
)
from falcon_edu.text.preprocessor import FalconCausalLMPreprocessor
from tests.layouts import build
from tests.preset_folders import SHARDED, built, fail, same, snapshot
from tests.small_tokenizers import make

import pytest


@pytest.mark.parametrize("max_shard_size", [5, 1e-5])
def test_a_bar_shows_how_far_saving_and_loading_are(tmp_path, monkeypatch, capsys, max_shard_size):
    monkeypatch.setattr(progress, "QUICK", 0)
    monkeypatch.setattr(progress, "PATIENCE", 0)
    backbone = build()
    export_to_transformers(backbone, tmp_path / "falcon", max_shard_size=max_shard_size)
    assert re.search(r"Saving: 100%.*\b(\d+\.?\d*k)/\1 ", capsys.readouterr().err)
    FalconBackbone.from_preset(tmp_path / "falcon")
    assert re.search(r"Loading: 100%.*\b(\d+\.?\d*k)/\1 ", capsys.readouterr().err)


@pytest.mark.parametrize("max_shard_size", [10, SHARDED])
def test_a_bar_shows_how_far_keras_is(tmp_path, monkeypatch, capsys, max_shard_size):
    monkeypatch.setattr(progress, "QUICK", 0)
    monkeypatch.setattr(progress, "PATIENCE", 0)
    build().save_to_preset(tmp_path / "falcon", max_shard_size=max_shard_size)
    assert re.search(r"Saving: 100%.*\b(\d+\.?\d*k)/\1 ", capsys.readouterr().err)


def test_the_bar_follows_what_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "QUICK", 0)
    monkeypatch.setattr(progress, "PATIENCE", 0)
    (tmp_path / "there before").write_bytes(bytes(100))
    shown = ""
    with progress.bar_of_growth(tmp_path, 200, "Saving"):
        for name, size, percent in (("a", 50, "25%"), ("b", 100, "75%"), ("c", 90, "100%")):
            (tmp_path / name).write_bytes(bytes(size))
            deadline = time.monotonic() + 30
            while percent not in shown and time.monotonic() < deadline:
                time.sleep(0.05)
                shown += capsys.readouterr().err
            assert percent in shown


def test_small_models_need_no_bar(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "PATIENCE", 0)
    build().export_to_transformers(tmp_path / "falcon")
    build().save_to_preset(tmp_path / "keras")
    FalconBackbone.from_preset(tmp_path / "falcon")
    assert "%" not in capsys.readouterr().err


FAULTS = {
    "the first file": (keras_hub, "write_json"),
    "the weights": (FalconBackbone, "save_weights"),
    "reaching the disk": (replacement, "sync"),
    "keeping the rights": (replacement, "keep_rights"),
    "taking its place": (os, "rename"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("existing", ["nothing", "a folder", "a folder that stays"])
def test_a_failed_save_leaves_what_was_there(tmp_path, monkeypatch, fault, existing):
    target = tmp_path / "shelf/preset"
    if existing == "a folder that stays" or fault == "taking its place":
        monkeypatch.setattr(replacement, "_exchange_names", lambda *_: False)
    if existing != "nothing":
        built("rw").save_to_preset(target)
        make().save_to_preset(target)
        (target / "README.md").write_text("Read me.")
    elif fault == "keeping the rights":
        pytest.skip("there are none to keep")
    before = snapshot(tmp_path)
    monkeypatch.setattr(*FAULTS[fault], fail)
    with pytest.raises(OSError, match=r"No space left"):
        built("7b").save_to_preset(target)
    assert snapshot(tmp_path) == before


@pytest.mark.skipif(not sys.platform.startswith(("linux", "darwin")), reason="no exchange")
def test_folders_change_places_in_one_step(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / name).mkdir(parents=True)
    assert replacement._exchange_names(tmp_path / "a", tmp_path / "b")
    assert snapshot(tmp_path) == {"a": None, "a/b": None, "b": None, "b/a": None}


def test_files_are_no_targets(rw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("text")
    with pytest.raises(ValueError, match=r"needs a folder, but .* is a file"):
        rw.save_to_preset(tmp_path / "file")
    with pytest.raises(OSError, match=r"file"):
        rw.save_to_preset(tmp_path / "file/preset")
    assert sorted(os.listdir(tmp_path)) == ["file"]
    rw.save_to_preset("new/folder")  # relative, and both are made
    assert same(FalconBackbone.from_preset("new/folder"), rw)


@pytest.mark.parametrize("target", [".", ".."])
def test_the_working_directory_stays_where_it_is(rw, tmp_path, monkeypatch, target):
    (tmp_path / "work/below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work/below")
    rw.save_to_preset(target)
    built("7b").save_to_preset(target)
    Path("written here").touch()
    folder = Path(target).resolve()
    assert Path.cwd() == tmp_path / "work/below"
    below = ["below", "below/written here"] if target == ".." else ["written here"]
    names = ["config.json", "metadata.json", "model.weights.h5"]
    assert sorted(snapshot(folder)) == sorted(names + below)
    assert same(FalconBackbone.from_preset(target), built("7b"))


def test_a_link_stays_a_link(rw, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    rw.save_to_preset(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert same(FalconBackbone.from_preset(tmp_path / "disk"), rw)


@pytest.mark.parametrize("in_one_step", [True, False])
def test_files_that_belong_to_nobody_stay_and_stale_ones_go(rw, tmp_path, monkeypatch, in_one_step):
    if not in_one_step:
        monkeypatch.setattr(replacement, "_exchange_names", lambda *_: False)
    target = tmp_path / "preset"
    rw.save_to_preset(target, max_shard_size=SHARDED)
    for name in (
        "README.md",
        "task.json",
        "epoch_1.weights.h5",
        "style.lora.h5",
        "notes/model.weights.h5",
    ):
        (target / name).parent.mkdir(exist_ok=True)
        (target / name).write_text(name)
    (target / "notes/link").symlink_to("../README.md")
    (target / "empty").mkdir()
    target.chmod(0o750)
    built("7b").save_to_preset(target)
    names = sorted(snapshot(target))
    assert names == [
        "README.md",
        "config.json",
        "empty",
        "epoch_1.weights.h5",
        "metadata.json",
        "model.weights.h5",
        "notes",
        "notes/link",
        "notes/model.weights.h5",
        "style.lora.h5",
    ]
    assert (target / "notes/link").read_text() == "README.md"
    assert target.stat().st_mode & 0o777 == 0o750
    assert same(Backbone.from_preset(target), built("7b"))
    rw.save_to_preset(target, max_shard_size=SHARDED)
    assert not (target / "model.weights.h5").exists()
    assert same(Backbone.from_preset(target), rw)


def test_a_model_of_the_other_format_is_not_overwritten(rw, in_keras_hub, in_transformers):
    tokenizer = make()
    preprocessor = FalconCausalLMPreprocessor(tokenizer)
    causal_lm = SimpleNamespace(backbone=rw, preprocessor=preprocessor)
    before = snapshot(in_transformers), snapshot(in_keras_hub)
    for save in (rw.save_to_preset, tokenizer.save_to_preset, preprocessor.save_to_preset):
        with pytest.raises(ValueError, match=r"in the format of transformers, which saving in"):
            save(in_transformers)
    with pytest.raises(ValueError, match=r"in the format of transformers, which saving in"):
        save_causal_lm(causal_lm, in_transformers)
    for export in (rw.export_to_transformers, tokenizer.export_to_transformers):
        with pytest.raises(ValueError, match=r"in the format of KerasHub, which saving in"):
            export(in_keras_hub)
    assert (snapshot(in_transformers), snapshot(in_keras_hub)) == before
    (in_keras_hub / "config.json").write_text("broken")
    rw.save_to_preset(in_keras_hub)
    assert same(FalconBackbone.from_preset(in_keras_hub), rw)

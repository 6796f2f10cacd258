"""A local folder is a local folder, however its path is spelled, in a hub's cache too."""

import os
import shutil
from pathlib import Path

from falcon_edu import Backbone
from falcon_edu.presets.handles import resolve
from tests.layouts import build
from tests.loopback_hub import COMMIT

import numpy as np
import pytest


@pytest.fixture(scope="module")
def backbone():
    return build("7b")


@pytest.fixture(scope="module")
def saved(backbone, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "falcon"
    backbone.save_to_preset(folder)
    return folder


@pytest.fixture
def snapshot(saved, tmp_path):
    """A folder of the hub's cache: links into `blobs`, one of them into the store of all models."""
    cache = tmp_path / "home/hub"
    repository = cache / "models--tiiuae--falcon-tiny"
    folder = repository / "snapshots" / COMMIT
    for place in (folder, repository / "blobs", cache / "blobs/ab"):
        place.mkdir(parents=True)
    for number, path in enumerate(sorted(saved.iterdir())):
        blob = repository / "blobs" / f"{number:040x}"
        if number:
            shutil.copy(path, blob)
        else:
            shutil.copy(path, cache / "blobs/ab" / blob.name)
            blob.symlink_to(Path("../../blobs/ab") / blob.name)
        (folder / path.name).symlink_to(Path("../../blobs") / blob.name)
    return folder


def relative(folder, monkeypatch):
    monkeypatch.chdir(folder.parents[1])
    return f"snapshots/{folder.name}"


def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return "."


def from_below(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return f"../{folder.name}/"


def from_home(folder, monkeypatch):
    home = folder.parents[3]
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    return f"~/{folder.relative_to(home).as_posix()}"


def path_from_home(folder, monkeypatch):
    return Path(from_home(folder, monkeypatch))


def linked(folder, monkeypatch):
    link = folder.parents[3] / "my_falcon"
    link.symlink_to(folder)
    return str(link)


def linked_cache(folder, monkeypatch):
    link = folder.parents[3] / "elsewhere"
    link.symlink_to(folder.parents[2])
    return link / folder.relative_to(folder.parents[2])


def doubled(folder, monkeypatch):
    return f"{folder.parent}//./{folder.name}//"


SPELLINGS = [
    lambda folder, _: folder,
    lambda folder, _: str(folder),
    lambda folder, _: f"{folder}/",
    lambda folder, _: f"{folder.parent}/../snapshots/{folder.name}",
    relative,
    here,
    from_below,
    from_home,
    path_from_home,
    linked,
    linked_cache,
    doubled,
]


@pytest.mark.parametrize("spell", SPELLINGS)
def test_a_snapshot_loads_however_its_path_is_spelled(snapshot, backbone, spell, monkeypatch):
    preset = spell(snapshot, monkeypatch)
    loaded = Backbone.from_preset(preset)
    assert all(map(np.array_equal, loaded.get_weights(), backbone.get_weights()))
    assert loaded.loaded_from == str(preset)
    again = Backbone.from_preset(loaded.loaded_from, load_weights=False)
    assert again.loaded_from == loaded.loaded_from


@pytest.mark.parametrize("spell", SPELLINGS)
def test_links_elsewhere_are_refused_however_the_path_is_spelled(snapshot, spell, monkeypatch):
    (snapshot / "config.json").unlink()
    (snapshot.parents[3] / "secret.json").write_text("{}")
    (snapshot / "config.json").symlink_to(snapshot.parents[3] / "secret.json")
    with pytest.raises(ValueError, match="leads out of the preset"):
        Backbone.from_preset(spell(snapshot, monkeypatch))


def test_a_folder_of_links_that_is_no_snapshot_is_refused_with_the_way_out(snapshot, tmp_path):
    copied = tmp_path / "copied"
    shutil.copytree(snapshot, copied, symlinks=True)
    for path in copied.iterdir():
        path.unlink()
        path.symlink_to(snapshot / path.name)
    with pytest.raises(ValueError, match=r"leads out of the preset.*copy the files themselves"):
        Backbone.from_preset(copied)


@pytest.mark.parametrize(
    "name", ["x" * 5000, "a\0b", "~nobody_of_this_name/falcon", "snapshots/" + COMMIT]
)
def test_a_path_that_leads_nowhere_is_said_to(name):
    with pytest.raises(FileNotFoundError, match="There is no preset"):
        resolve(name)


def test_a_handle_that_became_a_path_is_named():
    """`Path` makes one slash of two."""
    with pytest.raises(FileNotFoundError, match=r"pass it as a string"):
        resolve(Path("hf://tiiuae/falcon-tiny"))


def test_a_path_may_look_like_a_version_of_kaggle(saved, tmp_path):
    folder = tmp_path / "kaggle/2"
    shutil.copytree(saved, folder)
    assert Backbone.from_preset(folder, load_weights=False).loaded_from == os.fspath(folder)

"""What ships is replaced as a whole or not at all, also by two at once."""

from concurrent.futures import ThreadPoolExecutor

from falcon_edu import FalconBackbone
from falcon_edu.inside import milestones
from tests.layouts import LAYOUTS, SIZES
from tools import ship_tales, train_tales

import numpy as np
import pytest

NAME = ship_tales.MILESTONES_OF


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A folder in place of the package's data, with a preset and a milestone."""
    data = tmp_path / "data"
    for folder in (data / NAME, data / milestones.FILES / NAME):
        folder.mkdir(parents=True)
        (folder / "old.npz").write_text("old")
    monkeypatch.setattr(ship_tales, "DATA", data)
    return data


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


def trained(folder, number):
    """Write milestones whose weights all are one number."""
    backbone = FalconBackbone(**{**SIZES, **LAYOUTS["rw"]})
    backbone.set_weights([np.full(w.shape, number, "float32") for w in backbone.weights])
    for milestone in train_tales.MILESTONES[: ship_tales.SHIPPED]:
        backbone.save_to_preset(folder / f"{NAME}@{milestone / 1e6:g}M")
    return folder


def test_where_nothing_was_trained_nothing_is_lost(package, tmp_path, capsys):
    before = files(package)
    with pytest.raises(SystemExit):
        ship_tales.main(["--folder", str(tmp_path / "nowhere")])
    assert "There is no trained model in" in capsys.readouterr().err
    (tmp_path / "tales" / NAME).mkdir(parents=True)
    with pytest.raises(SystemExit):
        ship_tales.main(["--folder", str(tmp_path / "tales"), "--start", str(tmp_path)])
    assert f"There is no {NAME} in" in capsys.readouterr().err
    assert files(package) == before


def test_the_old_preset_stays_if_the_new_one_is_broken(package, tmp_path):
    (tmp_path / NAME).mkdir()
    np.savez(tmp_path / f"{NAME}.npz", progress=np.zeros(4))
    before = files(package)
    with pytest.raises((OSError, ValueError)):
        ship_tales.ship(NAME, tmp_path)
    with pytest.raises((OSError, ValueError)):
        ship_tales.ship_milestones(NAME, tmp_path)
    assert files(package) == before


def test_of_two_who_ship_at_once_each_ships_as_a_whole(package, tmp_path):
    folders = [trained(tmp_path / str(number), number) for number in (1, 2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda folder: ship_tales.ship_milestones(NAME, folder), folders))
    shipped = sorted((package / milestones.FILES / NAME).iterdir())
    assert len(shipped) == ship_tales.SHIPPED
    numbers = {int(array.flat[0]) for path in shipped for array in milestones.read(path)}
    assert numbers in ({1}, {2})

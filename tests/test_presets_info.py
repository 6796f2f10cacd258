"""`python -m falcon_edu.presets`: what there is and what a preset holds, without loading it."""

from falcon_edu.presets import describe_preset, weights
from falcon_edu.presets.__main__ import main
from tests.layouts import LAYOUTS, build

import pytest


@pytest.fixture(autouse=True)
def nothing_is_loaded(monkeypatch):
    def fail(*args):
        raise AssertionError("weights were loaded")

    monkeypatch.setattr(weights, "load_backbone", fail)


def test_list(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[0].split()[:2] == ["falcon_tales_rw_en", "1,055,488"]
    assert lines[3].split()[:2] == ["falcon_refinedweb_1b_en", "1,311,625,216"]


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "grouped_alibi_sequential"])
@pytest.mark.parametrize("save", ["save_to_preset", "export_to_transformers"])
def test_info(tmp_path, capsys, layout, save):
    backbone = build(layout)
    getattr(backbone, save)(tmp_path / "falcon")
    assert main(["info", str(tmp_path / "falcon")]) == 0
    found = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert found["parameters"] == f"{backbone.count_params():,}"
    assert found["format"] == ("KerasHub" if save == "save_to_preset" else "transformers")
    assert "in float32, " in found["weights"]
    assert ("ALiBi" in found["architecture"]) == (backbone.position_encoding == "alibi")


def test_weights_that_are_not_here(tmp_path):
    build("rw").save_to_preset(tmp_path / "falcon")
    (tmp_path / "falcon" / "model.weights.h5").unlink()
    assert "not on this machine" in describe_preset(tmp_path / "falcon")["weights"]


def test_what_can_not_be_read_is_said(capsys, tmp_path):
    assert main(["info", str(tmp_path / "nowhere")]) == 1
    assert "There is no preset" in capsys.readouterr().err

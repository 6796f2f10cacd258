"""Modules are found by the paths that they had before they moved into rooms."""

import subprocess
import sys
from importlib import import_module, reload

import falcon_edu
from falcon_edu.old_paths import MOVED

import keras
import pytest


@pytest.mark.parametrize(("old", "new"), MOVED.items())
def test_an_old_path_leads_to_the_module_itself(old, new):
    module = import_module(new)
    assert import_module(f"falcon_edu.{old}") is module or old == "generation"
    assert getattr(falcon_edu, old) is module
    assert module.__name__ == module.__spec__.name == new


def test_modules_inside_a_moved_package_are_one_too():
    from falcon_edu.checks.exercise import Wrong
    from falcon_edu.course.checks import exercise

    assert Wrong is exercise.Wrong
    reload(exercise)


def test_the_module_that_became_a_room_has_its_names():
    from falcon_edu.generation import generate, streaming

    assert generate is streaming.generate
    with pytest.raises(AttributeError, match="speak"):
        falcon_edu.generation.speak  # noqa: B018


@pytest.mark.parametrize("name", ["falcon_edu.loras", "falcon_edu.checks.nothing"])
def test_a_path_that_never_was_is_not_found(name):
    with pytest.raises(ModuleNotFoundError):
        import_module(name)


def test_what_keras_saved_under_an_old_path_loads():
    backbone = falcon_edu.FalconBackbone(10, 1, 2, 8, 16)
    saved = keras.saving.serialize_keras_object(backbone)
    assert saved["module"] == "falcon_edu.model.backbone"
    saved["module"] = "falcon_edu.backbone"
    loaded = keras.saving.deserialize_keras_object(saved)
    assert type(loaded) is falcon_edu.FalconBackbone


@pytest.mark.parametrize("module", ["falcon_edu", "falcon_edu.classroom", "falcon_edu.presets"])
def test_commands_run_by_the_names_they_had(module):
    command = [sys.executable, "-m", module, "--help"]
    run = subprocess.run(command, capture_output=True, check=True, text=True)
    assert f"usage: python -m {module}" in run.stdout

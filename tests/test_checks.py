"""Every check takes the solution of its exercise, and refuses what learners plausibly get wrong.

A module of `falcon_edu.course.checks` belongs to the notebook of its name. Its solutions are in
`notebooks/solutions/NN_name.py`, a plausible wrong answer or more than three for each exercise in
`tests/wrong_answers/name.py`, as `WRONG = {exercise: {what is wrong: answer}}`.
"""

import importlib
import importlib.util
import inspect
import re
from functools import cache
from pathlib import Path

from falcon_edu.course.checks import Exercise, exercise, expect, expect_close

import nbformat
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("[0-9][0-9]_*.py"))


@cache
def load(path):
    """A Python file as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def exercises_of(path):
    """The exercises whose solutions a file has: `{name: Exercise}`."""
    module = importlib.import_module(f"falcon_edu.course.checks.{path.stem[3:]}")
    return {name: value for name, value in vars(module).items() if isinstance(value, Exercise)}


def wrong_answers_of(path):
    return load(ROOT / "tests" / "wrong_answers" / f"{path.stem[3:]}.py").WRONG


EXERCISES = [(path, name) for path in SOLUTIONS for name in exercises_of(path)]
IDS = [f"{path.stem}-{name}" for path, name in EXERCISES]


def test_every_check_has_solutions():
    names = {path.stem for path in (ROOT / "falcon_edu" / "course" / "checks").glob("*.py")}
    assert {path.stem[3:] for path in SOLUTIONS} == names - {"__init__", "exercise", "graded"}


@pytest.mark.parametrize(("path", "name"), EXERCISES, ids=IDS)
def test_solution_is_right(path, name):
    verdict = exercises_of(path)[name].grade(getattr(load(path), name))
    assert verdict.is_right, verdict.message


@pytest.mark.parametrize(("path", "name"), EXERCISES, ids=IDS)
def test_blank_is_not_right(path, name):
    check = exercises_of(path)[name]
    assert not check.grade(None).is_right
    assert not check.grade(...).is_right
    solution = getattr(load(path), name)
    if inspect.isfunction(solution):
        for nothing in (None, ...):
            verdict = check.grade(lambda *args, nothing=nothing, **kwargs: nothing)
            assert not verdict.is_right
            assert "raised" not in verdict.message  # the stub of the notebook gets a kind word


@pytest.mark.parametrize(("path", "name"), EXERCISES, ids=IDS)
def test_plausible_wrong_answers_are_refused(path, name):
    wrong = wrong_answers_of(path)[name]
    assert len(wrong) >= 3
    for what, answer in wrong.items():
        verdict = exercises_of(path)[name].grade(answer)
        assert not verdict.is_right, what
        assert "your answer raised" not in verdict.message, f"{what}: {verdict.message}"


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_notebook_calls_every_check(path):
    notebook = nbformat.read(ROOT / "notebooks" / f"{path.stem}.ipynb", as_version=4)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert set(exercises_of(path)) == set(re.findall(r"check\.(\w+)\(", code))


# === The machinery ===


@exercise(hint="Twice.", praise="Doubled.")
def double(answer):
    expect_close(answer(np.array([1.0, 2.0])), [2, 4], "the double")


def test_second_failure_gives_the_hint(capsys):
    check = Exercise(double.check, "Twice.", "Doubled.")
    check(lambda x: x)
    assert capsys.readouterr().out == "Not yet: the double at [0] should be 2, but yours is 1.\n"
    check(lambda x: x)
    assert capsys.readouterr().out.endswith("Hint: Twice.\n")
    check(lambda x: 2 * x)
    assert capsys.readouterr().out == "Right. Doubled.\n"


def test_grading_remembers_nothing(capsys):
    check = Exercise(double.check, "Twice.")
    for _ in range(3):
        check.grade(lambda x: x)
    check(lambda x: x)
    assert "Hint" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: None, "nothing was returned"),
        (lambda x: "four", "is a str"),
        (lambda x: x[:1], r"shape \(2,\), but yours has \(1,\)"),
        (lambda x: 2 * x + np.nan, "yours is nan"),
        (lambda x: x.nothing, "raised AttributeError"),
        (None, "no answer yet"),
    ],
)
def test_what_is_wrong_is_said(answer, message):
    verdict = double.grade(answer)
    assert not verdict.is_right
    assert re.search(message, verdict.message)


def test_expect():
    expect(True, "never said")
    with pytest.raises(AssertionError, match="it is said"):
        expect(False, "it is said")

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
from tests.right_answers import RIGHT

import jax.numpy as jnp
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
        assert check.grade(lambda *args, **kwargs: ...).is_blank  # the stub of the notebook
        verdict = check.grade(lambda *args, **kwargs: None)
        assert not verdict.is_right
        assert not verdict.is_blank
        assert "raised" not in verdict.message


@pytest.mark.parametrize(("path", "name"), EXERCISES, ids=IDS)
def test_plausible_wrong_answers_are_refused(path, name):
    wrong = wrong_answers_of(path)[name]
    assert len(wrong) >= 3
    for what, answer in wrong.items():
        verdict = exercises_of(path)[name].grade(answer)
        assert not verdict.is_right, what
        assert "your answer raised" not in verdict.message, f"{what}: {verdict.message}"


SAID = {
    ("learn_merges", "as lines of a file"): "pair of strings.* is 'c d'",
    ("learn_merges", "as joined texts"): "pair of strings.* is 'cd'",
    ("learn_merges", "joins across pieces"): "another piece",
    ("without_block", "breaks the model"): "weights of the model were changed",
    ("window_mask", "to be added"): "added to the scores",
    ("window_mask", "to be added, finite"): "added to the scores",
    ("grouped_attention", "output and weights"): "the output alone",
    ("neuron_writes", "GELU by tanh"): "by the formula with tanh",
    ("falcon_7b", "GELU by tanh"): "by the formula with tanh",
    ("restored", "cut at 0 and 1"): "cut the shares",
    ("restored", "without a sign"): "sign is lost",
    ("find_circuit", "the smallest of all"): "goes step by step",
    ("find_circuit", "goes on at the share itself"): "reaches 0.5 exactly",
    ("adam_step", "no epsilon"): "epsilon is missing",
    ("adam_step", "epsilon inside the root"): "not inside it",
    ("adam_step", "the paper's epsilon"): "1e-7 here",
    ("join_adapters", "roots in both"): "no root",
    ("join_adapters", "roots of sizes in both"): "sign is lost",
}


def test_the_message_says_what_is_wrong():
    for path, name in EXERCISES:
        for what, answer in wrong_answers_of(path)[name].items():
            if said := SAID.get((name, what)):
                assert re.search(said, exercises_of(path)[name].grade(answer).message), what


RIGHT_ANSWERS = [
    (path, name, how)
    for path, name in EXERCISES
    for how in RIGHT.get(path.stem[3:], {}).get(name, ())
]


@pytest.mark.parametrize(("path", "name", "how"), RIGHT_ANSWERS)
def test_other_right_answers_are_taken(path, name, how):
    verdict = exercises_of(path)[name].grade(RIGHT[path.stem[3:]][name][how])
    assert verdict.is_right, verdict.message


FORMS = {
    "lists": lambda x: x.tolist() if isinstance(x, (np.ndarray, np.generic)) else x,
    "arrays of JAX": lambda x: jnp.asarray(x) if isinstance(x, np.ndarray) else x,
    "float32": lambda x: np.float32(x) if getattr(x, "dtype", None) == "float64" else x,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("path", "name"), EXERCISES, ids=IDS)
def test_right_numbers_are_taken_in_any_form(path, name, form):
    solution = getattr(load(path), name)

    def answer(*args, **kwargs):
        got = solution(*args, **kwargs)
        is_several = isinstance(got, tuple)
        return tuple(map(FORMS[form], got)) if is_several else FORMS[form](got)

    verdict = exercises_of(path)[name].grade(answer)
    assert verdict.is_right, verdict.message


@pytest.mark.parametrize(("path", "name"), EXERCISES, ids=IDS)
def test_an_answer_that_ignores_an_argument_is_refused(path, name):
    """An argument that no call varies may as well be a number in the learner's code."""
    solution = getattr(load(path), name)
    for i, (argument, how) in enumerate(inspect.signature(solution).parameters.items()):
        if how.default is how.empty and (name, argument) not in TOLD_BY_OTHERS:
            seen = []

            def answer(*args, i=i, seen=seen, **kwargs):
                seen.append(args[i])
                return solution(*args[:i], seen[0], *args[i + 1 :], **kwargs)

            is_right = exercises_of(path)[name].grade(answer).is_right
            assert not (is_right and isinstance(seen[0], (int, float, str, bool))), argument


TOLD_BY_OTHERS = {("falcon_7b", "num_heads")}  # the weights' shapes say it too


JUNK = ["four", {"a": 1}, (np.ones((2, 3)), np.ones(4)), [], object(), len, {1, 2}, True, np.nan]


@pytest.mark.parametrize(("path", "name"), EXERCISES, ids=IDS)
def test_what_does_not_fit_at_all_is_described(path, name):
    """No error of NumPy's about the check's own lines: what was returned, and what was asked."""
    for junk in JUNK:
        verdict = exercises_of(path)[name].grade(lambda *args, junk=junk, **kwargs: junk)
        assert not verdict.is_right
        assert not re.search(r"raised|inhomogeneous|ambiguous|Error", verdict.message)
        assert not verdict.message.endswith("asked for is something else.")


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_notebook_calls_every_check(path):
    notebook = nbformat.read(ROOT / "notebooks" / f"{path.stem}.ipynb", as_version=4)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert set(exercises_of(path)) == set(re.findall(r"check\.(\w+)\(", code))


# === The machinery ===


@exercise(hint="Twice.", praise="Doubled.")
def double(answer):
    expect_close(answer(np.array([1.0, 2.0])), [2, 4], "the double")


def test_hints_come_in_two_steps(capsys):
    check = Exercise(double.check, "Twice.", "Doubled.", nudge="Which operation?")
    check(lambda x: x)
    assert capsys.readouterr().out == "Not yet: the double at [0] should be 2, but yours is 1.\n"
    check(lambda x: x)
    assert capsys.readouterr().out.endswith("Hint: Which operation?\n")
    check(lambda x: x)
    assert capsys.readouterr().out.endswith("Hint: Twice.\n")
    check(lambda x: 2 * x)
    assert capsys.readouterr().out == "Right. Doubled.\n"


def test_the_untouched_stub_is_no_failure(capsys):
    check = Exercise(double.check, "Twice.", nudge="Which operation?")
    for blank in (None, lambda x: ..., ..., lambda x: ...):
        check(blank)
        assert capsys.readouterr().out == "Not yet: there is no answer yet.\n"
    check(lambda x: x)
    assert "Hint" not in capsys.readouterr().out
    check(lambda x: x)
    assert capsys.readouterr().out.endswith("Hint: Which operation?\n")


@pytest.mark.parametrize(("path", "name"), EXERCISES, ids=IDS)
def test_every_exercise_has_two_hints(path, name):
    check = exercises_of(path)[name]
    assert check.nudge
    assert check.nudge != check.hint


def helper(x):
    return x.nothing


def test_an_error_shows_the_line_of_the_learner():
    def answer(x):
        y = x + 1
        return helper(y) if x[0] else y[5]

    verdict = double.grade(answer)
    line = inspect.getsourcelines(helper)[1] + 1
    assert verdict.message.endswith(f"\n    line {line}: return x.nothing")
    assert "raised AttributeError" in verdict.message
    verdict = double.grade(lambda x: np.ones(2) @ np.ones(3))
    assert "np.ones(2) @ np.ones(3)" in verdict.message


def test_a_generator_that_fails_shows_its_line():
    @exercise(hint="One after the other.")
    def listed(answer):
        expect(list(answer(3)) == [0, 1, 2], "0, 1 and 2 should come.")

    def count(n):
        yield 0
        yield 1 / (n - 3)

    assert listed.grade(count).message.endswith("yield 1 / (n - 3)")


def test_a_model_broken_by_an_answer_harms_no_other():
    path = next(path for path in SOLUTIONS if path.stem.startswith("02"))
    check = exercises_of(path)["without_block"]
    assert not check.grade(load(ROOT / f"tests/wrong_answers/{path.stem[3:]}.py").silences).is_right
    assert check.grade(load(path).without_block).is_right


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
        (lambda x: "four", "is 'four'"),
        (lambda x: ["2", "4"], "should be numbers"),
        (lambda x: 2 * x + 1j, "should be numbers"),
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

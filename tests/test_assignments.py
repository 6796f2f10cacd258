"""Each graded task gives its solution all points, nothing no points, wrong answers what it should.

The cells that are scored here are those that nbgrader runs (`tools/assignments.py`), and
`tests/test_classroom.py` proves that nbgrader finds the same scores.
"""

import re
import warnings

from falcon_edu.course.checks import expect
from falcon_edu.course.checks.graded import Graded
from tools import assignments

import nbformat
import pytest

FOUND = assignments.find()
TASKS = [(path, name) for path in FOUND for name in assignments.tasks(assignments.read(path))]
IDS = [f"{path.stem}-{name}" for path, name in TASKS]
WRONG = [
    pytest.param(path, name, what, id=f"{path.stem}-{name}-{what}")
    for path, name in TASKS
    for what in assignments.wrong_answers(path).get(name, {})
]


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_solutions_have_all_points(path):
    notebook = assignments.read(path)
    assert assignments.scores(notebook) == assignments.tasks(notebook)


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_blank_has_no_points(path):
    notebook = assignments.read(path)
    got = assignments.scores(assignments.blank(notebook))
    assert got == dict.fromkeys(assignments.tasks(notebook), 0)


@pytest.mark.parametrize(("path", "name"), TASKS, ids=IDS)
def test_three_wrong_answers_are_known(path, name):
    assert len(assignments.wrong_answers(path)[name]) >= 3


@pytest.mark.parametrize(("path", "name", "what"), WRONG)
def test_wrong_answer_loses_points(path, name, what):
    notebook = assignments.read(path)
    edit = assignments.wrong_answers(path)[name][what]
    got = assignments.scores(assignments.answered(notebook, {name: edit}), only=name)
    assert got == {name: edit[0]}
    assert edit[0] < assignments.tasks(notebook)[name]


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_a_slip_costs_little_elsewhere(path):
    """One wrong answer, all others right: what is built on it keeps nearly all of its points."""
    notebook = assignments.read(path)
    full = assignments.tasks(notebook)
    for name, answers in assignments.wrong_answers(path).items():
        what, edit = next(iter(answers.items()))
        got = assignments.scores(assignments.answered(notebook, {name: edit}))
        lost = {task: full[task] - got[task] for task in full if task != name}
        assert sum(lost.values()) <= 2, (name, what, lost)


# === Form ===


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_assignment_has_its_parts(path):
    cells = nbformat.read(path, as_version=4).cells
    story = [cell.source for cell in cells if cell.cell_type == "markdown"]
    assert re.match(r"# Assignment \d: \S", story[0])
    assert all(part in story[0] for part in ("able to", "minutes", "20 points"))
    whole = "\n".join(story)
    order = [whole.index(part) for part in ("\n## Summary", "**Read on.**", "**Next.**")]
    assert order == sorted(order)
    for word in ("**Predict.**", "**Look.**", "**Name.**"):
        assert whole.count(word) >= 2, word


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_cells_are_marked_for_nbgrader(path):
    """Each task is a locked statement, a cell to answer, and a locked, graded test of 20 points."""
    notebook = assignments.read(path)
    marks = {}
    for cell in notebook.cells:
        if mark := cell.metadata.get("nbgrader"):
            assert mark["grade_id"] not in marks
            assert mark["schema_version"] == 3
            assert mark["locked"] == (not mark["solution"])
            assert mark["cell_type"] == cell.cell_type
            assert ("### BEGIN SOLUTION" in cell.source) == mark["solution"]
            assert ("### BEGIN HIDDEN TESTS" in cell.source) == mark["grade"]
            marks[mark["grade_id"]] = cell
    names = assignments.tasks(notebook)
    assert sum(names.values()) == 20
    for name, points in names.items():
        statement, test = marks[f"{name}-task"].source, marks[f"{name}-test"].source
        assert re.match(rf"### Task \d\.\d+: .* \*\({points} points?\)\*", statement)
        assert re.search(rf"points = check\.{name}\({name}\)\n", test)
        assert re.search(rf"check\.{name}\({name}, seed=[1-9]\d*\)", test)
        assert test.endswith("\npoints")
    expected = {"setup"} | {f"{name}{end}" for name in names for end in ("", "-task", "-test")}
    assert set(marks) == expected


# === The machinery ===

double = Graded()


@double.part(1, "a number")
def _(answer, rng):
    expect(answer(3) == 6, "the double of 3 is 6.")


@double.part(2, "a drawn number")
def _(answer, rng):
    number = int(rng.integers(1000))
    expect(answer(number) == 2 * number, f"the double of {number} is {2 * number}.")


def test_graded_counts_points(capsys):
    assert double(lambda x: 2 * x) == double.points == 3
    assert double(lambda x: 6) == 1
    assert double(lambda x: x) == double(None) == double(lambda x: ...) == 0
    assert "0 of 2  a drawn number: the double of 850 is 1700." in capsys.readouterr().out


def test_another_seed_draws_other_numbers():
    by_heart = {3: 6, 850: 1700}.__getitem__
    assert sum(mark.points for mark in double.grade(by_heart)) == 3
    assert sum(mark.points for mark in double.grade(by_heart, seed=7)) == 1


def times_two(x):
    return 3 * x  # a slip


def times_four(x):
    return times_two(times_two(x))


four = Graded(earlier={"times_two": lambda x: 2 * x})


@four.part(2, "four times as much")
def _(answer, rng):
    expect(answer(1) == 4, "four times 1 is 4.")


@four.part(1, "and all of it yours", is_whole=True)
def _(answer, rng):
    expect(answer(1) == 4, "four times 1 is 4.")


def test_a_right_answer_stands_in_for_an_earlier_slip(capsys):
    assert four(times_four) == 2
    said = capsys.readouterr().out
    assert "2 of 2  four times as much: with right answers in place of yours" in said
    assert "0 of 1  and all of it yours: four times 1 is 4." in said
    assert times_four(1) == 9  # it is the learner's own again
    assert four(lambda x: times_two(x)) == 0  # a slip of its own


def test_a_warning_costs_nothing(capsys):
    def answer(x):
        warnings.warn("nbgrader takes what is on stderr for a failure", stacklevel=1)
        return 2 * x

    assert double(answer) == 3
    assert capsys.readouterr().err == ""


def test_an_edit_that_does_not_fit_is_said():
    with pytest.raises(ValueError, match="no 'x' in the solution"):
        assignments.edited("### BEGIN SOLUTION\n1\n### END SOLUTION", ("x", "y"))
    with pytest.raises(ValueError, match="no region"):
        assignments.edited("1", (None, "2"))

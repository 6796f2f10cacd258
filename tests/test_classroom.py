"""The whole way of an assignment through nbgrader: release, submissions, scores, feedback.

Every assignment goes it with a good, a wrong and a blank submission, and gets the scores that
`tests/test_assignments.py` finds for the same answers. What a submission may do to its kernel is
tried on an assignment that imports little, since most of the time goes into imports.
"""

import copy
import csv
import re

from falcon_edu.course.notebooks import course_folder
from tools import assignments

import nbformat
import pytest
from nbformat import v4

pytest.importorskip("nbgrader")

from falcon_edu.course.classroom.__main__ import grade, main
from falcon_edu.course.classroom.course import CONFIG, Course

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("kernels_compile_once")]

EXERCISES = course_folder() / "exercises"


def hand_in(folder, student, notebook, name):
    path = folder / student / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def points_of(course, student):
    return {s.task: s.points for s in course.scores() if s.student == student}


def marked_only(notebook):
    """The notebook without the lesson around the tasks: much faster, and students may do so."""
    notebook = copy.deepcopy(notebook)
    notebook.cells = [cell for cell in notebook.cells if "nbgrader" in cell.metadata]
    return notebook


# === Every assignment ===


@pytest.mark.parametrize("path", assignments.find(), ids=lambda path: path.stem)
def test_nbgrader_finds_the_same_scores(path, tmp_path):
    notebook = assignments.read(path)
    wrong = {task: next(iter(w.values())) for task, w in assignments.wrong_answers(path).items()}
    edited = assignments.answered(notebook, wrong)
    handed_in = {"good": notebook, "wrong": edited, "blank": None}
    if path != assignments.find()[0]:  # of the others the judge's own test grades all
        handed_in = {"wrong": edited}
    course = Course.make(tmp_path / "course", EXERCISES)
    release = nbformat.read(course.release(path.stem), as_version=4)
    for student, answers in handed_in.items():
        answers = release if answers is None else answers
        hand_in(tmp_path / "in", student, marked_only(answers), path.stem)

    for student, assignment in course.take_in(tmp_path / "in"):
        assert course.grade(student, assignment) == ""

    full = assignments.tasks(notebook)
    if len(handed_in) > 1:
        assert points_of(course, "good") == full
        assert points_of(course, "blank") == dict.fromkeys(full, 0)
    got = points_of(course, "wrong")
    assert got == assignments.scores(edited)
    assert 0 < sum(got.values()) < sum(full.values())
    page = course.folder / "feedback" / "wrong" / path.stem / f"{path.stem}.html"
    assert f"{sum(got.values()):g}" in page.read_text()


@pytest.mark.parametrize("path", assignments.find(), ids=lambda path: path.stem)
def test_release_shows_no_solution(path, tmp_path):
    course = Course.make(tmp_path / "course", EXERCISES)
    release = nbformat.read(course.release(path.stem), as_version=4)
    source = "\n".join(cell.source for cell in release.cells)
    assert "SOLUTION" not in source
    assert "HIDDEN" not in source
    assert "seed=" not in "".join(c.source for c in release.cells if "nbgrader" in c.metadata)
    assert source.count(assignments.STUB) >= len(assignments.tasks(release))
    assert all(not cell.get("outputs") for cell in release.cells)


# === What a submission may do to its kernel ===

SETUP = """\
from falcon_edu.course.checks.exercise import expect
from falcon_edu.course.checks.graded import Graded
first, second = Graded(), Graded()
@first.part(1, "the double of 3")
def _(answer, rng):
    expect(answer(3) == 6, "it should be 6.")
@first.part(1, "the double of a drawn number")
def _(answer, rng):
    number = int(rng.integers(100))
    expect(answer(number) == 2 * number, f"it should be {2 * number}.")
@second.part(2, "one more than 3")
def _(answer, rng):
    expect(answer(3) == 4, "it should be 4.")
"""
ANSWER = "def {}(x):\n    ### BEGIN SOLUTION\n    return {}\n    ### END SOLUTION"
TEST = """\
points = {0}({0}_answer)
### BEGIN HIDDEN TESTS
points = min(points, {0}({0}_answer, seed=5))
### END HIDDEN TESTS
points"""


def marked(source, grade_id, solution=False, points=None):
    mark = {
        "schema_version": 3,
        "grade_id": grade_id,
        "grade": points is not None,
        "solution": solution,
        "task": False,
        "locked": not solution,
        "cell_type": "code",
        **({} if points is None else {"points": points}),
    }
    return v4.new_code_cell(source, metadata={"nbgrader": mark})


def tiny():
    """An assignment of two tasks that imports little."""
    cells = [marked(SETUP, "setup")]
    for name, value in [("first", "2 * x"), ("second", "x + 1")]:
        cells.append(marked(ANSWER.format(f"{name}_answer", value), name, solution=True))
        cells.append(marked(TEST.format(name), f"{name}-test", points=2))
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return v4.new_notebook(cells=cells, metadata=kernel)


FOREVER = "while True:\n    pass"
STUBBORN = """\
while True:
    try:
        while True:
            pass
    except BaseException:
        pass"""
BOMB = "hoard = [x] * 1000\nwhile True:\n    hoard = hoard + hoard"
BY_HEART = "return {3: 6, 85: 170}[x]"

SUBMISSIONS = {
    "good": (None, 2),
    "blank": (assignments.STUB, 0),
    "partly": ("return 6", 1),
    "by_heart": (BY_HEART, 1),  # the visible numbers only
    "warns": ("import sys\nprint('note', file=sys.stderr)\nreturn 2 * x", 2),
    "loops": (FOREVER, 0),
    "stubborn": (STUBBORN, 0),
    "bomb": (BOMB, 0),
    "kills": ("import os\nos._exit(1)", 0),
}


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classroom") / "course"
    (folder / "source" / "tiny").mkdir(parents=True)
    settings = (EXERCISES / CONFIG).read_text()
    assert "timeout = 60 " in settings
    assert "memory = 4000 " in settings
    settings = settings.replace("timeout = 60 ", "timeout = 8 ").replace("4000 ", "1000 ")
    (folder / CONFIG).write_text(settings)
    nbformat.write(tiny(), folder / "source" / "tiny" / "tiny.ipynb")
    course = Course(folder)
    course.release("tiny")
    return course


@pytest.mark.parametrize("student", SUBMISSIONS)
def test_a_submission_ends_with_a_score(course, tmp_path, student):
    """Whatever the first answer does, it is scored, and so is the second, which is right."""
    answer, points = SUBMISSIONS[student]
    notebook = tiny()
    if answer:
        notebook.cells[1].source = assignments.edited(notebook.cells[1].source, (None, answer))
    hand_in(tmp_path, student, notebook, "tiny")
    assert course.take_in(tmp_path) == [(student, "tiny")]
    assert course.grade(student, "tiny") == ""
    assert points_of(course, student) == {"first": points, "second": 2}
    page = (course.folder / "feedback" / student / "tiny" / "tiny.html").read_text()
    said = {"loops": "took longer than", "stubborn": "could not be stopped", "kills": "died"}
    assert said.get(student, "") in page


def test_deleted_tests_are_put_back(course, tmp_path):
    notebook = tiny()
    del notebook.cells[2]
    hand_in(tmp_path, "deletes", notebook, "tiny")
    course.take_in(tmp_path)
    assert course.grade("deletes", "tiny") == ""
    assert points_of(course, "deletes") == {"first": 2, "second": 2}


def test_what_is_no_notebook_has_no_score(course, tmp_path, capsys):
    """Not even zero: in no file, in the table, and in the last lines that the teacher sees."""
    hand_in(tmp_path, "eva", tiny(), "tiny")
    (tmp_path / "eve").mkdir()
    (tmp_path / "eve" / "tiny.ipynb").write_text("my answers")
    assert grade(course, tmp_path, ["tiny"]) == 1
    out, err = capsys.readouterr()
    assert re.search(r"^eve +no score$", out, re.MULTILINE)
    assert re.search(r"^eva +4 of +4$", out, re.MULTILINE)
    assert re.search(r"^no score: eve, tiny: .*JSON", err.splitlines()[-1])
    assert course.without_score() == [("eve", "tiny")]
    students = {line.split(",")[0] for line in (course.folder / "scores.csv").open()}
    assert "eva" in students
    assert "eve" not in students

    hand_in(tmp_path, "eve", tiny(), "tiny")  # the second try is a notebook
    assert grade(course, tmp_path, ["tiny"]) == 0
    assert course.without_score() == []
    assert points_of(course, "eve") == {"first": 2, "second": 2}


def test_misnamed_submissions_are_named(course, tmp_path, monkeypatch, capsys):
    hand_in(tmp_path, "ada", tiny(), "tiny")
    hand_in(tmp_path, "cy", tiny(), "tiny (1)")  # a second download
    hand_in(tmp_path, "", tiny(), "tiny")  # in no student's folder
    hand_in(tmp_path / "ada", ".ipynb_checkpoints", tiny(), "tiny-checkpoint")  # Jupyter's own
    assert course.take_in(tmp_path) == [("ada", "tiny")]
    names = [str(path.relative_to(tmp_path)) for path in course.left_out(tmp_path)]
    assert names == ["cy/tiny (1).ipynb", "tiny.ipynb"]
    monkeypatch.setattr(course, "grade", lambda student, assignment: "")  # tried above
    assert grade(course, tmp_path, ["tiny"]) == 1
    said = capsys.readouterr().err
    assert "tiny (1).ipynb" in said
    assert "STUDENT/tiny.ipynb" in said


def test_scores_are_written(course, tmp_path):
    hand_in(tmp_path, "ada", tiny(), "tiny")
    course.take_in(tmp_path)
    assert course.grade("ada", "tiny") == ""
    with course.write_scores().open(newline="") as file:
        rows = list(csv.DictReader(file))
    own = [row for row in rows if row["student"] == "ada"]
    assert [(row["task"], float(row["points"])) for row in own] == [("first", 2), ("second", 2)]


# === The command ===


def test_command_needs_submissions(tmp_path, capsys):
    (tmp_path / "none").mkdir()
    with pytest.raises(FileNotFoundError, match="No submission"):
        Course.make(tmp_path / "course", EXERCISES).take_in(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="Make one with"):
        Course(tmp_path / "none")


def test_command_releases_and_keeps_what_is_there(tmp_path, capsys):
    folder = tmp_path / "course"
    assert main([str(folder), "--assignment", "01_attention_by_hand"]) == 0
    assert "released: release" in capsys.readouterr().out
    (folder / CONFIG).write_text((folder / CONFIG).read_text() + "\n# mine\n")
    assert main([str(folder), "--assignment", "01_attention_by_hand"]) == 0
    assert (folder / CONFIG).read_text().endswith("# mine\n")
    assert main([str(folder), "--assignment", "nothing_like_it"]) == 1
    assert "could not be released" in capsys.readouterr().err


def test_command_grades_whole_notebooks(tmp_path, capsys):
    """As students hand them in, lesson and all; one task is blank, so some lesson cells fail."""
    path = next(path for path in assignments.find() if path.stem.startswith("01"))
    notebook = assignments.read(path)
    for student, answers in {
        "ada": notebook,
        "bob": assignments.answered(notebook, {"masked_softmax": (0, None, assignments.STUB)}),
    }.items():
        hand_in(tmp_path / "in", student, answers, path.stem)
    folder = str(tmp_path / "course")
    assert main([folder, "--submissions", str(tmp_path / "in"), "--assignment", path.stem]) == 0
    out, err = capsys.readouterr()
    assert re.search(r"^ada +20 of 20$", out, re.MULTILINE)
    assert re.search(r"^bob +17 of 20$", out, re.MULTILINE)
    assert not err
    page = tmp_path / "course" / "feedback" / "bob" / path.stem / f"{path.stem}.html"
    assert "## 2. Hidden keys" not in page.read_text()  # rendered
    assert "2. Hidden keys" in page.read_text()

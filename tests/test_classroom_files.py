"""What students hand in, as files: links, pipes, second copies, odd names. None stops others."""

import csv
import json
import os
from pathlib import Path

from tools import assignments

import nbformat
import pytest

pytest.importorskip("nbgrader")

from falcon_edu.course.classroom import handed_in
from falcon_edu.course.classroom.__main__ import grade
from falcon_edu.course.classroom.course import CONFIG, Course
from tests.test_classroom import EXERCISES, hand_in, points_of, tiny

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course in a path with brackets, as a browser or a cloud may name a folder."""
    folder = tmp_path_factory.mktemp("classroom") / "my course [2026] 50%"
    (folder / "source" / "tiny").mkdir(parents=True)
    (folder / CONFIG).write_text((EXERCISES / CONFIG).read_text().replace("= 60 ", "= 10 "))
    nbformat.write(tiny(), folder / "source" / "tiny" / "tiny.ipynb")
    course = Course(folder)
    course.release("tiny")
    return course


def test_no_bad_entry_stops_the_others(course, tmp_path, capsys):
    hand_in(tmp_path, "ada", tiny(), "tiny")
    hand_in(tmp_path, "zoe", tiny(), "tiny")
    for student in ("folder", "link", "broken", "loop", "pipe", "text", "huge", "linked"):
        (tmp_path / student).mkdir()
    (tmp_path / "folder" / "tiny.ipynb").mkdir()
    (tmp_path / "link" / "tiny.ipynb").symlink_to(tmp_path / "ada" / "tiny.ipynb")
    (tmp_path / "broken" / "tiny.ipynb").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop" / "tiny.ipynb").symlink_to(tmp_path / "loop" / "tiny.ipynb")
    (tmp_path / "loop" / "again").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe" / "tiny.ipynb")
    (tmp_path / "text" / "tiny.ipynb").write_text("my answers")
    with (tmp_path / "huge" / "tiny.ipynb").open("wb") as file:
        file.truncate(handed_in.MAX_SIZE + 1)
    (tmp_path / "thief").symlink_to(tmp_path / "ada")
    (tmp_path / "__MACOSX" / "ada").mkdir(parents=True)
    (tmp_path / "__MACOSX" / "ada" / "tiny.ipynb").write_text("?")
    (tmp_path / "ada" / "._tiny.ipynb").write_text("?")
    assert grade(course, tmp_path, ["tiny"]) == 1
    assert points_of(course, "ada") == points_of(course, "zoe") == {"first": 2, "second": 2}
    said = capsys.readouterr().err.splitlines()
    for name in ("folder", "link", "broken", "loop", "pipe", "huge", "thief"):
        assert any(f"/{name}" in line and "not graded" in line for line in said), name
    assert any(line.startswith("no score: text") for line in said)
    assert not any("MACOSX" in line or "._" in line for line in said)
    assert "MACOSX" not in {score.student for score in course.scores()}


def test_the_nearest_of_two_files_counts_and_the_other_is_named(course, tmp_path):
    notebook = tiny()
    notebook.cells[1].source = assignments.edited(notebook.cells[1].source, (None, "return 0"))
    hand_in(tmp_path, "both", tiny(), "tiny")
    hand_in(tmp_path / "both", "old", notebook, "tiny")
    assert course.take_in(tmp_path) == [("both", "tiny")]
    assert course.grade("both", "tiny") == ""
    assert points_of(course, "both") == {"first": 2, "second": 2}
    assert list(course.left_out(tmp_path)) == [tmp_path / "both" / "old" / "tiny.ipynb"]


@pytest.mark.parametrize("student", ["[a-z]*", "=1+1", "a b", "Zoë", "100%", "..x", "a\x1b[2Jb"])
def test_a_student_may_have_any_name(course, tmp_path, capsys, student):
    hand_in(tmp_path, student, tiny(), "tiny")
    assert grade(course, tmp_path, ["tiny"]) == 0
    assert points_of(course, student) == {"first": 2, "second": 2}
    assert "\x1b" not in capsys.readouterr().out
    with (course.folder / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert not any(value.startswith(("=", "+", "@")) for row in rows for value in row.values())


def test_a_page_of_feedback_runs_nothing(course, tmp_path):
    notebook = tiny()
    script = "<script>alert('hello')</script>"
    notebook.cells.append(nbformat.v4.new_markdown_cell(f"# Mine {script} <img src=x onerror=y>"))
    escaped = script.replace("<", "&lt;").replace(">", "&gt;")
    notebook.cells.append(nbformat.v4.new_markdown_cell(f"# {escaped}\n\n{escaped}"))
    notebook.cells.append(nbformat.v4.new_raw_cell(script))
    shows = f"from IPython.display import HTML, display\ndisplay(HTML({script!r}))"
    prints = f"print({script!r})\nraise ValueError({script!r})"
    notebook.cells += [nbformat.v4.new_code_cell(source) for source in (shows, prints)]
    answer = f"raise ValueError({script!r})"
    notebook.cells[1].source = assignments.edited(notebook.cells[1].source, (None, answer))
    notebook.metadata["title"] = script
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {}}  # Colab's
    hand_in(tmp_path, "mallory", notebook, "tiny")
    course.take_in(tmp_path)
    assert course.grade("mallory", "tiny") == ""
    assert points_of(course, "mallory") == {"first": 0, "second": 2}
    page = (course.folder / "feedback" / "mallory" / "tiny" / "tiny.html").read_text()
    assert script not in page
    assert "<img src=x" not in page
    assert page.index("Content-Security-Policy") < page.index("<script")
    assert "alert(" in page  # as text
    assert "seed=5" not in page  # the hidden tests


def test_a_cheat_is_named_in_the_report(course, tmp_path, capsys):
    notebook = tiny()
    silent = "get_ipython().ast_node_interactivity = 'none'"
    notebook.cells[1].source = silent
    notebook.cells[3].source = "second_answer = 1"
    hand_in(tmp_path, "mona", notebook, "tiny")
    assert grade(course, tmp_path, ["tiny"]) == 0
    assert points_of(course, "mona") == {"first": 0, "second": 0}
    report = (course.folder / "report.txt").read_text()
    assert "mona, tiny: a cell changes what cells show" in report
    assert "mona, tiny: second: its own check shows no points" in report
    assert "worth a look: mona, tiny" in capsys.readouterr().out


def test_what_a_notebook_can_reach(course, tmp_path):
    """Not the course, not what others handed in, not this process, not a network."""
    from falcon_edu.course.classroom import confine

    if confine.kind() == "limits":
        pytest.skip("this system has no box for a process")
    lines = f"""\
import glob, json, os, socket
secret = r'{course.folder}/gradebook.db', r'{tmp_path}', r'{Path.home()}/.ssh'
seen = [path for path in secret if os.path.exists(path)]
seen += glob.glob(r'{EXERCISES}/source/*/*.ipynb')
alive = [pid for pid in os.listdir('/proc') if pid.isdigit()]
try:
    socket.create_connection(('127.0.0.1', 1), 1)
except OSError as error:
    net = error.errno
import falcon_edu
try:
    open(falcon_edu.__file__, 'a'); may_write = True
except OSError:
    may_write = False
print('SEEN', json.dumps([seen, len(alive), net, may_write]))"""
    notebook = tiny()
    notebook.cells.append(nbformat.v4.new_code_cell(lines))
    hand_in(tmp_path, "looks", notebook, "tiny")
    course.take_in(tmp_path)
    assert course.grade("looks", "tiny") == ""
    path = course.folder / "autograded" / "looks" / "tiny" / "tiny.ipynb"
    shown = str(nbformat.read(path, as_version=4).cells[-1].outputs)
    seen, alive, net, may_write = json.loads(shown.split("SEEN ")[1].split("\\n")[0])
    assert seen == []
    assert alive <= 3
    assert net == 101  # ENETUNREACH
    assert not may_write

"""The notebooks pass the guards of `tools/notebooks.py`, and each guard can fail."""

import base64
import io
import re
from pathlib import Path

from falcon_edu import plots
from tools import minutes, notebooks, second_run

import nbformat
import numpy as np
import pytest
from nbformat import v4
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
FOUND = notebooks.find([ROOT / "notebooks"])


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_notebook_is_in_order(path):
    assert notebooks.check(path) == []


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_notebook_is_stripped(path):
    notebook = nbformat.read(path, as_version=4)
    stripped = nbformat.read(path, as_version=4)
    notebooks.strip(stripped)
    assert notebook == stripped


# === Lessons ===

# The graded assignments have parts of their own: `tests/test_assignments.py`.
FIRST = ROOT / "notebooks" / "00_welcome.ipynb"
LESSONS = [p for p in FOUND if p.parent.name == "notebooks" and re.match(r"(?!00)\d\d_", p.name)]


@pytest.mark.parametrize("path", [FIRST, *LESSONS], ids=lambda path: path.stem)
def test_minutes_are_those_of_the_rule(path):
    """The opening and the README say what words, lines, predictions and exercises add up to."""
    notebook = nbformat.read(path, as_version=4)
    assert f"{minutes.sentence(notebook)}." in notebook.cells[0].source
    row = f"](notebooks/{path.stem}.ipynb) | {minutes.row(notebook)} |"
    assert row in (ROOT / "README.md").read_text()


def test_teachers_are_told_the_same_minutes():
    lessons = [nbformat.read(path, as_version=4) for path in LESSONS]
    read, worked = [*map(minutes.reading, lessons)], [*map(minutes.exercises, lessons)]
    said = (ROOT / "docs" / "teaching.md").read_text()
    assert f"takes {min(read)} to {max(read)} minutes of reading" in said
    assert f"another {min(worked)} to {max(worked)} minutes" in said


def test_minutes_count_words_lines_and_predictions():
    folded = f"<details>{'word ' * 9000}</details>"
    words, code = v4.new_markdown_cell("word " * 1500 + folded), v4.new_code_cell("x = 1\n\n" * 100)
    asked = v4.new_markdown_cell("**Predict.** " * 10)
    tasks = v4.new_markdown_cell(
        "## Exercises\n" + "word " * 9000 + "\n### Exercise 1 *(20 minutes, hard)*"
    )
    made = v4.new_notebook(cells=[words, code, asked, tasks, v4.new_code_cell("y = 1")])
    assert (minutes.reading(made), minutes.exercises(made)) == (35, 20)
    assert minutes.sentence(made) == "About 35 minutes of reading, and 20 for the exercises"


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lesson_has_its_parts(path):
    """Outcomes and minutes first; then the story; a summary, exercises, and where to read on."""
    cells = nbformat.read(path, as_version=4).cells
    story = [cell.source for cell in cells if cell.cell_type == "markdown"]
    assert re.match(r"# \S", story[0])
    assert re.search(r"minutes", story[0])
    assert re.search(r"able to", story[0])
    whole = "\n".join(story)
    order = [whole.index(part) for part in ("\n## Summary", "\n## Exercises", "**Read on.**")]
    assert order == sorted(order)
    for word in ("**Predict.**", "**Look.**", "**Name.**"):
        assert whole.count(word) >= 2, word
    exercises = re.findall(r"^### Exercise.*$", whole, re.MULTILINE)
    assert len(exercises) >= 3
    assert all(re.search(r"\d+ minutes, (easy|medium|hard)", line) for line in exercises)
    assert f"(solutions/{path.stem}.py)" in whole


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lesson_shows_that_the_package_agrees(path):
    code = [c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    assert any("assert_allclose" in source for source in code)


ODD = re.compile(
    r"\bnormed\b|\bcolors?\b|\bthe mark (?:in front|that begins)|\bwhat (?:shape|size|rank) has\b",
    re.IGNORECASE,
)


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_prose_has_the_words_that_were_agreed_on(path):
    """A stream is normalized, a colour has a u, a question has a "does", a start token one name."""
    cells = nbformat.read(path, as_version=4).cells
    story = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert ODD.findall(story) == []


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_first_cell_installs_where_needed(path):
    first, welcome = (
        next(c.source for c in nbformat.read(p, as_version=4).cells if c.cell_type == "code")
        for p in (path, FOUND[0])
    )
    assert first.partition("\n\n")[0] == welcome.partition("\n\n")[0]


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_links_lead_to_files(path):
    cells = nbformat.read(path, as_version=4).cells
    story = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    links = [to.partition("#")[0] for to in re.findall(r"\]\(([^)#]+)[^)]*\)", story)]
    assert [to for to in links if "://" not in to and not (path.parent / to).exists()] == []


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_pictures_have_alt_text(path):
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                assert output.metadata["image/png"]["alt"].strip()


# === The guards themselves ===


def text(name, written):
    return v4.new_output("stream", name=name, text=written)


def error():
    return v4.new_output("error", ename="ValueError", evalue="no", traceback=[])


def live_view():
    return v4.new_output("display_data", data={notebooks.WIDGET_VIEW: {}, "text/plain": "a view"})


def cell(source="1 + 1", outputs=(), execution_count=1, tags=()):
    return v4.new_code_cell(
        source, outputs=list(outputs), execution_count=execution_count, metadata={"tags": [*tags]}
    )


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (cell(execution_count=None), "never executed"),
        (cell(outputs=[error()]), "raised an error"),
        (cell(tags=["raises-exception"]), "raised nothing"),
        (cell(outputs=[text("stderr", "a warning")]), "wrote to stderr"),
        (cell(outputs=[live_view()]), "live view"),
        (cell(outputs=[text("stdout", "saved to /home/ada/falcon")]), "path of a machine"),
        (cell(outputs=[text("stdout", r"C:\Users\ada")]), "path of a machine"),
        (cell("\n".join(["x = 1"] * 26)), "26 lines"),
        (cell(outputs=[text("stdout", "x" * notebooks.MAX_BYTES)]), "bytes"),
    ],
)
def test_guards_go_red(tmp_path, bad, message):
    path = tmp_path / "made.ipynb"
    nbformat.write(v4.new_notebook(cells=[bad]), path)
    (wrong,) = notebooks.check(path)
    assert message in wrong


def lesson(*cells):
    return v4.new_notebook(
        cells=[c if isinstance(c, dict) else v4.new_markdown_cell(c) for c in cells]
    )


def folded(notebook):
    return [i for i, c in enumerate(notebook.cells) if c.metadata.get("jupyter")]


def test_answers_of_predictions_are_folded_and_nothing_else_is():
    made = lesson(
        cell("x = 1"),
        "**Predict.** What is x?",
        cell("y = x"),
        "A step between.",
        cell("print(y)", [text("stdout", "1")]),
        cell("print(-y)", [text("stdout", "-1")]),
        "**Look.** It is 1.",
        cell("print('shown')", [text("stdout", "shown")]),
    )
    made.cells[7].metadata["jupyter"] = {"outputs_hidden": True}
    notebooks.strip(made)
    assert folded(made) == [4, 5]
    assert made.cells[4].outputs[0] == notebooks.CURTAIN
    once = nbformat.writes(made)
    notebooks.strip(made)
    assert nbformat.writes(made) == once


def test_an_open_answer_goes_red():
    made = lesson("**Predict.** What is x?", cell("print(1)", [text("stdout", "1")]))
    assert "is open" in next(notebooks.open_answers(made))
    made.cells[1].metadata["jupyter"] = {"outputs_hidden": True}
    assert "beginning of the answer" in next(notebooks.open_answers(made))
    notebooks.fold(made)
    assert list(notebooks.open_answers(made)) == []


def test_a_section_between_a_prediction_and_its_answer_goes_red():
    asked, answer = "### What do they do?\n\n**Predict.** What is x?", cell("print(1)")
    assert list(notebooks.left_hanging(lesson(asked, answer, "**Look.** One."))) == []
    (wrong,) = notebooks.left_hanging(lesson(asked, "### Another thing", answer))
    assert wrong == "cell 0: another section begins before the prediction is answered"
    assert list(notebooks.left_hanging(lesson(asked, "Write it here.", answer))) == []


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_each_prediction_has_an_answer(path):
    """A notebook folds at least a cell for each prediction that cells answer."""
    notebook = nbformat.read(path, as_version=4)
    asked = sum(c.source.count("**Predict.**") for c in notebook.cells if c.cell_type != "code")
    assert len(folded(notebook)) >= asked / 2
    assert list(notebooks.left_hanging(notebook)) == []
    assert all(c.metadata.jupyter.outputs_hidden for _, c in notebooks.answers(notebook))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_each_cell_can_be_run_again_after_the_last(path):
    """No cell reads a name that a later one has given to something else."""
    assert second_run.check(path) == []


@pytest.mark.parametrize(
    ("sources", "name"),
    [
        (["x = 1", "print(x)", "x = 2"], "x"),
        (["x = 1", "def f():\n    return x", "for x in 'ab':\n    pass"], "x"),
        (["x = [1]", "[x for x in x]", "import os as x"], "x"),
        (["x = 1", "x = x + 1"], "x"),
        (["x = 1", "x += 1"], "x"),
        (["x = 1", "print(f'{x}')", "del x"], "x"),
        (["x = 1", "print(x)", "def x():\n    pass"], "x"),
    ],
)
def test_a_name_that_is_given_away_is_found(sources, name):
    assert [each.split()[4] for each in second_run.reused(sources)] == [name]


@pytest.mark.parametrize(
    "sources",
    [
        ["x = 1", "print(x)"],
        ["x = 1", "def f(x):\n    return x", "x = 2"],
        ["x = 1", "x = 2\nprint(x)", "x = 3"],
        ["x = 1", "print([x for x in range(3)])", "x = 3"],
        ["x = 1", "print(y.x, f(x=3))", "x = 3"],
        ["x = 1", "if True:\n    %pip install y", "x = 3"],
    ],
)
def test_a_name_of_its_own_is_no_harm(sources):
    assert list(second_run.reused(sources)) == []


def test_widget_state_goes_red(tmp_path):
    path = tmp_path / "made.ipynb"
    nbformat.write(v4.new_notebook(cells=[cell()], metadata={"widgets": {}}), path)
    assert notebooks.check(path) == [f"{path}: the notebook holds widget state"]


def test_good_cells_pass(tmp_path):
    good = [
        v4.new_markdown_cell("Text may say /home/ada, and be long."),
        cell("\n".join(["x = 1"] * 25), outputs=[text("stdout", "a/b and 1/2")]),
        cell("raise ValueError('no')", outputs=[error()], tags=["raises-exception"]),
        cell("", execution_count=None),
    ]
    path = tmp_path / "made.ipynb"
    nbformat.write(v4.new_notebook(cells=good), path)
    assert notebooks.check(path) == []


def test_live_views_go_and_what_is_beside_them_stays():
    view = {notebooks.WIDGET_VIEW: {"model_id": "a"}}
    alone = v4.new_output("display_data", data=view)
    beside = v4.new_output("display_data", data={**view, "text/plain": "a view"})
    made = lesson(cell(outputs=[text("stdout", "1"), alone, beside, notebooks.CURTAIN.copy()]))
    notebooks.strip(made)
    stream, kept = made.cells[0].outputs
    assert (stream.text, kept.data) == ("1", {"text/plain": "a view"})


def test_pieces_of_a_stream_are_joined():
    outputs = [text("stdout", "a"), text("stdout", "b"), text("stderr", "c"), text("stdout", "d")]
    joined = [(output.name, output.text) for output in notebooks.join_streams(outputs)]
    assert joined == [("stdout", "ab"), ("stderr", "c"), ("stdout", "d")]


def test_pictures_are_packed_and_look_as_before():
    axes = plots.heatmap(np.eye(9), range(9), range(9), title="ones")
    data, metadata = axes.figure._repr_mimebundle_()
    before = data["image/png"]
    made = lesson(cell(outputs=[v4.new_output("display_data", data=data, metadata=metadata)]))
    notebooks.lighten(made)
    after = made.cells[0].outputs[0].data["image/png"]
    assert len(after) < 0.95 * len(before)
    old, new = (Image.open(io.BytesIO(base64.b64decode(png))) for png in (before, after))
    assert (old.size, old.info["dpi"]) == (new.size, new.info["dpi"])
    assert np.array_equal(old.convert("RGBA"), new.convert("RGBA"))


@pytest.mark.slow
def test_run_executes_and_strips(tmp_path):
    """A run leaves text and pictures, and nothing that differs between two runs."""
    path = tmp_path / "made.ipynb"
    source = "import ipywidgets\nprint(6 * 7)\nipywidgets.IntSlider(3)"
    made = v4.new_notebook(cells=[v4.new_code_cell(source)])
    nbformat.write(made, path)

    notebooks.run(path)
    first = path.read_text()
    notebooks.run(path)

    assert notebooks.check(path) == []
    assert path.read_text() == first
    ran = nbformat.read(path, as_version=4)
    assert ran.cells[0].outputs[0].text == "42\n"
    assert ran.cells[0].outputs[1].data == {"text/plain": "IntSlider(value=3)"}
    assert ran.metadata == {
        "kernelspec": notebooks.KERNELSPEC,
        "language_info": {"name": "python"},
    }

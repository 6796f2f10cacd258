"""Each exercise ends with its solution: folded, with a reason, and with all that the code needs."""

import ast
import builtins
import re
from pathlib import Path

from tools import solutions

import nbformat
import pytest

FILES = sorted(solutions.SOLUTIONS.glob("[0-9]*.py"))
NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def lesson(file):
    return nbformat.read(NOTEBOOKS / f"{file.stem}.ipynb", as_version=4)


def exercises(notebook):
    """What each exercise has below its heading: `{number: cells}`."""
    found = {}
    for cell in notebook.cells:
        if asked := re.search(r"^### Exercise (\d+\.\d+)", cell.source, re.MULTILINE):
            found[asked[1]] = []
        elif found and re.match(r"## |\*\*Read on", cell.source):
            break
        elif found:
            found[[*found][-1]].append(cell)
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_notebooks_have_the_solutions_of_the_files(file):
    """Where this fails: `python -m tools.solutions`."""
    notebook = lesson(file)
    assert notebook.cells == solutions.placed(notebook, file.read_text())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_exercise_ends_with_the_answer_to_its_check_and_a_reason(file):
    asked = exercises(lesson(file))
    kept = {number: (reason, code) for number, reason, code in solutions.read(file.read_text())}
    assert list(asked) == list(kept)
    for number, cells in asked.items():
        reason, code = kept[number]
        (name,) = re.findall(r"check\.(\w+)\(", "\n".join(cell.source for cell in cells[:-1]))
        assert f"def {name}(" in code
        assert len(reason.split()) >= 25
        assert cells[-1].source.startswith(f"<details><summary>Solution to {number}</summary>")
        assert reason in cells[-1].source


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_code_that_is_shown_has_the_names_that_it_needs(file):
    notebook = lesson(file)
    known = solutions.names("\n".join(c.source for c in notebook.cells if c.cell_type == "code"))
    for number, cells in exercises(notebook).items():
        code = re.search(r"```python\n(.*)\n```", cells[-1].source, re.DOTALL)[1]
        assert unknown(code) - known == set(), number


def unknown(code):
    """The names that code reads and neither binds nor has from Python."""
    nodes = [*ast.walk(ast.parse(code))]
    names = [node for node in nodes if isinstance(node, ast.Name)]
    bound = {name.id for name in names if isinstance(name.ctx, ast.Store)}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    bound |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    return {name.id for name in names} - bound - solutions.names(code) - set(dir(builtins))


FILE = """
from math import pi

import numpy as np


# 1.1: It
# doubles.
def double(x):
    return np.add(x, x)


# 1.2: A half.
def half():
    return pi / 2
"""


def made(*sources):
    cells = [
        nbformat.v4.new_code_cell(source[1:], id=f"c{i}")
        if source.startswith("!")
        else nbformat.v4.new_markdown_cell(source, id=f"c{i}")
        for i, source in enumerate(sources)
    ]
    return nbformat.v4.new_notebook(cells=cells)


def test_a_solution_lies_at_the_end_of_its_exercise():
    notebook = made(
        "## Exercises\n\n### Exercise 1.1: a",
        "!import numpy as np",
        "And then?",
        "!double(3)",
        "### Exercise 1.2: b",
        "!half()",
        "**Read on.**",
    )
    notebook.cells = solutions.placed(notebook, FILE)
    ids = [cell.id for cell in notebook.cells]
    assert ids == ["c0", "c1", "c2", "c3", "c0-solution", "c4", "c5", "c4-solution", "c6"]
    assert notebook.cells[4].source == (
        "<details><summary>Solution to 1.1</summary>\n\nIt doubles.\n\n"
        "```python\ndef double(x):\n    return np.add(x, x)\n```\n\n</details>"
    )
    assert "```python\nfrom math import pi\n\n\ndef half" in notebook.cells[7].source
    assert solutions.placed(notebook, FILE) == notebook.cells


@pytest.mark.parametrize("change", [("doubles", "does"), ("pi / 2", "pi"), ("1.2", "1.3")])
def test_what_a_file_changes_is_seen(change):
    notebook = made("### Exercise 1.1: a", "!1", "### Exercise 1.2: b", "!2")
    notebook.cells = solutions.placed(notebook, FILE)
    assert solutions.placed(notebook, FILE.replace(*change)) != notebook.cells


def test_a_name_that_is_missing_is_found():
    assert unknown("def f(x):\n    return [math.pi for _ in range(x)]") == {"math"}
    assert unknown("import math\n\ndef f(x):\n    return math.pi * x") == set()


def test_each_question_of_the_welcome_has_an_answer_too():
    cells = nbformat.read(NOTEBOOKS / "00_welcome.ipynb", as_version=4).cells
    whole = "\n".join(cell.source for cell in cells)
    tasks = whole.partition("\n## Try it yourself\n")[2].partition("\n## ")[0]
    parts = re.split(r"^\d+\. \*\(", tasks, flags=re.MULTILINE)[1:]
    assert len(parts) >= 3
    for part in parts:
        (answer,) = re.findall(
            r"<details><summary>Answer</summary>(.+?)</details>", part, re.DOTALL
        )
        assert len(answer.split()) >= 25

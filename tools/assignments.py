"""Read the graded assignments, answer them in other ways, and score them without nbgrader.

An assignment is a source notebook of nbgrader. Each task has a cell with a solution, `grade_id` its
name, and a cell that scores it. They need the first code cell and earlier solutions, and nothing
else: so a wrong answer is scored in a moment, by the very cell that nbgrader runs. A wrong answer
is an edit of the solution: `(points, old, new, ...)`, or `(points, None, all of it)`, where a cell
with several regions keeps all but the last.
"""

import ast
import contextlib
import copy
import importlib.util
import io
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "notebooks" / "exercises" / "source"
WRONG_ANSWERS = ROOT / "tests" / "wrong_answers" / "assignments"
REGION = re.compile(r"( *)### BEGIN SOLUTION\n(.*?)### END SOLUTION", re.DOTALL)
STUB = "...  # your code"  # as in `nbgrader_config.py`


def find() -> list[Path]:
    """Return the source notebooks, in order."""
    return sorted(SOURCE.glob("*/*.ipynb"))


def read(path: Path) -> NotebookNode:
    """Return a source notebook."""
    return nbformat.read(path, as_version=4)


def tasks(notebook: NotebookNode) -> dict[str, int]:
    """Return what each task of an assignment is worth: `{name: points}`."""
    cells = [cell.metadata.get("nbgrader", {}) for cell in notebook.cells]
    return {c["grade_id"].removesuffix("-test"): c["points"] for c in cells if c.get("grade")}


def wrong_answers(path: Path) -> dict[str, dict[str, tuple]]:
    """Return the plausible wrong answers to an assignment: `{task: {what is wrong: edit}}`."""
    module_file = WRONG_ANSWERS / f"{path.stem[3:]}.py"
    spec = importlib.util.spec_from_file_location(path.stem, module_file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.WRONG


# === Other answers ===


def answered(notebook: NotebookNode, edits: dict[str, tuple]) -> NotebookNode:
    """Return the notebook with some solutions edited: `{task: edit}`."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name in edits:
            cell.source = edited(cell.source, edits[name][1:])
    return notebook


def blank(notebook: NotebookNode) -> NotebookNode:
    """Return the notebook without its solutions, as a learner gets it."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        cell.source = REGION.sub(rf"\1{STUB}", cell.source)
    return notebook


def edited(source: str, edit: tuple) -> str:
    """Return the source of a solution cell after an edit.

    Raises:
        ValueError: what should be replaced is not there.
    """
    if edit[0] is None:
        regions = list(REGION.finditer(source))
        if not regions:
            raise ValueError("The cell has no region between BEGIN SOLUTION and END SOLUTION.")
        found = regions[-1]
        body = textwrap.indent(textwrap.dedent(edit[1]), found[1])
        return source[: found.start()] + body + source[found.end() :]
    for old, new in zip(edit[::2], edit[1::2], strict=True):
        if old not in source:
            raise ValueError(f"There is no {old!r} in the solution that should become {new!r}.")
        source = source.replace(old, new)
    return source


# === Scores ===


def scores(notebook: NotebookNode, only: str | None = None) -> dict[str, float]:
    """Return the points of each task, computed as nbgrader does, but in this process.

    Args:
        notebook: an assignment with answers.
        only: a task, if only this should be scored.
    """
    space: dict[str, Any] = {"__name__": "__main__"}
    points: dict[str, float] = {}
    for cell in notebook.cells:
        mark = cell.metadata.get("nbgrader")
        if mark is None or cell.cell_type != "code":
            continue
        name = mark["grade_id"].removesuffix("-test")
        if mark["grade"] and only in (None, name):
            points[name] = score(cell.source, space)
        elif not mark["grade"]:
            with contextlib.suppress(Exception):
                run(cell.source, space)
        if only in points:
            break
    return points


def score(source: str, space: dict[str, Any]) -> float:
    """Return the value of a test cell; an error is worth nothing."""
    try:
        return float(run(source, space))
    except Exception:
        return 0.0


def run(source: str, space: dict[str, Any]) -> Any:
    """Run a cell; the value of its last line, if that is an expression."""
    tree = ast.parse(TransformerManager().transform_cell(source))
    with contextlib.redirect_stdout(io.StringIO()):
        if not isinstance(tree.body[-1], ast.Expr):
            return exec(compile(tree, "cell", "exec"), space)
        last = ast.Expression(tree.body.pop().value)  # type: ignore[attr-defined]
        exec(compile(tree, "cell", "exec"), space)
        return eval(compile(last, "cell", "eval"), space)


# === Scores, as the grader finds them ===


@contextlib.contextmanager
def judged(notebook: NotebookNode) -> Iterator[Callable]:
    """Return a function of an edited notebook and a task or none: the judge's points.

    All answers go to one process, as a notebook's cells do; an edit of one task is taken back.
    """
    from falcon_edu.course.classroom import cells
    from falcon_edu.course.classroom.judge import Judge, Task

    def marked(notebook: NotebookNode) -> dict[str, NotebookNode]:
        found = [cell for cell in notebook.cells if cell.cell_type == "code"]
        return {c.metadata.nbgrader.grade_id: c for c in found if "nbgrader" in c.metadata}

    right = marked(notebook)
    names = tasks(notebook)
    defined = set().union(*(cells.bound(right[name].source) for name in names))
    with Judge([right["setup"].source]) as judge:
        for name in names:
            judge.run(right[name].source)

        def points(edited: NotebookNode, only: str | None = None) -> dict[str, float]:
            got, now = {}, marked(edited)
            changed = [name for name in names if now[name].source != right[name].source]
            for name in changed:
                judge.run(now[name].source)
            for name, most in names.items() if only is None else [(only, names[only])]:
                test = right[f"{name}-test"].source
                got[name] = judge.score(Task(name, test, most, cells.read(test) & defined)).points
            for name in changed:
                judge.run(right[name].source)
            return got

        yield points

"""Each lesson opens with three questions from two and five lessons ago, as the file has them."""

import re
from pathlib import Path

from tools import recall

import nbformat
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
LESSONS = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
TEXT = recall.QUESTIONS.read_text()


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_notebooks_have_the_questions_of_the_file(path):
    """Where this fails: `python -m tools.recall`."""
    notebook = nbformat.read(path, as_version=4)
    assert notebook.cells == recall.placed(notebook, int(path.stem[:2]), TEXT)


@pytest.mark.parametrize("number", range(2, 21))
def test_three_questions_come_from_lessons_far_enough_back(number):
    source = recall.opening(number, TEXT)
    asked = re.findall(r"^(\d)\. \*\(\[(\d\d)\]\((\w+)\.ipynb\)\)\* \w", source, re.MULTILINE)
    assert [at for at, _, _ in asked] == ["1", "2", "3"]
    read_as = recall.LAST_READ.get(number, number)
    back = [read_as - int(lesson) for _, lesson, _ in asked]
    assert back == ([2, 2, 5] if read_as >= 5 else [2, 2, 2])
    assert all((NOTEBOOKS / f"{stem}.ipynb").is_file() for _, _, stem in asked)


@pytest.mark.parametrize("number", range(2, 21))
def test_each_question_has_its_answer_folded(number):
    source = recall.opening(number, TEXT)
    answers = re.findall(r"<details><summary>Answer</summary>\n\n(.+?)\n\n", source)
    assert len(answers) == 3
    assert all(len(answer.split()) >= 5 for answer in answers)
    open_text = re.sub(r"<details>.*?</details>", "", source, flags=re.DOTALL)
    assert not any(answer.strip() in open_text for answer in answers)


def test_the_first_two_lessons_open_with_none():
    assert [recall.opening(number, TEXT) for number in (0, 1)] == ["", ""]


def test_every_question_is_asked_somewhere():
    """One that is marked with a wrong number, or misspelled, would be lost without a word."""
    everything = "".join(recall.opening(number, TEXT) for number in range(18))
    asked = [question for part in recall.read(TEXT).values() for _, question, _ in part]
    assert len(asked) == TEXT.count("\n: ") >= 45
    assert [question for question in asked if question not in everything] == []


def test_questions_are_placed_behind_the_promise_once():
    cells = [
        nbformat.v4.new_markdown_cell("# Attention", id="attention-00"),
        nbformat.v4.new_code_cell("1", id="attention-01"),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.cells = recall.placed(notebook, 3, TEXT)
    assert [cell.id for cell in notebook.cells] == [
        "attention-00",
        "attention-recall",
        "attention-01",
    ]
    assert recall.placed(notebook, 3, TEXT) == notebook.cells
    assert recall.placed(notebook, 3, TEXT.replace("single bytes", "bytes")) != notebook.cells

"""Open each lesson with three questions about earlier ones, their answers folded.

    python -m tools.recall          # writes them into the notebooks

`tools/recall.md` is where they are kept. What was learned two lessons ago is nearly forgotten, and
what was learned five lessons ago nearly lost: to fetch it then is what keeps it.
"""

import re
from pathlib import Path

from tools import address

import nbformat
from nbformat import NotebookNode, v4

QUESTIONS = Path(__file__).with_suffix(".md")
FIRST = 2  # the lesson that has two before it
LAST_READ = {17: 11, 18: 12, 19: 13, 20: 14}  # these come after 10, 17, 12 and 19
QUESTION = re.compile(r"^\*\*([25])\*\* (.+)\n: (.+)$", re.MULTILINE)
OPENING = """\
**Before you begin**, three questions about earlier notebooks. Answer each before you open it."""
ASKED = """\
{number}. *([{lesson}]({stem}.ipynb))* {question}

   <details><summary>Answer</summary>

   {answer}

   </details>"""


def read(text: str) -> dict[str, list[tuple[int, str, str]]]:
    """Return the questions of each lesson: how many lessons later they come, and their answers.

    >>> read("## 00_welcome\\n\\n**2** Why?\\n: So.\\n")
    {'00_welcome': [(2, 'Why?', 'So.')]}
    """
    parts = re.split(r"^## (\w+)$", text, flags=re.MULTILINE)[1:]
    return {
        stem: [(int(later), question, answer) for later, question, answer in QUESTION.findall(part)]
        for stem, part in zip(parts[::2], parts[1::2], strict=True)
    }


def opening(number: int, text: str) -> str:
    """Return what a lesson opens with; nothing where no lesson is far enough back.

    Args:
        number: of the lesson.
        text: of the file of questions.
    """
    number = LAST_READ.get(number, number)
    chosen = [
        (stem, question, answer)
        for back in (2, 5)
        for stem, asked in read(text).items()
        for later, question, answer in asked
        if later == back == number - int(stem[:2])
    ]
    items = [
        ASKED.format(number=at, lesson=stem[:2], stem=stem, question=question, answer=answer)
        for at, (stem, question, answer) in enumerate(chosen, 1)
    ]
    return "\n\n".join([OPENING, *items]) if items else ""


def placed(notebook: NotebookNode, number: int, text: str) -> list[NotebookNode]:
    """Return the cells of a lesson, with its questions behind the promise."""
    first, *others = (cell for cell in notebook.cells if not cell.id.endswith("-recall"))
    source = opening(number, text)
    name = first.id.removesuffix("-00")
    made = [v4.new_markdown_cell(source, id=f"{name}-recall")] if source else []
    return [first, *made, *others]


def write() -> None:
    """Write the questions into the notebooks."""
    text = QUESTIONS.read_text()
    for path in address.lessons():
        notebook = nbformat.read(path, as_version=4)
        notebook.cells = placed(notebook, int(path.stem[:2]), text)
        nbformat.write(notebook, path)


if __name__ == "__main__":
    write()

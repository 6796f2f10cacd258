"""Say how long a notebook takes, by a rule: the minutes that its opening and the README name.

    python -m tools.minutes            # what the rule says
    python -m tools.minutes write      # write it into the notebooks and the README

Reading: 150 words or 10 lines of code a minute, and a minute and a half for each prediction; the
sum to the next five. What is folded is not counted. Exercises: the sum of the minutes that stand
beside each, and beside the parts of `my_falcon.py`. The rule is meant for a first reading in which
every cell is read, run and looked at.
"""

import re
import sys
from pathlib import Path

from tools import address

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
WORDS, LINES, PREDICTION = 150, 10, 1.5  # a minute, a minute, minutes
SAID = re.compile(r"About \d+ minutes(?: of reading)?(?:, and \d+ for the exercises)?")
FOLDED = re.compile("<details>.*?</details>", re.DOTALL)
TASK = re.compile(r"^##+ (?:Exercise|Your Falcon).*\((\d+) minutes", re.MULTILINE)
ROW = r"(\]\(notebooks/{}\.ipynb\) \| )\d+(?: \+ \d+)?( \|)"


def reading(notebook: NotebookNode) -> int:
    """Return the minutes for a notebook up to its exercises.

    >>> cells = [nbformat.v4.new_markdown_cell("word " * 1000 + "**Predict.** What?")]
    >>> reading(nbformat.v4.new_notebook(cells=cells))
    10
    """
    words = lines = predictions = 0
    for cell in notebook.cells:
        text = cell.source.partition("\n## Exercises")[0]
        text = "" if text.startswith("## Exercises") else text
        if cell.cell_type == "markdown":
            words += len(FOLDED.sub("", text).split())
            predictions += text.count("**Predict.**")
            if text != cell.source:
                break
        else:
            lines += sum(bool(line.strip()) for line in text.splitlines())
    return 5 * round((words / WORDS + lines / LINES + predictions * PREDICTION) / 5)


def exercises(notebook: NotebookNode) -> int:
    """Return the minutes for all exercises together, 0 where there are none."""
    texts = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return sum(map(int, TASK.findall(texts)))


def sentence(notebook: NotebookNode) -> str:
    """Return what the opening says of the time."""
    own = f"About {reading(notebook)} minutes"
    return (
        f"{own} of reading, and {more} for the exercises" if (more := exercises(notebook)) else own
    )


def row(notebook: NotebookNode) -> str:
    """Return what the README says of the time."""
    return (
        f"{reading(notebook)} + {more}" if (more := exercises(notebook)) else f"{reading(notebook)}"
    )


def write() -> None:
    """Write the minutes where they are named."""
    readme = ROOT / "README.md"
    text = readme.read_text()
    for path in address.lessons():
        notebook = nbformat.read(path, as_version=4)
        opening = notebook.cells[0]
        opening.source = SAID.sub(sentence(notebook), opening.source)
        nbformat.write(notebook, path)
        text = re.sub(ROW.format(path.stem), rf"\g<1>{row(notebook)}\g<2>", text)
    readme.write_text(text)


if __name__ == "__main__":
    if sys.argv[1:] == ["write"]:
        write()
    for path in address.lessons():
        print(path.stem, row(nbformat.read(path, as_version=4)))

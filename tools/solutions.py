"""Put the solution of each exercise below it, folded, with the reason in words.

    python -m tools.solutions          # writes them into the notebooks

`notebooks/solutions/NN_*.py` is where a solution is kept: a comment that begins with the number of
the exercise and says why the code below is right. A notebook has both in a cell of Markdown at the
end of the exercise. It shows a line until one clicks on it, with a kernel or without.
"""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from tools import address

import nbformat
from nbformat import NotebookNode, v4

SOLUTIONS = Path(__file__).resolve().parents[1] / "notebooks" / "solutions"
NUMBER = r"\d+\.\d+"
IMPORT = re.compile(r"^ *(?:from \S+ )?import (.+)$", re.MULTILINE)
FOLDED = """\
<details><summary>Solution to {number}</summary>

{reason}

```python
{code}
```

</details>"""


def read(text: str) -> Iterator[tuple[str, str, str]]:
    r"""Yield number, reason and code of each solution in a file.

    >>> list(read("# 1.1: It\n# doubles.\ndef f(x):\n    return 2 * x\n"))
    [('1.1', 'It doubles.', 'def f(x):\n    return 2 * x')]
    """
    for part in re.split(rf"^(?=# {NUMBER}: )", text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        comment = [*itertools.takewhile(lambda line: line.startswith("# "), lines)]
        number, _, reason = " ".join(line[2:] for line in comment).partition(": ")
        yield number, reason, "\n".join(lines[len(comment) :]).strip()


def with_imports(code: str, text: str, known: set[str]) -> str:
    """Return code behind those imports of its file that it needs and a notebook does not have.

    Args:
        code: of a solution.
        text: of the file.
        known: names that the notebook imports.
    """
    lines = [
        line[0]
        for line in IMPORT.finditer(text)
        if any(re.search(rf"\b{name}\b", code) for name in names(line[0]) - known)
    ]
    return "\n\n\n".join(filter(None, ["\n".join(lines), code]))


def names(text: str) -> set[str]:
    r"""Return the names that the imports in a text bind.

    >>> sorted(names("import numpy as np\nfrom math import pi, tau"))
    ['np', 'pi', 'tau']
    """
    parts = (part for line in IMPORT.findall(text) for part in line.split(","))
    return {part.split(" as ")[-1].strip() for part in parts}


def placed(notebook: NotebookNode, text: str) -> list[NotebookNode]:
    """Return the cells of a notebook, with the solutions of a file at the ends of the exercises."""
    known = names("\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code"))
    made = {
        number: FOLDED.format(number=number, reason=reason, code=with_imports(code, text, known))
        for number, reason, code in read(text)
    }
    cells: list[NotebookNode] = []
    waiting: list[NotebookNode] = []
    for cell in notebook.cells:
        if cell.id.endswith("-solution"):
            continue
        story = cell.source if cell.cell_type == "markdown" else ""
        asked = re.search(rf"^### Exercise ({NUMBER})", story, re.MULTILINE)
        if asked or re.match(r"#|\*\*Read on", story):
            cells += waiting
            waiting = []
        if asked and asked[1] in made:
            waiting = [v4.new_markdown_cell(made[asked[1]], id=f"{cell.id}-solution")]
        cells.append(cell)
    return cells + waiting


def write() -> None:
    """Write the solutions into the notebooks."""
    for path in address.lessons():
        source = SOLUTIONS / f"{path.stem}.py"
        if source.is_file():
            notebook = nbformat.read(path, as_version=4)
            notebook.cells = placed(notebook, source.read_text())
            nbformat.write(notebook, path)


if __name__ == "__main__":
    write()

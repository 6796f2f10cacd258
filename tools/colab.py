"""Know what Colab has, and find what in a notebook would break there.

Colab opens the file of a notebook alone, in an environment that is already there: Python and a few
hundred packages, among them an old ipywidgets that its pages rely on. What a notebook replaces may
break these pages, and what it replaces after an import needs a restart that nobody expects.
`tests/test_colab.py` looks at every notebook, `make matrix` runs the course on these versions.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]

# As seen in Colab in 2026; what is not listed comes as new as these allow.
PYTHON = "3.13"
VERSIONS = {"ipywidgets": "7.7.1", "jax": "0.7.2", "keras": "3.13.2", "numpy": "2.1.3"}

INSTALLS = re.compile(r"\b(?:pip|conda|mamba|uv)\b[^\n]*\binstall\b[^\n]*|\bapt(?:-get)?\b[^\n]*")
ALLOWED = re.compile(r"%pip install -q (?:falcon_edu|git\+https://[\w./-]+)")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
COMES_ALONG = {"IPython", "jaxlib", "ml_dtypes"}
FRONT_ENDS = re.compile(r"^\s*%matplotlib\s+(?:widget|ipympl|notebook|qt\d?)\b", re.MULTILINE)
NEIGHBOUR = re.compile(
    r"""["'](?:\.\./)*(?:solutions|exercises|notebooks|falcon_edu|tests|tools|docs)/[\w./-]*"""
)


def code(notebook: NotebookNode) -> Iterator[tuple[str, str]]:
    """Yield the code cells: a name that finds each, and its source."""
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            yield f"cell {index}", cell.source


def imports(source: str) -> Iterator[str]:
    """List the packages that a cell imports, in order; magics are understood."""
    tree = ast.parse(TransformerManager().transform_cell(source))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.lineno, node.module or ""))
    for _, name in sorted(found):
        yield name.partition(".")[0]


def core() -> set[str]:
    """Return the packages that come with an installation of ours."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {Requirement(line).name for line in project["dependencies"]} | {"falcon_edu"}


# === Guards: each yields what would break ===


def widget_state(notebook: NotebookNode) -> Iterator[str]:
    """Colab does not show a notebook whose widget state it can't read."""
    if "widgets" in notebook.metadata:
        yield "the notebook holds widget state"
    for index, cell in enumerate(notebook.cells):
        if any(WIDGET_VIEW in output.get("data", {}) for output in cell.get("outputs", [])):
            yield f"cell {index}: holds a live view"


def installations(notebook: NotebookNode) -> Iterator[str]:
    """Nothing but our package, neither upgraded nor pinned: what is there must stay."""
    for name, source in code(notebook):
        for line in source.splitlines():
            bare = line.strip().partition(" #")[0].rstrip()
            if INSTALLS.search(bare) and not ALLOWED.fullmatch(bare):
                yield f"{name}: installs more than the package ({bare})"


def backend(notebook: NotebookNode) -> Iterator[str]:
    """`import falcon_edu` picks Keras's backend, so it comes first, and nobody else picks it."""
    seen: set[str] = set()
    for name, source in code(notebook):
        if "KERAS_BACKEND" in source:
            yield f"{name}: sets the backend by hand"
        for package in imports(source):
            if package in ("keras", "keras_hub") and "falcon_edu" not in seen:
                yield f"{name}: imports {package} before falcon_edu"
            seen.add(package)


def packages(notebook: NotebookNode) -> Iterator[str]:
    """Find what an installation of ours does not bring, and so may be missing there."""
    known = core() | COMES_ALONG | sys.stdlib_module_names
    for name, source in code(notebook):
        for package in imports(source):
            if package not in known:
                yield f"{name}: imports {package}, which does not come with falcon_edu"


def front_ends(notebook: NotebookNode) -> Iterator[str]:
    """Find figures of a kind that Colab's page does not draw: no core widgets or pictures."""
    for name, source in code(notebook):
        if found := FRONT_ENDS.search(source):
            yield f"{name}: needs a front end of its own ({found.group().strip()})"


def neighbours(notebook: NotebookNode) -> Iterator[str]:
    """Find other files of the repository, which are not there."""
    for name, source in code(notebook):
        if found := NEIGHBOUR.search(source):
            yield f"{name}: names a file that only the repository has ({found.group()})"


GUARDS: list[Callable[[NotebookNode], Iterator[str]]] = [
    widget_state,
    installations,
    backend,
    packages,
    front_ends,
    neighbours,
]


def problems(notebook: NotebookNode) -> list[str]:
    """Everything in a notebook that would break on Colab."""
    return [message for guard in GUARDS for message in guard(notebook)]

"""Execute the notebooks and guard what they show.

    python tools/notebooks.py run notebooks/00_welcome.ipynb   # execute in place, strip the noise
    python tools/notebooks.py strip notebooks                  # only strip; a folder means all
    python tools/notebooks.py check notebooks                  # guards

`nbval` runs every notebook again and compares the outputs. The guards cover what it lets pass:
cells that were never run, exceptions that did not come, warnings, paths of one machine, bulk.
"""

import argparse
import base64
import io
import itertools
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
KEPT = ("tags", "jupyter", "nbgrader")  # what a cell's metadata may say
MACHINE_PATH = re.compile(
    r"(?<![\w.])/(home|root|Users|tmp|work|opt|private)/|\b[A-Z]:\\\\?Users|site-packages"
)
BINDER = str(2 * 2**30)  # bytes; in MEM_LIMIT, a JupyterHub says what a kernel may take
MAX_LINES = 25
MAX_BYTES = 600_000


# === Running ===


def run(path: Path) -> None:
    """Execute a notebook in a new kernel and write it back, without what differs between runs."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    ).execute(env={**os.environ, "MEM_LIMIT": BINDER})
    strip(notebook)
    lighten(notebook)
    write(notebook, path)


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook, whole or not at all."""
    nbformat.validate(notebook)
    draft = path.with_suffix(".tmp")
    nbformat.write(notebook, draft)
    os.replace(draft, path)


def strip(notebook: NotebookNode) -> None:
    """Remove timings, widget state and the versions of whoever ran it; keep text and pictures."""
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNELSPEC, "language_info": {"name": "python"}}
    )
    for cell in notebook.cells:
        cell.metadata = {key: cell.metadata[key] for key in KEPT if key in cell.metadata}
        if cell.cell_type == "code":
            cell.outputs = join_streams(without_views(cell.outputs))
    fold(notebook)


def without_views(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Take live views out of outputs: the model behind one ends with its kernel.

    The picture and the text beside it stay.
    """
    views = [output for output in outputs if output.get("data", {}).pop(WIDGET_VIEW, None)]
    return [output for output in outputs if output not in views or output.data]


def lighten(notebook: NotebookNode) -> None:
    """Pack the pictures of a notebook as well as PNG can: what is seen stays, in fewer bytes."""
    for data in (o.data for _, cell in code_cells(notebook) for o in cell.outputs if "data" in o):
        if "image/png" in data:
            image = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
            packed = io.BytesIO()
            # A picture through which nothing shines needs no fourth number for each pixel.
            kind = "RGB" if image.mode == "RGBA" and is_opaque(image) else image.mode
            image.convert(kind).save(packed, "PNG", optimize=True, dpi=image.info.get("dpi"))
            data["image/png"] = base64.b64encode(packed.getvalue()).decode()


def is_opaque(image: Image.Image) -> bool:
    """True if nothing shines through a picture that has an alpha channel."""
    return image.getchannel("A").getextrema() == (255, 255)


def join_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join neighbouring pieces of one stream in the outputs: a busy machine cuts them."""
    joined: list[NotebookNode] = []
    for output in outputs:
        is_stream = output.output_type == "stream"
        if is_stream and joined and joined[-1].get("name") == output.name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


# === Predictions ===

# JupyterLab writes the first line of the first output beside a folded one. This output has none.
CURTAIN = nbformat.v4.new_output("display_data")


def answers(notebook: NotebookNode) -> Iterator[tuple[str, NotebookNode]]:
    """Yield the cells whose outputs answer a prediction: the next ones, up to more text."""
    is_asked = is_answered = False
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            is_asked = "**Predict.**" in cell.source or (is_asked and not is_answered)
            is_answered = False
        elif cell.cell_type == "code" and is_asked and shown(cell) and not asks(cell):
            is_answered = True
            yield f"cell {index} [{cell.execution_count or ' '}]", cell


def asks(cell: NotebookNode) -> bool:
    """True if a cell takes the reader's guess: what it shows is a question, and stays open."""
    return re.search(r"^falcon_edu\.predict\(", cell.source, re.MULTILINE) is not None


def shown(cell: NotebookNode) -> list[NotebookNode]:
    """Return the outputs of a cell that show something."""
    return [output for output in cell.outputs if output != CURTAIN]


def fold(notebook: NotebookNode) -> None:
    """Fold what answers a prediction, and nothing else. Running a cell unfolds it."""
    for _, cell in code_cells(notebook):
        cell.outputs = shown(cell)
        cell.metadata.pop("jupyter", None)
    for _, cell in answers(notebook):
        cell.metadata.jupyter = nbformat.from_dict({"outputs_hidden": True})
        cell.outputs.insert(0, CURTAIN.copy())


# === Guards: each yields what is wrong ===


def open_answers(notebook: NotebookNode) -> Iterator[str]:
    """Find predictions whose answer can be read before anything runs, if only a line of it."""
    for name, cell in answers(notebook):
        if not cell.metadata.get("jupyter", {}).get("outputs_hidden"):
            yield f"{name}: the answer to a prediction is open"
        elif cell.outputs[0] != CURTAIN:
            yield f"{name}: the folded line shows the beginning of the answer"


def unexecuted(notebook: NotebookNode) -> Iterator[str]:
    """Find cells that were never run: they show nothing, and nbval would compare with nothing."""
    for name, cell in code_cells(notebook):
        if cell.source.strip() and cell.execution_count is None:
            yield f"{name}: never executed"


def left_hanging(notebook: NotebookNode) -> Iterator[str]:
    """Find predictions after which another section begins, before anything answers them.

    A lesson has none; in an assignment a place to write the answer may begin with a heading.
    """
    for index, (cell, after) in enumerate(itertools.pairwise(notebook.cells)):
        begins = after.cell_type == "markdown" and after.source.startswith("#")
        if "**Predict.**" in cell.source and begins:
            yield f"cell {index}: another section begins before the prediction is answered"


def wrong_errors(notebook: NotebookNode) -> Iterator[str]:
    """Find errors without the tag `raises-exception`, and tagged cells that raised none."""
    for name, cell in code_cells(notebook):
        announced = "raises-exception" in cell.metadata.get("tags", [])
        raised = any(output.output_type == "error" for output in cell.outputs)
        if raised and not announced:
            yield f"{name}: raised an error"
        if announced and not raised:
            yield f"{name}: tagged raises-exception, but raised nothing"


def stderr(notebook: NotebookNode) -> Iterator[str]:
    """Find warnings and logs: they belong in no lesson, and differ between machines."""
    for name, cell in code_cells(notebook):
        if any(output.get("name") == "stderr" for output in cell.outputs):
            yield f"{name}: wrote to stderr"


def volatile(notebook: NotebookNode) -> Iterator[str]:
    """Widget state is large and stale at once; `run` strips it."""
    if "widgets" in notebook.metadata:
        yield "the notebook holds widget state"
    for name, cell in code_cells(notebook):
        if any(WIDGET_VIEW in output.get("data", {}) for output in cell.outputs):
            yield f"{name}: holds a live view, which is dead in a file"


def machine_paths(notebook: NotebookNode) -> Iterator[str]:
    """Find paths of the machine that ran the notebook: they mean nothing to its reader."""
    for name, cell in code_cells(notebook):
        for output in cell.outputs:
            data = {k: v for k, v in output.get("data", {}).items() if not k.startswith("image/")}
            for text in (json.dumps({**output, "data": data}, ensure_ascii=False), cell.source):
                if found := MACHINE_PATH.search(text):
                    yield f"{name}: holds a path of a machine ({found.group()}...)"


def long_cells(notebook: NotebookNode) -> Iterator[str]:
    """Find cells that don't fit a glance: they belong in the package, or in two cells."""
    for name, cell in code_cells(notebook):
        if (lines := len(cell.source.splitlines())) > MAX_LINES:
            yield f"{name}: {lines} lines, of at most {MAX_LINES}"


def code_cells(notebook: NotebookNode) -> Iterator[tuple[str, NotebookNode]]:
    """Yield the code cells, with a name that finds them in Lab."""
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            yield f"cell {index} [{cell.execution_count or ' '}]", cell


GUARDS: list[Callable[[NotebookNode], Iterator[str]]] = [
    unexecuted,
    wrong_errors,
    stderr,
    volatile,
    machine_paths,
    long_cells,
    open_answers,
]


def check(path: Path) -> list[str]:
    """Everything that is wrong with a notebook."""
    notebook = nbformat.read(path, as_version=4)
    wrong = [f"{path}: {message}" for guard in GUARDS for message in guard(notebook)]
    if (size := path.stat().st_size) > MAX_BYTES:
        wrong.append(f"{path}: {size:,} bytes, of at most {MAX_BYTES:,}")
    return wrong


# === Command line ===


def find(paths: list[Path]) -> list[Path]:
    """Return the notebooks meant by files and folders, in order."""
    found = []
    for path in paths:
        below = [path] if path.suffix == ".ipynb" else sorted(path.rglob("*.ipynb"))
        found += [file for file in below if ".ipynb_checkpoints" not in file.parts]
    return found


def main() -> int:
    """Run or check; the exit status is 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["run", "strip", "check"])
    parser.add_argument("paths", nargs="+", type=Path)
    arguments = parser.parse_args()

    notebooks = find(arguments.paths)
    if not notebooks:
        print("no notebook there")
        return 1
    wrong = []
    for path in notebooks:
        if arguments.command == "run":
            print(f"running {path}", flush=True)
            run(path)
        elif arguments.command == "strip":
            notebook = nbformat.read(path, as_version=4)
            strip(notebook)
            write(notebook, path)
        wrong += check(path)
    print("\n".join(wrong) or f"{len(notebooks)} notebooks are in order")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

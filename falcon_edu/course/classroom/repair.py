"""Bring a submission into the form of the release, whatever became of its cells.

Students copy cells, split and merge them, paste them twice, delete them, move them; Colab and
other editors drop nbgrader's marks or add their own. A cell belongs to a task by its mark or, where
that is lost, by the names that it defines.
"""

import re
from typing import Any

from falcon_edu.course.classroom import cells

from nbformat import v4
from nbgrader.api import Gradebook
from nbgrader.preprocessors import NbGraderPreprocessor

ELSEWHERE = "# Another cell answers this."
MARK = {"schema_version": 3, "task": False}


class Repair(NbGraderPreprocessor):
    """Give each cell of the release one place in the notebook, and keep the student's other cells.

    The teacher's own cells come back as they were; an edited copy stays below, as the student's.
    """

    def preprocess(self, nb, resources):
        where = resources["nbgrader"]
        with Gradebook(where["db_url"]) as gradebook:
            sources = release_cells(gradebook, where["notebook"], where["assignment"])
        nb.cells = repaired(nb.cells, sources)
        language = {"name": "python"}
        nb.metadata = v4.new_notebook(metadata={"language_info": language}).metadata
        nb.nbformat, nb.nbformat_minor = 4, 5
        return nb, resources


def release_cells(gradebook: Any, notebook: str, assignment: str) -> dict[str, dict]:
    """Return the marked cells of an assignment, in order: `{grade_id: what nbgrader marks}`."""
    found = gradebook.find_notebook(notebook, assignment)
    graded = {cell.name: cell for cell in found.grade_cells}
    solutions = {cell.name for cell in found.solution_cells}
    return {
        cell.name: {
            "source": cell.source,
            "cell_type": cell.cell_type,
            "mark": MARK
            | {"grade_id": cell.name, "locked": cell.locked, "checksum": cell.checksum}
            | {"grade": cell.name in graded, "solution": cell.name in solutions}
            | {"cell_type": cell.cell_type}
            | ({"points": graded[cell.name].max_score} if cell.name in graded else {}),
        }
        for cell in found.source_cells
    }


def repaired(theirs: list, sources: dict[str, dict]) -> list:
    """Return the cells of a submission in the form of the release.

    Args:
        theirs: the cells, in whatever state.
        sources: as `release_cells` gives them.
    """
    kept = [cell for cell in map(_plain, theirs) if cell is not None]
    owners = _owners(kept, sources)
    result: list = []
    for place, (cell, _) in enumerate(kept):
        name = owners.get(place)
        if name is None:
            result.append(cell)
            continue
        source = sources[name]
        if source["mark"]["solution"]:
            result.append(_marked(source, cell.source))
            continue
        result.append(_marked(source))
        is_code = cell.cell_type == source["cell_type"] == "code"
        if is_code and not source["mark"]["grade"] and cell.source != source["source"]:
            result.append(cell)
    return _with_missing(result, sources)


def _owners(kept: list, sources: dict[str, dict]) -> dict[int, str]:
    """Find the cell that stands for each of the release: `{place: grade_id}`, each once.

    Of several with one mark the last one has it, as it is with nbgrader.
    """
    places: dict[str, int] = {}
    for place, (_, name) in enumerate(kept):
        if name in sources:
            places[name] = place
    for name, source in sources.items():
        if name in places or not source["mark"]["solution"] or source["cell_type"] != "code":
            continue
        names = cells.bound(source["source"])
        free = [
            i for i, (c, _) in enumerate(kept) if c.cell_type == "code" and i not in places.values()
        ]
        found = [i for i in free if cells.bound(kept[i][0].source) & names]
        if found:
            places[name] = found[-1]
    return {place: name for name, place in places.items()}


def _with_missing(result: list, sources: dict[str, dict]) -> list:
    """Put back what is missing: below what stands before it in the release.

    A cell may answer several tasks: no blank stub should take its answers back.
    """
    there = {cell.metadata["nbgrader"]["grade_id"] for cell in result if cell.metadata}
    theirs = [cell.source for cell in result if not _is_teachers(cell)]
    defined = set().union(*map(cells.bound, theirs))
    before = None
    for name, source in sources.items():
        if name not in there:
            is_task = source["mark"]["solution"] and source["cell_type"] == "code"
            names = cells.bound(source["source"]) if is_task else set()
            text = ELSEWHERE if names and names <= defined else None
            places = [
                i + 1
                for i, cell in enumerate(result)
                if cell.metadata and cell.metadata["nbgrader"]["grade_id"] == before
            ]
            result.insert(places[0] if places else 0, _marked(source, text))
        before = name
    return result


def _is_teachers(cell) -> bool:
    mark = cell.metadata.get("nbgrader")
    return cell.cell_type != "code" or (mark is not None and not mark["solution"])


def _marked(source: dict, text: str | None = None):
    new = v4.new_code_cell if source["cell_type"] == "code" else v4.new_markdown_cell
    text = source["source"] if text is None else text
    return new(text, metadata={"nbgrader": dict(source["mark"])})


def _plain(cell: Any) -> tuple | None:
    """Return a cell without outputs and others' marks, and the name in nbgrader's mark."""
    try:
        kind, text, metadata = cell["cell_type"], cell["source"], cell.get("metadata", {})
        text = "".join(text) if isinstance(text, list) else str(text)
    except (KeyError, TypeError, AttributeError):
        return None
    text = re.sub(r"[\ud800-\udfff]", "\ufffd", text)
    new = {"code": v4.new_code_cell, "markdown": v4.new_markdown_cell}.get(kind, v4.new_raw_cell)
    mark = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    name = mark.get("grade_id") if isinstance(mark, dict) else None
    return new(text), name if isinstance(name, str) else None

"""nbgrader's runner for strangers' notebooks: a process runs the cells, a judge gives points."""

import base64
import json
from pathlib import Path

from falcon_edu.course.classroom import cells, suspicions
from falcon_edu.course.classroom.judge import Judge, Task, Verdict
from falcon_edu.course.classroom.repair import release_cells

from nbformat import v4
from nbgrader.api import Gradebook
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Integer

KEPT = 10_000_000  # characters of all outputs of a notebook


class JudgeApart(NbGraderPreprocessor):
    """Runs a notebook in a process of its own, and writes the judge's points into the test cells.

    What the notebook shows is for the feedback. The outputs of the test cells, which nbgrader takes
    the scores from, are the judge's alone.
    """

    timeout = Integer(60, help="Seconds for a cell, or for all tests of a task.").tag(config=True)
    memory = Integer(4000, help="Megabytes that a student's process may take.").tag(config=True)
    total = Integer(1200, help="Seconds for a notebook, tests included.").tag(config=True)
    restarts = Integer(4, help="New processes for one submission, before the rest fails.").tag(
        config=True
    )

    def preprocess(self, nb, resources):
        where = resources["nbgrader"]
        with Gradebook(where["db_url"]) as gradebook:
            sources = release_cells(gradebook, where["notebook"], where["assignment"])
        root = Path(where["db_url"].removeprefix("sqlite:///")).parent
        setup = [s["source"] for s in sources.values() if _is_setup(s)]
        limits = {"seconds": self.timeout, "memory": self.memory, "restarts": self.restarts}
        limits["total"] = self.total
        released = root / "release" / where["assignment"]
        with Judge(setup, released=released, **limits) as judge:
            scored = Scored(judge, nb, sources)
            scored.run()
        notes = [*suspicions.in_sources(nb.cells), *judge.notes, *scored.notes]
        path = root / "notes" / where["student"] / f"{where['assignment']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(notes), encoding="utf-8")
        return nb, resources


PatientExecute = JudgeApart  # as the settings of earlier course folders call it


class Scored:
    """A notebook on its way through a judge.

    A task is looked at where its test stands, below each of several cells that define its
    names, and at the end. The best look counts: no state of a notebook has an answer by chance.

    Args:
        judge: what runs and scores.
        nb: the notebook, whose outputs are written.
        sources: the cells of the release.
    """

    def __init__(self, judge: Judge, nb, sources: dict[str, dict]):
        self.judge, self.nb = judge, nb
        self.notes: list[str] = []
        self.codes = [cell for cell in nb.cells if cell.cell_type == "code"]
        self.tasks = {name: t for name, s in sources.items() if (t := _task(name, s, sources))}
        self.setup = {name for name, source in sources.items() if _is_setup(source)}
        self.best: dict[str, Verdict] = {}
        self.kept = 0  # characters of outputs
        self.looked: dict[str, int] = {}  # how many cells had run at the last look

    def run(self) -> None:
        """Run all cells, and write what they show and what the tasks get."""
        places = {name: self._places(task) for name, task in self.tasks.items()}
        for place, cell in enumerate(self.codes):
            name = _name(cell)
            if name in self.tasks:
                self._look(name)
            elif name in self.setup:
                cell.outputs, cell.execution_count = [], None
            else:
                reply, printed = self.judge.run(cell.source)
                cell.outputs, cell.execution_count = self._kept(shown(reply, printed)), None
            for task, where in places.items():
                if place in where:
                    self._look(task)
        for name in self.tasks:
            self._look(name)
        for cell in self.codes:
            if _name(cell) in self.tasks:
                self._write(cell)

    def _kept(self, outputs: list) -> list:
        """Return these outputs, or a word where there are too many in the notebook by now."""
        self.kept += len(json.dumps(outputs))
        if self.kept <= KEPT:
            return outputs
        left_out = "... (the outputs of this cell are left out: there are too many above)\n"
        return [v4.new_output("stream", name="stdout", text=left_out)] if outputs else []

    def _places(self, task: Task) -> list[int]:
        """Return where its names are defined, if in more than one cell: then any may be meant."""
        own = [
            _name(cell) not in self.setup and _name(cell) not in self.tasks for cell in self.codes
        ]
        found = cells.binders([cell.source for cell in self.codes], task.names)
        found = [place for place in found if own[place]]
        return found[-5:] if len(found) > 1 else []

    def _look(self, name: str) -> None:
        task, ran = self.tasks[name], len(self.judge.done)
        best = self.best.get(name)
        if best and (best.is_final or self.looked[name] == ran):
            return
        verdict = self.judge.score(task)
        self.looked[name] = ran
        if best is None or verdict.points > best.points:
            self.best[name] = verdict
        elif verdict.is_final:
            best.is_final = True
        if not verdict.is_final:
            self._compare(task, verdict)

    def _compare(self, task: Task, verdict: Verdict) -> None:
        """Note where the notebook's own test shows other points than the judge found."""
        claimed = self.judge.claimed(task)
        title = task.name.removesuffix("-test")
        if claimed is None:
            self._note(f"{title}: its own check shows no points")
        elif claimed > verdict.points:
            found = f"the judge found {verdict.points:g} of {task.points:g}"
            self._note(f"{title}: its own check shows {claimed:g} points, {found}")

    def _note(self, what: str) -> None:
        if what not in self.notes:
            self.notes.append(what)

    def _write(self, cell) -> None:
        verdict = self.best[_name(cell) or ""]
        value = v4.new_output(
            "execute_result", {"text/plain": f"{verdict.points:g}"}, execution_count=None
        )
        said = [v4.new_output("stream", name="stdout", text=verdict.said)] if verdict.said else []
        cell.outputs, cell.execution_count = [*said, value], None


def _is_setup(source: dict) -> bool:
    mark = source["mark"]
    return source["cell_type"] == "code" and not mark["grade"] and not mark["solution"]


def _task(name: str, source: dict, sources: dict[str, dict]) -> Task | None:
    mark = source["mark"]
    if source["cell_type"] != "code" or not mark["grade"] or mark["solution"]:
        return None
    theirs = set()
    for other in sources.values():
        if other["mark"]["solution"] and other["cell_type"] == "code":
            theirs |= cells.bound(other["source"])
    used = cells.read(source["source"]) & theirs
    return Task(name, source["source"], mark["points"], used)


def _name(cell) -> str | None:
    return cell.metadata.get("nbgrader", {}).get("grade_id")


def shown(reply: dict, printed: str) -> list:
    """Return what a cell shows, as outputs of a notebook: text and pictures, nothing that runs."""
    outputs = [v4.new_output("stream", name="stdout", text=printed)] if printed else []
    for each in reply.get("outputs") or ():
        data = {}
        if isinstance(text := each.get("text/plain"), str):
            data["text/plain"] = text
        if picture := _picture(each.get("image/png")):
            data["image/png"] = picture
        if data:
            outputs.append(v4.new_output("display_data", data))
    if isinstance(error := reply.get("error"), dict):
        names, message = error.get("names") or ["Error"], str(error.get("message"))
        trace = str(error.get("trace") or f"{names[0]}: {message}")
        outputs.append(
            v4.new_output("error", ename=str(names[0]), evalue=message, traceback=trace.split("\n"))
        )
    return outputs


def _picture(text: object) -> str | None:
    """Return a picture, as it was coded, if it is one."""
    try:
        content = base64.b64decode(text, validate=False)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return None
    return base64.b64encode(content).decode() if content.startswith(b"\x89PNG\r\n") else None

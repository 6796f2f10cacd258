"""Score the tasks of a notebook: run it in a process of its own, and ask that for its answers.

The test cells are the teacher's, and run here; the names in them that students define stand for
answers in the student's process (`answers.py`). Nothing that process prints, shows or patches
counts.
"""

import contextlib
import io
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from falcon_edu.course.classroom import cells
from falcon_edu.course.classroom.answers import Answers
from falcon_edu.course.classroom.student import Died, Student


@dataclass
class Task:
    """A test cell of the teacher's.

    Args:
        name: its `grade_id`.
        source: all of it, hidden tests included.
        points: what it is worth.
        names: what students define for it.
    """

    name: str
    source: str
    points: float
    names: set[str] = field(default_factory=set)


@dataclass
class Verdict:
    """Hold what a task gets.

    Args:
        points: of the task's.
        said: what the test cell printed, or why it could not run.
        is_final: True if another look would find no more.
    """

    points: float
    said: str
    is_final: bool = False


class Judge:
    """A student's notebook, cell by cell.

    It is a context, at whose end the student's process is gone.

    Args:
        setup: the cells of the teacher's that come before all tests, such as imports.
        seconds: that a cell, or the test of one task, may take.
        memory: megabytes that the student's process may take.
        restarts: how often it may die before the rest of the notebook does not run.
        released: the folder of the released assignment.
        total: seconds that all of the notebook may take, its tests included.
    """

    def __init__(
        self,
        setup: list[str],
        seconds: float = 60.0,
        memory: int = 4000,
        restarts: int = 4,
        released: Path | None = None,
        total: float = 1200.0,
    ):
        self.setup, self.seconds, self.restarts = setup, seconds, restarts
        self.how: dict = {"memory": memory, "released": released}
        self.student: Student | None = None
        self.done: list[str] = []  # the cells that ran, for when they have to run anew
        self.deaths = 0
        self.notes: list[str] = []
        self.space = teachers_space(setup)
        self.until = time.monotonic() + total

    def __enter__(self) -> "Judge":
        return self

    def __exit__(self, *error) -> None:
        self._end()

    def _end(self) -> None:
        if self.student:
            self.notes += [note for note in self.student.notes if note not in self.notes]
            self.student.end()
            self.student = None

    def _alive(self) -> Student:
        """Return the student's process; if it died, a new one in which the same cells ran."""
        if time.monotonic() > self.until:
            raise Died("Not run: the notebook took too long as a whole.")
        if self.student and self.student.is_alive:
            return self.student
        self._end()
        if self.deaths > self.restarts:
            raise Died("Not run: too many cells before it ended their process.")
        self.student = Student(**self.how)
        for cells_, is_teachers in ((self.setup, True), (self.done, False)):
            for source in cells_:
                message = {"do": "run", "source": source, "teachers": is_teachers}
                self.student.ask(message, seconds=self.seconds)
                self.student.take_printed()
        return self.student

    def run(self, source: str) -> tuple[dict, str]:
        """Run a cell; return what it shows and what it prints."""
        try:
            student = self._alive()
            reply, _ = student.ask({"do": "run", "source": source}, seconds=self.seconds)
        except Died as error:
            self.deaths += 1
            return {"error": {"names": ["Died"], "message": str(error)}}, self._printed()
        self.done.append(source)
        return reply, student.take_printed()

    def _printed(self) -> str:
        return self.student.take_printed() if self.student else ""

    def score(self, task: Task) -> Verdict:
        """Run a test cell of the teacher's against the notebook as it is now."""
        printed, answers = io.StringIO(), None
        try:
            answers = Answers(self._alive(), self.seconds)
            space = self._space(task, answers)
            with contextlib.redirect_stdout(printed):
                value = cells.evaluate(task.source, space)
            points = worth(value, task.points)
        except Exception as error:
            printed.write(f"{type(error).__name__}: {error}")
            points = 0.0
        died = self.student is None or not self.student.is_alive
        self.deaths += died
        self._printed()
        is_over = died or answers is None or answers.is_over()
        return Verdict(points, printed.getvalue(), points == task.points or is_over)

    def _space(self, task: Task, answers: Answers) -> dict[str, Any]:
        """Return what the names in a test cell mean: students' answers, and the teacher's own."""
        space = dict(self.space)
        for name in cells.read(task.source):
            theirs = name in task.names
            if theirs or not (name in space or cells.is_builtin(name)):
                with contextlib.suppress(NameError):
                    space[name] = answers.fetch(name)
        return space

    def claimed(self, task: Task) -> float | None:
        """Return what the test shows in the notebook itself, where it can be tampered with."""
        try:
            student = self._alive()
            message = {"do": "run", "source": cells.public(task.source)}
            reply, _ = student.ask(message, seconds=self.seconds)
            shown = (reply.get("outputs") or [{}])[-1].get("text/plain")
            return math.nan if "error" in reply else float(shown)
        except (Died, TypeError, ValueError, AttributeError, IndexError, KeyError):
            return None


def teachers_space(setup: list[str]) -> dict[str, Any]:
    """Return the names that the teacher's own cells define, when run here."""
    space: dict[str, Any] = {"__name__": "__main__"}
    for source in setup:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Exception):
            cells.evaluate(source, space)
    return space


def worth(value: object, most: float) -> float:
    """Return the points that the last line of a test cell stands for.

    A test that ends without a number, such as one of `assert`, is worth all if it did not fail.

    >>> worth(2, 3), worth(None, 3), worth(5, 3), worth(float("nan"), 3)
    (2.0, 3.0, 3.0, 0.0)
    """
    if value is None:
        return float(most)
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return 0.0
    return float(min(max(value, 0), most))

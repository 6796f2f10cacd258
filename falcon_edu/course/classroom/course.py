"""A course folder of nbgrader: make it, release assignments, take in and grade submissions."""

import csv
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from falcon_edu.course.classroom import confine, handed_in
from falcon_edu.course.classroom.scores import Score, scores_of
from falcon_edu.storage.strangers import quoted

from nbgrader.apps import NbGraderAPI
from traitlets.config import PyFileConfigLoader

CONFIG = "nbgrader_config.py"
COLUMNS = ("student", "assignment", "task", "points", "out_of")


class Course:
    """A course folder of nbgrader.

    Args:
        folder: its path; `make` fills it.

    Raises:
        FileNotFoundError: it has no settings in it.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder).resolve()
        if not (self.folder / CONFIG).is_file():
            raise FileNotFoundError(
                f"A course folder has a file {CONFIG}, but {folder} has none. Make one with "
                f"python -m falcon_edu.classroom {quoted(folder)}"
            )
        # nbgrader calls alembic by name, and an environment may be used without being activated.
        scripts = str(Path(sys.executable).parent)
        if scripts not in os.environ["PATH"].split(os.pathsep):
            os.environ["PATH"] = os.pathsep.join([scripts, os.environ["PATH"]])
        config = PyFileConfigLoader(CONFIG, path=str(self.folder)).load_config()
        config.CourseDirectory.root = str(self._plain_path())
        self.nbgrader = NbGraderAPI(config=config)

    def _plain_path(self) -> Path:
        """Return the folder by a name without brackets, which are a pattern to nbgrader."""
        if re.fullmatch(r"[\w/\\:. -]+", str(self.folder)):
            return self.folder
        self._link = tempfile.TemporaryDirectory()
        link = Path(self._link.name) / "course"
        link.symlink_to(self.folder, target_is_directory=True)
        return link

    @classmethod
    def make(cls, folder: str | Path, exercises: Path) -> "Course":
        """Make a course folder with settings and source notebooks. What is there stays as it is.

        Args:
            folder: where it should be.
            exercises: the folder with nbgrader's settings and `source`.
        """
        folder = Path(folder)
        (folder / "source").mkdir(parents=True, exist_ok=True)
        if not (folder / CONFIG).exists():
            shutil.copy(exercises / CONFIG, folder)
        for source in sorted((exercises / "source").glob("[0-9]*")):
            if not (folder / "source" / source.name).exists():
                shutil.copytree(source, folder / "source" / source.name, ignore=_checkpoints)
        return cls(folder)

    @property
    def assignments(self) -> list[str]:
        """The names of the assignments, in order."""
        return sorted(path.parent.name for path in (self.folder / "source").glob("*/*.ipynb"))

    def release(self, assignment: str) -> Path:
        """Write the students' copy of an assignment, without solutions and hidden tests.

        Returns:
            Its path.

        Raises:
            RuntimeError: nbgrader could not.
        """
        result = self.nbgrader.generate_assignment(assignment, force=True)
        if not result["success"]:
            raise RuntimeError(f"{assignment} could not be released: {why(result)}")
        return self.folder / "release" / assignment / f"{assignment}.ipynb"

    def take_in(self, submissions: str | Path) -> list[tuple[str, str]]:
        """Copy what students handed in to where nbgrader looks for it.

        Args:
            submissions: a folder with one for each student, in it `01_attention_by_hand.ipynb` and
                so on, each by itself or in a folder of its name.

        Returns:
            Pairs of student and assignment. What else is there, `left_out` tells.

        Raises:
            FileNotFoundError: no assignment is found there.
        """
        taken = []
        self.not_copied: dict[Path, str] = {}
        for student, path, why_not in self._look_through(submissions):
            if why_not:
                continue
            place = self.folder / "submitted" / handed_in.student_id(student) / path.stem
            try:
                handed_in.copy(path, place / path.name)
            except (OSError, ValueError) as error:
                self.not_copied[path] = f"It can't be read: {error}"
            else:
                taken.append((student, path.stem))
        if not taken and not self.not_copied:
            raise FileNotFoundError(
                f"No submission is in {submissions}. A submission is a file such as "
                f"STUDENT/{self.assignments[0]}.ipynb"
            )
        return taken

    def left_out(self, submissions: str | Path) -> dict[Path, str]:
        """Return what below `submissions` looks like one and is not graded, and why.

        Such are notebooks in no student's folder, links, second copies, and those that are not
        named as an assignment is: a browser calls a second download
        `01_attention_by_hand (1).ipynb`.
        """
        found = self._look_through(submissions)
        return {f.path: f.why_not for f in found if f.why_not} | getattr(self, "not_copied", {})

    def _look_through(self, submissions: str | Path) -> list[handed_in.Found]:
        return handed_in.look_through(Path(submissions), self.assignments)

    def grade(self, student: str, assignment: str) -> str:
        """Run and score a submission, and write the feedback for the student.

        Returns:
            Why it could not be scored; empty if it was.
        """
        identifier = handed_in.student_id(student)
        try:
            result = self.nbgrader.autograde(assignment, identifier, force=True)
            if result["success"]:
                result = self.nbgrader.generate_feedback(assignment, identifier, force=True)
        except Exception as error:  # one student's file must not end the grading of all
            return f"{type(error).__name__}: {error}"
        return "" if result["success"] else why(result)

    def scores(self) -> Iterator[Score]:
        """Return the score of every task of every submission that could be graded."""
        return (score for score in self._in_gradebook() if self._is_graded(score))

    def without_score(self) -> list[tuple[str, str]]:
        """Return the pairs of student and assignment that were tried and could not be graded."""
        failed = (score for score in self._in_gradebook() if not self._is_graded(score))
        return sorted({(score.student, score.assignment) for score in failed})

    def _in_gradebook(self) -> Iterator[Score]:
        with self.nbgrader.gradebook as gradebook:
            for score in scores_of(gradebook):
                yield score._replace(student=handed_in.student_name(score.student))

    def _is_graded(self, score: Score) -> bool:
        # Before nbgrader tries a submission it writes zeros for it, and there they stay if it
        # fails. Only a notebook that ran to its end is kept as graded.
        student = handed_in.student_id(score.student)
        return (self.folder / "autograded" / student / score.assignment).is_dir()

    def write_scores(self) -> Path:
        """Write `scores.csv`, a line for each student and task, and return its path."""
        path = self.folder / "scores.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for student, *names, points, out_of in self.scores():
                row = [handed_in.cell_of_table(text) for text in (student, *names)]
                writer.writerow([*row, points, out_of])
        return path

    def notes(self) -> Iterator[tuple[str, str, str]]:
        """Return what is worth a look: student, assignment, and what their notebook does."""
        for path in sorted((self.folder / "notes").glob("*/*.json")):
            for note in json.loads(path.read_text(encoding="utf-8")):
                yield handed_in.student_name(path.parent.name), path.stem, str(note)

    def write_report(self) -> Path:
        """Write `report.txt`: how the notebooks were confined, and what is worth a look."""
        lines = [confine.describe(), "None of what follows gained a point. Have a look at it.", ""]
        for student, assignment, note in self.notes():
            lines.append(handed_in.printable(f"{student}, {assignment}: {note}"))
        path = self.folder / "report.txt"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="backslashreplace")
        return path


def why(result: dict) -> str:
    """Return what nbgrader says of a failure, in a line: the error that its log shows first."""
    text = f"{result.get('log')}\n{result.get('error')}"
    found = re.search(r"^\s*([\w.]*(?:Error|Exception)\w*: .+)$", text, re.MULTILINE)
    return found[1] if found else "nbgrader gave no reason"


_checkpoints = shutil.ignore_patterns(".ipynb_checkpoints")

"""A course folder of nbgrader: make it, release assignments, take in and grade submissions."""

import csv
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from falcon_edu.classroom.scores import Score, scores_of
from falcon_edu.strangers import quoted

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
        config.CourseDirectory.root = str(self.folder)
        self.nbgrader = NbGraderAPI(config=config)

    @classmethod
    def make(cls, folder: str | Path, exercises: Path) -> "Course":
        """A course folder with settings and source notebooks. What is there stays as it is.

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
        return sorted(path.parent.name for path in self.folder.glob("source/*/*.ipynb"))

    def release(self, assignment: str) -> Path:
        """Writes the students' copy of an assignment, without solutions and hidden tests.

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
        """Copies what students handed in to where nbgrader looks for it.

        Args:
            submissions: a folder with one for each student, in it `01_attention_by_hand.ipynb` and
                so on, each by itself or in a folder of its name.

        Returns:
            Pairs of student and assignment.

        Raises:
            FileNotFoundError: no assignment is found there.
        """
        taken = []
        for student, path in self._submitted(submissions):
            target = self.folder / "submitted" / student / path.stem / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
            taken.append((student, path.stem))
        if not taken:
            raise FileNotFoundError(
                f"No submission is in {submissions}. A submission is a file such as "
                f"STUDENT/{self.assignments[0]}.ipynb"
            )
        return taken

    def left_out(self, submissions: str | Path) -> list[Path]:
        """The notebooks below `submissions` that `take_in` does not take.

        Such are those in no student's folder, and those that are not named as an assignment is: a
        browser calls a second download `01_attention_by_hand (1).ipynb`.
        """
        taken = {path for _, path in self._submitted(submissions)}
        found = Path(submissions).rglob("*.ipynb")
        return sorted(p for p in found if p not in taken and ".ipynb_checkpoints" not in p.parts)

    def _submitted(self, submissions: str | Path) -> Iterator[tuple[str, Path]]:
        for path in sorted(Path(submissions).rglob("*.ipynb")):
            student = path.relative_to(submissions).parts[0]
            if path.stem in self.assignments and student != path.name:
                yield student, path

    def grade(self, student: str, assignment: str) -> str:
        """Runs and scores a submission, and writes the feedback for the student.

        Returns:
            Why it could not be scored; empty if it was.
        """
        result = self.nbgrader.autograde(assignment, student, force=True)
        if result["success"]:
            result = self.nbgrader.generate_feedback(assignment, student, force=True)
        return "" if result["success"] else why(result)

    def scores(self) -> Iterator[Score]:
        """The score of every task of every submission that could be graded."""
        return (score for score in self._in_gradebook() if self._is_graded(score))

    def without_score(self) -> list[tuple[str, str]]:
        """Pairs of student and assignment that were tried and could not be graded."""
        failed = (score for score in self._in_gradebook() if not self._is_graded(score))
        return sorted({(score.student, score.assignment) for score in failed})

    def _in_gradebook(self) -> Iterator[Score]:
        with self.nbgrader.gradebook as gradebook:
            yield from scores_of(gradebook)

    def _is_graded(self, score: Score) -> bool:
        # Before nbgrader tries a submission it writes zeros for it, and there they stay if it
        # fails. Only a notebook that ran to its end is kept as graded.
        return (self.folder / "autograded" / score.student / score.assignment).is_dir()

    def write_scores(self) -> Path:
        """Writes `scores.csv`, a line for each student and task; returns its path."""
        path = self.folder / "scores.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            writer.writerows(self.scores())
        return path


def why(result: dict) -> str:
    """What nbgrader says of a failure, in a line: the error that its log shows first."""
    text = f"{result.get('log')}\n{result.get('error')}"
    found = re.search(r"^\s*([\w.]*(?:Error|Exception)\w*: .+)$", text, re.MULTILINE)
    return found[1] if found else "nbgrader gave no reason"


_checkpoints = shutil.ignore_patterns(".ipynb_checkpoints")

"""What nbgrader's gradebook says: a score for each task, and a table for a glance."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from falcon_edu.course.classroom.handed_in import printable


class Score(NamedTuple):
    """Hold what a student has for a task.

    Args:
        student, assignment, task: their names.
        points: what the student has.
        out_of: what can be had.
    """

    student: str
    assignment: str
    task: str
    points: float
    out_of: float


def scores_of(gradebook: Any) -> Iterator[Score]:
    """Return the scores in a gradebook of nbgrader.

    Args:
        gradebook: an open `nbgrader.api.Gradebook`.
    """
    for assignment in sorted(gradebook.assignments, key=lambda assignment: assignment.name):
        submissions = gradebook.assignment_submissions(assignment.name)
        for submission in sorted(submissions, key=lambda submission: submission.student.id):
            for notebook in submission.notebooks:
                for grade in notebook.grades:
                    task = grade.name.removesuffix("-test")
                    place = submission.student.id, assignment.name, task
                    yield Score(*place, grade.score, grade.max_score)


def table(scores: Iterable[Score], without_score: Iterable[tuple[str, str]] = ()) -> str:
    """Return students and assignments, in text.

    Args:
        scores: as `scores_of` gives them.
        without_score: pairs of student and assignment that could not be graded.

    Example:

    >>> scores = [Score("ada", "01_first", task, 2, 3) for task in ("softmax", "mask")]
    >>> print(table(scores, [("bob", "01_first")]))
    student  01_first
    ada       4 of  6
    bob      no score
    """
    totals: dict[tuple[str, str], tuple[float, float] | None] = dict.fromkeys(without_score)
    for score in scores:
        place = score.student, score.assignment
        points, out_of = totals.get(place) or (0, 0)
        totals[place] = points + score.points, out_of + score.out_of
    students = sorted({student for student, _ in totals})
    assignments = sorted({assignment for _, assignment in totals})
    shown = {student: printable(student) for student in students}
    first = max(map(len, ["student", *shown.values()]))
    lines = ["  ".join([f"{'student':{first}}", *assignments])]
    for student in students:
        cells = [_cell(totals, (student, name)).rjust(len(name)) for name in assignments]
        lines.append("  ".join([f"{shown[student]:{first}}", *cells]))
    return "\n".join(lines)


def _cell(totals: dict, place: tuple[str, str]) -> str:
    if place not in totals:
        return "-"  # nothing was handed in
    total = totals[place]
    return f"{total[0]:2g} of {total[1]:2g}" if total else "no score"

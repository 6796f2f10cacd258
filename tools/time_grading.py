"""Time the grading of a class beside nbgrader's own runner: `python tools/time_grading.py 30`.

nbgrader runs a notebook and its tests in one kernel. Here a process runs it and a judge asks, which
is safer and should take at most twice as long. Each student is graded both ways, one after the
other, so that a machine that is busy is busy for both.
"""

import copy
import os
import sys
import tempfile
import time
from pathlib import Path

from falcon_edu.course.classroom.course import CONFIG, Course
from falcon_edu.course.notebooks import course_folder
from tools import assignments

import nbformat

OWN = """
c.Autograde.sanitize_preprocessors = c.Autograde.autograde_preprocessors = None
del c.Autograde.sanitize_preprocessors, c.Autograde.autograde_preprocessors
"""


def handed_in(path, number):
    """Return a student's notebook: of three one is right, one wrong, one blank."""
    notebook = assignments.read(path)
    if number % 3 == 1:
        wrong = assignments.wrong_answers(path)
        answers = {task: next(iter(each.values())) for task, each in wrong.items()}
        return assignments.answered(notebook, answers)
    return assignments.blank(notebook) if number % 3 == 2 else copy.deepcopy(notebook)


def main(students, stem):
    """Grade a class both ways, and print the seconds after each student."""
    path = next(path for path in assignments.find() if path.stem.startswith(stem))
    seconds = {"nbgrader": 0.0, "the judge": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        courses = {}
        for runner in seconds:
            place = Path(folder) / runner.replace(" ", "-")
            Course.make(place, course_folder() / "exercises")
            if runner == "nbgrader":
                with (place / CONFIG).open("a") as file:
                    file.write(OWN)
            courses[runner] = Course(place)
            courses[runner].release(path.stem)
        for number in range(students):
            name = f"student-{number:02}"
            place = Path(folder) / "in" / name / f"{path.stem}.ipynb"
            place.parent.mkdir(parents=True)
            nbformat.write(handed_in(path, number), place)
            for runner, course in courses.items():
                course.take_in(Path(folder) / "in")
                start = time.monotonic()
                course.grade(name, path.stem)
                seconds[runner] += time.monotonic() - start
            ratio = seconds["the judge"] / seconds["nbgrader"]
            said = ", ".join(f"{runner} {total:.0f} s" for runner, total in seconds.items())
            load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
            print(f"{number + 1} students: {said}, {ratio:.2f} times; {load}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "01")

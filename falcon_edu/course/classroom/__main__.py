"""`python -m falcon_edu.classroom FOLDER`: release assignments; with submissions, grade them."""

import argparse
import sys
from pathlib import Path

from falcon_edu.course.notebooks import course_folder


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; the exit status is 1 where a file has no score."""
    parser = argparse.ArgumentParser("python -m falcon_edu.classroom", description=__doc__)
    parser.add_argument("folder", type=Path, help="the course folder; it is made if need be")
    parser.add_argument("--submissions", type=Path, help="a folder with one for each student")
    parser.add_argument("--assignment", action="append", help="only this one; may be repeated")
    options = parser.parse_args(arguments)
    try:
        from falcon_edu.course.classroom.course import Course
    except ModuleNotFoundError as error:
        print(f"{error.name} is missing: pip install 'falcon_edu[classroom]'", file=sys.stderr)
        return 1
    try:
        course = Course.make(options.folder, course_folder() / "exercises")
        names = options.assignment or course.assignments
        for name in names:
            print("released:", course.release(name).relative_to(course.folder))
        return grade(course, options.submissions, names) if options.submissions else 0
    except (OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1


def grade(course, submissions: Path, names: list[str]) -> int:
    """Grade all submissions to the assignments of these names."""
    from falcon_edu.course.classroom.handed_in import printable
    from falcon_edu.course.classroom.scores import table

    failed = []
    for student, assignment in course.take_in(submissions):
        if assignment not in names:
            continue
        print(f"grading {printable(student)}, {assignment}", flush=True)
        if why := course.grade(student, assignment):
            failed.append(f"no score: {student}, {assignment}: {why}")
            print("  no score", flush=True)
    print(table(course.scores(), course.without_score()))
    print("scores:  ", course.write_scores())
    print("feedback:", course.folder / "feedback")
    print("report:  ", course.write_report())
    seen = sorted({(student, assignment) for student, assignment, _ in course.notes()})
    for student, assignment in seen:
        print(f"  worth a look: {printable(student)}, {assignment}")
    for path, why in course.left_out(submissions).items():
        failed.append(f"not graded: {path}. {why}")
    # At the end, where a teacher of a hundred students still sees them.
    for line in failed:
        print(printable(line), file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Print what good, wrong and blank answers get in each assignment, and each wrong answer's points.

    python -m tools.grading_table          # a line for each assignment
    python -m tools.grading_table --all    # and a line for each wrong answer

The points are the judge's, from a process with the answers in it (`tools/assignments.py`).
"""

import argparse

from tools import assignments


def main() -> None:
    """Score all answers that are known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="each wrong answer too")
    options = parser.parse_args()
    print(f"{'assignment':28}{'good':>7}{'wrong':>7}{'blank':>7}{'out of':>8}")
    for path in assignments.find():
        notebook, wrong = assignments.read(path), assignments.wrong_answers(path)
        firsts = {task: next(iter(answers.values())) for task, answers in wrong.items()}
        cases = (notebook, assignments.answered(notebook, firsts), assignments.blank(notebook))
        worth = assignments.tasks(notebook)
        with assignments.judged(notebook) as points:
            totals = [sum(points(case).values()) for case in cases]
            columns = "".join(f"{total:7g}" for total in totals)
            print(f"{path.stem:28}{columns}{sum(worth.values()):8}", flush=True)
            for task, answers in wrong.items() if options.all else ():
                for what, edit in answers.items():
                    case = assignments.answered(notebook, {task: edit})
                    print(f"  {task}: {what}: {points(case, task)[task]:g} of {worth[task]}")


if __name__ == "__main__":
    main()

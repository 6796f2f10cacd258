"""Print what good, wrong and blank answers get in each assignment, and each wrong answer's points.

    python -m tools.grading_table          # a line for each assignment
    python -m tools.grading_table --all    # and a line for each wrong answer

The cells that are scored are those that nbgrader runs (`tools/assignments.py`).
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
        totals = [sum(assignments.scores(case).values()) for case in cases]
        worth = assignments.tasks(notebook)
        print(f"{path.stem:28}" + "".join(f"{t:7g}" for t in totals) + f"{sum(worth.values()):8}")
        for task, answers in wrong.items() if options.all else ():
            for what, edit in answers.items():
                case = assignments.answered(notebook, {task: edit})
                got = assignments.scores(case, only=task)[task]
                print(f"  {task}: {what}: {got:g} of {worth[task]}", flush=True)


if __name__ == "__main__":
    main()

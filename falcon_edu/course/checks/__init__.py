"""Checks of the exercises: a module for each notebook, a function for each exercise.

A notebook imports its module, `from falcon_edu.checks import self_attention as check`, and calls
`check.softmax(my_softmax)`. Solutions are in `notebooks/solutions/`; `tests/test_checks.py` proves
that every check takes its solution and refuses what learners plausibly get wrong.
"""

from falcon_edu.course.checks.exercise import (
    Exercise,
    Verdict,
    Wrong,
    exercise,
    expect,
    expect_close,
    given,
)

__all__ = ["Exercise", "Verdict", "Wrong", "exercise", "expect", "expect_close", "given"]

"""Checks of the graded assignments: a module for each, in it a `Graded` for each graded task.

An assignment imports its module, `from falcon_edu.checks.assignments import attention_by_hand as
check`, and calls `check.softmax(softmax)`: the learner sees what is wrong, and nbgrader takes the
points. `tests/test_assignments.py` proves that every task gives its solution all points, nothing
no points, and a plausible wrong answer what it should.
"""

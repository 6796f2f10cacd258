"""Small Falcons for the bug hunt: a healthy one in NumPy, and nine with a defect each.

The defects are real: each shipped in a library that many use. Which patient has which stands in
`cases.py`; whoever hunts doesn't look there yet.
"""

from falcon_edu.course.checks.patients.cases import patient
from falcon_edu.course.checks.patients.small_falcon import Run, SmallFalcon

__all__ = ["Run", "SmallFalcon", "patient"]

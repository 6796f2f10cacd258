"""The teacher's side of the graded assignments: a release for students, scores, feedback.

`python -m falcon_edu.classroom FOLDER` makes a course folder with the release in it, and with
`--submissions` grades what students handed in. nbgrader does the work; here are the settings, the
limits, and a kernel that may die without taking a score with it. `docs/teaching.md` tells how.
"""

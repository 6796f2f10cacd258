"""nbgrader's settings for the assignments. In your course folder is a copy that you may change."""

from falcon_edu.classroom.execute import JudgeApart
from falcon_edu.classroom.feedback import Harmless
from falcon_edu.classroom.repair import Repair

from nbconvert.preprocessors import ClearMetadataPreprocessor, CSSHTMLHeaderPreprocessor
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    GetGrades,
    IgnorePattern,
    LimitOutput,
    OverwriteCells,
    OverwriteKernelspec,
    SaveAutoGrades,
)

c = get_config()  # noqa: F821 (nbgrader brings it when it reads this file)

c.CourseDirectory.course_id = "falcon"

# In the student's copy this stands where the solution was.
c.ClearSolutions.code_stub = {"python": "...  # your code"}

# Cells that were copied, split, moved, renamed or deleted find their places again.
c.Autograde.sanitize_preprocessors = [Repair, OverwriteKernelspec, OverwriteCells, CheckCellMetadata]

# The notebook runs in a process of its own, and a judge apart from it gives the points.
c.Autograde.autograde_preprocessors = [
    JudgeApart,
    IgnorePattern,
    ClearMetadataPreprocessor,
    LimitOutput,
    SaveAutoGrades,
    AssignLatePenalties,
    CheckCellMetadata,
]
c.JudgeApart.timeout = 60  # seconds for a cell, and for the tests of a task
c.JudgeApart.memory = 4000  # megabytes for a student's process

# A page of feedback runs no script, whoever wrote it.
c.GenerateFeedback.preprocessors = [GetGrades, CSSHTMLHeaderPreprocessor, Harmless]

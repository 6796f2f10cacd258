"""nbgrader's settings for the assignments. In your course folder is a copy that you may change."""

from falcon_edu.classroom.execute import PatientExecute

from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    IgnorePattern,
    LimitOutput,
    SaveAutoGrades,
)

c = get_config()  # noqa: F821 (nbgrader brings it when it reads this file)

c.CourseDirectory.course_id = "falcon"

# In the student's copy this stands where the solution was.
c.ClearSolutions.code_stub = {"python": "...  # your code"}

# A test cell that a student deleted is put back.
c.OverwriteCells.add_missing_cells = True

# nbgrader's own runner drops a submission whose kernel dies; this one scores what is left.
c.Autograde.autograde_preprocessors = [
    PatientExecute,
    IgnorePattern,
    ClearMetadataPreprocessor,
    LimitOutput,
    SaveAutoGrades,
    AssignLatePenalties,
    CheckCellMetadata,
]
c.Execute.timeout = 60  # seconds for a cell
c.Execute.iopub_timeout = 20  # seconds for its outputs to arrive, once it was stopped
c.Execute.startup_timeout = 120
c.PatientExecute.memory = 4000  # megabytes for a kernel

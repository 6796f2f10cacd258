"""Feedback that runs nothing: a student's page is opened by others, the teacher among them."""

import re

from falcon_edu.course.classroom import cells

from nbgrader.preprocessors import NbGraderPreprocessor

# The first thing in the page's head: no script runs, and nothing is loaded or sent.
POLICY = (
    "default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'; "
    "form-action 'none'; base-uri 'none'"
)
META = f'</style><meta http-equiv="Content-Security-Policy" content="{POLICY}"><style>'

# With a space of no width behind it, a sign begins neither a tag nor an entity. To escape it would
# not do: nbconvert takes the escapes in headings off again.
TAG = re.compile(r"[<&](?=\S)")
HARMLESS = "\\g<0>\u200b"


class Harmless(NbGraderPreprocessor):
    """Show what students wrote as text, and of the tests only what they knew before.

    It comes after nbconvert's `CSSHTMLHeaderPreprocessor`, whose styles it puts the policy before.
    """

    def preprocess(self, nb, resources):
        styles = resources.setdefault("inlining", {}).setdefault("css", [])
        styles.insert(0, META)
        for cell in nb.cells:
            mark = cell.metadata.get("nbgrader", {})
            if cell.cell_type == "code":
                cell.source = cells.public(cell.source) if mark.get("locked") else cell.source
            elif cell.cell_type == "raw":
                cell.cell_type, cell.source = "markdown", TAG.sub(HARMLESS, cell.source)
            elif not mark.get("locked"):
                cell.source = TAG.sub(HARMLESS, cell.source)
        return nb, resources

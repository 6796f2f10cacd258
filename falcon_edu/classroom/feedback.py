"""Feedback that runs nothing: a student's page is opened by others, the teacher among them."""

import re

from falcon_edu.classroom import cells

from nbconvert.preprocessors import Preprocessor

# The first thing in the page's head: no script runs, and nothing is loaded or sent.
POLICY = (
    "default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'; "
    "form-action 'none'; base-uri 'none'"
)
META = f'</style><meta http-equiv="Content-Security-Policy" content="{POLICY}"><style>'
TAG = re.compile(r"<(?=[A-Za-z/!?])")


class Harmless(Preprocessor):
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
                cell.cell_type, cell.source = "markdown", TAG.sub("&lt;", cell.source)
            elif not mark.get("locked"):
                cell.source = TAG.sub("&lt;", cell.source)
        return nb, resources

"""A Falcon in a web page: the JavaScript beside this file, and the files that it reads.

`README.md` says what is where, and how equal it is to the package.
"""

from falcon_edu.web.exporting import export_to_web
from falcon_edu.web.one_file import explorer_to_html

__all__ = ["explorer_to_html", "export_to_web"]

"""A Falcon in a web page: the JavaScript beside this file, and the files that it reads.

`README.md` says what is where, and how equal it is to the package.
"""

from falcon_edu.web.exporting import export_to_web

__all__ = ["export_to_web"]

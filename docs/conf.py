"""How Sphinx builds the site; `tools/make_site.py` calls it. Nothing is loaded from elsewhere."""

import html
import inspect
import re
import tomllib
from pathlib import Path

from tools import address

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

logger = logging.getLogger(__name__)

_project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]

# === Project ===

project = _project["name"]
author = _project["authors"][0]["name"]
project_copyright = author
release = version = _project["version"]

# === Pages ===

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3
myst_html_meta = {"description": _project["description"]}
nb_execution_mode = "off"  # the outputs are those that are committed, and tested
nb_merge_streams = True
nb_number_source_lines = False
highlight_language = "python3"
suppress_warnings = ["misc.highlighting_failure"]  # `%pip` is no Python

# === Reference: docstrings in Google's form, with Markdown's backticks ===

default_role = "code"
add_module_names = False
autodoc_inherit_docstrings = False  # Keras's own are in another markup
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_custom_sections = [("Call arguments", "params_style")]
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

# === Look ===

html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_favicon = "_static/icon.svg"
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_show_sourcelink = False
html_math_renderer = "mathml"
html_search_scorer = str(Path(__file__).parent / "search.js")
html_permalinks_icon = "#"


def math(self, node):
    """A formula in the browsers' own language: no script, no font, and readers speak it."""
    tex = re.sub(r"\\frac(\d)(\d)", r"\\frac{\1}{\2}", node.astext())  # docutils wants the braces
    try:
        formula = tex2mathml(tex, as_block=isinstance(node, nodes.math_block))
    except MathError as error:
        logger.warning("the formula %r can't be read: %s", tex, error, location=node)
        formula = f"<code>{html.escape(tex)}</code>"
    self.body.append(formula)
    raise nodes.SkipNode


def tidy(app, what, name, obj, options, lines):
    """A docstring whose lists of arguments Sphinx understands: on one line, without markup."""
    text = "\n".join(lines)
    text = re.sub(r"^( +[\w, *]+,)\n +(?=[\w, *]+[,:])", r"\1 ", text, flags=re.MULTILINE)
    lines[:] = re.sub(r"(?<=, )\*\*(?=\w+[,:])", r"\*\*", text).split("\n")


def arguments(app, what, name, obj, options, signature, returned):
    """The arguments of a class are those of `__init__`; Keras hides them behind `__new__`."""
    if what == "class":
        own = [*inspect.signature(obj.__init__).parameters.values()][1:]
        signature = f"({', '.join(map(str, own))})"
    return signature, returned


def card(app, pagename, templatename, context, doctree):
    """Add what others show of a link to a page. These tags need absolute addresses."""
    site = address.pages(address.address())
    title = re.sub("<[^>]*>", "", context.get("title", project))
    told = {
        "og:type": "website",
        "og:site_name": project,
        "og:title": html.unescape(title),
        "og:description": _project["description"],
        "og:url": f"{site}{pagename}.html",
        "og:image": f"{site}_images/explorer.png",
        "og:image:alt": "A sentence in a small Falcon, and where each head looks",
        "twitter:card": "summary",
    }
    lines = [f'<meta property="{k}" content="{html.escape(v)}">' for k, v in told.items()]
    context["metatags"] = context.get("metatags", "") + "\n" + "\n".join(lines)


def setup(app):
    """Formulas need no extension, and docstrings a little help before napoleon reads them."""
    app.connect("html-page-context", card)
    app.connect("autodoc-process-docstring", tidy, priority=400)
    app.connect("autodoc-process-signature", arguments)
    app.add_html_math_renderer("mathml", (math, None), (math, None))

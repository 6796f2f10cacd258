"""Build the course as a static site, offline: `make site`, into build/site.

Sphinx reads one folder, so the pages are gathered first: the README as the front page, the
notebooks with their outputs as committed, the pages of docs/, and the reference (`site_api.py`).
Nothing is executed and nothing is fetched; `docs/conf.py` says how it looks. On the front page, in
lessons and in the playground Falcons run (`site_falcons.py`): the modules of `falcon_edu/web/` and
the weights of the shipped models are put beside the pages.
"""

import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from falcon_edu import FalconCausalLM
from falcon_edu.web import export_to_web
from tools import address, site_api, site_falcons
from tools.notebooks import shown

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "build" / "site-source"
TARGET = ROOT / "build" / "site"
FRONT = {"README.md": "index.md"}  # a page, and where it is on the site
WEB = ROOT / "falcon_edu" / "web"
PLAYGROUND = "docs/playground.md"
ABOUT = ["CONTRIBUTING.md", "CHANGELOG.md"]
LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)\s]*)?\))")  # within the repository
SITE_LINK = re.compile(  # from anywhere to the site; there it is one to a page beside it
    rf"\]\({re.escape(address.pages(address.address()))}([^)#\s]*)((?:#[^)\s]*)?\))"
)
EXPLORER = re.compile(r"\w+Explorer: ")
LIVE = "It stands still here; in Jupyter, on Binder and on Colab it is live."
NO_PAGES = {"genindex.html", "py-modindex.html", "search.html"}  # Sphinx's own


# === Gathering ===


def gather() -> None:
    """Put every page where Sphinx will read it, in the layout of the repository."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    lessons = [path.relative_to(ROOT).as_posix() for path in address.lessons()]
    texts = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").glob("*.md"))]
    there = FRONT | {name: name for name in [*lessons, *texts, *ABOUT]}
    copied = {path.relative_to(ROOT).as_posix() for path in pictures_and_solutions()}

    for name in copied:
        put(name, (ROOT / name).read_bytes())
    for name, page in there.items():
        if name in lessons:
            notebook = prepared(nbformat.read(ROOT / name, as_version=4))
            for cell in notebook.cells:
                if cell.cell_type == "markdown":
                    cell.source = relinked(cell.source, name, there, copied)
            put(page, nbformat.writes(notebook).encode())
        else:
            text = relinked((ROOT / name).read_text(), name, there, copied)
            if name in FRONT:
                text = site_falcons.with_falcon(text)
            elif name == PLAYGROUND:
                text = site_falcons.with_playground(text)
            put(page, text.encode())
    reference = site_api.pages()
    for page, text in reference.items():
        put(page, text.encode())
    with (SOURCE / "index.md").open("a") as index:
        index.write(contents("Try it", [PLAYGROUND]))
        index.write(contents("The course", lessons, numbered=True))
        index.write(contents("Reference", list(reference)))
        index.write(contents("More", [*(t for t in texts if t != PLAYGROUND), *ABOUT]))


def pictures_and_solutions() -> list[Path]:
    """Return the files that pages show or offer, as they are."""
    docs = [path for path in (ROOT / "docs").glob("*") if path.suffix in (".png", ".svg")]
    return [*docs, *(ROOT / "notebooks" / "solutions").glob("*.py")]


def put(name: str, content: bytes) -> None:
    """Write a file below the folder that Sphinx reads."""
    path = SOURCE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def contents(title: str, pages: list[str], numbered: bool = False) -> str:
    """Return an entry of the menu, as MyST has it; a notebook may go by the number in its name."""
    names = [str(Path(page).with_suffix("")) for page in pages]
    if numbered:
        titles = [heading(ROOT / f"{name}.ipynb") for name in names]
        names = [f"{Path(n).name[:2]} {t} <{n}>" for n, t in zip(names, titles, strict=True)]
    listed = "\n".join(names)
    return f"\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n{listed}\n```\n"


def heading(path: Path) -> str:
    """Return the title of a notebook, up to its colon."""
    first = nbformat.read(path, as_version=4).cells[0].source
    return first.partition("\n")[0].removeprefix("# ").partition(":")[0]


# === What pages say ===


def relinked(text: str, name: str, there: dict[str, str], copied: set[str]) -> str:
    """Return a page whose links within the repository, or to the site, lead to the site's pages.

    What is no page of the site is linked on GitHub.

    Args:
        text: Markdown.
        name: path of the page in the repository.
        there: the pages of the site, by their paths in the repository.
        copied: files that are offered as they are.
    """

    def from_site(match: re.Match[str]) -> str:
        path, after = match.groups()
        source = sources.get(path or "index.html")
        if source is None:
            return match.group()
        return f"]({os.path.relpath(source, os.path.dirname(name) or '.')}{after}"

    def lead(match: re.Match[str]) -> str:
        before, to, after = match.groups()
        path = os.path.normpath(os.path.join(os.path.dirname(name), to)).replace(os.sep, "/")
        if path in there:
            start = os.path.dirname(there[name])
            return before + os.path.relpath(there[path], start or ".").replace(os.sep, "/") + after
        if path in copied:
            return match.group()
        return f"{before}{address.address()}/tree/{address.BRANCH}/{path}{after}"

    sources = {str(Path(page).with_suffix(".html")): source for source, page in there.items()}
    return LINK.sub(lead, SITE_LINK.sub(from_site, text))


def prepared(notebook: NotebookNode) -> NotebookNode:
    """Return a notebook as a page: pictures with their words, answers of predictions folded.

    Explorers of a shipped model come to life on the page, if it has their kind; the words beside
    the picture of an explorer, for places without one, are left out.
    """
    places = site_falcons.places(notebook)
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and cell.metadata.get("jupyter", {}).get("outputs_hidden"):
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-output"]
            cell.outputs = shown(cell)
        for output in cell.get("outputs", []):
            if "image/png" not in output.get("data", {}):
                continue
            options: dict = {"image": {"alt": output.metadata["image/png"].get("alt", "")}}
            if EXPLORER.match(output["data"].get("text/plain", "")):
                cell.outputs = [one for one in cell.outputs if not site_falcons.is_words(one)]
                options["figure"] = {"caption": places.get(index, "") + LIVE}
            cell.metadata["mystnb"] = options
    if places:
        notebook.cells.append(nbformat.v4.new_markdown_cell(site_falcons.scripts("../")))
    return notebook


# === Building ===


def put_falcons() -> None:
    """Copy the Falcon in the page to the site, and write the weights of each there."""
    for path in [*WEB.rglob("*.js"), *WEB.rglob("*.css")]:
        copy = TARGET / "falcon" / path.relative_to(WEB)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    for preset in site_falcons.PRESETS.values():
        export_to_web(FalconCausalLM.from_preset(preset), TARGET / "falcon" / preset)


def put_sitemap() -> None:
    """Write the list of pages that search engines read; they want whole addresses."""
    paths = sorted(path.relative_to(TARGET).as_posix() for path in TARGET.rglob("*.html"))
    site = address.pages(address.address())
    urls = [site + path.removesuffix("index.html") for path in paths if path not in NO_PAGES]
    lines = "".join(f"<url><loc>{html.escape(url)}</loc></url>\n" for url in urls)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    schema = "http://www.sitemaps.org/schemas/sitemap/0.9"
    (TARGET / "sitemap.xml").write_text(f'{head}<urlset xmlns="{schema}">\n{lines}</urlset>\n')


def main() -> int:
    """Gather and build; a warning is an error, for it is a page that looks wrong."""
    gather()
    shutil.rmtree(TARGET, ignore_errors=True)
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    command += ["-c", str(ROOT / "docs"), "-d", str(ROOT / "build" / "doctrees")]
    status = subprocess.run([*command, str(SOURCE), str(TARGET)], cwd=ROOT).returncode
    put_falcons()
    put_sitemap()
    print(f"{TARGET / 'index.html'}" if status == 0 else "the site has warnings: see above")
    return status


if __name__ == "__main__":
    sys.exit(main())

"""Write the repository's public address into every badge and link.

    python tools/address.py                                 # what pyproject.toml says, everywhere
    python tools/address.py https://github.com/owner/name   # another one, there and everywhere

The address stands in `pyproject.toml` (project.urls). Binder, Colab, Codespaces, the site, the cell
that installs the package on Colab, README and citation follow from it; `tests/test_address.py`
finds strays.
"""

import argparse
import re
import subprocess
import sys
import tomllib
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools import notebooks

import nbformat

ROOT = Path(__file__).resolve().parents[1]
BRANCH = "main"
SUFFIXES = (".cff", ".ipynb", ".md", ".py", ".toml", ".yml")
FORM = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+)")

# What follows from the address: a place that is always ours, and the part of it that varies.
BINDER = re.compile(r"(mybinder\.org/v2/gh/)[\w.-]+/[\w.-]+/[\w.-]+(?=[?/)\s])")
COLAB = re.compile(r"(colab\.research\.google\.com/github/)[\w.-]+/[\w.-]+/blob/[\w.-]+(?=/)")
CODESPACES = re.compile(r"(codespaces\.new/)[\w.-]+/[\w.-]+(?=[?)\s])")
INSTALL = re.compile(r"(%pip install -q )(?:falcon_edu\b|git\+https://[\w./-]+)")


def address() -> str:
    """Return the public address of the repository, from `pyproject.toml`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return checked(project["urls"]["Homepage"])


def checked(wanted: str) -> str:
    """Return an address, if Binder and Colab can make something of it."""
    if not FORM.fullmatch(wanted) or wanted.endswith(".git"):
        raise ValueError(
            f"The address must read https://github.com/owner/name. Received: {wanted!r}"
        )
    return wanted


def pages(of: str) -> str:
    """Return where GitHub Pages has the site of a repository, with a slash at its end.

    >>> pages("https://github.com/Some-One/course"), pages("https://github.com/o/o.github.io")
    ('https://some-one.github.io/course/', 'https://o.github.io/')
    """
    owner, name = of.removeprefix("https://github.com/").split("/")
    host = f"{owner.lower()}.github.io"
    return f"https://{host}/" if name.lower() == host else f"https://{host}/{name}/"


# === What a text should say ===


def updated(text: str, old: str, new: str) -> str:
    """Return a text in which every link to the repository has the new address."""
    name = checked(new).removeprefix("https://github.com/")
    text = re.sub(rf"{re.escape(old)}(?![\w-])", new, text)
    text = text.replace(pages(old), pages(new))
    text = BINDER.sub(rf"\g<1>{name}/{BRANCH}", text)
    text = COLAB.sub(rf"\g<1>{name}/blob/{BRANCH}", text)
    text = CODESPACES.sub(rf"\g<1>{name}", text)
    return INSTALL.sub(rf"\g<1>git+{new}", text)


def invitation(path: str, of: str) -> str:
    """Return the line of a notebook that opens it without an installation.

    >>> print(invitation("notebooks/03_a.ipynb", "https://github.com/o/n"))  # doctest: +ELLIPSIS
    *Nothing installed? Open this notebook [in Colab](https://colab...) or [in Binder](https://...).*
    """
    name = of.removeprefix("https://github.com/")
    colab = f"https://colab.research.google.com/github/{name}/blob/{BRANCH}/{path}"
    binder = f"https://mybinder.org/v2/gh/{name}/{BRANCH}?urlpath=lab/tree/{path}"
    return f"*Nothing installed? Open this notebook [in Colab]({colab}) or [in Binder]({binder}).*"


# === Files ===


def files() -> list[Path]:
    """Return the files of the repository that may name the address; tests make addresses up."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    named = [ROOT / name for name in listed.split("\0") if not name.startswith("tests/")]
    return [path for path in named if path.suffix in SUFFIXES and path.is_file()]


def lessons() -> list[Path]:
    """Return the notebooks that are opened on their own; an assignment comes from a teacher."""
    return sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def invite(path: Path, of: str) -> bool:
    """Put the invitation under the title of a notebook, where it lacks one; whether it did."""
    notebook = nbformat.read(path, as_version=4)
    first = notebook.cells[0]
    line = invitation(path.relative_to(ROOT).as_posix(), of)
    if line in first.source:
        return False
    title, _, rest = first.source.partition("\n")
    rest = re.sub(r"^\*Nothing installed\?.*\*$", "", rest, flags=re.MULTILINE).strip()
    first.source = f"{title}\n\n{line}\n\n{rest}"
    notebooks.write(notebook, path)
    return True


def write(old: str, new: str) -> list[Path]:
    """Write the address everywhere; the files that changed."""
    changed = []
    for path in files():
        text = path.read_text()
        if (after := updated(text, old, new)) != text:
            path.write_text(after)
            changed.append(path)
    return changed + [path for path in lessons() if invite(path, new)]


def main() -> int:
    """Write it; the exit status is 1 for an address of another form."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", nargs="?", help="a new one; left out, that of pyproject.toml")
    chosen = parser.parse_args()
    try:
        old = address()
        changed = write(old, chosen.address or old)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(
        "\n".join(str(path.relative_to(ROOT)) for path in changed) or "Every link has it already."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

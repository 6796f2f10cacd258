"""Every badge and link names the address of `pyproject.toml`."""

import re
import tomllib

from tools import address

import nbformat
import pytest
import yaml

HOME = address.address()
OTHER = "https://github.com/someone/falcon-course"


def test_no_strays():
    """What `python tools/address.py` would change."""
    found = [
        str(path.relative_to(address.ROOT))
        for path in address.files()
        if address.updated(text := path.read_text(), HOME, HOME) != text
    ]
    assert found == [], "python tools/address.py"


def test_no_other_repository_of_this_name():
    """A plain link to a fork, or to the place before the last move."""
    named = re.compile(r"https://github\.com/[\w.-]+/falcon[_-]edu\b")
    found = {
        match
        for path in address.files()
        if path.name != "address.py"
        for match in named.findall(path.read_text())
    }
    assert found <= {HOME}


@pytest.mark.parametrize("path", address.lessons(), ids=lambda path: path.stem)
def test_notebook_can_be_opened_without_an_installation(path):
    first = nbformat.read(path, as_version=4).cells[0].source
    line = address.invitation(path.relative_to(address.ROOT).as_posix(), HOME)
    assert line in first.splitlines(), "python tools/address.py"


def test_no_line_needs_an_index_that_has_the_package():
    """Whoever installs the package first takes it from the repository, as Colab does.

    `pip install 'falcon_edu[lab]'` is for those who have it: pip then adds what the extra names.
    """
    anew = re.compile(r"pip install (?:-\S+ )*[\"']?falcon_edu(?:\[\w+\]\"|(?![\w\[])).*")
    texts = {path: path.read_text() for path in address.files() if "tests" not in path.parts}
    found = {path.name: anew.findall(text) for path, text in texts.items() if anew.search(text)}
    assert not found


def test_readme_opens_without_an_installation():
    readme = (address.ROOT / "README.md").read_text()
    assert address.BINDER.search(readme)
    assert address.COLAB.search(readme)
    assert address.CODESPACES.search(readme)
    assert f"({address.pages(HOME)}docs/playground.html)" in readme  # a page where Falcons run


def test_citation_agrees_with_the_project():
    project = tomllib.loads((address.ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((address.ROOT / "CITATION.cff").read_text())
    assert str(citation["version"]) == project["version"]
    assert citation["license"] == project["license"]
    assert citation["repository-code"] == HOME
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HOME, OTHER),
        (f"see {HOME}/issues.", f"see {OTHER}/issues."),
        (f"{HOME}-2", f"{HOME}-2"),
        ("https://github.com/keras-team/keras-hub", "https://github.com/keras-team/keras-hub"),
        (
            "(https://mybinder.org/v2/gh/a/b/old?urlpath=lab)",
            "(https://mybinder.org/v2/gh/someone/falcon-course/main?urlpath=lab)",
        ),
        (
            "https://colab.research.google.com/github/a/b/blob/x/notebooks/00_welcome.ipynb",
            "https://colab.research.google.com/github/someone/falcon-course/blob/main/"
            "notebooks/00_welcome.ipynb",
        ),
        (
            "[a codespace](https://codespaces.new/a/b?quickstart=1)",
            "[a codespace](https://codespaces.new/someone/falcon-course?quickstart=1)",
        ),
        (f"({address.pages(HOME)}docs/a.html)", f"({address.pages(OTHER)}docs/a.html)"),
        ("    %pip install -q falcon_edu", f"    %pip install -q git+{OTHER}"),
        ("    %pip install -q git+https://github.com/a/b", f"    %pip install -q git+{OTHER}"),
    ],
)
def test_links_follow(text, expected):
    assert address.updated(text, HOME, OTHER) == expected
    assert address.updated(expected, OTHER, OTHER) == expected


@pytest.mark.parametrize(
    "wrong", ["", "github.com/a/b", "http://github.com/a/b", "https://github.com/a", HOME + ".git"]
)
def test_an_address_of_another_form_is_refused(wrong):
    with pytest.raises(ValueError, match="must read"):
        address.checked(wrong)

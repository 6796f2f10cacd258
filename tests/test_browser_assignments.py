"""The assignments in a real JupyterLab, with their solutions: `make browser`."""

from pathlib import Path

import pytest
from browser_lab import open_notebook, start_browser, start_lab

SOURCE = Path(__file__).resolve().parents[1] / "notebooks/exercises/source"
ASSIGNMENTS = sorted(path.name for path in SOURCE.iterdir() if path.is_dir())

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser():
    with start_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    with start_lab(SOURCE, tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_an_assignment_runs(lab, browser, name):
    """Every cell runs, every task is scored, and no picture is broken."""
    with open_notebook(lab, browser, f"{name}/{name}.ipynb") as notebook:
        notebook.run_all()
        said = "".join(
            "".join(output.get("text", ""))
            for cell in notebook.cells()
            for output in cell.get("outputs", [])
        )
        assert "of 20" in said or "points" in said
        widths = "() => [...document.images].map(image => image.naturalWidth)"
        assert all(notebook.page.evaluate(widths))
        notebook.screenshot(name)
        for place in (0.35, 0.7, 1.0):
            notebook.page.evaluate(
                "place => { const top = panel.content.widgets.length - 1;"
                " return panel.content.scrollToItem(Math.round(place * top), 'center'); }",
                place,
            )
            notebook.page.wait_for_timeout(500)
            notebook.screenshot(f"{name}_{place}")

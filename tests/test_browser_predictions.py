"""A prediction in a real JupyterLab: asked, guessed by keyboard, laid over the truth, kept."""

import json

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_lab import open_notebook, start_browser, start_lab
from nbformat import v4
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

SOURCES = [
    "import falcon_edu",
    'falcon_edu.predict("rows", "How many rows?", between=(1, 100), unit="rows")',
    'falcon_edu.predict("word", "The next word?", choices=["boy", "girl"])',
    'falcon_edu.reveal("rows", 9)',
    'falcon_edu.reveal("word", "boy")',
    "falcon_edu.surprises()",
]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
RUN = """index => {
    panel.content.activeCellIndex = index;
    return jupyterapp.commands.execute('notebook:run-cell');
}"""


@pytest.fixture(scope="module")
def browser():
    with start_browser() as browser:
        yield browser


@pytest.fixture
def lab(tmp_path):
    (tmp_path / "sources").mkdir()
    notebook = v4.new_notebook(cells=[v4.new_code_cell(source) for source in SOURCES])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, tmp_path / "sources" / "made.ipynb")
    with start_lab(tmp_path / "sources", tmp_path) as lab:
        yield lab


def cell(notebook, index):
    return notebook.page.locator(".jp-Notebook .jp-Cell").nth(index)


def test_a_guess_is_made_by_keyboard_and_laid_over_the_truth(lab, browser):
    with open_notebook(lab, browser, "made.ipynb") as notebook:
        for index in (0, 1, 2):
            notebook.page.evaluate(RUN, index)
        field = notebook.page.get_by_role("textbox", name="How many rows?")
        field.fill("a hundred")
        field.press("Enter")
        status = cell(notebook, 1).get_by_role("status")
        expect(status).to_have_text("Write a number, from 1 to 100.")
        field.fill("12")
        field.press("Enter")
        expect(status).to_have_text("Kept: 12 rows.")
        expect(cell(notebook, 1).locator(".falcon-asked")).to_be_hidden()

        boy, girl = (notebook.page.get_by_role("radio", name=name) for name in ("boy", "girl"))
        expect(boy).not_to_be_checked()
        girl.focus()
        girl.press("Space")
        expect(girl).to_be_checked()
        expect(cell(notebook, 2).get_by_role("status")).to_have_text("Kept: girl.")
        found = Axe().run(notebook.page, context=".falcon-guess", options=RULES)
        assert found.response["violations"] == []
        notebook.screenshot("predict")

        for index in (3, 4, 5):
            notebook.page.evaluate(RUN, index)
        shown = cell(notebook, 3)
        expect(shown).to_contain_text("The truth: 9 rows. You: 12 rows, 3 rows above.")
        expect(shown.get_by_role("img", name="you 12 rows, the truth 9 rows")).to_be_visible()
        expect(shown.locator(".falcon-asked")).to_be_hidden()
        expect(field).to_be_disabled()
        expect(cell(notebook, 5).locator("tr")).to_have_count(2)
        notebook.screenshot("reveal")
        kept = json.loads((lab.notebooks / "predictions.json").read_text())
        assert [kept[name]["truth"] for name in ("rows", "word")] == [9, "boy"]

        notebook.page.evaluate("() => panel.context.save()")
    saved = (lab.notebooks / "made.ipynb").read_text()
    assert "12 rows" not in saved
    assert "3 rows above" not in saved
    with open_notebook(lab, browser, "made.ipynb") as reopened:
        expect(cell(reopened, 1).locator(".falcon-asked")).to_be_visible()
        expect(cell(reopened, 3).locator(".falcon-asked")).to_have_text("The truth: 9 rows.")
        reopened.page.wait_for_timeout(4_000)  # a view that is sought is given up after two
        assert "rror" not in reopened.page.locator(".jp-Notebook").inner_text()

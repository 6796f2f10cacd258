"""The notebooks in a real JupyterLab: `make browser`."""

import re
from pathlib import Path

from tools import notebooks, solutions

import nbformat
import pytest
from browser_lab import is_elsewhere, open_notebook, start_browser, start_lab
from nbformat import v4
from playwright.sync_api import expect

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser():
    with start_browser() as browser:
        yield browser


# === The course ===


def test_welcome(browser, tmp_path):
    """The first notebook: a text of the reader's own, a walk through the views, the memory."""
    with (
        start_lab(ROOT / "notebooks", tmp_path) as lab,
        open_notebook(lab, browser, "00_welcome.ipynb") as notebook,
    ):
        notebook.run_all()
        notebook.screenshot("00_welcome")

        bars = notebook.page.locator(".falcon-notebook:has(.falcon-next)").first
        said = bars.get_by_role("status").inner_text()
        bars.get_by_role("textbox").fill("Ben and Rose were old")
        expect(bars.get_by_role("status")).not_to_have_text(said)
        expect(bars.get_by_role("status")).to_contain_text("Next may come: “friends”")
        notebook.screenshot("00_welcome_next_token", bars)

        view = notebook.page.locator(".falcon-notebook:has(.falcon-map)").first
        notebook.screenshot("00_welcome_map", view)
        view.get_by_role("radio").nth(2).click()
        expect(view.get_by_role("status")).to_contain_text("Layer 0, head 2: ")
        assert max(lab.kernel_megabytes()) < 1000


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory, program_environment):
    """A Lab over the course, whose kernels compile what no other has; so none is measured."""
    folder = tmp_path_factory.mktemp("lab")
    with start_lab(ROOT / "notebooks", folder, **program_environment) as lab:
        yield lab


EXPLORING = [
    path.name
    for path in sorted((ROOT / "notebooks").glob("*.ipynb"))
    if re.search(r"\w+Explorer\(", path.read_text())
]


@pytest.mark.parametrize("name", EXPLORING)
def test_every_explorer_answers_to_the_keyboard(lab, browser, name):
    """Each slider of each explorer of a notebook moves, and changes what is said of the picture.

    Of tokens and heads one walks from one to the next.
    """
    with open_notebook(lab, browser, name) as notebook:
        notebook.run_all()
        explorers = notebook.explorers()
        assert explorers
        for number, explorer in enumerate(explorers):
            notebook.screenshot(f"{name}_{number}", explorer)
            told = explorer.get_by_role("status")
            sliders = explorer.locator(".falcon-control:visible").get_by_role("slider")
            walks = explorer.get_by_role("listbox").count()
            assert walks + sliders.count() > 0
            if walks:
                said = told.inner_text()
                token = explorer.get_by_role("option", selected=True)
                token.press("ArrowRight" if token.inner_text() == "[start]" else "ArrowLeft")
                expect(told).not_to_have_text(said)
            if explorer.locator(".falcon-map").count():
                said = told.inner_text()
                key = "ArrowRight" if ", head 0:" in said else "ArrowLeft"
                explorer.locator("[role=radio][aria-checked=true]").press(key)
                expect(told).not_to_have_text(said)
            for slider in sliders.all():
                said = told.inner_text()
                notebook.move(slider, notebook.inward_key(slider))
                expect(told).not_to_have_text(said)


SOURCE = ROOT / "notebooks/exercises/source"


@pytest.mark.parametrize("name", sorted(p.name for p in SOURCE.iterdir() if p.is_dir()))
def test_an_assignment_runs(lab, browser, name):
    """With its solutions: every task has full points, and no picture is broken."""
    with open_notebook(lab, browser, f"exercises/source/{name}/{name}.ipynb") as notebook:
        notebook.run_all()
        outputs = [output for cell in notebook.cells() for output in cell.get("outputs", [])]
        said = "".join("".join(output.get("text", "")) for output in outputs)
        scores = re.findall(r"^(\d+) of (\d+) points", said, re.MULTILINE)
        assert scores
        assert all(got == all_points for got, all_points in scores)
        widths = "() => [...document.images].map(image => image.naturalWidth)"
        assert all(notebook.page.evaluate(widths))
        notebook.screenshot(name)


# === The harness itself, on notebooks made here ===

SLIDER = """\
import ipywidgets
from falcon_edu import plots, widgets

class Bars(widgets.Explorer):
    def draw(self, layer):
        return plots.bar_chart([layer, 1, 2], list("abc"), alt=f"Bars of layer {layer}")

    def describe(self, layer):
        return "bars"

Bars({"layer": widgets.slider(ipywidgets.IntSlider, "layer", max=3)})"""

ELSEWHERE = "from IPython.display import HTML\nHTML('<img src=\"http://elsewhere.example/a.png\">')"


@pytest.fixture(scope="module")
def made(browser, tmp_path_factory):
    """A Lab over small notebooks, each of one cell."""
    folder = tmp_path_factory.mktemp("made")
    sources = {"slider": SLIDER, "error": "1 / 0", "elsewhere": ELSEWHERE}
    (folder / "sources").mkdir()
    for name, source in sources.items():
        notebook = v4.new_notebook(cells=[v4.new_code_cell(source), v4.new_code_cell("x = 1")])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(notebook, folder / "sources" / f"{name}.ipynb")
    asked = v4.new_notebook(
        cells=[
            v4.new_markdown_cell("**Predict.** What is six times seven?"),
            v4.new_code_cell(
                "print(6 * 7)", execution_count=1, outputs=[v4.new_output("stream", text="42\n")]
            ),
            v4.new_markdown_cell("**Look.** And where is it?"),
            v4.new_markdown_cell(
                solutions.FOLDED.format(number="1.1", reason="It is $6^2 + 6$.", code="6 * 7")
            ),
        ]
    )
    notebooks.strip(asked)
    nbformat.write(asked, folder / "sources" / "asked.ipynb")
    with start_lab(folder / "sources", folder) as lab:
        yield lab


def test_an_answer_stays_folded_until_its_cell_runs(made, browser):
    with open_notebook(made, browser, "asked.ipynb") as notebook:
        outputs = notebook.page.locator(".jp-Cell-outputWrapper").first
        folded = outputs.locator(".jp-OutputPlaceholder")
        expect(folded).to_be_visible()
        assert "42" not in outputs.inner_text()
        notebook.run_all()
        expect(outputs.get_by_text("42")).to_be_visible()
        expect(folded).to_be_hidden()
        assert [o["output_type"] for o in notebook.cells()[1]["outputs"]] == ["stream"]


def test_a_solution_stays_folded_until_one_clicks(made, browser):
    with open_notebook(made, browser, "asked.ipynb") as notebook:
        solution = notebook.page.locator("details")
        code, formula = solution.locator("pre"), solution.locator("mjx-container")
        expect(solution.get_by_text("Solution to 1.1")).to_be_visible()
        expect(code).to_be_hidden()
        solution.locator("summary").click()
        expect(code).to_have_text("6 * 7\n")
        expect(code).to_be_visible()
        expect(code.locator("span")).not_to_have_count(0)  # in the colours of Python
        expect(formula).to_be_visible()
        notebook.screenshot("solution", solution)


def test_slider_redraws(made, browser):
    with open_notebook(made, browser, "slider.ipynb") as notebook:
        notebook.run_all()
        slider, picture = notebook.slider("layer"), notebook.picture("Bars of layer")
        expect(picture).to_have_attribute("alt", "Bars of layer 0")
        assert notebook.press(slider, "ArrowRight", picture) == "Bars of layer 1"
        assert notebook.press(slider, "ArrowLeft", picture) == "Bars of layer 0"
        notebook.screenshot("slider")
        assert 10 < min(made.kernel_megabytes()) < 1000


def test_error_is_seen(made, browser):
    with open_notebook(made, browser, "error.ipynb") as notebook:
        with pytest.raises(AssertionError, match="ZeroDivisionError"):
            notebook.run_all()
        assert notebook.not_run() == ["x = 1"]


def test_request_to_elsewhere_is_seen(made, browser):
    opened = open_notebook(made, browser, "elsewhere.ipynb")
    notebook = opened.__enter__()
    notebook.run_all()
    with pytest.raises(AssertionError, match=re.escape("elsewhere.example")):
        opened.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("url", "elsewhere"),
    [
        ("http://127.0.0.1:8888/lab", False),
        ("ws://localhost:8888/api", False),
        ("data:image/png;base64,AAAA", False),
        ("blob:http://127.0.0.1/1", False),
        ("https://example.org/lib.js", True),
        ("wss://example.org/socket", True),
        ("http://127.0.0.1.example.org/", True),
    ],
)
def test_addresses(url, elsewhere):
    assert is_elsewhere(url) is elsewhere

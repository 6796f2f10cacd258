"""Explorers in a real JupyterLab and a real Notebook 7: by hand, by keyboard, without a kernel."""

import re

import falcon_edu
from falcon_edu import FalconCausalLM

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_lab import open_notebook, start_browser, start_lab
from nbconvert import HTMLExporter
from nbformat import v4
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

PRESET = "falcon_tales_rw_en"
TEXT = "Once Mia and Tom had a red kite. Mia"
SOURCES = {
    "import": "import falcon_edu",
    "model": f"falcon = falcon_edu.FalconCausalLM.from_preset({PRESET!r})",
    "attention": f"falcon_edu.AttentionExplorer(falcon, {TEXT!r}, layer=1, head=3)",
    "next": "falcon_edu.NextTokenExplorer(falcon, 'Mia and Tom were old')",
    "positions": "falcon_edu.PositionExplorer(view='ALiBi slopes')",
    "end": "print('the end')",
}
SLEEP = """() => {
    const code = "import time; time.sleep(3)";
    panel.sessionContext.session.kernel.requestExecute({ code });
}"""
APPS = pytest.mark.parametrize("app", ["Lab", "Notebook"])


@pytest.fixture(scope="module")
def browser():
    with start_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def lab(tmp_path_factory, program_environment):
    """A server over one notebook of explorers."""
    folder = tmp_path_factory.mktemp("explorers")
    (folder / "sources").mkdir()
    notebook = v4.new_notebook(cells=[v4.new_code_cell(source) for source in SOURCES.values()])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, folder / "sources" / "made.ipynb")
    with start_lab(folder / "sources", folder, **program_environment) as lab:
        yield lab


@pytest.fixture
def ran(lab, browser):
    """Opens the notebook in an app and runs it."""
    opened = []

    def ran(app):
        opened.append(open_notebook(lab, browser, "made.ipynb", app))
        notebook = opened[0].__enter__()
        notebook.run_all()
        expect(attention(notebook).get_by_role("option").first).to_be_visible()
        return notebook

    yield ran
    for each in opened:
        each.__exit__(None, None, None)


def attention(notebook):
    return notebook.page.locator(".falcon-notebook:has(.falcon-map)")


def said(explorer):
    return explorer.locator(".falcon-says").inner_text()


def cell(notebook, name):
    """The outputs of a cell, by the name of its source."""
    return notebook.page.locator(".jp-CodeCell").nth([*SOURCES].index(name))


def end_kernel(notebook):
    notebook.page.evaluate("() => panel.sessionContext.shutdown()")


def violations(page):
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
    found = Axe().run(page, context=".falcon-notebook", options=rules).response["violations"]
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]


# === With a kernel ===


@APPS
def test_the_numbers_are_the_kernel_s(ran, app):
    notebook = ran(app)
    explorer = attention(notebook)
    model = FalconCausalLM.from_preset(PRESET)
    activations = falcon_edu.record(model, TEXT)
    last = len(activations.tokens[0]) - 1
    for key, option in enumerate(explorer.get_by_role("option").all()):
        number = option.get_attribute("aria-label").rpartition(" ")[2]
        expected = activations.attention_weights[1][0, 3, last, key]
        assert float(number) == pytest.approx(expected, rel=0.04, abs=6e-5)
    notebook.screenshot(f"attention_{app}", explorer)
    notebook.screenshot(f"page_{app}")


@APPS
def test_keys_move_the_explorer_and_not_the_notebook(ran, app):
    notebook = ran(app)
    active = "() => panel.content.activeCellIndex"
    explorer = attention(notebook)
    explorer.get_by_role("option").nth(4).click()
    before = notebook.page.evaluate(active)
    for key, index in (("ArrowLeft", 3), ("ArrowUp", 2), ("ArrowDown", 3)):
        notebook.page.keyboard.press(key)
        expect(explorer.get_by_role("option").nth(index)).to_have_attribute("aria-selected", "true")
    explorer.locator("[role=radio][aria-checked=true]").press("ArrowDown")
    assert said(explorer).startswith("Layer 2, head 3: ")
    explorer.locator(".falcon-map").press("ArrowUp")
    assert notebook.page.evaluate(active) == before
    slider = notebook.slider("temperature")
    picture = notebook.picture("(Falcon)")
    slider.focus()
    before = notebook.page.evaluate(active)
    for key in ("ArrowLeft", "ArrowDown", "ArrowUp"):
        notebook.press(slider, key, picture)
    assert notebook.page.evaluate(active) == before
    assert notebook.page.evaluate("() => panel.content.mode") == "command"


@APPS
def test_another_text_is_read_by_the_kernel(ran, app):
    notebook = ran(app)
    explorer = attention(notebook)
    box = explorer.get_by_label("The text")
    box.fill("Priya had")
    box.press_sequentially(" a blue kite, d d x")  # letters that are commands in a notebook
    expect(explorer.get_by_role("listbox")).to_have_text(re.compile("ya had a blue kite, d d.x"))
    expect(explorer.get_by_role("option").last).to_have_attribute("aria-selected", "true")
    assert len(notebook.cells()) == len(SOURCES)
    box.fill("kite " * 300)
    expect(explorer.get_by_role("status")).to_contain_text("room for 256")
    expect(box).to_have_attribute("aria-invalid", "true")
    box.fill("Mia")
    expect(explorer.get_by_role("status")).to_contain_text("Layer 1, head 3")


@APPS
def test_axe_finds_nothing(ran, app):
    notebook = ran(app)
    assert violations(notebook.page) == []


def test_axe_finds_nothing_in_the_dark(ran):
    notebook = ran("Lab")
    notebook.page.evaluate(
        "() => jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})"
    )
    expect(notebook.page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
    notebook.page.wait_for_timeout(500)
    notebook.screenshot("attention_dark", attention(notebook))
    notebook.screenshot("next_dark", notebook.page.locator(".falcon-notebook").nth(1))
    assert violations(notebook.page) == []


def test_a_text_that_takes_long_is_shown_to_be_read(ran):
    notebook = ran("Lab")
    explorer = attention(notebook)
    notebook.page.evaluate(SLEEP)
    explorer.get_by_label("The text").fill(f"{TEXT} had")
    expect(explorer.locator(".falcon-explorer")).to_have_attribute("aria-busy", "true")
    expect(explorer.get_by_role("status")).to_have_text("The text is being read …")
    explorer.get_by_role("option").nth(3).click()
    explorer.get_by_role("radio", name="layer 0, head 2").click()
    expect(explorer.get_by_role("listbox")).to_have_text(f"[start]{TEXT} had")
    # What was chosen meanwhile stays.
    expect(explorer.get_by_role("option").nth(3)).to_have_attribute("aria-selected", "true")
    assert said(explorer).startswith("Layer 0, head 2: ")
    assert explorer.locator("[aria-busy=true]").count() == 0
    notebook.page.evaluate(SLEEP)
    slider, panel = notebook.slider("temperature"), notebook.page.locator(".falcon-explorer").nth(1)
    for _ in range(3):
        slider.press("ArrowLeft")
    expect(panel).to_have_attribute("aria-busy", "true")
    expect(panel.locator("img")).to_have_attribute("alt", re.compile("temperature 0.7"))
    assert slider.get_attribute("aria-valuetext") == "0.7"
    assert panel.locator("[aria-busy=true]").count() == 0


def test_words_of_many_tokens_are_named_in_both_kinds_of_explorers(ran):
    notebook = ran("Lab")
    for name in ("attention", "next"):
        rare = cell(notebook, name).locator(".falcon-rare")
        expect(rare).to_be_hidden()
        box = cell(notebook, name).locator("textarea")
        box.fill("Wolfgang ran")
        box.press("Enter")
        expect(rare).to_have_text(re.compile("as rare words are: Wolfgang$"))


def test_values_are_said_in_words_and_controls_without_effect_are_hidden(ran):
    notebook = ran("Lab")
    top_k = notebook.slider("top-k")
    top_k.focus()
    notebook.page.keyboard.press("Home")
    expect(top_k).to_have_attribute("aria-valuetext", "1")
    notebook.page.keyboard.press("ArrowRight")
    expect(top_k).to_have_attribute("aria-valuetext", "2")
    positions = cell(notebook, "positions")
    expect(positions.locator(".falcon-control:visible label")).to_have_text(["heads"])
    slopes, decay = (positions.get_by_role("radio", name=f"ALiBi {x}") for x in ("slopes", "decay"))
    expect(slopes).to_be_checked()
    decay.check()
    expect(positions.locator(".falcon-control:visible label")).to_have_text(
        ["heads", "head width", "distance"]
    )
    expect(positions.locator(".falcon-unseen")).to_contain_text("by distance")
    notebook.screenshot("positions", positions)


# === Without a kernel ===


@APPS
def test_where_the_kernel_is_gone_one_reads_on(ran, app):
    notebook = ran(app)
    explorer = attention(notebook)
    end_kernel(notebook)
    expect(explorer.locator(".falcon-note")).to_contain_text("what is new needs the kernel")
    expect(explorer.get_by_label("The text")).to_be_hidden()
    explorer.get_by_role("option").nth(2).hover()
    expect(explorer.get_by_role("option").nth(2)).to_have_attribute("aria-selected", "true")
    explorer.get_by_role("radio").nth(2).click()
    assert said(explorer).startswith("Layer 0, head 2: ")
    expect(cell(notebook, "next").locator(".falcon-note:visible")).to_contain_text(
        "The kernel is gone"
    )
    expect(notebook.slider("temperature")).to_be_disabled()
    notebook.screenshot(f"gone_{app}", explorer)


def test_a_kernel_that_is_started_anew_is_told_too(ran):
    notebook = ran("Lab")
    notebook.page.evaluate("() => panel.sessionContext.session.kernel.restart()")
    for name in ("attention", "next", "positions"):
        note = cell(notebook, name).locator(".falcon-note:visible")
        expect(note).to_contain_text("what is new needs the kernel")
    expect(notebook.slider("temperature")).to_be_disabled()
    notebook.screenshot("started_anew")


def pictures(notebook):
    """Which pictures are seen instead of live explorers, by the names of their cells."""
    names = ("attention", "next", "positions")
    return [
        name for name in names if cell(notebook, name).locator(".jp-RenderedImage").is_visible()
    ]


@APPS
def test_a_picture_is_shown_where_no_explorer_lives(ran, lab, browser, app):
    """Saved and opened again without its kernel, not trusted, and exported."""
    notebook = ran(app)
    assert pictures(notebook) == []
    notebook.page.evaluate("() => panel.context.save()")
    end_kernel(notebook)
    saved = nbformat.read(lab.notebooks / "made.ipynb", as_version=4)
    assert "widgets" not in saved.metadata
    stranger = lab.notebooks / "stranger.ipynb"
    saved.cells[0].source += "  # written elsewhere"
    nbformat.write(saved, stranger)
    for path in ("made.ipynb", "stranger.ipynb"):
        with open_notebook(lab, browser, path, app) as reopened:
            for name in ("attention", "next", "positions"):
                expect(cell(reopened, name).locator("img:visible")).to_have_count(1)
            reopened.page.wait_for_timeout(4_000)  # a view that is sought is given up after two
            assert pictures(reopened) == ["attention", "next", "positions"]
            words = "AttentionExplorer: 4 layers with 4 heads each, 11 tokens: [start] Once ·Mia"
            expect(cell(reopened, "attention").locator(".falcon-either")).to_contain_text(words)
            seen = reopened.page.locator(".jp-Notebook").inner_text()
            assert "rror" not in seen
            assert "oading" not in seen
            assert "the end" in seen
            reopened.screenshot(f"reopened_{path}_{app}")
    page = browser.new_page()
    page.set_content(HTMLExporter().from_notebook_node(saved)[0])
    expect(page.locator(".jp-RenderedImage img:visible")).to_have_count(3)
    page.close()

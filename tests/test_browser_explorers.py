"""Explorers in a real JupyterLab and a real Notebook 7: by hand, by keyboard, without a kernel."""

import itertools
import re

import falcon_edu
from falcon_edu import FalconCausalLM, TopPSampler, plots

import nbformat
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_lab import open_notebook, start_browser, start_lab
from nbconvert import HTMLExporter
from nbformat import v4
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

PRESET = "falcon_tales_rw_en"
TEXT = "Once Mia and Tom had a red kite. Mia"
BEGINNING = "Mia and Tom were old"
STORY = "One cold day, Mia and Tom walked to the park. Rose was there as well. "
PAIR = [f"{STORY}{name} had a red kite and gave it to" for name in ("Mia", "Tom")]
SOURCES = {
    "import": "import falcon_edu",
    "model": f"falcon = falcon_edu.FalconCausalLM.from_preset({PRESET!r})",
    "attention": f"falcon_edu.AttentionExplorer(falcon, {TEXT!r}, layer=1, head=3)",
    "next": f"falcon_edu.NextTokenExplorer(falcon, {BEGINNING!r})",
    "lens": f"falcon_edu.LogitLensExplorer(falcon, {TEXT!r}, token=4)",
    "positions": "falcon_edu.PositionExplorer(view='ALiBi slopes')",
    "end": "print('the end')",
}
EXPLORERS = ("attention", "next", "lens", "positions")
# Those whose pictures the kernel draws.
PANELS = {
    "model": "import falcon_edu\n" + SOURCES["model"],
    "patching": f"falcon_edu.PatchingExplorer(falcon, {PAIR[0]!r}, {PAIR[1]!r})",
    "lora": f"falcon.backbone.enable_lora(rank=4)\nfalcon_edu.LoRAExplorer(falcon, {BEGINNING!r})",
    "memory": "falcon_edu.MemoryExplorer()",
    "positions": "falcon_edu.PositionExplorer(view='RoPE turns')",
    "twice": """\
for _ in range(2):
    display(falcon_edu.NextTokenExplorer(falcon, "Mia"))
    display(falcon_edu.LogitLensExplorer(falcon, "Mia had"))
    display(falcon_edu.PositionExplorer())""",
}
NOTEBOOKS = {"made": SOURCES, "panels": PANELS}
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
    """A server over notebooks of explorers."""
    folder = tmp_path_factory.mktemp("explorers")
    (folder / "sources").mkdir()
    for name, sources in NOTEBOOKS.items():
        notebook = v4.new_notebook(cells=[v4.new_code_cell(source) for source in sources.values()])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(notebook, folder / "sources" / f"{name}.ipynb")
    with start_lab(folder / "sources", folder, **program_environment) as lab:
        yield lab


@pytest.fixture
def ran(lab, browser):
    """Opens a notebook in an app and runs it."""
    opened = []

    def ran(app, name="made"):
        opened.append(open_notebook(lab, browser, f"{name}.ipynb", app))
        notebook = opened[0].__enter__()
        notebook.run_all()
        expect(notebook.page.locator(".falcon-explorer").last).to_be_visible()
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
    sources = NOTEBOOKS.get(notebook.path.removesuffix(".ipynb"), SOURCES)
    number = [*sources].index(name)
    return notebook.page.locator(".jp-CodeCell").nth(number).locator(".jp-Cell-outputWrapper")


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


def test_the_bars_are_those_of_the_kernel_s_samplers(ran):
    """All chances of the next token, and what the samplers leave of them."""
    notebook = ran("Lab")
    explorer = cell(notebook, "next")
    model = FalconCausalLM.from_preset(PRESET)

    def expected(text, **options):
        logits = falcon_edu.record(model, text).logits[:, -1]
        settings = ({}, options) if options else ({},)
        both = [
            np.asarray(TopPSampler(**{"p": 1, **each}).distribution(logits))[0] for each in settings
        ]
        order = np.argsort(-np.round(both[0], 6), kind="stable")[:10].tolist()
        labels = plots.token_labels(["", *model.preprocessor.tokenizer.token_strings(order)])[1:]
        numbers = [" → ".join(plots.style.percent(p[i]) for p in both) for i in order]
        return list(zip(labels, numbers, strict=True))

    def rows():
        lines = [row.inner_text().split("\n") for row in explorer.locator(".falcon-bars li").all()]
        return [(line[0], line[-1]) for line in lines][:10]

    assert rows() == expected(BEGINNING)
    for label, value, change in (
        ("temperature", "0.5", {"temperature": 0.5}),
        ("top-k", "2", {"temperature": 0.5, "k": 3}),
        ("top-p", "0.6", {"temperature": 0.5, "k": 3, "p": 0.6}),
    ):
        explorer.get_by_label(label).fill(value)
        assert rows() == expected(BEGINNING, **change)
    explorer.get_by_role("textbox").fill("Ben had a")
    expect(explorer.locator(".falcon-bars li").first).to_have_text(
        re.compile(re.escape(expected("Ben had a")[0][0]))
    )
    assert rows() == expected("Ben had a", **change)
    explorer.get_by_role("textbox").fill("kite " * 300)
    expect(explorer.get_by_role("status")).to_contain_text("room for 256")


def test_the_lens_has_what_the_kernel_tells(ran):
    notebook = ran("Lab")
    explorer = cell(notebook, "lens")
    ours = falcon_edu.LogitLensExplorer(FalconCausalLM.from_preset(PRESET), TEXT)
    tokens = plots.token_labels(ours.tokens)
    rows = explorer.locator(".falcon-stages tr").all()
    shown = rows[0].locator("th[scope=col]").all_inner_texts()
    first = next(i for i in range(len(tokens)) if tokens[i : i + len(shown)] == shown)
    assert len(shown) > 6
    for stage, row in enumerate(rows[1:-1]):
        for query, cell_ in enumerate(row.locator("td").all(), first):
            rank = ours.told["rank"][stage, query]
            guess = plots.token_labels(["", ours.guesses[stage, query]])[1]
            number = [] if np.isnan(rank) else [str(int(rank))]
            assert cell_.inner_text().split("\n") == [guess, *number]
    said = explorer.locator(".falcon-says")
    assert (
        f"has ranks {', '.join(str(int(x)) for x in ours.told['rank'][:, 4])}." in said.inner_text()
    )
    rows[2].locator("td").nth(3).hover()
    expect(said).to_contain_text("After layer 0, the best guess after ")
    explorer.get_by_role("radio", name="probability").check()
    expect(rows[0].page.locator(".falcon-stages caption")).to_contain_text("probability")
    explorer.get_by_role("textbox").fill("Priya had a kite")
    expect(explorer.get_by_role("listbox")).to_have_text(re.compile("ya had a kite$"))
    expect(said).to_have_text(re.compile("^In the end, the best guess after “kite” is "))
    notebook.screenshot("lens", explorer.locator(".falcon-notebook"))


ODD = {
    "": "the start",
    "Mia": "“ia”",
    "kite " * 199: "a space",
    "👩\u200d🚀 a\u200b\u00ad\ufeff": "“",
    "你好\n": "a new line",
}


def test_odd_texts_are_read(ran):
    notebook = ran("Lab")
    for text, name in itertools.product(ODD, ("next", "lens")):
        explorer = cell(notebook, name)
        status, inside = explorer.get_by_role("status"), explorer.locator(".falcon-explorer")
        before = status.inner_text()
        explorer.get_by_role("textbox").fill(text)
        expect(status).not_to_have_text(before)
        expect(status).not_to_have_text("The text is being read …")
        assert explorer.locator("[aria-invalid=true]").count() == 0
        assert inside.evaluate("one => one.scrollWidth <= one.clientWidth")
        if name == "lens":
            assert f"the best guess after {ODD[text]}" in status.inner_text()
            notebook.screenshot(f"odd_{len(text)}", inside)


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
    lens = cell(notebook, "lens")
    lens.get_by_role("option", selected=True).press("ArrowRight")
    expect(lens.locator(".falcon-says")).to_contain_text("the best guess after “had” is")
    for name, label in (("next", "temperature"), ("positions", "heads")):
        explorer = cell(notebook, name)
        slider, told = explorer.get_by_role("slider", name=label), explorer.get_by_role("status")
        slider.focus()
        before = notebook.page.evaluate(active)
        for key in ("ArrowLeft", "ArrowDown", "ArrowUp"):
            words = told.inner_text()
            notebook.move(slider, key)
            expect(told).not_to_have_text(words)
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
    for name in EXPLORERS:
        notebook.screenshot(f"{name}_dark", cell(notebook, name).locator(".falcon-notebook"))
    expect(cell(notebook, "lens").locator(".falcon-stages [scope=col]")).to_have_count(11)
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
    slider = notebook.slider("heads")
    panel = cell(notebook, "positions").locator(".falcon-explorer")
    for _ in range(3):
        slider.press("ArrowLeft")
    expect(panel).to_have_attribute("aria-busy", "true")
    expect(panel.locator("img")).to_have_attribute("alt", re.compile("slopes of 5 heads"))
    assert slider.get_attribute("aria-valuetext") == "5"
    assert panel.locator("[aria-busy=true]").count() == 0


@pytest.mark.parametrize(("name", "cells"), [("made", EXPLORERS[:3]), ("panels", ["lora"])])
def test_words_of_many_tokens_are_named_in_both_kinds_of_explorers(ran, name, cells):
    notebook = ran("Lab", name)
    for each in cells:
        rare = cell(notebook, each).locator(".falcon-rare")
        expect(rare).to_be_hidden()
        box = cell(notebook, each).get_by_role("textbox")
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


# === Pictures of the kernel, with controls ===


def test_controls_of_panels_have_names_values_in_words_and_states(ran):
    notebook = ran("Lab", "panels")
    expected = {
        ("patching", "layer"): ["embedding", "after layer 0"],
        ("patching", "position"): [re.compile(r"\d+ ·to$"), re.compile(r"\d+ ·it$")],
        ("lora", "strength"): ["1.0", "1.1"],
        ("memory", "model"): ["falcon-rw-1b", "falcon-7b"],
        ("memory", "tokens"): ["2,048", "4,096"],
        ("positions", "wavelength"): ["10,000", "100,000"],
    }
    for (name, label), (value, other) in expected.items():
        explorer = cell(notebook, name)
        slider, picture = (
            explorer.get_by_role("slider", name=label),
            explorer.locator("img:visible"),
        )
        expect(slider).to_have_attribute("aria-valuetext", value)
        notebook.press(slider, notebook.inward_key(slider), picture)
        expect(slider).to_have_attribute("aria-valuetext", other)
        expect(explorer.get_by_role("status")).to_have_text(picture.get_attribute("alt"))
    views = cell(notebook, "patching").get_by_role("radio")
    expect(views.nth(0)).to_be_checked()
    views.nth(1).check()
    expect(views.nth(0)).not_to_be_checked()
    expect(cell(notebook, "patching").locator("img:visible")).to_have_attribute(
        "alt", re.compile("^A patch of token")
    )


def test_no_two_explorers_of_a_notebook_share_a_control(ran):
    notebook = ran("Lab", "panels")
    expect(notebook.page.locator(".falcon-explorer")).to_have_count(10)
    ids = notebook.page.locator(".falcon-explorer [id]").evaluate_all("all => all.map(x => x.id)")
    assert len(ids) == len(set(ids)) > 20
    for group in notebook.page.locator(".falcon-explorer fieldset").all():
        expect(group.get_by_role("radio", checked=True)).to_have_count(1)


def test_boxes_of_a_pair_show_all_of_both_and_are_told_apart(ran):
    notebook = ran("Lab", "panels")
    explorer = cell(notebook, "patching")
    remark = explorer.get_by_text("The texts differ in token ")
    expect(remark).to_have_text(re.compile(r'^The texts differ in token \d+ \("Mia" or "Tom"\)\.$'))
    for box in explorer.get_by_role("textbox").all():
        assert box.evaluate("box => box.scrollHeight <= box.clientHeight + 1")
    box = explorer.get_by_label("corrupted")
    box.fill(PAIR[1].replace("Tom had", "Rose had"))
    box.press("Enter")
    expect(remark).to_have_text(re.compile('"Mia" or "Rose"'))
    box.fill("Another text")
    box.press("Enter")
    expect(explorer.get_by_role("alert")).to_contain_text("must have as many tokens")
    notebook.screenshot("patching", explorer.locator(".falcon-notebook"))


@APPS
def test_axe_finds_nothing_in_panels(ran, app):
    notebook = ran(app, "panels")
    assert violations(notebook.page) == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_explorers_fit_a_laptop_and_a_phone(ran, name):
    """A picture keeps the size in which it can be read; on a phone it is moved in its frame."""
    notebook = ran("Notebook", name)
    for width in (1280, 390):
        notebook.page.set_viewport_size({"width": width, "height": 900})
        for explorer in notebook.explorers():
            assert explorer.evaluate("one => one.scrollWidth <= one.clientWidth")
            box = explorer.bounding_box()
            assert box["x"] + box["width"] <= width
            for image in explorer.locator("img").all():
                natural = image.evaluate("image => Number(image.getAttribute('width'))")
                least = natural if width == 1280 else min(natural, 500)
                assert image.bounding_box()["width"] >= least
                frame = explorer.get_by_role("group", name="Picture")
                is_moved = image.bounding_box()["width"] > frame.bounding_box()["width"]
                expect(frame).to_have_attribute("tabindex", "0" if is_moved else "-1")
        notebook.screenshot(f"{name}_{width}")
        assert violations(notebook.page) == []


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
    for name in EXPLORERS[1:]:
        note = cell(notebook, name).locator(".falcon-note:visible")
        expect(note).to_contain_text("The kernel is gone")
    notebook.move(notebook.slider("temperature"), "ArrowLeft")
    expect(cell(notebook, "next").get_by_role("status")).to_contain_text("With temperature 0.9: ")
    cell(notebook, "lens").get_by_role("option").nth(2).click()
    expect(cell(notebook, "lens").locator(".falcon-says")).to_contain_text("guess after “Mia”")
    expect(notebook.slider("heads")).to_be_disabled()
    notebook.screenshot(f"gone_{app}", explorer)


def test_a_kernel_that_is_started_anew_is_told_too(ran):
    notebook = ran("Lab")
    notebook.page.evaluate("() => panel.sessionContext.session.kernel.restart()")
    for name in EXPLORERS:
        note = cell(notebook, name).locator(".falcon-note:visible")
        expect(note).to_contain_text("what is new needs the kernel")
    expect(notebook.slider("heads")).to_be_disabled()
    notebook.screenshot("started_anew")


def pictures(notebook):
    """Which pictures are seen instead of live explorers, by the names of their cells."""
    return [
        name for name in EXPLORERS if cell(notebook, name).locator(".jp-RenderedImage").is_visible()
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
            for name in EXPLORERS:
                expect(cell(reopened, name).locator("img:visible")).to_have_count(1)
            reopened.page.wait_for_timeout(4_000)  # a view that is sought is given up after two
            assert pictures(reopened) == list(EXPLORERS)
            words = "AttentionExplorer: 4 layers with 4 heads each, 11 tokens: [start] Once ·Mia"
            expect(cell(reopened, "attention").locator(".falcon-either")).to_contain_text(words)
            seen = reopened.page.locator(".jp-Notebook").inner_text()
            assert "rror" not in seen
            assert "oading" not in seen
            assert "the end" in seen
            reopened.screenshot(f"reopened_{path}_{app}")
    page = browser.new_page()
    page.set_content(HTMLExporter().from_notebook_node(saved)[0])
    expect(page.locator(".jp-RenderedImage img:visible")).to_have_count(4)
    page.close()

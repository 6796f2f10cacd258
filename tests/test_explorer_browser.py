"""The explorer in Chromium, below a folder of a server: by hand, by keyboard, on a phone."""

import re

import falcon_edu
from falcon_edu import FalconCausalLM
from falcon_edu.web import export_to_web
from tools.serving import serving

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_lab import is_elsewhere, start_browser
from playwright.sync_api import expect
from test_web import WEB, rounded

pytestmark = pytest.mark.browser

PRESET = "falcon_tales_rw_en"
TEXT = "Once Mia and Tom had a red kite. Mia"
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Explorer</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="web/explorer/explorer.css"><link rel="icon" href="data:,">
<style>:root { color-scheme: light dark; font: 16px sans-serif }</style>
<main><h1>Explorer</h1><div id="place"></div></main>"""
MOUNT = """async ([text, start]) => {
    const { mount } = await import(new URL("web/explorer/explorer.js", location));
    const { from_worker } = await import(new URL("web/explorer/sources.js", location));
    const worker = new Worker(new URL("web/worker.js", location), { type: "module" });
    const source = from_worker(worker, { url: new URL("model/", location).href });
    window.record = source.record;
    await mount(document.getElementById("place"), source, { text, ...start }).ready;
}"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A shipped model with the weights of the page, and the folder of a server."""
    folder = tmp_path_factory.mktemp("server")
    below = folder / "some" / "where"
    below.mkdir(parents=True)
    (below / "web").symlink_to(WEB)
    (below / "index.html").write_text(PAGE)
    causal_lm = FalconCausalLM.from_preset(PRESET)
    export_to_web(causal_lm, below / "model")
    return rounded(causal_lm), folder


@pytest.fixture(scope="module")
def address(model):
    with serving(model[1]) as server:
        yield f"{server}/some/where/"


@pytest.fixture(scope="module")
def browser():
    with start_browser() as browser:
        yield browser


@pytest.fixture
def explore(browser, address):
    """Opens an explorer of a text; nothing may fail, and nothing be asked of elsewhere."""
    contexts, told = [], []

    def explore(text=TEXT, width=1100, scheme="light", touch=False, **start):
        size = {"width": width, "height": 900}
        context = browser.new_context(viewport=size, color_scheme=scheme, has_touch=touch)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("requestfailed", lambda request: told.append(request.url))
        page.on("request", lambda r: is_elsewhere(r.url) and told.append(r.url))
        page.goto(address)
        page.evaluate(MOUNT, [text, start])
        return page

    yield explore
    for context in contexts:
        context.close()
    assert told == []


def said(page):
    return page.get_by_role("status").inner_text()


def option(page, index):
    return page.get_by_role("option").nth(index)


def weight(model, layer, head, query, key, text=TEXT):
    activations = falcon_edu.record(model[0], text)
    return float(activations.attention_weights[layer][0, head, query, key])


def violations(page):
    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {node['html'][:150]}" for rule in found for node in rule["nodes"]]


# === By hand ===


@pytest.mark.parametrize(("query", "key"), [(9, 2), (6, 6), (10, 0)])
def test_hovering_a_cell_tells_its_weight_exactly(model, explore, query, key):
    page = explore(layer=1, head=3)
    count = page.get_by_role("option").count()
    canvas = page.locator(".falcon-cells canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    cell = box["width"] / count
    page.mouse.move(box["x"] + (key + 0.5) * cell, box["y"] + (query + 0.5) * cell)
    number = re.search(r"with (.+)\.$", said(page)).group(1)
    assert float(number) == pytest.approx(weight(model, 1, 3, query, key), rel=0.04, abs=6e-5)
    page.mouse.move(box["x"] + (count - 0.5) * cell, box["y"] + 0.5 * cell)  # above the diagonal
    expect(page.get_by_role("status")).to_contain_text("“Mia” looks at")


def test_a_word_shows_where_it_looks_and_held_who_looks_at_it(model, explore):
    page = explore(layer=0, head=0)
    tokens = falcon_edu.record(model[0], TEXT).tokens[0]
    mia = tokens.index(" Mia")
    option(page, mia).hover()
    assert "Layer 0, head 0: “Mia” looks at" in said(page)
    row = [weight(model, 0, 0, mia, key) if key <= mia else 0 for key in range(len(tokens))]
    for key, value in enumerate(row):
        number = option(page, key).get_attribute("aria-label").rpartition(" ")[2]
        assert float(number) == pytest.approx(value, rel=0.04, abs=6e-5)
    page.mouse.down()
    expect(page.get_by_role("status")).to_contain_text("“Mia” is looked at most by")
    number = option(page, mia + 2).get_attribute("aria-label").rpartition(" ")[2]
    assert float(number) == pytest.approx(weight(model, 0, 0, mia + 2, mia), rel=0.04, abs=6e-5)
    page.mouse.up()
    expect(page.get_by_role("status")).to_contain_text("“Mia” looks at")
    page.mouse.move(1, 1)
    expect(option(page, mia)).to_have_attribute("aria-selected", "true")  # the click has chosen it


def test_a_hand_that_leaves_leaves_what_was_chosen_and_a_double_click_holds_it_still(explore):
    page = explore()
    before = said(page)
    option(page, 2).hover()
    assert said(page) != before
    page.mouse.move(1, 1)
    assert said(page) == before
    option(page, 3).dblclick()
    pinned = said(page)
    button = page.get_by_role("button", name="Hold still")
    expect(button).to_have_attribute("aria-pressed", "true")
    option(page, 6).hover()
    assert said(page) == pinned
    button.click()
    option(page, 6).hover()
    assert said(page) != pinned


def test_a_hand_that_passes_leaves_the_focus(explore):
    page = explore("One day Mia ran. " * 12, width=390)
    option(page, 2).click()
    option(page, 40).hover()
    expect(option(page, 40)).to_have_attribute("aria-selected", "true")
    expect(option(page, 2)).to_be_focused()
    expect(option(page, 2)).to_have_attribute("tabindex", "0")


def test_a_click_and_a_drag_choose_a_head(explore):
    page = explore()
    heads = page.get_by_role("radio")
    assert heads.count() == 16
    heads.nth(6).click()
    assert said(page).startswith("Layer 1, head 2: ")
    expect(heads.nth(6)).to_have_attribute("aria-checked", "true")
    heads.nth(9).hover()
    page.mouse.down()
    heads.nth(11).hover()
    assert said(page).startswith("Layer 2, head 3: ")
    page.mouse.up()


def test_a_finger_taps_a_word(explore):
    page = explore(width=390, touch=True)
    option(page, 4).tap()
    expect(option(page, 4)).to_have_attribute("aria-selected", "true")


# === By keyboard, and by ear ===


def test_arrow_keys_walk_tokens_heads_and_cells(explore):
    page = explore(layer=1, head=3, query=5)
    outside = []
    page.expose_function("outside", lambda key: outside.append(key))
    page.evaluate("addEventListener('keydown', ({ key }) => outside(key))")
    option(page, 5).focus()
    page.keyboard.press("ArrowLeft")
    expect(option(page, 4)).to_be_focused()
    expect(option(page, 4)).to_have_attribute("aria-selected", "true")
    before = said(page)
    page.keyboard.down("Space")
    assert "is looked at most by" in said(page)
    page.keyboard.up("Space")
    assert said(page) == before
    page.keyboard.press("Tab")  # one stop for each part
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    assert re.search(r"looks at .* with \d\.\d{4}\.|with \S+e-\d+\.", said(page))
    page.keyboard.press("Home")
    assert "looks at the start with" in said(page)
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    assert said(page).startswith("Layer 0, head 2: ")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith(
        "layer 0, head 2: "
    )
    assert set(outside) == {"Tab"}  # a notebook would move its selection


def test_one_polite_region_says_in_a_sentence_what_changed(model, explore):
    page = explore(layer=1, head=3)
    assert page.locator("[aria-live], [role=status], [role=alert]").count() == 1
    best = max(range(11), key=lambda key: weight(model, 1, 3, 10, key))
    tokens = falcon_edu.record(model[0], TEXT).tokens[0]
    number = f"{weight(model, 1, 3, 10, best):.2f}"
    name = "the start" if best == 0 else "itself" if best == 10 else f"“{tokens[best].strip()}”"
    option(page, 10).click()
    speaker = tokens[10].strip()
    assert said(page) == f"Layer 1, head 3: “{speaker}” looks at {name} with {number}."


# === Texts ===


@pytest.mark.parametrize("name", ["Wolfgang", "👩\u200d🚀"])
def test_go_writes_on_in_the_page(explore, name):
    page = explore("Once Priya had")
    page.get_by_label("A beginning").fill(f"Once {name} had")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(".falcon-written").nth(3)).to_be_visible()
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    words = page.get_by_role("option").all_inner_texts()
    written = page.locator(".falcon-written").all_inner_texts()
    assert words[:2] == ["[start]", "Once"]
    assert words[-len(written) - 1 :] == [" had", *written]
    assert page.get_by_label("A beginning").input_value() == f"Once {name} had"
    expect(page.get_by_role("status")).to_contain_text(f"wrote: {written[0]}")


def test_stop_keeps_what_was_written_and_typing_begins_anew(explore):
    page = explore("Mia")
    page.evaluate(
        """async () => {
            const { mount } = await import(new URL("web/explorer/explorer.js", location));
            const generate = (text, on_text) => new Promise(() => on_text(text + " ran"));
            const place = document.getElementById("place");
            await mount(place, { record, generate }, { text: "Mia" }).ready;
        }"""
    )
    tokens = page.get_by_role("listbox")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(".falcon-writing")).to_have_text("Mia ran")
    page.get_by_role("button", name="Stop").click()
    expect(tokens).to_have_text("[start]Mia ran")
    expect(page.locator(".falcon-written")).to_have_text([" ran"])
    page.get_by_label("A beginning").press("Enter")
    expect(tokens).to_be_hidden()
    page.get_by_label("A beginning").press("x")
    expect(tokens).to_contain_text("x")
    expect(page.get_by_role("button", name="Go on")).to_be_visible()


def test_a_text_that_comes_too_late_is_not_shown(explore):
    page = explore("Mia")
    page.evaluate(
        """async () => {
            const { mount } = await import(new URL("web/explorer/explorer.js", location));
            const release = {};
            const wait = (text) => new Promise((done) => (release[text] = done));
            const late = async (text) => {
                if (text === "slow") await wait(text);
                return record(text);
            };
            window.release = release;
            const source = { record: late, generate: wait };
            await mount(document.getElementById("place"), source, { text: "Mia" }).ready;
        }"""
    )
    box, tokens = page.get_by_label("A beginning"), page.get_by_role("listbox")
    box.fill("slow")
    box.fill("Tom")
    expect(tokens).to_have_text("[start]Tom")
    page.evaluate("release.slow()")
    page.wait_for_timeout(200)  # what is late would be there now
    expect(tokens).to_have_text("[start]Tom")
    page.get_by_role("button", name="Go on").click()
    box.press("x")
    page.evaluate("release.Tom('Tom ran')")
    expect(tokens).to_contain_text("x")
    page.wait_for_timeout(200)
    assert "ran" not in tokens.inner_text()
    assert page.get_by_role("button", name="Go on").is_visible()


def test_what_a_hand_chooses_while_a_text_is_read_stays_where_it_fits(explore):
    page = explore()
    page.evaluate(
        """async () => {
            const { mount } = await import(new URL("web/explorer/explorer.js", location));
            const late = async (text) => {
                if (text !== "Mia had a") await new Promise((done) => (window.release = done));
                return record(text);
            };
            const place = document.getElementById("place");
            await mount(place, { record: late, reads: true }, { text: "Mia had a" }).ready;
        }"""
    )
    box, tokens = page.get_by_label("The text"), page.get_by_role("listbox")
    chosen = page.get_by_role("option", selected=True)
    head = page.get_by_role("radio", name="layer 2, head 1")
    box.fill("Mia had a red")
    head.click()
    page.evaluate("release()")
    expect(tokens).to_have_text("[start]Mia had a red")
    expect(chosen).to_have_text(" red")  # nobody chose a token: the last, as ever
    expect(head).to_have_attribute("aria-checked", "true")

    box.fill("Mia had a red kite")
    had = page.get_by_role("option", name="“had”")
    had.click()
    page.mouse.move(1, 1)
    box.fill("Mia had a red kite.")  # a letter later the choice is still one
    page.evaluate("release()")
    expect(tokens).to_have_text("[start]Mia had a red kite.")
    expect(chosen).to_have_text(" had")
    assert "“had” looks at" in said(page)

    box.fill("Mia saw a red kite.")
    had.click()
    page.mouse.move(1, 1)
    page.evaluate("release()")
    expect(tokens).to_have_text("[start]Mia saw a red kite.")
    expect(chosen).to_have_text(".")  # that token is gone
    box.fill("Mia saw a red kite. She")
    page.evaluate("release()")
    expect(tokens).to_have_text("[start]Mia saw a red kite. She")
    expect(page.get_by_role("option").last).to_have_attribute("aria-selected", "true")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", "[start]"),
        ("a", "[start]a"),
        ("\u200b", "U+200B"),
        ("好", "\\x"),
        ("<b>", "<b>"),
        ("a\nb", "↵"),
    ],
)
def test_odd_texts_are_shown(explore, text, shown):
    page = explore(text, width=390)
    page.get_by_label("A beginning").fill(text)
    if text == "\u200b":
        shown = "\\x"  # this tokenizer has its three bytes apart
    expect(page.get_by_role("listbox")).to_contain_text(shown)
    assert said(page).startswith("Layer 0, head 0: ")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_text_that_is_too_long_is_refused_in_words_and_loses_nothing(explore):
    page = explore()
    box = page.get_by_label("A beginning")
    box.fill("kite " * 300)
    expect(page.get_by_role("status")).to_contain_text("make it shorter")
    expect(box).to_have_attribute("aria-invalid", "true")
    assert page.get_by_role("option").count() > 5
    box.fill("Mia")
    expect(page.get_by_role("status")).to_contain_text("Layer 0, head 0")
    expect(box).to_have_attribute("aria-invalid", "false")


# === For everybody ===


@pytest.mark.parametrize(
    ("width", "scheme", "text"),
    [(390, "light", TEXT), (390, "dark", "kite " * 200), (1100, "dark", TEXT), (1100, "light", "")],
)
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(explore, width, scheme, text):
    page = explore(text, width=width, scheme=scheme, layer=1, head=3)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_sentence_stays_in_sight_while_one_scrolls(explore):
    page = explore("kite " * 60, width=390)
    page.set_viewport_size({"width": 390, "height": 500})
    for part in (".falcon-tokens", ".falcon-map", ".falcon-heads", ".falcon-bars"):
        page.locator(part).evaluate(
            "part => scrollTo(0, part.getBoundingClientRect().top + scrollY)"
        )
        expect(page.get_by_role("status")).to_be_in_viewport()


def test_many_heads_fit_on_a_phone(explore):
    page = explore(width=390)
    page.evaluate(
        """async () => {
            const { mount } = await import(new URL("web/explorer/explorer.js", location));
            const tokens = ["Mia", " ran"];
            const attention_weights = [[Array(71).fill(1), Array(142).fill(0.5)]];
            const record = async () => ({ tokens, attention_weights, next_tokens: [[], []] });
            await mount(document.getElementById("place"), { record }, { head: 70 }).ready;
        }"""
    )
    assert page.get_by_role("radio").count() == 71
    assert said(page) == "Layer 0, head 70: “ran” looks at “Mia” with 0.50."
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_colors_follow_the_theme(explore):
    page = explore(layer=1, head=3)
    corner = """() => {
        const canvas = document.querySelector(".falcon-cells canvas");
        return canvas.getContext("2d").getImageData(0, 0, 1, 1).data[0];
    }"""
    assert page.evaluate(corner) < 128  # the start looks at itself with 1
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"({corner})() > 128")


# === A page that is one file ===


@pytest.mark.parametrize("can_write", [True, False])
def test_one_file_is_an_explorer_without_a_server(model, browser, tmp_path, can_write):
    path = tmp_path / "page.html"
    text = f"</script>{TEXT}" if can_write else TEXT
    options = {"layer": 1, "head": 3, "can_write": can_write}
    falcon_edu.explorer_to_html(model[0], path, text, **options)
    page = browser.new_page()
    told = []
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("console", lambda message: told.append(message.text))
    page.on("request", lambda r: r.url.startswith(("file:", "blob:")) or told.append(r.url))
    page.goto(path.as_uri())
    mia = page.get_by_role("option", name="“Mia”").last
    mia.click()
    tokens = falcon_edu.record(model[0], text).tokens[0]
    query = max(i for i, token in enumerate(tokens) if token == " Mia")
    for key in range(query + 1):
        number = option(page, key).get_attribute("aria-label").rpartition(" ")[2]
        expected = weight(model, 1, 3, query, key, text)
        assert float(number) == pytest.approx(expected, rel=0.04, abs=6e-5)
    assert page.locator(".falcon-bars li").count() == 6
    assert violations(page) == []
    if can_write:
        page.get_by_role("button", name="Go on").click()
        page.locator(".falcon-written").nth(3).wait_for()
    else:
        assert not page.get_by_role("button", name="Go on").count()
    assert told == []
    page.close()


def test_one_file_shows_a_picture_where_no_script_may_run(model, browser, tmp_path):
    path = tmp_path / "page.html"
    falcon_edu.explorer_to_html(model[0], path, TEXT, layer=1, head=3, can_write=False)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    picture = page.get_by_role("img", name="Layer 1, head 3 over")
    assert picture.bounding_box()["width"] > 200
    context.close()

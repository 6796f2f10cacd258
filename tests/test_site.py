"""The site as a reader has it: in a browser, on a phone, in the dark, and without a network.

`make site` builds it; `make browser` does so before these tests.
"""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import falcon_edu
from falcon_edu import FalconCausalLM
from tools import address, notebooks, site_falcons
from tools.serving import serving

import nbformat
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browser_lab import is_elsewhere, start_browser
from playwright.sync_api import expect
from site_links import Page, dead_links, loads_from_elsewhere, read_site

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "build" / "site"
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}
SERIOUS = ("serious", "critical")

pytestmark = pytest.mark.browser


def pages_of_the_site():
    """The pages, but for those that are made for Sphinx's own use."""
    found = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
    return found or ["index.html"]


@pytest.fixture(scope="module")
def site():
    """The address of the site, from a server on this machine."""
    if not (SITE / "index.html").is_file():
        (pytest.fail if "CI" in os.environ else pytest.skip)("there is no site yet: make site")
    with serving(SITE) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with start_browser() as browser:
        yield browser


def violations(page):
    """What axe finds, as far as it keeps somebody from reading."""
    found = Axe().run(page).response["violations"]
    return [
        f"{rule['id']}: {node['target']} {node['html'][:120]}"
        for rule in found
        if rule["impact"] in SERIOUS
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("path", pages_of_the_site())
def test_page(site, browser, path):
    """Everything comes from the site; a phone shows it all; axe has no serious objection."""
    requests = []
    for scheme, size in (("light", PHONE), ("dark", DESK)):
        context = browser.new_context(viewport=size, color_scheme=scheme)
        context.on("request", lambda request: requests.append(request.url))
        page = context.new_page()
        failed = []
        page.on("requestfailed", lambda request: failed.append(request.url))  # noqa: B023
        page.on("pageerror", lambda error: failed.append(str(error)))  # noqa: B023
        page.goto(f"{site}/{path}", wait_until="load")
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= size["width"], f"{width} pixels wide on a screen of {size['width']}"
        assert violations(page) == []
        assert failed == []
        if folder := os.environ.get("FALCON_EDU_SCREENSHOTS"):
            name = f"site_{path.replace('/', '_').removesuffix('.html')}_{scheme}.png"
            Path(folder).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=Path(folder) / name)
        context.close()
    assert [url for url in requests if is_elsewhere(url)] == []


# === The Falcon on the front page ===


def test_a_falcon_runs_on_the_front_page_below_any_folder(browser, site, tmp_path):
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "where").symlink_to(SITE)
    context = browser.new_context(viewport=PHONE)
    requests = []
    context.on("request", lambda request: requests.append(request.url))
    page = context.new_page()
    with serving(tmp_path) as address:
        page.goto(f"{address}/some/where/")
        word = page.get_by_role("option", name="“Please”")
        word.click()
        assert "Layer 3, head 2: “Please” looks at" in page.get_by_role("status").inner_text()
        assert not page.locator("#falcon img").count()
        page.set_viewport_size({"width": PHONE["width"], "height": 400})
        page.locator(".falcon-bars").evaluate(
            "bars => bars.scrollIntoView({ block: 'end', behavior: 'instant' })"
        )
        expect(page.get_by_role("status")).to_be_in_viewport(ratio=1)
        page.set_viewport_size(PHONE)
        page.get_by_label("A beginning").fill("One day, Wolfgang")
        page.get_by_role("button", name="Go on").click()
        page.locator(".falcon-written").nth(3).wait_for()
        assert "Wolfgang" in page.get_by_role("listbox").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert violations(page) == []
    assert [url for url in requests if not url.startswith(f"{address}/some/where/")] == []
    context.close()


def test_a_bar_tells_how_far_the_falcon_is(browser, site):
    context = browser.new_context()
    held = []
    context.route("**/weights.bin", lambda route: held.append(route))
    page = context.new_page()
    page.goto(site)
    page.get_by_role("progressbar", name="The Falcon is coming").wait_for()
    assert page.locator("#falcon img").is_visible()
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()
    page.get_by_role("option").first.wait_for()
    assert page.get_by_role("progressbar").count() == 0
    context.close()


@pytest.mark.parametrize(
    ("missing", "said"), [("weights.bin", "404"), ("worker.js", "did not start")]
)
def test_the_picture_stays_and_the_page_says_why_no_falcon_came(browser, site, missing, said):
    context = browser.new_context()
    context.route(f"**/{missing}", lambda route: route.fulfill(status=404))
    page = context.new_page()
    page.goto(site)
    page.get_by_role("status").filter(has_text=said).wait_for()
    assert page.locator("#falcon img").is_visible()
    context.close()


def test_the_front_page_shows_its_picture_where_no_script_may_run(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site)
    assert page.locator("#falcon img").is_visible()
    context.close()


# === The playground ===

WIDE = {"width": 1280, "height": 2400}
NAMES = [name.upper() for name in site_falcons.PRESETS]
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture
def play(browser, site):
    """Opens the playground at an address; nothing may fail, and nothing be asked of elsewhere."""
    contexts, told = [], []

    def play(hash="", size=WIDE, **options):
        context = browser.new_context(viewport=size, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("dialog", lambda dialog: (told.append(dialog.message), dialog.dismiss()))
        page.on("requestfailed", lambda request: told.append(request.url))
        page.on("request", lambda r: is_elsewhere(r.url) and told.append(r.url))
        page.goto(f"{site}/docs/playground.html{hash}")
        return page

    yield play
    for context in contexts:
        context.close()
    assert told == []


def column(page, name):
    """A Falcon of the playground, when it has done what was asked of it."""
    found = page.get_by_role("region", name=name, exact=True)
    expect(found).to_have_attribute("aria-busy", "false")
    return found


def switch(page, name, layer, head):
    toolbar = page.get_by_role("toolbar", name=f"Heads of {name} to switch off")
    return toolbar.get_by_role("button", name=f"layer {layer}, head {head}")


def numbers(page, name):
    """What comes next: pairs of a token and what is said of its probability."""
    rows = column(page, name).locator(".falcon-next li")
    return [tuple(row.locator("> span:not(.falcon-bar)").all_inner_texts()) for row in rows.all()]


def test_three_falcons_go_on_with_the_readers_own_name(play):
    page = play()
    box = page.get_by_label("The text")
    box.fill("Once upon a time, there were two friends, Priya and Mia. One day,")
    for name in NAMES:
        there = column(page, name)
        expect(there.get_by_role("listbox")).to_contain_text("Priya")
        expect(there.locator(".falcon-story p").first).to_have_text(re.compile(r"(\S+ ){10}"))
        assert there.get_by_role("radio").count() == 16


@pytest.mark.parametrize("name", site_falcons.PRESETS)
def test_a_head_that_is_pressed_writes_nothing_and_one_sees_what_was_before(play, name):
    """Probabilities are the package's, with the head and without it."""
    causal_lm = FalconCausalLM.from_preset(site_falcons.PRESETS[name])
    text, name = site_falcons.TEXT, name.upper()
    page = play()
    before = numbers(page, name)
    story = column(page, name).locator(".falcon-story p").first.inner_text()
    others = [numbers(page, other) for other in NAMES if other != name]
    button = switch(page, name, 3, 2)
    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(column(page, name).locator(".falcon-story")).to_contain_text("without layer 3, head 2")
    after = numbers(page, name)
    expected = [
        falcon_edu.record(causal_lm, text).logits[0, -1],
        falcon_edu.ablate_heads(causal_lm, text, [(3, 2)]).logits[0, -1],
    ]
    probabilities = [
        np.exp(x - x.max()) / np.exp(x - x.max()).sum() for x in map(np.array, expected)
    ]
    order = np.argsort(-probabilities[0])[:4]
    tokens = causal_lm.preprocessor.tokenizer.token_strings(order.tolist())
    percents = [[falcon_edu.plots.style.percent(p[i]) for i in order] for p in probabilities]
    labels = falcon_edu.plots.token_labels(["", *tokens])[1:]
    assert before == list(zip(labels, percents[0], strict=True))
    changes = [f"{was} → {now}" for was, now in zip(*percents, strict=True)]
    assert after[:4] == list(zip(labels, changes, strict=True))
    assert story in column(page, name).locator(".falcon-story p").first.inner_text()
    assert [numbers(page, other) for other in NAMES if other != name] == others
    expect(page.get_by_role("status")).to_contain_text(f"{name} without layer 3, head 2: ")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    expect(column(page, name).locator(".falcon-story p").nth(1)).to_be_hidden()
    assert numbers(page, name) == before


def test_without_a_head_the_text_goes_on_otherwise(play):
    page = play("#rw-off=3.2")
    whole, cut = column(page, "RW").locator(".falcon-story p").all_inner_texts()
    assert cut.removeprefix("without layer 3, head 2: ") != whole.removeprefix("all heads: ")
    assert page.locator(".falcon-story mark").first.inner_text().strip()


def test_an_address_shares_what_one_sees(play):
    page = play()
    column(page, "7B")
    page.get_by_label("The text").fill("Priya & Tom had <b>")
    page.get_by_role("radio", name="top-p").click()
    page.get_by_label("seed").fill("7")
    page.get_by_label("temperature").fill("1.5")
    switch(page, "7B", 0, 3).click()
    column(page, "40B").get_by_role("radio", name="layer 1, head 0").click()
    expect(page.get_by_role("link", name="Link to")).to_have_attribute(
        "href", re.compile("40b=1.0")
    )
    expect(column(page, "7B").get_by_role("listbox")).to_contain_text("<b>")
    hash = "#" + urlsplit(page.url).fragment
    assert page.get_by_role("link", name="Link to").get_attribute("href") == hash
    shown = [column(page, name).inner_text() for name in NAMES]

    other = play(hash)
    assert other.get_by_label("The text").input_value() == "Priya & Tom had <b>"
    assert [column(other, name).inner_text() for name in NAMES] == shown
    expect(switch(other, "7B", 0, 3)).to_have_attribute("aria-pressed", "true")
    expect(other.get_by_label("top-p")).to_be_checked()
    assert other.get_by_label("seed").input_value() == "7"
    radio = column(other, "40B").get_by_role("radio", name="layer 1, head 0")
    expect(radio).to_have_attribute("aria-checked", "true")
    other.evaluate("location.hash = ''")  # as going back does
    expect(other.get_by_label("The text")).to_have_value(site_falcons.TEXT)
    expect(switch(other, "7B", 0, 3)).to_have_attribute("aria-pressed", "false")


def test_a_seed_and_a_temperature_are_asked_for_where_they_matter(play):
    page = play("#sampler=random&seed=3")
    first = column(page, "RW").locator(".falcon-story").inner_text()
    page.get_by_label("seed").fill("4")
    expect(column(page, "RW").locator(".falcon-story")).not_to_have_text(first)
    page.get_by_role("radio", name="greedy").click()
    expect(page.get_by_label("seed")).to_be_hidden()
    expect(page.get_by_label("temperature")).to_be_hidden()


@pytest.mark.parametrize(
    "hash",
    [
        f"#rw={HOSTILE}&rw-off=9.9&sampler={HOSTILE}&seed=-1&temperature=1e9",
        "#text=%E0%A4%A&rw=__proto__&7b-off=1.1_",
        "#%&&&===",
    ],
)
def test_a_broken_address_gives_the_beginning(play, hash):
    page = play(hash)
    for name in NAMES:
        expect(column(page, name).locator(".falcon-story p").first).not_to_be_empty()
        expect(switch(page, name, 3, 2)).to_have_attribute("aria-pressed", "false")
        radio = column(page, name).get_by_role("radio", name="layer 3, head 2")
        expect(radio).to_have_attribute("aria-checked", "true")
    assert page.get_by_label("The text").input_value() == site_falcons.TEXT


def test_a_hostile_text_is_a_text(play):
    page = play(f"#text={HOSTILE}")
    there = column(page, "RW")
    assert there.get_by_role("listbox").inner_text() == f"[start]{HOSTILE}"
    assert page.locator("#falcon-playground").locator("img, script").count() == 0


def test_a_text_that_is_too_long_is_refused_in_words(play):
    page = play("#text=" + "kite+" * 390)
    for name in NAMES:
        expect(column(page, name).locator(".falcon-story")).to_contain_text("make it shorter")
    page.get_by_label("The text").fill("Mia had")
    expect(column(page, "RW").get_by_role("listbox")).to_have_text("[start]Mia had")
    expect(column(page, "RW").locator(".falcon-story")).not_to_contain_text("make it shorter")


def test_heads_are_switched_by_keys_and_one_region_says_what_changes(play):
    page = play()
    column(page, "RW")
    switch(page, "RW", 0, 0).focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowUp", "ArrowUp", "ArrowDown"):
        page.keyboard.press(key)
    expect(switch(page, "RW", 1, 2)).to_be_focused()
    page.keyboard.press("Space")
    expect(switch(page, "RW", 1, 2)).to_have_attribute("aria-pressed", "true")
    assert page.locator("[aria-live], [role=status], [role=alert]").count() == 1
    expect(page.get_by_role("status")).to_contain_text("RW without layer 1, head 2: ")
    page.keyboard.press("End")
    expect(switch(page, "RW", 3, 3)).to_be_focused()
    page.keyboard.press("Tab")
    expect(column(page, "RW").get_by_role("option", selected=True)).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("status")).to_contain_text("RW: Layer 1, head 2: ")


def test_a_word_that_is_chosen_in_one_falcon_is_chosen_in_all(play):
    page = play()
    column(page, "RW").get_by_role("option", name="“Mia”").click()
    for name in NAMES:
        chosen = column(page, name).get_by_role("option", selected=True)
        expect(chosen).to_have_text(" Mia")
    expect(page.get_by_role("status")).to_contain_text("RW: Layer 3, head 2: “Mia” looks at")


LATE = """() => {
    const post = Worker.prototype.postMessage;
    Worker.prototype.postMessage = function (message) {
        setTimeout(() => post.call(this, message), message.call === "record" ? 700 : 0);
    };
}"""


def test_what_is_chosen_while_a_text_is_read_stays_and_is_chosen_in_all(play):
    page = play()
    for name in NAMES:
        column(page, name)
    page.evaluate(LATE)
    page.get_by_label("The text").fill("One day, Mia ran home.")
    there = page.get_by_role("region", name="RW", exact=True)
    expect(there).to_have_attribute("aria-busy", "true")
    head = there.get_by_role("radio", name="layer 1, head 0")
    head.click()
    there.get_by_role("option", name="“Mia”").click()
    page.mouse.move(1, 1)
    for name in NAMES:
        tokens = column(page, name).get_by_role("listbox")
        expect(tokens).to_have_text("[start]One day, Mia ran home.")
        expect(tokens.get_by_role("option", selected=True)).to_have_text(" Mia")
    expect(head).to_have_attribute("aria-checked", "true")


def test_each_falcon_is_fetched_once_and_when_one_comes_near(browser, site):
    context = browser.new_context(viewport=PHONE)
    page, asked = context.new_page(), []
    page.on("request", lambda r: r.url.endswith("weights.bin") and asked.append(r.url))
    page.goto(f"{site}/docs/playground.html")
    column(page, "RW")
    assert [url.rsplit("/")[-2] for url in asked] == [site_falcons.PRESETS["rw"]]
    page.get_by_label("The text").fill("Mia had")
    page.get_by_role("region", name="40B").scroll_into_view_if_needed()
    column(page, "40B")
    page.get_by_role("region", name="7B", exact=True).scroll_into_view_if_needed()
    column(page, "7B")
    assert sorted(asked) == sorted(set(asked))
    assert len(asked) == 3
    context.close()


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1280, "dark")])
def test_everybody_can_use_the_playground(play, width, scheme):
    hash = "#rw-off=3.2_3.3&7b-off=0.0&sampler=top_k"
    page = play(hash, {"width": width, "height": 6000}, color_scheme=scheme)
    for name in NAMES:
        column(page, name)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []
    tops = [page.get_by_role("region", name=n, exact=True).bounding_box()["y"] for n in NAMES]
    assert (len(set(tops)) == 1) == (width > 390)
    if folder := os.environ.get("FALCON_EDU_SCREENSHOTS"):
        path = Path(folder) / f"playground_{width}_{scheme}.png"
        page.locator("article").screenshot(path=path)


def test_the_playground_is_a_picture_with_links_where_no_script_may_run(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/docs/playground.html")
    assert page.locator("#falcon-playground img").is_visible()
    assert page.locator("#falcon-playground").get_by_role("link", name="Welcome").is_visible()
    context.close()


# === The explorers of lessons ===

RW = site_falcons.PRESETS["rw"]


def explored(kinds="Attention|NextToken|LogitLens"):
    """The lessons that show an explorer of a kind that the page has."""
    is_shown = re.compile(rf"\b({kinds})Explorer\(").search
    return [path.stem for path in address.lessons() if is_shown(path.read_text())]


@pytest.fixture
def visit(browser, site):
    """Opens a lesson, all answers unfolded; nothing may fail."""
    contexts, told = [], []

    def visit(lesson, size=PHONE, **options):
        contexts.append(browser.new_context(viewport=size, **options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("request", lambda r: is_elsewhere(r.url) and told.append(r.url))
        page.goto(f"{site}/notebooks/{lesson}.html", wait_until="load")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert told == []


def enliven(page):
    """Goes to each place of a lesson; what they say in data, and their explorers, in order."""
    page.locator("details").evaluate_all("all => all.forEach((one) => (one.open = true))")
    places = page.locator(".falcon-place")
    given = places.evaluate_all("places => places.map((place) => ({ ...place.dataset }))")
    for _ in range(200):
        page.evaluate("document.querySelector('.falcon-place')?.scrollIntoView()")
        page.wait_for_timeout(50)
        if not places.count():
            break
    explorers = page.locator(".falcon-explorer")
    expect(explorers).to_have_count(len(given))
    for explorer in explorers.all():
        expect(explorer.locator(".falcon-says")).to_contain_text(re.compile(r"\.$"))
    return given, explorers.all()


def of_kind(page, kind):
    """The explorers of one kind in a lesson."""
    given, explorers = enliven(page)
    return [pair for pair in zip(given, explorers, strict=True) if pair[0].get("kind") == kind]


@pytest.mark.parametrize("lesson", explored())
def test_explorers_of_a_lesson_are_alive(visit, lesson):
    """With what the lesson shows; their Falcon comes once, when one is near."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{lesson}.ipynb", as_version=4)
    kinds = "Attention|NextToken|LogitLens"
    words = re.findall(rf"'text/plain': ['\"](?:{kinds})Explorer: ", str(notebook.cells))
    places = site_falcons.places(notebook)
    assert len(places) == len(words) > 0
    page, asked = visit(lesson), []
    page.on("request", lambda r: r.url.endswith("weights.bin") and asked.append(r.url))
    assert page.locator(".falcon-place").count() == len(places)
    assert asked == []
    given, explorers = enliven(page)
    assert len(asked) == 1
    for shown, explorer in zip(given, explorers, strict=True):
        expect(explorer.get_by_role("textbox")).to_have_value(shown["text"])
        if "query" in shown:
            chosen = explorer.get_by_role("option").nth(int(shown["query"]))
            expect(chosen).to_have_attribute("aria-selected", "true")
        if "head" in shown:
            name = f"layer {shown['layer']}, head {shown['head']}"
            head = explorer.get_by_role("radio", name=name)
            expect(head).to_have_attribute("aria-checked", "true")
        before = explorer.locator(".falcon-says").inner_text()
        explorer.get_by_role("textbox").fill("Priya had a kite")
        expect(explorer.locator(".falcon-says")).not_to_have_text(before)
        assert explorer.locator("[aria-invalid=true]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert violations(page) == []


@pytest.mark.parametrize("lesson", explored())
def test_a_lesson_shows_a_picture_once_where_no_script_may_run(browser, site, lesson):
    notebook = nbformat.read(ROOT / "notebooks" / f"{lesson}.ipynb", as_version=4)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/notebooks/{lesson}.html")
    figures = page.locator("figure:has(.falcon-place)")
    assert figures.count() == len(site_falcons.places(notebook))
    for figure in figures.all():
        assert figure.locator("img").get_attribute("alt")
        assert figure.is_visible() or page.locator("details").filter(has=figure).count()
    captions = page.get_by_text("It stands still here")
    assert captions.count() == page.locator("figure:has(figcaption) img").count()
    context.close()


def test_who_writes_is_not_disturbed_by_a_neighbour_that_reads(visit):
    page = visit("00_welcome")
    _, explorers = enliven(page)
    writer = next(each for each in explorers if each.get_by_role("button", name="Go on").count())
    reader = next(each for each in explorers if each.get_by_role("slider").count())
    writer.get_by_role("textbox").fill("Once upon a time, Priya")
    expect(writer.get_by_role("listbox")).to_contain_text("Priya")
    writer.get_by_role("button", name="Go on").click()
    for name in ("Mia", "Tom", "Nora", "Max"):
        reader.get_by_role("textbox").fill(f"{name} had a")
    expect(reader.locator(".falcon-says")).to_contain_text("Next may come")
    expect(writer.locator(".falcon-says")).to_contain_text("wrote: ", timeout=30_000)
    assert writer.locator(".falcon-written").count() > 30


def rows_of(explorer):
    """The bars of an explorer: pairs of a token and what is said of its probability."""
    rows = explorer.locator(".falcon-bars li").all()
    return [tuple(row.locator("> span:not(.falcon-bar)").all_inner_texts()) for row in rows]


@pytest.mark.parametrize("lesson", explored("NextToken"))
def test_the_next_tokens_of_a_lesson_have_the_package_s_percentages(visit, lesson):
    """Before a slider is moved, and with each of the three moved."""
    causal_lm = FalconCausalLM.from_preset(RW)
    ((given, explorer),) = of_kind(visit(lesson, DESK), "next_token")
    text = given["text"]

    def expected(**settings):
        logits = falcon_edu.record(causal_lm, text).logits[:, -1]
        before = np.asarray(falcon_edu.RandomSampler().distribution(logits))[0]
        now = np.asarray(falcon_edu.TopPSampler(**settings).distribution(logits))[0]
        order = np.argsort(-np.round(before, 6), kind="stable")[:10]
        tokens = causal_lm.preprocessor.tokenizer.token_strings(order.tolist())
        labels = [*falcon_edu.plots.token_labels(["", *tokens])[1:], f"{len(now) - 10} others"]
        numbers = [[*p[order], max(0, 1 - p[order].sum())] for p in (before, now)]
        percents = [list(map(falcon_edu.plots.style.percent, p)) for p in numbers]
        return labels, *percents

    labels, before, _ = expected(p=1)
    shown = rows_of(explorer)
    assert shown[:10] == list(zip(labels, before, strict=True))[:10]
    assert shown[10][0] == labels[10]
    explorer.get_by_label("temperature").fill("0.5")
    for top_k, top_p in ((2, 1), (None, 0.5)):
        explorer.get_by_label("top-k").fill("1" if top_k else "7")  # the second, and all
        explorer.get_by_label("top-p").fill(str(top_p))
        labels, before, now = expected(p=top_p, k=top_k, temperature=0.5)
        changes = [f"{was} → {number}" for was, number in zip(before, now, strict=True)]
        assert rows_of(explorer)[:10] == list(zip(labels, changes, strict=True))[:10]
        said = explorer.locator(".falcon-says").inner_text()
        assert said.startswith(f"With temperature 0.5, {'top-k 2' if top_k else 'top-p 0.5'}: ")
        assert f"{now[0]}, was {before[0]}" in said


@pytest.mark.parametrize("lesson", explored("LogitLens"))
def test_the_logit_lens_of_a_lesson_has_the_package_s_guesses_and_ranks(visit, lesson):
    """At each token that is in the table; a high rank may be that of a neighbour, by rounding."""
    causal_lm = FalconCausalLM.from_preset(RW)
    ((given, explorer),) = of_kind(visit(lesson, DESK), "logit_lens")
    ours = falcon_edu.LogitLensExplorer(causal_lm, given["text"])
    query = int(given["query"])
    rows = explorer.locator(".falcon-stages tr").all()
    tokens = rows[0].locator("th[scope=col]").all_inner_texts()
    labels = falcon_edu.plots.token_labels(ours.tokens)
    at = next(i for i in range(len(labels)) if labels[i : i + len(tokens)] == tokens)
    assert at <= query < at + len(tokens) > 8
    for stage, row in enumerate(rows[1:-1]):
        for i, cell in enumerate(row.locator("td").all(), at):
            guess = falcon_edu.plots.token_labels(["", ours.guesses[stage, i]])[1]
            rank = ours.told["rank"][stage, i]
            shown = cell.inner_text().split("\n")
            assert shown[0] == guess
            if np.isnan(rank):
                assert len(shown) == 1
            else:
                assert int(shown[1]) == pytest.approx(rank, abs=0.02 * rank)
    explorer.get_by_role("radio", name="probability").check()
    last = rows[-2].locator("td").nth(query - at)
    expect(last).to_contain_text(
        falcon_edu.plots.style.percent(ours.told["probability"][-1, query])
    )


@pytest.mark.parametrize("kind", ["next_token", "logit_lens"])
@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1280, "dark")])
def test_everybody_can_use_the_explorers_of_lessons(visit, kind, width, scheme):
    lesson = {"next_token": "07_generation", "logit_lens": "10_hidden_states"}[kind]
    page = visit(lesson, {"width": width, "height": 900}, color_scheme=scheme)
    ((_, explorer),) = of_kind(page, kind)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = explorer.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert violations(page) == []
    assert explorer.locator("[aria-live], [role=status], [role=alert]").count() == 1
    if folder := os.environ.get("FALCON_EDU_SCREENSHOTS"):
        explorer.screenshot(path=Path(folder) / f"{kind}_{width}_{scheme}.png")
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert explorer.evaluate("one => one.scrollWidth <= one.clientWidth")


def test_sliders_of_the_next_token_have_names_and_values_and_answer_keys(visit):
    ((_, explorer),) = of_kind(visit("07_generation"), "next_token")
    says, top_k = explorer.locator(".falcon-says"), explorer.get_by_role("slider", name="top-k")
    assert top_k.get_attribute("aria-valuetext") == "all"
    top_k.press("Home")
    assert top_k.get_attribute("aria-valuetext") == "1"
    expect(says).to_contain_text("With top-k 1: ")
    numbers = [number for _, number in rows_of(explorer)]
    assert numbers[0].endswith(" → 100%")
    assert all(number.endswith(" → 0%") for number in numbers[1:])
    top_k.press("ArrowRight")
    assert top_k.get_attribute("aria-valuetext") == "2"
    explorer.get_by_role("slider", name="temperature").press("ArrowLeft")
    expect(says).to_contain_text("With temperature 0.9, top-k 2: ")
    top_k.press("End")
    explorer.get_by_role("slider", name="temperature").press("ArrowRight")
    expect(says).to_contain_text("Next may come: ")
    explorer.get_by_role("textbox").fill("kite " * 300)
    expect(says).to_contain_text("make it shorter")
    assert explorer.locator("[aria-invalid=true]").count() == 1


def test_the_logit_lens_answers_hand_and_keys(visit):
    ((given, explorer),) = of_kind(visit("10_hidden_states", DESK), "logit_lens")
    status, table = explorer.get_by_role("status"), explorer.locator(".falcon-stages")
    query, options = int(given["query"]), explorer.get_by_role("option")
    options.nth(query).focus()
    explorer.page.keyboard.press("ArrowLeft")
    expect(options.nth(query - 1)).to_have_attribute("aria-selected", "true")
    expect(status).to_contain_text(re.compile(r"In the end, .* which comes, has ranks (\d+, ){4}"))
    cell = table.locator("tr").nth(2).locator("td").nth(1)
    before = table.inner_text()
    cell.hover()
    expect(status).to_contain_text(re.compile(r"After layer 0, .* has rank \d+\.$"))
    expect(cell).to_have_class("falcon-chosen")
    cell.click()
    expect(options.nth(query - 1)).to_have_attribute("aria-selected", "false")
    assert table.inner_text() == before  # it stays under the hand
    explorer.page.mouse.move(1, 1)
    expect(status).to_contain_text("In the end")
    options.first.focus()
    for key, index in (("Home", 0), ("End", options.count() - 1)):
        explorer.page.keyboard.press(key)
        expect(options.nth(index)).to_have_attribute("aria-selected", "true")
    assert "which comes" not in status.inner_text()  # nobody knows what does
    explorer.get_by_role("textbox").fill("Priya and Tom met. Priya")
    expect(explorer.get_by_role("listbox")).to_have_text("[start]Priya and Tom met. Priya")
    expect(options.last).to_have_attribute("aria-selected", "true")


# === All pages together ===


def test_links_lead_somewhere(site):
    assert list(dead_links(read_site(SITE))) == []


def test_nothing_is_loaded_from_elsewhere(site):
    assert list(loads_from_elsewhere(read_site(SITE))) == []


def test_a_search_puts_lessons_before_the_reference(site, browser):
    page = browser.new_page()
    page.goto(f"{site}/search.html?q=attention")
    expect(page.locator(".search-summary")).to_contain_text("found")
    links = page.locator("#search-results li > a").evaluate_all(
        "links => links.map((link) => link.getAttribute('href').split('/')[0])"
    )
    ranks = [{"notebooks": 0, "reference": 2}.get(folder, 1) for folder in links]
    assert ranks == sorted(ranks)
    assert {0, 2} <= set(ranks)
    page.close()


def test_a_link_to_a_page_shows_a_card(site):
    home = address.pages(address.address())
    for path in ("index.html", "notebooks/03_self_attention.html", "reference/model.backbone.html"):
        text = (SITE / path).read_text()
        told = dict(re.findall(r'<meta property="([\w:]+)" content="([^"]*)">', text))
        assert told["og:url"] == home + path
        assert told["og:title"]
        assert told["og:image"].startswith(home)
        picture = SITE / told["og:image"].removeprefix(home)
        assert picture.stat().st_size < 300_000
        assert "twitter:card" in told
        assert ">" not in told["og:title"]


def test_the_sitemap_lists_the_pages(site):
    home = address.pages(address.address())
    urls = re.findall("<loc>(.*)</loc>", (SITE / "sitemap.xml").read_text())
    listed = {url.removeprefix(home) or "index.html" for url in urls}
    assert all(url.startswith(home) for url in urls)
    of_sphinx = {"genindex.html", "py-modindex.html", "search.html"}
    assert listed == set(pages_of_the_site()) - of_sphinx


def test_the_course_is_there_with_its_pictures(site):
    pages = read_site(SITE)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        page = pages[SITE / "notebooks" / f"{path.stem}.html"]
        assert any("_images/" in url for url in page.loads), path.stem


def test_answers_of_predictions_are_behind_a_click(site, browser):
    """As many outputs are folded as in the notebook, and none of them can be read at first."""
    page = browser.new_page()
    for path in address.lessons():
        folded = [cell for _, cell in notebooks.answers(nbformat.read(path, as_version=4))]
        page.goto(f"{site}/notebooks/{path.stem}.html", wait_until="load")
        outputs = page.locator("details .cell_output")
        assert outputs.count() == len(folded), path.stem
        assert not any(output.is_visible() for output in outputs.all())
    page.locator("details:has(.cell_output) summary").first.click()
    assert outputs.first.is_visible()
    page.close()


# === The checks themselves ===


def test_dead_links_are_seen(tmp_path):
    (tmp_path / "a.html").write_text('<a href="b.html#x">b</a><a href="https://example.org">e</a>')
    (tmp_path / "b.html").write_text('<p id="y"></p><a href="c.html">c</a><img src="d.png">')
    assert sorted(dead_links(read_site(tmp_path))) == [
        "a.html: b.html#x (no such place)",
        "b.html: c.html",
        "b.html: d.png",
    ]


def test_loads_from_elsewhere_are_seen():
    page = Page()
    page.feed('<script src="//cdn.example/x.js"></script><a href="https://example.org">e</a>')
    assert list(loads_from_elsewhere({Path("a.html"): page})) == ["a.html: //cdn.example/x.js"]


def test_what_axe_finds_is_seen(browser):
    page = browser.new_page()
    page.set_content('<html lang="en"><title>t</title><main><h1>t</h1><img src="x.png"></main>')
    assert [found.partition(":")[0] for found in violations(page)] == ["image-alt"]
    page.close()

"""The site as a reader has it: in a browser, on a phone, in the dark, and without a network.

`make site` builds it; `make browser` does so before these tests.
"""

import os
from pathlib import Path

from tools import address, notebooks
from tools.serving import serving

import nbformat
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


# === All pages together ===


def test_links_lead_somewhere(site):
    assert list(dead_links(read_site(SITE))) == []


def test_nothing_is_loaded_from_elsewhere(site):
    assert list(loads_from_elsewhere(read_site(SITE))) == []


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

"""Which explorers of lessons come to life on the site, and with what."""

import html
import re

import falcon_edu
from tools import address, make_site, site_falcons

import nbformat
import pytest

WORDS = "AttentionExplorer: 4 layers with 4 heads each, 4 tokens: [start] M ia ·had"
ALT = "Layer 1, head 3 over 4 tokens; the strongest weight, 1.00, goes from the start to the start."
PRESET = "falcon_tales_7b_en"
MADE = f'falcon = falcon_edu.FalconCausalLM.from_preset("{PRESET}")'


def given(place):
    """What a place says in data."""
    found = re.findall(r'data-(\w+)="([^"]*)"', place)
    return {name: html.unescape(value) for name, value in found}


def notebook(*sources, words=WORDS, alt=ALT):
    """A notebook whose last cell shows an explorer, with the outputs that a kernel gives."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    live = '<style></style><p class="falcon-either">...</p>'
    outputs = [{"text/html": live}, {"image/png": "iVBO", "text/plain": words}]
    cells[-1].outputs = [nbformat.v4.new_output("display_data", data) for data in outputs]
    cells[-1].outputs[1].metadata["image/png"] = {"alt": alt}
    return nbformat.v4.new_notebook(cells=cells)


def test_an_explorer_of_a_shipped_model_has_its_text_layer_and_head():
    shown = notebook(MADE, "falcon_edu.AttentionExplorer(falcon, text, layer=1, head=3)")
    (place,) = site_falcons.places(shown).values()
    model = f"../falcon/{PRESET}/"
    assert given(place) == {"model": model, "text": "Mia had", "layer": "1", "head": "3"}


def test_a_text_is_found_again_in_the_words_of_its_explorer():
    falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    for text in ['"Stay," <b>&amp;', "Wolfgang  had\na kite.\n\nHe", "'x`y*z* $a$ _b_ 3 < 4"]:
        explorer = falcon_edu.AttentionExplorer(falcon, text, layer=2, head=1, view="all heads")
        words, alt = repr(explorer), explorer.figure.alt_text
        place = site_falcons.place("falcon_tales_rw_en", words, alt)
        assert given(place)["text"] == text
        assert (given(place)["layer"], given(place)["head"]) == ("2", "1")
        assert "\n" not in place


def test_the_text_of_a_next_token_explorer_is_one_that_stands_in_the_lesson():
    """The words have but its end, so the cells must have the whole of it."""
    falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    text = 'One sunny May morning, Mia and Tom walked to the "<park>".\nSoon Tom found'
    explorer = falcon_edu.NextTokenExplorer(falcon, text)
    made = MADE.replace(PRESET, "falcon_tales_rw_en")
    shown = "falcon_edu.NextTokenExplorer(falcon, start)"
    words, alt = repr(explorer), explorer.figure.alt_text
    lesson = notebook(made, "%pip list", f"start = {text!r}", shown, words=words, alt=alt)
    (place,) = site_falcons.places(lesson).values()
    model = "../falcon/falcon_tales_rw_en/"
    assert given(place) == {"model": model, "text": text, "kind": "next_token"}
    lesson = notebook(made, "start = tell()", shown, words=words, alt=alt)
    assert site_falcons.places(lesson) == {}


def test_a_logit_lens_begins_at_the_token_of_its_picture():
    falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    text = "Mia and Tom had a red kite."
    explorer = falcon_edu.LogitLensExplorer(falcon, text, token=4, show="probability")
    words, alt = repr(explorer), explorer.figure.alt_text
    made = MADE.replace(PRESET, "falcon_tales_rw_en")
    lesson = notebook(made, "falcon_edu.LogitLensExplorer(falcon, whole)", words=words, alt=alt)
    (place,) = site_falcons.places(lesson).values()
    start = {"kind": "logit_lens", "query": "4", "show": "probability"}
    model = "../falcon/falcon_tales_rw_en/"
    assert given(place) == {"model": model, "text": text, **start}


@pytest.mark.parametrize(
    "sources",
    [
        ["falcon = falcon_edu.FalconCausalLM(backbone)", "falcon_edu.AttentionExplorer(falcon, t)"],
        [MADE, "falcon_edu.AttentionExplorer(other, t)"],
        [MADE, "falcon = tuned", "falcon_edu.AttentionExplorer(falcon, t)"],
        [MADE[:-1] + ', dtype="int8")', "falcon_edu.AttentionExplorer(falcon, t)"],
        [MADE.replace(PRESET, "falcon_rw_1b"), "falcon_edu.AttentionExplorer(falcon, t)"],
        [MADE, "falcon_edu.PatchingExplorer(falcon, t)"],
    ],
)
def test_an_explorer_of_another_model_or_of_another_kind_stays_a_picture(sources):
    words = WORDS.replace("Attention", "Patching") if "Patching" in sources[-1] else WORDS
    shown = notebook(*sources, words=words)
    assert site_falcons.places(shown) == {}
    page = make_site.prepared(shown)
    assert len(page.cells) == len(sources)
    assert page.cells[-1].metadata["mystnb"]["figure"]["caption"] == make_site.LIVE


@pytest.mark.parametrize(
    ("words", "alt"),
    [(WORDS.replace("M ia", "Mi a"), ALT), (WORDS.replace("had", "U+597D"), ALT), (WORDS, "All")],
)
def test_words_that_do_not_tell_the_text_leave_the_picture(words, alt):
    shown = notebook(MADE, "falcon_edu.AttentionExplorer(falcon, t)", words=words, alt=alt)
    assert site_falcons.places(shown) == {}


def test_a_page_has_the_picture_of_an_explorer_without_the_words_beside_it():
    page = make_site.prepared(notebook(MADE, "falcon_edu.AttentionExplorer(falcon, t)"))
    _, cell, scripts = page.cells
    assert [list(output.data) for output in cell.outputs] == [["image/png", "text/plain"]]
    assert cell.metadata["mystnb"]["figure"]["caption"].startswith('<span class="falcon-place"')
    assert "../falcon/site/places.js" in scripts.source


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("README.md", "[p]({site}docs/playground.html#a)", "[p](docs/playground.md#a)"),
        ("README.md", "[s]({site})", "[s](index.md)"),
        ("docs/playground.md", "[p]({site}docs/playground.html)", "[p](playground.md)"),
        ("docs/playground.md", "[s]({site})", "[s](../index.md)"),
        ("README.md", "[x]({site}no/page.html)", "[x]({site}no/page.html)"),
        ("README.md", "[l](LICENSE)", "[l]({home}/tree/main/LICENSE)"),
    ],
)
def test_links_to_the_site_lead_to_pages_beside_it_there(name, text, expected):
    """So that a copy of the site in any place leads nowhere else."""
    home = address.address()
    links = {"site": address.pages(home), "home": home}
    there = {"README.md": "index.md", "docs/playground.md": "docs/playground.md"}
    linked = make_site.relinked(text.format(**links), name, there, set())
    assert linked == expected.format(**links)

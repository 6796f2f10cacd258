"""Which explorers of lessons come to life on the site, and with what."""

import html
import re

import falcon_edu
from tools import make_site, site_falcons

import nbformat
import pytest

WORDS = "AttentionExplorer: 4 layers with 4 heads each, 4 tokens: [start] M ia ·had"
ALT = "Layer 1, head 3 over 4 tokens; the strongest weight, 1.00, goes from the start to the start."
PRESET = "falcon_tales_7b_en"
MADE = f'falcon = falcon_edu.FalconCausalLM.from_preset("{PRESET}")'


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
    given = dict(re.findall(r'data-(\w+)="([^"]*)"', place))
    model = f"../falcon/{PRESET}/"
    assert given == {"model": model, "text": "Mia had", "layer": "1", "head": "3"}


def test_a_text_is_found_again_in_the_words_of_its_explorer():
    falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    for text in ['"Stay," <b>&amp;', "Wolfgang  had\na kite.\n\nHe", "'x`y*z* $a$ _b_ 3 < 4"]:
        explorer = falcon_edu.AttentionExplorer(falcon, text, layer=2, head=1, view="all heads")
        words, alt = repr(explorer), explorer.figure.alt_text
        place = site_falcons.place("falcon_tales_rw_en", words, alt)
        given = dict(re.findall(r'data-(\w+)="([^"]*)"', place))
        assert html.unescape(given["text"]) == text
        assert (given["layer"], given["head"]) == ("2", "1")
        assert "\n" not in place


@pytest.mark.parametrize(
    "sources",
    [
        ["falcon = falcon_edu.FalconCausalLM(backbone)", "falcon_edu.AttentionExplorer(falcon, t)"],
        [MADE, "falcon_edu.AttentionExplorer(other, t)"],
        [MADE, "falcon = tuned", "falcon_edu.AttentionExplorer(falcon, t)"],
        [MADE[:-1] + ', dtype="int8")', "falcon_edu.AttentionExplorer(falcon, t)"],
        [MADE.replace(PRESET, "falcon_rw_1b"), "falcon_edu.AttentionExplorer(falcon, t)"],
        [MADE, "falcon_edu.NextTokenExplorer(falcon, t)"],
    ],
)
def test_an_explorer_of_another_model_or_of_another_kind_stays_a_picture(sources):
    words = WORDS.replace("Attention", "NextToken") if "NextToken" in sources[-1] else WORDS
    shown = notebook(*sources, words=words)
    assert site_falcons.places(shown) == {}
    page = make_site.prepared(shown)
    assert len(page.cells) == len(sources)
    assert page.cells[-1].metadata["mystnb"]["figure"]["caption"] == make_site.LIVE


@pytest.mark.parametrize(
    ("words", "alt"),
    [(WORDS.replace("M ia", "Mi a"), ALT), (WORDS.replace("had", "□"), ALT), (WORDS, "All heads")],
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

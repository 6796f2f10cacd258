"""PatchingExplorer: every patch of a pair, computed once."""

import falcon_edu
from falcon_edu import PatchingExplorer
from falcon_edu.text.byte_level import byte_alphabet
from falcon_edu.widgets import WIDGET_VIEW
from falcon_edu.widgets import patching as module

import numpy as np
import pytest
from explorer_pages import shown

CLEAN, CORRUPTED = "Mia ran to", "Mio ran to"


@pytest.fixture(scope="module")
def falcon():
    """A Falcon that reads bytes, whose layers write so much that a letter changes the answer."""
    letters = ["<|endoftext|>", *byte_alphabet().values()]
    tokenizer = falcon_edu.FalconTokenizer({t: i for i, t in enumerate(letters)}, merges=[])
    backbone = falcon_edu.FalconBackbone(300, 2, 3, 24, 48)
    rng = np.random.default_rng(0)
    for variable in backbone.variables:
        if "layernorm" not in variable.path:
            scale = 0.02 if "embedding" in variable.path else 0.5
            variable.assign(rng.normal(0, scale, variable.shape))
    return falcon_edu.FalconCausalLM(backbone, falcon_edu.FalconCausalLMPreprocessor(tokenizer))


@pytest.fixture
def explorer(falcon):
    return PatchingExplorer(falcon, CLEAN, CORRUPTED)


def test_shown_as_view_and_picture_and_text(explorer):
    data, metadata = explorer._repr_mimebundle_()
    assert set(data) == {WIDGET_VIEW, "image/png", "text/plain"}
    assert data["text/plain"] == (
        "PatchingExplorer: patches at the embedding and after 2 layers, 8 tokens from 3 on: "
        "a/o · r a n · t o"
    )
    assert metadata["image/png"]["alt"] == explorer.figure.alt_text
    assert list(shown(explorer)["controls"])[:2] == ["clean", "corrupted"]
    start = "<|endoftext|>"
    assert explorer.component.given["tokens"] == [start, *CLEAN, start, *CORRUPTED]


def test_shares_are_those_of_single_patches(falcon, explorer):
    clean, corrupted = (falcon_edu.record(falcon, text) for text in (CLEAN, CORRUPTED))
    answers = clean.logits[0, -1].argmax(), corrupted.logits[0, -1].argmax()

    def gap(logits):
        return logits[0, -1, answers[0]] - logits[0, -1, answers[1]]

    low, high = gap(corrupted.logits), gap(clean.logits)
    for layer, position in [(0, 3), (1, 5), (2, 10), (1, 10)]:
        value = clean.hidden_states[layer][:, position]
        patched = falcon_edu.patch(falcon, CORRUPTED, layer, position, value)
        share = explorer.restored[layer, position - 3]
        assert share == pytest.approx((gap(patched) - low) / (high - low), abs=1e-2)
    assert explorer.restored[0, 0] == pytest.approx(1, abs=1e-2)  # the one token that differs
    assert explorer.restored[-1, -1] == pytest.approx(1, abs=1e-2)
    np.testing.assert_allclose(explorer.restored[-1, :-1], 0, atol=1e-2)


def test_controls_redraw_without_a_run(explorer, monkeypatch):
    monkeypatch.setattr(module, "patching_map", None)  # a run would raise
    alts = [explorer.figure.alt_text]
    explorer.controls["layer"].value = 1
    alts.append(explorer.figure.alt_text)
    explorer.controls["position"].value = 3
    alts.append(explorer.figure.alt_text)
    assert "token 3, after layer 0 (a/o)" in alts[-1]
    explorer.controls["view"].value = "one patch"
    alts.append(explorer.figure.alt_text)
    assert "A patch of token 3, after layer 0, patched (corrupted run)" in alts[-1]
    explorer.controls["layer"].value = 0
    alts.append(explorer.figure.alt_text)
    assert len(set(alts)) == 5


def test_where_one_position_differs_there_is_none_to_choose(falcon, explorer):
    assert not shown(explorer)["controls"]["position"]["is_hidden"]
    last = PatchingExplorer(falcon, CLEAN, CLEAN[:-1] + "a")
    assert shown(last)["controls"]["position"]["is_hidden"]
    assert not shown(last)["controls"]["layer"]["is_hidden"]


def test_other_texts_in_the_boxes_are_read_or_refused(explorer):
    before = explorer.figure.alt_text
    explorer.text_boxes["corrupted"].value = "Mi ran to"
    assert "as many tokens. They have 11 and 10" in shown(explorer)["problem"]
    assert explorer.figure.alt_text == before
    explorer.text_boxes["corrupted"].value = CORRUPTED
    explorer.text_boxes["clean"].value = "Mia rin to"
    assert shown(explorer)["problem"] == ""
    assert "a/o · r i/a n" in repr(explorer)
    assert explorer.values["position"] == 10


@pytest.mark.parametrize(
    ("clean", "corrupted", "message"),
    [
        ("Mia", "Mia", "are the same"),
        ("Mia", "Mi", "as many tokens"),
        ("Mia", None, "`corrupted` must be one text. Received: NoneType"),
        ("a" * 256, "b" * 256, "have 257 tokens"),
    ],
)
def test_texts_that_do_not_fit_are_refused(falcon, clean, corrupted, message):
    with pytest.raises(ValueError, match=message):
        PatchingExplorer(falcon, clean, corrupted)


def test_it_is_said_where_the_texts_differ(falcon, explorer):
    assert shown(explorer)["remark"] == 'The texts differ in token 3 ("a" or "o").'
    explorer.text_boxes["corrupted"].value = "Nop qan to"
    assert shown(explorer)["remark"] == (
        'The texts differ in token 1 ("M" or "N"), token 2 ("i" or "o"), token 3 ("a" or "p"), '
        "1 other."
    )


@pytest.mark.parametrize("position", [4, 100, 203])
def test_the_map_of_a_long_text_fits_a_page_and_has_the_chosen_token(falcon, position):
    rest = "".join(chr(97 + i % 26) for i in range(199))
    explorer = PatchingExplorer(falcon, f"Mia{rest}x", f"Mio{rest}y", position=position)
    ax = explorer.draw(**explorer.values)
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert len(labels) == module.COLUMNS
    (frame,) = ax.patches
    chosen = round(frame.get_x() + frame.get_width() / 2)
    label = explorer._columns()[position - 3]
    assert labels[chosen] == label
    assert f"({label})" in ax.alt_text
    assert explorer.figure.page_width < 760


def test_same_answer_is_refused(falcon):
    constant = falcon_edu.FalconCausalLM(
        falcon_edu.FalconBackbone.from_config(falcon.backbone.get_config()), falcon.preprocessor
    )
    norm = constant.backbone.final_layernorm
    norm.gamma.assign(np.zeros(norm.gamma.shape))
    with pytest.raises(ValueError, match="After both texts the model expects"):
        PatchingExplorer(constant, CLEAN, CORRUPTED)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": 3}, "`layer` must be one of 0 to 2. Received: 3"),
        ({"position": 2}, "`position` must be one of 3 to 10: before"),
        ({"view": "grid"}, "`view` must be one of map, one patch. Received: 'grid'"),
    ],
)
def test_wrong_start_is_refused(falcon, arguments, message):
    with pytest.raises(ValueError, match=message):
        PatchingExplorer(falcon, CLEAN, CORRUPTED, **arguments)

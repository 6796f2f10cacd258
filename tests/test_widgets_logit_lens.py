"""LogitLensExplorer: guesses, ranks and probabilities of every layer, from one run."""

import falcon_edu
from falcon_edu import LogitLensExplorer
from falcon_edu.text.byte_level import byte_alphabet
from falcon_edu.widgets import WIDGET_VIEW
from falcon_edu.widgets import logit_lens as module

import numpy as np
import pytest
from explorer_pages import shown

TEXT = "Mia ran to the hill."


@pytest.fixture(scope="module")
def falcon():
    """A Falcon with random weights that reads bytes: 2 layers with 3 heads each."""
    letters = ["<|endoftext|>", *byte_alphabet().values()]
    tokenizer = falcon_edu.FalconTokenizer({t: i for i, t in enumerate(letters)}, merges=[])
    backbone = falcon_edu.FalconBackbone(257, 2, 3, 24, 48)
    return falcon_edu.FalconCausalLM(backbone, falcon_edu.FalconCausalLMPreprocessor(tokenizer))


def test_shown_as_view_and_picture_and_text(falcon):
    explorer = LogitLensExplorer(falcon, TEXT)
    data, metadata = explorer._repr_mimebundle_()
    assert set(data) == {WIDGET_VIEW, "image/png", "text/plain"}
    assert data["text/plain"].startswith(
        "LogitLensExplorer: guesses at the embedding and after 2 layers, 21 tokens: [start] M i a"
    )
    assert metadata["image/png"]["alt"] == explorer.figure.alt_text
    assert list(shown(explorer)["controls"]) == ["text", "show", "token"]


def test_what_it_tells_is_what_the_lens_has(falcon):
    explorer = LogitLensExplorer(falcon, TEXT)
    activations = falcon_edu.record(falcon, TEXT)
    logits = falcon_edu.logit_lens(falcon, activations)[:, 0].astype("float64")  # (layers, t, v)
    true = activations.token_ids[0, 1:]
    order = np.argsort(-logits[:, :-1], axis=-1, kind="stable")
    ranks = (order == true[None, :, None]).argmax(axis=-1) + 1
    np.testing.assert_array_equal(explorer.told["rank"][:, :-1], ranks)
    powers = np.exp(logits)
    chances = (powers / powers.sum(axis=-1, keepdims=True))[:, :-1]
    chances = np.take_along_axis(chances, true[None, :, None], axis=-1)[..., 0]
    np.testing.assert_allclose(explorer.told["probability"][:, :-1], chances, rtol=1e-4)
    assert np.isnan(explorer.told["rank"][:, -1]).all()
    tokenizer = falcon.preprocessor.tokenizer
    best = tokenizer.token_strings(logits[-1].argmax(axis=-1).tolist())
    assert explorer.guesses[-1].tolist() == best


def test_controls_redraw_without_a_run(falcon, monkeypatch):
    explorer = LogitLensExplorer(falcon, TEXT)
    monkeypatch.setattr(module, "run_tail", None)  # a run would raise
    seen = {explorer.figure.alt_text}
    for token in (0, 5, 12, 19):
        explorer.controls["token"].value = token
        assert f"at token {token}," in explorer.figure.alt_text
        seen.add(explorer.figure.alt_text)
    explorer.controls["show"].value = "probability"
    seen.add(explorer.figure.alt_text)
    assert len(seen) == 6


def test_of_one_token_there_is_none_to_choose(falcon):
    explorer = LogitLensExplorer(falcon, "a")
    assert not shown(explorer)["controls"]["token"]["is_hidden"]
    explorer.text_box.value = ""
    assert shown(explorer)["controls"]["token"]["is_hidden"]


@pytest.mark.parametrize("token", [0, 8, 13, 20])
def test_selected_token_is_in_the_window(falcon, token):
    explorer = LogitLensExplorer(falcon, TEXT, token=token)
    tokens = explorer.tokens
    looks = "the start" if token == 0 else f'"{tokens[token]}"'.replace('" "', "a space")
    assert f"after {looks} it says" in explorer.figure.alt_text


def test_another_text_in_the_box_is_read_or_refused(falcon):
    explorer = LogitLensExplorer(falcon, TEXT)
    explorer.text_box.value = "Tom."
    assert "5 tokens" in repr(explorer)
    assert explorer.values["token"] == 4
    before = explorer.figure.alt_text
    explorer.text_box.value = "a" * 300
    assert "has 301 tokens" in shown(explorer)["problem"]
    assert explorer.figure.alt_text == before
    explorer.text_box.value = ""  # the start alone: nothing comes next
    assert "over 1 token" in explorer.figure.alt_text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"token": 21}, "`token` must be one of -21 to 20. Received: 21"),
        ({"show": "logit"}, "`show` must be one of rank, probability. Received: 'logit'"),
    ],
)
def test_wrong_start_is_refused(falcon, arguments, message):
    with pytest.raises(ValueError, match=message):
        LogitLensExplorer(falcon, TEXT, **arguments)

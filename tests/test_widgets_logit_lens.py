"""LogitLensExplorer: guesses, ranks and probabilities of every layer, from one run."""

import json

import falcon_edu
from falcon_edu import LogitLensExplorer
from falcon_edu.text.byte_level import byte_alphabet
from falcon_edu.widgets import WIDGET_VIEW
from falcon_edu.widgets import logit_lens as module

import numpy as np
import pytest
from explorer_pages import go

TEXT = "Mia ran to the hill."


@pytest.fixture(scope="module")
def falcon():
    """A Falcon with random weights that reads bytes, with more rows than it has tokens."""
    letters = ["<|endoftext|>", *byte_alphabet().values()]
    tokenizer = falcon_edu.FalconTokenizer({t: i for i, t in enumerate(letters)}, merges=[])
    backbone = falcon_edu.FalconBackbone(300, 2, 3, 24, 48)
    return falcon_edu.FalconCausalLM(backbone, falcon_edu.FalconCausalLMPreprocessor(tokenizer))


def test_shown_as_view_and_picture_and_text(falcon):
    explorer = LogitLensExplorer(falcon, TEXT)
    data, metadata = explorer._repr_mimebundle_()
    assert set(data) == {WIDGET_VIEW, "image/png", "text/plain"}
    assert data["text/plain"].startswith(
        "LogitLensExplorer: guesses at the embedding and after 2 layers, 21 tokens: [start] M i a"
    )
    assert metadata["image/png"]["alt"] == explorer.figure.alt_text


def test_the_page_has_what_the_lens_tells_as_bytes(falcon):
    explorer = LogitLensExplorer(falcon, TEXT)
    given = explorer.component.given
    assert given["tokens"] == ["<|endoftext|>", *TEXT]
    assert given["guesses"] == explorer.guesses.tolist()
    rank, probability = np.frombuffer(explorer.component.numbers, "<f4").reshape(2, 3, 21)
    np.testing.assert_array_equal(rank, explorer.told["rank"])
    np.testing.assert_allclose(probability, explorer.told["probability"], rtol=1e-6)


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
    ids = [min(id, 257) % 257 for id in logits[-1].argmax(axis=-1).tolist()]
    best = tokenizer.token_strings(ids)  # where there is no token, the end
    assert explorer.guesses[-1].tolist() == best


def test_the_picture_is_of_where_one_has_gone_without_a_run(falcon, monkeypatch):
    explorer = LogitLensExplorer(falcon, TEXT)
    monkeypatch.setattr(module, "run_tail", None)  # a run would raise
    seen = {explorer.figure.alt_text}
    for token in (0, 5, 12, 19):
        go(explorer, query=token)
        assert f"at token {token}," in explorer.figure.alt_text
        seen.add(explorer.figure.alt_text)
    go(explorer, show="probability")
    assert explorer.values == {"show": "probability", "token": 19}
    seen.add(explorer.figure.alt_text)
    assert len(seen) == 6


@pytest.mark.parametrize("token", [0, 8, 13, 20])
def test_selected_token_is_in_the_window(falcon, token):
    explorer = LogitLensExplorer(falcon, TEXT, token=token)
    tokens = explorer.tokens
    looks = "the start" if token == 0 else f'"{tokens[token]}"'.replace('" "', "a space")
    assert f"after {looks} it says" in explorer.figure.alt_text


def test_another_text_from_the_page_is_read_or_refused(falcon):
    explorer = LogitLensExplorer(falcon, TEXT)
    go(explorer, text="Tom.")
    assert "5 tokens" in repr(explorer)
    assert explorer.values["token"] == 4
    before = explorer.figure.alt_text
    go(explorer, text="a" * 300)
    assert "has 301 tokens" in explorer.component.given["refused"]["problem"]
    assert explorer.figure.alt_text == before
    go(explorer, text="")  # the start alone: nothing comes next
    assert "over 1 token" in explorer.figure.alt_text
    assert np.isnan(np.frombuffer(explorer.component.numbers, "<f4")).all()


def test_a_number_of_numpy_may_say_where_to_begin(falcon):
    explorer = LogitLensExplorer(falcon, TEXT, token=np.int64(-1))
    assert json.loads(json.dumps(explorer.component.wanted))["query"] == 20


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

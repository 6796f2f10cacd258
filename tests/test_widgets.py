"""The explorers: live view, picture and text; one run of the model, then only pictures."""

import base64
import html
import json

import falcon_edu
from falcon_edu import AttentionExplorer, NextTokenExplorer, widgets
from falcon_edu.plots.style import spoken
from falcon_edu.text.byte_level import byte_alphabet
from falcon_edu.web.recording import NEXT_TOKENS
from falcon_edu.widgets import explorer as explorer_module
from falcon_edu.widgets import live
from falcon_edu.widgets.next_token import ending

import numpy as np
import pytest
from explorer_pages import ask, shown

TEXT = "Mia ran."


@pytest.fixture(scope="module")
def falcon():
    """A Falcon with random weights that reads bytes: 2 layers with 3 heads each."""
    letters = ["<|endoftext|>", *byte_alphabet().values()]
    tokenizer = falcon_edu.FalconTokenizer({t: i for i, t in enumerate(letters)}, merges=[])
    # A model may have more rows than the tokenizer has tokens.
    backbone = falcon_edu.FalconBackbone(260, 2, 3, 24, 48)
    return falcon_edu.FalconCausalLM(backbone, falcon_edu.FalconCausalLMPreprocessor(tokenizer))


@pytest.fixture
def runs(monkeypatch):
    """The texts that the model has run on."""
    texts = []

    def record(model, inputs):
        texts.append(inputs)
        return falcon_edu.record(model, inputs)

    monkeypatch.setattr(explorer_module, "record", record)
    return texts


def move(explorer, name, value):
    """Moves a control; what is shown before and after."""
    before = shown(explorer)
    explorer.controls[name].value = value
    return before, shown(explorer)


# === The pattern ===


@pytest.mark.parametrize("kind", [AttentionExplorer, NextTokenExplorer])
def test_shown_as_view_and_picture_and_text(falcon, kind):
    explorer = kind(falcon, TEXT)
    data, metadata = explorer._repr_mimebundle_()
    assert set(data) == {widgets.WIDGET_VIEW, "image/png", "text/plain"}
    assert data[widgets.WIDGET_VIEW]["model_id"] == explorer.component.model_id
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/plain"] == repr(explorer)
    assert metadata["image/png"]["alt"] == explorer.figure.alt_text


def test_live_picture_is_the_figure_with_its_alt_text(falcon):
    explorer = NextTokenExplorer(falcon, 'Mia "<b>" & Tom')
    assert shown(explorer)["alt"] == explorer.figure.alt_text
    assert shown(explorer)["picture"] == explorer.figure.to_png()


@pytest.mark.parametrize("kind", [AttentionExplorer, NextTokenExplorer])
def test_text_is_the_same_whatever_the_weights(falcon, kind):
    other = falcon_edu.FalconCausalLM(
        falcon_edu.FalconBackbone.from_config(falcon.backbone.get_config()), falcon.preprocessor
    )
    assert repr(kind(falcon, TEXT)) == repr(kind(other, TEXT))


def test_controls_have_labels_and_their_values_have_names(falcon):
    explorer = NextTokenExplorer(falcon, TEXT)
    controls = shown(explorer)["controls"]
    assert [controls[name]["label"] for name in controls] == "text temperature top-k top-p".split()
    top_k = ask(explorer, top_k=1)["controls"]["top_k"]
    assert (top_k["options"][top_k["value"]], explorer.values["top_k"]) == ("2", 2)
    assert controls["temperature"]["kind"] == "range"
    assert [controls["temperature"][part] for part in ("min", "max", "step")] == [0.1, 2, 0.1]


def test_several_changes_draw_once(falcon, monkeypatch):
    explorer = NextTokenExplorer(falcon, TEXT)
    drawn = []
    draw = explorer.draw
    monkeypatch.setattr(explorer, "draw", lambda **values: drawn.append(values) or draw(**values))
    with explorer.quiet():
        explorer.controls["temperature"].value = 0.5
        explorer.controls["top_p"].value = 0.4
        assert drawn == []
    assert [(values["temperature"], values["top_p"]) for values in drawn] == [(0.5, 0.4)]
    ask(explorer, temperature=2, top_p=0.1, text="Tom")
    assert len(drawn) == 2


def test_what_was_asked_is_answered_also_where_nothing_changes(falcon):
    explorer = NextTokenExplorer(falcon, TEXT)
    for _ in range(2):
        assert ask(explorer, temperature=1)["answers"] == explorer.component.wanted


# === Outputs of a cell ===


@pytest.fixture
def outputs(monkeypatch):
    """What cells show, as (data, metadata)."""
    found = []
    monkeypatch.setattr(live, "display", lambda data, metadata=None, raw=False: found.append(data))
    return found


@pytest.mark.parametrize("kind", [AttentionExplorer, NextTokenExplorer])
def test_a_cell_has_a_view_words_and_a_picture(falcon, kind, outputs):
    explorer = kind(falcon, TEXT)
    explorer._ipython_display_()
    view, words, picture = outputs
    assert set(view) == {widgets.WIDGET_VIEW}
    assert list(words) == ["text/html"]
    assert html.escape(repr(explorer)) in words["text/html"]
    assert set(picture) == {"image/png", "text/plain"}


@pytest.mark.parametrize("host", ["Colab", "VS Code"])
def test_a_cell_has_one_output_on_a_page_of_another_make(falcon, outputs, monkeypatch, host):
    if host == "Colab":
        monkeypatch.setitem(live.sys.modules, "google.colab", live)
    else:
        monkeypatch.setenv("VSCODE_PID", "1")
    AttentionExplorer(falcon, TEXT)._ipython_display_()
    (data,) = outputs
    assert set(data) == {widgets.WIDGET_VIEW, "image/png", "text/plain"}


# === The text ===


@pytest.mark.parametrize("kind", [AttentionExplorer, NextTokenExplorer])
def test_model_runs_once_for_each_text(falcon, kind, runs):
    explorer = kind(falcon, TEXT)
    before = explorer.figure.alt_text
    if kind is AttentionExplorer:
        go(explorer, layer=1, head=2, query=3)
    else:
        ask(explorer, temperature=2, top_p=0.5)
    assert len(runs) == 1
    (go if kind is AttentionExplorer else ask)(explorer, text="Tom ran off.")
    assert len(runs) == 2
    assert explorer.figure.alt_text != before
    assert "Tom" in repr(explorer).replace(" ", "")


@pytest.mark.parametrize(
    ("text", "message"), [("a\ud800", "surrogate"), ("a" * 256, "has 257 tokens")]
)
def test_bad_text_in_the_box_is_said_and_changes_nothing(falcon, text, message):
    explorer = NextTokenExplorer(falcon, TEXT)
    before = shown(explorer)["picture"], explorer.values
    assert message in ask(explorer, text=text)["problem"]
    assert (shown(explorer)["picture"], explorer.values) == before
    assert ask(explorer, text="Good.")["problem"] == ""
    assert shown(explorer)["picture"] != before[0]


def test_the_page_of_a_panel_has_the_tokens_of_the_text(falcon):
    explorer = NextTokenExplorer(falcon, TEXT)
    assert explorer.component.given["tokens"] == ["<|endoftext|>", *TEXT]
    ask(explorer, text="Tom.")
    assert explorer.component.given["tokens"] == ["<|endoftext|>", *"Tom."]
    ask(explorer, text="a" * 256)  # is refused
    assert explorer.component.given["tokens"] == ["<|endoftext|>", *"Tom."]


@pytest.mark.parametrize("kind", [AttentionExplorer, NextTokenExplorer])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (["Mia", "Tom"], "must be one text. Received: list"),
        (None, "must be one text. Received: NoneType"),
        ("a\ud800", "surrogate"),
        ("a" * 256, "has 257 tokens"),
    ],
)
def test_bad_text_is_refused(falcon, kind, text, message):
    with pytest.raises(ValueError, match=message):
        kind(falcon, text)


def test_model_without_a_tokenizer_is_refused(falcon):
    with pytest.raises(ValueError, match="no tokenizer"):
        AttentionExplorer(falcon.backbone, TEXT)


def test_shortest_and_longest_text(falcon):
    assert "1 token" in AttentionExplorer(falcon, "").figure.alt_text
    assert "256 tokens" in repr(AttentionExplorer(falcon, "a" * 255))


# === AttentionExplorer ===


def go(explorer, **change):
    """Does what the page does when somebody goes elsewhere, or types."""
    explorer.component.wanted = {**explorer.component.wanted, **change}


def test_the_page_has_the_weights_of_all_heads_as_bytes(falcon):
    explorer = AttentionExplorer(falcon, TEXT)
    expected = [w[0] for w in falcon_edu.record(falcon, TEXT).attention_weights]
    numbers = np.frombuffer(explorer.component.numbers, "<f4").reshape(2, -1)
    for layer, weights in zip(numbers, expected, strict=True):
        rows = [weights[:, query, : query + 1].ravel() for query in range(weights.shape[1])]
        np.testing.assert_array_equal(layer, np.concatenate(rows))
    given = explorer.component.given
    assert given["tokens"] == ["<|endoftext|>", *TEXT]
    assert [len(pairs) for pairs in given["next_tokens"]] == [NEXT_TOKENS] * 9
    assert len(json.dumps(given)) < 10_000


@pytest.mark.parametrize("view", ["map", "one token", "all heads"])
@pytest.mark.parametrize(("name", "value"), [("layer", 1), ("head", 2)])
def test_the_picture_is_of_where_one_has_gone(falcon, view, name, value):
    explorer = AttentionExplorer(falcon, TEXT, view=view)
    before = explorer.figure
    go(explorer, **{name: value})
    assert explorer.figure.to_png() != before.to_png()
    assert f"{name} {value}" in explorer.figure.alt_text.lower()
    assert explorer.values == {"view": view, "layer": 0, "head": 0, "token": 8, name: value}


def test_the_map_s_alt_text_names_the_token_that_was_chosen(falcon):
    explorer = AttentionExplorer(falcon, TEXT, layer=1, head=2)
    said = set()
    for query in range(9):
        go(explorer, query=query)
        said.add(explorer.figure.alt_text)
        row = explorer.weights[1, 2, query]
        named = spoken(explorer.tokens[query], query == 0)
        assert f"framed: {named}, token {query}, looks most at " in explorer.figure.alt_text
        assert explorer.figure.alt_text.endswith(f", with {row.max():.2f}.")
    assert len(said) == 9


def test_the_picture_is_of_the_token_that_was_chosen(falcon):
    explorer = AttentionExplorer(falcon, TEXT, view="one token")
    go(explorer, query=4)
    assert "a space, token 4" in explorer.figure.alt_text


def test_another_text_begins_at_its_last_token(falcon):
    explorer = AttentionExplorer(falcon, TEXT, token=2)
    go(explorer, text="Hi, Mia")
    assert explorer.tokens == ["<|endoftext|>", *"Hi, Mia"]
    assert explorer.values["token"] == 7
    assert explorer.component.given["text"] == "Hi, Mia"
    go(explorer, query=99)  # where somebody was in a longer text
    assert explorer.values["token"] == 7


@pytest.mark.parametrize(
    ("text", "message"), [("a\ud800", "surrogate"), ("a" * 256, "has 257 tokens")]
)
def test_bad_text_from_the_page_is_said_and_changes_nothing(falcon, text, message):
    explorer = AttentionExplorer(falcon, TEXT)
    before = repr(explorer), explorer.component.numbers
    go(explorer, text=text)
    refused = explorer.component.given["refused"]
    assert (refused["text"], message in refused["problem"]) == (text, True)
    assert (repr(explorer), explorer.component.numbers) == before
    go(explorer, head=2)
    assert explorer.values["head"] == 2
    go(explorer, text="Good.")
    assert explorer.text == explorer.component.given["text"] == "Good."


def test_numpy_numbers_may_say_where_to_begin(falcon):
    explorer = AttentionExplorer(falcon, TEXT, np.int64(1), np.int64(2), np.int64(-1))
    assert json.dumps(explorer.component.wanted)
    assert explorer.values["token"] == 8


def test_picture_shows_what_record_gives(falcon):
    explorer = AttentionExplorer(falcon, TEXT, layer=1, head=2)
    weights = falcon_edu.record(falcon, TEXT).attention_weights[1][0, 2]
    image = explorer.draw(**explorer.values).images[0].get_array()
    np.testing.assert_array_equal(image.filled(0), weights)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": 2}, "`layer` must be one of 0 to 1. Received: 2"),
        ({"layer": -1}, "`layer` must be one of 0 to 1. Received: -1"),
        ({"head": 3}, "`head` must be one of 0 to 2. Received: 3"),
        ({"token": 9}, "`token` must be one of -9 to 8. Received: 9"),
        ({"view": "grid"}, "`view` must be one of map, one token, all heads. Received: 'grid'"),
    ],
)
def test_wrong_start_is_refused(falcon, arguments, message):
    with pytest.raises(ValueError, match=message):
        AttentionExplorer(falcon, TEXT, **arguments)


# === NextTokenExplorer ===


def bars(explorer):
    """The bars of the model, and of what is drawn from."""
    containers = explorer.draw(**explorer.values).containers
    return [np.array([bar.get_width() for bar in container]) for container in containers]


def test_bars_are_the_models_distribution(falcon):
    grey, blue = bars(NextTokenExplorer(falcon, TEXT))
    logits = falcon_edu.record(falcon, TEXT).logits[0, -1].astype("float64")
    expected = np.exp(logits - logits.max())
    expected = np.sort(expected / expected.sum())[::-1]
    np.testing.assert_allclose(grey[:-1], expected[:10], rtol=1e-4)
    np.testing.assert_allclose(blue, grey, rtol=1e-4)


def test_temperature_sharpens(falcon):
    explorer = NextTokenExplorer(falcon, TEXT)
    _, flat = bars(explorer)
    before, after = move(explorer, "temperature", 0.2)
    grey, sharp = bars(explorer)
    assert sharp[0] > flat[0]
    np.testing.assert_allclose(grey, flat, rtol=1e-4)
    assert before["alt"] != after["alt"]


def test_top_k_leaves_k(falcon):
    explorer = NextTokenExplorer(falcon, TEXT)
    before, after = move(explorer, "top_k", 3)
    _, blue = bars(explorer)
    # Tokens as probable as each other, to six decimals, stand in the order of their ids.
    assert (blue[:-1] > 0).sum() == 3
    assert blue[-1] == 0
    assert blue.sum() == pytest.approx(1)
    assert before["alt"] != after["alt"]


def test_top_p_leaves_the_smallest_set_that_exceeds_p(falcon):
    explorer = NextTokenExplorer(falcon, TEXT)
    grey, _ = bars(explorer)
    # The first of these random tokens has less than a percent.
    explorer.controls["top_p"].min = 0.01
    move(explorer, "top_p", 0.02)
    _, blue = bars(explorer)
    kept = int((blue > 0).sum())
    assert 1 < kept < 10
    assert grey[:kept].sum() > 0.02 >= grey[: kept - 1].sum()


@pytest.mark.parametrize(("temperature", "top_k", "top_p"), [(0.5, 10, 0.3), (2, 50, 0.2)])
def test_what_is_drawn_from_is_what_the_sampler_has(falcon, temperature, top_k, top_p):
    explorer = NextTokenExplorer(falcon, TEXT)
    with explorer.quiet():
        explorer.controls["temperature"].value = temperature
        explorer.controls["top_k"].value = top_k
        explorer.controls["top_p"].value = top_p
    sampler = falcon_edu.TopPSampler(p=top_p, k=top_k, temperature=temperature)
    expected = sampler.distribution(falcon_edu.record(falcon, TEXT).logits[:, -1])[0]
    _, blue = bars(explorer)
    blue = np.sort(blue[:-1])[::-1]  # as there, equals stand in the order of their ids
    np.testing.assert_allclose(blue, np.sort(expected)[::-1][:10], rtol=1e-4)


def test_settings_are_said(falcon):
    explorer = NextTokenExplorer(falcon, TEXT)
    assert "drawn from (Falcon)" in explorer.figure.alt_text
    explorer.controls["temperature"].value = 0.5
    explorer.controls["top_k"].value = 10
    assert "temperature 0.5, top-k 10 (Falcon)" in explorer.figure.alt_text
    explorer.controls["temperature"].value = 1
    explorer.controls["top_p"].value = 0.9
    assert ", top-k 10, top-p 0.9 (Falcon)" in explorer.figure.alt_text


def test_every_row_of_the_model_has_a_name(falcon):
    explorer = NextTokenExplorer(falcon, TEXT)
    assert len(explorer.vocabulary) == 260
    assert "of 260 tokens" in repr(explorer)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("Mia ran.", '"Mia ran."'),
        ("Mia\nran.", '"Mia ran."'),
        ("x" * 50 + " and then they went home", '"... and then they went home"'),
        ("x" * 50, '"...' + "x" * 40 + '"'),
    ],
)
def test_ending(text, quoted):
    assert ending(text) == quoted

"""The explorers: live view, picture and text; one run of the model, then only pictures."""

import base64
import html
import json

import falcon_edu
from falcon_edu import (
    AttentionExplorer,
    LogitLensExplorer,
    LoRAExplorer,
    NextTokenExplorer,
    PositionExplorer,
    widgets,
)
from falcon_edu.plots.style import spoken
from falcon_edu.text.byte_level import byte_alphabet
from falcon_edu.web.recording import NEXT_TOKENS
from falcon_edu.widgets import explorer as explorer_module
from falcon_edu.widgets import live
from falcon_edu.widgets.next_token import NAMES, ending

import node
import numpy as np
import pytest
from explorer_pages import ask, go, shown

TEXT = "Mia ran."
CHANCES = live.EXPLORER / "chances.js"
PLAIN = {"temperature": 1, "top_k": 260, "top_p": 1}
DRAWN_IN_THE_PAGE = pytest.mark.parametrize(
    "kind", [AttentionExplorer, NextTokenExplorer, LogitLensExplorer]
)


def reader_of_bytes():
    """A Falcon with random weights that reads bytes: 2 layers with 3 heads each."""
    letters = ["<|endoftext|>", *byte_alphabet().values()]
    tokenizer = falcon_edu.FalconTokenizer({t: i for i, t in enumerate(letters)}, merges=[])
    # A model may have more rows than the tokenizer has tokens.
    backbone = falcon_edu.FalconBackbone(260, 2, 3, 24, 48)
    return falcon_edu.FalconCausalLM(backbone, falcon_edu.FalconCausalLMPreprocessor(tokenizer))


@pytest.fixture(scope="module")
def falcon():
    """A model to look into."""
    return reader_of_bytes()


@pytest.fixture(scope="module")
def panel_of():
    """Makes an explorer whose picture the kernel draws, of a text."""
    model = reader_of_bytes()
    model.backbone.enable_lora(rank=2)
    return lambda text: LoRAExplorer(model, text)


@pytest.fixture
def runs(monkeypatch):
    """The texts that the model has run on."""
    texts = []

    def record(model, inputs):
        texts.append(inputs)
        return falcon_edu.record(model, inputs)

    monkeypatch.setattr(explorer_module, "record", record)
    return texts


# === The pattern ===


@DRAWN_IN_THE_PAGE
def test_shown_as_view_and_picture_and_text(falcon, kind):
    explorer = kind(falcon, TEXT)
    data, metadata = explorer._repr_mimebundle_()
    assert set(data) == {widgets.WIDGET_VIEW, "image/png", "text/plain"}
    assert data[widgets.WIDGET_VIEW]["model_id"] == explorer.component.model_id
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/plain"] == repr(explorer)
    assert metadata["image/png"]["alt"] == explorer.figure.alt_text


def test_live_picture_is_the_figure_with_its_alt_text(panel_of):
    explorer = panel_of('Mia "<b>" & Tom')
    assert shown(explorer)["alt"] == explorer.figure.alt_text
    assert shown(explorer)["picture"] == explorer.figure.to_png()


@DRAWN_IN_THE_PAGE
def test_text_is_the_same_whatever_the_weights(falcon, kind):
    other = falcon_edu.FalconCausalLM(
        falcon_edu.FalconBackbone.from_config(falcon.backbone.get_config()), falcon.preprocessor
    )
    assert repr(kind(falcon, TEXT)) == repr(kind(other, TEXT))


def test_controls_have_labels_and_their_values_have_names(panel_of):
    explorer = PositionExplorer()
    controls = shown(explorer)["controls"]
    labels = ["view", "heads", "head width", "distance", "wavelength"]
    assert [controls[name]["label"] for name in controls] == labels
    length = ask(explorer, length=9)["controls"]["length"]
    assert (length["options"][length["value"]], explorer.values["length"]) == ("8,192", 8192)
    strength = shown(panel_of(TEXT))["controls"]["strength"]
    assert strength["kind"] == "range"
    assert [strength[part] for part in ("min", "max", "step")] == [0, 2, 0.1]


def test_several_changes_draw_once(monkeypatch):
    explorer = PositionExplorer()
    drawn = []
    draw = explorer.draw
    monkeypatch.setattr(explorer, "draw", lambda **values: drawn.append(values) or draw(**values))
    with explorer.quiet():
        explorer.controls["num_heads"].value = 5
        explorer.controls["head_dim"].value = 32
        assert drawn == []
    assert [(values["num_heads"], values["head_dim"]) for values in drawn] == [(5, 32)]
    ask(explorer, view=1, num_heads=6, length=2)
    assert len(drawn) == 2


def test_what_was_asked_is_answered_also_where_nothing_changes(panel_of):
    explorer = panel_of(TEXT)
    for _ in range(2):
        assert ask(explorer, strength=1)["answers"] == explorer.component.wanted


# === Outputs of a cell ===


@pytest.fixture
def outputs(monkeypatch):
    """What cells show, as (data, metadata)."""
    found = []
    monkeypatch.setattr(live, "display", lambda data, metadata=None, raw=False: found.append(data))
    return found


@DRAWN_IN_THE_PAGE
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


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (AttentionExplorer, {"layer": 1, "head": 2, "query": 3}),
        (NextTokenExplorer, {"temperature": 2, "top_p": 0.5}),
        (LogitLensExplorer, {"query": 3, "show": "probability"}),
    ],
)
def test_model_runs_once_for_each_text(falcon, kind, change, runs):
    explorer = kind(falcon, TEXT)
    before = explorer.figure.alt_text
    go(explorer, **change)
    assert explorer.figure.alt_text != before
    assert len(runs) == 1
    go(explorer, text="Tom ran off.")
    assert len(runs) == 2
    assert explorer.figure.alt_text != before
    assert "Tom" in repr(explorer).replace(" ", "")


@pytest.mark.parametrize(
    ("text", "message"), [("a\ud800", "surrogate"), ("a" * 256, "has 257 tokens")]
)
def test_bad_text_in_the_box_is_said_and_changes_nothing(panel_of, text, message):
    explorer = panel_of(TEXT)
    before = shown(explorer)["picture"], explorer.values
    assert message in ask(explorer, text=text)["problem"]
    assert (shown(explorer)["picture"], explorer.values) == before
    assert ask(explorer, text="Good.")["problem"] == ""
    assert shown(explorer)["picture"] != before[0]


def test_the_page_of_a_panel_has_the_tokens_of_the_text(panel_of):
    explorer = panel_of(TEXT)
    assert explorer.component.given["tokens"] == ["<|endoftext|>", *TEXT]
    ask(explorer, text="Tom.")
    assert explorer.component.given["tokens"] == ["<|endoftext|>", *"Tom."]
    ask(explorer, text="a" * 256)  # is refused
    assert explorer.component.given["tokens"] == ["<|endoftext|>", *"Tom."]


@DRAWN_IN_THE_PAGE
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


@pytest.mark.parametrize(
    "text",
    ["", "M", "Mia ran. " * 22, "👩\u200d🚀 ran", "你好 ran", "a\u200b\u00ad\ufeffb", "\n\n"],
)
def test_a_text_of_any_kind_has_a_picture_and_words(falcon, panel_of, text):
    """Without a warning, such as one of a letter that no font has."""
    kinds = [AttentionExplorer, NextTokenExplorer, LogitLensExplorer]
    for explorer in [*(kind(falcon, text) for kind in kinds), panel_of(text)]:
        assert explorer.figure.to_png().startswith(b"\x89PNG")
        assert explorer.figure.page_width < 1300
        for words in (repr(explorer), explorer.figure.alt_text):
            assert not set(words) & set("\n\u200b\u00ad\ufeff")


# === AttentionExplorer ===


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


@DRAWN_IN_THE_PAGE
@pytest.mark.parametrize(
    ("text", "message"), [("a\ud800", "surrogate"), ("a" * 256, "has 257 tokens")]
)
def test_bad_text_from_the_page_is_said_and_changes_nothing(falcon, kind, text, message):
    explorer = kind(falcon, TEXT)
    before = repr(explorer), explorer.component.numbers
    go(explorer, text=text)
    refused = explorer.component.given["refused"]
    assert (refused["text"], message in refused["problem"]) == (text, True)
    assert (repr(explorer), explorer.component.numbers) == before
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
    go(explorer, temperature=0.2)
    grey, sharp = bars(explorer)
    assert sharp[0] > flat[0]
    np.testing.assert_allclose(grey, flat, rtol=1e-4)


def test_top_k_leaves_k(falcon):
    explorer = NextTokenExplorer(falcon, TEXT)
    go(explorer, top_k=3)
    _, blue = bars(explorer)
    # Tokens as probable as each other, to six decimals, stand in the order of their ids.
    assert (blue[:-1] > 0).sum() == 3
    assert blue[-1] == 0
    assert blue.sum() == pytest.approx(1)


def test_top_p_leaves_the_smallest_set_that_exceeds_p(falcon):
    explorer = NextTokenExplorer(falcon, TEXT)
    grey, _ = bars(explorer)
    go(explorer, top_p=0.02)  # the first of these random tokens has less than a percent
    _, blue = bars(explorer)
    kept = int((blue > 0).sum())
    assert 1 < kept < 10
    assert grey[:kept].sum() > 0.02 >= grey[: kept - 1].sum()


@pytest.mark.parametrize(("temperature", "top_k", "top_p"), [(0.5, 10, 0.3), (2, 50, 0.2)])
def test_what_is_drawn_from_is_what_the_sampler_has(falcon, temperature, top_k, top_p):
    explorer = NextTokenExplorer(falcon, TEXT)
    go(explorer, temperature=temperature, top_k=top_k, top_p=top_p)
    sampler = falcon_edu.TopPSampler(p=top_p, k=top_k, temperature=temperature)
    expected = sampler.distribution(falcon_edu.record(falcon, TEXT).logits[:, -1])[0]
    _, blue = bars(explorer)
    blue = np.sort(blue[:-1])[::-1]  # as there, equals stand in the order of their ids
    np.testing.assert_allclose(blue, np.sort(expected)[::-1][:10], rtol=1e-4)


def test_settings_are_said(falcon):
    explorer = NextTokenExplorer(falcon, TEXT)
    assert "drawn from (Falcon)" in explorer.figure.alt_text
    go(explorer, temperature=0.5, top_k=10)
    assert "temperature 0.5, top-k 10 (Falcon)" in explorer.figure.alt_text
    go(explorer, temperature=1, top_p=0.9)
    assert ", top-k 10, top-p 0.9 (Falcon)" in explorer.figure.alt_text


def test_the_page_has_the_logits_as_bytes_and_names_of_what_it_shows(falcon):
    explorer = NextTokenExplorer(falcon, TEXT)
    logits = np.frombuffer(explorer.component.numbers, "<f4")
    np.testing.assert_array_equal(logits, falcon_edu.record(falcon, TEXT).logits[0, -1])
    names = explorer.component.given["vocabulary"]
    assert all(explorer.vocabulary[int(id)] == name for id, name in names.items())
    assert len(names) == NAMES
    rows = node.run("web_calls.mjs", CHANCES.as_uri(), [["rows_of", logits.tolist(), PLAIN]])[0]
    assert {str(row["id"]) for row in rows[:-1]} < set(names)


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
        ("a\u200bb", '"aU+200Bb"'),
    ],
)
def test_ending(text, quoted):
    assert ending(text) == quoted

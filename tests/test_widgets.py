"""The explorers: live view, picture and text; one run of the model, then only pictures."""

import base64
from html.parser import HTMLParser

import falcon_edu
from falcon_edu import AttentionExplorer, NextTokenExplorer, widgets
from falcon_edu.text.byte_level import byte_alphabet
from falcon_edu.widgets import explorer as explorer_module
from falcon_edu.widgets.next_token import _ending

import ipywidgets
import numpy as np
import pytest

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


def shown(explorer):
    """The attributes of the live picture, as a browser reads them."""
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append((tag, dict(attributes)))
    parser.feed(explorer.picture.value)
    ((tag, attributes),) = found
    assert tag == "img"
    return attributes


def move(explorer, name, value):
    """Moves a control; the picture and its alt text before and after."""
    before = shown(explorer)
    explorer.controls[name].value = value
    return before, shown(explorer)


# === The pattern ===


@pytest.mark.parametrize("kind", [AttentionExplorer, NextTokenExplorer])
def test_shown_as_view_and_picture_and_text(falcon, kind):
    explorer = kind(falcon, TEXT)
    data, metadata = explorer._repr_mimebundle_()
    assert set(data) == {widgets.WIDGET_VIEW, "image/png", "text/plain"}
    assert data[widgets.WIDGET_VIEW]["model_id"] == explorer.view.model_id
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/plain"] == repr(explorer)
    assert metadata["image/png"]["alt"] == explorer.figure.alt_text


@pytest.mark.parametrize("kind", [AttentionExplorer, NextTokenExplorer])
def test_live_picture_has_its_alt_text(falcon, kind):
    """Also where the text has what HTML would read as its own."""
    explorer = kind(falcon, 'Mia "<b>" & Tom')
    assert shown(explorer)["alt"] == explorer.figure.alt_text
    source = shown(explorer)["src"].removeprefix("data:image/png;base64,")
    assert base64.b64decode(source) == explorer.figure.to_png()


@pytest.mark.parametrize("kind", [AttentionExplorer, NextTokenExplorer])
def test_text_is_the_same_whatever_the_weights(falcon, kind):
    other = falcon_edu.FalconCausalLM(
        falcon_edu.FalconBackbone.from_config(falcon.backbone.get_config()), falcon.preprocessor
    )
    assert repr(kind(falcon, TEXT)) == repr(kind(other, TEXT))


@pytest.mark.parametrize("kind", [AttentionExplorer, NextTokenExplorer])
def test_controls_have_labels_and_answer_when_let_go(falcon, kind):
    explorer = kind(falcon, TEXT)
    for control in [explorer.text_box, *explorer.controls.values()]:
        if not isinstance(control, ipywidgets.ToggleButtons):  # its buttons are labels
            assert control.description
            assert control.continuous_update is False
    assert explorer.text_box in explorer.view.children
    assert set(explorer.controls.values()) < set(explorer.view.children)


def test_several_changes_draw_once(falcon, monkeypatch):
    explorer = AttentionExplorer(falcon, TEXT)
    drawn = []
    draw = explorer.draw
    monkeypatch.setattr(explorer, "draw", lambda **values: drawn.append(values) or draw(**values))
    with explorer.quiet():
        explorer.controls["layer"].value = 1
        explorer.controls["head"].value = 2
        assert drawn == []
    assert [(values["layer"], values["head"]) for values in drawn] == [(1, 2)]


# === The text ===


@pytest.mark.parametrize("kind", [AttentionExplorer, NextTokenExplorer])
def test_model_runs_once_for_each_text(falcon, kind, runs):
    explorer = kind(falcon, TEXT)
    for control in explorer.controls.values():
        if isinstance(control, (ipywidgets.IntSlider, ipywidgets.FloatSlider)):
            control.value = control.max
    assert len(runs) == 1
    before = shown(explorer)
    explorer.text_box.value = "Tom ran off."
    assert len(runs) == 2
    assert shown(explorer)["alt"] != before["alt"]
    assert "Tom" in repr(explorer).replace(" ", "")


def test_token_slider_follows_the_text(falcon):
    explorer = AttentionExplorer(falcon, TEXT, token=2)
    assert explorer.values["token"] == 2
    explorer.text_box.value = "Hi"
    labels = [label for label, _ in explorer.controls["token"].options]
    assert labels == ["0 [start]", "1 H", "2 i"]
    assert explorer.values["token"] == 2
    explorer.text_box.value = "Hi, Mia"
    assert explorer.controls["token"].label == "7 a"


@pytest.mark.parametrize(
    ("text", "message"), [("a\ud800", "surrogate"), ("a" * 256, "has 257 tokens")]
)
def test_bad_text_in_the_box_is_said_and_changes_nothing(falcon, text, message):
    explorer = AttentionExplorer(falcon, TEXT)
    before = shown(explorer), explorer.values
    explorer.text_box.value = text
    assert 'role="alert"' in explorer.message.value
    assert message in explorer.message.value
    assert (shown(explorer), explorer.values) == before
    explorer.text_box.value = "Good."
    assert explorer.message.value == ""
    assert shown(explorer) != before[0]


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


@pytest.mark.parametrize("view", ["map", "one token", "all heads"])
@pytest.mark.parametrize(("name", "value"), [("layer", 1), ("head", 2)])
def test_layer_and_head_change_the_picture(falcon, view, name, value):
    explorer = AttentionExplorer(falcon, TEXT, view=view)
    before, after = move(explorer, name, value)
    assert before["src"] != after["src"]
    assert before["alt"] != after["alt"]
    assert f"{name} {value}" in after["alt"].lower()


def test_token_changes_the_picture(falcon):
    explorer = AttentionExplorer(falcon, TEXT, view="one token")
    before, after = move(explorer, "token", 4)
    assert before["alt"] != after["alt"]
    assert '"r"' not in before["alt"].partition(",")[0]
    assert "a space, token 4" in after["alt"]
    explorer.controls["view"].value = "map"
    before, after = move(explorer, "token", 5)
    assert before["src"] != after["src"]  # another row is framed


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
    ("text", "ending"),
    [
        ("Mia ran.", '"Mia ran."'),
        ("Mia\nran.", '"Mia ran."'),
        ("x" * 50 + " and then they went home", '"... and then they went home"'),
        ("x" * 50, '"...' + "x" * 40 + '"'),
    ],
)
def test_ending(text, ending):
    assert _ending(text) == ending

"""The explorer's words, steps and sizes, in Node: what needs no page."""

from pathlib import Path

import falcon_edu
from falcon_edu.plots import style

import node
import numpy as np
import pytest

EXPLORER = Path(falcon_edu.__file__).parent / "web" / "explorer"

# Two layers of two heads over three tokens: of each query a row for each head.
SEEN = {
    "tokens": ["<|endoftext|>", "Mia", " had"],
    "attention_weights": [
        [[1, 1], [0.5, 0.5, 0.2, 0.8], [0.1, 0.2, 0.7, 0.00002, 0.99998, 0]],
        [[1, 1], [1, 0, 0.4, 0.6], [0.25, 0.2613, 0.4887, 0.3, 0.3, 0.4]],
    ],
    "next_tokens": [[], [], []],
}
VIEW = {"layer": 1, "head": 0, "query": 2, "key": None, "is_column": False}


def calls(module, *requests):
    """What functions of a module answer."""
    return node.run("web_calls.mjs", (EXPLORER / module).as_uri(), requests)


# === Words ===


@pytest.mark.parametrize(
    ("token", "label"),
    [
        ("Once", "Once"),
        (" upon", "·upon"),
        ("  ", "··"),
        ("\n", "↵"),
        ("\t", "→"),
        ("", "∅"),
        ("\u200b", "U+200B"),
        ("\u00ad", "U+00AD"),
        ("\ufeffa", "U+FEFFa"),
        ("\u00a0", "U+00A0"),
        ("\u3164", "U+3164"),
        ("\x00", "U+0000"),
        ("\ufe0f", "U+FE0F"),
        ("\u0301", "◌\u0301"),
        ("e\u0301", "e\u0301"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("❤\ufe0f", "❤\ufe0f"),
        ("🇩🇪", "🇩🇪"),
        ("好", "好"),
        ("\\xf0", "\\xf0"),
        ("<b>", "<b>"),
    ],
)
def test_a_token_is_labelled_so_that_all_of_it_is_seen(token, label):
    assert calls("words.js", ["token_label", token]) == [label]


def test_the_bytes_of_tokens_are_those_of_the_text():
    tokens = ["Mia", " é", "\\xf0", "\\x9f", "\\x91", "\\xa9", "好", "\n", ""]
    lengths = calls("words.js", *[["byte_length", token] for token in tokens])
    assert lengths == [3, 3, 1, 1, 1, 1, 3, 1, 0]


def test_labels_and_quotes_are_those_of_the_pictures():
    """But for letters that the pictures' font lacks, which a browser has."""
    tokens = [
        "<|endoftext|>",
        "Mia",
        " upon",
        "\n",
        " \n",
        " ",
        "",
        "\u200b",
        " \u0301x",
        "$a",
        "\\n",
    ]
    asked = [
        [name, token, i] for name in ("token_label", "spoken") for token in tokens for i in (1, 0)
    ]
    ours = calls("words.js", *[[name, token, bool(i)] for name, token, i in asked])
    theirs = [getattr(style, name)(token, bool(i)) for name, token, i in asked]
    assert [said.replace("“", '"').replace("”", '"') for said in ours] == theirs


def test_numbers_are_those_of_the_pictures():
    probabilities = [0, 1e-9, 0.0049, 0.006, 0.42, 0.994, 0.9951, 0.99989, 0.99995, 1]
    ours = calls("words.js", *[["percent", p] for p in probabilities])
    assert ours == [style.percent(p) for p in probabilities]
    weights = [0, 0.00002, 0.00123456, 0.26134, 1]
    said = calls("words.js", *[["exactly", weight] for weight in weights])
    assert said == ["0", "2.0e-5", "0.0012", "0.2613", "1.0000"]


@pytest.mark.parametrize(
    ("tokens", "rare"),
    [
        (["<|endoftext|>", "Once", " Mia", " and"], []),
        ([" W", "ol", "f", "g", "ang", " met", " W", "ol", "f", "g", "ang", "."], ["Wolfgang"]),
        (["<|endoftext|>", "W", "ol", "f", "gang", "<|endoftext|>", "B"], ["Wolfgang"]),
        (['"', "O", "ul", "in", "d", "?"], ["Oulind"]),
        ([" Ragn", "he", "i", "\\xc3", "\\xb0", "ur", " ran"], ["Ragnheiður"]),
        ([" ", "1", "2", "3", ".", ".", "."], []),
        (["\\xf0", "\\x9f", "\\x8e", "\\x88"], []),
        ([], []),
    ],
)
def test_words_of_many_tokens_are_called_rare(tokens, rare):
    assert calls("rare.js", ["rare_words", tokens]) == [rare]


# === What a view says, and where keys lead ===


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "Layer 1, head 0: “had” looks at itself with 0.49."),
        ({"key": 1}, "Layer 1, head 0: “had” looks at “Mia” with 0.2613."),
        ({"layer": 0, "head": 1}, "Layer 0, head 1: “had” looks at “Mia” with 1.00."),
        (
            {"layer": 0, "head": 1, "key": 0},
            "Layer 0, head 1: “had” looks at the start with 2.0e-5.",
        ),
        ({"query": 0}, "Layer 1, head 0: the start looks at itself with 1.00."),
        (
            {"query": 1, "is_column": True},
            "Layer 1, head 0: “Mia” is looked at most by “had”, with 0.26.",
        ),
    ],
)
def test_a_sentence_says_what_is_shown(change, said):
    assert calls("looks.js", ["sentence", SEEN, VIEW | change]) == [said]


def test_a_line_is_a_row_or_a_column_of_the_map():
    row, column = calls(
        "looks.js",
        ["line", SEEN, VIEW | {"head": 1}],
        ["line", SEEN, VIEW | {"query": 1, "is_column": True}],
    )
    assert row == [0.3, 0.3, 0.4]
    assert column == [0, 0, 0.2613]


@pytest.mark.parametrize(
    ("part", "pressed", "change", "moved"),
    [
        ("tokens", "ArrowLeft", {}, {"query": 1}),
        ("tokens", "ArrowRight", {}, {}),
        ("tokens", "ArrowDown", {"query": 0}, {"query": 1}),
        ("tokens", "Home", {"key": 2}, {"query": 0}),
        ("tokens", "End", {"query": 0}, {}),
        ("heads", "ArrowRight", {}, {"head": 1}),
        ("heads", "ArrowUp", {}, {"layer": 0}),
        ("heads", "ArrowDown", {}, {}),
        ("heads", "End", {}, {"head": 1}),
        ("map", "ArrowLeft", {}, {"key": 1}),
        ("map", "ArrowUp", {"key": 2}, {"query": 1, "key": 1}),
        ("map", "ArrowDown", {"query": 1, "key": 0}, {"key": 0}),
        ("map", "ArrowRight", {"query": 1, "key": 1}, {"query": 1, "key": 1}),
        ("map", "Home", {}, {"key": 0}),
        ("map", "End", {"key": 0}, {"key": 2}),
    ],
)
def test_arrow_keys_walk_and_stop_at_the_edge(part, pressed, change, moved):
    assert calls("looks.js", ["walk", SEEN, VIEW | change, part, pressed]) == [VIEW | moved]


def test_other_keys_are_left_to_the_page():
    pressed = ["Tab", "a", "Escape", "toString"]
    assert calls("looks.js", *[["walk", SEEN, VIEW, "map", key] for key in pressed]) == [None] * 4


def test_a_view_that_is_not_there_becomes_the_nearest():
    wanted = {"layer": 9, "head": -1, "query": 7, "key": 8, "is_column": False}
    fitted = {"layer": 1, "head": 1, "query": 2, "key": 2, "is_column": False}
    assert calls("looks.js", ["fit", SEEN, wanted], ["fit", SEEN, {}]) == [
        fitted,
        {"layer": 0, "head": 0, "query": 2, "key": None, "is_column": False},
    ]


def test_next_tokens_are_the_most_probable_ones():
    logits = np.random.default_rng(0).normal(size=50) * 3
    expected = np.exp(logits) / np.exp(logits).sum()
    (answer,) = calls("looks.js", ["next_tokens", logits.tolist(), [str(i) for i in range(50)], 6])
    assert [token for token, _ in answer] == [str(i) for i in np.argsort(-expected)[:6]]
    np.testing.assert_allclose([p for _, p in answer], np.sort(expected)[::-1][:6])


# === Sizes and colors ===


def test_a_map_fits_its_place_and_has_labels_where_they_can_be_read():
    widths = [(320, 1), (358, 27), (358, 206), (500, 27), (900, 27), (900, 206)]
    for (width, count), layout in zip(
        widths, calls("looks.js", *[["map_layout", *size] for size in widths]), strict=True
    ):
        labels = 76 if layout["has_labels"] else 0
        assert layout["cell"] * count + labels <= width + 1e-9
        assert layout["cell"] <= 26
        assert not labels or layout["cell"] >= 11
    assert calls("looks.js", ["map_layout", 900, 27]) == [{"cell": 26, "has_labels": True}]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_word_can_be_read_on_the_color_of_every_weight(theme):
    """4.5 to 1, as WCAG 2.2 asks of small text; more weight is more contrast to the page."""
    colors = calls("colors.js", *[["ramp", i / 100, theme] for i in range(101)])
    inks = calls("colors.js", *[["ink_on", color] for color in colors])
    rgb = np.array(colors) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    ink = np.array([1.0 if name == "white" else 0.0 for name in inks])
    light, dark = np.maximum(luminance, ink), np.minimum(luminance, ink)
    assert ((light + 0.05) / (dark + 0.05)).min() >= 4.5
    assert (np.diff(luminance) * (1 if theme == "dark" else -1) > 0).all()


def test_a_dark_page_is_told_by_the_color_of_its_text():
    colors = ["rgb(17, 17, 17)", "rgba(255, 255, 255, 0.87)", "rgb(206, 205, 208)"]
    assert calls("colors.js", *[["is_dark", color] for color in colors]) == [False, True, True]


def test_lines_are_short():
    for path in EXPLORER.glob("*.js"):
        lines = path.read_text().splitlines()
        assert len(lines) <= 150, path.name
        assert max(map(len, lines)) <= 100, path.name

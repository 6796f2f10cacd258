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


def test_a_token_is_still_there_where_all_before_it_is_the_same():
    other = {"tokens": ["<|endoftext|>", "Mia", " ran"]}
    asked = [["is_still_there", SEEN, other, query] for query in range(3)]
    shorter = ["is_still_there", SEEN, {"tokens": SEEN["tokens"][:2]}, 2]
    assert calls("looks.js", *asked, shorter) == [True, True, False, False]


# === What a sampler leaves ===

LOGITS = [2.0, 1.0, 1.0, 0.0, -3.0]
PLAIN = {"temperature": 1, "top_k": 5, "top_p": 1}


@pytest.mark.parametrize(
    "setting",
    [{}, {"temperature": 0.5}, {"top_k": 2}, {"top_p": 0.7}, {"top_k": 3, "top_p": 0.6}],
)
def test_rows_have_the_chances_of_the_model_and_of_the_sampler(setting):
    setting = PLAIN | setting
    (rows,) = calls("chances.js", ["rows_of", LOGITS, setting, 3])
    p, k, temperature = setting["top_p"], setting["top_k"], setting["temperature"]
    before = np.exp(LOGITS) / np.exp(LOGITS).sum()
    sampler = falcon_edu.TopPSampler(p=p, k=k, temperature=temperature)
    now = np.asarray(sampler.distribution(np.array([LOGITS])))[0]
    assert [row.get("id") for row in rows] == [0, 1, 2, None]  # of equal ones the first
    assert rows[-1]["count"] == 2
    for name, expected in (("before", before), ("now", now)):
        shown = [row[name] for row in rows]
        np.testing.assert_allclose(shown, [*expected[:3], expected[3:].sum()], atol=1e-6)


def test_a_setting_that_changes_nothing_is_not_named():
    settings = [PLAIN, PLAIN | {"temperature": 0.5, "top_k": 2}, PLAIN | {"top_p": 0.7}]
    said = calls("chances.js", *[["setting_in_words", one, PLAIN] for one in settings])
    assert said == ["", "temperature 0.5, top-k 2", "top-p 0.7"]
    assert calls("chances.js", ["neutral", LOGITS]) == [PLAIN]


def test_a_sentence_says_what_may_come_next():
    rows = [{"id": 1, "before": 0.5, "now": 0.9}, {"id": 0, "before": 0.2, "now": 0}]
    vocabulary = [" Mia", " Tom"]
    said = calls(
        "chances.js",
        ["sentence", rows, vocabulary, "top-k 1"],
        ["sentence", [rows[0]], vocabulary, ""],
    )
    assert said == [
        "With top-k 1: “Tom” 90%, was 50%; “Mia” 0%, was 20%.",
        "Next may come: “Tom” 90%.",
    ]


# === The logit lens ===


def test_what_is_told_of_a_stage_is_what_the_package_tells():
    vocabulary = list("abcde")
    first, last = calls("lens.js", ["told", LOGITS, 2, vocabulary], ["told", LOGITS, 4, vocabulary])
    assert (first["guess"], first["rank"], last["rank"]) == ("a", 2, 5)  # equal ones share a rank
    expected = np.exp(LOGITS) / np.exp(LOGITS).sum()
    np.testing.assert_allclose(
        [first["probability"], last["probability"]], expected[[2, 4]], rtol=1e-5
    )


def stages(*pairs):
    return [{"guess": guess, "rank": rank, "probability": 0.25} for guess, rank in pairs]


LENS = {
    "tokens": ["<|endoftext|>", "Mia", " ran"],
    "columns": [stages((" a", 900), ("Mia", 1)), stages(("b", 70), (" ran", 1))],
}
LENS["columns"].append([{"guess": ".", "rank": None, "probability": None}] * 2)


@pytest.mark.parametrize(
    ("view", "show", "said"),
    [
        (
            {"query": 0},
            "rank",
            "In the end, the best guess after the start is “Mia”. "
            "“Mia”, which comes, has ranks 900, 1.",
        ),
        (
            {"query": 1, "stage": 0},
            "rank",
            "At the embedding, the best guess after “Mia” is “b”. “ran”, which comes, has rank 70.",
        ),
        (
            {"query": 1, "stage": 1},
            "probability",
            "After layer 0, the best guess after “Mia” is “ran”. "
            "“ran”, which comes, has probability 25%.",
        ),
        ({"query": 2}, "rank", "In the end, the best guess after “ran” is “.”."),
    ],
)
def test_a_sentence_says_what_the_lens_tells(view, show, said):
    assert calls("lens.js", ["lens_sentence", LENS, view, show]) == [said]


def test_a_cell_is_as_strong_as_in_the_picture():
    ranks = [1, 10, 100, 1000, 2000]
    cells = [{"rank": rank, "probability": 0.25} for rank in ranks]
    ours = calls("lens.js", *[["strength", cell, "rank"] for cell in cells])
    np.testing.assert_allclose(ours, np.clip(1 - np.log10(ranks) / 3, 0, 1), atol=1e-9)
    assert calls("lens.js", ["strength", cells[0], "probability"]) == [0.25]


@pytest.mark.parametrize(
    ("width", "count", "query", "now", "shown"),
    [
        (320, 58, 55, None, (53, 57)),
        (320, 58, 57, None, (54, 58)),
        (320, 58, 0, None, (0, 4)),
        (320, 2, 1, None, (0, 2)),
        (1200, 58, 20, None, (11, 25)),
        (10, 58, 3, None, (3, 4)),
        (320, 58, 56, 53, (53, 57)),  # among those that are shown
        (320, 58, 57, 53, (54, 58)),
        (320, 58, 5, 55, (3, 7)),
    ],
)
def test_the_chosen_column_is_shown_and_others_stay_where_they_can(width, count, query, now, shown):
    assert calls("lens.js", ["columns_shown", width, count, query, now]) == [list(shown)]


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

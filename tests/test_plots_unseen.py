"""No character hides in a picture of tokens: nothing raises, nothing warns, everything is seen."""

import sys
import unicodedata
import warnings

from falcon_edu import plots
from falcon_edu.plots.style import legible, spoken, token_label, visible

import numpy as np
import pytest

UNSEEN = [
    chr(i)
    for i in range(sys.maxunicode + 1)
    if unicodedata.category(chr(i)) in ("Cc", "Cf", "Cs", "Zl", "Zp", "Zs")
    and chr(i) not in " \n\t"
]
MARKS = [
    chr(i) for i in range(sys.maxunicode + 1) if unicodedata.category(chr(i)) in ("Mn", "Mc", "Me")
]
TOKENS = [
    "<|endoftext|>", "\u200b", "\u00ad", "\ufeff", "\u0301", " \u0301", "\ufffd", "\u2028",
    "\u00a0", "\x00", "\x1b", "\r", "", " ", "\n", "\t", "  ", "好", "👩‍🚀", "\ud83d", "\u2800",
    "\u3164", "\ufe0f", "a\u200bb", "$", "$a$", "$\\", "e\u0301", "\u0301\u0302", "\U000e0041",
    "\ue000", "\U0010ffff", "\u115f", "𓀀", "\u202e", "_", "%", "\\n",
]  # fmt: skip
N = len(TOKENS)


def causal(count):
    weights = np.tril(np.ones((count, count)))
    return weights / weights.sum(axis=1, keepdims=True)


PICTURES = {
    "token_boxes": lambda t: plots.token_boxes([t, t], labels=[t[1], t[2]], title=t[3]),
    "attention_map": lambda t: plots.attention_map(causal(len(t)), t, title=t[1]),
    "attention_text": lambda t: plots.attention_text(causal(len(t)), t, title=t[1]),
    "next_token_bars": lambda t: plots.next_token_bars(np.full(len(t), 1 / len(t)), t, title=t[1]),
    "lens_map": lambda t: plots.lens_map(
        np.array([t, t]), np.array([[3.0] * (len(t) - 1) + [np.nan]] * 2), t, title=t[1]
    ),
    "strips": lambda t: plots.strips([t], [t[1]], title=t[1]),
    "bar_chart": lambda t: plots.bar_chart(
        {t[1]: [1.0] * len(t), t[2]: [2.0] * len(t)}, t, title=t[1], x_label=t[2]
    ),
    "heatmap": lambda t: plots.heatmap(
        np.eye(len(t)), t, t, title=t[1], row_label=t[1], column_label=t[2]
    ),
    "named_points": lambda t: plots.named_points(np.eye(len(t))[:, :2], t, x_label=t[1]),
    "scatter": lambda t: plots.scatter(np.eye(4)[:, :2], [t[1], t[1], t[2], t[2]]),
    "line_chart": lambda t: plots.line_chart({t[1]: [1, 2], t[2]: [2, 1]}, marks={t[3]: 1}),
    "dials": lambda t: plots.dials(np.zeros((2, 2)), t[1:3], t[3:5], row_label=t[1]),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_of_tokens_neither_raise_nor_warn(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        axes = PICTURES[name](TOKENS)
        axes.figure.to_png()
        said = axes.figure.alt_text
        assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in said if c != "\n")


@pytest.mark.parametrize("token", TOKENS)
def test_every_token_is_seen_and_said(token):
    label = token_label(token)
    assert label.strip()
    assert sum(unicodedata.category(c) not in ("Mn", "Mc", "Me", "Cf", "Cc") for c in label) >= 1
    assert spoken(token).strip('"')
    axes = plots.token_boxes([[token]])
    assert axes.texts[0].get_text() == label or token == "<|endoftext|>"


def test_characters_that_show_nothing_stand_by_their_code_points():
    assert len(UNSEEN) > 2200
    for character in UNSEEN:
        assert visible(character) == f"U+{ord(character):04X}"
        assert legible(f"a{character}b") == f"aU+{ord(character):04X}b"
    assert token_label("\u200b\u200b") == "U+200BU+200B"
    assert token_label(" \u00ad") == "·U+00AD"
    assert token_label("\u2800") == "U+2800"  # has a letter in the font, which is empty


def test_a_mark_alone_stands_on_a_circle():
    for mark in MARKS:
        point = f"U+{ord(mark):04X}"
        assert legible(mark) in (f"◌{mark}", f"◌{point}", point)
    assert legible("e\u0301") == "e\u0301"
    assert legible("a \u0301") == "a ◌\u0301"


def test_letters_that_the_font_lacks_stand_by_their_code_points_and_are_said():
    letters = {
        "好": "U+597D",
        "🦅": "U+1F985",
        " 漢字": "·U+6F22U+5B57",
        "ไทย": "U+0E44U+0E17U+0E22",
    }
    for letter, label in letters.items():
        assert token_label(letter) == label
        assert spoken(letter) == f'"{letter.strip()}"'
    assert legible("Mia 👩\u200d🚀!") == "Mia U+1F469U+200DU+1F680!"
    assert legible("こんにちは, Mia") == "U+3053…, Mia"  # or a title would be wider than a page
    everything = "".join(chr(i) for i in range(0x2E80, 0x2FD6))
    assert "□" not in legible(everything)
    assert spoken("\u200b") == '"U+200B"'
    assert [spoken(token) for token in (" ", "\n", "")] == ["a space", "a new line", "nothing"]

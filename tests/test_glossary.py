"""The glossary and the cheat sheet: each row leads to a lesson that has it, each call does it."""

import functools
import re
from math import erf
from pathlib import Path

import falcon_edu
from falcon_edu.model import layers

import nbformat
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = {name: (ROOT / "docs" / f"{name}.md").read_text() for name in ("glossary", "cheat_sheet")}
ROW = re.compile(r"^\| (.+?) \| (.+) \| \[(\d\d)\]\((\.\./notebooks/(\w+)\.ipynb)\) \|$", re.M)


def rows(part):
    """The rows of one part of the glossary: what stands first, and the lesson it leads to."""
    text = PAGES["glossary"].partition(f"\n## {part}\n")[2].partition("\n## ")[0]
    found = [(match[1], match[5]) for match in ROW.finditer(text)]
    assert len(found) == text.count("\n| ") - 1, "a row has another form"
    return found


@functools.cache
def story(lesson):
    cells = nbformat.read(ROOT / "notebooks" / f"{lesson}.ipynb", as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def has_term(text, term):
    """True if a text has a term as whole words, in whatever case, line or emphasis."""
    text = re.sub(r"\s+", " ", text.replace("*", ""))
    return re.search(rf"(?<!\w){re.escape(term)}s?(?!\w)", text, re.IGNORECASE) is not None


@pytest.mark.parametrize(("term", "lesson"), rows("Terms"))
def test_a_term_occurs_in_its_lesson(term, lesson):
    assert has_term(story(lesson), term)


@pytest.mark.parametrize(("written", "lesson"), [*rows("Letters"), *rows("Formulas")])
def test_a_letter_or_formula_occurs_in_its_lesson(written, lesson):
    assert written.strip("$") in story(lesson)


def test_terms_are_whole_words():
    assert has_term("A *causal\nmask* hides", "Causal mask")
    assert has_term("two tokens", "token")
    assert not has_term("a tokenizer", "token")
    assert not has_term("untied", "tied")


def test_terms_are_in_order_and_none_comes_twice():
    terms = [term.lower() for term, _ in rows("Terms")]
    assert terms == sorted(set(terms))


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_lead_to_lessons_by_their_numbers(page):
    links = re.findall(r"\[(\d\d)\]\(\.\./notebooks/(.+?)\)", PAGES[page])
    assert links
    assert [n for n, name in links if not name.startswith(f"{n}_")] == []
    assert [name for _, name in links if not (ROOT / "notebooks" / name).is_file()] == []


# === The cheat sheet's calls ===

b, t, n, h, m, v = 2, 5, 4, 6, 8, 7
rng = np.random.default_rng(0)
query, key, value = rng.normal(size=(3, b, t, n, h)).astype("float32")
x = rng.normal(size=(b, t, m)).astype("float32")
padding_mask = np.array([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]])
num_heads, rank, tokens = n, 2, 10
positions = np.maximum(padding_mask.cumsum(axis=1) - 1, 0)
mask = np.tril(np.ones((t, t), bool)) & (padding_mask[:, None] > 0)  # (b, q, k)
slopes = 2.0 ** (-8 * np.arange(1, n + 1) / n)
bias = (slopes[:, None, None] * positions[:, None, None, :]).astype("float32")  # (b, n, 1, k)
logits, labels = rng.normal(size=(b, t, v)).astype("float32"), rng.integers(0, v, (b, t))
config = falcon_edu.FalconConfig(v, 3, n, m, 16)


def by_the_formula_of_attention():
    scores = (np.einsum("bqnh,bknh->bnqk", query, key) + bias) / np.sqrt(h)
    powers = np.exp(scores) * mask[:, None]
    sums = powers.sum(axis=-1, keepdims=True)
    weights = np.divide(powers, sums, out=np.zeros_like(powers), where=sums > 0)
    return np.einsum("bnqk,bknh->bqnh", weights, value)


def by_the_formula_of_rope():
    pairs = query[..., : h // 2] + 1j * query[..., h // 2 :]
    angles = positions[:, :, None, None] * 10000.0 ** (-2 * np.arange(h // 2) / h)
    turned = pairs * np.exp(1j * angles)
    return np.concatenate([turned.real, turned.imag], axis=-1)


FORMULAS = {
    "attention": by_the_formula_of_attention,
    "mask": lambda: mask,
    "position": lambda: positions,
    "ALiBi": lambda: bias,
    "RoPE": by_the_formula_of_rope,
    "norm": lambda: (
        (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)  # gamma is 1
    ),
    "GELU": lambda: x / 2 * (1 + np.vectorize(erf)(x / np.sqrt(2))),
    "cross-entropy": lambda: (
        -np.log(np.exp(logits)[np.arange(b)[:, None], np.arange(t), labels])
        + np.log(np.exp(logits).sum(-1))
    ),
    "cache": lambda: 2 * config.num_layers * n * (m // n) * tokens * 4,  # bytes of float32
}


def calls(part):
    """What stands in a part's first column, and the call beside it."""
    text = PAGES["cheat_sheet"].partition(f"\n## {part}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| (?!want)(.+?) \|.* `([\w.]+\(.*?\))` \| \[", text, re.MULTILINE))


def test_each_formula_has_a_call():
    assert {*calls("Formulas")} == {*FORMULAS, "LoRA"}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_call_does_what_its_formula_says(name):
    found = eval(calls("Formulas")[name], globals() | {"layers": layers})
    found = found[0] if name == "attention" else found  # the other is the map
    found = found["key/value cache"] if name == "cache" else found
    # float32 against float64.
    np.testing.assert_allclose(np.asarray(found), FORMULAS[name](), rtol=1e-4, atol=1e-5)


def test_the_call_of_lora_adds_a_product_of_two_factors():
    backbone = falcon_edu.FalconBackbone(v, 1, 2, 4, m)
    assert calls("Formulas")["LoRA"] == "backbone.enable_lora(rank)"
    backbone.enable_lora(rank, target_layer_names=["dense_4h_to_h"])
    dense = backbone.transformer_layers[0].dense_4h_to_h
    assert dense.lora_alpha == rank
    before = dense(x)
    dense.lora_kernel_b.assign(rng.normal(size=(rank, 4)))
    update = x @ np.asarray(dense.lora_kernel_a) @ np.asarray(dense.lora_kernel_b)
    np.testing.assert_allclose(dense(x), before + update, rtol=1e-4, atol=1e-5)


def test_the_calls_that_look_inside_are_those_of_the_package():
    looks = calls("Looking inside")
    assert len(looks) == 15
    for call in looks.values():
        name, arguments = re.match(r"falcon_edu\.(\w+)\((.*)\)", call).groups()
        assert callable(getattr(falcon_edu, name))
        assert len(arguments.split(", ")) == getattr(falcon_edu, name).__code__.co_argcount


def test_the_calls_for_an_assistant_are_those_of_the_package():
    wanted = calls("An assistant")
    assert len(wanted) == 2
    for call in wanted.values():
        name, arguments = re.match(r"([\w.]+)\((.*)\)", call).groups()
        function = eval(name, {"falcon_edu": falcon_edu})
        assert len(arguments.split(", ")) == function.__code__.co_argcount

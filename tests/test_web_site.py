"""The scripts of the site's pages, in Node: what needs no page."""

from pathlib import Path

import falcon_edu

import node
import pytest

SITE = Path(falcon_edu.__file__).parent / "web" / "site"

START = {
    "text": "Mia had",
    "layers": 4,
    "heads": 4,
    "falcons": [{"name": "rw", "layer": 3, "head": 2}, {"name": "7b", "layer": 0, "head": 1}],
}


def calls(module, *requests):
    """What functions of a module answer."""
    return node.run("web_calls.mjs", (SITE / module).as_uri(), requests)


def read(*addresses):
    return calls("state.js", *[["read_state", address, START] for address in addresses])


def state(rw=(), seven=(), **more):
    """A state as at the beginning, but for what is said."""
    falcons = {"rw": {"layer": 3, "head": 2, "off": []}, "7b": {"layer": 0, "head": 1, "off": []}}
    falcons = {"rw": falcons["rw"] | dict(rw), "7b": falcons["7b"] | dict(seven)}
    beginning = {"text": "Mia had", "sampler": "greedy", "temperature": 1, "seed": 0}
    return beginning | {"falcons": falcons} | more


# === The state in an address ===


@pytest.mark.parametrize(
    "there",
    [
        state(),
        state(text='<b>"Mia" & Tom</b>\n+ 100% é #=_;,'),
        state(text=""),
        state(text="x" * 2000),
        state(sampler="top_p", temperature=0.7, seed=42),
        state({"layer": 0, "head": 0, "off": [[1, 0], [3, 2]]}, {"off": [[0, 3]]}),
        state({"off": [[layer, head] for layer in range(4) for head in range(4)]}),
    ],
)
def test_an_address_brings_back_the_state_that_it_was_written_for(there):
    (address,) = calls("state.js", ["write_state", there, START])
    assert not set(address) & set(' <>"\n')
    assert read(address) == [there]


def test_the_beginning_needs_no_address():
    assert calls("state.js", ["write_state", state(), START]) == [""]
    assert read("", "#") == [state()] * 2


@pytest.mark.parametrize(
    "address",
    [
        "#playground",
        "#%",
        "#text=%E0%A4%A",
        "#text=%ff",
        "#text=" + "x" * 2001,
        "#rw=4.0",
        "#rw=0.4",
        "#rw=-1.0",
        "#rw=1",
        "#rw=1.2.3",
        "#rw=.",
        "#rw=NaN.0",
        "#rw=1e0.0",
        "#rw=__proto__",
        "#rw-off=0.0_9.9",
        "#rw-off=_",
        "#rw-off=" + "9.9_" * 10000,
        "#40b=1.1&40b-off=1.1",
        "#__proto__=1&constructor=2",
        "#sampler=toString",
        "#sampler=",
        "#temperature=0",
        "#temperature=2.1",
        "#temperature=Infinity",
        "#temperature=1e-9",
        "#seed=-1",
        "#seed=100",
        "#seed=0x10",
        "#seed=",
    ],
)
def test_a_broken_address_gives_the_beginning(address):
    assert read(address) == [state()]


def test_what_is_right_in_a_broken_address_stays():
    assert read("#rw=9.9&seed=7&temperature=x&7b-off=0.0&text=Tom") == [
        state(seven={"off": [[0, 0]]}, seed=7, text="Tom")
    ]


def test_numbers_are_those_that_a_slider_has():
    ours = read("#temperature=0.74&seed=3.0&rw-off=3.2_0.1_3.2")[0]
    assert ours == state({"off": [[0, 1], [3, 2]]}, temperature=0.7, seed=3)


def test_a_head_that_is_pressed_twice_is_on_again():
    twice = calls("state.js", ["toggled", [[2, 1]], [0, 3]], ["toggled", [[0, 3], [2, 1]], [0, 3]])
    assert twice == [[[0, 3], [2, 1]], [[2, 1]]]


def test_the_greedy_sampler_takes_no_seed():
    given = {"temperature": 0.5, "seed": 3}
    greedy, nucleus = calls(
        "state.js",
        ["options_of", {"sampler": "greedy", **given}],
        ["options_of", {"sampler": "top_p", **given}],
    )
    assert greedy == {"name": "greedy"}
    assert nucleus == {"name": "top_p", "p": 0.7, **given}


# === What changes without a head ===


@pytest.mark.parametrize(
    ("text", "other", "parts"),
    [
        ("Mia ran home.", "Mia ran off.", ["Mia ran", " home."]),
        ("Mia ran", "Mia ran", ["Mia ran", ""]),
        ("Mia rang", "Mia ran", ["Mia", " rang"]),
        ("Mia ran\n\noff", "Mia ran", ["Mia ran", "\n\noff"]),
        ("", "Mia", ["", ""]),
        ("Tom", "", ["", "Tom"]),
    ],
)
def test_a_text_is_split_before_the_first_word_that_is_another(text, other, parts):
    assert calls("changes.js", ["split_at_difference", text, other]) == [parts]


def test_what_was_most_probable_comes_first_and_what_is_new_after_it():
    before, now = [0.1, 0.6, 0.3, 0.0], [0.1, 0.2, 0.0, 0.7]
    (rows,) = calls("changes.js", ["next_of_both", before, now, 2])
    assert rows == [
        {"id": 1, "before": 0.6, "now": 0.2},
        {"id": 2, "before": 0.3, "now": 0.0},
        {"id": 3, "before": 0.0, "now": 0.7},
    ]


@pytest.mark.parametrize(
    ("off", "now", "said"),
    [
        ([], {}, "goes on: Mia ran."),
        ([[3, 2]], {}, "without layer 3, head 2: “Mia” 9%, was 90%. It goes on: as before"),
        (
            [[0, 0], [3, 2]],
            {"written": " Tom ran."},
            "without 2 heads: “Mia” 9%, was 90%. It goes on: Tom ran.",
        ),
    ],
)
def test_a_sentence_says_what_has_changed(off, now, said):
    before = {"probabilities": [0.9, 0.1], "written": " Mia ran."}
    now = {"probabilities": [0.09, 0.91], "written": " Mia ran."} | now
    assert calls("changes.js", ["sentence_of", before, now, off, [" Mia", " Tom"]]) == [said]


def test_lines_are_short():
    for path in SITE.glob("*.js"):
        lines = path.read_text().splitlines()
        assert len(lines) <= 150, path.name
        assert max(map(len, lines)) <= 100, path.name

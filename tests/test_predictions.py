"""A guess is kept before, laid over the truth after, and found in no saved output."""

import ast
import bisect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import falcon_edu
from falcon_edu import predict, reveal, surprises
from falcon_edu.__main__ import main
from falcon_edu.course import predictions
from falcon_edu.course.predictions import kept, of_class
from falcon_edu.course.predictions.questions import Question
from tools import notebooks

import nbformat
import numpy as np
import pytest
from nbformat import v4

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder of notebooks, and a session that has asked nothing yet."""
    monkeypatch.chdir(tmp_path)
    new_session()
    yield tmp_path
    new_session()


def new_session():
    for of_session in (predictions._rows, predictions._shown, kept._unwritten):
        of_session.clear()


def rows():
    return predict("rows", "How many rows?", between=(1, 100), unit="rows")


def word():
    return predict("word", "The next word?", choices=["boy", "girl"])


def guess(row, value):
    """Give a guess as a hand does."""
    row.control.value = value


def said(shown):
    """What a row or a live view says."""
    box = shown.said if hasattr(shown, "said") else shown.box.children[0]
    return re.sub(r"<[^>]+>", "", box.value)


def file():
    return json.loads(Path("predictions.json").read_text())


# === A guess, and the truth over it ===


def test_a_guess_is_kept_beside_the_notebook_and_found_again():
    guess(rows(), "12")
    guess(word(), "girl")
    assert file() == {
        "rows": {"question": "How many rows?", "between": [1, 100], "unit": "rows", "guess": 12},
        "word": {"question": "The next word?", "choices": ["boy", "girl"], "guess": "girl"},
    }
    new_session()
    assert rows().control.value == "12"
    assert word().control.value == "girl"
    assert not rows().control.disabled


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("12", 12),
        (" 12 rows", 12),
        ("0.5", None),
        ("2,5", 2.5),
        ("1e1", 10),
        ("1,000", None),
        ("ten", None),
        ("nan", None),
        ("inf", None),
        ("-3", None),
    ],
)
def test_a_number_is_read_as_people_write_it_or_refused_in_words(written, number):
    row = rows()
    guess(row, written)
    if number is None:
        assert "from 1 to 100" in said(row)
        assert not Path("predictions.json").exists()
    else:
        assert file()["rows"]["guess"] == number
        assert said(row) == f"Kept: {number} rows."


def test_thousands_may_have_commas():
    guess(predict("cache", between=(1, 10_000_000), unit="bytes"), "409,600 bytes")
    assert file()["cache"]["guess"] == 409_600


def test_the_truth_stands_over_the_guess_and_says_by_how_much():
    row = rows()
    guess(row, "12")
    shown = reveal("rows", np.int64(9))
    assert said(shown).startswith("The truth: 9 rows. You: 12 rows, 3 rows above.")
    assert 'aria-label="you 12 rows, the truth 9 rows"' in shown.box.children[0].value
    assert file()["rows"]["truth"] == 9
    assert row.control.disabled


def test_a_guess_may_be_exactly_right():
    guess(word(), "girl")
    assert said(reveal("word", "girl")).startswith("The truth: girl. You: girl, exactly right.")


def test_a_choice_may_be_wrong():
    guess(word(), "girl")
    shown = reveal("word", "boy")
    assert said(shown).startswith("The truth: boy. You: girl, not right.")
    assert "<b>boy</b>" in shown.box.children[0].value


def test_what_looks_like_html_is_text():
    row = predict("less", "Is a < b?", choices=["a < b", "<b>no</b>"])
    guess(row, "<b>no</b>")
    shown = reveal("less", "a < b").box.children[0].value
    assert "The truth: a &lt; b. You: &lt;b&gt;no&lt;/b&gt;, not right." in shown
    assert "<b>no</b>" not in shown + surprises().box.children[0].value + row.said.value


def test_without_a_guess_it_says_so_and_writes_nothing():
    rows()
    assert said(reveal("rows", 9)).startswith("The truth: 9 rows. You made no guess.")
    assert not Path("predictions.json").exists()


def test_the_truth_is_told_where_the_question_was_passed_over():
    shown = reveal("rows", 9)
    assert (shown.box, repr(shown)) == (None, "The truth: 9.")


def test_the_first_truth_counts_and_the_guess_is_closed():
    guess(rows(), "12")
    reveal("rows", 9)
    reveal("rows", 50)
    assert file()["rows"]["truth"] == 9
    new_session()
    row = rows()
    assert row.control.disabled
    assert "That was your guess" in said(row)


def test_a_guess_after_the_answer_does_not_count():
    row = rows()
    reveal("rows", 9)
    guess(row, "9")
    assert "does not count" in said(row)
    assert file()["rows"]["late"]
    reveal("rows", 9)
    assert surprises().box is None


@pytest.mark.parametrize("truth", [np.float32(9), np.array(9), np.array([9.0]), 9.0])
def test_numbers_of_numpy_are_truths(truth):
    rows()
    assert repr(reveal("rows", truth)) == "The truth: 9 rows."


@pytest.mark.parametrize("truth", [True, None, "nine", float("nan"), np.arange(3), [9]])
def test_what_is_no_number_is_no_truth(truth):
    rows()
    with pytest.raises(ValueError, match="A number is asked"):
        reveal("rows", truth)


def test_what_is_none_of_the_choices_is_no_truth():
    word()
    with pytest.raises(ValueError, match=r"has the choices boy, girl\. Received: 'kite'"):
        reveal("word", "kite")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either `choices` or `between`"),
        ({"choices": ["a", "b"], "between": (0, 1)}, "either `choices` or `between`"),
        ({"choices": ["a", "a"]}, "no two alike"),
        ({"choices": ["a"]}, "2 to 20 texts"),
        ({"choices": ["a", ["b"]]}, "2 to 20 texts"),
        ({"between": (1, 1)}, "the lower one first"),
        ({"between": (0, float("inf"))}, "the lower one first"),
        ({"between": (1,)}, "the lower one first"),
        ({"between": (0, 1), "unit": 3}, "`unit` must be a text"),
        ({"between": (0, 1), "question": "?" * 500}, "`question` must be a text"),
    ],
)
def test_an_unfit_question_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        predict("name", **options)


# === Where one was surprised ===


def test_surprises_come_first_where_the_guess_was_farthest():
    questions = {
        "near": (10, 11, (0, 100)),
        "far": (10, 90, (0, 100)),
        "factors": (1, 1000, (1, 1_000_000)),
    }
    for name, (guessed, truth, between) in questions.items():
        guess(predict(name, between=between), str(guessed))
        reveal(name, truth)
    guess(predict("waiting", between=(0, 1)), "1")
    value = surprises().box.children[0].value
    places = [value.index(f"<b>{name}</b>") for name in ("far", "factors", "near")]
    assert places == sorted(places)
    assert "0 of 3 guesses were exactly right; for 1 the answer" in value
    assert repr(surprises()) == predictions.NOTHING


def test_a_wide_range_is_measured_in_factors():
    wide, narrow = (Question("n", "n", between=(1, most)) for most in (1_000_000, 100))
    assert wide.surprise(10, 1000) == pytest.approx(1 / 3)
    assert narrow.surprise(10, 20) == pytest.approx(10 / 99)
    assert narrow.surprise(1, 5000) == 1


# === The file ===


def test_a_damaged_file_is_set_aside_whole():
    damaged = '{"rows": {"guess": 1'
    for number in (1, 2):
        Path("predictions.json").write_text(damaged)
        row = rows()
        assert "set aside" in said(row)
        guess(row, str(number))
        aside = f"predictions-damaged-{number}.json"
        assert f"is damaged: it is no JSON. It is called {aside} now" in said(row)
        assert Path(aside).read_text() == damaged
        assert file()["rows"]["guess"] == number


def test_where_no_file_can_be_written_guesses_last_as_long_as_the_session():
    Path("predictions.json").mkdir()  # root may write into any folder, but not over one
    row = rows()
    guess(row, "12")
    assert "as long as this kernel" in said(row)
    assert rows().control.value == "12"
    assert "You: 12 rows" in said(reveal("rows", 9))
    assert "1 guesses" in said(surprises())
    Path("predictions.json").rmdir()
    guess(word(), "boy")
    assert set(file()) == {"rows", "word"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_in_a_folder_that_is_read_only_guesses_last_as_long_as_the_session(folder):
    folder.chmod(0o500)
    row = rows()
    guess(row, "12")
    folder.chmod(0o700)
    assert "as long as this kernel" in said(row)
    assert list(folder.iterdir()) == []


STRANGE = {
    "a list": "[1, 2]",
    "a number": "3",
    "entries that are none": '{"rows": 3}',
    "deep": "[" * 100_000,
    "many digits": '{"rows": {"guess": ' + "9" * 5000 + "}}",
    "no text": b"\xff\xfe\x00",
    "large": '{"rows": {"question": "' + "x" * 2_000_000 + '"}}',
}
ODD_ENTRIES = [
    {"guess": 5},
    {"question": ["rows"], "between": [1, 100], "guess": 5},
    {"question": "rows", "between": [1, "100"], "guess": 5},
    {"question": "rows", "between": [1, 100], "guess": [5]},
    {"question": "rows", "between": [1, 100], "guess": float("nan"), "truth": 3},
    {"question": "rows", "between": [1, 100], "guess": 5, "truth": {"a": 1}},
    {"question": "rows", "choices": [["a"], "b"], "guess": "b"},
    {"question": "rows", "choices": 5, "guess": "b"},
    {"question": "rows", "choices": ["a", "b"], "guess": {}},
    {"question": "rows", "between": {"low": 1}, "guess": 5, "unit": 3},
]


@pytest.mark.parametrize("content", STRANGE.values(), ids=STRANGE)
def test_a_strange_file_is_not_read(content):
    content = content if isinstance(content, bytes) else content.encode()
    Path("predictions.json").write_bytes(content)
    assert surprises().box is None
    guess(rows(), "12")
    assert Path("predictions-damaged-1.json").read_bytes() == content
    assert file()["rows"]["guess"] == 12


@pytest.mark.parametrize("entry", ODD_ENTRIES)
def test_an_odd_entry_is_passed_over_and_its_file_stays(entry):
    Path("predictions.json").write_text(json.dumps({"rows": entry, "other": entry}))
    surprises()
    row = rows()
    reveal("rows", 9)
    if not row.control.disabled:
        guess(row, "12")
    assert "other" in file()


OTHER_KERNEL = """
import sys
from falcon_edu.course.predictions import kept
for number in range(40):
    kept.change(f"{sys.argv[1]} {number}", lambda entry: {"guess": number})
"""


@pytest.mark.slow
def test_kernels_that_write_at_once_lose_nothing():
    command = [sys.executable, "-c", OTHER_KERNEL]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    kernels = [subprocess.Popen([*command, name], env=environment) for name in ("a", "b")]
    assert [kernel.wait() for kernel in kernels] == [0, 0]
    assert len(file()) == 80


def test_a_guess_that_was_answered_in_another_kernel_stays():
    row = rows()
    guess(row, "12")
    entry = {**file()["rows"], "truth": 9}
    Path("predictions.json").write_text(json.dumps({"rows": entry}))
    guess(row, "9")
    assert "That was your guess" in said(row)
    assert file()["rows"] == entry


def test_half_a_character_is_no_text_and_keeps_nothing_from_being_written():
    with pytest.raises(ValueError, match="`question` must be a text"):
        predict("rows", "\ud800", between=(1, 100))
    half = {"choices": ["\ud800", "b"], "guess": "\ud800", "truth": "b"}
    Path("predictions.json").write_text(json.dumps({"half": half}))
    guess(rows(), "12")
    assert file().keys() == {"half", "rows"}
    reveal("rows", 9)
    assert "1 guesses" in said(surprises())


def nested(depth):
    return f'{{"deep": {{"guess": {"[" * depth + "]" * depth}}}}}'


def is_too_deep(depth):
    try:
        json.loads(nested(depth))
    except RecursionError:
        return True
    return False


def test_what_can_just_be_read_but_not_written_does_no_harm():
    """From Python 3.12 on JSON may be read deeper than it is written."""
    limit = bisect.bisect_left(range(100_000), True, key=is_too_deep)
    for depth in range(limit - 60, limit, 2):
        new_session()
        Path("predictions.json").write_text(nested(depth))
        guess(rows(), "12")
        assert rows().control.value == "12"


# === What a notebook shows and keeps ===

CELLS = [
    "import falcon_edu",
    'falcon_edu.predict("rows", "How many rows?", between=(1, 100), unit="rows")',
    "print('nine')",
    'falcon_edu.reveal("rows", 9)',
    "falcon_edu.surprises()",
]


@pytest.mark.slow
def test_a_notebook_is_the_same_whatever_was_guessed(folder):
    """What is committed, and what nbval compares with it in strict mode."""
    path = folder / "made.ipynb"
    asks = v4.new_markdown_cell("**Predict.** How many rows?")
    made = v4.new_notebook(cells=[asks, *map(v4.new_code_cell, CELLS)])
    nbformat.write(made, path)
    notebooks.run(path)
    without = path.read_text()
    guess(rows(), "12")
    reveal("rows", 9)
    notebooks.run(path)
    assert path.read_text() == without
    assert notebooks.check(path) == []
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-q", path.name]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [*command, "-p", "no:cacheprovider"], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout
    assert "5 passed" in run.stdout


def test_a_cell_that_asks_stays_open_and_the_one_that_answers_is_folded():
    def ran(source):
        shows = v4.new_output("display_data", data={"text/plain": "something"})
        return v4.new_code_cell(source, outputs=[shows], execution_count=1)

    asked = v4.new_markdown_cell("**Predict.** How many rows?")
    made = v4.new_notebook(cells=[asked, ran(CELLS[1]), ran(CELLS[2]), ran(CELLS[3])])
    notebooks.strip(made)
    folded = [bool(cell.metadata.get("jupyter")) for cell in made.cells]
    assert folded == [False, False, True, True]


def calls(path, name):
    """The calls of `falcon_edu.predict` or `falcon_edu.reveal` in a notebook, as syntax."""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code" and f"falcon_edu.{name}(" in cell.source:
            last = ast.parse(cell.source).body[-1].value
            assert ast.unparse(last.func) == f"falcon_edu.{name}"
            yield last


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_each_lesson_takes_guesses_and_computes_the_truths(path):
    asked = [call.args[0].value for call in calls(path, "predict")]
    answers = [*calls(path, "reveal")]
    assert len(asked) >= 2
    assert asked == [call.args[0].value for call in answers]
    assert len(set(asked)) == len(asked)
    assert all(name.startswith(f"{path.stem[:2]} ") for name in asked)
    for call in answers:
        assert not isinstance(call.args[1], ast.Constant), ast.unparse(call)


# === A class ===


def hand_in(student, entries, name="predictions.json"):
    path = Path("handed-in") / student / "notebooks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(entries if isinstance(entries, str) else json.dumps(entries))


def entry(guessed, truth=9, **others):
    asked = {"question": "How many rows?", "between": [1, 100], "unit": "rows"}
    return {"rows": {**asked, "guess": guessed, "truth": truth, **others}}


def test_a_class_is_drawn_question_by_question(capsys):
    guesses = {"ada": 9, "ben": 12, "cleo": 12, "dora": 80}
    for student, number in guesses.items():
        chosen = {"question": "Which?", "choices": ["boy", "girl"], "guess": "girl", "truth": "boy"}
        hand_in(student, {**entry(number), "word": chosen})
    hand_in("emil", entry(9, late=True))
    assert main(["predictions", "handed-in"]) == 0
    assert "2 questions, guessed by 5 students" in capsys.readouterr().out
    page = Path("predictions.html").read_text(encoding="utf-8")
    assert "4 guesses, the middle one 12 rows. The truth: 9 rows; 1 had it exactly." in page
    assert "guesses in each tenth from 1 to 100: 1, 2, 0, 0, 0, 0, 0, 1, 0, 0" in page
    assert "4 guesses. The truth: boy; 0 had it exactly." in page
    assert "boy ✓" in page
    assert "http" not in page


def test_a_stranger_s_file_does_no_harm_to_the_page(tmp_path, capsys):
    hand_in("ada", entry(9))
    hand_in("ben", entry(12))
    script = "<script>alert(1)</script>"
    hand_in("mallory", {**entry(9e9), script: {**entry(5)["rows"], "question": script}})
    hand_in("nil", entry(5, question=script, between=[0, 10]))
    hand_in("half", {"half": {"question": "Half?", "choices": ["\ud800", "b"], "guess": "b"}})
    for name, content in STRANGE.items():
        path = Path("handed-in") / name / "predictions.json"
        path.parent.mkdir()
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps(entry(77)))
    (Path("handed-in") / "link").mkdir()
    (Path("handed-in") / "link" / "predictions.json").symlink_to(secret)
    (Path("handed-in") / "loop").symlink_to(tmp_path / "handed-in")
    if hasattr(os, "mkfifo"):
        (Path("handed-in") / "pipe").mkdir()
        os.mkfifo(Path("handed-in") / "pipe" / "predictions.json")
    assert main(["predictions", "handed-in", "--page", "page.html"]) == 0
    page = Path("page.html").read_text(encoding="utf-8")
    assert script not in page
    # Of ada, ben and nil: nil's question is not the one that most have, but the guess answers it.
    assert "3 guesses, the middle one 9 rows" in page
    left_out = capsys.readouterr().out
    for name in STRANGE:
        assert f"{name}/predictions.json" in left_out


def test_no_student_crowds_out_what_all_were_asked(folder, monkeypatch):
    monkeypatch.setattr(of_class, "MOST_QUESTIONS", 3)
    hand_in("aaron", {str(number): entry(5)["rows"] for number in range(9)})
    hand_in("ben", entry(12))
    hand_in("cleo", entry(9))
    guesses, _ = of_class.collect(folder / "handed-in")
    assert len(guesses) == 3
    assert set(guesses["rows"]) == {"ben", "cleo"}


def test_no_student_s_files_crowd_out_the_others(folder, monkeypatch):
    monkeypatch.setattr(of_class, "MOST_FILES", 2)
    for number in range(3):
        hand_in(f"aaron/{number}", entry(9))
    hand_in("ben", entry(12))
    guesses, left_out = of_class.collect(folder / "handed-in")
    assert set(guesses["rows"]) == {"aaron", "ben"}
    assert left_out == ["aaron (all but 2 of the files)"]


def test_what_has_no_guesses_is_no_class(capsys):
    assert main(["predictions", "nowhere"]) == 1
    Path("empty").mkdir()
    assert main(["predictions", "empty"]) == 1
    hand_in("ada", {"rows": {"guess": 3}})
    assert main(["predictions", "handed-in"]) == 1
    assert not Path("predictions.html").exists()


def test_the_first_file_of_a_student_counts(folder):
    hand_in("ada", entry(9))
    (folder / "handed-in" / "ada" / "old").mkdir()
    (folder / "handed-in" / "ada" / "old" / "predictions.json").write_text(json.dumps(entry(50)))
    guesses, _ = of_class.collect(folder / "handed-in")
    assert guesses["rows"]["ada"]["guess"] == 9


def test_they_are_public():
    assert {"predict", "reveal", "surprises"} <= set(falcon_edu.__all__)

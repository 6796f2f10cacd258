"""Answers that reach for what only the judge should know, fill its memory, or are unusual."""

import copy

from falcon_edu.course.classroom import answers, cells, wire
from tools import assignments

import numpy as np
import pytest

pytest.importorskip("nbgrader")

from falcon_edu.course.classroom.repair import repaired
from tests import test_classroom_cheats as small

# === What gets what a blank gets ===

MADE_OF = (
    "from falcon_edu.course.checks.patients.stories import STORIES\n"
    "case_1 = STORIES[1].suspect, lambda F: F.made_of[1][1]"
)
REPLACED = (
    "from falcon_edu.course.checks.patients.stories import STORIES\n_old = check.in_disguise\n"
    "def _spy(n, ok, *a):\n    k = _old(n, ok, *a); k.ok = ok; return k\ncheck.in_disguise = _spy\n"
    "case_1 = STORIES[1].suspect, lambda F: F.ok"
)
CHEATS = {
    "01": {
        "attend": "def attend(q, k, v, mask):\n    mask[...] = False\n"
        "    return np.zeros(q.shape), np.zeros((2, 4, 3, 5))",
        "part_of_attention": "def part_of_attention(q, k, v):\n    q[...] = 0; v[...] = 0\n"
        "    return np.zeros(5), 0.0, len(k)",
        "masked_softmax": "def masked_softmax(scores, mask):\n    z = np.zeros(scores.shape)\n"
        "    if scores.shape == (2, 4, 6):\n        mask[...] = False; mask[..., 0] = True\n"
        "        z[..., 0] = 1\n    return z",
    },
    "02": {
        "alibi_bias": "def alibi_bias(slopes, q, k):\n    slopes[...] = 0\n"
        "    return np.zeros((len(slopes), q, k))",
        "rotate": "def rotate(x, positions, base):\n    positions[...] = 0\n    return x",
    },
    "03": {
        "Norm": "class Norm:\n    def __init__(self): self.weights = [np.zeros(6), np.zeros(6)]\n"
        "    def set_weights(self, w): self.weights = w\n    def __call__(self, x):\n"
        "        x[...] = 0\n        return np.zeros(x.shape) + self.weights[1]",
    },
    "05": {
        "gap": "def gap(logits, right, wrong):\n    wrong[...] = right\n"
        "    return np.zeros(len(logits))",
        "ablate": "def ablate(outputs, kernel, bias, heads, by_mean=False):\n"
        "    kernel[...] = 0; bias[...] = 1\n    return np.ones((5, 7))",
        "direct_effects": "def direct_effects(outputs, kernel, direction):\n"
        "    direction[...] = 0\n    return np.zeros(len(outputs))",
    },
    "06": {
        "save_adapters": "def save_adapters(path, adapters, kernels):\n    adapters.clear()\n"
        "    np.savez(path, query=np.zeros(10_000_000))",
    },
    "07": {"case_1": MADE_OF},
    "07 ": {"case_1": REPLACED},
}
# What the first line of a stub, or a guess, is worth anyhow: a masked row that may look nowhere.
HONEST = {"masked_softmax": 1}


@pytest.mark.slow
@pytest.mark.parametrize("key", CHEATS)
def test_who_changes_the_judges_arrays_or_reads_labels_gets_nothing(key):
    path = next(p for p in assignments.find() if p.stem.startswith(key.strip()))
    blank = assignments.blank(assignments.read(path))
    handed_in = copy.deepcopy(blank)
    for cell in handed_in.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = CHEATS[key].get(name, cell.source)
    with assignments.judged(blank) as points:
        got = points(handed_in)
    assert {name: got[name] for name in CHEATS[key]} == {
        name: HONEST.get(name, 0) for name in CHEATS[key]
    }


@pytest.mark.parametrize("key", [key for key in CHEATS if not key.startswith("07")])
def test_who_changes_arrays_in_place_is_shown_no_points_either(key):
    """In the notebook, where the same checks run beside the answer."""
    path = next(p for p in assignments.find() if p.stem.startswith(key))
    handed_in = assignments.blank(assignments.read(path))
    for cell in handed_in.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = CHEATS[key].get(name, cell.source)
    got = assignments.scores(handed_in)
    assert {name: got[name] for name in CHEATS[key]} == {
        name: HONEST.get(name, 0) for name in CHEATS[key]
    }


# === What is merely unusual ===

SIX = {
    "a fraction": "__import__('fractions').Fraction(2 * x)",
    "a decimal": "__import__('decimal').Decimal(2 * x)",
    "an object array": "__import__('numpy').array(2 * x, dtype=object)",
    "a generator": "(each for each in [2 * x])",
    "a view": "{2 * x: 0}.keys()",
    "a range": "range(2 * x, 2 * x + 1)",
    "a deque": "__import__('collections').deque([2 * x])",
    "an array.array": "__import__('array').array('d', [2 * x])",
    "fractions in an array": (
        "__import__('numpy').array([__import__('fractions').Fraction(2 * x)], dtype=object)"
    ),
}


@pytest.mark.slow
def test_a_value_of_another_type_crosses_as_what_it_stands_for():
    from falcon_edu.course.classroom.answers import Answers
    from falcon_edu.course.classroom.student import Student

    got, lent = {}, []
    with Student() as student:
        for what, value in SIX.items():
            source = f"def f(x, score):\n    score({value})\n    return {value}"
            student.ask({"do": "run", "source": source})
            result = Answers(student, 30).fetch("f")(3, lent.append)
            got[what] = np.ravel(np.asarray(result, "float64")).tolist()
    assert got == {what: [6.0] for what in SIX}
    assert [np.ravel(np.asarray(each, "float64")).tolist() for each in lent] == [[6.0]] * len(SIX)


# === What a cell may own ===


def _merged(drop):
    found = small.notebook(small.RIGHT["first"] + "\n" + small.RIGHT["second"])
    return found if drop is None else [c for i, c in enumerate(found) if i != drop]


@pytest.mark.parametrize("without_marks", [False, True])
def test_a_cell_may_answer_several_tasks(without_marks):
    handed_in = _merged(drop=3)
    if without_marks:
        handed_in = small.without_marks(handed_in)
    found = repaired(handed_in, small.sources())
    assert [i for i, cell in enumerate(found) if "second_answer" in cells.bound(cell.source)] == [
        next(i for i, cell in enumerate(found) if "first_answer" in cells.bound(cell.source))
    ]
    marks = [cell.metadata["nbgrader"]["grade_id"] for cell in found if cell.metadata]
    assert sorted(marks) == sorted(small.sources())


# === Bounds ===


@pytest.mark.parametrize(
    "spec",
    [
        ["array", "|S0", [2**26]],
        ["array", "<U0", [3]],
        ["array", "|O", [1]],
        ["array", "i4,i4", [0]],
        ["array", "<f8", [2**28, 2**28, 0]],
        ["array", ",".join(["f8"] * 2_000_000), [0]],  # NumPy would read it for an hour
    ],
    ids=lambda spec: f"{spec!s:.40}",
)
def test_an_array_of_no_plain_numbers_is_refused(spec):
    with pytest.raises(wire.WireError):
        wire.decode(spec, iter([b""]), str)


def test_a_value_that_is_nested_too_deeply_is_refused():
    spec = 1
    for _ in range(400):
        spec = ["list", [spec]]
    with pytest.raises(wire.WireError, match="deep"):
        wire.decode(spec, iter([]), str)


@pytest.mark.parametrize(
    "values",
    [
        [np.zeros((5000, 1)), np.ones((1, 5000))],
        [np.zeros((1, 5000)), {"a": np.zeros((5000, 1))}],
        [np.zeros(11_000_000, "int8")],
    ],
    ids=["stretched", "in a dictionary", "long"],
)
def test_what_would_fill_the_judges_memory_is_refused(values):
    with pytest.raises(ValueError, match="10,000,000"):
        answers._refuse_too_large(values)


@pytest.mark.parametrize(
    "source",
    ["%a\n" * 501, "-" * 100_000 + "1", "a" + ".a" * 3000, "(" * 5000, "x = 1\n" * 300_000],
    ids=["magics", "signs", "attributes", "brackets", "long"],
)
def test_a_cell_that_no_parser_likes_defines_nothing(source):
    assert cells.bound(source) == set()


@pytest.mark.slow
def test_a_notebook_ends_and_its_outputs_too(monkeypatch):
    from falcon_edu.course.classroom import execute
    from falcon_edu.course.classroom.judge import Judge

    monkeypatch.setattr(execute, "KEPT", 1000)
    _, _, nb = small.judged(small.notebook(**small.RIGHT, before=["print('x' * 700)"] * 3))
    assert [len(cell.outputs[0].text) > 700 for cell in nb.cells[:3]] == [True, False, False]
    with Judge([], total=0) as judge:
        reply, _ = judge.run("1")
    assert "too long" in reply["error"]["message"]

"""`my_falcon.py` becomes a Falcon in any order, and no wrong answer gets away with it."""

import inspect
import random
import re
from itertools import combinations
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import falcon_edu
from falcon_edu import __main__ as command
from falcon_edu import plots
from falcon_edu.course import your_falcon
from falcon_edu.course.your_falcon import checks, falcon, package, parity, stubs
from falcon_edu.course.your_falcon.falcon import Falcon

import jax.numpy as jnp
import nbformat
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
SOLUTION = ROOT / "notebooks" / "solutions" / "my_falcon.py"
WRONG = run_path(str(ROOT / "tests" / "wrong_answers" / "my_falcon.py"))["WRONG"]
SOLVED = SimpleNamespace(**run_path(str(SOLUTION)))
PARTS = {part.name: part for part in your_falcon.PARTS}
SETS = [set(chosen) for count in range(10) for chosen in combinations(PARTS, count)]
PROMPT = parity.PROMPT


def model_of(own, **more):
    """A Falcon whose parts are the solutions', as far as they are in a set."""
    mine = {name for part in own for name in PARTS[part].functions}
    functions = {n: getattr(SOLVED if n in mine else package, n) for n in parity.NAMES}
    return Falcon(SimpleNamespace(**{**functions, **more}))


def file_of(folder, own, more=""):
    """Write `my_falcon.py` as a learner has it who has finished some parts, and return it.

    Args:
        own: names of parts.
        more: text behind.
    """
    mine = {name for part in own for name in PARTS[part].functions}
    text = SOLUTION.read_text().replace("import json", f"import json\nfrom {stubs_home()}", 1)
    for name in set(parity.NAMES) - mine:
        begun, ended = re.search(rf"^def {name}\(.*?(?=\n\n\n|\Z)", text, re.DOTALL | re.M).span()
        text = text[:begun] + inspect.getsource(getattr(stubs, name)).rstrip() + text[ended:]
    path = folder / "my_falcon.py"
    path.write_text(f"{text}\n{more}")
    return path


def stubs_home():
    return "falcon_edu.course.your_falcon import package"


def states(folder):
    return {s.part.name: s.state for s in your_falcon.standings(your_falcon.functions(folder))}


def last_logits(model):
    """Logits after a text of which the last token is read with a cache."""
    _, cache = model.read(model.encode(PROMPT)[:-1])
    return model.read(model.encode(PROMPT)[-1:], cache)[0]


# === In every order ===


@pytest.fixture(scope="module")
def real():
    """Logits of the prompt and a greedy text by the model that the package ships."""
    model = falcon_edu.FalconCausalLM.from_preset(falcon.PRESET)
    logits = falcon_edu.record(model, PROMPT).logits[0]
    model.compile(sampler="greedy")
    return logits, model.generate(PROMPT, max_length=len(logits) + 20)


def test_whoever_finishes_has_the_falcon_that_ships(real):
    logits, text = real
    mine = model_of(PARTS)
    ids = [mine.tokenizer.start_token_id, *mine.encode(PROMPT)]
    np.testing.assert_allclose(mine.read(ids)[0], logits, atol=1e-3)
    assert mine.write(PROMPT, tokens=20, p=1e-6) == text


@pytest.mark.slow
def test_every_set_of_finished_parts_writes_the_same():
    """Any order of completion passes through such sets, and nothing remembers the order."""
    assert len(SETS) == 2 ** len(PARTS)
    wanted, text = last_logits(Falcon(package)), Falcon(package).write(PROMPT, tokens=2)
    for own in SETS:
        mine = model_of(own)
        np.testing.assert_allclose(last_logits(mine), wanted, atol=1e-3, err_msg=str(own))
        assert mine.write(PROMPT, tokens=2) == text, own


@pytest.mark.parametrize("seed", range(6))
def test_parts_turn_green_one_by_one_in_any_order(tmp_path, seed):
    order = list(PARTS)
    random.Random(seed).shuffle(order)
    order = order[::-1] if seed == 1 else sorted(PARTS) if seed == 2 else order
    for count in range(len(order) + 1):
        file_of(tmp_path, order[:count])
        done = dict.fromkeys(order[:count], "yours")
        assert states(tmp_path) == {**dict.fromkeys(PARTS, "package"), **done}


def test_parity_is_a_small_number():
    for standing in your_falcon.standings(SOLVED):
        assert standing.distance < 1e-4
        assert re.fullmatch(r"\de-\d\d|0", standing.number)


def test_draws_are_not_close():
    """The text in the notebooks is the same on every machine: no dart hits near an edge."""
    model, margins = Falcon(package), []

    def watched(logits, temperature, p):
        margins.append(np.cumsum(package.sampler(logits, temperature, p)))
        return package.sampler(logits, temperature, p)

    model.parts = SimpleNamespace(**{n: getattr(package, n) for n in parity.NAMES})
    model.parts.sampler = watched
    model.write(PROMPT, tokens=24)
    darts = np.random.default_rng(0).uniform(size=len(margins))
    for edges, dart in zip(margins, darts, strict=True):
        assert abs(edges - dart)[edges < 1 - 1e-6].min(initial=1) > 1e-4


# === Wrong answers ===

CASES = [(name, what) for name in WRONG for what in WRONG[name]]


def test_each_function_has_wrong_answers():
    assert list(WRONG) == parity.NAMES == list(checks.CHECKS)
    assert min(map(len, WRONG.values())) >= 6


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # what wrong answers make of numbers
@pytest.mark.parametrize(("name", "what"), CASES)
def test_a_wrong_answer_is_refused_and_harms_no_other_part(name, what):
    mine = SimpleNamespace(**{n: getattr(SOLVED, n) for n in parity.NAMES})
    setattr(mine, name, WRONG[name][what])
    for standing in your_falcon.standings(mine):
        is_wrong = name in standing.part.functions
        assert standing.state == ("not yet" if is_wrong else "yours"), standing
    verdict = checks.CHECKS[name].grade(WRONG[name][what])
    assert not verdict.is_right
    assert not re.search("inhomogeneous|ambiguous", verdict.message)
    assert your_falcon.written(mine)  # a tale, or nonsense, or why there is none


SAID = {
    ("encode", "the last merge first"): "in their order",
    ("encode", "each merge once"): "at each place",
    ("encode", "joins across pieces"): "another piece",
    ("norm", "RMS, of exercise 2.1"): "RMS norm",
    ("norm", "epsilon behind the root"): "under the root",
    ("norm", "no gamma"): "gamma is not",
    ("norm", "no beta"): "beta is not",
    ("norm", "gamma on beta too"): "after gamma",
    ("norm", "over all axes"): "last axis only",
    ("norm", "in place"): "read-only",
    ("attention", "as in exercise 3.2"): "neither bias nor mask",
    ("attention", "the bias after the root"): "before the scores are divided",
    ("attention", "no root"): "root of the width",
    ("attention", "softmax over queries"): "over the keys",
    ("attention", "heads take turns"): "take turns",
    ("attention", "a mean of nothing"): "nowhere should get zeros",
    ("attention", "output and weights"): "should be numbers",
    ("alibi_bias", "one series for all"): "fills up",
    ("alibi_bias", "falls"): "but yours falls",
    ("gelu", "the stand-in of exercise 5.1"): "formula with tanh",
    ("block", "parallel"): "wiring of 7B",
    ("block", "one norm for both"): "of its own",
    ("block", "norms behind"): "before the halves",
    ("backbone", "no final norm"): "final norm is missing",
    ("backbone", "no head"): "head is missing",
    ("backbone", "the last block first"): "first one first",
    ("step", "no bias"): "bias is missing",
    ("step", "heads take turns"): "take turns",
    ("step", "does not see itself"): "see itself",
    ("step", "values first"): "keys first",
    ("step", "no cache"): "a pair is asked for",
    ("sampler", "not scaled"): "sum to 1",
    ("sampler", "stops one too early"): "exceeds p stays",
    ("sampler", "no temperature"): "temperature changes nothing",
    ("sampler", "no cut"): "nothing is cut",
}


@pytest.mark.parametrize(("name", "what"), SAID)
def test_the_message_says_what_is_wrong(name, what):
    assert re.search(SAID[name, what], checks.CHECKS[name].grade(WRONG[name][what]).message)


FORMS = {
    "lists": lambda x: x.tolist() if isinstance(x, np.ndarray) else x,
    "arrays of JAX": lambda x: jnp.asarray(x) if isinstance(x, np.ndarray) else x,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", parity.NAMES)
def test_right_answers_are_taken_in_any_form(name, form):
    def formed(value):
        return tuple(map(formed, value)) if isinstance(value, tuple) else FORMS[form](value)

    def answer(*arguments):
        return formed(getattr(SOLVED, name)(*arguments))

    verdict = checks.CHECKS[name].grade(answer)
    assert verdict.is_right, verdict.message
    if (form, name) != ("lists", "norm"):
        assert Falcon(SimpleNamespace(**{**vars(SOLVED), name: answer})).write(PROMPT, tokens=3)


@pytest.mark.parametrize("name", parity.NAMES)
def test_what_does_not_fit_at_all_is_described(name):
    for junk in ["four", {"a": 1}, (np.ones((2, 3)), np.ones(4)), [], object(), True, np.nan]:
        verdict = checks.CHECKS[name].grade(lambda *arguments, junk=junk: junk)
        assert not verdict.is_right
        assert not re.search(r"raised|inhomogeneous|ambiguous|Error", verdict.message)
    assert checks.CHECKS[name].grade(lambda *arguments: ...).is_blank


# === The file ===


def test_stubs_take_what_package_and_solutions_take():
    for name in parity.NAMES:
        wanted = inspect.signature(getattr(stubs, name))
        assert inspect.signature(getattr(package, name)) == wanted
        assert inspect.signature(getattr(SOLVED, name)) == wanted
    assert not any(your_falcon.is_own(getattr(stubs, name)) for name in parity.NAMES)


def test_the_file_is_made_once_and_then_left_alone(tmp_path, capsys):
    your_falcon.start(tmp_path)
    path = tmp_path / "my_falcon.py"
    assert path.read_text() == Path(stubs.__file__).read_text()
    assert set(states(tmp_path).values()) == {"package"}
    path.write_text("# my work")
    your_falcon.start(tmp_path)
    assert path.read_text() == "# my work"
    assert capsys.readouterr().out.splitlines()[1].endswith("stays as it is.")


def test_what_is_written_into_the_file_counts_at_once(tmp_path):
    """Two versions of one size within a second: an import would keep the first."""
    for factor, state in ((1.0, "yours"), (2.0, "not yet"), (1.0, "yours")):
        more = f"def gelu(x, plain=gelu):\n    return {factor} * plain(x)\n"
        file_of(tmp_path, ["block"], more)
        assert states(tmp_path)["block"] == state


def test_nothing_is_written_where_a_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    your_falcon.show("norm")
    assert list(tmp_path.iterdir()) == []
    file_of(tmp_path, ["norm"])
    your_falcon.show("norm")
    your_falcon.load().write(PROMPT, tokens=1)
    assert [path.name for path in tmp_path.iterdir()] == ["my_falcon.py"]


FAILS = """
def helper(x):
    return x.nothing

def norm(x, gamma, beta, epsilon):
    return helper(x)
"""


def test_a_part_that_fails_raises_with_the_line_of_the_learner(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = file_of(tmp_path, [], FAILS)
    line = path.read_text().splitlines().index("    return x.nothing") + 1
    with pytest.raises(AttributeError) as raised:
        your_falcon.load().write(PROMPT)
    last = raised.traceback[-1]
    assert (last.path.name, last.lineno + 1) == ("my_falcon.py", line)
    module = your_falcon.functions()
    message = next(s.message for s in your_falcon.standings(module) if s.part.name == "norm")
    assert message.endswith(f"line {line}: return x.nothing")
    assert your_falcon.written(module).endswith(f"(line {line}: return x.nothing)")


def test_a_shape_that_does_not_fit_is_told_by_the_name_of_the_function():
    with pytest.raises(
        ValueError, match=r"`norm` should return .* \(1, 15, 128\), but .* \(128,\)"
    ):
        Falcon(SimpleNamespace(**{**vars(SOLVED), "norm": lambda x, *_: x[0, 0]})).write(PROMPT)


def test_a_function_that_is_missing_is_named(tmp_path):
    (tmp_path / "my_falcon.py").write_text("def encode(letters, merges):\n    return letters\n")
    with pytest.raises(ValueError, match="no function decode"):
        your_falcon.load(tmp_path)


def test_half_a_part_is_not_yet_yours(tmp_path):
    file_of(tmp_path, [], "def gelu(x):\n    from jax.nn import gelu\n    return gelu(x, False)\n")
    (standing,) = (
        s for s in your_falcon.standings(your_falcon.functions(tmp_path)) if s.part.name == "block"
    )
    assert (standing.state, standing.message) == ("not yet", "`block` is still the package's.")


# === What is shown ===


def test_show_says_what_the_check_finds(tmp_path, capsys):
    assert your_falcon.show("norm", tmp_path) is None
    said = capsys.readouterr().out
    assert said.startswith("There is no my_falcon.py here yet")
    assert PROMPT in said
    assert "the package's are tokenizer, norm," in your_falcon.draw(tmp_path).alt_text
    file_of(tmp_path, [])
    figure = your_falcon.show("norm", tmp_path)
    said = capsys.readouterr().out
    assert said.startswith("norm: the package's.\n0 of the 9 parts are yours.")
    assert figure.alt_text == your_falcon.draw(tmp_path).alt_text
    file_of(tmp_path, ["norm", "cache"])
    figure = your_falcon.show("norm", tmp_path)
    said = capsys.readouterr().out
    assert re.match(r"norm: Right\.\nFrom the package's: \de-0\d\.\n2 of the 9 parts", said)
    assert re.search(r"yours are norm \(\de-0\d\) and cache \(\de-0\d\);", figure.alt_text)
    file_of(tmp_path, [], "def norm(x, gamma, beta, epsilon):\n    return x * gamma + beta\n")
    figure = your_falcon.show("norm", tmp_path)
    assert capsys.readouterr().out.startswith("norm: Not yet: ")
    assert "not yet right is norm" in figure.alt_text


def test_unknown_parts_are_refused():
    with pytest.raises(ValueError, match="The parts are tokenizer, norm"):
        your_falcon.show("mlp")


def test_the_command_says_where_one_stands(tmp_path, capsys):
    assert command.main(["my-falcon", str(tmp_path)]) == 1
    assert "my-falcon --start" in capsys.readouterr().out
    assert command.main(["my-falcon", "--start", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.count("the package's\n") == 9
    assert said.endswith("Next: tokenizer, notebooks/01_tokens_and_embeddings.ipynb\n")
    file_of(tmp_path, PARTS)
    assert command.main(["my-falcon", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert len(re.findall(r"yours, (?:\de-\d\d|0) from the package's\n", said)) == 9
    assert said.endswith("All yours.\n")
    with (tmp_path / "my_falcon.py").open("a") as file:
        file.write("def norm(x:\n")
    assert command.main(["my-falcon", str(tmp_path)]) == 1
    assert re.match(r"my_falcon.py, line \d+: SyntaxError", capsys.readouterr().out)


def test_the_picture_has_each_part_in_the_colour_of_its_state():
    found = dict.fromkeys(PARTS, ("package", ""))
    found |= {"norm": ("yours", "2e-07"), "block": ("not yet", "")}
    ax = plots.falcon_diagram(found, title="T")
    texts = {text.get_text() for text in ax.texts}
    assert {"norm\nyours, 2e-07", "cache\npackage's", "block, four times: not yet"} <= texts
    assert ax.alt_text.startswith("T: yours is norm (2e-07); not yet right is block; the package's")
    with pytest.raises(ValueError, match="must be tokenizer"):
        plots.falcon_diagram({"norm": ("yours", "")})
    with pytest.raises(ValueError, match="Received: 'green'"):
        plots.falcon_diagram({**found, "norm": ("green", "")})


@pytest.mark.parametrize("part", PARTS)
def test_each_part_has_its_place_in_a_notebook(part):
    path = ROOT / "notebooks" / f"{PARTS[part].notebook}.ipynb"
    cells = nbformat.read(path, as_version=4).cells
    section = "\n".join(cell.source for cell in cells).partition("## Your Falcon")[2]
    assert f'your_falcon.show("{part}")' in section
    assert "(solutions/my_falcon.py)" in section
    for name in PARTS[part].functions:
        assert f"`{name}(" in section

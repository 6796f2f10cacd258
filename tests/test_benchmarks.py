"""The benchmark says what it measured: its rows can be run, and its table judges right."""

from benchmarks.__main__ import rounded, together
from benchmarks.keras_works import KerasWorks
from benchmarks.learner_works import LearnerWorks
from benchmarks.our_works import OurWorks
from benchmarks.rows import EXPLORERS, ROWS, Row, table
from benchmarks.transformers_works import TransformersWorks

import pytest

WORKS = {
    "falcon_edu": OurWorks,
    "keras_hub": KerasWorks,
    "transformers": TransformersWorks,
    "learner": LearnerWorks,
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_run_is_of_something_that_can_be_done(row):
    for run in row.runs():
        assert run["work"] == "import" or callable(getattr(WORKS[run["who"]], run["work"]))
    assert row.goals.keys() <= row.peers.keys()


def test_names_are_different():
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize(
    ("unit", "value", "met"),
    [("s", 1.9, "no"), ("s", 1.5, "yes"), ("tokens/s", 1.9, "yes"), ("tokens/s", 1.5, "no")],
)
def test_less_is_better_but_for_tokens_a_second(unit, value, met):
    row = Row("work", unit, {}, {"peer": {}}, {"peer": 0.8}, peak_goal=100)
    results = {
        "ours": [{"value": x, "peak": 101} for x in (9, value, 0.1)],  # the median counts
        "peer": [{"value": 2, "peak": 300}] * 3,
    }
    versions = {
        "cores": "2 cores",
        "read_bandwidth": 30,
        "gemm_rate": 200,
        "versions": {"jax": "1"},
    }
    *_, peak, ratio = table([row], {"work": results}, versions, "today").splitlines()
    assert peak.startswith("| work (3) |")
    assert peak.endswith("| 100 MB | no |")
    assert f"| peer | {2:.2f} s |" in ratio or "| peer | 2 tokens/s |" in ratio
    assert ratio.endswith(
        f"| {value / 2:.2f} | {'≥' if unit == 'tokens/s' else '≤'} 0.80 | {met} |"
    )


def test_a_ratio_is_the_median_of_the_pairs():
    """In the second turn the machine was half as fast, for both."""
    row = Row("work", "s", {}, {"peer": {}})
    results = {
        "ours": [{"value": x, "peak": 1} for x in (1, 2, 1.1)],
        "peer": [{"value": x, "peak": 1} for x in (2, 4, 3.9)],
    }
    versions = {"cores": "2", "read_bandwidth": 30, "gemm_rate": 200, "versions": {"jax": "1"}}
    *_, line = table([row], {"work": results}, versions, "today").splitlines()
    assert "| 1.10 s | 1 MB | peer | 3.90 s | 1 MB | 0.50 |" in line


@pytest.mark.parametrize(("value", "met"), [(0.019, "yes"), (0.03, "no")])
def test_a_value_of_our_own_can_have_a_goal(value, met):
    row = Row("rounding", "%", {}, goal=0.02)
    versions = {"cores": "2", "read_bandwidth": 30, "gemm_rate": 200, "versions": {"jax": "1"}}
    results = {"rounding": {"ours": [{"value": value, "peak": 1}]}}
    *_, line = table([row], results, versions, "today").splitlines()
    assert line == f"| rounding (1) | {100 * value:.1f} % | 1 MB | | | | | ≤ 2.0 % | {met} |"


MACHINE = {"cores": "2 cores", "versions": {"jax": "1"}, "read_bandwidth": 30}


def test_runs_add_up():
    one, two, three = ({"value": i, "peak": 9} for i in range(3))
    earlier = {"date": "before", "machine": MACHINE, "results": {"a": {"ours": [one]}}}
    results = {"a": {"ours": [two], "peer": [two]}, "b": {"ours": [three]}}
    later = {"date": "today", "machine": {**MACHINE, "read_bandwidth": 31}, "results": results}
    assert together(earlier, later) == {
        **later,
        "results": {"a": {"ours": [one, two], "peer": [two]}, "b": {"ours": [three]}},
    }
    assert earlier["results"] == {"a": {"ours": [one]}}


@pytest.mark.parametrize("other", [{"cores": "3 cores"}, {"versions": {"jax": "2"}}])
def test_runs_of_another_machine_do_not(other):
    earlier = {"date": "before", "machine": {**MACHINE, **other}, "results": {}}
    with pytest.raises(SystemExit, match="use --write"):
        together(earlier, {"date": "today", "machine": MACHINE, "results": {}})


def test_what_is_written_has_four_digits():
    assert rounded({"runs": [{"value": 1234.567, "who": "we"}]}) == {
        "runs": [{"value": 1235.0, "who": "we"}]
    }


@pytest.mark.parametrize("explorer", EXPLORERS)
def test_an_explorer_is_redrawn_with_another_value(explorer, monkeypatch):
    monkeypatch.setattr("os.sched_setaffinity", lambda *_: None, raising=False)  # for one test
    assert LearnerWorks(redraws=1).redraw(explorer) > 0


def test_a_row_without_peers_or_goals_has_a_line():
    row = Row("learner: waits", "s", {})
    about = {"cores": "2", "read_bandwidth": 30, "gemm_rate": 200, "versions": {"jax": "1"}}
    results = {"learner: waits": {"ours": [{"value": 2, "peak": 10}]}}
    lines = table([row], results, about, "today")
    assert "| learner: waits (1) | 2.00 s | 10 MB |" in lines

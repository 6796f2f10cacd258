"""What GitHub reads: workflows, templates, the codespace. `make lint` has actionlint read them."""

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
GITHUB = ROOT / ".github"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in GITHUB.glob("workflows/*.yml")}

if not GITHUB.is_dir():
    pytest.skip("an unpacked source archive has no .github", allow_module_level=True)


def commands(workflow):
    """Return every shell command of a workflow."""
    steps = (step for job in WORKFLOWS[workflow]["jobs"].values() for step in job["steps"])
    return [step["run"] for step in steps if "run" in step]


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_workflows_call_what_the_makefile_has(workflow):
    called = {
        name for command in commands(workflow) for name in re.findall(r"make ([a-z-]+)", command)
    }
    assert called <= TARGETS


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_workflows_may_only_read_unless_a_job_says_more(workflow):
    assert WORKFLOWS[workflow]["permissions"] == {"contents": "read"}


def test_unit_tests_run_on_each_python_and_system_that_is_promised():
    matrix = WORKFLOWS["ci"]["jobs"]["unit"]["strategy"]["matrix"]
    promised = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", c)]
    assert matrix["python"] == promised
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}


def test_everything_that_make_test_runs_has_a_job():
    makefile = (ROOT / "Makefile").read_text()
    parts = re.search(r"^test: ([a-z ]+?) ##", makefile, re.MULTILINE)[1].split()
    assert set(parts) <= WORKFLOWS["ci"]["jobs"].keys()


def test_a_release_keeps_no_token():
    publish = WORKFLOWS["release"]["jobs"]["publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert "secrets." not in (GITHUB / "workflows/release.yml").read_text()


def test_pre_commit_has_the_ruff_that_is_pinned():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    (rev,) = (repo["rev"] for repo in hooks if repo["repo"].endswith("/ruff-pre-commit"))
    pinned = re.search(r"^ruff==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]
    assert rev == f"v{pinned}"


def test_the_codespace_opens_the_first_notebook():
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    (first,) = container["customizations"]["codespaces"]["openFiles"]
    assert (ROOT / first).is_file()
    assert container["postCreateCommand"].removeprefix("make ") in TARGETS


@pytest.mark.parametrize("form", ["bug", "lesson"])
def test_issue_forms_ask_for_something(form):
    asked = yaml.safe_load((GITHUB / f"ISSUE_TEMPLATE/{form}.yml").read_text())
    assert {"name", "description", "body"} <= asked.keys()
    assert any(field.get("validations", {}).get("required") for field in asked["body"])

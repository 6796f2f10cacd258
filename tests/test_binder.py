"""What Binder gets: its files, and the assertions about the Dockerfile that it makes of them.

The Dockerfile itself needs repo2docker: `make binder-check`.
"""

import os
import re
from pathlib import Path

from tools import binder

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "binder"

# What repo2docker 2026.4 prints, in short.
DOCKERFILE = """\
FROM docker.io/library/buildpack-deps:24.04
USER root
COPY --chown=0:0 build_script_files/-2fconda-2fenvironment-2epy-2d3-2e12-2dlinux-2d64-2elock /tmp
COPY --chown=0:0 src/binder/environment.yml ${REPO_DIR}/binder/environment.yml
USER ${NB_USER}
RUN bash -c 'time ${MAMBA_EXE} env update -p ${NB_PYTHON_PREFIX} --file "binder/environment.yml"'
USER root
COPY --chown=0:0 src/ ${REPO_DIR}/
USER ${NB_USER}
RUN chmod +x binder/postBuild
RUN ./binder/postBuild
RUN chmod +x "${REPO_DIR}/binder/start"
ENV R2D_ENTRYPOINT="${REPO_DIR}/binder/start"
CMD ["jupyter", "notebook", "--ip", "0.0.0.0"]
"""


# === The files ===


def test_python_is_named_exactly():
    """A range, or a third digit, and repo2docker silently takes another Python."""
    environment = yaml.safe_load((FOLDER / "environment.yml").read_text())
    assert "python=3.12" in environment["dependencies"]
    assert environment["channels"] == ["conda-forge"]


def test_pip_needs_nothing_of_the_repository():
    """The environment is built before the repository is copied."""
    (*_, last) = yaml.safe_load((FOLDER / "environment.yml").read_text())["dependencies"]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in last["pip"])
    names = {pin.partition("==")[0] for pin in last["pip"]}
    assert {"jupyterlab", "notebook", "ipykernel", "keras", "jax"} <= names


def test_scripts_stop_at_the_first_error_and_can_be_run():
    build, start = FOLDER / "postBuild", FOLDER / "start"
    assert re.search(r"^set -e", build.read_text(), re.MULTILINE)
    assert "--no-deps" in build.read_text()
    assert 'exec "$@"' in start.read_text()
    for script in (build, start):
        assert script.read_text().startswith("#!/bin/bash\n")
        assert os.access(script, os.X_OK)


# === The Dockerfile ===


def test_a_right_dockerfile_passes():
    assert binder.problems(DOCKERFILE) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("3-2e12", "3-2e10", "Python is 3.12"),
        ("src/binder/environment.yml", "src/environment.yml", "copied alone"),
        ('"binder/environment.yml"', '"environment.yml"', "is installed"),
        ('"binder/environment.yml"', '"environment.yml"', "root's environment.yml"),
        ("RUN ./binder/postBuild", "", "the package is installed"),
        ("R2D_ENTRYPOINT", "R2D_OTHER", "start script"),
        ("CMD", "USER root\nCMD", "as root"),
        ("CMD", "RUN pip install --no-cache-dir .\nCMD", "built by repo2docker"),
    ],
)
def test_assertions_go_red(old, new, message):
    assert any(message in problem for problem in binder.problems(DOCKERFILE.replace(old, new)))

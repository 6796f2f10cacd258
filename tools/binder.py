"""Check what Binder builds from this repository, and that the course fits into it.

    python tools/binder.py check                           # the Dockerfile, printed without Docker
    python tools/binder.py run notebooks/00_welcome.ipynb  # within Binder's memory, on one core

`make binder-check` does the first in an environment of its own, for `repo2docker` is Binder's, not
ours. The second runs in whatever environment it is started from; `make matrix` has one with the
versions of `binder/environment.yml`.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MEMORY = 2 * 2**30  # bytes that Binder allows, for the server and all kernels
SERVER = 250  # of its megabytes, what JupyterLab itself takes
TIMEOUT = 600  # seconds for a cell

# What the Dockerfile must say, each with why.
EXPECTED = {
    "Python is 3.12": r"environment-2epy-2d3-2e12-2dlinux",
    "our environment is copied alone, before the rest": (
        r"COPY --chown=\S+ src/binder/environment\.yml \$\{REPO_DIR\}/binder/environment\.yml"
    ),
    "our environment is installed": r'env update .*--file "binder/environment\.yml"',
    "the package is installed": r"RUN \./binder/postBuild",
    "our start script runs": r'R2D_ENTRYPOINT="\$\{REPO_DIR\}/binder/start"',
    "the files are there when the package is installed": (
        r"(?s)COPY --chown=\S+ src/ \$\{REPO_DIR\}/.*RUN \./binder/postBuild"
    ),
}
FORBIDDEN = {
    "the root's environment.yml is read": r'--file "environment\.yml"',
    "the package is built by repo2docker": r"pip install.*(?:--no-cache-dir \.|-e \.)",
    "something runs as root in the end": r"(?s)USER root(?!.*USER \$\{NB_USER\})",
}


# === The image ===


def dockerfile(project: Path) -> str:
    """Return the Dockerfile that repo2docker would build a project with."""
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(project)]
    return subprocess.run(command, cwd=project, check=True, capture_output=True, text=True).stdout


def problems(text: str) -> list[str]:
    """List what a Dockerfile should say and doesn't, or says and shouldn't."""
    missing = [f"not so: {what}" for what, form in EXPECTED.items() if not re.search(form, text)]
    return missing + [what for what, form in FORBIDDEN.items() if re.search(form, text)]


# === The limits ===


def limit() -> None:
    """Hold this process, and the kernels it starts, to one core and to Binder's memory."""
    import resource

    os.environ["MEM_LIMIT"] = str(MEMORY)  # as JupyterHub tells it
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    # What a process writes to. Binder counts only what is touched, which is less.
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


def run(path: Path) -> tuple[float, float]:
    """Run a notebook; the seconds it took, and the megabytes of its kernel at the peak."""
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    from tools.peak import megabytes

    import nbformat
    import psutil
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    start = time.monotonic()
    client = NotebookClient(
        notebook, timeout=TIMEOUT, resources={"metadata": {"path": str(path.parent)}}
    )
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
        peak = megabytes(psutil.Process(client.km.provisioner.pid))
    return time.monotonic() - start, peak


# === Command line ===


def main() -> int:
    """Check or run; the exit status is 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check")
    running = commands.add_parser("run")
    running.add_argument("notebooks", nargs="+", type=Path)
    arguments = parser.parse_args()

    if arguments.command == "check":
        wrong = problems(dockerfile(ROOT))
        print("\n".join(wrong or [f"ok: {what}" for what in EXPECTED]))
        return 1 if wrong else 0

    limit()
    most = MEMORY / 2**20 - SERVER
    wrong = []
    for path in arguments.notebooks:
        seconds, peak = run(path)
        print(f"{path.stem:34} {seconds:6.1f} s {peak:6.0f} MB", flush=True)
        if peak > most:
            wrong.append(f"{path.stem} took {peak:.0f} MB; beside its server there are {most:.0f}")
    print("\n".join(wrong or ["All of them fit."]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

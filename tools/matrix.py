"""Run the course on every Python and on the oldest, newest and Colab's versions: `make matrix`.

    python tools/matrix.py                          # every row
    python tools/matrix.py colab oldest-3.11        # these rows
    python tools/matrix.py --install-only           # make the environments, run nothing
    python tools/matrix.py --tests tests/test_attention.py --notebooks 00 03 colab

A row is an environment of its own below `.venv-matrix/`, made by uv from `pyproject.toml` alone or
with pins. In it run a quick part of the tests and some notebooks, as nbval compares them; with the
versions of Colab the whole course does. Then a table says which versions were there, and what
failed. The logs stay beside the environments.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools import colab, pin

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".venv-matrix"
PYTHONS = ("3.11", "3.12", "3.13")
SHOWN = ("keras", "jax", "numpy", "matplotlib", "ipywidgets", "jupyterlab")

# Quick, and through everything: numbers, files, text, training, pictures, widgets.
TESTS = """
    tests/test_positions.py tests/test_attention.py tests/test_activations.py tests/test_presets.py
    tests/test_presets_keras_hub.py tests/test_presets_transformers.py tests/test_presets_saving.py
    tests/test_tokenizer.py tests/test_samplers.py tests/test_lora.py tests/test_packing.py
    tests/test_quantization.py tests/test_plots.py tests/test_widgets.py tests/test_classroom.py
""".split()
NOTEBOOKS = ["00", "03", "07", "12"]


@dataclass(frozen=True)
class Row:
    """An environment: its name, its Python, and how versions are chosen.

    Attributes:
        resolution: uv's word: "highest", or "lowest-direct" for the oldest that we ask for.
        pins: exact versions that come before that.
        extras: of the package. Without "classroom" the tests of the classroom are skipped.
        source: "editable"; "wheel" for a wheel that is built, in a folder without the repository;
            or "binder" for the list of `binder/environment.yml`, and then what `postBuild` does.
        whole: whether all notebooks run, assignments included.
    """

    name: str
    python: str
    resolution: str = "highest"
    pins: tuple[str, ...] = ()
    extras: str = "lab,test"
    source: str = "editable"
    whole: bool = False

    @property
    def folder(self) -> Path:
        """Return the folder of the environment and its logs."""
        return FOLDER / self.name

    @property
    def interpreter(self) -> Path:
        """Its Python."""
        return self.folder / "env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def rows() -> list[Row]:
    """Newest and oldest on each Python, what was tested, what Binder has, what Colab has."""
    tested = pin.read_pins(ROOT / "constraints.txt")
    pinned = tuple(
        f"{name}=={version}" for part in tested.values() for name, version in part.items()
    )
    at_colab = tuple(f"{name}=={version}" for name, version in colab.VERSIONS.items())
    return [
        *(Row(f"newest-{python}", python, extras="lab,test,classroom") for python in PYTHONS),
        *(Row(f"oldest-{python}", python, "lowest-direct") for python in PYTHONS),
        Row("wheel", pin.PYTHON, source="wheel"),
        Row("binder", pin.PYTHON, pins=pinned, source="binder"),
        Row("colab", colab.PYTHON, pins=at_colab, whole=True),
    ]


# === One row ===


def install(row: Row) -> str:
    """Make the environment of a row; what went wrong, or nothing."""
    row.folder.mkdir(parents=True, exist_ok=True)
    constraints = row.folder / "constraints.txt"
    constraints.write_text("\n".join(row.pins) + "\n")
    pip = ["pip", "install", "-q", "--python", str(row.interpreter)]
    chosen = [*pip, "--resolution", row.resolution, "--constraint", str(constraints)]
    commands = [["venv", "-q", "--clear", "--python", row.python, str(row.folder / "env")]]
    if row.source == "binder":
        listed = re.findall(r"- ([\w.-]+==\S+)", (ROOT / "binder/environment.yml").read_text())
        commands += [[*pip, *listed], [*pip, "--no-deps", "."], [*chosen, f".[{row.extras}]"]]
    elif row.source == "wheel":
        shutil.rmtree(row.folder / "dist", ignore_errors=True)
        commands.append(["build", "-q", "--wheel", "--out-dir", str(row.folder / "dist"), "."])
        wheel = f"falcon_edu[{row.extras}] @ {(row.folder / 'dist').as_uri()}/{wheel_name()}"
        commands.append([*chosen, wheel])
    else:
        commands.append([*chosen, "-e", f".[{row.extras}]"])
    for command in commands:
        done = subprocess.run([uv(), *command], cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            return last_line(done.stderr)
    return ""


def wheel_name() -> str:
    """Return the name of this version's wheel."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return f"falcon_edu-{project['version']}-py3-none-any.whl"


def uv() -> str:
    """Return the path of uv, which can choose the oldest versions, as pip can't."""
    places = [str(Path(sys.executable).parent), os.environ["PATH"]]
    if path := shutil.which("uv", path=os.pathsep.join(places)):
        return path
    raise FileNotFoundError("The matrix needs uv: pip install uv")


def check(row: Row, tests: list[str], notebooks: list[Path]) -> dict[str, str]:
    """Run tests and notebooks in the environment of a row; the cells of its line."""
    start = time.monotonic()
    found = {"row": row.name, "Python": row.python, **versions(row)}
    nbval = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=600", "--dist", "loadscope"]
    if row.source == "wheel":
        with tempfile.TemporaryDirectory() as folder:
            found["tests"] = said(row, folder, "doctor")
            said(row, folder, "notebooks", "here")
            copied = [str(Path(folder, "here", path.name)) for path in notebooks]
            found["notebooks"] = outcome(row, "notebooks", ["-n", "2", *nbval, *copied], folder)
    else:
        found["tests"] = outcome(row, "tests", ["-n", "2", *tests])
        report = ["-n", "2", "-p", "tools.notebook_report", *nbval]
        if row.whole:
            notebooks = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
            notebooks += sorted((ROOT / "notebooks/exercises/source").glob("*/*.ipynb"))
        found["notebooks"] = outcome(row, "notebooks", [*report, *map(str, notebooks)])
    return found | {"minutes": f"{(time.monotonic() - start) / 60:.1f}"}


def said(row: Row, folder: str, *words: str) -> str:
    """Return the last line of what `python -m falcon_edu` says, far from the repository."""
    command = [str(row.interpreter), "-m", "falcon_edu", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return last_line(done.stdout) if done.returncode == 0 else f"1 failed: {last_line(done.stderr)}"


def versions(row: Row) -> dict[str, str]:
    """Return the versions that a row has of what matters most."""
    code = f"from importlib.metadata import version\nfor name in {SHOWN}: print(version(name))"
    told = subprocess.run([row.interpreter, "-c", code], capture_output=True, text=True)
    return dict(zip(SHOWN, told.stdout.split() or ["-"] * len(SHOWN), strict=True))


def outcome(row: Row, name: str, arguments: list[str], folder: str | Path = ROOT) -> str:
    """Run pytest, and return its last line; the whole output is in a log beside the environment."""
    log = row.folder / f"{name}.log"
    with log.open("w") as file:
        command = [str(row.interpreter), "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
        subprocess.run(command, cwd=folder, stdout=file, stderr=subprocess.STDOUT)
    return summary(last_line(log.read_text()))


def summary(line: str) -> str:
    """Return the counts in pytest's last line.

    >>> summary("1 failed, 20 passed, 3 warnings in 4.56s")
    '1 failed, 20 passed'
    >>> summary("ModuleNotFoundError: No module named 'keras'")
    "ModuleNotFoundError: No module named 'keras'"
    """
    counts = re.findall(r"\d+ (?:failed|passed|skipped|errors?)\b", line)
    return ", ".join(counts) or line


def last_line(text: str) -> str:
    """Return the last line of a text that says anything."""
    return (text.strip().splitlines() or ["nothing was said"])[-1]


# === All of them ===


def table(lines: list[dict[str, str]]) -> str:
    """Return lines of cells as a Markdown table.

    >>> print(table([{"row": "colab", "jax": "0.7.2"}]))
    | row | jax |
    |---|---|
    | colab | 0.7.2 |
    """
    titles = list(dict.fromkeys(title for line in lines for title in line))
    shown = [titles, *([line.get(title, "") for title in titles] for line in lines)]
    body = [f"| {' | '.join(cells)} |" for cells in shown]
    return "\n".join([body[0], "|" + "---|" * len(titles), *body[1:]])


def main() -> int:
    """Make and check the rows; the exit status is 1 when something failed."""
    known = {row.name: row for row in rows()}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(known)}; none means all")
    parser.add_argument("--install-only", action="store_true")
    parser.add_argument("--keep", action="store_true", help="use environments that are there")
    parser.add_argument("--tests", nargs="*", default=TESTS)
    parser.add_argument("--notebooks", nargs="*", default=NOTEBOOKS, help="such as 00 03")
    chosen = parser.parse_args()
    if unknown := set(chosen.rows) - known.keys():
        parser.error(f"there is no row {', '.join(sorted(unknown))}; rows are {', '.join(known)}")

    notebooks = [p for n in chosen.notebooks for p in (ROOT / "notebooks").glob(f"{n}_*.ipynb")]
    lines = []
    for name in chosen.rows or known:
        row = known[name]
        wrong = "" if chosen.keep and row.interpreter.exists() else install(row)
        line = {"row": name, "Python": row.python}
        if wrong:
            line["tests"] = f"not installed, 1 failed: {wrong}"
        elif chosen.install_only:
            line |= versions(row)
        else:
            line = check(row, chosen.tests, sorted(notebooks))
        lines.append(line)
        print(" ".join(line.values()), flush=True)
    print(f"\n{table(lines)}")
    told = " ".join(cell for line in lines for cell in line.values())
    return 1 if re.search("failed|error|Error", told) else 0


if __name__ == "__main__":
    sys.exit(main())

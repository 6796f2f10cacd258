"""Keep the exact versions of the environment in the files that need them.

    python tools/pin.py freeze constraints.txt lab test classroom
    python tools/pin.py freeze constraints-peers.txt test peers
    python tools/pin.py environments

`freeze` reads the packages that are installed, `environments` the files. `pyproject.toml` says what
would do (bounds), the constraints say what was tested (pins), and the conda environments follow
from both. `tests/test_project.py` fails when they differ.
"""

import argparse
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PYTHON = "3.12"  # exactly: Binder's builder turns a range into an old Python


def requirements(extra: str) -> list[Requirement]:
    """Return what `pyproject.toml` asks for: the core and an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + project["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


def closure(wanted: list[Requirement]) -> dict[str, str]:
    """Name and installed version of the wanted packages and of all that they need."""
    versions: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = list(wanted)
    while todo:
        requirement = todo.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        distribution = metadata.distribution(name)
        # "2.13.0+cpu" is a build of 2.13.0, and the pin is for every build.
        versions[name] = distribution.version.partition("+")[0]
        for line in distribution.requires or []:
            needed = Requirement(line)
            if applies(needed, extras):
                todo.append(needed)
    return dict(sorted(versions.items()))


def applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    """True if the marker of a requirement holds here, for any of the extras asked for."""
    if requirement.marker is None:
        return True
    here = {key: str(value) for key, value in default_environment().items()}
    return any(requirement.marker.evaluate({**here, "extra": extra}) for extra in extras or {""})


def read_pins(path: Path) -> dict[str, dict[str, str]]:
    """Return the pins of a constraints file: a dict of `name: version` for each `# extra` block."""
    blocks: dict[str, dict[str, str]] = {}
    for block in path.read_text().strip().split("\n\n")[1:]:
        title, *pins = block.splitlines()
        blocks[title.removeprefix("# ")] = dict(pin.split("==") for pin in pins)
    return blocks


def format_pins(file: str, extras: list[str]) -> str:
    """Return the text of a constraints file: a block for each extra, without what came before."""
    command = " ".join(["freeze", file, *extras])
    text = f"# Tested versions; `python tools/pin.py {command}` writes them.\n"
    done: set[str] = set()
    for extra in extras:
        pins = [f"{n}=={v}" for n, v in closure(requirements(extra)).items() if n not in done]
        done.update(pin.partition("==")[0] for pin in pins)
        text += "\n" + "\n".join([f"# {extra}", *pins]) + "\n"
    return text


def environments() -> dict[str, str]:
    """Return the text of the conda environment files, by path."""
    head = f"""\
# `python tools/pin.py environments` writes this.
name: falcon_edu
channels: [conda-forge]
dependencies:
  - python={PYTHON}
  - pip
"""
    # Binder builds its environment before it has the rest of the repository, so its file stands
    # alone; `binder/postBuild` adds the package itself.
    pins = [f"{n}=={v}" for n, v in read_pins(ROOT / "constraints.txt")["lab"].items()]
    return {
        "environment.yml": head + pip_section("-c constraints.txt", "-e .[lab]"),
        "binder/environment.yml": head + pip_section(*pins),
    }


def pip_section(*items: str) -> str:
    """Return the pip section of a conda environment."""
    return "  - pip:\n" + "".join(f"      - {item}\n" for item in items)


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    freeze = commands.add_parser("freeze", help="pin what is installed here")
    freeze.add_argument("file")
    freeze.add_argument("extras", nargs="+")
    commands.add_parser("environments", help="write the conda environments")
    arguments = parser.parse_args()

    if arguments.command == "freeze":
        (ROOT / arguments.file).write_text(format_pins(arguments.file, arguments.extras))
    else:
        for path, text in environments().items():
            (ROOT / path).parent.mkdir(exist_ok=True)
            (ROOT / path).write_text(text)


if __name__ == "__main__":
    main()

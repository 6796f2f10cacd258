"""`python -m falcon_edu notebooks ./here`: the course, out of the installed package."""

import sys
from pathlib import Path

from falcon_edu.storage.files import replace_file
from falcon_edu.storage.strangers import quoted

HERE = Path(__file__).parent
COURSE = (HERE / "lessons", HERE.parents[1] / "notebooks")  # in a wheel, in the repository
COPIED = (".ipynb", ".md", ".py")


def main(folder):
    """Copy the course and say what became of it; return the exit status."""
    try:
        copied, kept = copy_notebooks(folder)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Files of the course that were copied to {folder}: {len(copied)}.")
    if kept:
        print(f"These differ from the course's and stayed as they are: {', '.join(kept)}.")
        print("For a fresh one, move yours away and run this again.")
    print(f"Begin with: jupyter lab {quoted(Path(folder) / '00_welcome.ipynb')}")
    return 0


def copy_notebooks(folder):
    """Copy notebooks, exercises and solutions into a folder. What is there stays as it is.

    Args:
        folder: path of a folder; it is made if need be.

    Returns:
        Two lists of paths in the folder: what was copied, and what was there and is different.

    Raises:
        FileNotFoundError: this copy of falcon_edu has no notebooks.
        ValueError: `folder` is a file.

    Example:

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "here"
    >>> copied, kept = copy_notebooks(folder)
    >>> copied[0], kept
    ('00_welcome.ipynb', [])
    >>> _ = (folder / "00_welcome.ipynb").write_text("my work")
    >>> copy_notebooks(folder)
    ([], ['00_welcome.ipynb'])
    """
    folder, course = Path(folder), course_folder()
    if folder.is_file():
        raise ValueError(f"The notebooks need a folder. Received a file: {folder}")
    copied, kept = [], []
    for name in course_files(course):
        target, content = folder / name, (course / name).read_bytes()
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            replace_file(target, lambda path, content=content: path.write_bytes(content))
            copied.append(name)
        elif target.read_bytes() != content:
            kept.append(name)
    return copied, kept


def course_folder():
    """Return the folder of the course, inside an installed package or beside it."""
    for folder in COURSE:
        if (folder / "00_welcome.ipynb").is_file():
            return folder
    raise FileNotFoundError(
        "This copy of falcon_edu has no notebooks; reinstall it: "
        "pip install --force-reinstall --no-deps git+https://github.com/falcon-edu/falcon_edu"
    )


def course_files(course):
    """Return the paths of the course's files, relative to its folder, in order."""
    found = (path.relative_to(course) for path in sorted(course.rglob("*")) if path.is_file())
    return [
        path.as_posix()
        for path in found
        if path.suffix in COPIED and not any(part.startswith((".", "__")) for part in path.parts)
    ]

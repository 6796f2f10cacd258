"""`python -m falcon_edu predictions FOLDER`: what a class guessed, question by question.

The folder has one for each student, with the `predictions.json` of each somewhere in it. These are
strangers' files: what does not fit is left out, and said.
"""

import html
import os
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from falcon_edu.course.predictions import kept, pictures
from falcon_edu.course.predictions.questions import Question
from falcon_edu.storage.files import replace_file
from falcon_edu.storage.strangers import listed, plain

PAGE = "predictions.html"
MOST_FILES = 100  # of a student
MOST_QUESTIONS = 1_000

Guesses = dict[str, dict[str, dict[str, Any]]]  # by question and student


def main(folder: str, page: str = PAGE) -> int:
    """Write the page of a class, and say what is in it; return the exit status.

    Args:
        folder: what students handed in.
        page: path of the page.
    """
    if not Path(folder).is_dir():
        print(f"There is no folder {folder}.", file=sys.stderr)
        return 1
    guesses, left_out = collect(Path(folder))
    if left_out:
        print(f"Left out: {listed(left_out)}.")
    if not guesses:
        print(f"No student's folder in {folder} has a {kept.FILE} with a guess.", file=sys.stderr)
        return 1
    text = page_of(guesses)
    try:
        replace_file(page, lambda draft: draft.write_text(text, "utf-8"))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    students = {student for of in guesses.values() for student in of}
    print(f"{page}: {len(guesses)} questions, guessed by {len(students)} students.")
    return 0


def collect(folder: Path) -> tuple[Guesses, list[str]]:
    """Read all guesses below a folder.

    Args:
        folder: it has a folder for each student.

    Returns:
        Entries by question and student, and the files that hold none.
    """
    guesses: Guesses = defaultdict(dict)
    left_out = []
    for student in sorted(folder.iterdir()):
        files = list(islice(_files(student), MOST_FILES + 1))
        if len(files) > MOST_FILES:
            left_out.append(f"{student.name} (all but {MOST_FILES} of the files)")
        for path in files[:MOST_FILES]:
            try:
                entries = kept.read(path)
            except (OSError, ValueError) as error:
                left_out.append(f"{path.relative_to(folder).as_posix()} ({error})")
                continue
            for name, entry in islice(entries.items(), MOST_QUESTIONS):
                guesses[name].setdefault(student.name, entry)  # of two files the first one counts
    asked = [name for name, of in guesses.items() if _agreed(name, of)]
    asked.sort(key=lambda name: -len(guesses[name]))  # no student crowds out what all were asked
    return {name: guesses[name] for name in asked[:MOST_QUESTIONS]}, left_out


def _files(student: Path) -> Iterator[Path]:
    """Yield a student's files, in order. A link could lead anywhere, so none is followed."""
    if student.is_symlink():
        return
    for place, folders, files in os.walk(student):
        folders.sort()
        path = Path(place) / kept.FILE
        if kept.FILE in files and not path.is_symlink():
            yield path


def _agreed(name, of) -> Question | None:
    """Return the question as most students have it: one may have edited a file."""
    asked = Counter(filter(None, (kept.question_of(name, entry) for entry in of.values())))
    return asked.most_common(1)[0][0] if asked else None


def page_of(guesses: Guesses) -> str:
    """Return the page: for each question its guesses, how they are spread, and the truth."""
    parts = []
    for name in sorted(guesses):
        asked = _agreed(name, guesses[name])
        if asked is None:
            continue
        entries = [entry for entry in guesses[name].values() if not entry.get("late")]
        found = [guess for e in entries if (guess := kept.guess_in(asked, e)) is not None]
        truths = Counter(t for e in entries if (t := kept.truth_in(asked, e)) is not None)
        truth = truths.most_common(1)[0][0] if truths else None
        parts.append(
            f"<h2>{html.escape(plain(name))}: {html.escape(plain(asked.text, 200))}</h2>\n"
            f"<p>{html.escape(_said(asked, found, truth))}</p>\n"
            f"{pictures.histogram(asked, found, truth)}"
        )
    return pictures.page("What the class predicted", "\n".join(parts))


def _said(asked, found, truth):
    """Return in words what a class guessed."""
    if not found:
        return "Nobody guessed before the answer was shown."
    said = f"{len(found)} {'guess' if len(found) == 1 else 'guesses'}"
    if asked.between is not None:
        said += f", the middle one {asked.told(statistics.median_low(found))}"
    if truth is None:
        return f"{said}. Nobody has seen the answer yet."
    exact = sum(guess == truth for guess in found)
    return f"{said}. The truth: {asked.told(truth)}; {exact} had it exactly."

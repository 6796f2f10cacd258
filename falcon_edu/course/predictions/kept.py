"""`predictions.json`, beside the notebooks: what the reader guessed, and what was true.

It is the reader's own file, and for a teacher a stranger's. A file that can't be read is set aside,
never overwritten; where none can be written, guesses last as long as the session.
"""

import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from falcon_edu.course.predictions.questions import Question
from falcon_edu.storage.files import replace_file

FILE = "predictions.json"
MOST = 1_000_000  # bytes; a reader of the whole course needs a fiftieth
UNWRITABLE = f"No {FILE} can be written here, so your guesses last as long as this kernel."

Entry = dict[str, Any]
Entries = dict[str, Entry]
_unwritten: Entries = {}


def read(path: Path) -> Entries:
    """Return what a file holds: `{name: entry}`, each entry a dict whose values may be anything.

    Args:
        path: of the file.

    Raises:
        OSError: it is not there, is no file, or can't be read.
        ValueError: it is too large, or holds something else.
    """
    if path.exists() and not path.is_file():  # a pipe would keep us waiting
        raise OSError(f"{path.name} is no file.")
    with open(path, "rb") as file:
        data = file.read(MOST + 1)
    if len(data) > MOST:
        raise ValueError(f"{path.name} has more than {MOST:,} bytes.")
    try:
        found = json.loads(data.decode())
    except (ValueError, RecursionError):
        raise ValueError(f"{path.name} is damaged: it is no JSON.") from None
    if not isinstance(found, dict) or not all(isinstance(entry, dict) for entry in found.values()):
        raise ValueError(f"{path.name} holds no predictions.")
    return found


def entries() -> tuple[Entries, str]:
    """Return what is kept in this folder and this session, and what is wrong with the file."""
    try:
        kept, problem = read(Path(FILE)), ""
    except OSError:
        kept, problem = {}, ""
    except ValueError as error:
        kept, problem = {}, f"{error} With your next guess it is set aside, and a new one begins."
    return {**kept, **_unwritten}, problem


def change(name: str, changed: Callable[[Entry], Entry]) -> tuple[Entry, str]:
    """Change the entry of one question; whoever changes the same file meanwhile waits.

    Args:
        name: of the question.
        changed: a function from the entry as it is, empty where there is none, to the new one.

    Returns:
        The new entry, and what the reader should know: the file was set aside, or can't be written.
        As a rule nothing.
    """
    path, said = Path(FILE).absolute(), []
    kept: Entries = {}

    def write(draft):
        try:
            kept.update(read(path))
        except FileNotFoundError:
            pass
        except ValueError as error:
            said.append(f"{error} It is called {_set_aside(path)} now, and a new one begins.")
        kept.update(_unwritten)
        kept[name] = changed(kept.get(name, {}))
        draft.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")

    try:
        replace_file(path, write)  # only one at a time is let into `write`
    except (OSError, ValueError, RecursionError):  # Python reads JSON deeper than it writes any
        _unwritten[name] = changed(entries()[0].get(name, {}))
        return _unwritten[name], " ".join([*said, UNWRITABLE])
    _unwritten.clear()
    return kept[name], "".join(said)


def _set_aside(path):
    """Give a file a name that no other has, and return it."""
    for number in itertools.count(1):
        aside = path.with_name(f"{path.stem}-damaged-{number}.json")
        if not os.path.lexists(aside):
            os.rename(path, aside)
            return aside.name


def question_of(name: str, entry: Entry) -> Question | None:
    """Return the question of an entry, if it holds one."""
    try:
        between = entry.get("between")
        return Question(
            name,
            entry.get("question", name),
            tuple(entry.get("choices") or ()),
            tuple(between) if between else None,
            entry.get("unit", ""),
        )
    except (TypeError, ValueError):
        return None


def entry_of(question: Question, guess: Any, is_late: bool) -> Entry:
    """Return the entry of a guess; it is late if the answer had been shown."""
    asked = {"choices": question.choices} if question.choices else {"between": question.between}
    unit = {"unit": question.unit} if question.unit else {}
    late = {"late": True} if is_late else {}
    return {"question": question.text, **asked, **unit, "guess": guess, **late}


def guess_in(question: Question, entry: Entry) -> Any:
    """Return the guess of an entry, or `None` where there is none that answers the question."""
    return _valid(question.read, entry.get("guess"))


def truth_in(question: Question, entry: Entry) -> Any:
    """Return the truth of an entry, or `None` where none was shown that answers the question."""
    return _valid(question.true, entry.get("truth"))


def _valid(read, value):
    try:
        return None if value is None else read(value)
    except (TypeError, ValueError):
        return None

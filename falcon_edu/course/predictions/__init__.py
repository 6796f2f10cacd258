"""Predictions: a guess before a cell runs, the truth over it after, and where one was surprised.

    predict("03 luckiest", "The weight of the luckiest key?", between=(0, 1))  # asks
    reveal("03 luckiest", round(largest, 2))  # shows both
    surprises()  # all of them, the worst first

Guesses are kept in `predictions.json`, beside the notebooks. Saved outputs never hold one.
"""

from collections.abc import Sequence
from typing import Any

from falcon_edu.course.predictions import kept, pictures
from falcon_edu.course.predictions.questions import Question, plain_number, told
from falcon_edu.course.predictions.rows import Row, Shown, panel

__all__ = ["predict", "reveal", "surprises"]

LATE = "Kept. The answer was shown already, so it does not count."
CLOSED = f"That was your guess. To guess anew, take it out of {kept.FILE}."
NOTHING = "Where your guesses were farthest from the truth is listed here, once you have made some."

_rows: dict[str, Row] = {}  # of this session
_shown: set[str] = set()  # names of the questions whose answers it has shown


def predict(
    name: str,
    question: str | None = None,
    *,
    choices: Sequence[str] | None = None,
    between: tuple[float, float] | None = None,
    unit: str = "",
) -> Row:
    """Ask for a guess, and keep it.

    Args:
        name: what `reveal` finds the guess by; no two questions in a folder share one.
        question: what is asked, in a few words; as a rule the name.
        choices: the answers to choose from, or
        between: the least and the largest number that may be guessed.
        unit: what stands behind the number, such as "%".

    Returns:
        The row with the question, for a cell to end with.

    Raises:
        ValueError: neither choices nor bounds, or both, or unfit ones.

    Example:

    >>> predict("rows", "How many rows has the map?", between=(1, 100))
    How many rows has the map? (a number, 1 to 100) Run the cell to guess.
    """
    asked = Question(name, question or name, tuple(choices or ()), between, unit)
    entries, said = kept.entries()
    entry = entries.get(name, {})
    guess = kept.guess_in(asked, entry)
    is_open = guess is None or ("truth" not in entry and name not in _shown)
    said = said or ("" if is_open else CLOSED)
    _rows[name] = Row(asked, guess, lambda guess: _keep(asked, guess), said, is_open)
    return _rows[name]


def _keep(asked, guess):
    """Keep a guess, but not in place of one that the truth stands over; return what to say."""

    def changed(entry):
        if "truth" in entry and kept.guess_in(asked, entry) is not None:  # in another kernel
            return entry
        return kept.entry_of(asked, guess, asked.name in _shown or bool(entry.get("late")))

    entry, problem = kept.change(asked.name, changed)
    if problem or "truth" in entry:
        return problem or CLOSED
    return LATE if entry.get("late") else f"Kept: {asked.told(guess)}."


def reveal(name: str, truth: Any) -> Shown:
    """Lay the reader's guess over the truth.

    Args:
        name: the name that `predict` was given.
        truth: what is true: a number, or one of the choices.

    Returns:
        Both in words and in a small picture, for a cell to end with. What a file keeps of it is the
        truth alone.

    Raises:
        ValueError: the truth is no number, or none of the choices.

    Example:

    >>> _ = predict("rows", "How many rows has the map?", between=(1, 100), unit="rows")
    >>> reveal("rows", 9)
    The truth: 9 rows.
    """
    entry = kept.entries()[0].get(name, {})
    row = _rows.get(name)
    asked = row.question if row else kept.question_of(name, entry)
    if asked is None:  # the cell that asks was passed over
        plain = truth if isinstance(truth, str) else plain_number(truth)
        return Shown(None, f"The truth: {told(plain)}.")
    truth, guess = asked.true(truth), kept.guess_in(asked, entry)
    _shown.add(name)
    said = f"The truth: {asked.told(truth)}."
    if guess is None:
        return Shown(panel(pictures.told("You made no guess.", asked, None, truth)), said)
    if "truth" not in entry:  # the first one counts: to run the cell with other values is play
        kept.change(name, lambda entry: {"truth": truth, **entry})
    if row:
        row.close()
    yours = f"You: {asked.told(guess)}, {asked.verdict(guess, truth)}."
    return Shown(panel(pictures.told(yours, asked, guess, truth)), said)


def surprises() -> Shown:
    """List the guesses of all notebooks in this folder, those farthest from the truth first.

    Returns:
        A table with a small picture for each, for a cell to end with. A file keeps none of it.

    Example:

    >>> surprises()
    Where your guesses were farthest from the truth is listed here, once you have made some.
    """
    found, waiting = [], 0
    for name, entry in kept.entries()[0].items():
        asked = kept.question_of(name, entry)
        if asked is None or (guess := kept.guess_in(asked, entry)) is None or entry.get("late"):
            continue
        if (truth := kept.truth_in(asked, entry)) is None:
            waiting += 1
        else:
            found.append((asked.surprise(guess, truth), asked, guess, truth))
    if not found:
        return Shown(None, NOTHING)
    found.sort(key=lambda each: (-each[0], each[1].name))
    rows = [pictures.row(asked, guess, truth) for _, asked, guess, truth in found]
    exact = sum(surprise == 0 for surprise, *_ in found)
    said = f"{exact} of {len(found)} guesses were exactly right"
    said += f"; for {waiting} the answer has not come yet." if waiting else "."
    return Shown(panel(f"<p>{said}</p><table>{''.join(rows)}</table>"), NOTHING)

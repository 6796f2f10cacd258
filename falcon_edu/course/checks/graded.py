"""What a graded task is: parts with points, each a check that says what is wrong."""

import contextlib
import functools
import inspect
import io
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from falcon_edu.course.checks.exercise import Exercise, Verdict

import numpy as np


@dataclass(frozen=True)
class Part:
    """A part of a graded task.

    Args:
        points: what it is worth.
        title: what it looks at, in words to the learner.
        check: a function of the answer and of a random generator that raises `Wrong`.
        is_whole: whether the learner's own earlier answers must do, and nothing may stand in.
    """

    points: int
    title: str
    check: Callable
    is_whole: bool = False


@dataclass(frozen=True)
class Mark:
    """Hold what a part says of an answer.

    Args:
        points: what the answer gets, all or nothing.
        part: the part.
        message: what is wrong, or what stood in, or nothing.
    """

    points: int
    part: Part
    message: str = ""

    def __str__(self):
        line = f"{self.points} of {self.part.points}  {self.part.title}"
        return f"{line}: {self.message}" if self.message else line


class Graded:
    """A graded task: several checks of one answer, each worth points.

    The learner calls it in a notebook, nbgrader runs the same cell, the tests call `grade`. Called,
    it prints a line for each part and returns the points, which nbgrader takes as the score.

    Each part draws its numbers from a generator. A learner sees it with the numbers of seed 0; the
    hidden tests of a source notebook call the same task with another seed, so that an answer
    made to fit the visible numbers gains nothing.

    An answer may use earlier ones, as a block uses a norm. A slip should cost its own points, not
    those of all that is built on it: a part that fails with the learner's earlier answers is tried
    once more with right ones in their place, as a patient teacher would.

    Args:
        earlier: right answers of earlier tasks: `{name in the notebook: answer}`.

    Example:

    >>> from falcon_edu.course.checks.exercise import expect_close
    >>> double = Graded()
    >>> @double.part(1, "a whole number")
    ... def _(answer, rng):
    ...     expect_close(answer(3), 6, "the double of 3")
    >>> @double.part(2, "an array")
    ... def _(answer, rng):
    ...     numbers = rng.integers(9, size=4)
    ...     expect_close(answer(numbers), 2 * numbers, "the double")
    >>> double(lambda x: 2 * int(x))
    1 of 1  a whole number
    0 of 2  an array: your answer raised TypeError: ...
    1 of 3 points
    1
    """

    def __init__(self, earlier: dict[str, Any] | None = None):
        self.parts: list[Part] = []
        self.earlier = earlier or {}

    @property
    def points(self) -> int:
        """The points that the task is worth."""
        return sum(part.points for part in self.parts)

    def part(self, points: int, title: str, is_whole: bool = False):
        """Make the function below a part of the task.

        Args:
            points, title, is_whole: as in `Part`.
        """

        def add(check):
            self.parts.append(Part(points, title, check, is_whole))
            return check

        return add

    def __call__(self, answer=None, seed: int = 0) -> int:
        marks = self.grade(answer, seed)
        got = sum(mark.points for mark in marks)
        if seed:
            print("With other numbers:")
        print(*marks, f"{got} of {self.points} points", sep="\n")
        return got

    def grade(self, answer, seed: int = 0) -> list[Mark]:
        """Return the mark of every part, printing nothing.

        Args:
            answer: what the learner made: a function, an array, a number, a class.
            seed: of the numbers that the parts draw.
        """
        return [self._mark(part, answer, seed) for part in self.parts]

    def _mark(self, part, answer, seed) -> Mark:
        verdict = _verdict(part, answer, seed)
        if not verdict.is_right and self.earlier and not part.is_whole:
            stand_in = getattr(answer, "standing_in", None)  # an answer in another process has one
            with stand_in(self.earlier) if stand_in else standing_in(answer, self.earlier):
                verdict = _verdict(part, answer, seed)
            if verdict.is_right:
                message = "with right answers in place of yours to earlier tasks."
                return Mark(part.points, part, message)
        return Mark(part.points if verdict.is_right else 0, part, verdict.message)


def _verdict(part: Part, answer, seed: int) -> Verdict:
    # nbgrader takes whatever is written to stderr for a failure, even a warning.
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        rng = np.random.default_rng(seed)
        return Exercise(lambda given: part.check(given, rng), hint="").grade(apart(answer))


def apart(answer):
    """Return an answer as the judge of a course has it: what it is given are copies.

    What a check compares with is then out of its reach, in the learner's notebook, too.

    Args:
        answer: a function, or a class whose objects are called; others stay what they are.
    """
    if inspect.isfunction(answer):
        return _with_copies(answer)
    if inspect.isclass(answer) and inspect.isfunction(called := vars(answer).get("__call__")):
        return type(answer.__name__, (answer,), {"__call__": _with_copies(called)})
    return answer


def _with_copies(function):
    """Return a function that gets copies; its `in_place` returns what became of them, too."""

    def in_place(*args, **kwargs):
        copies = tuple(map(copied, args))
        result = function(*copies, **{name: copied(each) for name, each in kwargs.items()})
        return None if result is ... else result, copies  # `...` is what a stub returns

    @functools.wraps(function)
    def called(*args, **kwargs):
        return in_place(*args, **kwargs)[0]

    called.in_place = in_place  # type: ignore[attr-defined]
    return called


def copied(value):
    """Return a value with copies of the arrays in it, and of the lists and dictionaries.

    >>> pair = [np.zeros(2), "text"]
    >>> copied(pair)[0] is pair[0]
    False
    """
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, dict):
        return {key: copied(each) for key, each in value.items()}
    return type(value)(map(copied, value)) if type(value) in (list, tuple) else value


def for_each(answer, calls: Iterable[tuple]) -> list:
    """Return what an answer returns for each of many lists of arguments.

    Thousands of calls go to an answer in another process at once, and not one by one.

    Args:
        answer: a function.
        calls: its arguments, a tuple for each call.

    >>> for_each(pow, [(2, 3), (3, 2)])
    [8, 9]
    """
    at_once = getattr(answer, "for_each", None)
    return at_once(calls) if at_once else [answer(*arguments) for arguments in calls]


def in_place(answer, *args, **kwargs) -> tuple[Any, tuple]:
    """Return what an answer returns, and what has become of copies of its arguments.

    What is to be compared with is never in an answer's reach.

    Args:
        answer: a function.
        *args, **kwargs: its arguments.

    >>> numbers = [3, 1]
    >>> in_place(list.sort, numbers), numbers
    ((None, ([1, 3],)), [3, 1])
    """
    if apart := getattr(answer, "in_place", None):  # of an answer in a check, or another process
        return apart(*args, **kwargs)
    copies = tuple(map(copied, args))
    return answer(*copies, **kwargs), copies


@contextlib.contextmanager
def standing_in(answer, others: dict[str, Any]):
    """For a while, what an answer calls by some names is something else.

    Args:
        answer: a function or a class, written in a notebook.
        others: what the names mean meanwhile.

    Example:

    >>> def double(x):
    ...     return 3 * x
    >>> def four_times(x):
    ...     return double(double(x))
    >>> with standing_in(four_times, {"double": lambda x: 2 * x}):
    ...     four_times(1)
    4
    >>> four_times(1)
    9
    """
    written = vars(answer).values() if inspect.isclass(answer) else [answer]
    functions = [inspect.unwrap(each) for each in written if callable(each)]
    names = next((f.__globals__ for f in functions if inspect.isfunction(f)), {})
    kept = {name: names[name] for name in others if name in names}
    names.update(others)
    try:
        yield
    finally:
        for name in others:
            del names[name]
        names.update(kept)

"""Define an exercise: a check that says what is wrong, and on the second failure gives a hint."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


class Wrong(AssertionError):
    """Say what is wrong with an answer, in words to the learner."""


@dataclass(frozen=True)
class Verdict:
    """Hold what a check says of an answer.

    Args:
        is_right: whether the answer passes.
        message: what is wrong with it, or a word of praise.
    """

    is_right: bool
    message: str


class Exercise:
    """A check of a learner's answer; called in a notebook, it prints what it finds.

    The learner, the tests and a grader call the same check: the learner by calling the exercise,
    the others by `grade`, which prints nothing and remembers nothing.

    Args:
        check: a function of the answer that raises `Wrong` through `expect` and `expect_close`.
        hint: what to say from the second failure on.
        praise: what to say of a right answer.

    Example:

    >>> @exercise(hint="Multiply by two.")
    ... def double(answer):
    ...     expect_close(answer(3), 6, "the double of 3")
    >>> double(lambda x: x + 2)
    Not yet: the double of 3 should be 6, but yours is 5.
    >>> double(lambda x: x**2)
    Not yet: the double of 3 should be 6, but yours is 9.
    Hint: Multiply by two.
    >>> double(lambda x: 2 * x)
    Right.
    """

    def __init__(self, check: Callable, hint: str, praise: str = ""):
        self.check, self.hint, self.praise = check, hint, praise
        self.__doc__, self.__name__ = check.__doc__, check.__name__
        self.failures = 0

    def __call__(self, answer=None):
        verdict = self.grade(answer)
        if verdict.is_right:
            print(f"Right. {verdict.message}".rstrip())
            return
        self.failures += 1
        print(f"Not yet: {verdict.message}")
        if self.failures > 1:
            print(f"Hint: {self.hint}")

    def grade(self, answer) -> Verdict:
        """Return the verdict on an answer, printing nothing.

        Args:
            answer: what the learner made: a function, an array, a number, a text, a model.
        """
        if answer is None or answer is ...:
            return Verdict(False, "there is no answer yet.")
        try:
            self.check(_as_none(answer) if inspect.isfunction(answer) else answer)
        except Wrong as wrong:
            return Verdict(False, str(wrong))
        except Exception as error:
            return Verdict(False, f"your answer raised {type(error).__name__}: {error}")
        return Verdict(True, self.praise)


def _as_none(function):
    """Return the function, with the stub's `return ...` turned into None: nothing was returned."""

    @functools.wraps(function)
    def called(*args, **kwargs):
        result = function(*args, **kwargs)
        return None if result is ... else result

    return called


def exercise(hint, praise=""):
    """Make an `Exercise` of the function below.

    Args:
        hint, praise: as in `Exercise`.
    """
    return lambda check: Exercise(check, hint, praise)


def expect(condition, message):
    """Go on if a condition holds, and else say what is wrong.

    Args:
        condition: true or false.
        message: a sentence to the learner, which begins in lower case.

    Raises:
        Wrong: it does not hold.
    """
    if not condition:
        raise Wrong(message)


def given(got):
    """Return what an answer returned, if it returned anything.

    Args:
        got: the learner's value.

    Raises:
        Wrong: it is `None`.

    >>> given(3)
    3
    """
    expect(got is not None, "nothing was returned.")
    return got


def expect_close(got, wanted, what, tolerance=1e-5):
    """Go on if numbers are as they should be, and else say how they are not.

    Args:
        got: the learner's number or array.
        wanted: what it should be.
        what: what it is, in words: "the weights of the last query".
        tolerance: largest difference that counts as equal, relative above 1, absolute below.

    Raises:
        Wrong: it is no array of numbers, has another shape, or other values.

    Example:

    >>> expect_close(np.ones((2, 3)), np.ones((3, 2)), "the map")
    Traceback (most recent call last):
    falcon_edu.course.checks.exercise.Wrong: the map should have shape (3, 2), but yours has (2, 3).
    """
    expect(got is not None, f"{what} is still missing: nothing was returned.")
    try:
        numbers = np.asarray(got, dtype="float64")
    except (TypeError, ValueError):
        raise Wrong(f"{what} should be numbers, but yours is a {type(got).__name__}.") from None
    wanted = np.asarray(wanted, dtype="float64")
    expect(
        numbers.shape == wanted.shape,
        f"{what} should have shape {wanted.shape}, but yours has {numbers.shape}.",
    )
    off = ~(abs(numbers - wanted) <= tolerance * np.maximum(1, abs(wanted)))
    if off.any():
        place = tuple(int(i) for i in np.argwhere(off)[0])
        at = f" at {list(place)}" if place else ""
        raise Wrong(f"{what}{at} should be {wanted[place]:.6g}, but yours is {numbers[place]:.6g}.")

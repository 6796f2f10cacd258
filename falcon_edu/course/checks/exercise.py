"""Define an exercise: a check that says what is wrong, and gives a hint in two steps."""

import functools
import inspect
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


class Wrong(AssertionError):
    """Say what is wrong with an answer, in words to the learner."""


class Untouched(Exception):
    """Say that an answer still is the stub, which returns `...`."""


@dataclass(frozen=True)
class Verdict:
    """Hold what a check says of an answer.

    Args:
        is_right: whether the answer passes.
        message: what is wrong with it, or a word of praise.
        is_blank: whether there was no answer yet.
    """

    is_right: bool
    message: str
    is_blank: bool = False


class Exercise:
    """A check of a learner's answer; called in a notebook, it prints what it finds.

    The learner, the tests and a grader call the same check: the learner by calling the exercise,
    the others by `grade`, which prints nothing and remembers nothing. A stub is no failure.

    Args:
        check: a function of the answer that raises `Wrong` through `expect` and `expect_close`.
        hint: what to say from the third failure on: how it is done.
        nudge: what to say at the second failure: where to look.
        praise: what to say of a right answer.
        wants: what is to be returned, in words: "an array (t, m)".

    Example:

    >>> @exercise(nudge="Which operation is it?", hint="Multiply by two.")
    ... def double(answer):
    ...     expect_close(answer(3), 6, "the double of 3")
    >>> double(lambda x: ...)
    Not yet: there is no answer yet.
    >>> double(lambda x: x + 2)
    Not yet: the double of 3 should be 6, but yours is 5.
    >>> double(lambda x: x**2)
    Not yet: the double of 3 should be 6, but yours is 9.
    Hint: Which operation is it?
    >>> double(lambda x: x**3)
    Not yet: the double of 3 should be 6, but yours is 27.
    Hint: Multiply by two.
    >>> double(lambda x: 2 * x)
    Right.
    """

    def __init__(
        self, check: Callable, hint: str, praise: str = "", nudge: str = "", wants: str = ""
    ):
        self.check, self.hint, self.praise, self.nudge = check, hint, praise, nudge
        self.wants = wants or "something else"
        self.__doc__, self.__name__ = check.__doc__, check.__name__
        self.failures = 0

    def __call__(self, answer=None):
        verdict = self.grade(answer)
        if verdict.is_right:
            print(f"Right. {verdict.message}".rstrip())
            return
        print(f"Not yet: {verdict.message}")
        self.failures += not verdict.is_blank
        if self.failures > 1 and not verdict.is_blank:
            print(f"Hint: {self.nudge if self.nudge and self.failures == 2 else self.hint}")

    def grade(self, answer) -> Verdict:
        """Return the verdict on an answer, printing nothing.

        Args:
            answer: what the learner made: a function, an array, a number, a text, a model.
        """
        if answer is None or answer is ...:
            return Verdict(False, NO_ANSWER, is_blank=True)
        calls = _Calls()
        try:
            self.check(calls.of(answer) if inspect.isfunction(answer) else answer)
        except Wrong as wrong:
            return Verdict(False, str(wrong))
        except Untouched:
            return Verdict(False, NO_ANSWER, is_blank=True)
        except Exception as error:
            return Verdict(False, _told(error, answer, calls, self.wants))
        return Verdict(True, self.praise)


NO_ANSWER = "there is no answer yet."


class _Calls:
    """The calls of an answer: what it returned last, and what it raised."""

    returned: object = None
    raised: Exception | None = None

    def of(self, function):
        """Return the function; it notes its calls here, and raises `Untouched` if it is a stub."""

        @functools.wraps(function)
        def called(*args, **kwargs):
            try:
                self.returned = function(*args, **kwargs)
            except Exception as error:
                self.raised = error
                raise
            if self.returned is ...:
                raise Untouched
            return self.returned

        return called


def _told(error, answer, calls, wants) -> str:
    """Return what to say of an error: the learner's line, or what was returned that did not fit."""
    names = getattr(inspect.unwrap(answer), "__globals__", None) if callable(answer) else None
    frames = [
        at for at in traceback.walk_tb(error.__traceback__) if at[0].f_globals is names is not None
    ]
    if inspect.isfunction(answer) and error is not calls.raised and not frames:
        return f"your answer returned {described(calls.returned)}, but asked for is {wants}."
    said = f"your answer raised {type(error).__name__}: {error}"
    if not frames:
        return said
    line = traceback.StackSummary.extract(iter(frames[-1:]))[0]
    return f"{said}\n    line {line.lineno}: {line.line}" if line.line else said


def described(value) -> str:
    """Return what a value is, in words to the learner.

    >>> described((np.zeros((2, 3)), [1, 2], "Tom", 4))
    "a tuple of an array of shape (2, 3), a list of 2, 'Tom', 4"
    """
    if hasattr(value, "shape") and np.ndim(value):
        return f"an array of shape {tuple(value.shape)}"
    if isinstance(value, tuple) and 0 < len(value) < 5:
        return f"a tuple of {', '.join(map(described, value))}"
    if isinstance(value, (tuple, list, dict, set)):
        return f"a {type(value).__name__} of {len(value)}"
    short = repr(value)
    return short if len(short) < 60 else f"a {type(value).__name__}"


def exercise(hint, praise="", nudge="", wants=""):
    """Make an `Exercise` of the function below.

    Args:
        hint, praise, nudge, wants: as in `Exercise`.
    """
    return lambda check: Exercise(check, hint, praise, nudge, wants)


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


def several(got, count, message):
    """Return what an answer returned, if it is so many things.

    Args:
        got: the learner's value.
        count: how many things are asked for.
        message: what to return, a sentence to the learner that begins in lower case.

    Raises:
        Wrong: it is `None`, no tuple or list, or of another length.

    >>> several((3, 4), 2, "return two numbers.")
    (3, 4)
    """
    expect(isinstance(given(got), (tuple, list)) and len(got) == count, message)
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
    numbers = _numbers(got)
    expect(numbers is not None, f"{what} should be numbers, but yours is {described(got)}.")
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


def _numbers(got):
    """Return an answer in float64, or `None` if it isn't real numbers."""
    try:  # NumPy would read a number from a text, and drop an imaginary part
        is_other = np.asarray(got).dtype.kind in "SUc"
        return None if is_other else np.asarray(got, dtype="float64")
    except (TypeError, ValueError):
        return None

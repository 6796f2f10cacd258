"""A question that a number or a choice answers: what may be guessed, and how far off a guess is."""

import math
import re
from dataclasses import dataclass
from typing import Any

from falcon_edu.storage.strangers import shown

LONGEST = 200  # characters of a text: it stands in one line
TEXT = re.compile(rf"[^\ud800-\udfff]{{1,{LONGEST}}}", re.DOTALL)  # half a character can't be shown
LARGEST = 1e300  # a number beyond it can't be drawn
GROUPED = re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?")
ON_A_LOG_SCALE = 1000  # times the lower end, or more


@dataclass(frozen=True)
class Question:
    """Hold what is asked.

    Args:
        name: what guess and truth are found by, in all notebooks of a folder.
        text: the question, in one line.
        choices: what to choose from; empty where a number is asked.
        between: the least and the largest number that may be guessed.
        unit: what stands behind a number, such as "%" or "words".

    Raises:
        ValueError: one of them is of another kind, or both or neither of `choices` and `between` is
            given.

    Example:

    >>> rows = Question("rows", "How many rows?", between=(1, 100), unit="rows")
    >>> rows.read("12"), rows.told(12), rows.verdict(12, 9), round(rows.surprise(12, 9), 2)
    (12, '12 rows', '3 rows above', 0.03)
    """

    name: str
    text: str
    choices: tuple[str, ...] = ()
    between: tuple[float, float] | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        for what, value in {"name": self.name, "question": self.text, "unit": self.unit}.items():
            if not _is_text(value) and (what, value) != ("unit", ""):
                raise ValueError(
                    f"`{what}` must be a text of at most {LONGEST} characters. "
                    f"Received: {shown(value)}"
                )
        if bool(self.choices) == bool(self.between):
            raise ValueError(
                "A prediction is a choice or a number: give either `choices` or `between`."
            )
        if self.choices:
            are_texts = all(map(_is_text, self.choices))
            if not (are_texts and 2 <= len(set(self.choices)) == len(self.choices) <= 20):
                raise ValueError(
                    "`choices` must be 2 to 20 texts, no two alike. "
                    f"Received: {shown(list(self.choices))}"
                )
        if self.between:
            try:
                low, high = map(plain_number, self.between)
            except (TypeError, ValueError):
                low = high = 0
            if not low < high:
                raise ValueError(
                    "`between` must be two numbers, the lower one first. "
                    f"Received: {shown(self.between)}"
                )

    def read(self, guess: Any) -> Any:
        """Return what somebody guessed, as a number or one of the choices.

        Args:
            guess: a text, or a number.

        Raises:
            ValueError: it is no number, or out of bounds, or none of the choices.

        >>> Question("years", "How long?", between=(0, 5000), unit="years").read("1,000 years")
        1000
        """
        if self.between is None:
            return self._choice(guess)
        low, high = self.between
        try:
            number = plain_number(_parsed(guess, self.unit) if isinstance(guess, str) else guess)
        except ValueError:
            raise ValueError(f"Write a number, from {low:,} to {high:,}.") from None
        if not low <= number <= high:
            raise ValueError(f"Write a number from {low:,} to {high:,}.")
        return number

    def true(self, truth: Any) -> Any:
        """Return the truth, as a plain number or one of the choices.

        Args:
            truth: what a cell computed; a number of NumPy or JAX will do.

        Raises:
            ValueError: it is no number, or none of the choices.
        """
        return self._choice(truth) if self.between is None else plain_number(truth)

    def _choice(self, value):
        if value not in self.choices:
            known = ", ".join(self.choices)
            raise ValueError(f"{self.name!r} has the choices {known}. Received: {shown(value)}")
        return str(value)

    def told(self, value: Any) -> str:
        """Return a guess or a truth in words."""
        return told(value, self.unit)

    def verdict(self, guess: Any, truth: Any) -> str:
        """Return in words how far a guess is from the truth."""
        if guess == truth:
            return "exactly right"
        if self.between is None:
            return "not right"
        off = plain_number(float(f"{abs(guess - truth):.4g}"))
        return f"{self.told(off)} {'above' if guess > truth else 'below'}"

    def surprise(self, guess: Any, truth: Any) -> float:
        """Return how far a guess is from the truth, from 0 to 1, as a share of the whole range."""
        if self.between is None:
            return float(guess != truth)
        return abs(self.place(guess) - self.place(truth))

    def place(self, number: float) -> float:
        """Return where a number lies between the ends, from 0 to 1; what is beyond is at an end.

        Where the upper end is a thousand times the lower one, equal steps are equal factors.
        """
        assert self.between is not None
        low, high = self.between
        number = min(max(number, low), high)
        if low > 0 and high / low >= ON_A_LOG_SCALE:
            low, high, number = math.log(low), math.log(high), math.log(number)
        return (number - low) / (high - low)


def told(value: Any, unit: str = "") -> str:
    """Return a number with its unit, or a text as it is.

    >>> told(1311625216), told(0.25, "nats"), told(1, "heads"), told(98, "%"), told("yes")
    ('1,311,625,216', '0.25 nats', '1 head', '98%', 'yes')
    """
    if isinstance(value, str):
        return value
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
    unit = unit.removesuffix("s") if value == 1 and len(unit) > 1 else unit
    return f"{text}{'' if unit in ('', '%') else ' '}{unit}"


def plain_number(value: Any) -> int | float:
    """Return a number as Python has it, an `int` where it is whole.

    Raises:
        ValueError: it is no number, or not finite.

    >>> plain_number(3.0), plain_number(0.5)
    (3, 0.5)
    """
    if getattr(value, "size", 0) == 1 and hasattr(value, "item"):  # of NumPy or JAX
        value = value.item()
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not abs(value) < LARGEST:
        raise ValueError(f"A number is asked. Received: {shown(value)}")
    return int(value) if value == int(value) else value


def _is_text(value):
    return isinstance(value, str) and TEXT.fullmatch(value) is not None


def _parsed(text, unit):
    """Read a number as people write it: with its unit, with commas, with a decimal comma."""
    text = text.strip().removesuffix(unit).removesuffix("%").strip()
    if GROUPED.fullmatch(text):
        return float(text.replace(",", ""))
    return float(text.replace(",", "."))

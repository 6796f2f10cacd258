"""What a student's functions and layers are to the judge: something to ask, in another process."""

import builtins
import contextlib
import inspect
import math
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from falcon_edu.course.checks.exercise import Wrong
from falcon_edu.course.checks.graded import copied
from falcon_edu.course.classroom import wire
from falcon_edu.course.classroom.student import Student

import numpy as np

MAX_LENT = 10_000_000  # elements, of what a function of the judge's is asked for


class Thing:
    """Something of the student's that can't cross; it equals itself and is no number."""


class Answer(Thing):
    """Something of the student's that can be called: a function, a class, a layer, a model.

    Args:
        asked: what asks the student's process.
        number: of the thing there.
    """

    def __init__(self, asked: "Answers", number: int):
        self._asked, self._number = asked, number

    def __call__(self, *args, **kwargs):
        return self._asked.call(self._number, [(list(args), kwargs)])[0]

    def in_place(self, *args, **kwargs) -> tuple[Any, tuple]:
        """Return what it returns, and what its arguments are afterwards: copies of these."""
        copies = [copied(each) for each in args]
        result = self._asked.call(self._number, [(copies, kwargs)], in_place=True)[0]
        return result, tuple(copies)

    def for_each(self, calls: Iterable[tuple]) -> list:
        """Return what it returns for each of many lists of arguments, in one go."""
        lists = [list(args) for args in calls]
        same = [i for i, each in enumerate(zip(*lists, strict=True)) if _is_one(each)]
        shared = {i: lists[0][i] for i in same}  # is sent once
        for args in lists:
            for i in same:
                args[i] = None
        return self._asked.call(self._number, [(args, {}) for args in lists], shared)

    @property
    def weights(self) -> list[np.ndarray]:
        """A layer's weights: arrays of their shapes, without their numbers."""
        shapes = self._asked.ask({"do": "weights", "of": self._number})[0].get("value")
        return [np.broadcast_to(0.0, shape) for shape in shapes or []]

    def set_weights(self, weights: list) -> None:
        """Put arrays into a layer."""
        blobs: list[bytes] = []
        spec = wire.encode([np.asarray(weight) for weight in weights], blobs, _no_other)
        self._asked.ask({"do": "set_weights", "of": self._number, "weights": spec}, blobs)

    def standing_in(self, others: dict[str, Any]) -> contextlib.AbstractContextManager:
        """For a while, have names in the student's notebook mean something else."""
        return self._asked.standing_in(others)


class Answers:
    """Asks a student's process for what names mean there, and for what functions return.

    Args:
        student: the process.
        seconds: that all questions together may take.
    """

    def __init__(self, student: Student, seconds: float):
        self.student, self.until = student, time.monotonic() + seconds
        self.seconds = seconds
        self.others: dict = {}
        self.errors: list[BaseException] = []

    def is_over(self) -> bool:
        """Return True if no time is left to ask."""
        return time.monotonic() >= self.until

    def fetch(self, name: str) -> Any:
        """Return what a name means in the notebook.

        Raises:
            NameError: nothing.
        """
        reply, blobs = self.ask({"do": "fetch", "name": name})
        return wire.decode(reply.get("value"), iter(blobs), self._thing)

    def call(
        self,
        number: int,
        calls: list[tuple[list, dict]],
        shared: dict | None = None,
        in_place: bool = False,
    ) -> list:
        """Return what a function of the student's returns, for each list of arguments.

        `shared` has what stands at some places in all lists, instead of a `None` there.

        It gets copies, so the judge's own arrays stay as they are; with `in_place`, what it does to
        its arguments is done to these. An argument that is a function is called here, one that is a
        `Path` is a file there, and comes back.
        """
        lent: list[Callable] = []
        files: list[Path] = []
        generators: list[np.random.Generator] = []
        blobs: list[bytes] = []

        def other(value: Any, blobs: list[bytes]) -> Any:
            if isinstance(value, Path):
                files.append(value)
            if isinstance(value, np.random.Generator):
                generators.append(value)
            return _given(value, blobs, lent)

        spec = wire.encode([list(call) for call in calls], blobs, other)
        earlier = wire.encode(self.others, blobs, other)
        message = {"do": "call", "of": number, "calls": spec, "earlier": earlier}
        message["in_place"] = in_place
        message["shared"] = wire.encode(shared or {}, blobs, other)
        reply, back = self.ask(message, blobs, lent)
        for generator in generators:  # as if it had been used: the next numbers are others
            jumped = generator.bit_generator.jumped()  # type: ignore[attr-defined]
            generator.bit_generator.state = jumped.state
        rest = iter(back)
        results = wire.decode(reply.get("value"), rest, self._thing)
        if not isinstance(results, list) or len(results) != len(calls):
            raise wire.WireError("Another number of results arrived than was asked for.")
        if in_place and "arguments" in reply:
            changed = wire.decode(reply["arguments"], rest, _ignored)
            _write_back(list(calls[0]), changed)
        if "files" in reply:
            contents = wire.decode(reply["files"], rest, _ignored)
            for path, content in zip(files, contents, strict=True):
                if isinstance(content, bytes):
                    path.write_bytes(content)
        # As `Exercise` has it: a stub's `return ...` returns nothing.
        return [None if result is ... else result for result in results]

    def ask(
        self, message: dict, blobs: list[bytes] | None = None, lent: list[Callable] | None = None
    ) -> tuple[dict, list[bytes]]:
        """Ask, and raise what was raised there, as an error of a built-in kind.

        Raises:
            Died: the process ended.
            TimeoutError: the time for this task is over.
        """
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"It took longer than {self.seconds:.0f} seconds.")

        def answer(question: dict, back: list[bytes]) -> tuple[dict, list[bytes]]:
            return self._answer(question, back, lent or [])

        reply, back = self.student.ask(message, blobs, left, answer)
        if "error" in reply:
            raise self._error(reply["error"])
        return reply, back

    def _answer(self, question: dict, back: list[bytes], lent: list) -> tuple[dict, list[bytes]]:
        """Return what a function says that was lent to an answer."""
        try:
            args, kwargs = wire.decode(question.get("call"), iter(back), self._thing)
            _refuse_too_large([*args, *kwargs.values()])
            blobs: list[bytes] = []
            value = lent[question["of"]](*args, **kwargs)
            return {"value": wire.encode(value, blobs, _no_other)}, blobs
        except Exception as error:
            self.errors.append(error)
            return {"error": f"{type(error).__name__}: {error}"[:2000]}, []

    def _error(self, said: Any) -> BaseException:
        """Return the error that was raised there: of the first kind that Python has, or ours."""
        if not isinstance(said, dict):
            raise wire.WireError("An error arrived that is none.")
        names, message = said.get("names") or ["Exception"], str(said.get("message"))[:2000]
        if said.get("asked") is not None and self.errors:
            return self.errors[-1]
        if names[0] == "Wrong":
            return Wrong(message)
        for name in names:
            kind = getattr(builtins, str(name), None)
            if inspect.isclass(kind) and issubclass(kind, Exception):
                with contextlib.suppress(TypeError):  # UnicodeDecodeError wants more
                    # The name is the student's, so that the student knows it again.
                    return type(_name(names[0]), (kind,), {"__str__": lambda _: message})(message)
        return type(_name(names[0]), (Exception,), {})(message)

    def _thing(self, spec: list, blobs: Any) -> Any:
        match spec:
            case ["thing", int(number), str(name), bool(is_callable)]:
                base = Answer if is_callable else Thing
                made = type(_name(name), (base,), {})
                return made(self, number) if is_callable else made()
        raise wire.WireError("A value arrived that has none of the known forms.")

    @contextlib.contextmanager
    def standing_in(self, others: dict[str, Any]):
        """For a while, have names in the student's notebook mean something else."""
        kept, self.others = self.others, others
        try:
            yield
        finally:
            self.others = kept


def _given(value: Any, blobs: list[bytes], lent: list[Callable]) -> Any:
    """Describe an argument for its way, if it is no plain value."""
    if isinstance(value, Answer):
        return ["thing", value._number]
    if isinstance(value, Path):
        content = value.read_bytes() if value.is_file() else None
        return ["file", value.name, None if content is None else _plain(content, blobs)]
    if isinstance(value, np.random.Generator):
        return ["generator", value.bit_generator.state]
    if made_of := getattr(value, "made_of", None):  # a class that a function makes
        function, arguments = made_of
        inner = wire.encode(arguments, blobs, lambda v, b: _given(v, b, lent))
        return ["named", _path(function), inner]
    if isinstance(value, np.ndarray) and type(value) is not np.ndarray:
        return ["view", _path(type(value)), _plain(np.array(value, subok=False), blobs)]
    if inspect.isclass(value):
        return ["named", _path(value), None]
    if callable(value):
        lent.append(value)
        return ["ask", len(lent) - 1]
    return _plain(np.asarray(value), blobs)


def _refuse_too_large(values: list) -> None:
    """Refuse what would fill the judge's memory, in the arrays or in what becomes of them.

    Raises:
        ValueError: the shapes together, stretched or multiplied, give too many elements.
    """
    shapes = list(_shapes(values))
    axes = zip_longest(*(reversed(shape) for shape in shapes), fillvalue=1)
    stretched = math.prod(max(sizes) for sizes in axes)
    longest = sorted(max(shape, default=1) for shape in shapes)[-2:]
    if max(stretched, math.prod(longest)) > MAX_LENT:
        raise ValueError(f"Arrays here may have {MAX_LENT:,} elements, and these give more.")


def _shapes(values: Iterable) -> Iterator[tuple]:
    for value in values:
        if isinstance(value, np.ndarray):
            yield value.shape
        elif isinstance(value, dict):
            yield from _shapes(value.values())
        elif isinstance(value, (list, tuple)):
            yield (len(value),)
            yield from _shapes(value)


def _is_one(values: tuple) -> bool:
    return all(value is values[0] for value in values)


def _path(value: Any) -> str:
    return f"{value.__module__}:{value.__qualname__}"


def _plain(value: Any, blobs: list[bytes]) -> Any:
    return wire.encode(value, blobs, _no_other)


def _no_other(value: Any, blobs: list[bytes]) -> Any:
    array = np.asarray(value)
    if array.dtype.kind not in wire.PLAIN_KINDS:
        raise wire.WireError(f"A {type(value).__name__} can't be sent.")
    return wire.encode(np.array(array, subok=False), blobs, _no_other)


def _ignored(spec: list, blobs: Any) -> Any:
    return ...


def _write_back(mine: Any, theirs: Any) -> None:
    """Do to arrays, lists and dictionaries what was done to their copies."""
    if isinstance(mine, np.ndarray) and isinstance(theirs, np.ndarray):
        if mine.shape == theirs.shape and mine.dtype == theirs.dtype and mine.flags.writeable:
            mine[...] = theirs
    elif isinstance(mine, dict) and isinstance(theirs, dict):
        for key in [key for key in mine if key not in theirs]:
            del mine[key]
        for key, value in theirs.items():
            if key in mine and isinstance(mine[key], (np.ndarray, dict, list, tuple)):
                kept = mine[key]
                _write_back(kept, value)
                if isinstance(kept, np.ndarray) and not np.array_equal(kept, value):
                    mine[key] = value
            elif value is not ...:
                mine[key] = value
    elif isinstance(mine, (list, tuple)) and isinstance(theirs, (list, tuple)):
        for one, other in zip(mine, theirs, strict=False):
            _write_back(one, other)


def _name(name: Any) -> str:
    return name if isinstance(name, str) and name.isidentifier() else "Answer"

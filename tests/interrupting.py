"""Pressing Ctrl-C at a chosen moment: after some number of lines that Keras and ours have run."""

import ast
import functools
import pathlib
import signal
import sys

CODE = ("/keras/src/", "/falcon_edu/")


class Interrupt:
    """A context in which SIGINT comes after `lines` lines; without a number they are counted.

    The handler runs where the signal finds the interpreter, as that of a key that is pressed. The
    first line that is counted is one of Keras's or of the package's, whichever called it. Where
    Keras would swallow the interrupt, it comes later.
    """

    def __init__(self, lines=None):
        self.left = lines
        self.counted = 0

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *error):
        sys.settrace(self.before)

    def _trace(self, frame, event, argument):
        if not any(part in frame.f_code.co_filename for part in CODE):
            return None
        if event == "line":
            self.counted += 1
            if self.left and self.counted >= self.left and not is_swallowed(frame):
                self.left = None
                signal.raise_signal(signal.SIGINT)
        return self._trace


def is_swallowed(frame):
    """True if a frame runs within a `try` of Keras's whose bare `except` would take Ctrl-C."""
    while frame:
        path = frame.f_code.co_filename
        if CODE[0] in path and frame.f_lineno in lines_that_swallow(path):
            return True
        frame = frame.f_back
    return False


@functools.cache
def lines_that_swallow(path):
    """The lines of a file that stand in a `try` with a bare `except`."""
    lines = set()
    for node in ast.walk(ast.parse(pathlib.Path(path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Try) and any(handler.type is None for handler in node.handlers):
            lines.update(range(node.lineno, node.body[-1].end_lineno + 1))
    return lines


def moments(random, act, count, *arguments):
    """Some moments in what `act(*arguments)` does, as numbers of lines, in order."""
    with Interrupt() as counting:
        act(*arguments)
    return sorted(random.sample(range(1, counting.counted), min(count, counting.counted - 1)))

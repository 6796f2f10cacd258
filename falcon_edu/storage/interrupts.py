"""Interrupts (Ctrl-C, Jupyter's stop button) that wait for what must not be left half-done."""

import signal
import threading
from contextlib import contextmanager


class _Hold:
    """A handler that keeps an interrupt for later, or lets the first one through."""

    def __init__(self, handler):
        self.handler, self.held, self.is_open = handler, None, False

    def __call__(self, *received):
        if self.is_open:
            # Cleaning up after this one is not to be disturbed by impatient others.
            self.is_open = False
            self.handler(*received)
        else:
            self.held = received

    def __bool__(self):
        """True if an interrupt waits."""
        return self.held is not None

    def release(self):
        """Do now what an interrupt that waits would have done, if there is one."""
        if received := self.held:
            self.held = None
            self.handler(*received)

    @contextmanager
    def let_through(self):
        """Let one interrupt through, while the block lasts."""
        self.is_open = True
        try:
            self.release()
            yield
        finally:
            self.is_open = False


@contextmanager
def uninterrupted():
    """Keep an interrupt waiting until the block ends, and let it happen then.

    For steps that are short, or that ask now and then whether an interrupt waits. Only the main
    thread is ever interrupted; in another, or where the interrupt is nobody's, nothing is held.

    Returns:
        An object that is true while an interrupt waits. `with hold.let_through():` is for a part
        that may be long and can be broken off.

    Example:

    >>> try:
    ...     with uninterrupted() as hold:
    ...         signal.raise_signal(signal.SIGINT)
    ...         print("to the end;", "an interrupt waits" if hold else "")
    ... except KeyboardInterrupt:
    ...     print("interrupted")
    to the end; an interrupt waits
    interrupted
    """
    handler = signal.getsignal(signal.SIGINT)
    hold = _Hold(handler)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield hold
        return
    signal.signal(signal.SIGINT, hold)
    try:
        yield hold
    finally:
        signal.signal(signal.SIGINT, handler)
        hold.release()

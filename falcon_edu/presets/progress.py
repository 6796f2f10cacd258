"""A bar for the loading and saving of large weights."""

import threading
from contextlib import contextmanager, suppress

from tqdm.auto import tqdm

QUICK = 50e6  # bytes that need no bar
PATIENCE = 1  # seconds before it is drawn


def bar_of_bytes(total, what):
    """Return a bar that moves on by `update(bytes)`, and closes with its `with` block.

    Args:
        total: number of bytes there will be. If they are few, the bar stays invisible.
        what: what is done with them, in a word.

    Example:

    >>> with bar_of_bytes(4, "Loading") as bar:
    ...     _ = bar.update(4)
    """
    is_quick = total < QUICK
    return tqdm(total=total, desc=what, unit="B", unit_scale=True, delay=PATIENCE, disable=is_quick)


@contextmanager
def bar_of_growth(folder, total, what):
    """Return a bar that follows how a folder grows, while the block writes into it in its own way.

    Args:
        folder: path of the folder.
        total: number of bytes by which it will grow, or about so many.
        what: what is done with them, in a word.
    """
    with bar_of_bytes(total, what) as bar:
        if bar.disable:
            yield
            return
        before = _bytes_in(folder)
        done = threading.Event()

        def follow():
            while not done.wait(0.1):
                with suppress(OSError):  # a file that is there for a moment, or a disk that is away
                    # There is more in a file than its numbers; beyond its total a bar forgets it.
                    bar.update(min(_bytes_in(folder) - before, total) - bar.n)

        follower = threading.Thread(target=follow, daemon=True)
        try:
            follower.start()
            yield
        finally:
            done.set()
            if follower.ident:  # or it was interrupted before it ran
                follower.join()
        bar.update(total - bar.n)


def _bytes_in(folder):
    return sum(path.stat().st_size for path in folder.iterdir())

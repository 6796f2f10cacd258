"""A bar for the loading and saving of large weights."""

from tqdm.auto import tqdm

QUICK = 50e6  # bytes that need no bar
PATIENCE = 1  # seconds before it is drawn


def bar_of_bytes(total, what):
    """A bar that its user moves on by `update(bytes)`, and that closes with its `with` block.

    Args:
        total: number of bytes there will be. If they are few, the bar stays invisible.
        what: what is done with them, in a word.

    Example:

    >>> with bar_of_bytes(4, "Loading") as bar:
    ...     _ = bar.update(4)
    """
    is_quick = total < QUICK
    return tqdm(total=total, desc=what, unit="B", unit_scale=True, delay=PATIENCE, disable=is_quick)

"""Warn of a line of the user's, however deep in the package the cause was found."""

import sys
import warnings

# A warning is of the first caller that is in none of these.
_ON_THE_WAY = ("falcon_edu", "keras", "jax", "contextlib", "functools", "concurrent", "threading")


def warn_user(message):
    """Warn, naming the line of the user's program that led here.

    Args:
        message: the text of a `UserWarning`.

    Example:

    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_user("It rains.")
    >>> str(caught[0].message)
    'It rains.'
    """
    depth, frame = 1, sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").split(".")[0] in _ON_THE_WAY:
        depth, frame = depth + 1, frame.f_back
    warnings.warn(message, stacklevel=depth + 1)

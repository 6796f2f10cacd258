"""Compare functions of `my_falcon.py` with the package's, where a shipped Falcon calls them."""

import functools
import math
from types import SimpleNamespace

from falcon_edu.course.your_falcon import package
from falcon_edu.course.your_falcon.falcon import Falcon

import numpy as np

PROMPT = "Once upon a time, there were two friends, Mia and Tom."
NAMES = """
    encode decode norm attention alibi_bias gelu block backbone step sampler read_tensor
""".split()
MOST = 12  # calls of a function that are kept


def parity_of(name, answer) -> float:
    """Return how far a function is from the package's, over what a shipped Falcon asks of it.

    Args:
        name: of a function of `my_falcon.py`.
        answer: the learner's function.

    Returns:
        The largest difference of two numbers; infinite if the results can't be compared.
    """
    try:
        return max(distance(answer(*kept(asked)), wanted) for asked, wanted in real_calls()[name])
    except Exception:
        return math.inf


@functools.cache
def real_calls():
    """Return what the package's Falcon asks of each function: `{name: [(arguments, result)]}`."""
    calls: dict[str, list] = {name: [] for name in NAMES}
    is_over = False

    def watched(name):
        def called(*arguments):
            result = getattr(package, name)(*arguments)
            if not is_over and len(calls[name]) < MOST:
                calls[name].append((arguments, result))
            return result

        return called

    Falcon(SimpleNamespace(**{name: watched(name) for name in NAMES})).write(PROMPT, tokens=2)
    is_over = True  # a block that is called again calls others, which are not to be noted
    return calls


def distance(got, wanted) -> float:
    """Return the largest difference of two results, infinite if they can't be compared.

    >>> distance(([1.0, 2.5], "Tom"), (np.array([1.0, 2.0]), "Tom"))
    0.5
    """
    if isinstance(wanted, tuple):
        if not isinstance(got, (tuple, list, np.ndarray)) or len(got) != len(wanted):
            return math.inf
        return max(map(distance, got, wanted))
    if isinstance(wanted, (str, list)):
        return 0.0 if in_words(got) == wanted else math.inf
    try:
        got = np.asarray(got, dtype="float64")
    except (TypeError, ValueError):
        return math.inf
    if got.shape != wanted.shape or not np.isfinite(got).all():
        return math.inf
    return float(abs(got - wanted).max())


def in_words(value):
    """Return a string as it is, several as a list, and `None` for anything else."""
    if isinstance(value, (list, tuple)) and all(isinstance(each, str) for each in value):
        return list(value)
    return value if isinstance(value, str) else None


def kept(value):
    """Return arguments that can't be changed in place: an answer must leave them as they are."""
    if isinstance(value, tuple):
        return tuple(map(kept, value))
    if isinstance(value, np.ndarray):
        value = value.view()
        value.flags.writeable = False
    return list(value) if isinstance(value, list) else value

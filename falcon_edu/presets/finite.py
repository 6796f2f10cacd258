"""Are all numbers of a tensor finite? Asked of every weight on its way into a model.

NumPy's own `isfinite` takes seconds for the bfloat16 of a large model. But infinity and NaN are
also the largest of all numbers if their bits are read as whole ones: then two maxima tell.
"""

import ml_dtypes
import numpy as np

PIECE = 2**20  # bytes that stay in a cache for the second look


def is_finite(value, dtype=None):
    """Return true if no number of an array is NaN or infinite, nor becomes so in another dtype.

    Args:
        value: an array of floats.
        dtype: name of the dtype of floats that the numbers will be cast to, or `None`.

    Example:

    >>> is_finite(np.array([1e5, -1.0])), is_finite(np.array([1e5, -1.0]), "float16")
    (True, False)
    """
    if not value.dtype.isnative:
        return is_finite(value.astype(value.dtype.newbyteorder()), dtype)
    size = value.itemsize
    beyond = _first_beyond(value.dtype, np.dtype(dtype or value.dtype))
    with_sign = beyond + 2 ** (8 * size - 1)
    flat = value.reshape(-1)  # a copy only of what does not lie in one piece
    for start in range(0, flat.size, PIECE // size):
        piece = flat[start : start + PIECE // size]
        if piece.view(f"i{size}").max() >= beyond or piece.view(f"u{size}").max() >= with_sign:
            return False
    return True


def _first_beyond(source, target):
    """Return the bits of the first number of a dtype that another one can't hold."""
    most = min(float(ml_dtypes.finfo(dtype).max) for dtype in (source, target))
    nearest = np.array(most, source)
    bits = int(nearest.view(f"u{source.itemsize}"))
    return bits + 1 if float(nearest) <= most else bits

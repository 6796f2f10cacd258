"""Numbers that are not finite are found, in every dtype that a file of weights can have."""

from falcon_edu.presets.finite import PIECE, is_finite

import ml_dtypes
import numpy as np
import pytest

DTYPES = ["float16", ml_dtypes.bfloat16, "float32", "float64", ">f4"]
WRONG = [float("nan"), -float("nan"), float("inf"), -float("inf")]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_number_that_is_not_finite_is_found(dtype):
    most = float(ml_dtypes.finfo(np.dtype(dtype).newbyteorder("=")).max)
    array = np.array([[0, -0.0, 1], [most, -most, -1]]).astype(dtype)
    assert is_finite(array)
    for wrong in WRONG:
        for place in np.ndindex(array.shape):
            broken = array.copy()
            broken[place] = wrong
            assert not is_finite(broken)
            assert not is_finite(broken.T)


@pytest.mark.parametrize("wrong", WRONG)
def test_the_last_of_many_numbers_is_looked_at(wrong):
    array = np.zeros(PIECE, "float32")
    assert is_finite(array)
    array[-1] = wrong
    assert not is_finite(array)


@pytest.mark.parametrize(
    ("source", "target", "fits", "does_not"),
    [
        ("float32", "float16", 65504, 65536),
        (ml_dtypes.bfloat16, "float16", 65280, 65536),
        ("float64", "float32", 3.4e38, -1e300),
        ("float32", ml_dtypes.bfloat16, 3.38e38, 3.402e38),
    ],
)
def test_numbers_that_become_infinite_on_the_way_are_found(source, target, fits, does_not):
    assert is_finite(np.array([fits], source), target)
    assert not is_finite(np.array([does_not], source), target)
    assert is_finite(np.array([fits], target), source)


def test_no_numbers_are_finite():
    assert is_finite(np.empty((0, 3), "float32"))

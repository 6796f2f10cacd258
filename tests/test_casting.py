"""Casting on the way from the file: the same numbers, in order, whatever the strides were."""

import gc
import subprocess
import sys
from pathlib import Path

from falcon_edu import FalconBackbone
from falcon_edu.presets import casting

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

shapes = st.lists(st.integers(1, 9), min_size=1, max_size=4)


@given(shapes, st.permutations(range(4)), st.sampled_from([1, 2, 5, 64]), st.integers(1, 9))
def test_tiles_make_no_difference(shape, order, tile, columns):
    value = np.arange(np.prod(shape), dtype="float16").reshape(shape)
    value = value.transpose([axis for axis in order if axis < len(shape)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(casting, "TILE", tile)
        patch.setattr(casting, "NUMBERS", tile * columns)
        result = casting.cast_to_numpy(value, "float32")
    assert result.dtype == "float32"
    np.testing.assert_array_equal(result, value)


@settings(max_examples=40)  # each may be one more program for XLA to compile
@given(
    shapes, st.permutations(range(4)), st.integers(1, 2), st.sampled_from(["float16", "float32"])
)
def test_values_are_cast_whatever_their_strides(shape, order, step, dtype):
    value = np.arange(np.prod(shape), dtype="float16").reshape(shape)
    value = value.transpose([axis for axis in order if axis < len(shape)])[::step]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(casting, "SMALL", 0)
        result = casting.Caster()(value, dtype)
    assert result.dtype == dtype
    assert isinstance(result, jax.Array)
    np.testing.assert_array_equal(result, value)


@pytest.mark.filterwarnings("ignore:Explicitly requested dtype float64")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("rows", [6, 600])
def test_numbers_are_rounded_as_by_jax(dtype, rows):
    value = np.random.default_rng(0).normal(size=(rows, 500)).astype("float32").T
    wanted = np.asarray(jax.numpy.asarray(value).astype(dtype))
    np.testing.assert_array_equal(casting.Caster()(value, dtype), wanted)


@pytest.mark.parametrize("kind", ["float64", ">f4", ">f2"])
def test_what_jax_cannot_read_as_it_is_numpy_casts(kind):
    value = np.random.default_rng(0).normal(size=(600, 500)).astype(kind).T
    np.testing.assert_array_equal(casting.Caster()(value, "float16"), value.astype("float16"))


def test_numpy_gets_the_same_where_a_device_wants_its_part():
    value = np.random.default_rng(0).normal(size=(600, 500)).astype("float16").T
    result = casting.cast_to_numpy(value, "float32")
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result, casting.Caster()(value, "float32"))


def test_what_was_cast_before_stays_as_it_was():
    """Each has memory of its own, even if zeros of that shape are made again and again."""
    zeros = jax.numpy.zeros((600, 500))
    cast = casting.Caster()
    ones, twos = (cast(np.full((600, 500), n, "float16"), "float32") for n in (1, 2))
    for array, number in ((zeros, 0), (ones, 1), (twos, 2), (jax.numpy.zeros((600, 500)), 0)):
        assert (np.asarray(array) == number).all()


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize(
    "view",
    [
        lambda array: array.T,
        lambda array: array[:, :400],
        lambda array: array[::2],
        lambda array: array.reshape(600, 3, 500).transpose(2, 0, 1)[:, :, 1],
        lambda array: array[:, None].T,
        lambda array: np.broadcast_to(array[:, :1], array.shape),
        lambda array: array[::-1],
    ],
)
def test_no_array_lies_where_the_next_is_put(dtype, view):
    """The buffer for the first is the second's too, and the file's numbers may change as well."""
    cast = casting.Caster()
    ones = view(np.full((1800, 500), 1, "float32"))
    array = cast(ones, dtype)
    ones = np.array(ones)
    for n in range(2, 5):
        cast(view(np.full((1800, 500), n, "float32")), dtype)
    np.testing.assert_array_equal(array, ones)


def test_one_number_and_none():
    for shape in ((1,), (0, 3), (3, 0)):
        assert casting.Caster()(np.ones(shape, "float16"), "float32").shape == shape


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float16", "bfloat16", "float32"])
@pytest.mark.parametrize("shape", [(), (1,), (16,), (64, 64), (3, 5, 7), (0, 3)])
def test_a_small_array_is_jaxs_own(shape, dtype):
    """Whatever becomes of the numbers, and for a program that writes its result in their place."""
    numbers = np.ones(shape, dtype)
    array = casting.Caster()(numbers, dtype)
    numbers[...] = 0
    assert (np.asarray(array) == 1).all()
    place = array.unsafe_buffer_pointer()
    again = jax.jit(lambda x: x * 2, donate_argnums=0)(array)
    assert array.is_deleted()
    assert numbers.size == 0 or again.unsafe_buffer_pointer() == place


def test_for_a_small_array_no_program_is_compiled():
    heard: list[str] = []  # JAX 0.7 can't unregister who listens
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: heard.append(event)
    )
    casting.Caster()(np.ones((499, 503), "float16"), "float32")
    assert not [event for event in heard if "compile" in event]


@pytest.mark.parametrize("order", ["C", "F"])
def test_what_jax_keeps_of_a_program_goes_with_the_caster(order):
    def programs():
        gc.collect()
        return len(jax.devices("cpu")[0].client.live_executables())

    casting.Caster()  # which makes an array
    before = programs()
    for rows in range(601, 605):
        casting.Caster()(np.ones((rows, 500), "float16", order), "float32")
    assert programs() <= before + 1  # JAX 0.7 keeps the last one


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's own count")
def test_a_loaded_model_predicts_without_a_second_copy_of_its_weights(tmp_path):
    """What JAX borrows from NumPy it can't hand on, so Keras's `predict` would copy it."""
    script = """
import falcon_edu, numpy as np, pathlib, sys

def megabytes():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024

backbone = falcon_edu.FalconBackbone.from_preset(sys.argv[1])
ids = np.ones((1, 8), "int32")
before = megabytes()
backbone.predict({"token_ids": ids, "padding_mask": ids}, verbose=0)
print(megabytes() - before)
"""
    FalconBackbone(64, 2, 2, 1024, 16_000).save_to_preset(tmp_path / "preset")  # 300 MB
    command = [sys.executable, "-c", script, str(tmp_path / "preset")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(result.stdout.split()[-1]) < 200

"""Checks of notebook 15: what a device holds, computes, sends, and how many are enough."""

from falcon_edu.course.checks.exercise import exercise, expect, expect_close, given
from falcon_edu.model.config import FalconConfig
from falcon_edu.scale.memory import FALCON_FAMILY

import numpy as np


@exercise(
    wants="a tuple of whole numbers",
    nudge="How many devices is each axis split over, one axis at a time?",
    hint="Go through sizes and axes together: `size // mesh[axis]` where the axis is named, else "
    "the size itself.",
    praise="All devices hold parts of this one shape.",
)
def part_shape(answer):
    """Exercise 15.1."""
    mesh = {"batch": 2, "model": 4}
    got = tuple(given(answer((128, 512), ("batch", "model"), mesh)))
    expect(
        got != (32, 256),
        "the axes are the wrong way round: the first size goes with the first name.",
    )
    expect(
        got != (16, 64),
        "you divide each size by all devices; an axis is split only over the devices of its name.",
    )
    for shape, axes, wanted in (
        ((128, 512), ("batch", "model"), (64, 128)),
        ((2048, 128), ("model", None), (512, 128)),
        ((128, 4, 32), (None, "model", None), (128, 1, 32)),
        ((128,), (None,), (128,)),
    ):
        got = given(answer(shape, axes, mesh))
        expect_close(got, wanted, f"the part of {shape} for {axes}")
    expect_close(answer((64, 6), ("model", None), {"batch": 1, "model": 8}), (8, 6), "the part")


def _mlp(seed, devices, t=3, m=4, units=8):
    rng = np.random.default_rng(seed)
    x, up, down = (rng.normal(size=s) for s in ((t, m), (m, units), (units, m)))
    parts = zip(np.split(up, devices, axis=1), np.split(down, devices), strict=True)
    return x, up, down, np.stack([np.tanh(x @ a) @ b for a, b in parts])


@exercise(
    wants="an array (devices, t, m)",
    nudge="A unit of the MLP has a column of `up` and a row of `down`. Which of them does a "
    "device need?",
    hint="`np.split(up, devices, axis=1)` gives each device its columns, `np.split(down, devices)` "
    "its rows. Each device computes `activation(x @ columns) @ rows`.",
    praise="One sum over the devices, and it is the whole MLP.",
)
def partial_sums(answer):
    """Exercise 15.2."""
    x, up, down, wanted = _mlp(0, 2)
    got = np.asarray(given(answer(x.copy(), up.copy(), down.copy(), np.tanh, 2)))
    whole = np.tanh(x @ up) @ down
    expect(
        not (got.shape == whole.shape and np.allclose(got, whole)),
        "this is the whole, already summed; return what each device computes, `(devices, t, m)`.",
    )
    linear = wanted.shape == got.shape and not np.allclose(got.sum(0), whole)
    inputs = zip(np.split(x, 2, axis=1), np.split(up, 2), strict=True)
    by_rows = np.stack([np.tanh(a @ b) @ down for a, b in inputs])
    expect(
        not (linear and np.allclose(got, by_rows)),
        "you split the inputs of the first matrix: then each device has a part of every sum, and "
        "the activation of a part is not a part of the activation. Split its columns.",
    )
    expect(
        not (linear and np.allclose(got.sum(0), x @ up @ down)),
        "the activation between the two matrices is missing.",
    )
    expect_close(got, wanted, "the partial sums of two devices")
    x, up, down, wanted = _mlp(1, 4)
    expect_close(answer(x, up, down, np.tanh, 4), wanted, "the partial sums of four devices")
    x, up, down, wanted = _mlp(2, 1)
    expect_close(answer(x, up, down, np.tanh, 1), wanted, "the result of a single device")
    wanted = np.maximum(x @ up, 0) @ down
    got = np.asarray(answer(x, up, down, lambda z: np.maximum(z, 0), 2))
    expect_close(got.sum(axis=0), wanted, "the sum over the devices, with ReLU as activation,")


@exercise(
    wants="a number of bytes",
    nudge="How many all-reduces are there, how large is each, and what part of that does a device "
    "send?",
    hint="`(2 * num_layers + 1)` all-reduces of `tokens * hidden_dim` numbers; in each, a device "
    "sends `2 * (devices - 1) / devices` times their bytes.",
    praise="It hardly depends on how many devices there are.",
)
def sent(answer):
    """Exercise 15.3."""
    config = FalconConfig(100, 3, 4, 48, 80)
    got = given(answer(config, 10, 4, 4))
    reduced = 10 * 48 * 4
    for wrong, message in (
        (7 * reduced, "this is the size of what is added up; the ring sends nearly twice as much."),
        (6 * reduced * 1.5, "the all-reduce after the embedding is missing."),
        (4 * reduced * 1.5, "a sequential block has two all-reduces, not one."),
        (7 * reduced * 0.75, "a ring goes round twice: once to add up, once to hand the sums out."),
        (7 * reduced * 2, "in each round a device sends all parts but one: (devices - 1) of them."),
        (7 * reduced * 1.5 / 4, "each number takes `width` bytes."),
        (7 * reduced * 1.5 * 4, "this is what all devices send together; one is asked for."),
    ):
        expect(not np.allclose(got, wrong), message)
    expect_close(got, 7 * reduced * 1.5, "the bytes that one of 4 devices sends")
    expect_close(answer(config, 10, 1, 2), 0, "the bytes that a device on its own sends")
    large = FALCON_FAMILY["falcon-rw-1b"]
    wanted = 49 * 512 * 2048 * 2 * 2 * 7 / 8
    expect_close(answer(large, 512, 8, 2), wanted, "the bytes that one of 8 sends for the 1B")


@exercise(
    wants="a whole number",
    nudge="What does one device hold, of the weights and of the cache?",
    hint="Try 1, 2, 4 and so on. `memory_needed(config, dtype='bfloat16', tokens=tokens, "
    "batch_size=batch_size)` has the two parts; the cache is divided only if "
    "`config.key_value_heads % devices == 0`.",
    praise="What does not divide is kept by everyone, and that can decide.",
)
def fewest(answer):
    """Exercise 15.4."""
    for name, gigabytes, tokens, batch_size, wanted, wrong in (
        ("falcon-7b", 80, 2048, 1, 1, {2: "start at one device"}),
        ("falcon-180B", 80, 2048, 1, 8, {5: "only powers of two are asked for"}),
        ("falcon-40b", 24, 2048, 1, 4, {8: "stop at the first that fits"}),
        ("falcon-180B", 24, 2048, 1, 16, {}),
        ("falcon-40b", 80, 2048, 500, 4, {2: "the cache counts, too"}),
        ("falcon-7b", 24, 2048, 1300, 8, {2: "7B has one key, which two devices can't share"}),
        ("falcon-7b", 24, 2048, 1500, 0, {}),
        ("falcon-7b", 24, 512, 1300, 1, {8: "you always count 2048 tokens"}),
    ):
        got = given(answer(FALCON_FAMILY[name], gigabytes, tokens, batch_size))
        what = f"the devices of {gigabytes} GB for {name} and a batch of {batch_size}"
        for value, message in wrong.items():
            expect(got != value, f"{message}. ({what[0].upper()}{what[1:]} should be {wanted}.)")
        expect_close(got, wanted, what)

"""Checks of notebook 12: low-rank updates."""

from falcon_edu.course.checks.exercise import exercise, expect, expect_close, several

import numpy as np


def _pair(got):
    """Return the two factors that a function returned."""
    factors = several(got, 2, "two factors are wanted: `return a, b`.")
    return [np.asarray(factor, dtype="float64") for factor in factors]


def _expect_shapes(a, b, inputs, rank, outputs):
    wanted = (inputs, rank), (rank, outputs)
    expect(
        (a.shape, b.shape) == wanted,
        f"a and b should have shapes {wanted[0]} and {wanted[1]}, "
        f"but yours have {a.shape} and {b.shape}.",
    )


@exercise(
    wants="a whole number",
    nudge="Write down the shapes of a and b.",
    hint="Keep all axes but the last and put `rank` in its place: that is a. Now b.",
    praise="Instead of 65,536 numbers, 5,120. The larger the kernel, the more is saved.",
)
def factor_count(answer):
    """Exercise 12.1."""
    got = answer((128, 512), 8)
    expect(got is not None, "nothing was returned.")
    for wrong, why in {
        128 * 512: "that is the size of the kernel itself.",
        128 * 8: "b is missing: it has numbers too.",
        8 * 512: "a is missing: it has numbers too.",
        128 * 8 * 8 * 512: "the two factors lie side by side: add their sizes.",
    }.items():
        expect(not np.array_equal(got, wrong), why)
    expect_close(got, 8 * (128 + 512), "the count for a kernel (128, 512) and rank 8")
    got = answer((128, 4, 32), 2)
    expect(
        not np.array_equal(got, 2 * (128 + 4 + 32)),
        "a kernel with three axes has a factor a with three axes: (128, 4, rank). Multiply them.",
    )
    expect(
        not np.array_equal(got, 2 * (128 + 4 * 32)),
        "Keras puts the heads into a, not into b: a is (128, 4, rank), b is (rank, 32).",
    )
    expect_close(got, 128 * 4 * 2 + 2 * 32, "the count for a kernel (128, 4, 32) and rank 2")


@exercise(
    wants="a pair of factors, a and b",
    nudge="What does a product of matrices do with columns of a and rows of b that are put beside "
    "the old ones?",
    hint="Put the two a side by side and the two b below one another, with `np.concatenate`. "
    "The strength of an adapter goes into one of its factors.",
    praise="The ranks add up: what two adapters do, one of rank 5 does alone.",
)
def join_adapters(answer):
    """Exercise 12.2."""
    random = np.random.default_rng(0)
    first = random.normal(size=(6, 2)), random.normal(size=(2, 4))
    second = random.normal(size=(6, 3)), random.normal(size=(3, 4))
    updates = [a @ b for a, b in (first, second)]
    a, b = _pair(answer(first, second, 0.5, 2.0))
    expect(
        a.shape != (6, 4),
        "the first thing returned is the update itself; wanted are its factors.",
    )
    _expect_shapes(a, b, 6, 5, 4)
    got = a @ b
    for wrong, why in {
        "strengths": (updates[0] + updates[1], "the strengths are not used."),
        "squared": (
            0.25 * updates[0] + 4.0 * updates[1],
            "the strengths are in both factors, so the product has their squares.",
        ),
        "swapped": (2.0 * updates[0] + 0.5 * updates[1], "the two strengths are swapped."),
    }.values():
        expect(not np.allclose(got, wrong), why)
    expect_close(got, 0.5 * updates[0] + 2.0 * updates[1], "the update a @ b")
    with np.errstate(all="ignore"):
        a, b = _pair(answer(second, first, 1.0, -0.5))
    _expect_shapes(a, b, 6, 5, 4)
    expect(
        np.isfinite(a @ b).all(),
        "a strength of -0.5, which takes an adapter away, gives nan: a negative number has no "
        "root. The whole strength goes into one factor.",
    )
    expect(
        not np.allclose(a @ b, updates[1] + 0.5 * updates[0]),
        "a strength of -0.5 takes an adapter away, but in yours its sign is lost.",
    )
    expect_close(a @ b, updates[1] - 0.5 * updates[0], "the update with a strength of -0.5")


@exercise(
    wants="a pair of factors, a and b",
    nudge="The update is a sum of directions, each a column of u, a number of s and a row of v. "
    "Which do you keep?",
    hint="`u, s, v = np.linalg.svd(update, full_matrices=False)`: then `(u * s) @ v` is the "
    "update, and the singular values s come with the largest first.",
    praise="No pair of factors of this rank comes closer (Eckart and Young 1936).",
)
def squeeze(answer):
    """Exercise 12.3."""
    update = np.random.default_rng(1).normal(size=(7, 5))
    u, s, v = np.linalg.svd(update, full_matrices=False)
    a, b = _pair(answer(update.copy(), 2))
    _expect_shapes(a, b, 7, 2, 5)
    got = a @ b
    for wrong, why in (
        (u[:, :2] @ v[:2], "the singular values are missing: scale each direction with its own."),
        (
            (u[:, :2] * s[:2] ** 2) @ v[:2],
            "the singular values are in both factors: once is enough.",
        ),
        ((u[:, -2:] * s[-2:]) @ v[-2:], "you keep the weakest directions. Keep the strongest."),
        (
            (u[:, :2] * s[:2]) @ v.T[:2],
            "NumPy's `svd` returns v with its directions as rows already.",
        ),
    ):
        expect(not np.allclose(got, wrong), why)
    expect_close(got, (u[:, :2] * s[:2]) @ v[:2], "the best update of rank 2")
    other = np.random.default_rng(2).normal(size=(3, 6))
    u, s, v = np.linalg.svd(other, full_matrices=False)
    a, b = _pair(answer(other.copy(), 1))
    _expect_shapes(a, b, 3, 1, 6)
    expect_close(a @ b, (u[:, :1] * s[:1]) @ v[:1], "the best update of rank 1")
    a, b = _pair(answer(update.copy(), 5))
    expect_close(a @ b, update, "at full rank, a @ b")


@exercise(
    wants="two arrays, the gradients of a and of b",
    nudge="What would the gradient of the whole update be? Then go one factor back, by the chain "
    "rule.",
    hint="First the gradient of the whole update, `x.T @ upstream`, as for any kernel. Then a's is "
    "that times b transposed, b's is a transposed times that, both times the scale.",
    praise="This is all that training needs of a LoRA layer.",
)
def factor_gradients(answer):
    """Exercise 12.4."""
    random = np.random.default_rng(2)
    shapes = (9, 6), (9, 4), (6, 2), (2, 4)
    x, upstream, a, b = (random.normal(size=shape) for shape in shapes)
    kernel = x.T @ upstream
    grad_a, grad_b = _pair(answer(x.copy(), upstream.copy(), a.copy(), b.copy(), 0.5))
    expect(
        grad_a.shape != (2, 4) or grad_b.shape != (6, 2),
        "the two gradients are swapped: a's comes first.",
    )
    expect(
        (grad_a.shape, grad_b.shape) == (a.shape, b.shape),
        f"a gradient has the shape of its factor, {a.shape} and {b.shape}, "
        f"but yours have {grad_a.shape} and {grad_b.shape}.",
    )
    for got, wanted, name in ((grad_a, kernel @ b.T, "a"), (grad_b, a.T @ kernel, "b")):
        expect(not np.allclose(got, wanted), f"the scale is missing in the gradient of {name}.")
        expect(
            not np.allclose(got, wanted / 9) and not np.allclose(got, wanted * 0.5 / 9),
            "the loss is a sum over the rows of x: do not divide by their number.",
        )
        expect(not np.allclose(got, -0.5 * wanted), f"the gradient of {name} has the wrong sign.")
        expect_close(got, 0.5 * wanted, f"the gradient of {name}")
    x, upstream, a = x[:4] / 2, upstream[:4], a[:, ::-1]
    grad_a, grad_b = _pair(answer(x.copy(), upstream.copy(), a.copy(), b.copy(), 3.0))
    kernel = x.T @ upstream
    expect_close(grad_a, 3 * kernel @ b.T, "the gradient of a, at a scale of 3")
    expect_close(grad_b, 3 * a.T @ kernel, "the gradient of b, at a scale of 3")
    grad_a, grad_b = _pair(answer(x, upstream, a, 0 * b, 0.5))
    expect_close(grad_a, 0 * a, "with b = 0, the gradient of a")

"""Checks of 05_decoder_block: GELU by tanh, what neurons write, one wide product, which layout."""

import math

from falcon_edu.course.checks.exercise import exercise, expect, expect_close

import numpy as np


@exercise(
    wants="an array of the shape of x",
    nudge="Compare with the formula, term by term: a half, 1 plus a tanh, a root, a cube.",
    hint="`0.5 * x * (1 + np.tanh(a * (x + 0.044715 * x**3)))`, where a is the root of 2 / pi.",
    praise="Never more than 0.0005 from the exact one: no eye sees it, and every test does.",
)
def gelu_tanh(answer):
    """GELU by the formula with tanh."""
    x = np.linspace(-6, 6, 49)
    inner = x + 0.044715 * x**3
    wanted = _by_tanh(x)
    got = answer(x.copy())
    if np.shape(got) == x.shape:
        for wrong, message in [
            (_gelu(x), "this is the exact GELU, with erf. The formula with tanh is asked for."),
            (0.5 * x * (1 + np.tanh(inner)), "the root of 2 / pi is missing inside tanh."),
            (0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * x)), "the cubic term is missing."),
            (0.5 * x * np.tanh(np.sqrt(2 / np.pi) * inner), "tanh runs from -1 to 1: add 1 to it."),
            (2 * wanted, "your values are twice too large: for large x, GELU is x itself."),
            (x / (1 + np.exp(-1.702 * x)), "this is the cruder stand-in with a sigmoid."),
        ]:
            expect(not np.allclose(got, wrong, rtol=0, atol=1e-7), message)
    expect_close(got, wanted, "GELU by tanh", tolerance=1e-6)
    x = x[:6].reshape(2, 3)
    expect_close(answer(x.copy()), _by_tanh(x), "GELU by tanh of an array (2, 3)", tolerance=1e-6)


@exercise(
    wants="an array (t, f)",
    nudge="What does one neuron add to the stream? A number times a row; how long is that?",
    hint="`gelu(x @ up + up_bias)` is how much each neuron fires, `(t, f)`; a neuron's row of "
    "`down` has the length `np.linalg.norm(down, axis=1)`, `(f,)`.",
    praise="Which neuron of Falcon writes most? Try it on the block of your choice.",
)
def neuron_writes(answer):
    """Return the length of what each neuron adds to each token's stream."""
    for t, m, f in ((3, 4, 6), (2, 3, 5)):
        _check_writes(answer, t, m, f)


def _check_writes(answer, t, m, f):
    rng = np.random.default_rng(0)
    x, up, down = rng.normal(size=(t, m)), rng.normal(size=(m, f)), rng.normal(size=(f, m))
    up_bias = rng.normal(size=f)
    fires = _gelu(x @ up + up_bias)
    lengths = np.linalg.norm(down, axis=1)
    wanted = abs(fires) * lengths
    got = answer(x.copy(), up.copy(), up_bias.copy(), down.copy())
    expect(got is not None, "nothing was returned.")
    if np.shape(got) == wanted.shape:
        for wrong, message in [
            (fires * lengths, "some of your lengths are negative. A neuron that fires at -0.1 "
             "writes a vector, too: take `abs`."),
            (abs(fires), "this is how much each neuron fires; the length of its row is missing."),
            (abs(x @ up + up_bias) * lengths, "GELU is missing between the two matrices."),
            (abs(_gelu(x @ up)) * lengths, "the bias of the neurons is missing."),
            (abs(fires) * np.linalg.norm(up, axis=0), "these are the lengths of what the neurons "
             "read, the columns of `up`. What they write are the rows of `down`."),
            (abs(fires) * lengths**2, "these are lengths of rows squared."),
            (abs(_by_tanh(x @ up + up_bias)) * lengths, "this is GELU by the formula with tanh; "
             "use the exact one, with erf. (`jax.nn.gelu` and others take tanh unless told not "
             "to.)"),
        ]:  # fmt: skip
            expect(not np.allclose(got, wrong, rtol=0, atol=1e-5), message)
    elif np.shape(got) == (t, m):
        expect(False, "this is the sum over the neurons; each neuron's part is asked for, (t, f).")
    expect_close(got, wanted, f"the lengths for {t} tokens and {f} neurons")


class _Counted(np.ndarray):
    """An array that counts its matrix products."""

    products = 0

    def __matmul__(self, other):
        _Counted.products += 1
        return np.asarray(self) @ np.asarray(other)


@exercise(
    wants="a list of arrays, one for each matrix",
    nudge="What happens to the columns of a product if the columns of two matrices stand side by "
    "side?",
    hint="`np.concatenate(kernels, axis=1)` stands side by side; `np.split(wide, places, axis=1)` "
    "cuts at the places `np.cumsum(widths)[:-1]`.",
    praise="One large product keeps a processor busier than four small ones.",
)
def one_product(answer):
    """Compute the products of one array with several matrices, as one."""
    rng = np.random.default_rng(0)
    for widths in ([3, 1, 1, 6], [2, 2]):
        x = rng.normal(size=(5, 4))
        kernels = [rng.normal(size=(4, width)) for width in widths]
        _Counted.products = 0
        got = answer(x.copy().view(_Counted), [kernel.copy() for kernel in kernels])
        expect(got is not None, "nothing was returned.")
        expect(
            isinstance(got, (list, tuple)),
            f"a list of {len(widths)} arrays is asked for, but yours is a {type(got).__name__}: "
            "cut the wide product into parts again.",
        )
        expect(
            len(got) == len(widths),
            f"{len(widths)} matrices should give {len(widths)} arrays, but yours are {len(got)}.",
        )
        shapes = [np.shape(part) for part in got]
        expect(
            shapes == [(5, width) for width in widths],
            f"matrices of widths {widths} should give arrays of these widths, but yours have the "
            f"shapes {shapes}.",
        )
        for i, (part, kernel) in enumerate(zip(got, kernels, strict=True)):
            expect_close(part, x @ kernel, f"array {i} of {len(widths)}")
        count = _Counted.products
        expect(count <= 1, f"the numbers are right, but you multiplied {count} times.")
        expect(count == 1, "multiply with `@`, so that the check can count the products.")


@exercise(
    wants="one of the three strings",
    nudge="In which wiring does what attention returns reach the MLP, and how could you see that "
    "from outside?",
    hint="Let your attention note what it is given, and return random numbers; let your MLP note "
    "what it is given. Run it twice. Did the MLP's input change with what attention returned?",
    praise="Two experiments, and the wiring is known.",
)
def layout(answer):
    """Tell which of the three wirings a block has, from outside."""
    rng = np.random.default_rng(0)
    norms = [(1 + rng.normal(size=8) / 4, rng.normal(size=8) / 4) for _ in range(2)]
    fresh = [(np.ones(8), np.zeros(8))] * 2
    for wanted, used in [
        ("sequential", norms),
        ("parallel", norms),
        ("parallel, two norms", norms),
        ("sequential", fresh),
        ("parallel", fresh),
    ]:
        got = answer(_block(wanted, used))
        expect(got is not None, "nothing was returned.")
        expect(
            got in ("sequential", "parallel", "parallel, two norms"),
            f'"sequential", "parallel" or "parallel, two norms" is asked for, not {got!r}.',
        )
        reason = "."
        if wanted == "sequential":
            reason = (
                ": its MLP sees what attention added. Was your attention's output one that a norm "
                "takes away again, such as zeros, or one number everywhere?"
            )
        elif got == "sequential":
            reason = ": what its MLP is given does not depend on what attention returns."
        expect(got == wanted, f'you call a block "{got}" that is "{wanted}"{reason}')


def _block(kind, norms):
    first, second = norms

    def norm(x, weights):
        x = x - x.mean(axis=-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5)
        return x * weights[0] + weights[1]

    def block(x, attention, mlp):
        if kind == "sequential":
            x = x + attention(norm(x, first))
            return x + mlp(norm(x, second))
        mlp_norm = second if kind == "parallel, two norms" else first
        return x + attention(norm(x, first)) + mlp(norm(x, mlp_norm))

    return block


def _by_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def _gelu(x):
    return x / 2 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))

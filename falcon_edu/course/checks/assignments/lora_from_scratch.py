"""Checks of assignment 6: an adapter from its first zeros to a file that knows its base."""

import hashlib
import tempfile
import zipfile
from pathlib import Path

from falcon_edu.course.checks.exercise import expect, expect_close, given, several
from falcon_edu.course.checks.graded import Graded, in_place

import numpy as np

MAX_SIZE = 64_000_000  # bytes of what is saved, unpacked

new_adapter = Graded()
forward = Graded()
gradients = Graded()
merge = Graded()
save_adapters = Graded()
load_adapters = Graded()


def fingerprint(kernels):
    """Return a short text that two sets of kernels share only if they are equal.

    Args:
        kernels: `{name: array}`.

    >>> fingerprint({"query": np.zeros(3)}) == fingerprint({"query": np.ones(3)})
    False
    """
    digest = hashlib.sha256()
    for name in sorted(kernels):
        array = np.ascontiguousarray(kernels[name])
        digest.update(f"{name} {array.shape} {array.dtype}".encode() + array.tobytes())
    return digest.hexdigest()[:16]


def _adapter(rng, m, n, rank, alpha=None):
    a, b = rng.normal(size=(m, rank)), rng.normal(size=(rank, n))
    return {"a": a, "b": b, "alpha": float(alpha or rank)}


def _update(adapter):
    a, b = adapter["a"], adapter["b"]
    return adapter["alpha"] / a.shape[1] * (a @ b)


def _copy(adapter):
    return {key: np.copy(value) for key, value in adapter.items()}


def _expect_adapter(got):
    given(got)
    expect(
        isinstance(got, dict) and {"a", "b", "alpha"} <= set(got),
        'an adapter is a dictionary with "a", "b" and "alpha".',
    )
    return got


# === The first adapter ===


@new_adapter.part(1, "shapes, and an update of zero")
def _(answer, rng):
    got = _expect_adapter(answer((6, 4), 3, 2.0, rng))
    shapes = np.shape(got["a"]), np.shape(got["b"])
    expect(
        shapes == ((6, 3), (3, 4)),
        f"for a kernel (6, 4) and rank 3, a and b are (6, 3) and (3, 4), but yours are {shapes}.",
    )
    update = np.asarray(got["a"]) @ np.asarray(got["b"])
    expect(not update.any(), "at the start the model must be what it was: `a @ b` must be zero.")
    expect(got["alpha"] == 2.0, f"alpha should be kept as it was given, not {got['alpha']!r}.")


@new_adapter.part(1, "one factor that is not zero, and differs from adapter to adapter")
def _(answer, rng):
    first, second = (_expect_adapter(answer((40, 30), 8, 8, rng)) for _ in range(2))
    a = np.asarray(first["a"], float)
    expect(
        a.any() or np.asarray(first["b"]).any(),
        "two zeros never wake: the gradient of each is zero because the other is.",
    )
    expect(a.any(), "let a be random and b zero: that is how LoRA begins.")
    expect(not np.array_equal(a, second["a"]), "draw a from `rng`: two adapters should differ.")
    expect(
        0.02 < a.std() < 1,
        f"a's numbers should be neither huge nor tiny, but their spread is {a.std():.2g}.",
    )


# === Forward ===


def _forward(x, kernel, adapter):
    return x @ (kernel + _update(adapter))


@forward.part(1, "the update is added")
def _(answer, rng):
    kernel, adapter, x = rng.normal(size=(6, 4)), _adapter(rng, 6, 4, 2), rng.normal(size=(5, 6))
    got = given(answer(x.copy(), kernel.copy(), _copy(adapter)))
    if np.shape(got) == (5, 4):
        expect(not np.allclose(got, x @ kernel), "this is the kernel alone.")
        expect(not np.allclose(got, x @ _update(adapter)), "this is the update alone.")
    expect_close(got, _forward(x, kernel, adapter), "what a layer with alpha = rank gives")


@forward.part(1, "alpha over rank, and any number of axes before the last")
def _(answer, rng):
    kernel, adapter = rng.normal(size=(6, 4)), _adapter(rng, 6, 4, 3, alpha=1.5)
    x = rng.normal(size=(2, 5, 6))
    got = given(answer(x.copy(), kernel.copy(), _copy(adapter)))
    for factor, why in (
        (1.0, "alpha and rank are not used"),
        (1.5, "alpha is not divided by the rank"),
    ):
        wrong = x @ kernel + factor * (x @ adapter["a"] @ adapter["b"])
        expect(np.shape(got) != wrong.shape or not np.allclose(got, wrong), f"{why}.")
    expect_close(got, _forward(x, kernel, adapter), "what a layer with alpha = 1.5, rank 3 gives")


class _Counted(np.ndarray):
    """An array that refuses to be multiplied into a matrix as large as the kernel."""

    limit = 0

    def __matmul__(self, other):
        result = np.asarray(self) @ np.asarray(other)
        expect(
            result.shape[-2:] != (300, 200),
            "you compute `a @ b` for the whole kernel. `(x @ a) @ b` is the same and much cheaper.",
        )
        return result


@forward.part(1, "without ever making a matrix as large as the kernel")
def _(answer, rng):
    adapter, x = _adapter(rng, 300, 200, 2), rng.normal(size=(3, 300))
    kernel = rng.normal(size=(300, 200))
    watched = {**_copy(adapter), "a": adapter["a"].copy().view(_Counted)}
    got = given(answer(x.copy(), kernel.copy(), watched))
    expect_close(got, _forward(x, kernel, adapter), "the outputs", tolerance=1e-8)


# === Gradients ===


def _gradients(x, kernel, adapter, upstream):
    scale = adapter["alpha"] / adapter["a"].shape[1]
    whole = x.T @ upstream
    return {
        "a": scale * whole @ adapter["b"].T,
        "b": scale * adapter["a"].T @ whole,
        "x": upstream @ (kernel + _update(adapter)).T,
    }


def _case(rng):
    kernel, adapter = rng.normal(size=(6, 4)), _adapter(rng, 6, 4, 2, alpha=3.0)
    return rng.normal(size=(5, 6)), kernel, adapter, rng.normal(size=(5, 4))


def _ask_gradients(answer, case):
    x, kernel, adapter, upstream = case
    got = given(answer(x.copy(), kernel.copy(), _copy(adapter), upstream.copy()))
    expect(
        isinstance(got, dict) and {"a", "b", "x"} <= set(got),
        'return a dictionary with the gradients of "a", "b" and "x".',
    )
    return got


@gradients.part(1, "the gradient of b")
def _(answer, rng):
    _expect_factor_gradient(answer, _case(rng), "b")


@gradients.part(1, "the gradient of a")
def _(answer, rng):
    _expect_factor_gradient(answer, _case(rng), "a")


def _expect_factor_gradient(answer, case, name):
    got, wanted = given(_ask_gradients(answer, case)[name]), _gradients(*case)[name]
    if np.shape(got) == wanted.shape:
        expect(not np.allclose(got, wanted / 1.5), "alpha over rank is missing.")
        expect(not np.allclose(got, wanted / 5), "divide by nothing: upstream has the mean in it.")
        expect(not np.allclose(got, -wanted), "the sign is wrong.")
    expect_close(got, wanted, f"the gradient of {name}")


@gradients.part(2, "the gradient of x, for the layers before")
def _(answer, rng):
    case = _case(rng)
    got = given(_ask_gradients(answer, case)["x"])
    if np.shape(got) == case[0].shape:
        expect(
            not np.allclose(got, case[3] @ case[1].T),
            "this is the way back through the kernel alone. The update has one, too.",
        )
        expect(
            not np.allclose(got, case[3] @ _update(case[2]).T),
            "this is the way back through the update alone. The kernel is frozen, not gone.",
        )
    expect_close(got, _gradients(*case)["x"], "the gradient of x")


# === Training ===

train = Graded(earlier={"forward": _forward, "gradients": _gradients})


def _loss_and_upstream(x, ids, kernel, adapter):
    logits = _forward(x, kernel, adapter)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    rows = np.arange(len(ids))
    loss = -np.log(probabilities[rows, ids]).mean()
    probabilities[rows, ids] -= 1
    return loss, probabilities / len(ids)


def _train(x, ids, kernel, adapter, steps, rate):
    adapter, losses = _copy(adapter), []
    for _ in range(steps):
        loss, upstream = _loss_and_upstream(x, ids, kernel, adapter)
        losses.append(loss)
        both = _gradients(x, kernel, adapter, upstream)
        adapter = {**adapter, **{name: adapter[name] - rate * both[name] for name in "ab"}}
    return adapter, losses


def _lesson(rng):
    kernel, adapter = 0.1 * rng.normal(size=(6, 4)), _adapter(rng, 6, 4, 2)
    return (
        rng.normal(size=(20, 6)),
        rng.integers(4, size=20),
        kernel,
        {**adapter, "b": 0 * adapter["b"]},
    )


def _ask_train(answer, lesson, steps, rate=0.5):
    x, ids, kernel, adapter = lesson
    got, after = in_place(answer, x, ids, kernel, adapter, steps, rate)
    given_kernel, given_adapter = after[2], after[3]
    several(got, 2, "return two things: the trained adapter, and the losses.")
    expect(np.array_equal(given_kernel, kernel), "the kernel was changed: it is frozen.")
    same = all(np.array_equal(given_adapter.get(key), adapter[key]) for key in "ab")
    expect(same, "the adapter that was given was changed: return a new one.")
    return _expect_adapter(got[0]), got[1]


@train.part(1, "the first loss")
def _(answer, rng):
    lesson = _lesson(rng)
    _, losses = _ask_train(answer, lesson, 1)
    wanted = _train(*lesson, 1, 0.5)[1]
    expect_close(np.shape(losses), (1,), "the shape of the losses of one step")
    expect(
        not np.allclose(losses, np.multiply(wanted, 20)), "take the mean over rows, not the sum."
    )
    expect_close(losses, wanted, "the loss before the first step")


@train.part(1, "one step")
def _(answer, rng):
    lesson = _lesson(rng)
    got, _ = _ask_train(answer, lesson, 1)
    wanted, _ = _train(*lesson, 1, 0.5)
    expect(np.asarray(got["b"]).any(), "b is still zero after a step.")
    expect(not np.allclose(got["b"], -wanted["b"]), "this step goes uphill: take the gradient off.")
    expect_close(got["b"], wanted["b"], "b after one step")
    expect_close(got["a"], wanted["a"], "a after one step (b was zero, so it stays)")


@train.part(2, "many steps")
def _(answer, rng):
    lesson = _lesson(rng)
    got, losses = _ask_train(answer, lesson, 30)
    wanted, wanted_losses = _train(*lesson, 30, 0.5)
    expect_close(losses, wanted_losses, "the losses of 30 steps")
    expect_close(got["a"], wanted["a"], "a after 30 steps; both gradients belong to the same point")
    expect_close(got["b"], wanted["b"], "b after 30 steps")


# === Merging ===


@merge.part(1, "in")
def _(answer, rng):
    kernel, adapter = rng.normal(size=(6, 4)), _adapter(rng, 6, 4, 2, alpha=3.0)
    got, after = in_place(answer, kernel, adapter)
    got = given(got)
    expect(
        np.array_equal(after[0], kernel), "the kernel that was given was changed: make a new one."
    )
    expect_close(got, kernel + _update(adapter), "the merged kernel")


@merge.part(1, "and out")
def _(answer, rng):
    kernel, adapter = rng.normal(size=(6, 4)), _adapter(rng, 6, 4, 3, alpha=1.0)
    merged = kernel + _update(adapter)
    got = given(answer(merged.copy(), _copy(adapter), undo=True))
    expect(not np.allclose(got, merged + _update(adapter)), "`undo` was added once more.")
    expect_close(got, kernel, "the kernel with the update taken out")


# === Files ===


def _base(rng):
    shapes = {"query": (6, 4), "value": (6, 4), "up": (4, 9)}
    kernels = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    adapters = {name: _adapter(rng, *shapes[name], 2, alpha=3.0) for name in ("query", "up")}
    return kernels, adapters


def _content(adapters, kernels):
    arrays = {f"{name}.{key}": value for name, a in adapters.items() for key, value in a.items()}
    return {**arrays, "base": np.array(fingerprint(kernels))}


@save_adapters.part(1, "the factors, bit for bit")
def _(answer, rng):
    kernels, adapters = _base(rng)
    saved = _saved(answer, adapters, kernels)
    for name, wanted in _content(adapters, {}).items():
        if name != "base":
            expect(name in saved, f"the file has no {name!r}. It has: {', '.join(sorted(saved))}")
            expect(np.array_equal(saved[name], wanted), f"{name!r} is not what was given.")


@save_adapters.part(1, "what they belong to, and no more")
def _(answer, rng):
    kernels, adapters = _base(rng)
    saved = _saved(answer, adapters, kernels)
    expect("base" in saved, "the file does not say which base it is for.")
    expect(str(saved["base"]) == fingerprint(kernels), "`base` is not the kernels' fingerprint.")
    more = set(saved) - set(_content(adapters, kernels))
    expect(not more, f"the file holds more than it needs: {', '.join(sorted(more))}.")


def _saved(answer, adapters, kernels):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "adapters.npz"
        answer(path, adapters, kernels)
        expect(path.is_file(), "there is no file at `path`.")
        with zipfile.ZipFile(path) as file:
            size = sum(each.file_size for each in file.infolist())
        expect(size <= MAX_SIZE, f"the file holds {size / 1e6:,.0f} MB, far more than the factors.")
        with np.load(path) as file:
            return {name: file[name] for name in file.files}


@load_adapters.part(1, "what was saved")
def _(answer, rng):
    kernels, adapters = _base(rng)
    got = given(_load(answer, _content(adapters, kernels), kernels))
    expect(isinstance(got, dict), "return a dictionary of adapters by name.")
    expect(set(got) == set(adapters), f"the names should be query and up, but are {sorted(got)}.")
    for name, adapter in adapters.items():
        loaded = _expect_adapter(got[name])
        for key in ("a", "b", "alpha"):
            expect_close(loaded[key], adapter[key], f"{key} of {name}", tolerance=0)


@load_adapters.part(1, "another base is refused")
def _(answer, rng):
    kernels, adapters = _base(rng)
    given(_load(answer, _content(adapters, kernels), kernels))
    other = {**kernels, "value": kernels["value"] + 1e-3}
    _expect_refused(answer, _content(adapters, kernels), other, "of another base")


@load_adapters.part(1, "factors that don't fit are refused")
def _(answer, rng):
    kernels, adapters = _base(rng)
    given(_load(answer, _content(adapters, kernels), kernels))
    odd = {**adapters, "up": _adapter(rng, 6, 4, 2)}
    _expect_refused(answer, _content(odd, kernels), kernels, "with factors of the wrong shape")
    odd = {**adapters, "down": _adapter(rng, 6, 4, 2)}
    _expect_refused(answer, _content(odd, kernels), kernels, "for a kernel that is not there")


def _load(answer, content, kernels):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "adapters.npz"
        np.savez(path, **content)
        return answer(path, kernels)


def _expect_refused(answer, content, kernels, what):
    try:
        _load(answer, content, kernels)
    except ValueError as error:
        expect(len(str(error)) > 9, "say in the ValueError what is wrong.")
        return
    expect(False, f"a file {what} was loaded without a word: raise a ValueError.")

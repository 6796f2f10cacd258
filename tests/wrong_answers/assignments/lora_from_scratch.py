"""What learners plausibly answer in assignment 6, with the points that it should get.

`{task: {what is wrong: (points, old, new, ...)}}`: in the cell of the solution, `old` becomes
`new`; with `None` for old, all of the solution.
"""

WRONG = {
    "new_adapter": {
        "both random": (1, "np.zeros((rank, n))", "rng.normal(size=(rank, n))"),
        "both zero": (1, "rng.normal(scale=1 / np.sqrt(m), size=(m, rank))", "np.zeros((m, rank))"),
        "a and b change places": (
            0,
            '"a": a, "b": np.zeros((rank, n))',
            '"b": a, "a": np.zeros((rank, n))',
        ),
        "the same a always": (1, "rng.normal(scale", "np.random.default_rng(0).normal(scale"),
    },
    "forward": {
        "no alpha": (2, 'adapter["alpha"] / a.shape[1] * ', ""),
        "alpha not divided by the rank": (0, " / a.shape[1]", ""),
        "the whole update": (2, "((x @ a) @ b)", "(x @ (a @ b))"),
        "the update alone": (0, "x @ kernel + ", ""),
        "divided by the other axis": (0, "a.shape[1]", "a.shape[0]"),
    },
    "gradients": {
        "no scale": (
            2,
            'adapter["alpha"] / a.shape[1] * upstream',
            "upstream",
            "(scaled @ b.T) @ a.T",
            '(adapter["alpha"] / a.shape[1] * scaled @ b.T) @ a.T',
        ),
        "x through the kernel alone": (2, " + (scaled @ b.T) @ a.T", ""),
        "x through the update alone": (2, "upstream @ kernel.T + ", ""),
        "a and b confused": (2, '"a": x.T', '"b": x.T', '"b": (x @ a)', '"a": (x @ a)'),
        "divided by the rows": (
            2,
            "x.T @ (scaled @ b.T)",
            "x.T @ (scaled @ b.T) / len(x)",
            "(x @ a).T @ scaled",
            "(x @ a).T @ scaled / len(x)",
        ),
    },
    "train": {
        "uphill": (1, "- rate * both", "+ rate * both"),
        "the sum of the losses": (1, ".mean()", ".sum()"),
        "a step each": (
            2,
            'a, b = (adapter[name] - rate * both[name] for name in "ab")',
            "a = adapter['a'] - rate * both['a']\n"
            "        both = gradients(x, kernel, {**adapter, 'a': a}, upstream / len(ids))\n"
            "        b = adapter['b'] - rate * both['b']",
        ),
        "not divided by the rows": (1, "upstream / len(ids)", "upstream"),
        "the given adapter is changed": (
            0,
            'adapter = {"a": a, "b": b, "alpha": adapter["alpha"]}',
            'adapter["a"], adapter["b"] = a, b',
        ),
        "only b is trained": (2, '"a": a,', '"a": adapter["a"],'),
    },
    "merge": {
        "undo is not looked at": (
            1,
            "kernel - update if undo else kernel + update",
            "kernel + update",
        ),
        "no alpha": (0, 'adapter["alpha"] / adapter["a"].shape[1] * ', ""),
        "in place": (
            0,
            "return kernel - update if undo else kernel + update",
            "kernel += -update if undo else update\n    return None",
        ),
    },
    "save_adapters": {
        "no fingerprint": (1, '"base": check.fingerprint(kernels)', ""),
        "the kernels, too": (1, "np.savez(path, **arrays)", "np.savez(path, **arrays, **kernels)"),
        "no alpha": (1, '("a", "b", "alpha")', '("a", "b")'),
        "in half precision": (1, "= adapter[key]", "= np.float16(adapter[key])"),
        "the fingerprint of the adapted kernels only": (
            1,
            "check.fingerprint(kernels)",
            "check.fingerprint({name: kernels[name] for name in adapters})",
        ),
    },
    "load_adapters": {
        "any base will do": (2, "!= check.fingerprint(kernels)", '== ""'),
        "any shape will do": (2, "name not in kernels or kernels[name].shape != shape", "False"),
        "only missing names": (2, " or kernels[name].shape != shape", ""),
        "everything is refused": (0, "name not in kernels or", "True or"),
        "refused without an error": (
            1,
            'raise ValueError("These adapters were trained on another base.")',
            "return None",
            'raise ValueError(f"The adapter {name!r} is for a kernel {shape}, which is not here.")',
            "return None",
        ),
    },
}

"""What learners plausibly answer in assignment 2, with the points that it should get.

As in `attention_by_hand.py`: `{task: {what is wrong: (points, old, new, ...)}}`.
"""

WRONG = {
    "alibi_slopes": {
        "the formula for any number": (
            1,
            None,
            "return [2 ** (-8 * (head + 1) / heads) for head in range(heads)]",
        ),
        "begins at 1": (0, "(head + 1)", "head"),
        "the next slopes, not every other": (1, "[::2]", ""),
        "every other from the second on": (1, "[::2]", "[1::2]"),
    },
    "alibi_bias": {
        "the queries are the first tokens": (
            1,
            "np.arange(keys - queries, keys)",
            "np.arange(queries)",
        ),
        "adds the distance": (0, "-np.asarray", "np.asarray"),
        "one slope for all": (0, "np.asarray(slopes)[:", "np.full(len(slopes), slopes[0])[:"),
        "no distance": (0, "* distance", "* (distance > 0)"),
    },
    "reach": {
        "one short": (0, "np.ceil(-np.log(1 - share) / slope)", "-np.log(1 - share) / slope"),
        "the rest instead of the share": (1, "1 - share", "share"),
        "powers of two": (0, "np.log(1 - share)", "np.log2(1 - share)"),
        "where the weight has fallen": (1, "np.log(1 - share)", "np.log(0.5)"),
    },
    "rotate": {
        "turns neighbours": (
            1,
            None,
            "half = x.shape[-1] // 2\n"
            "angles = positions[..., None] * base ** (-np.arange(half) / half)\n"
            "a, b = x[..., ::2], x[..., 1::2]\n"
            "cos, sin = np.cos(angles), np.sin(angles)\n"
            "pairs = [a * cos - b * sin, b * cos + a * sin]\n"
            "return np.stack(pairs, axis=-1).reshape(x.shape)",
        ),
        "the other way": (
            0,
            "first * np.cos(angles) -",
            "first * np.cos(angles) +",
            "np.cos(angles) + first",
            "np.cos(angles) - first",
        ),
        "half the frequency step": (1, "/ half)", "/ x.shape[-1])"),
        "the base is fixed": (3, "base **", "10_000.0 **"),
        "one frequency": (1, "(-np.arange(half) / half)", "np.zeros(half)"),
    },
    "to_halves": {
        "halves to neighbours": (
            1,
            "kernel.reshape(m, heads, columns // heads // 2, 2)",
            "kernel.reshape(m, heads, 2, columns // heads // 2)",
        ),
        "the heads are forgotten": (
            0,
            None,
            "return np.concatenate([kernel[:, ::2], kernel[:, 1::2]], axis=1)",
        ),
        "nothing": (0, None, "return kernel"),
        "odd ones first": (1, ".swapaxes(2, 3)", "[..., ::-1].swapaxes(2, 3)"),
    },
    "positions": {
        "counts columns": (0, None, "return np.arange(is_real.shape[1]) + 0 * is_real"),
        "begins at 1": (0, " - 1) * is_real", ") * is_real"),
        "minus one at padding": (
            0,
            "(np.cumsum(is_real, axis=-1) - 1) * is_real",
            "np.cumsum(is_real, axis=-1) - 1 + 0 * is_real",
        ),
        "hidden, but columns are counted": (
            1,
            "np.cumsum(is_real, axis=-1) - 1",
            "np.arange(is_real.shape[1])",
        ),
    },
    "unfinished": {
        "one radian is a turn": (0, "2 * np.pi / speeds", "1 / speeds"),
        "half the steps": (0, "-2 * np.arange", "-1 * np.arange"),
        "the finished ones": (0, "> length", "<= length"),
        "counts by half a turn": (0, "2 * np.pi /", "np.pi /"),
    },
}

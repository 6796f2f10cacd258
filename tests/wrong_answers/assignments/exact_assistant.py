"""What learners plausibly answer in assignment 9, with the points that it should get.

`{task: {what is wrong: (points, old, new, ...)}}`: in the cell of the solution, `old` becomes
`new`; with `None` for old, all of the solution.
"""

WRONG = {
    "lesson": {
        "the prompt counts": (2, "(places >= len(prompt) - 1) & ", ""),
        "one place too late": (2, "len(prompt) - 1", "len(prompt)"),
        "the end does not count": (2, "places < len(row) - 1", "places < len(row) - 2"),
        "padding counts": (2, " & (places < len(row) - 1)", ""),
        "cut without a word": (
            2,
            'raise ValueError(f"A lesson of {len(row)} tokens does not fit into {length}.")',
            "row = row[:length]",
        ),
        "no end": (0, "*answer, end]", "*answer]"),
        "what is not 0 counts": (2, "(places < len(row) - 1)", "(ids[1:] != 0)"),
    },
    "answer_loss": {
        "not shifted": (0, "ids[:, 1:, None]", "ids[:, :-1, None]"),
        "the mean of the texts' means": (
            2,
            "costs[counts].mean()",
            "((costs * counts).sum(axis=1) / counts.sum(axis=1)).mean()",
        ),
        "all labels": (0, "costs[counts]", "costs"),
        "the sum": (0, ".mean()", ".sum()"),
        "exp of large logits": (2, " - logits[:, :-1].max(axis=-1, keepdims=True)", ""),
    },
    "exact": {
        "the answer is in it": (1, "bare(a) == bare(b)", "bare(b) in bare(a)"),
        "capitals don't count": (1, "text.strip()", "text.lower().strip()"),
        "all full stops": (1, 'removesuffix(".")', 'rstrip(".")'),
        "blanks count": (1, "text.strip()", "text"),
        "a full stop counts": (1, '.removesuffix(".")', ""),
    },
    "interval": {
        "the textbook's": (
            0,
            None,
            "p = right / n\nhalf = z * np.sqrt(p * (1 - p) / n)\nreturn p - half, p + half",
        ),
        "always 1.96": (1, "p = right / n", "p, z = right / n, 1.96"),
        "not divided": (0, ") / (1 + z**2 / n)", ")"),
        "around the share": (0, "p + z**2 / (2 * n)", "p"),
        "one number": (0, None, "return right / n"),
    },
    "better": {
        "each with questions of its own": (
            2,
            "drawn = gaps[rng.integers(len(gaps), size=(draws, len(gaps)))].mean(axis=1)",
            "n = (draws, len(gaps))\n"
            "    a, b = (x[rng.integers(n[1], size=n)].mean(axis=1) for x in (first, second))\n"
            "    drawn = a - b",
        ),
        "second minus first": (0, "first.astype(float) - second", "second.astype(float) - first"),
        "of the questions": (1, "np.percentile(drawn", "np.percentile(gaps"),
        "each question once": (
            1,
            "rng.integers(len(gaps), size=(draws, len(gaps)))",
            "rng.permuted(np.tile(np.arange(len(gaps)), (draws, 1)), axis=1)",
        ),
        "90 of 100": (1, "[2.5, 97.5]", "[5, 95]"),
    },
    "policy_gradient": {
        "no baseline": (1, "(rewards - rewards.mean())", "rewards"),
        "uphill": (2, "-(rewards - rewards.mean())", "(rewards - rewards.mean())"),
        "not divided": (2, " / len(rewards)", ""),
        "the choice alone": (1, "(is_chosen - p)", "is_chosen"),
        "by the deviation": (
            1,
            "(rewards - rewards.mean())[:, None]",
            "((rewards - rewards.mean()) / rewards.std())[:, None]",
        ),
    },
    "preference": {
        "without the start": (
            0,
            "(chosen - chosen_at_start) - (rejected - rejected_at_start)",
            "chosen - rejected",
        ),
        "no beta in the gradient": (1, "-beta * np.exp", "-np.exp"),
        "of the rejected answer": (1, "-beta * np.exp", "beta * np.exp"),
        "infinite far out": (
            2,
            "np.logaddexp(0, -margin), -beta * np.exp(-np.logaddexp(0, margin))",
            "np.log(1 + np.exp(-margin)), -beta / (1 + np.exp(margin))",
        ),
        "the mean": (1, "np.logaddexp(0, -margin),", "np.logaddexp(0, -margin).mean(),"),
    },
}

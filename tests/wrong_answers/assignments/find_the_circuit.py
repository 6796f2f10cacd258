"""What learners plausibly answer in assignment 5, with the points that it should get.

`{task: {what is wrong: (points, old, new, ...)}}`: in the cell of the solution, `old` becomes
`new`; with `None` for old, all of the solution.
"""

WRONG = {
    "gap": {
        "the first token": (0, "-1", "0"),
        "wrong minus right": (
            0,
            "right]",
            "wrong]",
            "- logits[rows, -1, wrong]",
            "- logits[rows, -1, right]",
        ),
        "one number": (
            0,
            "return logits[rows, -1, right] - logits[rows, -1, wrong]",
            "return (logits[rows, -1, right] - logits[rows, -1, wrong]).mean()",
        ),
        "the right logit alone": (0, " - logits[rows, -1, wrong]", ""),
    },
    "look_at": {
        "the first query": (0, "weights[:, :, -1]", "weights[:, :, 0]"),
        "the sum over texts": (0, " / len(places)", ""),
        "heads are the rows": (1, '"lbnt,bt->ln"', '"lbnt,bt->nl"'),
        "the mean over places": (1, " / len(places)", " / places.sum()"),
        "who is looked at by the places": (0, "weights[:, :, -1]", "weights[:, :, :, -1]"),
    },
    "ablate": {
        "without the bias": (0, " + bias", ""),
        "the mean is not looked at": (2, "outputs[:, head].mean(axis=0) if by_mean else 0", "0"),
        "the mean of all numbers": (2, ".mean(axis=0)", ".mean()"),
        "positions, not heads": (
            1,
            "outputs[:, head] = outputs[:, head].mean(axis=0) if by_mean else 0",
            "outputs[head] = outputs.mean(axis=0)[head] if by_mean else 0",
        ),
        "in place": (2, "outputs = outputs.copy()", "outputs = outputs"),
    },
    "restored": {
        "upside down": (0, "(patched - corrupted)", "(clean - patched)"),
        "how much of the clean gap": (
            0,
            "(patched - corrupted) / np.where(way == 0, np.nan, way)",
            "patched / clean",
        ),
        "infinite where there is no difference": (
            1,
            "np.where(way == 0, np.nan, way)",
            "np.where(way == 0, 1.0, way)",
        ),
        "one way for all pairs": (1, "np.where(way == 0, np.nan, way)", "way.mean()"),
    },
    "patch_everywhere": {
        "patches stay in": (
            2,
            "        for position in range(length):\n"
            "            states = corrupted_states[layer].copy()",
            "        states = corrupted_states[layer].copy()\n"
            "        for position in range(length):",
        ),
        "the given states are changed": (1, ".copy()", ""),
        "corrupted into clean": (
            1,
            "states = corrupted_states[layer].copy()",
            "states = clean_states[layer].copy()",
            "= clean_states[layer, position]",
            "= corrupted_states[layer, position]",
        ),
        "each place twice": (
            3,
            "            table[layer, position] = run_from(layer, states)",
            "            run_from(layer, states)\n"
            "            table[layer, position] = run_from(layer, states)",
        ),
        "a whole layer at once": (
            1,
            "states[position] = clean_states[layer, position]",
            "states[:] = clean_states[layer]",
        ),
    },
    "direct_effects": {
        "the whole kernel for each": (
            1,
            'np.einsum("nh,nhm,m->n", outputs, kernel.reshape(n, h, -1), direction)',
            "np.array([np.tile(o, n) @ kernel @ direction for o in outputs])",
        ),
        "heads and widths confused": (
            1,
            "kernel.reshape(n, h, -1)",
            "kernel.reshape(h, n, -1).swapaxes(0, 1)",
        ),
        "lengths": (
            0,
            'np.einsum("nh,nhm,m->n", outputs, kernel.reshape(n, h, -1), direction)',
            "np.linalg.norm(np.einsum('nh,nhm->nm', outputs, kernel.reshape(n, h, -1)), axis=1)",
        ),
        "one number": (0, "m->n", "m->"),
    },
    "prune": {
        "nothing goes": (0, None, "score(heads)\nreturn list(heads)"),
        "alone, not together": (
            0,
            None,
            "return [head for head in heads if score([head]) >= enough]",
        ),
        "everything that can go alone": (
            0,
            None,
            "return [x for x in heads if score([h for h in heads if h != x]) < enough]",
        ),
        "the first that can go": (
            3,
            "least_missed = max(scores, key=scores.get)",
            "least_missed = next((h for h in circuit if scores[h] >= enough), circuit[0])",
        ),
        "stops one too early": (
            2,
            "scores[least_missed] < enough",
            "scores[least_missed] < enough + 0.06",
        ),
        "the most missed goes": (0, "max(scores", "min(scores"),
    },
}

"""What learners plausibly answer in assignment 8, with the points that it should get.

`{task: {what is wrong: (points, old, new, ...)}}`: in the cell of the solution, `old` becomes
`new`; with `None` for old, all of the solution.
"""

WRONG = {
    "attributions": {
        "each by its own deviation": (1, "state.var()", "parts.var(axis=1)"),
        "without epsilon": (2, " + epsilon", ""),
        "the mean is left in": (0, "parts - parts.mean(axis=1, keepdims=True)", "parts"),
        "the mean over parts": (0, "parts.mean(axis=1, keepdims=True)", "parts.mean(axis=0)"),
        "without gamma": (0, "(gamma * direction)", "direction"),
        "by the variance": (0, "np.sqrt(state.var() + epsilon)", "(state.var() + epsilon)"),
    },
    "fit_probe": {
        "no penalty": (2, " + penalty * np.eye(x.shape[1])", ""),
        "no bias": (
            2,
            "wanted.mean(axis=0) - states.mean(axis=0) @ weights",
            "np.zeros(wanted.shape[1])",
        ),
        "the labels as numbers": (0, "np.eye(labels.max() + 1)[labels]", "1.0 * labels[:, None]"),
        "only labels that occur": (
            2,
            "np.eye(labels.max() + 1)[labels]",
            "(labels[:, None] == np.unique(labels)).astype(float)",
        ),
        "the mean is left in": (2, "x, y = states - states.mean(axis=0),", "x, y = states,"),
    },
    "keep_apart": {
        "examples, not groups": (
            0,
            "np.isin(groups, kept)",
            "rng.permutation(len(groups)) < share * len(groups)",
        ),
        "always the first": (
            1,
            "rng.choice(each, round(share * len(each)), replace=False)",
            "each[: round(share * len(each))]",
        ),
        "the others": (1, "np.isin(groups, kept)", "~np.isin(groups, kept)"),
        "each by chance": (
            1,
            "rng.choice(each, round(share * len(each)), replace=False)",
            "each[rng.uniform(size=len(each)) < share]",
        ),
        "drawn again and again": (1, ", replace=False", ""),
    },
    "graded": {
        "fitted to all": (2, "fit(states[~is_test], labels[~is_test])", "fit(states, labels)"),
        "tested on what was fitted to": (
            2,
            "states[is_test] @",
            "states[~is_test] @",
            "said == labels[is_test]",
            "said == labels[~is_test]",
        ),
        "the majority of the test": (
            2,
            "np.bincount(labels[~is_test])",
            "np.bincount(labels[is_test])",
        ),
        "not shuffled": (2, "rng.permutation(labels)", "labels"),
        "judged by the true labels": (
            2,
            "rng.permutation(labels)",
            "np.where(is_test, labels, rng.permutation(labels))",
        ),
    },
    "turned": {
        "of length 1": (
            2,
            "np.linalg.norm(vector) / np.linalg.norm(noise)",
            "1 / np.linalg.norm(noise)",
        ),
        "as long as they come": (2, "np.linalg.norm(vector) / np.linalg.norm(noise)", "1"),
        "in another order": (2, "rng.normal(size=vector.shape)", "rng.permutation(vector)"),
        "the last one": (
            2,
            "at_random.append(np.mean(answers_of(noise) == wanted))",
            "at_random = [np.mean(answers_of(noise) == wanted)]",
        ),
        "the luckiest": (2, "np.mean(at_random)", "np.max(at_random)"),
        "how many": (1, "np.mean(answers_of", "np.sum(answers_of"),
    },
    "encode": {
        "without the mean": (0, "(states - mean)", "states"),
        "no ReLU": (
            2,
            "np.maximum((states - mean) @ encoder + bias, 0)",
            "(states - mean) @ encoder + bias",
        ),
        "of all examples together": (
            2,
            "np.sort(scores, axis=1)[:, -active, None]",
            "np.sort(scores.ravel())[-active * len(scores)]",
        ),
        "by size, whatever the sign": (
            2,
            None,
            "scores = (states - mean) @ encoder + bias\n"
            "lowest = np.sort(abs(scores), axis=1)[:, -active, None]\n"
            "return np.maximum(np.where(abs(scores) >= lowest, scores, 0), 0)",
        ),
        "on or off": (0, "lowest, scores, 0)", "lowest, 1.0, 0)"),
    },
    "best_feature": {
        "chosen on the exam": (2, "f1(~is_test).argmax", "f1(is_test).argmax"),
        "graded where it was chosen": (2, "f1(is_test)[best]", "f1(~is_test)[best]"),
        "accuracy": (
            0,
            "2 * (said & true).sum(axis=0) / np.maximum(said.sum(axis=0) + true.sum(), 1)",
            "(said == true).mean(axis=0)",
        ),
        "how many it finds": (
            0,
            "2 * (said & true).sum(axis=0) / np.maximum(said.sum(axis=0) + true.sum(), 1)",
            "(said & true).sum(axis=0) / true.sum()",
        ),
        "how seldom it is wrong": (
            0,
            "2 * (said & true).sum(axis=0) / np.maximum(said.sum(axis=0) + true.sum(), 1)",
            "(said & true).sum(axis=0) / np.maximum(said.sum(axis=0), 1)",
        ),
        "on at 0, too": (0, "features[part] > 0", "features[part] >= 0"),
    },
}

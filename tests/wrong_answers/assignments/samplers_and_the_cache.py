"""What learners plausibly answer in assignment 4, with the points that it should get.

`{task: {what is wrong: (points, old, new, ...)}}`: in the cell of the solution, `old` becomes
`new`; with `None` for old, all of the solution.
"""

WRONG = {
    "draw": {
        "the most probable": (0, None, "return probabilities.argmax(axis=1)"),
        "one too far": (
            0,
            "(ends <= darts[:, None]).sum(axis=1)",
            "(ends <= darts[:, None]).sum(axis=1) + 1",
        ),
        "a dart of zero": (1, "ends <= darts", "ends < darts"),
        "the first row for all": (
            1,
            "(ends <= darts[:, None]).sum(axis=1)",
            "np.searchsorted(ends[0], darts, side='right')",
        ),
    },
    "top_p": {
        "without the one that crosses": (0, "before < p", "before + falling < p"),
        "not scaled": (0, " / left.sum(axis=1, keepdims=True)", ""),
        "in falling order": (
            0,
            "np.put_along_axis(left, order, np.where(before < p, falling, 0), axis=1)",
            "left = np.where(before < p, falling, 0)",
        ),
        "the order of the first row": (
            1,
            "np.argsort(-probabilities, axis=1)",
            "np.tile(np.argsort(-probabilities[0]), (len(probabilities), 1))",
        ),
        "a threshold for each": (0, "before < p", "falling >= p"),
    },
    "penalize": {
        "divides always": (
            0,
            "np.where(logits > 0, logits / penalty, logits * penalty)",
            "logits / penalty",
        ),
        "for each time": (
            1,
            None,
            "pushed = logits.copy()\n"
            "for row, ids in zip(pushed, token_ids):\n"
            "    for i in ids:\n"
            "        row[i] = row[i] / penalty if row[i] > 0 else row[i] * penalty\n"
            "return pushed",
        ),
        "takes off": (
            1,
            "np.where(logits > 0, logits / penalty, logits * penalty)",
            "logits - penalty",
        ),
        "every token": (0, "np.where(was_there, pushed, logits)", "pushed"),
        "all rows alike": (
            1,
            "np.put_along_axis(was_there, token_ids, True, axis=1)",
            "was_there[:, np.unique(token_ids)] = True",
        ),
    },
    "left_pad": {
        "padding behind": (
            0,
            "[pad_id] * (length - len(prompt)) + list(prompt)",
            "list(prompt) + [pad_id] * (length - len(prompt))",
            "[0] * (length - len(prompt)) + [1] * len(prompt)",
            "[1] * len(prompt) + [0] * (length - len(prompt))",
        ),
        "positions count padding": (
            1,
            "(np.cumsum(mask, axis=1) - 1) * mask",
            "np.cumsum(np.ones_like(mask), axis=1) - 1",
        ),
        "positions from one": (
            1,
            "(np.cumsum(mask, axis=1) - 1) * mask",
            "np.cumsum(mask, axis=1)",
        ),
        "the mask turned": (
            0,
            "[0] * (length - len(prompt)) + [1] * len(prompt)",
            "[1] * (length - len(prompt)) + [0] * len(prompt)",
        ),
    },
    "step": {
        "the old cache": (
            1,
            "query, np.repeat(keys,",
            "query, np.repeat(cache[0],",
            "np.repeat(values,",
            "np.repeat(cache[1],",
            "np.arange(len(keys))",
            "np.arange(len(cache[0]))",
        ),
        "positions of new tokens": (2, "np.arange(len(keys))", "np.arange(len(query[:1]))"),
        "scaled first": (
            2,
            "(scores + slopes[:, None] * np.arange(len(keys))) / np.sqrt(query.shape[1])",
            "scores / np.sqrt(query.shape[1]) + slopes[:, None] * np.arange(len(keys))",
        ),
        "not scaled": (1, " / np.sqrt(query.shape[1])", ""),
        "heads take turns": (
            3,
            "np.repeat(keys, shared, axis=1)",
            "np.tile(keys, (1, shared, 1))",
            "np.repeat(values, shared, axis=1)",
            "np.tile(values, (1, shared, 1))",
        ),
        "ALiBi from the far end": (2, "np.arange(len(keys))", "np.arange(len(keys))[::-1]"),
    },
    "generate": {
        "everything again in each step": (0, "feed(new, cache)", "feed(ids, cache)"),
        "never stops": (2, "if new[0] == stop:", "if False:"),
        "without the stop token": (
            2,
            "ids += new\n        if new[0] == stop:\n            break",
            "if new[0] == stop:\n            break\n        ids += new",
        ),
        "a call too many": (2, "    return ids", "    feed(new, cache)\n    return ids"),
        "length new tokens": (0, "len(ids) < length", "len(ids) < length + len(prompt)"),
    },
    "accept": {
        "always kept": (1, "keep_dart < target[token] / draft[token]", "True"),
        "never kept": (1, "keep_dart < target[token] / draft[token]", "False"),
        "the rest is the target": (2, "np.maximum(target - draft, 0)", "target"),
        "upside down": (1, "target[token] / draft[token]", "draft[token] / target[token]"),
        "the share of the target": (1, "target[token] / draft[token]", "target[token]"),
    },
}

"""What learners plausibly answer in assignment 7, with the points that it should get.

`{task: {what is wrong: (points, old, new, ...)}}`: in the cell of the solution, `old` becomes
`new`; with `None` for old, all of the solution (beside a diagnosis: of the examination).
"""

from falcon_edu.course.checks.patients.stories import STORIES


def _suspects(number, *keys):
    right = f'suspect_{number} = "{STORIES[number].suspect}"'
    return {key: (1, right, f'suspect_{number} = "{key}"') for key in keys}


ANYTHING = {
    "all are healthy": (0, None, "return True"),
    "all are sick": (0, None, "return False"),
}

WRONG = {
    "case_1": {
        **_suspects(1, "no mask", "softmax over queries", "padding as text", "the mask"),
        **ANYTHING,
        "the changed token is compared, too": (0, "[:, :-1], after[:, :-1]", ", after"),
        "rows sum to one": (
            0,
            None,
            "run = Falcon.random(seed=0).run([[3, 1, 4, 1]])\n"
            "return all(np.allclose(w.sum(axis=-1), 1) for w in run.attention_weights)",
        ),
    },
    "case_2": {
        **_suspects(2, "positions from padding", "no mask", "mask added"),
        **ANYTHING,
        "padding on the right": (0, "(3, 0)", "(0, 3)", "in_company[:, 3:]", "in_company[:, :-3]"),
        "without a mask": (0, "falcon.run(padded, mask)", "falcon.run(padded)"),
        "the first places are compared": (0, "in_company[:, 3:]", "in_company[:, :-3]"),
    },
    "case_3": {
        **_suspects(3, "cache shifted", "alibi missing", "positions rounded"),
        **ANYTHING,
        "equal to the last digit": (
            0,
            "np.allclose(falcon.decode(ids), falcon.run(ids).logits, atol=1e-3)",
            "np.array_equal(falcon.decode(ids), falcon.run(ids).logits)",
        ),
        "the first token only": (
            0,
            "falcon.decode(ids), falcon.run(ids).logits",
            "falcon.decode(ids)[:, 0], falcon.run(ids).logits[:, 0]",
        ),
        "written twice": (0, "falcon.run(ids).logits", "falcon.decode(ids)"),
    },
    "case_4": {
        **_suspects(4, "early scaling", "alibi missing", "positions rounded"),
        **ANYTHING,
        "without the root of the head width": (0, " / np.sqrt(16)", ""),
        "only that weights rise": (
            0,
            "np.allclose(tilts, wanted[:, None], atol=1e-4)",
            "bool((tilts > 0).all())",
        ),
        "with queries": (0, ".without_queries()", ""),
        "the root of the model width": (0, "np.sqrt(16)", "np.sqrt(32)"),
    },
    "case_5": {
        **_suspects(5, "alibi twice", "alibi missing", "positions rounded"),
        **ANYTHING,
        "a head width of one": (
            0,
            None,
            "falcon = Falcon.random(num_attention_heads=2, hidden_dim=2).without_queries()\n"
            "last = falcon.run([range(6)]).attention_weights[0][0, :, -1]\n"
            "tilts = np.log(last[:, 1:] / last[:, :-1])\n"
            "wanted = np.array(falcon_edu.alibi_slopes(2))\n"
            "return np.allclose(tilts, wanted[:, None], atol=1e-4)",
        ),
    },
    "tell_apart": {
        "a head width of four": (1, "hidden_dim=32", "hidden_dim=8", "slope / 4", "slope / 2"),
        "the twins swapped": (
            0,
            '"twice": 2 * slope / 4',
            '"early": 2 * slope / 4',
            '"early": slope}',
            '"twice": slope}',
        ),
        "no root": (0, '"healthy": slope / 4', '"healthy": 3 * slope'),
        "two names only": (1, ', "early": slope}', "}"),
    },
    "case_6": {
        **_suspects(6, "early scaling", "cache shifted", "alibi missing"),
        **ANYTHING,
        "a short text": (0, "[7] * 300", "[7] * 200"),
        "only that weights do not fall": (
            0,
            "np.allclose(steps, steps[0], atol=1e-4)",
            "bool((steps > -1e-4).all())",
        ),
        "a wide tolerance": (0, "atol=1e-4", "atol=1"),
    },
    "case_7": {
        **_suspects(7, "epsilon everywhere", "early scaling", "softmax over queries"),
        **ANYTHING,
        "after the final norm": (
            0,
            "small.hidden_states[1], large.hidden_states[1]",
            "small.logits, large.logits",
        ),
        "before the first block": (0, "hidden_states[1]", "hidden_states[0]"),
        "the same epsilon twice": (0, "layer_norm_epsilon=1.0", "layer_norm_epsilon=1e-5"),
        "hardly another epsilon": (0, "layer_norm_epsilon=1.0", "layer_norm_epsilon=1.1e-5"),
    },
    "case_8": {
        **_suspects(8, "heads by turns", "factors swapped", "cache shifted"),
        **ANYTHING,
        "one group": (0, '"num_key_value_heads": 2', '"num_key_value_heads": 1'),
        "shapes only": (
            0,
            "np.allclose(writer.weights[name], reader.weights[name])",
            "writer.weights[name].shape == reader.weights[name].shape",
        ),
        "it reads what it wrote itself": (0, "reader.load", "reader = writer\n    reader.load"),
        "with biases": (0, '"0.key", "0.value")', '"0.key", "0.value", "0.query.bias")'),
    },
    "case_9": {
        **_suspects(9, "factors swapped", "epsilon everywhere", "early scaling"),
        **ANYTHING,
        "the factors only": (
            0,
            "for variable in trained.trainable_variables:",
            "for variable in (v for v in trained.trainable_variables if 'lora' in v.name):",
        ),
        "nothing was trained": (0, "+ rng.normal(size=variable.shape)", "* 1"),
        "another base": (0, "fresh.set_weights(trained.get_weights())", "fresh.get_weights()"),
    },
}

"""Checks of notebook 13: heads that share, fused rows, and layouts told from shapes."""

from typing import Any

from falcon_edu.course.checks.exercise import exercise, expect, expect_close, given
from falcon_edu.model.config import FalconConfig
from falcon_edu.presets.transformers import weight_table

import numpy as np

ROPE: dict[str, Any] = {"position_encoding": "rope", "parallel_attention": True, "use_bias": False}


@exercise(
    wants="a whole number",
    nudge="Write down who shares with whom for six heads and two keys.",
    hint="`heads // groups` neighbouring heads share a key. How many such shares lie before "
    "this head?",
    praise="Neighbours share.",
)
def key_of(answer):
    """Exercise 13.1."""
    got = [given(answer(head, 6, 2)) for head in range(6)]
    expect(
        not np.array_equal(got, [0, 1, 0, 1, 0, 1]),
        "you deal the keys out in turn, but it is neighbours that share one: 0, 0, 0, 1, 1, 1.",
    )
    expect(
        not np.array_equal(got, [0, 0, 1, 1, 2, 2]),
        "there are two keys for six heads, not two heads for each key.",
    )
    expect_close(got, [0, 0, 0, 1, 1, 1], "the keys of 6 heads with 2 groups")
    expect_close([answer(head, 4, 1) for head in range(4)], [0] * 4, "the keys, when there is one")
    expect_close([answer(i, 4, 4) for i in range(4)], range(4), "the keys, when no head shares")
    got = [answer(i, 8, 2) for i in range(8)]
    expect_close(got, [0] * 4 + [1] * 4, "the keys of 8 heads with 2 groups")


def _fused(order, n, g, m):
    """Return the rows of the heads named in `order`, and queries, keys and values."""
    h = 2
    rng = np.random.default_rng(0)
    parts = {what: rng.normal(size=(k, h, m)) for what, k in (("q", n), ("k", g), ("v", g))}
    rows = np.concatenate([parts[name[0]][int(name[1:])] for name in order.split()])
    return rows, parts


@exercise(
    wants="an array ((n + 2 * g) * h, m)",
    nudge="What stands in one group, and in which order? Make an array with an axis for the "
    "groups.",
    hint="`query.reshape(g, n // g, h, m)` has the queries of each group; give keys and values an "
    "axis there, `key[:, None]`, concatenate on axis 1, and reshape.",
    praise="This is what the package does when it exports a Falcon to transformers.",
)
def join(answer):
    """Exercise 13.2."""
    wanted, parts = _fused("q0 q1 k0 v0 q2 q3 k1 v1", 4, 2, 3)
    got = given(answer(*(parts[what].copy() for what in "qkv")))
    for wrong, message in (
        ("q0 q1 q2 q3 k0 k1 v0 v1", "all queries come first, but they should stand in groups."),
        ("q0 q2 k0 v0 q1 q3 k1 v1", "heads 0 and 2 share a key in yours; neighbours should."),
        ("q0 q1 v0 k0 q2 q3 v1 k1", "values come before keys in each group: turn them round."),
        ("k0 v0 q0 q1 k1 v1 q2 q3", "each group should begin with its queries."),
    ):
        rows = _fused(wrong, 4, 2, 3)[0]
        expect(not (np.shape(got) == rows.shape and np.allclose(got, rows)), message)
    expect_close(got, wanted, "the rows for 4 heads in 2 groups")
    for n, g, order in (
        (2, 2, "q0 k0 v0 q1 k1 v1"),
        (3, 1, "q0 q1 q2 k0 v0"),
        (6, 2, "q0 q1 q2 k0 v0 q3 q4 q5 k1 v1"),
    ):
        wanted, parts = _fused(order, n, g, 5)
        got = answer(*(parts[what].copy() for what in "qkv"))
        expect_close(got, wanted, f"the rows for {n} heads and {g} key/value heads")


@exercise(
    wants="an array (m, groups, h)",
    nudge="Which heads become one? Give them an axis of their own.",
    hint="`kernel.reshape(m, groups, n // groups, h)` has the heads of each group on an axis of "
    "their own; take the mean over it.",
    praise="With some more training, such a model is nearly as good, and its cache is smaller.",
)
def pool(answer):
    """Exercise 13.3."""
    kernel = np.random.default_rng(0).normal(size=(3, 4, 2))
    got = given(answer(kernel.copy(), 2))
    pairs = kernel.reshape(3, 2, 2, 2)  # (m, group, head in it, h)
    for wrong, message in (
        (pairs.sum(2), "the heads are added, but the mean is wanted."),
        (pairs.mean(1), "heads 0 and 2 share in yours; neighbours should, 0 and 1."),
        (pairs[:, :, 0], "only the first head of each group counts in yours."),
    ):
        expect(not (np.shape(got) == wrong.shape and np.allclose(got, wrong)), message)
    expect(
        np.shape(got) != kernel.shape,
        "the shared heads are still there several times: one for each group is wanted.",
    )
    expect_close(got, pairs.mean(2), "the pooled kernel of 4 heads in 2 groups")
    kernel = np.random.default_rng(1).normal(size=(5, 6, 3))
    expect_close(answer(kernel, 6), kernel, "the pooled kernel, where no head shares,")
    expect_close(answer(kernel, 1), kernel.mean(1, keepdims=True), "the kernel for one group")
    wanted = kernel.reshape(5, 2, 3, 3).mean(2)
    expect_close(answer(kernel, 2), wanted, "the pooled kernel of 6 heads in 2 groups")


@exercise(
    wants="a dictionary",
    nudge="For each of the seven entries: which name, or which shape, gives it away?",
    hint="`hidden_dim` is the width of the embedding. A fused matrix has "
    "`(heads + 2 * g) * head_dim` rows, which tells g. `post_attention_layernorm` is there in "
    "sequential blocks only, `ln_mlp` in those with two norms.",
    praise="A layout leaves its prints in the shapes. (Only the positions leave none.)",
)
def detect(answer):
    """Exercise 13.4."""
    grouped = {**ROPE, "num_parallel_layer_norms": 2}
    for name, config in {
        "an RW": FalconConfig(30, 3, 4, 48, 80),
        "a 7B": FalconConfig(30, 2, 6, 48, 80, num_key_value_heads=1, **ROPE),
        "a 40B": FalconConfig(30, 12, 8, 64, 80, num_key_value_heads=2, **grouped),
        "an 11B": FalconConfig(
            30, 4, 8, 64, 80, num_key_value_heads=4, tie_word_embeddings=False, **ROPE
        ),
    }.items():
        shapes = {entry.name: entry.shape for entry in weight_table(config)}
        got = given(answer(shapes, config.num_attention_heads))
        expect(isinstance(got, dict), f"a dictionary is wanted, not a {type(got).__name__}.")
        for key in (
            "hidden_dim num_layers num_key_value_heads parallel_attention "
            "num_parallel_layer_norms use_bias tie_word_embeddings"
        ).split():
            expect(key in got, f"{key} is missing.")
            wanted = getattr(config, key)
            if key == "num_key_value_heads":
                wanted = config.key_value_heads
            expect(
                got[key] == wanted,
                f"{key} of {name} should be {wanted}, but yours is {got[key]}.",
            )

"""Checks of 06_backbone: a cache that fits, parameters of a 7B, a lens model, a 7B in NumPy."""

from falcon_edu.course.checks.exercise import exercise, expect, expect_close
from falcon_edu.model.backbone import FalconBackbone
from falcon_edu.model.positions import rotary_embedding

import keras
import numpy as np


@exercise(
    wants="a whole number",
    nudge="How many bytes does one more token need, in all layers and all texts?",
    hint="One token of one sequence needs `2 * layers * key_value_heads * head_dim` numbers. Take "
    "the weights off the memory, and divide with `//`.",
    praise="For Falcon-1B in bfloat16 on a card with 8 GB this is about 27,000.",
)
def longest_text(answer):
    """Return the number of tokens whose cache fits beside the weights."""
    got = answer(1000, 0, 1, 1, 5, 2, 1)
    expect_close(got, 50, "the number of tokens, where each needs 2 x 5 numbers of 2 bytes,")
    arguments = (100_000_000, 52_500_000, 4, 3, 8, 2, 2)
    got = answer(*arguments)
    right = (100_000_000 - 52_500_000) // (2 * 4 * 3 * 8 * 2 * 2)
    for wrong, message in [
        (2 * right, "keys *and* values are kept."),
        (2 * right + 1, "keys *and* values are kept."),
        (100_000_000 // 768, "the weights need their place, too."),
        (47_500_000 // 384, "every sequence of the batch has a cache of its own."),
        (47_500_000 / 768, "half a token can't be kept: round down."),
        (right + 1, "round down: the last token doesn't fit."),
    ]:
        expect(not np.allclose(got, wrong, rtol=1e-9), message)
    expect_close(got, right, "the number of tokens", tolerance=1e-9)
    expect_close(answer(1000, 0, 1, 1, 5, 4, 1), 25, "the number of tokens, 4 bytes a number,")
    got = answer(1000, 2000, 1, 1, 5, 2, 1)
    expect_close(got, 0, "where not even the weights fit, the number of tokens")


@exercise(
    wants="a whole number",
    nudge="Make a list of the matrices of one block with their shapes, then add what stands "
    "outside the blocks.",
    hint="For the queries `m * m`, for keys and values `2 * m * h` with `h = m // heads`, for the "
    "output `m * m`, for the MLP `2 * m * f`, and one norm with `2 * m`.",
    praise="The same by the package: FALCON_FAMILY['falcon-7b'].num_parameters.",
)
def parameters_7b(answer):
    """Count the parameters of a Falcon in the layout of 7B."""
    for v, layers, heads, m, f in [(100, 3, 4, 32, 80), (65024, 32, 71, 4544, 18176)]:
        h = m // heads
        block = 2 * m * m + 2 * m * h + 2 * m * f + 2 * m
        right = v * m + layers * block + 2 * m
        got = answer(v, layers, heads, m, f)
        expect_close(np.shape(got), (), "the shape of a number")
        biases = m + 2 * h + m + f + m
        for wrong, message in [
            (right - 2 * m, "the final norm is missing."),
            (right + v * m, "the output head is tied: it is the embedding table once more."),
            (right + layers * 2 * m, "a block of 7B has one norm, which both halves share."),
            (right + layers * biases, "the matrices of 7B have no biases."),
            (right + layers * 2 * m * (m - h), "there is one key and one value for all heads."),
            (right - layers * m * h, "keys *and* values have a matrix."),
            (right - layers * m * m, "attention has an output matrix, too."),
            (right - (layers + 1) * m, "a norm has a scale and a shift."),
            (right - layers * m * f, "the MLP has two matrices, up and down."),
        ]:
            expect(got != wrong, message)
        expect_close(got, right, "the number of parameters", tolerance=1e-15)


@exercise(
    wants="a keras.Model with one output",
    nudge="What follows after the last block in the whole model? Let the same follow after block "
    "k.",
    hint="`x = backbone.final_layernorm(backbone.hidden_states[k])`, then "
    "`backbone.token_embedding(x, reverse=True)`; both are symbolic, and `keras.Model` goes from "
    "`backbone.input` to the last.",
    praise="This is the logit lens. Notebook 10 looks through it.",
)
def lens(answer):
    """Return a model from token ids to the logits after k blocks."""
    backbone = _tiny(num_layers=2)
    inputs = {"token_ids": np.array([[3, 1, 4, 1, 5]]), "padding_mask": np.ones((1, 5), "int32")}
    states = keras.Model(backbone.input, list(backbone.hidden_states))(inputs)
    head = backbone.token_embedding

    for k in (1, 0, 2):
        model = answer(backbone, k)
        expect(model is not None, "nothing was returned.")
        expect(
            isinstance(model, keras.Model),
            f"a keras.Model is asked for, but yours is a {type(model).__name__}.",
        )
        got = model(inputs)
        expect(not isinstance(got, (list, dict)), "one output is asked for, the logits.")
        got = np.asarray(got)
        normed = [backbone.final_layernorm(x) for x in states]
        for x, message in [
            (head(states[k], reverse=True), "the final norm is missing."),
            (normed[k], "this is the normed stream: the output head is missing."),
            (states[k], "this is the stream itself: the final norm and the head are missing."),
            (head(backbone(inputs), reverse=True), "these are the logits at the end, whatever k."),
        ]:
            is_same = got.shape == np.shape(x) and np.allclose(got, x, atol=1e-5)
            expect(not is_same or (k == 2 and "whatever" in message), message)
        wanted = np.asarray(head(normed[k], reverse=True))
        for j in set(range(3)) - {k}:
            other = np.asarray(head(normed[j], reverse=True))
            off = got.shape == other.shape and np.allclose(got, other, atol=1e-5)
            expect(not off, f"asked for k = {k}, these are the logits after {j} blocks.")
        expect_close(got, wanted, f"the logits after {k} blocks", tolerance=1e-4)


@exercise(
    wants="an array of logits (t, v)",
    nudge="Change one thing at a time from our lines in section 2, and print shapes: rotation, "
    "one key and value, the parallel block, no biases.",
    hint="Turn queries and keys with the two halves of a head as pairs: "
    "`np.concatenate([-x[..., half:], x[..., :half]], axis=-1)`. The one key and value serve all "
    "heads: einsum with `kh` instead of `knh`. The block is `x + attention(y) + mlp(y)`.",
    praise="Give it the weights of falcon_tales_7b_en, and compare the logits.",
)
def falcon_7b(answer):
    """Compute the forward pass of a Falcon in the layout of 7B, in NumPy."""
    for layers, heads in ((2, 4), (1, 2)):
        _check_7b(answer, layers, heads)


def _check_7b(answer, layers, heads):
    backbone = _tiny(
        num_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=1,
        position_encoding="rope",
        parallel_attention=True,
        use_bias=False,
    )
    w = {weight.path: np.asarray(weight.value, "float64") for weight in backbone.weights}
    ids = np.array([3, 1, 4, 1, 5, 9, 2, 6])
    inputs = {"token_ids": ids[None], "padding_mask": np.ones((1, 8), "int32")}
    wanted = np.asarray(backbone.token_embedding(backbone(inputs), reverse=True))[0]
    got = answer({name: x.copy() for name, x in w.items()}, ids.copy(), layers, heads)
    expect(got is not None, "nothing was returned.")
    if np.shape(got) == wanted.shape:
        for mistake, message in {
            "no rotation": "your queries and keys don't know their positions: rotate both.",
            "neighbours": "you rotate neighbouring numbers, (0, 1), (2, 3). Falcon's pairs are "
            "those of the two halves of a head: i and i + h / 2.",
            "sequential": "your blocks are sequential: the MLP sees what attention has added.",
            "no norm": "the final norm is missing.",
            "values": "the values are rotated, too; only queries and keys are.",
            "no mask": "your tokens look at later ones.",
            "tanh": "this is GELU by the formula with tanh; Falcon's is the exact one, with erf.",
        }.items():
            wrong = _numpy_7b(w, ids, layers, heads, mistake)
            expect(not np.allclose(got, wrong, rtol=0, atol=1e-4), message)
    expect_close(got, wanted, f"the logits of {layers} blocks, {heads} heads,", tolerance=1e-4)


def _tiny(num_attention_heads=4, **arguments):
    """Return a small backbone with weights that leave no mistake invisible."""
    backbone = FalconBackbone(
        vocabulary_size=20,
        num_attention_heads=num_attention_heads,
        hidden_dim=32,
        intermediate_dim=48,
        **arguments,
    )
    rng = np.random.default_rng(0)
    values = [rng.normal(size=weight.shape) / 3 for weight in backbone.weights]
    names = [weight.path for weight in backbone.weights]
    values[names.index("token_embedding/embeddings")][3] /= 100  # a small token shows epsilon
    backbone.set_weights(
        [x + name.endswith("gamma") for x, name in zip(values, names, strict=True)]
    )
    return backbone


def _numpy_7b(w, ids, layers, heads, mistake):
    """Compute the forward pass with one mistake."""

    def norm(x, name):
        x = x - x.mean(axis=-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5)
        return x * w[f"{name}/gamma"] + w[f"{name}/beta"]

    def rotate(x):
        if mistake == "no rotation":
            return x
        half = x.shape[-1] // 2
        order = np.arange(2 * half).reshape(2, half).T.ravel()  # the halves, interleaved
        x = x[..., np.argsort(order)] if mistake == "neighbours" else x
        x = np.asarray(rotary_embedding(x[None].astype("float32"), np.arange(len(ids))[None]))[0]
        return x[..., order] if mistake == "neighbours" else x

    def attention(x, name):
        query = np.einsum("tm,mnh->tnh", x, w[f"{name}/query_dense/kernel"])
        key, value = (
            np.einsum("tm,mgh->tgh", x, w[f"{name}/{part}_dense/kernel"])
            for part in ("key", "value")
        )
        query, key = rotate(query), rotate(key)
        value = rotate(value) if mistake == "values" else value
        scores = np.einsum("qnh,kh->nqk", query, key[:, 0]) / np.sqrt(query.shape[-1])
        if mistake != "no mask":
            scores = np.where(np.tri(len(ids), dtype=bool), scores, -1e30)
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights = powers / powers.sum(axis=-1, keepdims=True)
        found = np.einsum("nqk,kh->qnh", weights, value[:, 0]).reshape(len(ids), -1)
        return found @ w[f"{name}/output_dense/kernel"]

    def mlp(x, name):
        hidden = x @ w[f"{name}/dense_h_to_4h/kernel"]
        hidden = np.asarray(keras.activations.gelu(hidden, approximate=mistake == "tanh"))
        return hidden @ w[f"{name}/dense_4h_to_h/kernel"]

    x = w["token_embedding/embeddings"][ids]
    for i in range(layers):
        name = f"transformer_layer_{i}"
        y = norm(x, f"{name}/input_layernorm")
        added = attention(y, f"{name}/attention")
        if mistake == "sequential":
            y = norm(x + added, f"{name}/input_layernorm")
        x = x + added + mlp(y, name)
    x = x if mistake == "no norm" else norm(x, "final_layernorm")
    return x @ w["token_embedding/embeddings"].T

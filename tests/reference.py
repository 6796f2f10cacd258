"""Falcon in float64 NumPy, from the formulas of the papers: what the package is measured against.

One sequence at a time, one head at a time, so that every line is one formula. Nothing here comes
from the package. The papers: Vaswani et al. 2017 (attention), Press et al. 2022 (ALiBi), Su et al.
2021 (RoPE), Shazeer 2019 and Ainslie et al. 2023 (shared key/value heads), Wang and Komatsuzaki
2021 (parallel blocks), Almazrouei et al. 2023 (Falcon).

The names of the weights, with their shapes; `m` is the width of the model, `n` the number of heads,
`g` of key/value heads, `h` the width of a head, `f` of the MLP, `v` the size of the vocabulary:

    token_embedding (v, m)                     head (m, v), if it is not the embedding
    final_norm.scale (m), final_norm.shift (m)
    and in each block, after its number and a point:
    norm.scale (m), norm.shift (m)             mlp_norm.scale, mlp_norm.shift, if it has two norms
    query (m, n, h)                            query.bias (n, h) and so on, if it has biases
    key (m, g, h), value (m, g, h), output (m, m)
    up (m, f), down (f, m)
"""

import math

import numpy as np


def falcon(weights, config, token_ids, padding_mask, alibi_dtype=None):
    """Falcon for a batch of sequences.

    Args:
        weights: dictionary of name to array.
        config: dictionary of the arguments of `FalconBackbone`, all of them.
        token_ids: `(b, t)` whole numbers.
        padding_mask: `(b, t)`, true at real tokens.
        alibi_dtype: `"bfloat16"` rounds ALiBi as the transformers library does; `None` is exact.

    Returns:
        `hidden_states`, a list of `(b, t, m)`, from the embeddings to the last block;
        `attention_weights`, a list of `(b, n, t, t)`; `output` `(b, t, m)`; `logits` `(b, t, v)`.
    """
    weights = {name: np.asarray(w, "float64") for name, w in weights.items()}
    pairs = zip(np.asarray(token_ids), np.asarray(padding_mask, bool), strict=True)
    sequences = [falcon_sequence(weights, config, *pair, alibi_dtype) for pair in pairs]
    hidden_states, attention_weights, output, logits = map(np.stack, zip(*sequences, strict=True))
    return {
        "hidden_states": list(hidden_states.swapaxes(0, 1)),  # (b, layers, ...) to (layers, b, ...)
        "attention_weights": list(attention_weights.swapaxes(0, 1)),
        "output": output,
        "logits": logits,
    }


def falcon_sequence(weights, config, token_ids, real, alibi_dtype):
    x = weights["token_embedding"][token_ids]  # (t, m)
    hidden_states, attention_weights = [x], []
    for i in range(config["num_layers"]):
        names = [name for name in weights if name.startswith(f"{i}.")]
        block = {name.removeprefix(f"{i}."): weights[name] for name in names}
        x, maps = decoder_block(block, config, x, real, alibi_dtype)
        hidden_states.append(x)
        attention_weights.append(maps)
    output = layer_norm(weights, "final_norm", x, config)
    head = weights["token_embedding"].T if config["tie_word_embeddings"] else weights["head"]
    return hidden_states, attention_weights, output, output @ head


def decoder_block(block, config, x, real, alibi_dtype):
    normed = layer_norm(block, "norm", x, config)
    attended, maps = attention(block, config, normed, real, alibi_dtype)
    if not config["parallel_attention"]:
        x = x + attended
        return x + mlp(block, layer_norm(block, "mlp_norm", x, config)), maps
    if config["num_parallel_layer_norms"] == 2:
        return x + attended + mlp(block, layer_norm(block, "mlp_norm", x, config)), maps
    return x + attended + mlp(block, normed), maps


def attention(block, config, x, real, alibi_dtype):
    time, heads = len(x), config["num_attention_heads"]
    key_value_heads = config["num_key_value_heads"] or heads
    positions = (np.cumsum(real) - 1) * real  # (t,): padding does not count
    may_look = np.tril(np.ones((time, time), bool)) & real[None, :]  # (t, t): query, key
    outputs, maps = [], []
    for head in range(heads):
        group = head * key_value_heads // heads  # the key/value head that this head shares
        query, key, value = (
            x @ block[name][:, index] + block.get(f"{name}.bias", np.zeros((heads, 1)))[index]
            for name, index in [("query", head), ("key", group), ("value", group)]
        )  # each (t, h)
        if config["position_encoding"] == "rope":
            query = rope(query, positions, config["rope_max_wavelength"])
            key = rope(key, positions, config["rope_max_wavelength"])
            scores = query @ key.T
        else:
            scores = query @ key.T + alibi(head, heads, positions, alibi_dtype)[None, :]
        weights = softmax(scores / math.sqrt(query.shape[1]), may_look)  # (t, t)
        outputs.append(weights @ value)
        maps.append(weights)
    return np.concatenate(outputs, axis=1) @ block["output"] + block.get("output.bias", 0), maps


def softmax(scores, may_look):
    """Over the last axis, where it is allowed to look; zeros where that is nowhere."""
    largest = np.max(scores, axis=-1, keepdims=True, where=may_look, initial=-1e9)
    exponentials = np.where(may_look, np.exp(np.minimum(scores - largest, 0)), 0)
    return exponentials / np.maximum(exponentials.sum(-1, keepdims=True), 1e-300)


def alibi(head, heads, positions, dtype=None):
    """Slope times position: the slopes are `2^(-8/n), 2^(-16/n), ...`; see `slope` for other n."""
    if dtype == "bfloat16":
        return to_bfloat16(to_bfloat16(slope(head, heads)) * to_bfloat16(positions))
    return slope(head, heads) * positions


def slope(head, heads):
    """Heads beyond a power of two take the 1st, 3rd, 5th ... slope of twice that power."""
    power = 2 ** math.floor(math.log2(heads))
    if head < power:
        return 2 ** (-8 * (head + 1) / power)
    return 2 ** (-8 * (2 * (head - power) + 1) / (2 * power))


def to_bfloat16(x):
    """Rounds to 8 significant bits, ties to even."""
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.round(mantissa * 2**8) / 2**8, exponent)


def rope(x, positions, max_wavelength):
    """Each pair `(x[i], x[i + h/2])` is a complex number, turned by position times frequency."""
    half = x.shape[1] // 2
    frequencies = max_wavelength ** (-np.arange(half) / half)
    turned = (x[:, :half] + 1j * x[:, half:]) * np.exp(1j * np.outer(positions, frequencies))
    return np.concatenate([turned.real, turned.imag], axis=1)


def mlp(block, x):
    x = x @ block["up"] + block.get("up.bias", 0)
    x = x / 2 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))  # GELU
    return x @ block["down"] + block.get("down.bias", 0)


def layer_norm(weights, name, x, config):
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred**2).mean(-1, keepdims=True)
    normed = centred / np.sqrt(variance + config["layer_norm_epsilon"])
    return normed * weights[f"{name}.scale"] + weights[f"{name}.shift"]

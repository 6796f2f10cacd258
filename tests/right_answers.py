"""Right answers that differ from the solutions: `RIGHT = {module: {exercise: {how: answer}}}`.

Learners write loops, lists, JAX and float32, and count from other ends. A check that knows only
our way of writing refuses them.
"""

import codecs
import math
import os
import re
from itertools import pairwise
from pathlib import Path

import falcon_edu

import jax
import jax.numpy as jnp
import keras
import numpy as np


def selectivity_by_counts(fit, states, labels, control, test):
    right = {}
    for name, these in (("labels", labels), ("control", control)):
        predict = fit(states[~test].tolist(), these[~test].tolist())
        right[name] = sum(
            int(a == b) for a, b in zip(predict(states[test]), these[test], strict=True)
        )
    return (right["labels"] - right["control"]) / int(test.sum())


def near_by_sorting(texts, size, share):
    runs = [
        frozenset(zip(*(text.split()[i:] for i in range(size)), strict=False)) for text in texts
    ]
    pairs = [[i, j] for i in range(len(texts)) for j in range(i + 1, len(texts))]
    both = [(len(runs[i] & runs[j]), len(runs[i] | runs[j])) for i, j in pairs]
    return [pair for pair, (n, of) in zip(pairs, both, strict=True) if of and n / of >= share]


def mixing_share_on_a_grid(p, q):
    shares = np.linspace(0, 1, 2001)
    gains = [np.log(share * p + (1 - share) * q + 1e-30).sum() for share in shares]
    return shares[np.argmax(gains)]


def without_by_least_squares(states, directions):
    return states - np.linalg.lstsq(directions.T, states.T, rcond=None)[0].T @ directions


def sparse_by_loop(scores, active):
    rows = []
    for row in scores.tolist():
        kept = sorted(range(len(row)), key=row.__getitem__)[-active:]
        rows.append([max(x, 0.0) if i in kept else 0.0 for i, x in enumerate(row)])
    return rows


def best_f1_by_shares(feature, label):
    best = 0.0
    for threshold in feature:
        said = feature >= threshold
        if right := int(sum(label[said])):
            precision, recall = right / int(sum(said)), right / int(sum(label))
            best = max(best, 2 / (1 / precision + 1 / recall))
    return best


def clamped_by_difference(state, features, decoder, which, value):
    changed = [value if i == which else x for i, x in enumerate(features)]
    return jnp.asarray(state + (np.array(changed) - features) @ decoder)


def dimensionality_by_angles(weights):
    lengths = np.linalg.norm(weights, axis=1, keepdims=True)
    units = np.divide(weights, lengths, out=np.zeros_like(weights), where=lengths > 0)
    shared = np.square(units @ weights.T).sum(axis=1)
    return [float(a[0] ** 2 / b) if a > 0 else 0.0 for a, b in zip(lengths, shared, strict=True)]


def answers_step_by_step(token_ids, assistant, end):
    counts = []
    for ids in token_ids:
        counts.append([])
        for place in range(1, len(ids)):
            before = [i for i in ids[:place] if i in (assistant, end)]
            counts[-1].append(before[-1:] == [assistant])
    return counts


def softmax(x):
    return np.asarray(jax.nn.softmax(jnp.asarray(x), axis=-1))


def merges_by_regular_expression(words, count):
    spelled, merges = {" ".join(word): times for word, times in words.items()}, []
    for _ in range(count):
        pairs = {}
        for word, times in spelled.items():
            pieces = word.split(" ")
            for pair in pairwise(pieces):
                pairs[pair] = pairs.get(pair, 0) + times
        if not pairs:
            break
        best = sorted(pairs, key=lambda pair: (-pairs[pair], pair))[0]
        merges.append(list(best))
        joint = re.compile(rf"(?<!\S){re.escape(' '.join(best))}(?!\S)")
        spelled = {joint.sub("".join(best), word): times for word, times in spelled.items()}
    return merges


def gradient_by_jax(hidden, table, target):
    return jax.grad(lambda table: -jax.nn.log_softmax(table @ hidden)[target])(jnp.asarray(table))


def silenced_and_restored(model, inputs, layer):
    kept = model.get_weights()
    names = ("/output_dense/", "/dense_4h_to_h/")
    model.set_weights(
        [
            0 * weight
            if f"layer_{layer}/" in w.path and any(n in w.path for n in names)
            else weight
            for w, weight in zip(model.weights, kept, strict=True)
        ]
    )
    logits = falcon_edu.record(model, inputs).logits
    model.set_weights(kept)
    return logits


def positions_by_loop(text_ids):
    positions = np.zeros_like(text_ids)
    for row, ids in zip(positions, text_ids, strict=True):
        for i in range(1, len(ids)):
            row[i] = row[i - 1] + 1 if ids[i] and ids[i] == ids[i - 1] else 0
    return positions


def turned_as_complex(x, positions):
    pairs = x[:, 0::2] + 1j * x[:, 1::2]
    h = x.shape[1]
    pairs = pairs * np.exp(1j * positions[:, None] / 10_000.0 ** (np.arange(0, h, 2) / h))
    return np.stack([pairs.real, pairs.imag], axis=-1).reshape(x.shape)


def exact_gelu(x):
    return jax.nn.gelu(jnp.asarray(x), approximate=False)


def one_by_one(pieces):
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for piece in pieces:
        yield from decoder.decode(piece)


def by_length(pieces):
    held = b""
    for piece in pieces:
        held += piece
        text = ""
        while held:
            length = 1 + (held[0] >= 192) + (held[0] >= 224) + (held[0] >= 240)
            if len(held) < length:
                break
            text, held = text + held[:length].decode(), held[length:]
        if text:
            yield text


def bytes_one_by_one(pieces):
    held = b""
    for piece in pieces:
        for byte in piece:
            held += bytes([byte])
            try:
                text = held.decode()
            except UnicodeDecodeError:
                continue
            held = b""
            yield text


def step_by_heads(query, key, value, cache):
    keys = np.array([*cache[0], key])
    values = np.array([*cache[1], value])
    shared, output = len(query) // len(key), []
    for i, q in enumerate(query):
        weights = softmax(keys[:, i // shared] @ q / math.sqrt(len(q)))
        output.append(weights @ values[:, i // shared])
    return [np.array(output), [keys, values]]


def attention_by_heads(query, key, value):
    shared = query.shape[2] // key.shape[2]
    heads = []
    for i in range(query.shape[2]):
        k, v = key[:, :, i // shared], value[:, :, i // shared]
        scores = query[:, :, i] @ k.swapaxes(1, 2) / np.sqrt(query.shape[-1])
        heads.append(softmax(scores) @ v)
    return np.stack(heads, axis=2)


def look_back_in_wide_heads(v, t):
    shift = np.zeros((v + t, v + t))
    shift[v + 1 :, v:-1] = 1000 * np.eye(t - 1)
    return shift.tolist(), np.eye(v + t).tolist(), np.eye(v + t, v).tolist()


def rooted_squeeze(update, rank):
    u, s, v = np.linalg.svd(update)
    root = np.sqrt(s[:rank])
    return u[:, :rank] * root, root[:, None] * v[:rank]


def adam_by_hand(weight, gradient, mean, square, step, rate):
    mean, square = mean * 0.9 + gradient * 0.1, square * 0.999 + gradient * gradient * 0.001
    corrected = (square / (1 - 0.999**step)) ** 0.5
    return [weight - rate * (mean / (1 - 0.9**step)) / (corrected + 1e-7), mean, square]


def wiring_by_one_number(block):
    """One experiment on the second token alone, with two vectors that no norm makes alike."""
    x, inputs = np.random.default_rng(5).normal(size=(2, 8)), []
    for returned in (np.arange(16.0).reshape(2, 8) ** 2, np.eye(2, 8)):
        got = {}

        def attention(normed, got=got, returned=returned):
            got["attention"] = normed.copy()
            return returned

        def mlp(normed, got=got):
            got["mlp"] = normed.copy()
            return 0 * normed

        block(x, attention, mlp)
        inputs.append(got)
    if abs(inputs[0]["mlp"] - inputs[1]["mlp"]).max() > 1e-6:
        return "sequential"
    same = abs(inputs[0]["mlp"] - inputs[0]["attention"]).max() < 1e-6
    return "parallel" if same else "parallel, two norms"


def lens_by_call(backbone, k):
    states = keras.Model(backbone.input, backbone.hidden_states[k])
    inputs = {name: keras.Input((None,), dtype="int32") for name in ("token_ids", "padding_mask")}
    logits = backbone.token_embedding(backbone.final_layernorm(states(inputs)), reverse=True)
    return keras.Model(inputs, logits)


def circuit_by_loop(restores, heads, share):
    circuit, left = [], list(heads)
    while left:
        values = [restores([*circuit, head]) for head in left]
        circuit.append(left.pop(int(np.argmax(values))))
        if max(values) >= share:
            return tuple(circuit)
    return circuit


def rule_by_matrices(ids, v):
    earlier = (ids[:, None] == ids) & np.tri(len(ids), k=-1, dtype=bool)
    nexts = np.eye(v)[np.roll(ids, -1)]
    counts = earlier @ nexts
    sums = counts.sum(axis=1, keepdims=True)
    return np.where(sums > 0, counts / np.maximum(sums, 1), 1 / v)


def fewest_by_powers(config, gigabytes, tokens, batch_size):
    needed = falcon_edu.memory_needed(
        config, dtype="bfloat16", tokens=tokens, batch_size=batch_size
    )
    weights, cache = needed.values()
    fits = [
        2**i
        for i in range(7)
        if weights / 2**i + cache / (1 if config.key_value_heads % 2**i else 2**i)
        <= gigabytes * 1e9
    ]
    return min(fits, default=0)


def share_by_steps(weights, bits, shares):
    best, least = None, np.inf
    for share in shares:
        top = 2 ** (bits - 1) - 1
        step = share * abs(weights).max() / top
        rounded = np.rint(np.clip(weights, -top * step, top * step) / step) * step
        if np.square(rounded - weights).sum() < least:
            best, least = share, np.square(rounded - weights).sum()
    return best


RIGHT = {
    "tokens_and_embeddings": {
        "bytes_per_token": {
            "a mean over tokens": lambda tokenizer, text: (
                np.mean([len(p) for p in [text.encode()]]) / len(list(tokenizer(text)))
            ),
        },
        "decode": {
            "a byte array": lambda pieces: bytearray().join(pieces).decode("utf8", "replace"),
        },
        "learn_merges": {
            "regular expressions, lists as pairs": merges_by_regular_expression,
            "arrays as pairs": lambda words, count: [
                np.array(pair) for pair in merges_by_regular_expression(words, count)
            ],
        },
        "head_gradient": {"automatic differentiation": gradient_by_jax},
    },
    "residual_stream_and_layer_norm": {
        "rms_norm": {
            "a norm": lambda x, gamma, epsilon: (
                gamma
                * x
                / np.sqrt(np.linalg.norm(x, axis=-1, keepdims=True) ** 2 / x.shape[-1] + epsilon)
            ),
            "in JAX": lambda x, gamma, epsilon: (
                x * jax.lax.rsqrt(jnp.mean(jnp.square(x), -1, keepdims=True) + epsilon) * gamma
            ),
        },
        "unseen_write": {
            "a list": lambda x: [3] * len(x),
            "more of the same": lambda x: 2 * (x - x.mean()),
            "x itself": lambda x: x,
            "downwards": lambda x: np.full(x.shape, -5.0),
        },
        "fold_norm": {
            "a diagonal matrix": lambda gamma, beta, kernel, bias: [
                np.diag(gamma) @ kernel,
                bias + kernel.T @ beta,
            ],
        },
        "without_block": {"silences the weights for a while": silenced_and_restored},
    },
    "self_attention": {
        "window_mask": {
            "two triangles": lambda n, w: np.tril(np.ones((n, n))) - np.tril(np.ones((n, n)), -w),
            "lists": lambda n, w: [[0 <= q - k < w for k in range(n)] for q in range(n)],
            "in JAX": lambda n, w: jnp.tri(n, dtype=bool) & ~jnp.tri(n, k=-w, dtype=bool),
        },
        "grouped_attention": {"a loop over heads": attention_by_heads},
        "look_back": {"wide heads, lists": look_back_in_wide_heads},
    },
    "positions": {
        "half_life": {
            "whole tokens": lambda slope, h: math.ceil(math.log(2) * math.sqrt(h) / slope),
            "rounded": lambda slope, h: round(math.log(2) * h**0.5 / slope),
            "whole tokens, by JAX": lambda slope, h: jnp.ceil(jnp.log(2.0) * h**0.5 / slope),
            "a logarithm of a half": lambda slope, h: -np.log(0.5) / (slope / np.sqrt(h)),
        },
        "packed_positions": {"a loop": positions_by_loop},
        "rope_of_neighbours": {"complex numbers": turned_as_complex},
        "stretched_wavelength": {
            "rounded": lambda w, h, factor: round(w * factor ** (h / (h - 2))),
            "by logarithms": lambda w, h, factor: math.exp(
                math.log(w) + math.log(factor) * h / (h - 2)
            ),
        },
    },
    "decoder_block": {
        "gelu_tanh": {"by jax.nn": lambda x: jax.nn.gelu(jnp.asarray(x), approximate=True)},
        "neuron_writes": {
            "exact, by jax.nn": lambda x, up, b, down: (
                abs(exact_gelu(x @ up + b)) * jnp.linalg.norm(down, axis=1)
            ),
            "the vectors' norms": lambda x, up, b, down: np.linalg.norm(
                np.asarray(exact_gelu(x @ up + b))[:, :, None] * down, axis=-1
            ),
        },
        "one_product": {
            "slices": lambda x, kernels: (
                lambda wide, at: [wide[:, at[i] : at[i + 1]] for i in range(len(kernels))]
            )(x @ np.hstack(kernels), [0, *np.cumsum([k.shape[1] for k in kernels])]),
        },
        "layout": {"vectors that no norm makes alike": wiring_by_one_number},
    },
    "backbone": {
        "longest_text": {
            "a float without parts": lambda memory, w, n, g, h, s, b: np.floor(
                max(memory - w, 0) / (2 * n * g * h * s * b)
            ),
        },
        "parameters_7b": {
            "widths first": lambda v, layers, heads, m, f: (
                m * (v + 2 + layers * (2 + 2 * m + 2 * (m // heads) + 2 * f))
            ),
        },
        "lens": {"a model of a model": lens_by_call},
    },
    "presets": {
        "is_inside": {
            "common path": lambda folder, name: (
                os.path.commonpath([os.path.realpath(folder), os.path.realpath(folder / name)])
                == os.path.realpath(folder)
            ),
            "parents": lambda folder, name: (
                folder.resolve() in Path(folder, name).resolve().parents
            ),
        },
    },
    "generation": {
        "users": {
            "a float without parts": lambda config, memory, tokens, number=2: max(
                0.0,
                np.floor(
                    (memory / number - config.num_parameters)
                    / (2 * config.num_layers * config.key_value_heads * config.head_dim * tokens)
                ),
            ),
        },
        "min_p": {
            "a mask times": lambda p, share: (lambda kept: kept / kept.sum(-1, keepdims=True))(
                p * (p >= share * p.max(-1)[:, None])
            ),
        },
        "characters": {
            "one character at a time": one_by_one,
            "by the length in the first byte": by_length,
            "a byte at a time": bytes_one_by_one,
            "a list of what one_by_one yields": lambda pieces: (text for text in by_length(pieces)),
        },
        "step": {"a loop over heads, lists": step_by_heads},
    },
    "attention_maps": {
        "tokens_looked_at": {
            "a product of powers": lambda w: 1 / np.prod(np.where(w > 0, w, 1) ** w, axis=1),
        },
        "same_token": {
            "a loop": lambda ids: [
                [k < q and ids[k] == ids[q] for k in range(len(ids))] for q in range(len(ids))
            ],
            "numbers": lambda ids: np.tril(np.equal.outer(ids, ids), -1).astype(int),
        },
        "written": {
            "all vectors": lambda w, v, k: np.linalg.norm(w[:, :, None] * (v @ k), axis=-1),
        },
        "mend": {
            "through the scores": lambda w, slope, h: softmax(
                np.log(np.where(w > 0, w, 1e-300)) - slope * np.arange(len(w)) / math.sqrt(h)
            ),
        },
    },
    "hidden_states": {
        "cosines": {
            "an outer product of lengths": lambda a, b: (
                a @ b.T / np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
            ),
        },
        "ranks": {
            "by sorting": lambda logits, ids: (
                np.argsort(np.argsort(-logits, axis=-1), axis=-1)[:, np.arange(len(ids)), ids] + 1
            ),
        },
        "restored": {
            "a loop": lambda p, c, x, names: [
                ((p[i, a] - p[i, b]) - (x[i, a] - x[i, b]))
                / ((c[i, a] - c[i, b]) - (x[i, a] - x[i, b]))
                for i, (a, b) in enumerate(names)
            ],
        },
        "find_circuit": {"a loop, a tuple": circuit_by_loop},
    },
    "training_from_scratch": {
        "limit": {
            "a mean": lambda words, times: np.mean([np.log(words)] + [0] * (times - 1)),
        },
        "adam_step": {"a list": adam_by_hand},
        "mirrored": {
            "lists": lambda words: (
                [[0, *row, 0, *row[::-1]] for row in words.tolist()],
                [[0, *[1] * len(row), 0, *[1] * len(row)] for row in words],
            ),
        },
        "rule": {"matrices": rule_by_matrices},
    },
    "lora": {
        "factor_count": {
            "a float": lambda shape, rank: rank * (math.prod(shape) / shape[-1] + shape[-1]),
        },
        "join_adapters": {
            "strength in b": lambda first, second, s, t: (
                np.hstack([first[0], second[0]]),
                np.vstack([s * first[1], t * second[1]]),
            ),
            "the second first": lambda first, second, s, t: [
                np.hstack([t * second[0], s * first[0]]),
                np.vstack([second[1], first[1]]),
            ],
        },
        "squeeze": {"the root in both factors": rooted_squeeze},
        "factor_gradients": {
            "never the whole kernel": lambda x, up, a, b, scale: (
                scale * x.T @ (up @ b.T),
                scale * (x @ a).T @ up,
            ),
        },
    },
    "the_falcon_family": {
        "key_of": {"a share": lambda head, heads, groups: int(head * groups / heads)},
        "join": {
            "a loop": lambda q, k, v: np.concatenate(
                [
                    row
                    for i in range(len(k))
                    for row in [*q.reshape(len(k), -1, *q.shape[1:])[i], k[i], v[i]]
                ]
            ),
        },
        "pool": {
            "a loop": lambda kernel, groups: np.stack(
                [part.mean(axis=1) for part in np.split(kernel, groups, axis=1)], axis=1
            ),
        },
    },
    "scaling_out": {
        "part_shape": {
            "a list": lambda shape, axes, mesh: [
                size / (mesh[axis] if axis else 1) for size, axis in zip(shape, axes, strict=True)
            ],
        },
        "partial_sums": {
            "a list": lambda x, up, down, activation, devices: [
                activation(x @ part) @ rows
                for part, rows in zip(np.hsplit(up, devices), np.vsplit(down, devices), strict=True)
            ],
        },
        "sent": {
            "pieces": lambda config, tokens, devices, width: (
                (1 + 2 * config.num_layers)
                * 2
                * (devices - 1)
                * (tokens * config.hidden_dim / devices)
                * width
            ),
        },
        "fewest": {"powers of two": fewest_by_powers},
    },
    "quantization": {
        "to_whole": {
            "whole numbers": lambda w, bits: (
                lambda scale: [np.round(w * scale).astype(int), float(scale)]
            )((2 ** (bits - 1) - 1) / np.max(np.abs(w))),
        },
        "rounded_in_groups": {
            "a loop": lambda w, bits, size: np.concatenate(
                [
                    np.rint(rows / (top := abs(rows).max(axis=0) / (2 ** (bits - 1) - 1))) * top
                    for rows in np.split(w, len(w) // size)
                ]
            ),
        },
        "best_share": {"steps instead of scales": share_by_steps},
    },
    "reading_a_mind": {
        "attributed": {
            "the direction first": lambda head_output, rows, state, gamma, difference, epsilon: (
                head_output
                @ rows
                @ (gamma * difference - np.mean(gamma * difference))
                / (np.var(state) + epsilon) ** 0.5
            ),
        },
        "copying": {
            "by the trace": lambda left, right: (
                np.trace(right @ left) / np.abs(np.linalg.eigvals(right @ left)).sum()
            ),
        },
        "selectivity": {"counted": selectivity_by_counts},
        "project_out": {"least squares": without_by_least_squares},
    },
    "features": {
        "sparse": {"a loop": sparse_by_loop},
        "best_f1": {"by its two shares": best_f1_by_shares},
        "clamp": {"the difference of two": clamped_by_difference},
        "dimensionality": {"by angles": dimensionality_by_angles},
    },
    "from_base_to_assistant": {
        "answer_weights": {"step by step": answers_step_by_step},
        "pass_at_k": {
            "one after the other": lambda tries, right, k: (
                1 - np.prod([(tries - right - i) / (tries - i) for i in range(k)])
            ),
        },
        "advantages": {
            "stretched": lambda rewards: (
                (rewards - rewards.mean(axis=1, keepdims=True))
                * (len(rewards[0]) / (len(rewards[0]) - 1))
            ),
        },
        "dpo_loss": {
            "by the sigmoid of JAX": lambda c, r, cb, rb, beta: (
                -jax.nn.log_sigmoid(beta * (c - r - cb + rb)).mean()
            ),
        },
    },
    "your_own_text": {
        "bits_per_byte": {
            "by nats": lambda perplexity, tokens, text: (
                math.log(perplexity) * tokens / math.log(2) / len(bytes(text, "utf-8"))
            ),
        },
        "near_duplicates": {"lists, by first numbers": near_by_sorting},
        "mixing_share": {"a grid": mixing_share_on_a_grid},
    },
}

"""What learners plausibly put into `my_falcon.py`, and should not get away with."""

import math
from pathlib import Path
from runpy import run_path

import numpy as np

HERE = Path(__file__).parent
DECODE = run_path(str(HERE / "tokens_and_embeddings.py"))["WRONG"]["decode"]
READ_TENSOR = run_path(str(HERE / "presets.py"))["WRONG"]["read_tensor"]


def join(pieces, pair, once=False):
    joined, is_done = [], False
    for piece in pieces:
        if joined and (joined[-1], piece) == pair and not (once and is_done):
            joined[-1], is_done = joined[-1] + piece, True
        else:
            joined.append(piece)
    return joined


def encode(letters, merges, once=False, order=1):
    for pair in merges[::order]:
        letters = join(letters, pair, once)
    return letters


def longest_first(letters, merges):
    tokens = {left + right for left, right in merges}
    word, pieces = "".join(letters), []
    while word:
        size = next(n for n in range(len(word), 0, -1) if n == 1 or word[:n] in tokens)
        pieces, word = [*pieces, word[:size]], word[size:]
    return pieces


def by_text(letters, merges):
    spelled = " ".join(letters)
    for left, right in merges:
        spelled = spelled.replace(f"{left} {right}", left + right)
    return spelled.split()


def norm(x, gamma, beta, epsilon, axis=-1, **slips):
    mean, variance = x.mean(axis=axis, keepdims=True), x.var(axis=axis, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


def rms_norm(x, gamma, beta, epsilon):
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + epsilon) * gamma + beta


def in_place(x, gamma, beta, epsilon):
    x -= x.mean(axis=-1, keepdims=True)
    x /= np.sqrt((x**2).mean(axis=-1, keepdims=True) + epsilon)
    return x * gamma + beta


def softmax(scores, axis=-1):
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def attention(query, key, value, bias, mask, **slips):
    n, g, h = query.shape[2], key.shape[2], query.shape[3]
    spread = slips.get("spread", lambda array: np.repeat(array, n // g, axis=2))
    dots = np.einsum("bqnh,bknh->bnqk", query, spread(key))
    before, after = slips.get("biases", (1, 0))
    scores = (dots + before * bias) / slips.get("root", math.sqrt(h)) + after * bias
    scores = np.where(mask[:, None], scores, slips.get("hidden", -1e30))
    weights = softmax(scores, slips.get("axis", -1))
    weights = weights * mask[:, None] if slips.get("zeros", True) else weights
    output = np.einsum("bnqk,bknh->bqnh", weights, spread(value))
    return (output, weights) if slips.get("both") else output


def slip(function, **slips):
    return lambda *arguments: function(*arguments, **slips)


def exercise_3_2(query, key, value, bias, mask):
    return attention(query, key, value, 0 * bias, np.ones_like(mask))


def alibi(slopes, sign=1):
    return lambda n, positions: (
        sign * np.array(slopes(n))[None, :, None, None] * positions[:, None, None, :]
    )


def series(n):
    return 2.0 ** (-8 * np.arange(1, n + 1) / n)


def falcon_slopes(n):
    power = 2 ** int(np.log2(n))
    return [*series(power), *series(2 * power)[::2][: n - power]]


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def normal_density(x):
    return x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


def unnormed(x, attention_norm, mlp_norm, attention, mlp):
    x = x + attention(x)
    return x + mlp(x)


def parallel(x, attention_norm, mlp_norm, attention, mlp):
    return x + attention(attention_norm(x)) + mlp(mlp_norm(x))


def one_norm(x, attention_norm, mlp_norm, attention, mlp):
    x = x + attention(attention_norm(x))
    return x + mlp(attention_norm(x))


def one_road(x, attention_norm, mlp_norm, attention, mlp):
    return mlp(mlp_norm(attention(attention_norm(x))))


def norms_behind(x, attention_norm, mlp_norm, attention, mlp):
    x = attention_norm(x + attention(x))
    return mlp_norm(x + mlp(x))


def halves_the_other_way(x, attention_norm, mlp_norm, attention, mlp):
    x = x + mlp(mlp_norm(x))
    return x + attention(attention_norm(x))


def backbone(ids, table, blocks, final_norm, **slips):
    x = table[ids]
    for block in slips.get("order", lambda blocks: blocks)(blocks):
        x = block(x)
    x = x if slips.get("unnormed") else final_norm(x)
    return x if slips.get("headless") else x @ table.T


def normed_between(ids, table, blocks, final_norm):
    x = table[ids]
    for block in blocks:
        x = final_norm(block(x))
    return x @ table.T


def step(query, key, value, cache, bias, **slips):
    new = [np.concatenate([old, x[None]]) for old, x in zip(cache, (key, value), strict=True)]
    if slips.get("first"):
        new = [np.concatenate([x[None], old]) for old, x in zip(cache, (key, value), strict=True)]
    seen = cache if slips.get("old") and len(cache[0]) else new
    arrays = [array[None] for array in seen]
    seen_bias = bias[None, :, None, : len(seen[0])]
    mask = np.ones((1, 1, len(seen[0])), bool)
    kept = {name: slips[name] for name in ("biases", "root", "spread", "axis") if name in slips}
    output = attention(query[None, None], *arrays, seen_bias, mask, **kept)[0, 0]
    return output, slips.get("keep", lambda new, old: tuple(new))(new, cache)


def heads_take_turns(query, key, value, cache, bias):
    spread = lambda array: np.tile(array, (1, 1, len(query) // array.shape[2], 1))  # noqa: E731
    return step(query, key, value, cache, bias, spread=spread)


def sampler(logits, temperature, p, before=True, scaled=True):
    probabilities = softmax(logits / temperature)
    order = np.argsort(-probabilities)
    sums = np.cumsum(probabilities[order])
    kept = order[(sums - probabilities[order] if before else sums) <= p]
    left = np.zeros_like(probabilities)
    left[kept] = probabilities[kept]
    return left / max(left.sum(), 1e-30) if scaled else left


def least_probable(logits, temperature, p):
    return sampler(-logits, temperature, p)


def exercise_7_2(logits, temperature, share):
    probabilities = softmax(logits / temperature)
    left = np.where(probabilities >= share * probabilities.max(), probabilities, 0)
    return left / left.sum()


WRONG = {
    "encode": {
        "the last merge first": slip(encode, order=-1),
        "each merge once": slip(encode, once=True),
        "the longest token first": longest_first,
        "joins across pieces": by_text,
        "only the first merge": lambda letters, merges: encode(letters, merges[:1]),
        "nothing": lambda letters, merges: letters,
        "one text": lambda letters, merges: " ".join(encode(letters, merges)),
    },
    "decode": DECODE,
    "norm": {
        "RMS, of exercise 2.1": rms_norm,
        "epsilon behind the root": lambda x, gamma, beta, epsilon: (
            (x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) + epsilon) * gamma + beta
        ),
        "no epsilon": lambda x, gamma, beta, epsilon: norm(x, gamma, beta, 0),
        "no gamma": lambda x, gamma, beta, epsilon: norm(x, 1, beta, epsilon),
        "no beta": lambda x, gamma, beta, epsilon: norm(x, gamma, 0, epsilon),
        "gamma on beta too": lambda x, gamma, beta, epsilon: norm(x, 1, beta, epsilon) * gamma,
        "over the tokens": slip(norm, axis=-2),
        "over all axes": slip(norm, axis=None),
        "no root": lambda x, gamma, beta, epsilon: (
            (x - x.mean(-1, keepdims=True)) / (x.var(-1, keepdims=True) + epsilon) * gamma + beta
        ),
        "in place": in_place,
    },
    "attention": {
        "as in exercise 3.2": exercise_3_2,
        "no bias": slip(attention, biases=(0, 0)),
        "the bias after the root": slip(attention, biases=(0, 1)),
        "the bias twice": slip(attention, biases=(1, 1)),
        "no root": slip(attention, root=1),
        "divided by h": slip(attention, root=8),
        "softmax over queries": slip(attention, axis=-2),
        "heads take turns": lambda query, *others: attention(
            query,
            *others,
            spread=lambda array: np.tile(array, (1, 1, query.shape[2] // array.shape[2], 1)),
        ),
        "a mean of nothing": slip(attention, zeros=False),
        "output and weights": slip(attention, both=True),
        "the mask turned round": lambda query, key, value, bias, mask: attention(
            query, key, value, bias, ~mask
        ),
    },
    "alibi_bias": {
        "one series for all": alibi(series),
        "falls": alibi(falcon_slopes, sign=-1),
        "the positions alone": alibi(np.ones),
        "the slopes backwards": alibi(lambda n: falcon_slopes(n)[::-1]),
        "from ratio to the power of 0": alibi(lambda n: 2 ** (8 / n) * series(n)),
        "no axis for queries": lambda n, positions: (
            np.array(falcon_slopes(n))[None, :, None] * positions[:, None, :]
        ),
        "counts by itself": lambda n, positions: alibi(falcon_slopes)(
            n, np.arange(positions.shape[1])[None].repeat(len(positions), axis=0)
        ),
    },
    "gelu": {
        "the stand-in of exercise 5.1": gelu_tanh,
        "by a sigmoid": lambda x: x / (1 + np.exp(-1.702 * x)),
        "ReLU": lambda x: np.maximum(x, 0),
        "without the root of two": lambda x: x / 2 * (1 + np.vectorize(math.erf)(x)),
        "not halved": lambda x: x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
        "the density": normal_density,
    },
    "block": {
        "parallel": parallel,
        "one norm for both": one_norm,
        "nothing is added": one_road,
        "norms behind": norms_behind,
        "no norms": unnormed,
        "MLP first": halves_the_other_way,
        "without MLP": lambda x, norm, _, attention, mlp: x + attention(norm(x)),
        "without attention": lambda x, _, norm, attention, mlp: x + mlp(norm(x)),
    },
    "backbone": {
        "no final norm": slip(backbone, unnormed=True),
        "no head": slip(backbone, headless=True),
        "the last block first": slip(backbone, order=lambda blocks: blocks[::-1]),
        "one block too few": slip(backbone, order=lambda blocks: blocks[:-1]),
        "one block only": slip(backbone, order=lambda blocks: blocks[:1]),
        "no block": slip(backbone, order=lambda blocks: []),
        "the final norm everywhere": normed_between,
        "the last token alone": lambda *arguments: backbone(*arguments)[:, -1],
    },
    "step": {
        "no bias": slip(step, biases=(0, 0)),
        "the bias after the root": slip(step, biases=(0, 1)),
        "no root": slip(step, root=1),
        "heads take turns": heads_take_turns,
        "does not see itself": slip(step, old=True),
        "the new one in front": slip(step, first=True),
        "values first": slip(step, keep=lambda new, old: (new[1], new[0])),
        "keeps the old cache": slip(step, keep=lambda new, old: old),
        "no cache": lambda *arguments: step(*arguments)[0],
    },
    "sampler": {
        "not scaled": slip(sampler, scaled=False),
        "stops one too early": slip(sampler, before=False),
        "min-p, of exercise 7.2": exercise_7_2,
        "no temperature": lambda logits, temperature, p: sampler(logits, 1, p),
        "times the temperature": lambda logits, temperature, p: sampler(logits, 1 / temperature, p),
        "no cut": lambda logits, temperature, p: softmax(logits / temperature),
        "the least probable": least_probable,
        "one token": lambda logits, temperature, p: np.argmax(logits),
    },
    "read_tensor": READ_TENSOR,
}

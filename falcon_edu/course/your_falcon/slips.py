"""Made arguments for the functions of `my_falcon.py`, and each function with a slip in it.

A check that sees a difference looks here for whoever makes the same one, to say what it is.
"""

from functools import reduce

from falcon_edu.course.your_falcon import package

import numpy as np


def normal(*shape, seed=0):
    """Return numbers of a normal distribution, float32."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def soft(scores, axis=-1):
    """Return the softmax."""
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


# === The tokenizer ===


def words():
    """Yield arguments of `encode`."""
    hat = [("a", "t"), ("h", "at"), ("t", "hat")]
    yield list("that"), hat
    yield list("chats"), hat
    yield list("that"), hat[:2]
    yield list("abc"), [("b", "c"), ("a", "b"), ("ab", "c")]
    yield list("aaaaa"), [("a", "a")]
    yield list("hahat"), [("h", "a"), ("a", "t"), ("ha", "t")]
    yield list("xyz"), []


def encoded(letters, merges, most=None):
    """Do what `encode` should, or each merge only at the first `most` places."""
    return reduce(lambda pieces, pair: _merged(pieces, pair, most), merges, [*letters])


def _merged(pieces, pair, most):
    joined: list[str] = []
    for piece in pieces:
        if joined and most != 0 and (joined[-1], piece) == tuple(pair):
            joined[-1] += piece
            most = None if most is None else most - 1
        else:
            joined.append(piece)
    return joined


def replaced(letters, merges):
    """Merge by replacing text, and so join what only ends with the left part of a pair."""
    spelled = " ".join(letters)
    for left, right in merges:
        spelled = spelled.replace(f"{left} {right}", left + right)
    return spelled.split()


# === The norm ===


def streams():
    """Yield arguments of `norm`."""
    gamma, beta = np.array([1.0, 2.0, 3.0, 4.0], "float32"), normal(4, seed=1)
    yield normal(2, 3, 4) + 2, gamma, beta, 0.5
    yield normal(1, 2, 4) / 100, gamma, beta, 1e-5


def normed(x, gamma, beta, epsilon, axis=-1, center=True, outside=False, ddof=0):
    """Do what `norm` should, with slips."""
    mean = x.mean(axis=axis, keepdims=True)
    size = x.var(axis=axis, keepdims=True, ddof=ddof) if center else (x**2).mean(-1, keepdims=True)
    size = np.sqrt(size) + epsilon if outside else np.sqrt(size + epsilon)
    return (x - mean * center) / size * gamma + beta


# === Attention, and the cache ===


def heads():
    """Yield arguments of `attention`."""
    causal = np.tri(5, dtype=bool)[None]
    for n, g in ((3, 3), (4, 2), (4, 1)):
        query = normal(2, 5, n, 8, seed=n)
        key, value = normal(2, 2, 5, g, 8, seed=g)
        bias = package.alibi_bias(n, np.arange(5)[None])
        yield query, key, value, bias, np.repeat(causal, 2, axis=0)
    left = causal & np.array([[[0, 0, 1, 1, 1]]], dtype=bool)  # padding on the left
    yield query, key, value, bias, np.concatenate([causal, left])


def gathered(
    query, key, value, bias, mask, root=True, late=False, spread=np.repeat, axis=-1, zeros=True
):
    """Do what `attention` should, with slips."""
    shared, h = query.shape[2] // key.shape[2], query.shape[3]
    if spread is np.repeat:
        key, value = (np.repeat(array, shared, axis=2) for array in (key, value))
    else:
        key, value = (np.tile(array, (1, 1, shared, 1)) for array in (key, value))
    scores = np.einsum("bqnh,bknh->bnqk", query, key)
    scores = scores / np.sqrt(h) + bias if late else (scores + bias) / (np.sqrt(h) if root else 1)
    mask = mask[:, None]  # (b, n, q, k)
    weights = soft(np.where(mask, scores, -1e30), axis) * (mask if zeros else 1)
    return np.einsum("bnqk,bknh->bqnh", weights, value)


def tokens():
    """Yield arguments of `step`."""
    for n, g, k in ((4, 4, 5), (4, 2, 5), (6, 2, 3), (4, 4, 0)):
        query, (key, value) = normal(n, 3, seed=n), normal(2, g, 3, seed=g)
        cache = normal(k, g, 3, seed=k + 1), normal(k, g, 3, seed=k + 2)
        yield query, key, value, cache, package.alibi_bias(n, np.arange(k + 1)[None])[0, :, 0]


def cached(query, key, value, cache, bias, first=False, old=False, **slips):
    """Do what `step` should, with slips, those of `gathered` among them."""
    pairs = [(before, new[None]) for before, new in zip(cache, (key, value), strict=True)]
    new = tuple(np.concatenate(pair[::-1] if first else pair) for pair in pairs)
    seen = cache if old and len(cache[0]) else new
    k = len(seen[0])
    arrays = query[None, None], seen[0][None], seen[1][None], bias[None, :, None, :k]
    mask = np.ones((1, 1, k), bool)
    return gathered(*arrays, mask=mask, **slips)[0, 0], new


# === Positions ===


def places():
    """Yield arguments of `alibi_bias`."""
    yield 4, np.array([[0, 1, 2, 3]])
    yield 1, np.array([[0, 1, 2]])
    yield 6, np.array([[0, 0, 0, 1, 2], [0, 1, 2, 3, 0]])
    yield 12, np.arange(20)[None]


def biased(num_heads, key_positions, sign=1):
    """Return the bias by one geometric series for any number of heads."""
    slopes = 2.0 ** (-8 * np.arange(1, num_heads + 1) / num_heads)
    return sign * slopes[None, :, None, None] * key_positions[:, None, None, :]


# === The block, and the backbone ===


def numbers():
    """Yield arguments of `gelu`."""
    yield (np.linspace(-5, 5, 42, dtype="float32").reshape(2, 3, 7),)


def gelu_tanh(x):
    """Return GELU by the formula with tanh."""
    return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def gelu_sigmoid(x):
    """Return GELU by the formula with a sigmoid."""
    return x / (1 + np.exp(-1.702 * x))


def halves():
    """Yield arguments of `block`."""
    yield normal(2, 3, 4), *map(bent, range(1, 5))


def bent(seed, m=4):
    """Return a function of a stream, which mixes its numbers and bends them."""
    kernel = normal(m, m, seed=seed)
    return lambda x: np.tanh(x @ kernel)


def wired(x, attention_norm, mlp_norm, attention, mlp, stream=True, writes=(1, 1)):
    """Do what `block` should, with slips."""
    x = stream * x + writes[0] * attention(attention_norm(x))
    return stream * x + writes[1] * mlp(mlp_norm(x))


def parallel(x, attention_norm, mlp_norm, attention, mlp):
    """Wire the halves side by side."""
    return x + attention(attention_norm(x)) + mlp(mlp_norm(x))


def norms_behind(x, attention_norm, mlp_norm, attention, mlp):
    """Norm the stream itself, behind each half."""
    x = attention_norm(x + attention(x))
    return mlp_norm(x + mlp(x))


def stacks():
    """Yield arguments of `backbone`."""
    for count in (3, 1):
        blocks = [bent(seed) for seed in range(count)]
        yield np.array([[3, 1, 6, 1]]), normal(7, 4, seed=9), blocks, bent(8)


def stacked(token_ids, table, blocks, final_norm, cut=slice(None), head=True, is_normed=True):
    """Do what `backbone` should, with slips."""
    x = reduce(lambda x, block: block(x), blocks[cut], table[token_ids])
    x = final_norm(x) if is_normed else x
    return x @ table.T if head else x


# === The sampler ===


def draws():
    """Yield arguments of `sampler`."""
    logits = np.log(np.array([0.25, 0.5, 0.125, 0.125], "float32"))
    yield logits, 1.0, 0.6
    yield logits, 1.0, 0.01
    yield logits, 0.5, 0.85
    yield normal(20) * 3, 2.0, 0.9
    yield normal(20) * 3, 1.0, 1.0


def cut(logits, temperature, p, last=True, scaled=True, late=False):
    """Do what `sampler` should, with slips."""
    probabilities = soft(logits / (1 if late else temperature))
    order = np.argsort(-probabilities)
    sums = np.cumsum(probabilities[order])
    kept = order[(sums - probabilities[order] if last else sums) <= p]
    left = np.zeros_like(probabilities)
    left[kept] = probabilities[kept] ** (1 / temperature if late else 1)
    return left / max(left.sum(), 1e-30) if scaled else left

"""My Falcon: eleven functions, the nine parts of a model that tells tales.

Each function still hands its work to the package. Put your own code in the place of the `return`,
in any order; the notebook named above a part is where you learn how. What the package returned,
yours returns too. `python -m falcon_edu my-falcon` says where you stand.

The letters: `b` batch, `t` time, `q` query position, `k` key position, `m` model width, `n` heads,
`g` key/value heads, `h` head width, `f` feed-forward width, `v` vocabulary.
"""

from falcon_edu.course.your_falcon import package

# === 01: the tokenizer ===


def encode(letters, merges):
    """Return the pieces of one word: its letters, joined by the merges.

    Args:
        letters: a list of strings.
        merges: a list of pairs of strings, in the order in which they were learned.
    """
    return package.encode(letters, merges)


def decode(pieces):
    """Return the text of a list of tokens, each given as `bytes`."""
    return package.decode(pieces)


# === 02: the norm ===


def norm(x, gamma, beta, epsilon):
    """Return the layer norm of `x` `(..., m)`; `gamma` and `beta` are `(m,)`."""
    return package.norm(x, gamma, beta, epsilon)


# === 03: attention ===


def attention(query, key, value, bias, mask):
    """Return what the heads gather, `(b, q, n, h)`.

    Args:
        query: `(b, q, n, h)`.
        key, value: `(b, k, g, h)`; `n` is a multiple of `g`, and neighbours share.
        bias: `(b, n, 1, k)`, added to the scores before they are divided by the root of `h`.
        mask: `(b, q, k)`, true where a query may look; one that may look nowhere gets zeros.
    """
    return package.attention(query, key, value, bias, mask)


# === 04: positions ===


def alibi_bias(num_heads, key_positions):
    """Return ALiBi's bias `(b, n, 1, k)`: slope times position; `key_positions` is `(b, k)`."""
    return package.alibi_bias(num_heads, key_positions)


# === 05: the block ===


def gelu(x):
    """Return the exact GELU of an array of any shape."""
    return package.gelu(x)


def block(x, attention_norm, mlp_norm, attention, mlp):
    """Return the stream behind a sequential block.

    Args:
        x: the stream before it, `(b, t, m)`.
        attention_norm, mlp_norm, attention, mlp: functions of such an array, and to such a one.
    """
    return package.block(x, attention_norm, mlp_norm, attention, mlp)


# === 06: the backbone, with the output head ===


def backbone(token_ids, table, blocks, final_norm):
    """Return logits `(b, t, v)`.

    Args:
        token_ids: `(b, t)`.
        table: the embeddings, `(v, m)`, for the way in and the way out.
        blocks: a list of functions of the stream, `(b, t, m)`.
        final_norm: a function of the stream, too.
    """
    return package.backbone(token_ids, table, blocks, final_norm)


# === 07: the cache ===


def step(query, key, value, cache, bias):
    """Return the output `(n, h)` for one new token, and the new cache.

    Args:
        query: `(n, h)`.
        key, value: `(g, h)`.
        cache: a pair `(k, g, h)`, keys and values of the tokens so far; leave it as it is.
        bias: `(n, k + 1)`, added to the scores before they are divided by the root of `h`.
    """
    return package.step(query, key, value, cache, bias)


# === 07: the sampler ===


def sampler(logits, temperature, p):
    """Return the probabilities `(v,)` to draw from: at a temperature, cut by top-p."""
    return package.sampler(logits, temperature, p)


# === 08: the weights ===


def read_tensor(data, name):
    """Return a tensor of a safetensors file, which is given as `bytes`."""
    return package.read_tensor(data, name)

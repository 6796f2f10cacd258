"""The parts of a Falcon as the package has them, NumPy in and NumPy out.

The stubs of `my_falcon.py` hand their work to these, so that its Falcon writes from the beginning.
"""

import functools

from falcon_edu.fast.gradients import layer_norm
from falcon_edu.generation.samplers import TopPSampler
from falcon_edu.model import attention as model_attention
from falcon_edu.model import layers, positions
from falcon_edu.model.backbone import FalconBackbone

import jax
import numpy as np
import safetensors.numpy
import tokenizers

ROOM = 64  # keys are padded to a multiple, so that JAX does not compile for every length


def encode(letters, merges):
    """Join the letters of a word, as the tokenizers library does."""
    bpe = _bpe(frozenset(letters), tuple(merges))
    return [token.value for token in bpe.tokenize("".join(letters))]


@functools.lru_cache(maxsize=64)
def _bpe(letters, merges):
    tokens = {*letters, *(token for left, right in merges for token in (left, right, left + right))}
    vocabulary = {token: i for i, token in enumerate(sorted(tokens))}
    return tokenizers.models.BPE(vocabulary, list(merges))


def decode(pieces):
    """Return the text of tokens, as `FalconTokenizer.detokenize` does."""
    return b"".join(pieces).decode("utf-8", errors="replace")


def norm(x, gamma, beta, epsilon):
    """Return the layer norm."""
    return np.asarray(layer_norm(x, gamma, beta, epsilon))


def attention(query, key, value, bias, mask):
    """Return the output of `dot_product_attention`."""
    return np.asarray(_attend(query, key, value, bias, mask)[0])


_attend = jax.jit(model_attention.dot_product_attention)


def alibi_bias(num_heads, key_positions):
    """Return ALiBi's bias."""
    k = key_positions.shape[1]
    padded = np.pad(key_positions, [(0, 0), (0, -k % ROOM)])
    return np.asarray(_alibi_bias(num_heads, padded))[..., :k]


_alibi_bias = jax.jit(positions.alibi_bias, static_argnums=0)


def gelu(x):
    """Return the exact GELU."""
    return np.asarray(_gelu(np.asarray(x, "float32")))


_gelu = jax.jit(layers.gelu)


def block(x, attention_norm, mlp_norm, attention, mlp):
    """Wire a block as `FalconTransformerDecoder` does, in sequence."""
    x = x + attention(attention_norm(x))
    return x + mlp(mlp_norm(x))


def backbone(token_ids, table, blocks, final_norm):
    """Run the blocks as `FalconBackbone` does, and then the output head."""
    with_weights = [lambda x, padding_mask, own=block: (own(x), None) for block in blocks]
    hidden_states, _, _ = FalconBackbone.run_blocks(with_weights, table[token_ids], None)
    return final_norm(hidden_states[-1]) @ table.T


def step(query, key, value, cache, bias):
    """Attend from one new token, by `dot_product_attention` over a cache with room to spare."""
    keys, values = (
        np.concatenate([old, new[None]]) for old, new in zip(cache, (key, value), strict=True)
    )
    k = len(keys)
    room = -k % ROOM
    padded = [np.pad(array, [(0, room), (0, 0), (0, 0)])[None] for array in (keys, values)]
    bias = np.pad(bias, [(0, 0), (0, room)])[None, :, None]  # (b, n, q, k)
    mask = np.arange(k + room)[None, None] < k
    output = attention(query[None, None], padded[0], padded[1], bias, mask)[0, 0]
    return output, (keys, values)


def sampler(logits, temperature, p):
    """Return what `TopPSampler` draws from."""
    return np.asarray(TopPSampler(p, temperature=temperature).distribution(logits[None])[0])


def read_tensor(data, name):
    """Return a tensor of a safetensors file, as the safetensors library does."""
    return _tensors(data)[name]


@functools.lru_cache(maxsize=1)
def _tensors(data):
    return safetensors.numpy.load(data)

"""Speed, plugged in from outside: which part of the model each fast path replaces.

The model takes its parts from `falcon_edu.model.layers`. Here stands what is put there: the base
classes of the package, which add what is not the lesson, and the fast paths, each of which computes
the same numbers as the part in its place. `README.md` beside this file has the reason for each.
"""

from contextlib import contextmanager
from functools import partial

from falcon_edu.fast import causal_attention, dense, fused_attention, gradients
from falcon_edu.model import layers
from falcon_edu.support.backbones import Backbone, TokenModel
from falcon_edu.support.blocks import Block
from falcon_edu.support.causal_lms import CausalLM
from falcon_edu.support.configs import Config
from falcon_edu.support.initializers import kernel_initializer


def attend(attention, query, key, value, bias, mask, dropout, is_causal=False):
    """Compute attention in two halves on a CPU, or in one kernel on a GPU, where that pays."""
    attention = partial(attention, softmax=gradients.masked_softmax)
    arguments = (query, key, value, bias, mask, dropout)
    if is_causal and causal_attention.can_halve(query, key):
        output, attention_weights = causal_attention.causal_attention(attention, *arguments)
    else:
        output, attention_weights = attention(*arguments)
    if fused_attention.can_fuse(query, key, getattr(dropout, "rate", 0)):
        # The weights above are left out by the compiler, unless somebody reads them.
        output = fused_attention.fused_attention(query, key, value, bias, mask)
    return output, attention_weights


# A part of the model: what replaces it.
REPLACED = {
    "Dense": dense.Dense,
    "EinsumDense": dense.EinsumDense,
    "ReversibleEmbedding": dense.ReversibleEmbedding,
    "LayerNormalization": gradients.LayerNormalization,
    "gelu": gradients.exact_gelu,
    "attend": attend,
    "cross_entropy": gradients.cross_entropy,
}
PLAIN = {name: getattr(layers, name) for name in REPLACED}


def put_in(parts):
    """Put parts in their places."""
    for name, part in parts.items():
        setattr(layers, name, part)


@contextmanager
def plain():
    """While it lasts, models are made from the plain parts, and keep them.

    They compute in floats: Keras's own layers mean something else by eight bits. Base classes that
    add no arithmetic, such as those that check inputs and load presets, stay.

    Example:

    >>> from falcon_edu import FalconBackbone
    >>> with plain():
    ...     backbone = FalconBackbone(10, 1, 2, 8, 16)
    >>> type(backbone.token_embedding).__module__.startswith("keras.")
    True
    """
    found = {name: getattr(layers, name) for name in PLAIN}
    put_in(PLAIN)
    try:
        yield
    finally:
        put_in(found)  # plain ones again, within another such context


for part in (Block, Backbone, TokenModel, CausalLM, Config, kernel_initializer):
    setattr(layers, part.__name__, part)
put_in(REPLACED)

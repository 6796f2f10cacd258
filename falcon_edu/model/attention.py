"""Attention: the function, and the layer that owns its weights."""

import math

from falcon_edu.model import layers
from falcon_edu.model.positions import alibi_bias, rotary_embedding

import keras
from keras import ops


def make_attention_mask(padding_mask, query_length=None, offset=0) -> layers.Tensor:
    """Make the mask of where a query may look: at real tokens, up to and including itself.

    Args:
        padding_mask: `(b, k)`, true at real tokens.
        query_length: number of queries, `q`; all of the keys when `None`.
        offset: index of the first query among the keys (with a key/value cache).

    Returns:
        `(b, q, k)` bool.

    Example:

    >>> make_attention_mask([[1, 1, 0]])[0].astype(int).tolist()
    [[1, 0, 0], [1, 1, 0], [1, 1, 0]]
    """
    padding_mask = ops.cast(padding_mask, "bool")
    key_length = ops.shape(padding_mask)[1]
    query_index = ops.arange(query_length or key_length)[:, None] + offset  # (q, 1)
    causal = ops.arange(key_length)[None, :] <= query_index  # (q, k)
    return ops.logical_and(causal[None], padding_mask[:, None, :])  # (b, q, k)


def masked_softmax(scores, mask):
    """Return the softmax over the keys that a query may look at; zeros if there are none."""
    # A large finite number: with -inf, a row that sees nothing would be 0 / 0.
    scores = ops.where(mask, scores, -1e30)
    return ops.where(mask, ops.softmax(scores, axis=-1), 0.0)


def dot_product_attention(
    query, key, value, bias=None, mask=None, dropout=None, softmax=masked_softmax
) -> tuple[layers.Tensor, layers.Tensor]:
    """Compute softmax attention, and return the weights it used.

    Args:
        query: `(b, q, n, h)`.
        key, value: `(b, k, g, h)`; `n` is a multiple of `g`, and each key/value head serves
            `n / g` neighbouring query heads.
        bias: added to the scores before they are scaled, broadcast to `(b, n, q, k)`.
        mask: `(b, q, k)`, true where a query may look.
        dropout: a function applied to the weights on their way to the values.
        softmax: a function of scores and mask.

    Returns:
        output `(b, q, n, h)` in the dtype of `value`, and attention_weights `(b, n, q, k)` in
        float32. A query that may look nowhere has a row of zeros.

    Example:

    >>> x = ops.ones((1, 3, 2, 4))
    >>> output, attention_weights = dot_product_attention(x, x, x)
    >>> output.shape, attention_weights.shape
    ((1, 3, 2, 4), (1, 2, 3, 3))

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, eq. 1; groups of heads as in
    Ainslie et al. 2023, https://arxiv.org/abs/2305.13245. Falcon adds the bias before scaling.
    """
    b, q, n, h = query.shape
    k, g = key.shape[1:3]
    # r = n / g query heads share a key/value head: an axis of their own, so nothing is copied.
    query = ops.reshape(query, (b, q, g, n // g, h))
    attention_scores = ops.einsum("bqgrh,bkgh->bgrqk", query, key)
    attention_scores = ops.cast(ops.reshape(attention_scores, (b, n, q, k)), "float32")
    if bias is not None:
        attention_scores = attention_scores + ops.cast(bias, "float32")
    attention_scores = attention_scores / math.sqrt(h)
    if mask is None:
        attention_weights = ops.softmax(attention_scores, axis=-1)
    else:
        attention_weights = softmax(attention_scores, mask[:, None])
    weights = attention_weights if dropout is None else dropout(attention_weights)
    weights = ops.reshape(ops.cast(weights, value.dtype), (b, g, n // g, q, k))
    output = ops.einsum("bgrqk,bkgh->bqgrh", weights, value)
    return ops.reshape(output, (b, q, n, h)), attention_weights


@keras.saving.register_keras_serializable(package="falcon_edu")
class FalconAttention(layers.Block):
    """Falcon's self-attention: multi-head, multi-query or grouped, with ALiBi or RoPE.

    Args:
        config: a `FalconConfig`, or as keyword arguments what a layer by itself needs of it.
        **kwargs: of `keras.layers.Layer`, such as `dtype` and `name`.

    Call arguments:
        inputs: `(b, q, m)`, normed hidden states.
        positions: `(b, k)` int, from `token_positions`.
        attention_mask: `(b, q, k)` bool, from `make_attention_mask`.
        cache: `None`, or the keys and values seen so far: a pair of `(b, k, g, h)`.
        cache_index: index in the cache of the first query of this call.
        is_causal: whether the mask lets no query look at a later key.
        edit_heads: a function of the heads' outputs, `(b, q, n, h)`, that returns what goes into
            the output projection instead.

    Returns:
        output `(b, q, m)` and attention_weights `(b, n, q, k)`; with a cache, also the new cache.

    Example:

    >>> from falcon_edu.model.config import FalconConfig
    >>> layer = FalconAttention(FalconConfig(10, 1, 4, 32, 128, num_key_value_heads=2))
    >>> mask = make_attention_mask(ops.ones((1, 5)))
    >>> output, attention_weights = layer(
    ...     ops.ones((1, 5, 32)), positions=ops.arange(5)[None], attention_mask=mask
    ... )
    >>> output.shape, attention_weights.shape
    ((1, 5, 32), (1, 4, 5, 5))
    """

    def make_layers(self, inputs_shape) -> None:
        config = self.config

        def projection(name, equation, num_heads):
            return self.part(
                layers.EinsumDense,
                name,
                inputs_shape,
                equation=equation,
                output_shape=(None, num_heads, config.head_dim),
                bias_axes="nh" if config.use_bias else None,
                kernel_initializer=layers.kernel_initializer(),
            )

        # The equations are KerasHub's: `n` stands for the heads of keys and values too.
        self.query_dense = projection("query_dense", "bqm,mnh->bqnh", config.num_attention_heads)
        self.key_dense = projection("key_dense", "bkm,mnh->bknh", config.key_value_heads)
        self.value_dense = projection("value_dense", "bkm,mnh->bknh", config.key_value_heads)
        self.attention_dropout = keras.layers.Dropout(
            config.attention_dropout_rate, dtype="float32", name="attention_dropout"
        )
        self.attend = layers.attend
        self.output_dense = self.part(
            layers.Dense,
            "output_dense",
            inputs_shape,
            units=config.hidden_dim,
            use_bias=config.use_bias,
            kernel_initializer=layers.kernel_initializer(),
        )

    def call(
        self,
        inputs,
        positions,
        attention_mask,
        cache=None,
        cache_index=0,
        is_causal=False,
        edit_heads=None,
    ) -> tuple:
        query = self.query_dense(inputs)  # (b, q, n, h)
        key = self.key_dense(inputs)  # (b, q, g, h)
        value = self.value_dense(inputs)  # (b, q, g, h)
        query, key, bias = self.apply_positions(query, key, positions, cache_index)
        if cache is not None:
            start = [cache_index * axis for axis in (0, 1, 0, 0)]  # all of one dtype, as JAX wants
            key = ops.slice_update(cache[0], start, key)  # (b, k, g, h)
            value = ops.slice_update(cache[1], start, value)
        arguments = (query, key, value, bias, attention_mask, self.attention_dropout)
        output, weights = self.attend(dot_product_attention, *arguments, is_causal=is_causal)
        output = output if edit_heads is None else edit_heads(output)  # (b, q, n, h)
        output = self.output_dense(ops.reshape(output, inputs.shape))
        if cache is not None:
            return output, weights, (key, value)
        return output, weights

    def apply_positions(self, query, key, positions, start) -> tuple:
        """Tell query and key where they stand, by ALiBi's bias or by turning them, as RoPE does."""
        config = self.config
        if config.position_encoding == "alibi":
            dtype = config.alibi_dtype or "float32"
            return query, key, alibi_bias(config.num_attention_heads, positions, dtype)
        first = (start * 0, start)  # both of one dtype
        own = ops.slice(positions, first, query.shape[:2])  # (b, q)
        turned = (rotary_embedding(x, own, config.rope_max_wavelength) for x in (query, key))
        return *turned, None

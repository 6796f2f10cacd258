"""Attention: the function, and the layer that owns its weights."""

import math

from falcon_edu.fast.causal_attention import can_halve, causal_attention
from falcon_edu.fast.dense import Dense, EinsumDense
from falcon_edu.fast.fused_attention import can_fuse, fused_attention
from falcon_edu.fast.gradients import masked_softmax
from falcon_edu.model.initializers import kernel_initializer
from falcon_edu.model.positions import alibi_bias, rotary_embedding
from falcon_edu.support.layer_state import Remembers, mixed_policy, policy_at

import keras
from jax.lax import dynamic_slice_in_dim, dynamic_update_slice_in_dim
from keras import ops


def make_attention_mask(padding_mask, query_length=None, offset=0):
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


def dot_product_attention(query, key, value, bias=None, mask=None, dropout=None):
    """Softmax attention, together with the weights it used.

    Args:
        query: `(b, q, n, h)`.
        key, value: `(b, k, g, h)`; `n` is a multiple of `g`, and each key/value head serves
            `n / g` neighbouring query heads.
        bias: added to the scores before they are scaled, broadcast to `(b, n, q, k)`.
        mask: `(b, q, k)`, true where a query may look.
        dropout: a function applied to the weights on their way to the values.

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
        attention_weights = masked_softmax(attention_scores, mask[:, None])
    weights = attention_weights if dropout is None else dropout(attention_weights)
    weights = ops.reshape(ops.cast(weights, value.dtype), (b, g, n // g, q, k))
    output = ops.einsum("bgrqk,bkgh->bqgrh", weights, value)
    return ops.reshape(output, (b, q, n, h)), attention_weights


@keras.saving.register_keras_serializable(package="falcon_edu")
class FalconAttention(Remembers, keras.layers.Layer):
    """Falcon's self-attention: multi-head, multi-query or grouped, with ALiBi or RoPE.

    Args:
        num_heads: number of query heads, `n`.
        attention_dropout_rate: share of attention weights dropped in training.
        num_key_value_heads: number of key/value heads, `g`; `None` for one for each query head.
        position_encoding: `"alibi"` or `"rope"`.
        rope_max_wavelength: base of RoPE's frequencies.
        use_bias: whether the four dense layers have biases.
        alibi_dtype: precision of the ALiBi biases; `None` is float32.
        **kwargs: of `keras.layers.Layer`, such as `dtype` and `name`.

    Call arguments:
        inputs: `(b, q, m)`, normed hidden states.
        positions: `(b, k)` int, from `token_positions`.
        attention_mask: `(b, q, k)` bool, from `make_attention_mask`.
        cache: `None`, or the keys and values seen so far: a pair of `(b, k, g, h)`.
        cache_index: index in the cache of the first query of this call.
        is_causal: whether the mask lets no query look at a later key and there is no cache, so that
            a part of the work can be left out.

    Returns:
        output `(b, q, m)` and attention_weights `(b, n, q, k)`; with a cache, also the new cache.

    Example:

    >>> layer = FalconAttention(num_heads=4, num_key_value_heads=2)
    >>> mask = make_attention_mask(ops.ones((1, 5)))
    >>> output, attention_weights = layer(
    ...     ops.ones((1, 5, 32)), positions=ops.arange(5)[None], attention_mask=mask
    ... )
    >>> output.shape, attention_weights.shape
    ((1, 5, 32), (1, 4, 5, 5))
    """

    def __init__(
        self,
        num_heads,
        attention_dropout_rate=0,
        num_key_value_heads=None,
        position_encoding="alibi",
        rope_max_wavelength=10_000,
        use_bias=True,
        alibi_dtype=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.attention_dropout_rate = attention_dropout_rate
        self.num_key_value_heads = num_key_value_heads
        self.position_encoding = position_encoding
        self.rope_max_wavelength = rope_max_wavelength
        self.use_bias = use_bias
        self.alibi_dtype = alibi_dtype

    def build(self, inputs_shape):
        # === Layers ===
        hidden_dim = inputs_shape[-1]
        head_dim = hidden_dim // self.num_heads
        key_value_heads = self.num_key_value_heads or self.num_heads

        def policy(name):
            return policy_at(self.dtype_policy, f"{self.path}/{name}")

        def projection(name, equation, heads):
            layer = EinsumDense(
                equation,
                output_shape=(None, heads, head_dim),
                bias_axes="nh" if self.use_bias else None,
                kernel_initializer=kernel_initializer(),
                dtype=policy(name),
                name=name,
            )
            layer.build(inputs_shape)
            return layer

        # Equations and names are KerasHub's, so that its weights and LoRA files fit: there `n`
        # stands for the heads of keys and values too.
        self.query_dense = projection("query_dense", "bqm,mnh->bqnh", self.num_heads)
        self.key_dense = projection("key_dense", "bkm,mnh->bknh", key_value_heads)
        self.value_dense = projection("value_dense", "bkm,mnh->bknh", key_value_heads)
        self.attention_dropout = keras.layers.Dropout(
            self.attention_dropout_rate, dtype="float32", name="attention_dropout"
        )
        self.output_dense = Dense(
            hidden_dim,
            use_bias=self.use_bias,
            kernel_initializer=kernel_initializer(),
            dtype=policy("output_dense"),
            name="output_dense",
        )
        self.output_dense.build(inputs_shape)
        self.built = True
        self.restore_state()

    def call(
        self, inputs, positions, attention_mask, cache=None, cache_index=None, is_causal=False
    ):
        b, q, m = inputs.shape
        query = self.query_dense(inputs)  # (b, q, n, h)
        key = self.key_dense(inputs)  # (b, q, g, h)
        value = self.value_dense(inputs)  # (b, q, g, h)
        bias = None
        if self.position_encoding == "alibi":
            bias = alibi_bias(self.num_heads, positions, self.alibi_dtype or "float32")
        else:
            start = 0 if cache_index is None else cache_index
            own = dynamic_slice_in_dim(positions, start, q, axis=1)  # (b, q)
            query = rotary_embedding(query, own, self.rope_max_wavelength)
            key = rotary_embedding(key, own, self.rope_max_wavelength)
        if cache is not None:
            key = dynamic_update_slice_in_dim(cache[0], key, cache_index, axis=1)  # (b, k, g, h)
            value = dynamic_update_slice_in_dim(cache[1], value, cache_index, axis=1)
        arguments = (query, key, value, bias, attention_mask, self.attention_dropout)
        if is_causal and can_halve(query, key):
            output, attention_weights = causal_attention(dot_product_attention, *arguments)
        else:
            output, attention_weights = dot_product_attention(*arguments)
        if can_fuse(query, key, self.attention_dropout_rate):
            # The weights above are left out by the compiler, unless somebody reads them.
            output = fused_attention(query, key, value, bias, attention_mask)
        output = self.output_dense(ops.reshape(output, (b, q, m)))
        if cache is not None:
            return output, attention_weights, (key, value)
        return output, attention_weights

    def quantized_call(self, *args, **kwargs):
        # Keras calls this with `dtype="int8"`: the dense layers see to that, each by itself.
        return self.call(*args, **kwargs)

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "num_heads": self.num_heads,
                "attention_dropout_rate": self.attention_dropout_rate,
                "num_key_value_heads": self.num_key_value_heads,
                "position_encoding": self.position_encoding,
                "rope_max_wavelength": self.rope_max_wavelength,
                "use_bias": self.use_bias,
                "alibi_dtype": self.alibi_dtype,
                "dtype": keras.dtype_policies.serialize(mixed_policy(self, f"{self.name}/")),
            }
        )
        return config

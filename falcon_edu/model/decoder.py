"""One decoder block: attention and MLP around the residual stream."""

from falcon_edu.model import layers
from falcon_edu.model.attention import FalconAttention, make_attention_mask
from falcon_edu.model.positions import token_positions

import keras


@keras.saving.register_keras_serializable(package="falcon_edu")
class FalconTransformerDecoder(layers.Block):
    """One block of Falcon, sequential (RW) or parallel (7B, 40B, 180B, 11B).

    Sequential: `x + attention(norm(x))`, then `x + mlp(norm(x))`.
    Parallel: `x + attention(norm(x)) + mlp(norm(x))`, with one shared norm or two.

    Args:
        config: a `FalconConfig`, or as keyword arguments what a block by itself needs of it.
        **kwargs: of `keras.layers.Layer`, such as `dtype` and `name`.

    Call arguments:
        inputs: `(b, q, m)`, the residual stream.
        padding_mask: `(b, k)`, true at real tokens; with a cache it covers the whole cache.
        cache, cache_index, edit_heads: as in `FalconAttention`.

    Returns:
        outputs `(b, q, m)` and attention_weights `(b, n, q, k)`; with a cache, also the new cache.

    Example:

    >>> from falcon_edu.model.config import FalconConfig
    >>> block = FalconTransformerDecoder(FalconConfig(10, 1, 4, 32, 128))
    >>> x, padding_mask = keras.ops.ones((1, 5, 32)), keras.ops.ones((1, 5))
    >>> outputs, attention_weights = block(x, padding_mask=padding_mask)
    >>> outputs.shape, attention_weights.shape
    ((1, 5, 32), (1, 4, 5, 5))

    Almazrouei et al. 2023, https://arxiv.org/abs/2311.16867, section 4.
    """

    def make_layers(self, inputs_shape) -> None:
        config = self.config

        def norm(name):
            epsilon = config.layer_norm_epsilon
            return self.part(layers.LayerNormalization, name, inputs_shape, epsilon=epsilon)

        def dense(name, inputs, outputs, activation=None):
            return self.part(
                layers.Dense,
                name,
                (*inputs_shape[:-1], inputs),
                units=outputs,
                activation=activation,
                use_bias=config.use_bias,
                kernel_initializer=layers.kernel_initializer(),
            )

        def dropout(name, rate):
            return self.part(keras.layers.Dropout, name, inputs_shape, rate=rate)

        m, f = config.hidden_dim, config.intermediate_dim
        self.input_layernorm = norm("input_layernorm")
        self.attention_layer = self.part(FalconAttention, "attention", inputs_shape, config=config)
        self.attention_dropout = dropout("attention_dropout", config.attention_dropout_rate)
        if not config.parallel_attention:
            self.post_attention_layernorm = norm("post_attention_layernorm")
        elif config.num_parallel_layer_norms == 2:
            self.mlp_layernorm = norm("mlp_layernorm")
        self.dense_h_to_4h = dense("dense_h_to_4h", m, f, layers.gelu)
        self.dense_4h_to_h = dense("dense_4h_to_h", f, m)
        self.feedforward_dropout = dropout("feedforward_dropout", config.feedforward_dropout_rate)

    def call(self, inputs, padding_mask, cache=None, cache_index=0, edit_heads=None) -> tuple:
        config = self.config
        x = self.input_layernorm(inputs)
        attention_output, *weights_and_cache = self.attention_layer(
            x,
            positions=token_positions(padding_mask),
            attention_mask=make_attention_mask(padding_mask, inputs.shape[1], cache_index),
            cache=cache,
            cache_index=cache_index,
            is_causal=cache is None,
            edit_heads=edit_heads,
        )
        attention_output = self.attention_dropout(attention_output)
        if config.parallel_attention:
            mlp_input = self.mlp_layernorm(inputs) if config.num_parallel_layer_norms == 2 else x
            outputs = inputs + attention_output + self.mlp(mlp_input)
        else:
            x = inputs + attention_output
            outputs = x + self.mlp(self.post_attention_layernorm(x))
        return (outputs, *weights_and_cache)

    def mlp(self, x) -> layers.Tensor:
        """Compute the feed-forward half: `(b, q, m)` to `(b, q, f)` and back."""
        return self.feedforward_dropout(self.dense_4h_to_h(self.dense_h_to_4h(x)))

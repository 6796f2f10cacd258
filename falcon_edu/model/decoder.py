"""One decoder block: attention and MLP around the residual stream."""

from falcon_edu.fast.dense import Dense
from falcon_edu.fast.gradients import LayerNormalization, gelu
from falcon_edu.int8.quantization import float_policy
from falcon_edu.model.attention import FalconAttention, make_attention_mask
from falcon_edu.model.initializers import kernel_initializer
from falcon_edu.model.positions import token_positions
from falcon_edu.support.layer_state import Remembers, mixed_policy, policy_at

import keras


@keras.saving.register_keras_serializable(package="falcon_edu")
def exact_gelu(x):
    """Return `gradients.gelu`, which JAX holds as an object, from a function that Keras can save.

    Example:

    >>> keras.activations.serialize(exact_gelu)["config"]
    'falcon_edu>exact_gelu'
    """
    return gelu(x)


@keras.saving.register_keras_serializable(package="falcon_edu")
class FalconTransformerDecoder(Remembers, keras.layers.Layer):
    """One block of Falcon, sequential (RW) or parallel (7B, 40B, 180B, 11B).

    Sequential: `x + attention(norm(x))`, then `x + mlp(norm(x))`.
    Parallel: `x + attention(norm(x)) + mlp(norm(x))`, with one shared norm or two.

    Args:
        num_attention_heads: number of query heads, `n`.
        intermediate_dim: width of the feed-forward layer, `f`.
        layer_norm_epsilon: added to the variance in every layer norm.
        attention_dropout_rate: share of attention weights and outputs dropped in training.
        feedforward_dropout_rate: share of feed-forward outputs dropped in training.
        num_key_value_heads, position_encoding, rope_max_wavelength, use_bias, alibi_dtype:
            as in `FalconAttention`.
        parallel_attention: attention and MLP read the same input.
        num_parallel_layer_norms: with `parallel_attention`, 1 shared norm or 2 separate ones.
        **kwargs: of `keras.layers.Layer`, such as `dtype` and `name`.

    Call arguments:
        inputs: `(b, q, m)`, the residual stream.
        padding_mask: `(b, k)`, true at real tokens; with a cache it covers the whole cache.
        cache, cache_index: as in `FalconAttention`.

    Returns:
        outputs `(b, q, m)` and attention_weights `(b, n, q, k)`; with a cache, also the new cache.

    Example:

    >>> import numpy as np
    >>> block = FalconTransformerDecoder(num_attention_heads=4, intermediate_dim=128)
    >>> outputs, attention_weights = block(np.ones((1, 5, 32)), padding_mask=np.ones((1, 5)))
    >>> outputs.shape, attention_weights.shape
    ((1, 5, 32), (1, 4, 5, 5))

    Almazrouei et al. 2023, https://arxiv.org/abs/2311.16867, section 4.
    """

    def __init__(
        self,
        num_attention_heads,
        intermediate_dim,
        layer_norm_epsilon=1e-5,
        attention_dropout_rate=0,
        feedforward_dropout_rate=0,
        num_key_value_heads=None,
        position_encoding="alibi",
        rope_max_wavelength=10_000,
        parallel_attention=False,
        num_parallel_layer_norms=1,
        use_bias=True,
        alibi_dtype=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_attention_heads = num_attention_heads
        self.intermediate_dim = intermediate_dim
        self.layer_norm_epsilon = layer_norm_epsilon
        self.attention_dropout_rate = attention_dropout_rate
        self.feedforward_dropout_rate = feedforward_dropout_rate
        self.num_key_value_heads = num_key_value_heads
        self.position_encoding = position_encoding
        self.rope_max_wavelength = rope_max_wavelength
        self.parallel_attention = parallel_attention
        self.num_parallel_layer_norms = num_parallel_layer_norms
        self.use_bias = use_bias
        self.alibi_dtype = alibi_dtype

    def build(self, inputs_shape):
        # === Layers ===
        hidden_dim = inputs_shape[-1]

        def policy(name):
            return policy_at(self.dtype_policy, f"{self.path}/{name}")

        def norm(name):
            layer = LayerNormalization(
                epsilon=self.layer_norm_epsilon, dtype=float_policy(policy(name)), name=name
            )
            layer.build(inputs_shape)
            return layer

        def dense(name, input_dim, output_dim, activation=None):
            layer = Dense(
                output_dim,
                activation=activation,
                use_bias=self.use_bias,
                kernel_initializer=kernel_initializer(),
                dtype=policy(name),
                name=name,
            )
            layer.build((*inputs_shape[:-1], input_dim))
            return layer

        def dropout(name, rate):
            return keras.layers.Dropout(rate, dtype=float_policy(policy(name)), name=name)

        self.input_layernorm = norm("input_layernorm")
        self.attention_layer = FalconAttention(
            num_heads=self.num_attention_heads,
            attention_dropout_rate=self.attention_dropout_rate,
            num_key_value_heads=self.num_key_value_heads,
            position_encoding=self.position_encoding,
            rope_max_wavelength=self.rope_max_wavelength,
            use_bias=self.use_bias,
            alibi_dtype=self.alibi_dtype,
            dtype=self.dtype_policy,
            name="attention",
        )
        self.attention_layer.build(inputs_shape)
        self.attention_dropout = dropout("attention_dropout", self.attention_dropout_rate)
        if not self.parallel_attention:
            self.post_attention_layernorm = norm("post_attention_layernorm")
        elif self.num_parallel_layer_norms == 2:
            self.mlp_layernorm = norm("mlp_layernorm")
        self.dense_h_to_4h = dense("dense_h_to_4h", hidden_dim, self.intermediate_dim, exact_gelu)
        self.dense_4h_to_h = dense("dense_4h_to_h", self.intermediate_dim, hidden_dim)
        self.feedforward_dropout = dropout("feedforward_dropout", self.feedforward_dropout_rate)
        self.built = True
        self.restore_state()

    def call(self, inputs, padding_mask, cache=None, cache_index=None):
        x = self.input_layernorm(inputs)
        attention_output, *weights_and_cache = self.attention_layer(
            x,
            positions=token_positions(padding_mask),
            attention_mask=make_attention_mask(
                padding_mask, inputs.shape[1], 0 if cache_index is None else cache_index
            ),
            cache=cache,
            cache_index=cache_index,
            is_causal=cache is None,
        )
        attention_output = self.attention_dropout(attention_output)
        if self.parallel_attention:
            mlp_input = self.mlp_layernorm(inputs) if self.num_parallel_layer_norms == 2 else x
            outputs = inputs + attention_output + self.mlp(mlp_input)
        else:
            x = inputs + attention_output
            outputs = x + self.mlp(self.post_attention_layernorm(x))
        return (outputs, *weights_and_cache)

    def compute_output_spec(self, inputs, *args, **kwargs):
        # Keras runs through all of `call` to learn the outputs' shapes: of the 1.9 s in which 24
        # blocks were made, 1.5. As a backbone calls a block, they are known.
        mask_shape = getattr(kwargs.get("padding_mask"), "shape", ())
        is_a_backbones = mask_shape == inputs.shape[:2] and not args and len(kwargs) == 1
        if type(self).call is not FalconTransformerDecoder.call or not is_a_backbones:
            return super().compute_output_spec(inputs, *args, **kwargs)
        b, t, _ = inputs.shape
        weights_shape = (b, self.num_attention_heads, t, t)
        outputs = keras.KerasTensor(inputs.shape, self.compute_dtype)
        return outputs, keras.KerasTensor(weights_shape, "float32")

    def mlp(self, x):
        """The feed-forward half: `(b, q, m)` to `(b, q, f)` and back."""
        return self.feedforward_dropout(self.dense_4h_to_h(self.dense_h_to_4h(x)))

    def quantized_call(self, *args, **kwargs):
        # Keras calls this with `dtype="int8"`: the dense layers see to that, each by itself.
        return self.call(*args, **kwargs)

    def get_config(self):
        config = super().get_config()
        names = (
            "num_attention_heads intermediate_dim layer_norm_epsilon attention_dropout_rate "
            "feedforward_dropout_rate num_key_value_heads position_encoding rope_max_wavelength "
            "parallel_attention num_parallel_layer_norms use_bias alibi_dtype"
        )
        config.update({name: getattr(self, name) for name in names.split()})
        config["dtype"] = keras.dtype_policies.serialize(mixed_policy(self, f"{self.name}/"))
        return config

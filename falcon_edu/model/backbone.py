"""FalconBackbone: the whole model as one graph."""

from falcon_edu.model import layers
from falcon_edu.model.config import CONFIG_FIELDS, FalconConfig
from falcon_edu.model.decoder import FalconTransformerDecoder

import keras

Backbone = layers.Backbone  # the class of `from_preset` and the like


class FalconBackbone(layers.TokenModel):
    """Falcon: token ids in, hidden states after the final norm out.

    The defaults are Falcon-RW, the layout of KerasHub's `FalconBackbone`.

    Args:
        dtype: string or `keras.DTypePolicy`; softmax, norms and positions stay in float32.
        **kwargs: of `keras.Model`, such as `name`. All others are those of `FalconConfig`.

    Call arguments:
        inputs: `{"token_ids": (b, t) int, "padding_mask": (b, t)}`; padding on either side.

    Returns:
        `(b, t, m)`. The symbolic tensors in between are `hidden_states`, `num_layers + 1` times
        `(b, t, m)`, and `attention_weights`, `num_layers` times `(b, n, t, t)`.

    Raises:
        ValueError: an argument or an input is impossible.

    Example:

    >>> backbone = FalconBackbone(
    ...     vocabulary_size=10,
    ...     num_layers=2,
    ...     num_attention_heads=2,
    ...     hidden_dim=32,
    ...     intermediate_dim=128,
    ... )
    >>> token_ids = keras.ops.ones((1, 12), dtype="int32")
    >>> backbone({"token_ids": token_ids, "padding_mask": token_ids}).shape
    (1, 12, 32)

    Almazrouei et al. 2023, https://arxiv.org/abs/2311.16867.
    """

    def __init__(
        self,
        vocabulary_size: int,
        num_layers: int,
        num_attention_heads: int,
        hidden_dim: int,
        intermediate_dim: int,
        layer_norm_epsilon: float = 1e-5,
        attention_dropout_rate: float = 0,
        feedforward_dropout_rate: float = 0,
        dtype=None,
        num_key_value_heads: int | None = None,
        position_encoding: str = "alibi",
        rope_max_wavelength: float = 10_000,
        parallel_attention: bool = False,
        num_parallel_layer_norms: int = 1,
        use_bias: bool = True,
        tie_word_embeddings: bool = True,
        alibi_dtype: str | None = None,
        **kwargs,
    ) -> None:
        arguments = locals()
        config = FalconConfig(**{name: arguments[name] for name in CONFIG_FIELDS})
        self.prepare(config)

        # === Layers ===
        token_embedding = self.part(
            layers.ReversibleEmbedding,
            "token_embedding",
            dtype,
            input_dim=vocabulary_size,
            output_dim=hidden_dim,
            tie_weights=tie_word_embeddings,
            embeddings_initializer=layers.kernel_initializer(),
        )
        transformer_layers = [
            self.part(FalconTransformerDecoder, f"transformer_layer_{i}", dtype, config=config)
            for i in range(num_layers)
        ]
        final_layernorm = self.part(
            layers.LayerNormalization, "final_layernorm", dtype, epsilon=layer_norm_epsilon
        )

        # === Functional Model ===
        token_ids = keras.Input(shape=(None,), dtype="int32", name="token_ids")
        padding_mask = keras.Input(shape=(None,), dtype="int32", name="padding_mask")
        hidden_states, attention_weights, _ = self.run_blocks(
            transformer_layers, token_embedding(token_ids), padding_mask
        )
        super().__init__(
            inputs={"token_ids": token_ids, "padding_mask": padding_mask},
            outputs=final_layernorm(hidden_states[-1]),
            **({} if dtype is None else {"dtype": dtype}),
            **kwargs,
        )
        self.token_embedding = token_embedding
        self.transformer_layers = transformer_layers
        self.final_layernorm = final_layernorm
        self.hidden_states = hidden_states
        self.attention_weights = attention_weights

        # === Config ===
        self.config = config
        for name in CONFIG_FIELDS:
            setattr(self, name, getattr(config, name))

    @staticmethod
    def run_blocks(blocks, x, padding_mask, cache=None, cache_index=0, edit_heads=None) -> tuple:
        """Run the residual stream through blocks, one after the other.

        Args:
            blocks: `FalconTransformerDecoder` layers.
            x: `(b, q, m)`.
            padding_mask: `(b, k)`, true at real tokens; with a cache it covers the whole cache.
            cache, cache_index, edit_heads: as in `FalconAttention`, lists but for the index.

        Returns:
            Three lists: the stream before the first block and after each, `(b, q, m)`; attention
            weights of each, `(b, n, q, k)`; and the new cache of each, empty without a cache.
        """
        hidden_states, attention_weights, new_cache = [x], [], []
        for i, block in enumerate(blocks):
            more = {} if cache is None else {"cache": cache[i], "cache_index": cache_index}
            more |= {} if edit_heads is None else {"edit_heads": edit_heads[i]}
            x, weights, *of_block = block(x, padding_mask=padding_mask, **more)
            hidden_states.append(x)
            attention_weights.append(weights)
            new_cache += of_block
        return hidden_states, attention_weights, new_cache

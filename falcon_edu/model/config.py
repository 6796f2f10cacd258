"""FalconConfig: the numbers that define one member of the Falcon family."""

from dataclasses import dataclass, fields

from falcon_edu.model import layers


@dataclass(frozen=True)
class FalconConfig(layers.Config):
    """One member of the Falcon family, validated once, when it is made.

    Args:
        vocabulary_size: number of token ids, `v`.
        num_layers: number of decoder blocks.
        num_attention_heads: number of query heads, `n`; divides `hidden_dim`.
        hidden_dim: width of the residual stream, `m`.
        intermediate_dim: width of the feed-forward layer, `f`.
        layer_norm_epsilon: added to the variance in every layer norm.
        attention_dropout_rate: share of attention weights, and of outputs, dropped in training.
        feedforward_dropout_rate: share of feed-forward outputs dropped in training.
        num_key_value_heads: number of key/value heads, `g`; divides `num_attention_heads`.
            `None` means one for each query head (multi-head attention); 1 is multi-query.
        position_encoding: `"alibi"` or `"rope"`.
        rope_max_wavelength: base of RoPE's frequencies.
        parallel_attention: attention and MLP read the same input, instead of one after the other.
        num_parallel_layer_norms: with `parallel_attention`, 1 shared norm or 2 separate ones.
        use_bias: whether the dense layers have biases.
        tie_word_embeddings: whether logits come from the embedding matrix, not from an output head.
        alibi_dtype: precision of ALiBi's biases: `None` is float32, `"bfloat16"` transformers'.

    Raises:
        ValueError: an argument is impossible; the message says which and what would do.

    Example:

    >>> config = FalconConfig(50304, 24, 32, 2048, 8192)
    >>> config.head_dim, config.num_parameters
    (64, 1311625216)

    Almazrouei et al. 2023, https://arxiv.org/abs/2311.16867, section 4.
    """

    vocabulary_size: int
    num_layers: int
    num_attention_heads: int
    hidden_dim: int
    intermediate_dim: int
    layer_norm_epsilon: float = 1e-5
    attention_dropout_rate: float = 0
    feedforward_dropout_rate: float = 0
    num_key_value_heads: int | None = None
    position_encoding: str = "alibi"
    rope_max_wavelength: float = 10_000
    parallel_attention: bool = False
    num_parallel_layer_norms: int = 1
    use_bias: bool = True
    tie_word_embeddings: bool = True
    alibi_dtype: str | None = None

    @property
    def head_dim(self) -> int:
        """Width of one head, `h`."""
        return self.hidden_dim // self.num_attention_heads

    @property
    def key_value_heads(self) -> int:
        """Number of key/value heads, `g`, with the default filled in."""
        return self.num_key_value_heads or self.num_attention_heads


CONFIG_FIELDS = tuple(field.name for field in fields(FalconConfig))

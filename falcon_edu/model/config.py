"""FalconConfig: the numbers that define one member of the Falcon family."""

from dataclasses import asdict, dataclass, fields

from falcon_edu.model import layers

# The family arguments that KerasHub's FalconBackbone does not have. At these values a
# configuration is a Falcon-RW, the one layout that KerasHub can represent.
FAMILY_DEFAULTS = {
    "num_key_value_heads": None,
    "position_encoding": "alibi",
    "rope_max_wavelength": 10_000,
    "parallel_attention": False,
    "num_parallel_layer_norms": 1,
    "use_bias": True,
    "tie_word_embeddings": True,
    "alibi_dtype": None,
}


@dataclass(frozen=True)
class FalconConfig:
    """One member of the Falcon family, validated once, when it is made.

    Args:
        vocabulary_size: number of token ids, `v`.
        num_layers: number of decoder blocks.
        num_attention_heads: number of query heads, `n`; divides `hidden_dim`.
        hidden_dim: width of the residual stream, `m`.
        intermediate_dim: width of the feed-forward layer, `f`.
        layer_norm_epsilon: added to the variance in every layer norm.
        attention_dropout_rate: share of attention weights and of attention outputs that is
            dropped in training, in [0, 1).
        feedforward_dropout_rate: share of feed-forward outputs dropped in training, in [0, 1).
        num_key_value_heads: number of key/value heads, `g`; divides `num_attention_heads`.
            `None` means one for each query head (multi-head attention); 1 is multi-query.
        position_encoding: `"alibi"` or `"rope"`.
        rope_max_wavelength: base of RoPE's frequencies.
        parallel_attention: attention and MLP read the same input, instead of one after the other.
        num_parallel_layer_norms: with `parallel_attention`, 1 shared norm or 2 separate ones.
        use_bias: whether the dense layers have biases.
        tie_word_embeddings: whether logits come from the embedding matrix, not from an output head.
        alibi_dtype: precision in which ALiBi biases are computed; `None` is float32.
            `"bfloat16"` reproduces the transformers library.

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

    def __post_init__(self):
        layers.check_config(self)

    @property
    def head_dim(self) -> int:
        """Width of one head, `h`."""
        return self.hidden_dim // self.num_attention_heads

    @property
    def key_value_heads(self) -> int:
        """Number of key/value heads, `g`, with the default filled in."""
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def num_parameters(self) -> int:
        """Number of weights of the backbone, with an output head of its own if it is untied."""
        m, f, bias = self.hidden_dim, self.intermediate_dim, self.use_bias
        key_value_width = self.key_value_heads * self.head_dim
        query_key_value = (m + bias) * (m + 2 * key_value_width)
        attention_output = (m + bias) * m
        mlp = (m + bias) * f + (f + bias) * m
        norms = 2 * m * (self.num_parallel_layer_norms if self.parallel_attention else 2)
        block = query_key_value + attention_output + mlp + norms
        embeddings = self.vocabulary_size * m * (1 if self.tie_word_embeddings else 2)
        return embeddings + self.num_layers * block + 2 * m

    def to_dict(self) -> dict:
        """Return `FalconBackbone`'s arguments, without family arguments that are Falcon-RW's."""
        return {
            name: value
            for name, value in asdict(self).items()
            if name not in FAMILY_DEFAULTS or value != FAMILY_DEFAULTS[name]
        }

    @property
    def is_keras_hub_compatible(self) -> bool:
        """True if KerasHub's own `FalconBackbone` can represent this configuration."""
        return not set(self.to_dict()) & set(FAMILY_DEFAULTS)


CONFIG_FIELDS = tuple(field.name for field in fields(FalconConfig))

"""What a configuration is besides its numbers: checked, counted, compared with KerasHub's."""

from dataclasses import asdict

from falcon_edu.storage.strangers import shown
from falcon_edu.support import plain

POSITION_ENCODINGS = ("alibi", "rope")
MOST = 2**31 - 1  # sizes are indices, and JAX counts with 32 bits
FLOAT32 = (1.2e-38, 3.4e38)  # what float32 can hold, in which norms and positions are computed
ROPE_BASES = (1e-20, 1e30)  # beyond them an angle overflows
ALIBI_DTYPES = (None, "float32", "bfloat16", "float16")

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


class Config(plain.Config):
    """The base class of `FalconConfig`, which documents it."""

    def __post_init__(self):
        check_config(self)

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


def check_config(config):
    """Raise a `ValueError` that says which number is impossible, and what would do."""
    for name in (
        "vocabulary_size",
        "num_layers",
        "num_attention_heads",
        "hidden_dim",
        "intermediate_dim",
    ):
        _check_positive_integer(name, getattr(config, name))
    if config.num_key_value_heads is not None:
        _check_positive_integer("num_key_value_heads", config.num_key_value_heads)
    for name in (
        "parallel_attention",
        "use_bias",
        "tie_word_embeddings",
    ):
        if not isinstance(getattr(config, name), bool):
            raise ValueError(
                f"`{name}` must be true or false. Received: {shown(getattr(config, name))}"
            )
    _check_number("layer_norm_epsilon", config.layer_norm_epsilon, *FLOAT32)
    _check_number("rope_max_wavelength", config.rope_max_wavelength, *ROPE_BASES)
    for name in ("attention_dropout_rate", "feedforward_dropout_rate"):
        _check_number(name, getattr(config, name), 0, 1 - 1e-9, "of at least 0 and below 1")
    _check_choice("position_encoding", config.position_encoding, POSITION_ENCODINGS)
    _check_choice("num_parallel_layer_norms", config.num_parallel_layer_norms, (1, 2))
    _check_choice("alibi_dtype", config.alibi_dtype, ALIBI_DTYPES)
    if config.hidden_dim % config.num_attention_heads:
        raise ValueError(
            "`hidden_dim` must be a multiple of `num_attention_heads`. Received: "
            f"hidden_dim={config.hidden_dim}, num_attention_heads={config.num_attention_heads}"
        )
    if config.num_attention_heads % config.key_value_heads:
        raise ValueError(
            "`num_attention_heads` must be a multiple of `num_key_value_heads`. Received: "
            f"num_attention_heads={config.num_attention_heads}, "
            f"num_key_value_heads={config.num_key_value_heads}"
        )
    if config.position_encoding == "rope" and config.head_dim % 2:
        raise ValueError(
            "RoPE rotates pairs, so `hidden_dim / num_attention_heads` must be even. Received: "
            f"{config.hidden_dim} / {config.num_attention_heads} = {config.head_dim}"
        )
    if config.num_parallel_layer_norms == 2 and not config.parallel_attention:
        raise ValueError(
            "`num_parallel_layer_norms=2` needs `parallel_attention=True`: "
            "a sequential block always has two norms, one before each half."
        )


def _check_positive_integer(name, value):
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < 1:
        raise ValueError(f"`{name}` must be a whole number of at least 1. Received: {shown(value)}")
    if value > MOST:
        raise ValueError(f"`{name}` must be at most {MOST:,}. Received: {shown(value)}")


def _check_number(name, value, low, high, words="above 0 that float32 can compute with"):
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:
        raise ValueError(f"`{name}` must be a number {words}. Received: {shown(value)}")


def _check_choice(name, value, choices):
    if isinstance(value, bool) or value not in choices:
        raise ValueError(f"`{name}` must be one of {list(choices)}. Received: {shown(value)}")

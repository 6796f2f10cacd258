"""Reckon the memory that a Falcon needs, from its configuration alone."""

from typing import Any

from falcon_edu.int8.quantization import policy_of
from falcon_edu.model.config import FalconConfig

_ROPE: dict[str, Any] = {"position_encoding": "rope", "use_bias": False, "parallel_attention": True}

# The published members of the family, by the names of their checkpoints.
FALCON_FAMILY = {
    "falcon-rw-1b": FalconConfig(50304, 24, 32, 2048, 8192),
    "falcon-7b": FalconConfig(65024, 32, 71, 4544, 18176, num_key_value_heads=1, **_ROPE),
    "falcon2-11B": FalconConfig(
        65024,
        60,
        32,
        4096,
        16384,
        num_key_value_heads=8,
        rope_max_wavelength=500_042,
        tie_word_embeddings=False,
        **_ROPE,
    ),
    "falcon-40b": FalconConfig(
        65024, 60, 128, 8192, 32768, num_key_value_heads=8, num_parallel_layer_norms=2, **_ROPE
    ),
    "falcon-180B": FalconConfig(
        65024, 80, 232, 14848, 59392, num_key_value_heads=8, num_parallel_layer_norms=2, **_ROPE
    ),
}

USES = ("generate", "train")
BYTES = {"float32": 4, "bfloat16": 2, "int8": 1}  # of one weight


def memory_needed(
    config: FalconConfig,
    use: str = "generate",
    dtype: str = "float32",
    tokens: int = 2048,
    batch_size: int = 1,
    trainable_parameters: int | None = None,
) -> dict[str, int]:
    """Return what a Falcon needs in memory, part by part, without making it.

    Weights, cache, gradients and Adam's averages are exact. What training keeps of the forward
    pass depends on the compiler: this part is within about a fifth of what XLA plans for float32
    on a CPU, where no activations are computed twice to save room.

    Args:
        config: a `FalconConfig`, such as `FALCON_FAMILY["falcon-7b"]` or `backbone.config`.
        use: `"generate"` or `"train"` (with Adam).
        dtype: of the weights and all else: `"float32"` or `"bfloat16"`; or `"int8"`, for weights
            of one byte (without their scales, some thousandths more) and a cache in bfloat16; with
            `"int8/32"` a byte more for each group of 32, or of any other size.
        tokens: length of the sequences: prompt and continuation, or a text to train on.
        batch_size: number of sequences at once.
        trainable_parameters: how many are trained, as with LoRA; `None` for all.

    Returns:
        `{part: bytes}`; the sum of its values is the whole.

    Raises:
        ValueError: an argument is impossible.

    Example:

    >>> needed = memory_needed(FALCON_FAMILY["falcon-7b"], dtype="bfloat16", tokens=2048)
    >>> {part: f"{size / 1e9:.2f} GB" for part, size in needed.items()}
    {'weights': '13.84 GB', 'key/value cache': '0.02 GB'}

    Kingma and Ba 2015, https://arxiv.org/abs/1412.6980, for Adam's two averages.
    """
    _check(config, use, dtype, tokens, batch_size, trainable_parameters)
    steps = 0
    if dtype.startswith("int8/"):
        steps = config.num_parameters // policy_of(dtype).group_size  # bytes
        dtype = "int8"
    parts = {"weights": config.num_parameters * BYTES[dtype] + steps}
    size = max(BYTES[dtype], 2)  # of any number that is not a weight
    key_value_width = config.key_value_heads * config.head_dim
    if use == "generate":
        per_token = 2 * config.num_layers * key_value_width * size
        return {**parts, "key/value cache": batch_size * tokens * per_token}
    trained = config.num_parameters if trainable_parameters is None else trainable_parameters
    # A block's vectors for each token, and its maps in float32.
    vectors = 6 * config.hidden_dim + 2 * key_value_width + 2 * config.intermediate_dim
    maps = 4 * config.num_attention_heads * tokens
    block = vectors * size + maps
    logits = 2 * config.vocabulary_size * size
    # One block more than there are: what the compiler works in.
    activations = batch_size * tokens * ((config.num_layers + 1) * block + logits)
    return {
        **parts,
        "gradients": trained * size,
        "Adam": 2 * trained * size,
        "activations, about": round(activations),
    }


def _check(config, use, dtype, tokens, batch_size, trainable_parameters):
    if not isinstance(config, FalconConfig):
        raise ValueError(
            "`config` must be a FalconConfig, such as FALCON_FAMILY['falcon-7b'] or "
            f"backbone.config. Received: {config!r}"
        )
    if isinstance(dtype, str) and dtype.startswith("int8/"):
        dtype = policy_of(dtype).quantization_mode
    for name, value, known in (("use", use, USES), ("dtype", dtype, tuple(BYTES))):
        if value not in known:
            raise ValueError(f"`{name}` must be one of {list(known)}. Received: {value!r}")
    if use == "train" and dtype == "int8" and trainable_parameters is None:
        raise ValueError(
            "Weights in int8 can't be trained: a small step would be rounded away. Choose another "
            "`dtype`, or say by `trainable_parameters` how many others are trained, as with LoRA."
        )
    counts = {"tokens": tokens, "batch_size": batch_size}
    if trainable_parameters is not None:
        counts["trainable_parameters"] = trainable_parameters
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"`{name}` must be a whole number of at least 1. Received: {value!r}")

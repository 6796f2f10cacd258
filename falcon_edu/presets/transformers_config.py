"""Falcon's configuration in the words of transformers, old and new, and back."""

from falcon_edu.storage.strangers import shown

OLD_DIALECT = ("RefinedWeb", "RefinedWebModel")
FLAGS = (
    "alibi",
    "bias",
    "multi_query",
    "new_decoder_architecture",
    "parallel_attn",
    "tie_word_embeddings",
)
USUAL_ROPE = ("default", None)
REFUSED = {
    "llama": "Falcon3 is a Llama: it has RMS norms and gated MLPs.",
    "falcon_h1": "Falcon-H1 mixes attention with state-space layers.",
    "falcon_mamba": "FalconMamba is a state-space model without attention.",
}


def from_transformers(config, source):
    """Return the arguments of `FalconBackbone` in a `config.json` of transformers.

    Args:
        config: the JSON object.
        source: path of the file, for messages.

    Returns:
        Dictionary of arguments. ALiBi gets `alibi_dtype="bfloat16"`, as transformers computes it.

    Raises:
        ValueError: the file is of another architecture, lacks a field, or asks for something that
            no Falcon has.
    """
    model_type = config.get("model_type")
    if model_type not in ("falcon", *OLD_DIALECT):
        why = REFUSED.get(model_type, "") if isinstance(model_type, str) else ""
        raise ValueError(
            f"{source} is of a {shown(model_type)}, which is another architecture than Falcon. "
            f"{why}"
        )
    for field, usual in (
        ("activation", "gelu"),
        ("apply_residual_connection_post_layernorm", False),
        ("quantization_config", None),
        ("rope_scaling", None),
    ):
        if config.get(field) not in (usual, None):
            raise ValueError(
                f"`{field}` in {source} must be {usual!r} or absent. "
                f"Received: {shown(config[field])}"
            )

    for field in FLAGS:
        if not isinstance(config.get(field, False), (bool, type(None))):
            raise ValueError(
                f"`{field}` in {source} must be true or false. Received: {shown(config[field])}"
            )

    def get(*names, default=None):
        told = [config[name] for name in names if config.get(name) is not None]
        if any(value != told[0] for value in told[1:]):
            raise ValueError(
                f"`{'` and `'.join(names)}` in {source} are two names for one thing, but say "
                f"different things. Received: {shown(told)}"
            )
        return told[0] if told else default

    def require(*names):
        value = get(*names)
        if value is None:
            raise ValueError(f"`{names[0]}` is missing in {source}")
        return value

    heads = require("num_attention_heads", "n_head")
    hidden_dim = require("hidden_size", "n_embed")
    if isinstance(hidden_dim, bool) or not isinstance(hidden_dim, int):
        raise ValueError(
            f"`hidden_size` in {source} must be a whole number. Received: {shown(hidden_dim)}"
        )
    arguments = {
        "vocabulary_size": require("vocab_size"),
        "num_layers": require("num_hidden_layers", "n_layer"),
        "num_attention_heads": heads,
        "hidden_dim": hidden_dim,
        "intermediate_dim": get("ffn_hidden_size", default=4 * hidden_dim),
        "layer_norm_epsilon": get("layer_norm_epsilon", default=1e-5),
        "attention_dropout_rate": get("attention_dropout", default=0),
        "feedforward_dropout_rate": get("hidden_dropout", default=0),
        "use_bias": get("bias", default=False),
        "tie_word_embeddings": get("tie_word_embeddings", default=True),
        **_blocks(get, source),
        **_positions(get, source),
    }
    if arguments["num_key_value_heads"] == heads:
        arguments["num_key_value_heads"] = None  # one for each query head
    return arguments


def _blocks(get, source):
    """Return the heads of keys and values, and how a block is wired."""
    key_value_heads = get("num_kv_heads", "n_head_kv")
    # The first Falcons came with code of their own: there `n_head_kv` alone says which block it is,
    # and everything else is off unless said.
    old = get("model_type") in OLD_DIALECT
    if get("new_decoder_architecture", default=old and key_value_heads is not None):
        return {
            "num_key_value_heads": key_value_heads,
            "parallel_attention": True,
            "num_parallel_layer_norms": get("num_ln_in_parallel_attn", default=2),
        }
    parallel = get("parallel_attn", default=not old)
    if parallel and get("num_ln_in_parallel_attn", default=1) != 1:
        raise ValueError(
            f"`num_ln_in_parallel_attn` in {source} must be 1 without `new_decoder_architecture`."
        )
    return {
        "num_key_value_heads": 1 if get("multi_query", default=not old) else None,
        "parallel_attention": parallel,
        "num_parallel_layer_norms": 1,
    }


def _positions(get, source):
    if get("alibi", default=False):
        return {"position_encoding": "alibi", "alibi_dtype": "bfloat16"}
    rope = get("rope_parameters", default={})
    kind = rope.get("rope_type", rope.get("type")) if isinstance(rope, dict) else rope
    if not isinstance(rope, dict) or kind not in USUAL_ROPE:
        raise ValueError(
            f"`rope_parameters` in {source} must be of type 'default'. Received: {shown(kind)}"
        )
    theta = rope.get("rope_theta")
    theta = get("rope_theta", default=10_000) if theta is None else theta
    return {"position_encoding": "rope", "rope_max_wavelength": theta}


def to_transformers(config):
    """Return a `config.json` of transformers for a `FalconConfig`.

    Raises:
        ValueError: transformers has no Falcon of this layout.

    Example:

    >>> from falcon_edu import FalconConfig
    >>> to_transformers(FalconConfig(50304, 24, 32, 2048, 8192))["alibi"]
    True
    """
    heads, key_value_heads = config.num_attention_heads, config.key_value_heads
    grouped = key_value_heads not in (1, heads)
    new = grouped or config.num_parallel_layer_norms == 2
    if new and not config.parallel_attention:
        raise ValueError(
            "transformers has no Falcon with sequential blocks and grouped key/value heads: "
            f"`num_key_value_heads` must be 1 or {heads}. Received: {key_value_heads}"
        )
    return {
        "architectures": ["FalconForCausalLM"],
        "model_type": "falcon",
        "vocab_size": config.vocabulary_size,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": heads,
        "num_kv_heads": key_value_heads,
        "hidden_size": config.hidden_dim,
        "ffn_hidden_size": config.intermediate_dim,
        "layer_norm_epsilon": config.layer_norm_epsilon,
        "attention_dropout": config.attention_dropout_rate,
        "hidden_dropout": config.feedforward_dropout_rate,
        "activation": "gelu",
        "bias": config.use_bias,
        "tie_word_embeddings": config.tie_word_embeddings,
        "new_decoder_architecture": new,
        "num_ln_in_parallel_attn": config.num_parallel_layer_norms if new else None,
        "multi_query": not new and key_value_heads == 1,
        "parallel_attn": config.parallel_attention,
        "alibi": config.position_encoding == "alibi",
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_max_wavelength},
    }

"""The same Falcon in the other libraries, with weights set in memory, and what they make of inputs.

The libraries are imported where they are used: the main environment has none of them.
"""

from tests.layouts import reference_weights, to_float64

import keras
import numpy as np


def keras_hub_falcon(backbone):
    """KerasHub's Falcon with the weights of a backbone, which must be a Falcon-RW."""
    import keras_hub

    config = backbone.config.to_dict()
    theirs = keras_hub.models.FalconBackbone(**config, dtype=backbone.dtype_policy.name)
    assert [v.path for v in theirs.weights] == [v.path for v in backbone.weights]
    theirs.set_weights(backbone.get_weights())
    return theirs


def read_keras_hub(theirs, inputs):
    """What KerasHub's Falcon computes; it shows no attention weights."""
    states = [theirs.token_embedding.output, *[layer.output for layer in theirs.transformer_layers]]
    *hidden_states, output = keras.Model(theirs.input, [*states, theirs.output])(inputs)
    return {
        "hidden_states": [to_float64(x) for x in hidden_states],
        "output": to_float64(output),
        "logits": to_float64(theirs.token_embedding(output, reverse=True)),
    }


def transformers_can_represent(config):
    """Whether transformers has this layout: it has grouped attention in parallel blocks only."""
    grouped = 1 < config.key_value_heads < config.num_attention_heads
    return config.parallel_attention or not grouped


def transformers_falcon(backbone, attn_implementation=None):
    """The Falcon of transformers with the weights of a backbone, by default where it is right."""
    import torch
    from transformers import FalconForCausalLM

    model = FalconForCausalLM(transformers_config(backbone.config, attn_implementation))
    state = {name: torch.tensor(x, dtype=torch.float32) for name, x in state_dict(backbone).items()}
    model.load_state_dict(state, strict=True)
    return model.eval()


def transformers_config(config, attn_implementation=None):
    """A `FalconConfig` of ours as one of transformers."""
    from transformers import FalconConfig

    heads, groups = config.num_attention_heads, config.key_value_heads
    grouped = 1 < groups < heads
    if attn_implementation is None:
        attn_implementation = "sdpa" if config.position_encoding == "alibi" else "eager"
    return FalconConfig(
        vocab_size=config.vocabulary_size,
        hidden_size=config.hidden_dim,
        num_hidden_layers=config.num_layers,
        num_attention_heads=heads,
        num_kv_heads=groups,
        ffn_hidden_size=config.intermediate_dim,
        layer_norm_epsilon=config.layer_norm_epsilon,
        alibi=config.position_encoding == "alibi",
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_max_wavelength},
        new_decoder_architecture=grouped,
        multi_query=groups == 1,
        parallel_attn=config.parallel_attention,
        num_ln_in_parallel_attn=config.num_parallel_layer_norms if grouped else None,
        bias=config.use_bias,
        tie_word_embeddings=config.tie_word_embeddings,
        attn_implementation=attn_implementation,
    )


def state_dict(backbone):
    """The weights of a backbone under transformers' names, in its shapes: `(outputs, inputs)`."""
    ours, config = reference_weights(backbone), backbone.config
    two_parallel_norms = config.num_parallel_layer_norms == 2
    norms = {"norm": "ln_attn" if two_parallel_norms else "input_layernorm"}
    norms["mlp_norm"] = "ln_mlp" if two_parallel_norms else "post_attention_layernorm"
    denses = {
        "output": "self_attention.dense",
        "up": "mlp.dense_h_to_4h",
        "down": "mlp.dense_4h_to_h",
    }
    theirs = {
        "transformer.word_embeddings.weight": ours["token_embedding"],
        "transformer.ln_f.weight": ours["final_norm.scale"],
        "transformer.ln_f.bias": ours["final_norm.shift"],
        "lm_head.weight": ours["head"].T if "head" in ours else ours["token_embedding"],
    }
    for i in range(config.num_layers):
        block = f"transformer.h.{i}"
        for our_name, their_name in norms.items():
            if f"{i}.{our_name}.scale" in ours:
                theirs[f"{block}.{their_name}.weight"] = ours[f"{i}.{our_name}.scale"]
                theirs[f"{block}.{their_name}.bias"] = ours[f"{i}.{our_name}.shift"]
        for our_name, their_name in denses.items():
            theirs[f"{block}.{their_name}.weight"] = ours[f"{i}.{our_name}"].T
            if config.use_bias:
                theirs[f"{block}.{their_name}.bias"] = ours[f"{i}.{our_name}.bias"]
        fused = f"{block}.self_attention.query_key_value"
        kernels = [ours[f"{i}.{name}"] for name in ("query", "key", "value")]  # each (m, heads, h)
        theirs[f"{fused}.weight"] = fuse(config, *[np.moveaxis(x, 0, 2) for x in kernels])
        if config.use_bias:
            theirs[f"{fused}.bias"] = fuse(
                config, *[ours[f"{i}.{name}.bias"] for name in ("query", "key", "value")]
            )
    return theirs


def fuse(config, query, key, value):
    """Fused rows: for each key/value head its queries, the key, the value.

    The three layouts of the checkpoints are this one, with `n`, 1 or some key/value heads.
    Shapes: `(n, h, ...)` and twice `(g, h, ...)` to `((n + 2 g) h, ...)`.
    """
    groups, rest = config.key_value_heads, query.shape[1:]
    query = query.reshape(groups, -1, *rest)  # (g, n / g, h, ...)
    return np.concatenate([query, key[:, None], value[:, None]], axis=1).reshape(-1, *rest[1:])


def read_transformers(model, inputs, output_attentions=False):
    """What the Falcon of transformers computes.

    Its own `hidden_states` end with the final norm, so the last block's output is missing there:
    hooks collect what every block returns.
    """
    import torch

    blocks = model.transformer.h
    hidden_states = []
    hooks = [
        blocks[0].register_forward_pre_hook(lambda _, args: hidden_states.append(args[0])),
        *[b.register_forward_hook(lambda *args: hidden_states.append(args[-1][0])) for b in blocks],
        model.transformer.ln_f.register_forward_hook(lambda *args: hidden_states.append(args[-1])),
    ]
    with torch.no_grad():
        result = model(
            torch.tensor(inputs["token_ids"], dtype=torch.long),
            attention_mask=torch.tensor(inputs["padding_mask"], dtype=torch.long),
            output_attentions=output_attentions,
        )
    for hook in hooks:
        hook.remove()
    *hidden_states, output = [x.numpy().astype("float64") for x in hidden_states]
    read = {
        "hidden_states": hidden_states,
        "output": output,
        "logits": result.logits.numpy().astype("float64"),
    }
    if output_attentions:
        read["attention_weights"] = [x.numpy().astype("float64") for x in result.attentions]
    return read

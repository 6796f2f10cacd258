"""Parity with transformers and KerasHub where they are right, and proof of where they are not.

The second half keeps our text honest: it fails on the day that they mend what we say is broken.
"""

from falcon_edu.model.config import FalconConfig
from falcon_edu.model.positions import alibi_bias, alibi_slopes
from tests import reference
from tests.layouts import (
    CHECKPOINTS,
    LAYOUTS,
    REAL_TOKENS,
    SIZES,
    build,
    difference,
    inputs,
    read,
    reference_config,
    reference_weights,
    to_float64,
)
from tests.peers.models import (
    keras_hub_falcon,
    read_keras_hub,
    read_transformers,
    transformers_can_represent,
    transformers_config,
    transformers_falcon,
)

import numpy as np
import pytest

pytestmark = pytest.mark.peers

# As for the float64 reference in test_backbone.py: some dozens of float32 roundings, here twice.
FLOAT32 = 1e-5
ALIBI = [name for name, layout in LAYOUTS.items() if "position_encoding" not in layout]
ROPE = [name for name in LAYOUTS if name not in ALIBI]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_hidden_states_and_logits_are_those_of_transformers(layout):
    backbone = build(layout, alibi_dtype="bfloat16")
    if not transformers_can_represent(backbone.config):
        pytest.skip("transformers has grouped attention in parallel blocks only")
    theirs = transformers_falcon(backbone)
    for padding in REAL_TOKENS:
        x = inputs(padding)
        results = read(backbone, x), read_transformers(theirs, x)
        for name in ("hidden_states", "output", "logits"):
            assert difference(*results, x["padding_mask"], name) < FLOAT32, (padding, name)


@pytest.mark.parametrize("layout", ROPE)
def test_attention_weights_are_those_of_eager_transformers_with_rope(layout):
    backbone = build(layout)
    theirs = transformers_falcon(backbone, "eager")
    for padding in REAL_TOKENS:
        x = inputs(padding)
        results = read(backbone, x), read_transformers(theirs, x, output_attentions=True)
        assert difference(*results, x["padding_mask"], "attention_weights") < FLOAT32, padding


def test_transformers_computes_alibi_in_bfloat16_even_in_a_float32_model():
    backbone, x = build("rw_12_heads"), inputs()
    results = read(backbone, x), read_transformers(transformers_falcon(backbone), x)
    assert difference(*results, x["padding_mask"], "logits") > 10 * FLOAT32


def test_bfloat16_alibi_is_bit_for_bit_that_of_transformers():
    import torch
    from transformers.models.falcon.modeling_falcon import build_alibi_tensor

    for heads in range(1, 131):
        theirs = build_alibi_tensor(torch.ones(1, 2, dtype=torch.long), heads, torch.float32)
        slopes = [float(reference.to_bfloat16(np.float32(x))) for x in alibi_slopes(heads)]
        assert slopes == theirs[:, 0, 1].tolist(), heads
    for heads in (4, 12, 32, 71):  # from position 257 on, positions are rounded too
        theirs = build_alibi_tensor(torch.ones(1, 600, dtype=torch.long), heads, torch.float32)
        ours = alibi_bias(heads, np.arange(600)[None], "bfloat16")
        np.testing.assert_array_equal(to_float64(ours)[0], theirs.numpy())


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_transformers_counts_as_many_parameters_in_the_checkpoints(checkpoint):
    import torch
    from transformers import FalconForCausalLM

    arguments, count = CHECKPOINTS[checkpoint]
    with torch.device("meta"):  # shapes without memory
        theirs = FalconForCausalLM(transformers_config(FalconConfig(**arguments)))
    assert sum(p.numel() for p in theirs.parameters()) == count


@pytest.mark.parametrize("layout", ["rw", "rw_12_heads"])
def test_hidden_states_and_logits_are_those_of_keras_hub(layout):
    backbone = build(layout)
    theirs = keras_hub_falcon(backbone)
    for padding in REAL_TOKENS:
        x = inputs(padding)
        results = read(backbone, x), read_keras_hub(theirs, x)
        for name in ("hidden_states", "output", "logits"):
            assert difference(*results, x["padding_mask"], name) < FLOAT32, (padding, name)


# === What the others get wrong ===


@pytest.mark.parametrize(
    ("attn_implementation", "output_attentions"),
    [("eager", False), ("eager", True), ("sdpa", True)],
)
@pytest.mark.parametrize("layout", ["rw", "rw_12_heads", "rw_parallel"])
def test_transformers_adds_alibi_twice(layout, attn_implementation, output_attentions, monkeypatch):
    backbone, x = build(layout, alibi_dtype="bfloat16"), inputs()
    theirs = transformers_falcon(backbone, attn_implementation)
    theirs = read_transformers(theirs, x, output_attentions)
    names = ["hidden_states", "logits"] + ["attention_weights"] * output_attentions
    for name in names:
        assert difference(theirs, read(backbone, x), x["padding_mask"], name) > 1000 * FLOAT32

    once = reference.alibi
    monkeypatch.setattr(reference, "alibi", lambda *args: 2 * once(*args))
    weights, config = reference_weights(backbone), reference_config(backbone)
    twice = reference.falcon(weights, config, **x, alibi_dtype="bfloat16")
    for name in names:
        assert difference(theirs, twice, x["padding_mask"], name) < FLOAT32


@pytest.mark.parametrize("layout", ROPE)
def test_transformers_looks_ahead_with_rope_sdpa_and_output_attentions(layout):
    theirs = transformers_falcon(build(layout), "sdpa")
    attention_weights = read_transformers(theirs, inputs(), output_attentions=True)[
        "attention_weights"
    ]
    ahead = [np.triu(x, 1).sum(-1).max() for x in attention_weights]  # of the weight of a row, 1
    assert min(ahead) > 0.9

    changed = inputs()
    changed["token_ids"][:, -1] = (changed["token_ids"][:, -1] + 1) % SIZES["vocabulary_size"]
    first = [
        read_transformers(theirs, x, output_attentions=True)["logits"][:, 0]
        for x in (inputs(), changed)
    ]
    assert np.abs(first[0] - first[1]).max() > 1e-3  # the last token changes the first one's logits


def test_keras_hub_gives_the_epsilon_to_the_final_norm_only():
    backbone = build("rw", layer_norm_epsilon=0.5)
    theirs = keras_hub_falcon(backbone)
    assert theirs.layers[-1].epsilon == 0.5
    for block in theirs.transformer_layers:
        assert block.input_layernorm.epsilon == block.post_attention_layernorm.epsilon == 1e-5
    results = read(backbone, inputs()), read_keras_hub(theirs, inputs())
    assert difference(*results, inputs()["padding_mask"], "logits") > 0.01


def test_keras_hub_makes_a_model_with_7_heads_of_64_dimensions():
    import keras_hub

    impossible = {**SIZES, "num_attention_heads": 7, "hidden_dim": 64}
    theirs = keras_hub.models.FalconBackbone(**impossible)  # no error here
    with pytest.raises(ValueError, match="63"):  # but at the first call
        theirs(inputs())

"""Generation gives the tokens of KerasHub and of transformers, where theirs is right."""

from falcon_edu import FalconCausalLM
from falcon_edu.generation.samplers import BeamSampler
from tests.layouts import LAYOUTS, build
from tests.peers.models import keras_hub_falcon, transformers_falcon

import numpy as np
import pytest

pytestmark = pytest.mark.peers

PROMPTS = [[3, 1, 4, 1, 5], [9], [2, 6, 5]]
LENGTH = 14
ROPE = [
    name
    for name, layout in LAYOUTS.items()
    if layout.get("position_encoding") == "rope" and layout.get("parallel_attention")
]


def token_dict(rows, side="right"):
    prompts = {key: np.zeros((len(rows), LENGTH), int) for key in ("token_ids", "padding_mask")}
    for i, row in enumerate(rows):
        columns = slice(0, len(row)) if side == "right" else slice(LENGTH - len(row), LENGTH)
        prompts["token_ids"][i, columns] = row
        prompts["padding_mask"][i, columns] = 1
    return prompts


def causal_lm(layout):
    backbone = build(layout)
    # With a large embedding, tied to the head, a model repeats its last token for ever.
    for variable in backbone.token_embedding.variables:
        variable.assign(variable * 0.25)
    return FalconCausalLM(backbone)


def pair(sampler, their_sampler):
    """The same model here and in KerasHub, compiled with samplers."""
    import keras_hub

    ours = causal_lm("rw")
    theirs = keras_hub.models.FalconCausalLM(keras_hub_falcon(ours.backbone), preprocessor=None)
    ours.compile(sampler=sampler)
    theirs.compile(sampler=their_sampler)
    return ours, theirs


def test_greedy_as_keras_hub():
    ours, theirs = pair("greedy", "greedy")
    prompts = token_dict(PROMPTS)
    expected = theirs.generate(prompts, stop_token_ids=None)
    outputs = ours.generate(prompts, stop_token_ids=None)
    assert outputs["token_ids"].tolist() == expected["token_ids"].tolist()
    assert outputs["padding_mask"].tolist() == expected["padding_mask"].tolist()


def test_stop_tokens_as_keras_hub():
    ours, theirs = pair("greedy", "greedy")
    prompts = token_dict(PROMPTS)
    free = ours.generate(prompts, stop_token_ids=None)["token_ids"]
    stops = [int(free[0, 7]), int(free[2, 5])]
    expected = theirs.generate(prompts, stop_token_ids=stops)
    outputs = ours.generate(prompts, stop_token_ids=stops)
    mask = outputs["padding_mask"]
    assert not mask.all()
    assert mask.tolist() == expected["padding_mask"].tolist()
    # Behind a stop token theirs holds what was drawn until the other rows had ended too.
    assert outputs["token_ids"][mask].tolist() == expected["token_ids"][mask].tolist()


@pytest.mark.parametrize("strip_prompt", [False, True])
def test_prompts_are_stripped_as_keras_hub(strip_prompt):
    ours, theirs = pair("greedy", "greedy")
    prompts = token_dict(PROMPTS)
    arguments = {"stop_token_ids": None, "strip_prompt": strip_prompt}
    expected, outputs = theirs.generate(prompts, **arguments), ours.generate(prompts, **arguments)
    mask = outputs["padding_mask"]
    assert mask.tolist() == expected["padding_mask"].astype(bool).tolist()
    assert outputs["token_ids"][mask].tolist() == expected["token_ids"][mask].tolist()


@pytest.mark.parametrize("num_beams", [2, 5])
def test_beams_as_keras_hub(num_beams):
    from keras_hub import samplers

    ours, theirs = pair(BeamSampler(num_beams), samplers.BeamSampler(num_beams))
    # Of one length: theirs counts the forced tokens of longer prompts as if they were chosen.
    prompts = token_dict([row[:3] for row in PROMPTS if len(row) >= 3])
    expected = theirs.generate(prompts, stop_token_ids=None)["token_ids"]
    assert ours.generate(prompts, stop_token_ids=None)["token_ids"].tolist() == expected.tolist()


@pytest.mark.parametrize("layout", ROPE)
def test_greedy_as_transformers(layout):
    import torch

    ours = causal_lm(layout)
    ours.compile(sampler="greedy")
    prompts = token_dict(PROMPTS, "left")
    longest = max(map(len, PROMPTS))
    cut = {key: torch.tensor(value[:, -longest:]) for key, value in prompts.items()}
    theirs = transformers_falcon(ours.backbone).generate(
        input_ids=cut["token_ids"],
        attention_mask=cut["padding_mask"],
        max_new_tokens=8,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=0,
    )
    for row, expected in zip(PROMPTS, theirs.numpy(), strict=True):
        outputs = ours.generate(
            token_dict([row]), max_length=LENGTH, stop_token_ids=None, strip_prompt=True
        )
        assert outputs["token_ids"][0, :8].tolist() == expected[longest:].tolist()
    batch = ours.generate(prompts, stop_token_ids=None, strip_prompt=True)["token_ids"]
    assert batch[:, :8].tolist() == theirs[:, longest:].tolist()

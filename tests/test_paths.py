"""Path patching: what one head tells others, by the paths that were asked for and no other."""

from falcon_edu import head_outputs, patch_heads, path_patch, record
from tests.layouts import LAYOUTS, build

import numpy as np
import pytest

IDS = np.array([[3, 1, 4, 1, 5], [2, 7, 1, 8, 2]])
ONE = {"token_ids": IDS, "padding_mask": np.ones_like(IDS)}
OTHER = {"token_ids": IDS[:, ::-1].copy(), "padding_mask": np.ones_like(IDS)}


@pytest.mark.parametrize("receivers", [None, [(1, 0)]])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_about_the_same_text_it_changes_nothing(layout, receivers):
    logits = path_patch(build(layout), ONE, ONE, (0, 0), receivers)
    np.testing.assert_allclose(logits, record(build(layout), ONE).logits, atol=1e-5)


def test_no_head_hears_from_one_behind_it():
    backbone = build("rw")
    logits = path_patch(backbone, ONE, OTHER, sender=(1, 0), receivers=[(0, 1), (1, 1)])
    np.testing.assert_allclose(logits, record(backbone, ONE).logits, atol=1e-5)


@pytest.mark.parametrize("layout", ["7b", "40b"])
def test_what_one_head_hears_is_as_computed_by_hand(layout):
    """In a parallel block the sender reaches the next layer in one way: by what it writes."""
    backbone = build(layout)
    (layer, head), receiver = (backbone.num_layers - 2, 1), (backbone.num_layers - 1, 0)
    mine, theirs = (head_outputs(backbone, x)[layer, :, :, head] for x in (ONE, OTHER))
    width = backbone.config.head_dim
    kernel = backbone.transformer_layers[layer].attention_layer.output_dense.kernel
    rows = np.asarray(kernel)[head * width : (head + 1) * width]
    state = record(backbone, ONE).hidden_states[layer + 1] + (theirs - mine) @ rows
    heard = []
    backbone.transformer_layers[layer + 1](
        state, padding_mask=ONE["padding_mask"], edit_heads=lambda x: heard.append(x) or x
    )
    outputs = head_outputs(backbone, ONE)
    outputs[receiver[0], :, :, receiver[1]] = np.asarray(heard[0])[:, :, receiver[1]]
    wanted = patch_heads(backbone, ONE, outputs, [receiver])
    logits = path_patch(backbone, ONE, OTHER, (layer, head), [receiver])
    np.testing.assert_allclose(logits, wanted, atol=1e-5)
    assert np.abs(logits - record(backbone, ONE).logits).max() > 1e-4


def test_the_logits_hear_of_a_head_of_the_last_layer_all_that_there_is():
    backbone = build("7b")
    sender = (backbone.num_layers - 1, 1)
    wanted = patch_heads(backbone, ONE, head_outputs(backbone, OTHER), [sender])
    np.testing.assert_allclose(path_patch(backbone, ONE, OTHER, sender), wanted, atol=1e-5)


def test_inputs_of_two_shapes_and_heads_that_are_not_there_are_refused():
    short = {key: value[:, :3] for key, value in OTHER.items()}
    with pytest.raises(ValueError, match="as many texts and tokens"):
        path_patch(build("rw"), ONE, short, (0, 0))
    for sender, receivers in (((0, 99), None), ((0, 0), [(99, 0)])):
        with pytest.raises(ValueError, match="99"):
            path_patch(build("rw"), ONE, OTHER, sender, receivers)

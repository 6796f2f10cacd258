"""PositionExplorer: slopes, decay, turns and dials, of given numbers or of a model."""

import falcon_edu
from falcon_edu import PositionExplorer
from falcon_edu.model.positions import alibi_bias, alibi_slopes, rotary_embedding
from falcon_edu.widgets import WIDGET_VIEW

import numpy as np
import pytest


def drawn(explorer):
    """The lines of the picture: `{name: (x, y)}`."""
    (ax,) = explorer.figure.axes
    return {line.get_label(): line.get_data() for line in ax.get_lines()}


def test_shown_as_view_and_picture_and_text():
    explorer = PositionExplorer()
    data, metadata = explorer._repr_mimebundle_()
    assert set(data) == {WIDGET_VIEW, "image/png", "text/plain"}
    assert data["text/plain"] == repr(explorer)
    assert metadata["image/png"]["alt"] == explorer.figure.alt_text
    for name, control in explorer.controls.items():
        if name != "view":
            assert control.description
            assert control.continuous_update is False


@pytest.mark.parametrize("heads", [1, 4, 6, 71])
def test_slopes_are_those_of_the_package(heads):
    lines = drawn(PositionExplorer(num_heads=heads, view="ALiBi slopes"))
    np.testing.assert_allclose(lines["slope"][1], alibi_slopes(heads))
    assert ("one series for all" in lines) == (heads in (6, 71))


def test_decay_is_what_the_bias_does_to_a_weight():
    explorer = PositionExplorer(num_heads=3, head_dim=16, length=16, view="ALiBi decay")
    bias = np.array(alibi_bias(3, [[0, 16]]))[0, :, 0]  # (n, k)
    factors = np.exp((bias[:, 0] - bias[:, 1]) / np.sqrt(16))
    lines = drawn(explorer)
    assert list(lines) == ["head 0", "head 1", "head 2"]
    np.testing.assert_allclose([y[-1] for _, y in lines.values()], factors, rtol=1e-6)
    assert all(y[0] == 1 for _, y in lines.values())


def test_turns_and_dials_are_those_of_rope():
    explorer = PositionExplorer(head_dim=8, length=16, max_wavelength=1_000, view="RoPE turns")
    x = np.zeros((1, 1, 1, 8), "float32")
    x[..., :4] = 1  # every pair points to the right
    turned = np.array(rotary_embedding(x, [[1]], 1_000))[0, 0, 0]
    angles = np.arctan2(turned[4:], turned[:4])
    np.testing.assert_allclose(drawn(explorer)["turns"][1], angles * 16 / (2 * np.pi), rtol=1e-5)
    assert "2 of 4 pairs turn once or more" not in explorer.figure.alt_text
    assert "1 of 4 pairs turn once or more" in explorer.figure.alt_text
    explorer.controls["view"].value = "RoPE dials"
    turns = ", ".join(f"pair {i} by {16 * a / (2 * np.pi):.2f}" for i, a in enumerate(angles[:3]))
    assert turns.replace("pair 0 by", "pair 0 turns by") in explorer.figure.alt_text


def test_every_control_changes_the_picture():
    explorer = PositionExplorer()
    seen = {explorer.figure.alt_text}
    moves = [("num_heads", 6), ("view", "ALiBi decay"), ("head_dim", 128), ("length", 1024)]
    moves += [("view", "RoPE turns"), ("max_wavelength", 500_042), ("view", "RoPE dials")]
    for name, value in moves:
        explorer.controls[name].value = value
        seen.add(explorer.figure.alt_text)
    assert len(seen) == len(moves) + 1


@pytest.mark.parametrize(
    ("position_encoding", "view"), [("alibi", "ALiBi decay"), ("rope", "RoPE turns")]
)
def test_begins_with_the_heads_of_a_model(position_encoding, view):
    backbone = falcon_edu.FalconBackbone(
        9, 1, 3, 24, 8, position_encoding=position_encoding, rope_max_wavelength=50_000
    )
    explorer = PositionExplorer(backbone)
    values = explorer.values
    assert (values["num_heads"], values["head_dim"], values["view"]) == (3, 8, view)
    assert values["max_wavelength"] == 50_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_heads": 0}, "`num_heads` must be one of 1 to 128. Received: 0"),
        ({"head_dim": 7}, "`head_dim` must be one of 4, 6, "),
        ({"length": 100}, "`length` must be one of 16, 32, "),
        ({"max_wavelength": 1}, "`max_wavelength` must be above 1. Received: 1"),
        ({"view": "RoPE"}, "`view` must be one of ALiBi slopes, "),
    ],
)
def test_wrong_start_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        PositionExplorer(**arguments)

"""MemoryExplorer: the calculator's numbers, drawn anew for every control."""

from falcon_edu import FALCON_FAMILY, FalconConfig, MemoryExplorer, memory_needed
from falcon_edu.widgets import WIDGET_VIEW

import pytest
from explorer_pages import shown


def test_shown_as_view_and_picture_and_text():
    explorer = MemoryExplorer()
    data, metadata = explorer._repr_mimebundle_()
    assert set(data) == {WIDGET_VIEW, "image/png", "text/plain"}
    assert data["text/plain"] == (
        "MemoryExplorer: falcon-rw-1b to generate, in float32, with 1 sequence of 2,048 tokens"
    )
    assert metadata["image/png"]["alt"] == explorer.figure.alt_text


def test_bars_are_the_calculator_s():
    explorer = MemoryExplorer(name="falcon-40b", use="train", dtype="bfloat16")
    (bars,) = explorer.figure.axes[0].containers
    parts = memory_needed(FALCON_FAMILY["falcon-40b"], "train", "bfloat16")
    assert [bar.get_width() * 1e9 for bar in bars] == pytest.approx(list(parts.values()))
    assert f"{sum(parts.values()) / 1e9:,.1f} GB" in explorer.figure.alt_text


@pytest.mark.parametrize(
    ("control", "value"),
    [
        ("name", "falcon-180B"),
        ("use", "train"),
        ("dtype", "int8"),
        ("tokens", 128),
        ("batch_size", 64),
    ],
)
def test_every_control_redraws(control, value):
    explorer = MemoryExplorer()
    before = explorer.figure.alt_text
    explorer.controls[control].value = value
    assert explorer.values[control] == value
    assert explorer.figure.alt_text != before


def test_training_in_int8_is_refused_in_words():
    explorer = MemoryExplorer(use="train")
    explorer.controls["dtype"].value = "int8"
    assert "can't be trained" in explorer.figure.alt_text


def test_what_changes_nothing_is_hidden():
    explorer = MemoryExplorer(use="train")

    def hidden():
        return {name for name, one in shown(explorer)["controls"].items() if one["is_hidden"]}

    assert hidden() == set()
    explorer.controls["dtype"].value = "int8"  # which can't be trained, whatever the sizes
    assert hidden() == {"tokens", "batch_size"}
    explorer.controls["use"].value = "generate"
    assert hidden() == set()


def test_own_configs():
    explorer = MemoryExplorer({"mine": FalconConfig(40, 2, 4, 48, 80)})
    assert "mine to generate" in repr(explorer)


@pytest.mark.parametrize("wrong", [{"name": "falcon3"}, {"use": "serve"}, {"dtype": "float8"}])
def test_impossible_beginnings_are_refused(wrong):
    with pytest.raises(ValueError, match="must be one of"):
        MemoryExplorer(**wrong)

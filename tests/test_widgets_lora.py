"""LoRAExplorer: what comes next at every strength of an update, the model left as it is."""

import falcon_edu
from falcon_edu import LoRAExplorer
from falcon_edu.adapt import lora
from falcon_edu.text.byte_level import byte_alphabet
from falcon_edu.widgets import WIDGET_VIEW

import numpy as np
import pytest
from explorer_pages import shown

TEXT = "Mia ran to the hill."
TARGETS = ["query_dense", "dense_h_to_4h", "token_embedding"]


def build(rank=3):
    """A Falcon with random weights and a random update: it reads bytes, 2 layers with 3 heads."""
    letters = ["<|endoftext|>", *byte_alphabet().values()]
    tokenizer = falcon_edu.FalconTokenizer({t: i for i, t in enumerate(letters)}, merges=[])
    backbone = falcon_edu.FalconBackbone(300, 2, 3, 24, 48)
    if rank:
        backbone.enable_lora(rank, TARGETS)
        random = np.random.default_rng(1)
        for variable in backbone.trainable_variables:
            variable.assign(0.3 * random.normal(size=variable.shape))
    return falcon_edu.FalconCausalLM(backbone, falcon_edu.FalconCausalLMPreprocessor(tokenizer))


@pytest.fixture(scope="module")
def falcon():
    return build()


def softmax(model, text=TEXT):
    """What a model says after a text, from a run of its own."""
    logits = falcon_edu.record(model, text).logits[0, -1].astype("float64")
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def bars(explorer):
    """The bars of the base, and of the strength."""
    containers = explorer.draw(**explorer.values).containers
    return [np.array([bar.get_width() for bar in container]) for container in containers]


def test_shown_as_view_and_picture_and_text(falcon):
    explorer = LoRAExplorer(falcon, TEXT)
    data, metadata = explorer._repr_mimebundle_()
    assert set(data) == {WIDGET_VIEW, "image/png", "text/plain"}
    assert data["text/plain"].startswith(
        "LoRAExplorer: an update of rank 3 on 5 layers, 0 to 2 times, after 21 tokens: [start] M i"
    )
    assert metadata["image/png"]["alt"] == explorer.figure.alt_text
    assert list(shown(explorer)["controls"]) == ["text", "strength"]


@pytest.mark.parametrize("strength", [0, 0.5, 1, 1.7])
def test_strength_multiplies_the_update(falcon, strength):
    """Against a model whose factors b are really set to the strength."""
    explorer = LoRAExplorer(falcon, TEXT, strength=strength)
    before = [variable.numpy() for variable in falcon.variables]
    other = build()
    for variable in falcon.variables:
        twin = next(v for v in other.variables if v.path == variable.path)
        scale = strength if variable.name.endswith("_b") else 1
        twin.assign(scale * variable.numpy())
    np.testing.assert_allclose(explorer.distribution(strength), softmax(other), atol=1e-5)
    for variable, old in zip(falcon.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), old)


def test_zero_is_the_base_and_one_is_the_model(falcon):
    explorer = LoRAExplorer(falcon, TEXT, strength=0)
    base, now = bars(explorer)
    np.testing.assert_allclose(now, base)
    explorer.controls["strength"].value = 1
    base, now = bars(explorer)
    trained = softmax(falcon)[explorer.shown]
    np.testing.assert_allclose(now[:-1], trained, atol=1e-5)
    assert abs(now - base).max() > 0.01


def test_bars_show_what_either_would_say(falcon):
    explorer = LoRAExplorer(falcon, TEXT)
    trained = softmax(falcon)
    assert {int(explorer.base.argmax()), int(trained.argmax())} <= set(explorer.shown.tolist())
    assert explorer.words[-1] == f"{300 - len(explorer.shown)} others"
    shown = explorer.shown.tolist()
    explorer.controls["strength"].value = 2
    assert explorer.shown.tolist() == shown


def test_the_picture_says_the_strength_once(falcon):
    alt = LoRAExplorer(falcon, TEXT, strength=0.5).figure.alt_text
    assert alt.startswith("What may come next, strength 0.5 (base, strength 0): ")


def test_slider_changes_the_picture(falcon):
    explorer = LoRAExplorer(falcon, TEXT)
    seen = {explorer.figure.alt_text}
    for strength in (0, 0.4, 2):
        explorer.controls["strength"].value = strength
        assert f"strength {strength:.1f}" in explorer.figure.alt_text
        seen.add(explorer.figure.alt_text)
    assert len(seen) == 4


def test_another_text(falcon):
    explorer = LoRAExplorer(falcon, TEXT)
    explorer.text_box.value = "Tom"
    assert "4 tokens: [start] T o m" in repr(explorer)
    _, now = bars(explorer)
    np.testing.assert_allclose(now[:-1], softmax(falcon, "Tom")[explorer.shown], atol=1e-5)
    explorer.text_box.value = "a\ud800"
    assert "surrogate" in shown(explorer)["problem"]


def test_follows_further_training():
    """The slider shows the factors as they are now, not as they were when the cell was run."""
    falcon = build()
    explorer = LoRAExplorer(falcon, TEXT)
    before = explorer.distribution(1)
    for variable in falcon.backbone.trainable_variables:
        variable.assign(2 * variable.numpy())
    np.testing.assert_allclose(explorer.distribution(1), softmax(falcon), atol=1e-5)
    assert abs(explorer.distribution(1) - before).max() > 0.01


@pytest.mark.parametrize("strength", [-0.1, 2.1, "1", None])
def test_wrong_strengths_are_refused(falcon, strength):
    with pytest.raises(ValueError, match="`strength` must be from 0 to 2"):
        LoRAExplorer(falcon, TEXT, strength=strength)


def test_models_without_an_update_are_refused():
    with pytest.raises(ValueError, match="LoRA is not enabled"):
        LoRAExplorer(build(rank=None), TEXT)
    merged = build()
    merged.backbone.merge_lora()
    with pytest.raises(ValueError, match="LoRA is merged"):
        LoRAExplorer(merged, TEXT)


def test_at_strength_scales_one_factor_of_each_layer(falcon):
    factors = lora.at_strength(falcon.backbone, 0.5)
    assert len(factors) == 5
    variables = {variable.path: variable for variable in falcon.backbone.trainable_variables}
    for path, value in factors.items():
        assert path.endswith("_b")
        np.testing.assert_array_equal(value, 0.5 * variables[path].numpy())

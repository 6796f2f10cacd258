"""Training the shipped models, in miniature: it is seeded, and goes on where it was interrupted."""

import json
from pathlib import Path

from falcon_edu import FalconCausalLM
from falcon_edu.corpora import tales
from falcon_edu.evaluation import evaluate_on_tales
from falcon_edu.presets.registry import BUILTIN_PRESETS
from tools import train_tales

import numpy as np
import pytest

ROUNDS = train_tales.ROUNDS
NAME = "falcon_tales_40b_en"
README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def miniature(monkeypatch, tmp_path):
    """Three stretches of four batches, of a model with one layer."""
    small = {"num_layers": 1, "num_attention_heads": 2, "hidden_dim": 16}
    parts = ((0, 64), (64, 48), (112, 32), (128, 16), (144, 32))
    rounds = [
        {**each, "first": first, "tales": tales, "warmup": 2}
        for each, (first, tales) in zip(ROUNDS[NAME], parts, strict=True)
    ]
    sizes = {"SHAPE": small, "ROUNDS": {NAME: rounds}, "EPOCHS": 3, "ROOT": tmp_path}
    sizes["DATA"] = tmp_path / "data"
    for name, value in sizes.items():
        monkeypatch.setattr(train_tales, name, value)
    monkeypatch.setattr(
        train_tales,
        "evaluate",
        lambda model: evaluate_on_tales(model, tales(4, seed=1, split="held_out")),
    )
    return tmp_path


def interrupt(self, epoch):
    if epoch == 2:
        raise KeyboardInterrupt
    self.stretch = epoch


@pytest.mark.slow
def test_interrupted_training_goes_on(miniature, monkeypatch):
    train_tales.train(NAME)
    whole = FalconCausalLM.from_preset(miniature / "data" / NAME).get_weights()
    log = (miniature / "build" / NAME / "log.csv").read_text()
    for folder in ("data", "build"):
        (miniature / folder).rename(miniature / f"whole_{folder}")

    with monkeypatch.context() as broken:
        broken.setattr(
            train_tales.Stretches, "go_to", lambda self, epoch, logs=None: interrupt(self, epoch)
        )
        with pytest.raises(KeyboardInterrupt):
            train_tales.train(NAME)
    assert not (miniature / "data" / NAME).exists()  # nothing half-trained is shipped
    train_tales.train(NAME)
    resumed = FalconCausalLM.from_preset(miniature / "data" / NAME).get_weights()
    for ours, theirs in zip(resumed, whole, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
    assert (miniature / "build" / NAME / "log.csv").read_text().count("\n") == log.count("\n")


@pytest.mark.slow
def test_last_round_is_averaged(miniature, monkeypatch):
    train_tales.train(NAME)
    averaged = FalconCausalLM.from_preset(miniature / "data" / NAME)
    (miniature / "build").rename(miniature / "first")
    *rounds, last = train_tales.ROUNDS[NAME]
    monkeypatch.setitem(train_tales.ROUNDS, NAME, [*rounds, {**last, "averaged": False}])
    train_tales.train(NAME)
    after = FalconCausalLM.from_preset(miniature / "data" / NAME)
    before = FalconCausalLM.from_preset(miniature / "data" / NAME)
    before.load_weights(miniature / "build" / NAME / "before_last_round.weights.h5")
    weights = [model.get_weights() for model in (before, after, averaged)]
    for ours, theirs, mean in zip(*weights, strict=True):
        assert np.abs(ours - theirs).max() > 0  # the round did something
        np.testing.assert_allclose(mean, (ours + theirs) / 2, rtol=1e-5, atol=1e-7)


def test_metadata_of_the_shipped_models():
    """Each says how it was trained and how good it is; the three are of one size."""
    counts = []
    for name, known in BUILTIN_PRESETS.items():
        if "kaggle_handle" in known:
            continue
        folder = train_tales.DATA / name
        metadata = json.loads((folder / "metadata.json").read_text())
        assert metadata["training"]["seed"] == 0
        assert metadata["evaluation"]["ratio"] < 1.1
        assert sum(file.stat().st_size for file in folder.rglob("*.*")) < 4_000_000
        row = f"{metadata['evaluation']['ratio']:.3f} | {metadata['evaluation']['facts_right']:.1%}"
        assert row in README.read_text()
        counts.append(metadata["params"])
    assert max(counts) < 1.02 * min(counts)


@pytest.mark.parametrize(
    "name", [n for n, k in BUILTIN_PRESETS.items() if "kaggle_handle" not in k]
)
def test_shipped_model_is_as_good_as_its_metadata_says(name):
    """On a sample: the cross-entropy near the grammar's own, forced words nearly always right."""
    model = FalconCausalLM.from_preset(name)
    results = evaluate_on_tales(model, tales(60, seed=5, split="held_out"))
    assert 1 < results["ratio"] < 1.12
    assert results["facts_right"] > 0.9
    model.compile(sampler="greedy")
    assert len(model.generate("Once there was a", max_length=60).split()) > 20

"""The milestones of a shipped model: what it was after one million tokens, two, four."""

from falcon_edu.corpora import tales
from falcon_edu.evaluation import evaluate_on_tales
from falcon_edu.inside import milestones
from falcon_edu.presets.registry import DATA

import numpy as np
import pytest


def test_each_milestone_knows_the_tales_better_than_the_one_before():
    held_out = tales(30, seed=2, split="held_out")
    ratios = {
        tokens: evaluate_on_tales(causal_lm, held_out)["ratio"]
        for tokens, causal_lm in milestones.milestones()
    }
    assert len(ratios) == 6
    assert list(ratios) == sorted(ratios)
    assert list(ratios.values()) == sorted(ratios.values(), reverse=True)


def test_all_milestones_together_are_smaller_than_six_megabytes():
    assert sum(file.stat().st_size for file in (DATA / milestones.FILES).rglob("*.npz")) < 6e6


def test_eight_bits_keep_a_number_to_half_a_step_of_its_row(tmp_path):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(5, 3, 8)).astype("float32"), np.ones(4, "float32"), np.zeros((2, 2))]
    milestones.write(tmp_path / "model.npz", arrays)
    again = milestones.read(tmp_path / "model.npz")
    step = np.abs(arrays[0]).max(-1, keepdims=True) / 127
    assert (np.abs(again[0] - arrays[0]) <= step * 0.51).all()
    np.testing.assert_array_equal(again[1], arrays[1])
    np.testing.assert_array_equal(again[2], arrays[2])
    assert again[0].dtype == "float32"


def test_a_preset_without_milestones_is_refused():
    with pytest.raises(ValueError, match=r"no milestones of 'falcon_tales_7b_en', only of falcon"):
        next(milestones.milestones("falcon_tales_7b_en"))

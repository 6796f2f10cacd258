"""Training the shipped models, in miniature: it is seeded, and goes on where it was interrupted."""

import json
from pathlib import Path

from falcon_edu import FalconBackbone, FalconCausalLM
from falcon_edu.corpora import tales
from falcon_edu.evaluation import evaluate_on_tales
from falcon_edu.presets.registry import BUILTIN_PRESETS
from tools import train_tales

import numpy as np
import pytest

NAME = "falcon_tales_40b_en"
DATA = Path(train_tales.__file__).parents[1] / "falcon_edu" / "presets" / "data"
README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def miniature(monkeypatch, tmp_path):
    """Some twelve steps on two shards, of a model with one layer, saved at each step."""
    sizes = {
        "VOCABULARY_SIZE": 300,
        "SHARD": 60,
        "TOKENS": 25_000,
        "BATCH_TOKENS": 2048,
        "WIDTH": 320,
        "WARM_UP": 5_000,
        "MILESTONES": [10_000],
        "LOG_EVERY": 4_000,
        "SAVE_EVERY": 1,
        "MEASURE_EVERY": 20_000,
        "SHAPE": {"num_layers": 1, "num_attention_heads": 2, "hidden_dim": 16},
    }
    for name, value in sizes.items():
        monkeypatch.setattr(train_tales, name, value)
    few = train_tales.tales
    monkeypatch.setattr(train_tales, "tales", lambda count, **kwargs: few(min(count, 60), **kwargs))
    return tmp_path


def weights_of(folder):
    return FalconCausalLM.from_preset(folder).get_weights()


def test_interrupted_training_goes_on_as_if_nothing_had_been(miniature, monkeypatch):
    whole, broken = miniature / "whole", miniature / "broken"
    for folder in (whole, broken):
        folder.mkdir()
    train_tales.train(NAME, whole)

    with monkeypatch.context() as context:
        taken = train_tales.Run.train_on

        def interrupted(run, rows):
            if run.tokens > 15_000:
                raise KeyboardInterrupt
            return taken(run, rows)

        context.setattr(train_tales.Run, "train_on", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_tales.train(NAME, broken)
    assert not (broken / NAME).exists()  # nothing half-trained has the model's name
    train_tales.train(NAME, broken)
    for name in (NAME, f"{NAME}@0.01M"):
        for ours, theirs in zip(weights_of(broken / name), weights_of(whole / name), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert not list(broken.glob("*.part"))
    log = (broken / f"{NAME}.log").read_text().splitlines()
    assert len(log) >= 4
    assert any("tuning" in line for line in log)
    first, last = (float(line.split("loss ")[1].split()[0]) for line in (log[0], log[-1]))
    assert last < first - 0.1

    before = (broken / f"{NAME}.npz").stat().st_mtime_ns
    train_tales.train(NAME, broken)  # what is trained is left alone
    assert (broken / f"{NAME}.npz").stat().st_mtime_ns == before


def test_what_is_told_ahead_is_what_training_would_tell(miniature):
    tokenizer = train_tales.train_tokenizer(miniature)
    told = train_tales.shard(1, tokenizer, miniature)
    (miniature / "tales-001.npz").unlink()
    again = train_tales.shard(1, train_tales.train_tokenizer(miniature), miniature)
    assert [row.tolist() for row in told] == [row.tolist() for row in again]
    end = tokenizer.end_token_id
    assert all(row[0] == end for row in told)
    assert all(row[-1] == end or len(row) == train_tales.LONGEST + 1 for row in told)


def test_training_may_begin_with_trained_weights(miniature):
    first, second = miniature / "first", miniature / "second"
    for folder in (first, second):
        folder.mkdir()
    train_tales.train(NAME, first)
    tokenizer = train_tales.train_tokenizer(second, first)
    assert tokenizer.get_vocabulary() == train_tales.train_tokenizer(first).get_vocabulary()
    run = train_tales.Run(NAME, tokenizer, second, first)
    trained = weights_of(first / NAME)
    assert all(map(np.array_equal, run.causal_lm.get_weights(), trained))
    assert run.tokens == 0


def test_batches_hold_rows_of_one_width_and_each_row_at_most_once():
    rows = [np.arange(2 + 7 * number % 150) for number in range(2_000)]
    made = train_tales.batches(rows, seed=3)
    taken = np.concatenate(made)
    assert len(set(taken.tolist())) == len(taken) > 0.9 * len(rows)
    for batch in made:
        assert len({train_tales.width_of(rows[place]) for place in batch}) == 1
        ids, mask = train_tales.pad([rows[place] for place in batch])
        assert mask.size <= train_tales.BATCH_TOKENS
        assert mask.sum() == sum(len(rows[place]) - 1 for place in batch)
        assert ids.shape == (mask.shape[0], mask.shape[1] + 1)


def test_the_learning_rate_rises_stays_and_falls_to_nothing():
    total, highest = train_tales.TOKENS, train_tales.LEARNING_RATE
    rates = [train_tales.learning_rate(tokens) for tokens in np.linspace(0, total, 101)]
    assert 0 < rates[0] < highest / 50
    falling = round(100 * (1 - train_tales.DECAY))
    assert rates[10:falling] == [highest] * (falling - 10)
    assert rates[(falling + 100) // 2] == pytest.approx(highest / 2)
    assert rates[-1] == 0


def test_the_three_layouts_are_of_one_size():
    sizes = (train_tales.VOCABULARY_SIZE, train_tales.SHAPE)
    counts = [
        FalconBackbone(sizes[0], **sizes[1], **layout).count_params()
        for layout in train_tales.PRESETS.values()
    ]
    assert max(counts) < 1.02 * min(counts)
    assert max(counts) * 4 < 6_000_000  # bytes


def test_metadata_of_the_shipped_models():
    """Each says how it was trained and how good it is; the three are of one size."""
    counts = []
    for name, known in BUILTIN_PRESETS.items():
        if "kaggle_handle" in known:
            continue
        folder = DATA / name
        metadata = json.loads((folder / "metadata.json").read_text())
        assert metadata["training"]["seed"] == 0
        *_, last = stages = metadata["training"]["stages"]
        assert last - train_tales.TOKENS in range(train_tales.BATCH_TOKENS)
        assert metadata["training"]["tokens"] == sum(stages)
        assert metadata["evaluation"]["ratio"] < 1.3
        assert sum(file.stat().st_size for file in folder.rglob("*.*")) < 6_000_000
        row = f"{metadata['evaluation']['ratio']:.3f} | {metadata['evaluation']['facts_right']:.1%}"
        assert row in README.read_text()
        counts.append(metadata["params"])
    assert max(counts) < 1.02 * min(counts)


@pytest.mark.parametrize(
    "name", [n for n, k in BUILTIN_PRESETS.items() if "kaggle_handle" not in k]
)
def test_shipped_model_is_as_good_as_its_metadata_says(name):
    """On a sample: the cross-entropy not far from the grammar's own, forced words mostly right."""
    model = FalconCausalLM.from_preset(name)
    results = evaluate_on_tales(model, tales(60, seed=5, split="held_out"))
    assert 1 < results["ratio"] < 1.35
    assert results["facts_right"] > 0.9
    model.compile(sampler="greedy")
    assert len(model.generate("Once there was a", max_length=60).split()) > 20


def test_a_start_without_presets_is_refused_before_anything_is_made(tmp_path, capsys):
    with pytest.raises(SystemExit):
        train_tales.main(["--start", str(tmp_path), "--folder", str(tmp_path / "new")])
    assert "There is no falcon_tales_rw_en, falcon_tales_7b_en" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()

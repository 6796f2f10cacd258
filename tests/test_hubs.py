"""Models from Kaggle, whole, and a built-in preset that two hubs have."""

from falcon_edu import FalconCausalLM, FalconCausalLMPreprocessor
from falcon_edu.presets import registry
from tests.layouts import build
from tests.loopback_kaggle import Kaggle, serve, unreachable, use
from tests.small_tokenizers import make

import numpy as np
import pytest

VERSION = f"kaggle://{Kaggle.model}/2"
NAME = "falcon_refinedweb_1b_en"


@pytest.fixture
def causal_lm():
    tokenizer = make()
    backbone = build("rw", vocabulary_size=tokenizer.vocabulary_size())
    return FalconCausalLM(backbone, FalconCausalLMPreprocessor(tokenizer))


@pytest.fixture
def kaggle(causal_lm, tmp_path, monkeypatch):
    causal_lm.save_to_preset(tmp_path / "preset")
    paths = [path for path in (tmp_path / "preset").rglob("*") if path.is_file()]
    files = {p.relative_to(tmp_path / "preset").as_posix(): p.read_bytes() for p in paths}
    with serve(files) as kaggle:
        use(kaggle, tmp_path, monkeypatch)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
        monkeypatch.setitem(registry.BUILTIN_PRESETS[NAME], "kaggle_handle", VERSION)
        yield kaggle


@pytest.mark.parametrize("preset", [f"kaggle://{Kaggle.model}", NAME])
def test_a_model_comes_whole_and_again_without_a_network(kaggle, causal_lm, monkeypatch, preset):
    """The built-in one is asked for at the Hugging Face Hub first, which can't be reached here."""
    for _ in range(2):
        loaded = FalconCausalLM.from_preset(preset)
        ours, theirs = causal_lm.backbone.get_weights(), loaded.backbone.get_weights()
        assert all(map(np.array_equal, ours, theirs))
        assert loaded.backbone.loaded_from == VERSION
        assert loaded.preprocessor.tokenizer.vocabulary == make().vocabulary
        unreachable(monkeypatch)


def test_what_was_tried_is_said(kaggle):
    kaggle.status = 404
    with pytest.raises(FileNotFoundError) as caught:
        FalconCausalLM.from_preset(NAME)
    text = str(caught.value)
    assert text.startswith(f"{NAME!r} is in no place that was tried. hf://keras/{NAME} could not")
    assert f"{VERSION} does not exist" in text
    assert "falcon_tales presets" in text

"""Presets from a hub: the real client, and a hub on this machine that can misbehave."""

from pathlib import Path

from falcon_edu import Backbone, FalconCausalLM
from falcon_edu.presets import hugging_face
from falcon_edu.text.preprocessor import FalconCausalLMPreprocessor
from tests.layouts import build
from tests.loopback_hub import COMMIT, Hub, serve
from tests.pytorch_writer import write_pytorch
from tests.small_tokenizers import make

import huggingface_hub
import keras
import nbformat
import numpy as np
import pytest
from huggingface_hub import constants
from safetensors.numpy import load_file

DEFAULT = constants.ENDPOINT
HANDLE = f"hf://{Hub.repository}"
LESSON = Path(__file__).resolve().parents[1] / "notebooks" / "20_your_own_text.ipynb"


@pytest.fixture(scope="module")
def backbone():
    return build("7b")


@pytest.fixture(scope="module")
def files(backbone, tmp_path_factory):
    """A checkpoint of transformers, with things that nobody asked for."""
    folder = tmp_path_factory.mktemp("checkpoint") / "falcon"
    backbone.export_to_transformers(folder)
    (folder / "modeling_falcon.py").write_text("raise SystemExit('executed')")
    (folder / "README.md").write_text("# Falcon")
    write_pytorch(folder / "pytorch_model.bin", load_file(folder / "model.safetensors"))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def hub(files, tmp_path, monkeypatch):
    with serve(files) as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(DEFAULT, hub.address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        yield hub


def same_weights(a, b):
    return all(map(np.array_equal, a.get_weights(), b.get_weights()))


def test_only_the_needed_files_are_fetched(hub, backbone, tmp_path):
    loaded = Backbone.from_preset(HANDLE)
    assert same_weights(loaded, backbone)
    assert loaded.loaded_from == f"{HANDLE}@{COMMIT}"
    fetched = {path.name for path in (tmp_path / "cache").rglob("snapshots/*/*")}
    assert fetched == {"config.json", "model.safetensors"}


def test_without_weights_none_are_fetched(hub):
    Backbone.from_preset(HANDLE, load_weights=False)
    assert hub.asked("safetensors") == hub.asked(".bin") == []


def test_a_task_with_weights_of_its_own_says_that_a_hub_has_none_for_it(hub):
    class Headed(FalconCausalLM):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.head = keras.layers.Dense(2)
            self.head.build((None, 8))

    with pytest.warns(UserWarning, match=r"Headed has weights .* are new: .* Download hf://"):
        Headed.from_preset(HANDLE, preprocessor=None)


@pytest.mark.parametrize("kind", ["pytorch_model.bin", "model.weights.h5"])
def test_other_kinds_of_weights_are_fetched_where_alone(hub, backbone, tmp_path, kind):
    del hub.files["model.safetensors"]
    if kind.endswith(".h5"):
        backbone.save_to_preset(tmp_path / "preset")
        hub.files.update({path.name: path.read_bytes() for path in (tmp_path / "preset").iterdir()})
    assert same_weights(Backbone.from_preset(HANDLE), backbone)
    others = {"pytorch_model.bin", "model.weights.h5"} - {kind}
    assert all(hub.asked(name) == [] for name in others)


def test_tokenizer_travels(hub, backbone, tmp_path):
    tokenizer = make("plain")
    falcon = FalconCausalLM(backbone, FalconCausalLMPreprocessor(tokenizer))
    falcon.save_to_preset(tmp_path / "preset")
    hub.files = {
        path.relative_to(tmp_path / "preset").as_posix(): path.read_bytes()
        for path in (tmp_path / "preset").rglob("*")
        if path.is_file()
    }
    loaded = FalconCausalLM.from_preset(HANDLE)
    assert loaded.preprocessor.tokenizer.vocabulary == tokenizer.vocabulary


def test_tokenizer_and_weights_are_of_one_commit(hub, backbone, tmp_path):
    """While they are fetched, the branch moves on."""
    preprocessor = FalconCausalLMPreprocessor(make("plain"))
    FalconCausalLM(backbone, preprocessor).export_to_transformers(tmp_path / "preset")
    hub.files = {path.name: path.read_bytes() for path in (tmp_path / "preset").iterdir()}
    hub.next_commit = COMMIT[::-1]
    assert FalconCausalLM.from_preset(HANDLE).backbone.loaded_from == f"{HANDLE}@{COMMIT}"
    assert hub.commit == COMMIT[::-1]
    again = FalconCausalLM.from_preset(HANDLE)
    assert again.backbone.loaded_from == f"{HANDLE}@{COMMIT[::-1]}"
    hub.status = 503  # and offline, by the branch's name
    assert FalconCausalLM.from_preset(HANDLE).backbone.loaded_from == again.backbone.loaded_from


@pytest.mark.parametrize("revision", ["", "@main", f"@{COMMIT}"])
def test_second_time_nothing_is_fetched_and_offline_works(hub, backbone, revision):
    Backbone.from_preset(HANDLE + revision)
    asked = len(hub.asked("model.safetensors"))
    Backbone.from_preset(HANDLE + revision)
    assert len([1 for m, p, _ in hub.requests if m == "GET" and "model.safetensors" in p]) == 1
    assert asked
    hub.status = 503
    loaded = Backbone.from_preset(HANDLE + revision)
    assert same_weights(loaded, backbone)
    assert loaded.loaded_from == f"{HANDLE}@{COMMIT}"


def test_offline_mode_asks_nobody(hub, backbone, monkeypatch):
    Backbone.from_preset(HANDLE)
    hub.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert same_weights(Backbone.from_preset(HANDLE), backbone)
    assert hub.requests == []


def test_cache_without_weights_is_not_enough(hub):
    Backbone.from_preset(HANDLE, load_weights=False)
    hub.status = 503
    Backbone.from_preset(HANDLE, load_weights=False)
    with pytest.raises(FileNotFoundError, match="is not in the cache with its weights"):
        Backbone.from_preset(HANDLE)


def test_cut_connection_is_resumed(hub, backbone, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 512)  # what a tiny file can lose
    hub.cut, hub.times = 2000, 2
    assert same_weights(Backbone.from_preset(HANDLE), backbone)
    ranges = [headers["Range"] for _, _, headers in hub.requests if "Range" in headers]
    assert any(not wanted.startswith("bytes=0-") for wanted in ranges)


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (404, "RepoNotFound", "does not exist, or is private"),
        (404, "RevisionNotFound", "does not exist in this revision"),
        (401, "RepoNotFound", "does not exist, or is private"),
        (401, "GatedRepo", "is gated: accept its conditions"),
        (403, "GatedRepo", "is gated: accept its conditions"),
        (401, "", "does not exist, or is private|refuses to give it, with status 401"),
        (403, "", "refuses to give it, with status 403"),
        (429, "", "the hub asks to wait"),
        (500, "", "the hub is in trouble, it answers 500"),
        (503, "", "the hub is in trouble, it answers 503"),
    ],
)
def test_refusals_are_one_sentence(hub, status, error, message, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the client waits between its tries
    hub.status, hub.error = status, error
    with pytest.raises(FileNotFoundError, match=message) as caught:
        Backbone.from_preset(HANDLE)
    assert HANDLE in str(caught.value)
    assert "falcon_tales presets" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert is_alone(caught.value)


def is_alone(error):
    """Whether Python would print an error without those that led to it."""
    return error.__cause__ is None and (error.__suppress_context__ or error.__context__ is None)


def test_unreachable_hub(hub, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        FileNotFoundError, match=r"\(it can't be reached\) .* falcon_tales"
    ) as caught:
        Backbone.from_preset(HANDLE)
    assert is_alone(caught.value)


def test_answers_that_are_too_slow(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.2)
    hub.delay = 1
    with pytest.raises(FileNotFoundError, match=r"does not answer|can't be reached") as caught:
        Backbone.from_preset(HANDLE)
    assert is_alone(caught.value)


def test_file_shorter_than_its_size_is_never_loaded(hub):
    hub.short = 100
    with pytest.raises((FileNotFoundError, ValueError)) as caught:
        Backbone.from_preset(HANDLE)
    assert "\n" not in str(caught.value)


def test_file_that_changes_after_the_list_is_checked_like_any_other(hub):
    """The list is of one moment, the file of the next: what comes must still fit."""
    broken = hub.files["model.safetensors"][:-64]
    hub.files["model.safetensors"] = broken
    with pytest.raises(ValueError, match=r"is no whole safetensors file"):
        Backbone.from_preset(HANDLE)


def test_file_that_changes_while_it_is_fetched(hub, backbone):
    """The client asks for its size, and then gets another file: it is not loaded, nor kept."""
    whole = hub.files["model.safetensors"]
    hub.changed["model.safetensors"] = whole[:-64]
    with pytest.raises(FileNotFoundError, match="could not be fetched") as caught:
        Backbone.from_preset(HANDLE)
    assert "\n" not in str(caught.value)
    hub.files["model.safetensors"] = whole
    assert same_weights(Backbone.from_preset(HANDLE), backbone)


def test_slow_answers_are_waited_for(hub, backbone):
    hub.delay = 0.3
    assert same_weights(Backbone.from_preset(HANDLE), backbone)


def test_no_token_reaches_another_host(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert huggingface_hub.get_token() == "hf_secret"
    Backbone.from_preset(HANDLE)
    assert hub.requests
    assert all("authorization" not in map(str.lower, headers) for _, _, headers in hub.requests)


def test_no_token_goes_along_to_where_the_files_lie(hub, backbone, monkeypatch):
    """The hub itself gets the token, the host that it sends us to does not."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr(hugging_face, "HUB", hub.address)
    with serve(hub.files) as other:
        hub.elsewhere = other.address.replace("127.0.0.1", "localhost")
        assert same_weights(Backbone.from_preset(HANDLE), backbone)
        assert other.asked("model.safetensors")
        assert "hf_secret" not in str([headers for _, _, headers in other.requests])
    assert "hf_secret" in str([headers for _, _, headers in hub.requests])


def test_token_goes_to_its_own_hub(hub, monkeypatch):
    """The same, where the loopback hub is taken for the real one: the test above can fail."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr(hugging_face, "HUB", hub.address)
    Backbone.from_preset(HANDLE)
    sent = [value for _, _, headers in hub.requests for value in headers.values()]
    assert "Bearer hf_secret" in sent


# === The other way ===


def test_what_notebook_20_uploads_loads_again(hub, backbone, tmp_path):
    """Its own function `share`, with the real client; the card is there, and the token with it."""
    cells = nbformat.read(LESSON, as_version=4).cells
    source = next(cell.source for cell in cells if cell.source.startswith("def share("))
    space = {"HfApi": huggingface_hub.HfApi}
    exec(source, space)
    tokenizer = make()
    FalconCausalLM(backbone, FalconCausalLMPreprocessor(tokenizer)).save_to_preset(tmp_path / "own")
    (tmp_path / "own" / "README.md").write_text("---\nlanguage: en\n---\n# A card\n")
    hub.files.clear()

    url = space["share"](tmp_path / "own", Hub.repository, endpoint=hub.address, token="hf_ada")

    assert url == f"{hub.address}/{Hub.repository}/commit/{COMMIT}"
    sent = {path.relative_to(tmp_path / "own") for path in (tmp_path / "own").rglob("*.*")}
    assert set(hub.files) == {path.as_posix() for path in sent}
    posted = [{**headers}.get("authorization") for how, _, headers in hub.requests if how == "POST"]
    assert set(posted) == {"Bearer hf_ada"}
    loaded = FalconCausalLM.from_preset(HANDLE)
    assert same_weights(loaded.backbone, backbone)
    assert loaded.preprocessor.tokenizer.vocabulary == tokenizer.vocabulary

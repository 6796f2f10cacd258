"""Files from Kaggle: the real client, and a Kaggle on this machine that can misbehave.

Models that come this way are in `test_hubs.py`; here files are files, whatever is in them.
"""

import json
import shutil
import warnings

from falcon_edu import Backbone
from falcon_edu.presets.handles import exact_source, resolve
from falcon_edu.presets.kaggle import _connected as connected
from tests.layouts import build
from tests.loopback_kaggle import CONFIG, Kaggle, serve, unreachable, use

import kagglehub
import numpy as np
import pytest
from kagglesdk import kaggle_env

HANDLE = f"kaggle://{Kaggle.model}"
VERSION = f"{HANDLE}/2"
SMALL = {
    "config.json": CONFIG,
    "metadata.json": b'{"parameter_count": 0}',
    "tokenizer.json": b'{"class_name": "FalconTokenizer"}',
    "assets/tokenizer/vocabulary.json": b'{"a": 0, "b": 1}',
    "assets/tokenizer/merges.txt": b"a b\n",
}
FILES = {**SMALL, "model.weights.h5": bytes(range(256)) * 40}
OTHERS = {"README.md": b"# Falcon", "evil.py": b"raise SystemExit('executed')", "task.json": b"{}"}
ESCAPED = "../" * 7 + "escaped"  # from a version's folder in the cache to the test's folder


@pytest.fixture
def kaggle(tmp_path, monkeypatch):
    with serve({**FILES, **OTHERS}) as kaggle:
        use(kaggle, tmp_path, monkeypatch)
        monkeypatch.setattr("time.sleep", lambda seconds: None)  # between tries
        yield kaggle


def files_in(folder):
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def asked_for_bytes(kaggle):
    return [path for _, path, _, body in kaggle.requests if body is None]


# === What is fetched ===


@pytest.mark.parametrize("handle", [HANDLE, VERSION])
def test_only_the_needed_files_are_fetched(kaggle, handle):
    folder = resolve(handle)
    assert files_in(folder) == FILES
    assert exact_source(handle, folder) == VERSION


def test_without_weights_none_are_fetched(kaggle):
    assert files_in(resolve(HANDLE, weights=False)) == SMALL
    assert not any(".h5" in path for path in kaggle.asked())


SHARDS = {"model_00000.weights.h5": b"0" * 99, "model_00001.weights.h5": b"1" * 99}


def index_of(*names):
    """An index as Keras writes it: a weight is in one file, or in several."""
    weight_map = {"x": list(names[:-1]), "y": names[-1]}
    return json.dumps({"weight_map": weight_map}).encode()


@pytest.mark.parametrize("missing", [403, 404])
def test_shards(kaggle, missing):
    kaggle.missing = missing
    kaggle.versions[3] = {**SMALL, **SHARDS, "model.weights.json": index_of(*SHARDS)}
    folder = resolve(HANDLE)
    assert files_in(folder) == kaggle.files
    assert exact_source(HANDLE, folder) == f"{HANDLE}/3"


@pytest.mark.parametrize(
    "names",
    [
        ["model.safetensors"],
        ["model-00001-of-00001.safetensors", "model.safetensors.index.json"],
        ["pytorch_model.bin"],
        ["pytorch_model-00001-of-00001.bin", "pytorch_model.bin.index.json"],
    ],
)
def test_one_kind_of_weights(kaggle, names):
    contents = [b"weights", index_of(names[0], names[0])]
    weights = dict(zip(names, contents, strict=False))
    kaggle.versions[3] = {**SMALL, **weights, "flax_model.msgpack": b""}
    assert files_in(resolve(HANDLE)).keys() == {*SMALL, *names}


def test_all_files_are_of_one_version(kaggle):
    """A version that appears while files are fetched changes nothing."""
    kaggle.next_version = {}
    folder = resolve(HANDLE)
    assert files_in(folder) == FILES
    assert folder.name == "2"
    assert max(kaggle.versions) == 3


# === The cache ===


@pytest.mark.parametrize("handle", [HANDLE, VERSION])
def test_second_time_nothing_is_downloaded_and_offline_works(kaggle, monkeypatch, handle):
    folder = resolve(handle)
    kaggle.requests.clear()
    assert resolve(handle) == folder
    assert asked_for_bytes(kaggle) == []
    kaggle.status = 503
    assert resolve(handle) == folder
    unreachable(monkeypatch)
    assert resolve(handle) == folder
    assert files_in(folder) == FILES


def test_a_model_that_kagglehub_fetched_whole(kaggle):
    """Its mark says so: there is one for the folder and none for each file."""
    folder = kagglehub.model_download(f"{Kaggle.model}/2")
    kaggle.requests.clear()
    assert str(resolve(VERSION)) == folder
    assert kaggle.requests == []
    assert str(resolve(HANDLE)) == folder
    assert "model.weights.h5" not in kaggle.asked()


@pytest.mark.parametrize("handle", [HANDLE, VERSION])
def test_a_seeded_cache_needs_no_network(kaggle, tmp_path, monkeypatch, handle):
    """The layout that a course may hand out on a stick: a folder for the version, and its mark."""
    for version in (2, 10):
        folder = tmp_path / "cache/models" / Kaggle.model / str(version)
        folder.mkdir(parents=True)
        (folder / "config.json").write_bytes(CONFIG)
        folder.with_name(f"{version}.complete").touch()
    unreachable(monkeypatch)
    assert resolve(handle).name == ("2" if handle == VERSION else "10")  # the newest


def test_cache_without_weights_is_not_enough(kaggle, monkeypatch):
    resolve(VERSION, weights=False)
    unreachable(monkeypatch)
    resolve(VERSION, weights=False)
    with pytest.raises(
        FileNotFoundError, match=r"can't be reached\) and is not whole in the cache"
    ):
        resolve(VERSION)


def test_a_whole_version_is_not_lost_when_a_newer_one_has_no_weights_yet(kaggle, monkeypatch):
    resolve(HANDLE)
    kaggle.versions[3] = FILES
    assert resolve(HANDLE, weights=False).name == "3"
    unreachable(monkeypatch)
    assert [resolve(HANDLE, weights=weights).name for weights in (False, True)] == ["2", "2"]


def test_the_version_before_is_loaded_where_the_newest_is_refused(kaggle, tmp_path):
    backbone = build("7b")
    backbone.save_to_preset(tmp_path / "preset")
    files = {path.name: path.read_bytes() for path in (tmp_path / "preset").iterdir()}
    kaggle.versions[2] = files
    Backbone.from_preset(HANDLE)
    for number, broken in [(3, {"model.weights.h5": b"no HDF5"}), (4, {"config.json": b"{}"})]:
        kaggle.versions[number] = {**files, **broken}
        said = rf"{HANDLE}/2 is loaded.*has moved to {HANDLE}/{number}, which can't"
        with pytest.warns(UserWarning, match=said):
            loaded = Backbone.from_preset(HANDLE)
        assert loaded.loaded_from == f"{HANDLE}/2"
        assert all(map(np.array_equal, loaded.get_weights(), backbone.get_weights()))
        with pytest.raises(ValueError, match=f"{HANDLE}/{number}"):
            Backbone.from_preset(f"{HANDLE}/{number}")


# === Refusals ===


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "does not exist or may not be read: check"),
        (403, "does not exist or may not be read: check"),
        (404, "does not exist: check owner, model"),
        (429, "the hub asks to wait"),
        (500, "the hub is in trouble, it answers 500"),
        (503, "the hub is in trouble, it answers 503"),
    ],
)
@pytest.mark.parametrize("handle", [HANDLE, VERSION])
def test_refusals_are_one_sentence(kaggle, status, message, handle):
    kaggle.status = status
    with pytest.raises(FileNotFoundError, match=message) as caught:
        resolve(handle)
    assert str(caught.value).startswith(handle)
    assert "falcon_tales presets" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_lies_whole_in_the_cache_is_taken_with_a_warning_if_kaggle_refuses(kaggle, status):
    folder = resolve(HANDLE)
    kaggle.status = status
    with pytest.warns(UserWarning, match=r"from the cache.*\(version 2\), since now it does not"):
        assert resolve(HANDLE) == folder
    assert resolve(VERSION) == folder  # whether Kaggle has no other file of it, or refuses


def test_what_lies_in_part_in_the_cache_is_not_enough_if_kaggle_refuses(kaggle):
    folder = resolve(HANDLE)
    (folder / "model.weights.h5").unlink()
    kaggle.status = 403
    with pytest.raises(FileNotFoundError, match="may not be read"):
        resolve(HANDLE)


def test_a_version_that_is_not_there(kaggle):
    with pytest.raises(FileNotFoundError, match=r"falcon_tiny/9 does not exist: check"):
        resolve(f"{HANDLE}/9")


def test_unreachable(kaggle, monkeypatch):
    unreachable(monkeypatch)
    with pytest.raises(FileNotFoundError) as caught:
        resolve(HANDLE)
    assert str(caught.value) == (
        f"{HANDLE} could not be fetched (it can't be reached) and is not whole in the cache. "
        "The falcon_tales presets and local folders need no network."
    )


@pytest.mark.parametrize(
    ("cut", "cut_file"), [(3, "config.json"), (3, "merges.txt"), (2000, "model.weights.h5")]
)
def test_cut_connection_is_said_and_the_next_try_goes_on(kaggle, monkeypatch, cut, cut_file):
    kaggle.cut, kaggle.cut_file = cut, cut_file
    with pytest.raises(FileNotFoundError, match=r"the connection broke off; what came is kept"):
        resolve(HANDLE)
    kaggle.cut = None
    assert files_in(resolve(HANDLE)) == FILES
    ranges = [headers["Range"] for _, _, headers, _ in kaggle.requests if "Range" in headers]
    assert ranges[-1] == f"bytes={cut}-"


def test_other_bytes_than_announced_are_refused(kaggle):
    kaggle.wrong = True
    with pytest.raises(FileNotFoundError, match=r"what came is not what was sent"):
        resolve(HANDLE)


@pytest.mark.parametrize(
    "handle",
    [
        "../../../etc",
        "a/b/c/..",
        "a/b/c",
        "a/b/c/d/e",
        "a/b/c/d/0",
        "a/b/c/d/1/2",
        "a//c/d",
        "",
        f"a/b/c/{'d' * 300}",
        f"a/b/c/d/{'9' * 5000}",
    ],
)
def test_handles_that_are_none_reach_nobody(kaggle, handle):
    with pytest.raises(ValueError, match=r"must read kaggle://owner/model/framework/variation"):
        resolve(f"kaggle://{handle}")
    assert kaggle.requests == []


# === What a stranger may have put there ===


def test_the_list_of_files_is_never_followed(kaggle, tmp_path):
    """kagglehub itself writes to wherever the list says; that is why it is not asked for all."""
    kaggle.files[ESCAPED] = b"boo"
    assert files_in(resolve(HANDLE)) == FILES
    assert not (tmp_path / "escaped").exists()
    shutil.rmtree(tmp_path / "cache")
    kagglehub.model_download(Kaggle.model)
    assert (tmp_path / "escaped").read_bytes() == b"boo"


@pytest.mark.parametrize("name", [ESCAPED, "/escaped", "model_/../x.weights.h5", "config.py", "{}"])
def test_names_in_an_index_are_those_of_shards(kaggle, tmp_path, name):
    index = index_of("model_00000.weights.h5", name)
    kaggle.versions[3] = {**SMALL, **SHARDS, name: b"boo", "model.weights.json": index}
    resolve(HANDLE)
    assert "model_00000.weights.h5" in kaggle.asked()
    assert name not in kaggle.asked()
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize("index", [b"[", b"[]", b'{"weight_map": 3}', b'{"weight_map": {"x": 3}}'])
def test_a_broken_index_is_left_to_its_reader(kaggle, index):
    kaggle.versions[3] = {**SMALL, "model.weights.json": index}
    assert files_in(resolve(HANDLE))["model.weights.json"] == index


def test_the_token_goes_to_the_api_alone(kaggle, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", "secret")
    resolve(HANDLE)
    to_api = [str(headers) for host, _, headers, _ in kaggle.requests if "localhost" not in host]
    to_store = [str(headers) for host, _, headers, _ in kaggle.requests if "localhost" in host]
    assert len(to_api) > len(to_store) > 3
    assert all("Bearer secret" in headers for headers in to_api)
    assert not any("secret" in headers for headers in to_store)


def test_the_token_never_goes_over_an_open_line(monkeypatch):
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")
    monkeypatch.setenv("KAGGLE_API_TOKEN", "secret")
    sent = {}
    for address in ("http://kaggle.test", "https://kaggle.test", "http://127.0.0.1:9"):
        monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, address)
        with warnings.catch_warnings(record=True) as said, connected(is_patient=False) as kaggle:
            warnings.simplefilter("always")
            sent[address] = "secret" in str(kaggle.web.token_headers)
        assert ["is not sent: http://kaggle.test" in str(w.message) for w in said] == (
            [] if sent[address] else [True]
        )
    assert list(sent.values()) == [False, True, True]


def test_unless_told_otherwise_the_api_is_kaggles_own(monkeypatch):
    monkeypatch.delenv("KAGGLE_API_ENVIRONMENT", raising=False)
    assert kaggle_env.get_endpoint(kaggle_env.get_env()) == "https://api.kaggle.com"

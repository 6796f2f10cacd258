"""A Kaggle that lies: who sees the token, how much is written, how long it takes."""

import time
import warnings

from falcon_edu.presets.handles import resolve
from tests import loopback_hub
from tests.loopback_kaggle import CONFIG, Kaggle, serve, use
from tests.test_lying_hub import PIECES, UNTRUSTED, endless, only

import pytest

HANDLE = f"kaggle://{Kaggle.model}"
FILES = {"config.json": CONFIG, "model.weights.h5": bytes(range(256)) * 40}


@pytest.fixture
def kaggle(tmp_path, monkeypatch):
    with serve(FILES) as kaggle:
        use(kaggle, tmp_path, monkeypatch)
        monkeypatch.setenv("KAGGLE_API_TOKEN", "kaggle_secret")
        yield kaggle


@pytest.fixture
def slept(monkeypatch):
    seconds = []
    monkeypatch.setattr("time.sleep", lambda length: length and seconds.append(length))
    return seconds


def refusal(match):
    with pytest.raises(FileNotFoundError, match=match) as caught:
        resolve(HANDLE)
    text = str(caught.value)
    assert text.startswith(HANDLE)
    assert text.isprintable()


def size_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("part", ["GetModelInstance", "DownloadModelInstanceVersion", "/2/"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_port_has_no_token(kaggle, part, status):
    with loopback_hub.serve({}) as other:

        @only(part)
        def lie(handler, *_):
            handler.send_plainly(status, b"", {"Location": other.address + handler.path})

        kaggle.lie = lie
        refusal("does not exist|could not be fetched")
        assert other.requests
        assert "kaggle_secret" not in str(other.requests)
        assert "kaggle_secret" in str(kaggle.requests)


@pytest.mark.parametrize("part", ["GetModelInstance", "/2/config.json", "/2/model.weights.h5"])
@pytest.mark.parametrize("kind", PIECES)
def test_answers_without_end_are_left(kaggle, tmp_path, part, kind):
    packed = {} if kind == "plain" else {"Content-Encoding": kind}

    @only(part)
    def lie(handler, *_):
        endless(handler, packed, PIECES[kind], b"{")

    kaggle.lie = lie
    refusal("goes on beyond|packed")
    assert size_of(tmp_path / "cache") < 2**20
    deadline = time.monotonic() + 20
    while kaggle.sent is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert kaggle.sent < 40 * 2**20


def test_a_file_is_no_longer_than_the_configuration_can_need(kaggle, tmp_path):
    kaggle.files["model.weights.h5"] = bytes(2**20)
    with pytest.raises(FileNotFoundError, match="are the most that can be needed"):
        resolve(HANDLE, most=10_000)
    assert size_of(tmp_path / "cache") < 2**20


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "3",
        '"x"',
        "{}",
        "null",
        "<html>",
        *(f'{{"versionNumber": {number}}}' for number in ('"2"', -1, "true", '"../../x"', "1e400")),
    ],
)
def test_a_version_that_is_none_is_refused(kaggle, content):
    @only("GetModelInstance")
    def lie(handler, *_):
        handler.send_plainly(200, content.encode(), {})

    kaggle.lie = lie
    refusal("does not say which version is the newest|is no JSON")


def test_an_error_in_an_answer_that_looks_well_is_one(kaggle):
    @only("GetModelInstance")
    def lie(handler, *_):
        handler.send_plainly(200, b'{"code": 404, "message": "gone"}', {})

    kaggle.lie = lie
    refusal("does not exist: check owner")


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("wait", ["100000", "30", "0", "9" * 5000, "soon"])
def test_a_kaggle_that_asks_to_wait_gets_a_minute_at_most(kaggle, slept, status, wait):
    kaggle.lie = lambda handler, *_: handler.send_plainly(status, b"", {"Retry-After": wait})
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(2):
            refusal("asks to wait|in trouble")
    assert sum(slept) <= 60
    assert len(said) == len(slept)
    assert len(kaggle.requests) < 20


def test_a_kaggle_that_does_not_answer_is_left(kaggle, monkeypatch):
    monkeypatch.setattr("falcon_edu.presets.kaggle.TIMEOUT", 0.2)
    kaggle.lie = lambda *_: time.sleep(1)
    refusal("it does not answer")


def test_an_untrusted_certificate_is_named_and_a_trusted_one_serves(tmp_path, monkeypatch):
    with serve(FILES, UNTRUSTED) as kaggle:
        use(kaggle, tmp_path, monkeypatch)
        refusal("its certificate is not trusted")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(UNTRUSTED))
        assert (resolve(HANDLE) / "config.json").read_bytes() == CONFIG

"""A Kaggle that lies: who sees the token, how much is written, how long it takes."""

import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

from falcon_edu.presets.handles import resolve
from tests import loopback_hub
from tests.loopback_kaggle import CONFIG, Kaggle, serve, use
from tests.test_lying_hub import PIECES, UNTRUSTED, endless, only, put_in_the_way

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


MODEL = f"models/{Kaggle.model}"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("", "file"),
        ("models", "dangling"),
        (MODEL, "file"),
        (f"{MODEL}/2", "file"),
        (f"{MODEL}/2/config.json", "folder"),
        (f"{MODEL}/2/model.weights.h5", "folder"),
        (f"{MODEL}/.locks", "loop"),
    ],
)
def test_a_cache_that_is_damaged_is_said_to_be(kaggle, tmp_path, path, kind):
    put_in_the_way(tmp_path / "cache" / path, kind)
    with pytest.raises(OSError, match=r"can't be kept in the cache: /.*KAGGLEHUB_CACHE") as caught:
        resolve(HANDLE)
    assert str(caught.value).startswith(HANDLE)


def test_what_lies_whole_in_a_cache_that_can_not_be_written_loads(kaggle, tmp_path):
    folder = resolve(HANDLE)
    kaggle.versions[3] = FILES
    put_in_the_way(folder.with_name("3"), "file")
    with pytest.warns(UserWarning, match=r"version 2\), since now no more can be written there"):
        assert resolve(HANDLE) == folder


@pytest.mark.parametrize("text", ["caf\xe9", "a\x1bb", "a\nb", "\u0430"])
def test_a_token_that_can_be_none_is_said_to_be(kaggle, monkeypatch, text):
    monkeypatch.setenv("KAGGLE_API_TOKEN", text)
    refusal("the token of KAGGLE_API_TOKEN or `kagglehub.login\\(\\)` can't be one")
    assert kaggle.requests == []


@pytest.mark.parametrize("handle", ["a\x1b[31m/b/c/d", "\ud800", "a/b/c/\u202e"], ids=ascii)
def test_a_handle_that_is_none_is_shown_as_it_can_be_printed(handle):
    with pytest.raises(ValueError, match="must read") as caught:
        resolve(f"kaggle://{handle}")
    assert str(caught.value).isprintable()


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


def test_what_lies_whole_in_the_cache_is_not_said_to_be_missing_where_kaggle_lies(kaggle):
    folder = resolve(HANDLE)

    @only("GetModelInstance")
    def lie(handler, *_):
        handler.send_plainly(200, b'{"versionNumber": -1}', {})

    kaggle.lie = lie
    with pytest.warns(UserWarning, match="is taken from the cache") as said:
        assert resolve(HANDLE) == folder
    assert not any("is not whole in the cache" in str(one.message) for one in said)


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


# === Several answers, several loads ===


def without_checksum(headers):
    return {name: text for name, text in headers.items() if name != "X-Goog-Hash"}


def test_what_another_answer_began_is_not_gone_on_with_where_no_checksum_tells(kaggle, slept):
    broken = [True]

    @only("/2/model.weights.h5")
    def lie(handler, status, body, headers):
        headers = without_checksum(headers)
        if broken:
            broken.pop()
            headers["Content-Length"] = str(len(body))
            handler.send_plainly(status, b"\0" * 5000, headers)
            handler.close_connection = True
            return handler.connection.close()
        return handler.send_plainly(status, body, headers)

    kaggle.lie = lie
    assert (resolve(HANDLE) / "model.weights.h5").read_bytes() == FILES["model.weights.h5"]


@pytest.mark.parametrize("has_checksum", [True, False])
def test_of_two_loads_at_once_one_fetches_and_both_find_the_file(kaggle, has_checksum):
    begun, goes_on = threading.Event(), threading.Event()

    @only("/2/model.weights.h5")
    def lie(handler, status, body, headers):
        headers = headers if has_checksum else without_checksum(headers)
        if begun.is_set():
            return handler.send_plainly(status, body, headers)
        handler.send_plainly(status, body[:5000], {**headers, "Content-Length": str(len(body))})
        begun.set()
        goes_on.wait(20)
        return handler.wfile.write(body[5000:])

    kaggle.lie = lie
    with ThreadPoolExecutor() as threads:
        first = threads.submit(resolve, HANDLE)
        assert begun.wait(20)
        second = threads.submit(resolve, HANDLE)
        deadline = time.monotonic() + 1  # in which the second would ask for what it can get
        while kaggle.asked().count("model.weights.h5") < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        goes_on.set()
        folders = {first.result(20), second.result(20)}
    assert (folders.pop() / "model.weights.h5").read_bytes() == FILES["model.weights.h5"]
    assert not folders
    assert [x[1] for x in kaggle.requests].count("/2/model.weights.h5") == 1

"""A hub that lies, or a mirror: who sees the token, what is written where, how long it takes."""

import gzip
import hashlib
import json
import os
import time
import warnings
from contextlib import suppress
from email.utils import formatdate
from pathlib import Path

from falcon_edu import Backbone, FalconCausalLM
from falcon_edu.course.doctor.reach import look_at_hubs
from falcon_edu.presets import hugging_face, web
from falcon_edu.presets.handles import resolve
from falcon_edu.presets.waiting import PATIENCE
from falcon_edu.text.preprocessor import FalconCausalLMPreprocessor
from tests.layouts import build
from tests.loopback_hub import COMMIT, Hub, etag, serve
from tests.small_tokenizers import make

import numpy as np
import pytest
from huggingface_hub import constants

WEIGHTS = "model.safetensors"
HANDLE = f"hf://{Hub.repository}"
UNTRUSTED = Path(__file__).with_name("untrusted.pem")  # a certificate that nobody signed
DEFAULT = constants.ENDPOINT
ENDLESS = 100 * 2**20  # bytes after which an endless answer ends all the same


@pytest.fixture(scope="module")
def backbone():
    return build("7b")


@pytest.fixture(scope="module")
def files(backbone, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint") / "falcon"
    backbone.export_to_transformers(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def place(tmp_path):
    """A folder deep enough that what climbs out of the cache stays in the test's own."""
    return tmp_path / "a/b/c/d/e/f"


@pytest.fixture
def hub(files, place, monkeypatch):
    """A hub that is taken for the real one: it gets the token."""
    with serve(files) as hub:
        use(hub, place, monkeypatch)
        yield hub


def use(hub, place, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(DEFAULT, hub.address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(place / "cache"))
    monkeypatch.setattr(hugging_face, "HUB", hub.address)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")


@pytest.fixture
def slept(monkeypatch):
    """The seconds that would have been waited."""
    seconds = []
    monkeypatch.setattr("time.sleep", lambda length: length and seconds.append(length))
    return seconds


def refusal(match, preset=HANDLE):
    """Load what can't be loaded, and return what is said about it."""
    with pytest.raises(FileNotFoundError, match=match) as caught:
        Backbone.from_preset(preset)
    text = str(caught.value)
    assert text.startswith(preset)
    assert "\n" not in text
    assert text.isprintable()
    assert len(text) < 600
    return text


def written(tmp_path, place):
    """What lies outside the cache."""
    paths = [path for path in tmp_path.rglob("*") if path.is_file()]
    return [path for path in paths if not path.is_relative_to(place / "cache")]


def only(part):
    """Make a lie that concerns the addresses with this part, and gives the others as they are."""

    def decorate(lie):
        return lambda handler, *answer: lie(handler, *answer) if part in handler.path else False

    return decorate


# === The token ===


def saw_token(hub):
    return [path for _, path, headers in hub.requests if "hf_secret" in str(headers)]


@pytest.mark.parametrize("part", ["/api/", "/resolve/", "config.json", "model.safetensors"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_port_has_no_token(hub, backbone, files, part, status):
    with serve(files) as other:

        @only(part)
        def lie(handler, *_):
            handler.send_plainly(status, b"", {"Location": other.address + handler.path})

        hub.lie = lie
        loaded = Backbone.from_preset(HANDLE)
        assert all(map(np.array_equal, loaded.get_weights(), backbone.get_weights()))
        assert other.asked(part)
        assert not saw_token(other)
        assert saw_token(hub)


@pytest.mark.parametrize(
    "spelling",
    ["http://{home}@{other}", "http://{home}\\@{other}", "//{other}", "http://{other}#{home}"],
)
def test_an_address_that_looks_like_the_hubs_own_has_no_token(hub, files, spelling):
    with serve(files) as other:
        hosts = {"home": hub.address[7:], "other": other.address[7:]}

        @only("/resolve/")
        def lie(handler, *_):
            place = spelling.format(**hosts)
            handler.send_plainly(302, b"", {"Location": place + handler.path})

        hub.lie = lie
        with suppress(FileNotFoundError):
            Backbone.from_preset(HANDLE)
        assert not saw_token(other)
        assert saw_token(hub)


@pytest.mark.parametrize("names", ["link", "route"])
def test_a_route_to_a_store_in_pieces_is_not_followed(hub, backbone, files, names, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    with serve(files) as other:
        route = f"{other.address}/api/models/{Hub.repository}/xet-read-token/{COMMIT}"
        announced = {"X-Xet-Hash": "ab" * 32, "X-Linked-Size": "1000"}
        announced |= {"Link": f'<{route}>; rel="xet-auth"'} if names == "link" else {}
        announced |= {"X-Xet-Refresh-Route": route} if names == "route" else {}

        @only("model.safetensors")
        def lie(handler, status, body, headers):
            handler.send_plainly(status, body, {**headers, **announced})

        hub.lie = lie
        loaded = Backbone.from_preset(HANDLE)
        assert all(map(np.array_equal, loaded.get_weights(), backbone.get_weights()))
        assert other.requests == []


def test_a_list_that_goes_on_elsewhere_is_not_followed_with_the_token(hub, files):
    with serve(files) as other:
        hub.is_old = True

        @only("/tree/")
        def lie(handler, status, body, headers):
            link = f'<{other.address}{handler.path}>; rel="next"'
            handler.send_plainly(status, body, {**headers, "Link": link})

        hub.lie = lie
        Backbone.from_preset(HANDLE)
        assert not saw_token(other)


def test_a_mirror_gets_no_token_nor_those_it_sends_to(hub, backbone, files, monkeypatch):
    monkeypatch.setattr(hugging_face, "HUB", DEFAULT)
    with serve(files) as other:
        hub.elsewhere = other.address
        loaded = Backbone.from_preset(HANDLE)
        assert all(map(np.array_equal, loaded.get_weights(), backbone.get_weights()))
        assert other.requests
        assert not saw_token(other)
        assert not saw_token(hub)


@pytest.mark.parametrize(
    "location",
    ["file:///etc/hostname", "ftp://127.0.0.1/x", "//", "http://", "http://[", "http://a:b/", ""],
)
def test_a_redirect_that_leads_out_of_the_web_is_refused(hub, location):
    hub.lie = lambda handler, *_: handler.send_plainly(302, b"", {"Location": location})
    refusal("could not be fetched")


def test_redirects_in_a_circle_end(hub):
    hub.lie = lambda handler, *_: handler.send_plainly(302, b"", {"Location": handler.path})
    refusal("from one address to the next without end")
    assert len(hub.requests) == web.MOST_REDIRECTS + 1


@pytest.mark.parametrize("text", ["a=b; Path=/", "caf\xe9=1", "x" * 3000])
def test_no_cookie_of_a_hub_stays_in_the_session_of_the_process(hub, text):
    """One that can't be sent back would break every request that follows."""
    from huggingface_hub import get_session

    hub.lie = lambda handler, status, body, headers: handler.send_plainly(
        status, body, {**headers, "Set-Cookie": text}
    )
    Backbone.from_preset(HANDLE)
    assert not list(get_session().cookies.jar)
    assert all(headers["User-Agent"] == "falcon_edu" for _, _, headers in hub.requests)


# === What becomes a name ===

NAMES = ["../../escaped", "/elsewhere/x", "..", ".", "a/b", "a\\b", "x" * 300, "~/x", "%2e%2e%2fx"]


@pytest.mark.parametrize("name", [*NAMES, "../" * 12 + "escaped"])
@pytest.mark.parametrize("header", ["ETag", "X-Linked-Etag", "X-Repo-Commit"])
def test_an_etag_or_commit_is_looked_at_before_it_is_a_name(hub, tmp_path, place, header, name):
    @only("/resolve/")
    def lie(handler, status, body, headers):
        text = name if header == "X-Repo-Commit" else f'"{name}"'
        handler.send_plainly(status, body, {**headers, header: text})

    hub.lie = lie
    # A name that only looks odd, of a mirror perhaps, is passed over: what came has its own hash.
    with suppress(FileNotFoundError):
        Backbone.from_preset(HANDLE)
    assert written(tmp_path, place) == []
    blobs = [path.name for path in (place / "cache").rglob("blobs/*")]
    assert all(set(name) <= set("0123456789abcdef") for name in blobs)


@pytest.mark.parametrize("name", ["../../escaped", "/elsewhere/x", "a/b", "x" * 300])
def test_an_etag_that_could_be_a_path_is_refused(hub, name):
    @only("/resolve/")
    def lie(handler, status, body, headers):
        handler.send_plainly(status, body, {**headers, "X-Linked-Etag": f'"{name}"'})

    hub.lie = lie
    refusal("which is no ETag")


@pytest.mark.parametrize("commit", [*NAMES, COMMIT[:7], COMMIT.upper(), 3, None, ["x"]])
def test_a_commit_that_is_none_is_refused(hub, tmp_path, place, commit):
    hub.commit = commit
    refusal("the commit is .*, which is none")
    assert written(tmp_path, place) == []


@pytest.mark.parametrize(
    "revision",
    [
        *("../../x", "/x", "a//b", ".hidden", "a/../b", "a b", "x" * 300, "a\\b", "a\nb"),
        *("\ud800", "a\x1b[31m", "a\x85b", "a\u202eb", "a\u200bb", "\u2028"),
    ],
    ids=ascii,
)
def test_a_revision_that_is_none_reaches_nobody(hub, revision):
    with pytest.raises(ValueError, match="revision") as caught:
        resolve(f"{HANDLE}@{revision}")
    assert str(caught.value).isprintable()
    assert hub.requests == []


# === What was announced ===


@pytest.mark.parametrize("where", ["both", "list", "old list", "header", "linked"])
def test_other_bytes_than_those_of_the_announced_sha256_are_refused(hub, tmp_path, where):
    name = "model.safetensors"
    true = hub.files[name]
    digest = hashlib.sha256(true).hexdigest()
    hub.sha256 = {name} if where in ("both", "list", "old list") else set()
    hub.is_old = where in ("old list", "header", "linked")

    @only(name)
    def lie(handler, status, body, headers):
        if where in ("header", "linked"):
            headers[{"header": "ETag", "linked": "X-Linked-Etag"}[where]] = f'"{digest}"'
        elif where != "both":
            del headers["ETag"]
        handler.send_plainly(status, bytes(body[:-4] + b"\0\0\0\1"), headers)

    hub.lie = lie
    refusal("what came is not what was announced: its sha256")
    assert not list(tmp_path.rglob("model.safetensors"))
    hub.lie = None
    Backbone.from_preset(HANDLE)


def changed(data):
    """The same, as long, but for one number."""
    other = data.replace(b'"layer_norm_epsilon": 1e-05', b'"layer_norm_epsilon": 9e-01')
    assert other != data
    assert len(other) == len(data)
    return other


@pytest.mark.parametrize("is_elsewhere", [False, True])
def test_a_small_file_with_another_hash_of_git_than_listed_is_refused(hub, files, is_elsewhere):
    with serve({**files, "config.json": changed(files["config.json"])}) as other:

        @only("config.json")
        def lie(handler, status, body, headers):
            if is_elsewhere:
                place = other.address + handler.path
                return handler.send_plainly(302, b"", {**headers, "Location": place})
            return handler.send_plainly(status, changed(body), headers)

        hub.lie = lie
        refusal("what came is not what was announced: its hash of git")
        hub.lie = None
        assert (resolve(HANDLE) / "config.json").read_bytes() == files["config.json"]


def test_two_files_with_one_etag_stay_two(hub, files):
    hub.files["generation_config.json"] = b'{"eos_token_id": 11}'

    def lie(handler, status, body, headers):
        if "/api/" in handler.path:
            content = json.loads(body)
            for file in content["siblings"]:
                file.pop("blobId", None)
            return handler.send_plainly(status, json.dumps(content).encode(), {})
        return handler.send_plainly(status, body, {**headers, "ETag": f'"{"d" * 40}"'})

    hub.lie = lie
    folder = resolve(HANDLE)
    assert all(
        (folder / file.name).read_bytes() == hub.files[file.name] for file in folder.iterdir()
    )
    assert len({file.resolve() for file in folder.iterdir()}) == len(list(folder.iterdir())) == 3


def test_a_mirror_changes_nothing_of_another_commit(hub, files, monkeypatch):
    pinned = resolve(f"{HANDLE}@{COMMIT}") / "config.json"
    old, other = files["config.json"], changed(files["config.json"])
    with serve({**files, "config.json": other}) as mirror:
        mirror.commit = COMMIT[::-1]

        def lie(handler, status, body, headers):
            """Call the new file by the old one's hash."""
            body = bytes(body).replace(etag(other).encode(), etag(old).encode())
            handler.send_plainly(status, body, {**headers, "ETag": f'"{etag(old)}"'})

        mirror.lie = lie
        monkeypatch.setattr(constants, "ENDPOINT", mirror.address)
        # The file with this hash lies here already.
        assert (resolve(HANDLE, weights=False) / "config.json").read_bytes() == old
    assert pinned.read_bytes() == old


def test_a_small_blob_that_is_broken_is_fetched_again_and_a_whole_one_is_not(hub, files):
    name = "config.json"
    blob = (resolve(HANDLE) / name).resolve()
    hub.commit = COMMIT[::-1]
    asked = len(hub.asked(name))
    resolve(HANDLE)
    assert len(hub.asked(name)) == asked
    blob.write_bytes(bytes(len(files[name])))
    hub.commit = COMMIT[:20] * 2
    assert (resolve(HANDLE) / name).read_bytes() == files[name]
    assert len(hub.asked(name)) == asked + 1


def test_a_hub_without_etags_serves(hub, backbone):
    @only("/resolve/")
    def lie(handler, status, body, headers):
        handler.send_plainly(status, body, {"Content-Length": str(len(body))})

    hub.lie = lie
    loaded = Backbone.from_preset(HANDLE)
    assert all(map(np.array_equal, loaded.get_weights(), backbone.get_weights()))


def test_what_the_hubs_own_client_cached_is_not_fetched_again(hub):
    from huggingface_hub import snapshot_download

    folder = snapshot_download(Hub.repository, endpoint=hub.address, token=False)
    hub.requests.clear()
    assert str(resolve(HANDLE)) == folder
    assert not hub.asked("/resolve/")


def test_what_we_cached_the_hubs_own_client_finds(hub):
    from huggingface_hub import snapshot_download

    hub.sha256 = {"model.safetensors"}
    folder = resolve(HANDLE)
    hub.requests.clear()
    found = snapshot_download(
        Hub.repository, endpoint=hub.address, token=False, allow_patterns=["*.safetensors"]
    )
    assert found == str(folder)
    assert not hub.asked("/resolve/")


def test_what_broke_off_goes_on_in_the_next_load(hub, slept):
    hub.sha256 = {"model.safetensors"}
    hub.cut, hub.times = 1000, 100
    refusal("the connection broke off; what came is kept for the next try")
    hub.cut, before = None, len(hub.requests)
    Backbone.from_preset(HANDLE)
    ranges = [headers.get("Range") for _, _, headers in hub.requests[before:]]
    assert ranges[-1].startswith("bytes=")
    assert ranges[-1] != "bytes=0-"


# === Waiting ===


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "100000"},
        {"Retry-After": "9" * 5000},
        {"Retry-After": formatdate(time.time() + 1e5, usegmt=True)},
        {"Ratelimit": '"api";r=0;t=86400'},
        {"Retry-After": "30"},
        {"Retry-After": "0"},
        {"Retry-After": "-5"},
        {"Retry-After": "soon"},
        {"Retry-After": "nan"},
        {},
    ],
)
def test_a_hub_that_asks_to_wait_gets_a_minute_at_most(hub, slept, status, headers):
    hub.status, hub.headers = status, headers
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(3):
            refusal("asks to wait|in trouble")
    assert sum(slept) <= PATIENCE
    waits = [str(warning.message) for warning in said]
    assert len(waits) == len(slept)
    assert all(text.startswith("Waiting ") and "for a hub" in text for text in waits)
    assert len(hub.requests) < 40


def test_a_hub_that_is_well_again_after_a_moment_serves(hub, slept):
    @only("/api/")
    def lie(handler, *_):
        hub.lie = None
        handler.send_plainly(503, b"", {"Retry-After": "20"})

    hub.lie = lie
    with pytest.warns(UserWarning, match=r"Waiting 20 s for a hub, at most 60 s in all: .* 503"):
        Backbone.from_preset(HANDLE)
    assert slept == [20]


def test_what_lies_in_the_cache_is_not_waited_for(hub, slept):
    Backbone.from_preset(HANDLE)
    hub.status, hub.headers = 429, {"Retry-After": "5"}
    Backbone.from_preset(HANDLE)
    assert slept == []


def test_headers_that_trickle_end(hub, monkeypatch):
    monkeypatch.setattr(web, "Deadline", lambda seconds, real=web.Deadline: real(0.5))

    def lie(handler, *_):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(200):
            handler.wfile.write(f"X-{number}: x\r\n".encode())
            handler.wfile.flush()
            time.sleep(0.05)

    hub.lie = lie
    refusal("its answer did not end in")


def trickle(handler, *_):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    sent = 0
    with suppress(OSError):
        while sent < 100:
            handler.wfile.write(b" ")
            sent += 1
            time.sleep(0.05)
    handler.close_connection = True
    handler.hub.sent = sent


def test_an_answer_that_trickles_on_a_kept_connection_ends(hub):
    from huggingface_hub import get_session

    web_of_process = get_session()
    assert web_of_process.get(f"{hub.address}/api/models/{Hub.repository}").status_code == 200
    hub.lie = trickle
    our_web = web.Web(web_of_process, hub.address)
    with (
        pytest.raises(web.HubError, match="did not end in"),
        our_web.ask(f"{hub.address}/x", seconds=0.5) as answer,
    ):
        list(answer.pieces)
    while hub.sent is None:
        time.sleep(0.01)
    assert hub.sent < 100


def test_redirects_and_tries_have_one_deadline_together(hub):
    from huggingface_hub import get_session

    def lie(handler, *_):
        time.sleep(0.3)
        handler.send_plainly(302, b"", {"Location": handler.path})

    hub.lie = lie
    our_web = web.Web(get_session(), hub.address)
    with (
        pytest.raises(web.HubError, match="did not end in"),
        our_web.ask(f"{hub.address}/x", seconds=0.5),
    ):
        pass
    assert len(hub.requests) < 5


# === Without end ===


def endless(handler, headers, piece, first=b""):
    """Send pieces for as long as anybody takes them, and note their bytes."""
    hub = getattr(handler, "hub", None) or handler.kaggle
    handler.send_response(200)
    for name, value in {**headers, "Transfer-Encoding": "chunked"}.items():
        handler.send_header(name, value)
    handler.end_headers()
    sent = 0
    try:
        while sent < ENDLESS and not hub.is_over:
            data, first = first or piece, b""
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            sent += len(data)
    except OSError:
        pass
    handler.close_connection = True
    hub.sent = sent


PIECES = {"plain": b'"a": 1, ' * 8192, "gzip": gzip.compress(b" " * 2**24), "br": b"\x8b" * 65536}


@pytest.mark.parametrize("part", ["/api/", "/tree/", "config.json"])
@pytest.mark.parametrize("kind", PIECES)
def test_answers_without_end_are_left(hub, part, kind, place):
    hub.is_old = part == "/tree/"
    packed = {} if kind == "plain" else {"Content-Encoding": kind}

    @only(part)
    def lie(handler, *_):
        endless(handler, {"Content-Type": "application/json", **packed}, PIECES[kind], b"{")

    hub.lie = lie
    refusal("goes on beyond|packed")
    deadline = time.monotonic() + 20
    while hub.sent is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert hub.sent < 40 * 2**20
    kept = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    assert kept < 2**20


def test_weights_are_no_larger_than_the_configuration_can_need(hub):
    @only("/api/")
    def lie(handler, status, body, headers):
        content = json.loads(body)
        for file in content["siblings"]:
            if file["rfilename"] == "model.safetensors":
                file["size"] = 10**12
        handler.send_plainly(status, json.dumps(content).encode(), {})

    hub.lie = lie
    refusal(r"it announces 1.0 TB, where .* MB are the most that can be needed")
    assert not hub.asked("/resolve/main/model.safetensors")


@pytest.mark.parametrize("is_listed", [True, False])
def test_weights_without_end_are_left_at_what_was_announced(hub, place, is_listed):
    hub.is_old = not is_listed

    @only("/tree/")
    def lie_of_list(handler, *_):
        handler.send_plainly(404, b"", {})

    @only("model.safetensors")
    def lie_of_weights(handler, *_):
        endless(handler, {}, bytes(2**16))

    hub.lie = lambda *answer: lie_of_list(*answer) is not False or lie_of_weights(*answer)
    refusal("goes on beyond")
    kept = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    assert kept < 2**20


def test_shards_that_no_index_names_are_never_asked_for(hub, files):
    weight_map = {"x": "model-00001-of-00001.safetensors"}
    index = json.dumps({"weight_map": weight_map}).encode()
    shards = {f"model-{number:05}-of-00020.safetensors": b"x" * 99 for number in range(20)}
    hub.files = {"config.json": files["config.json"], "model.safetensors.index.json": index}
    hub.files |= {**shards, "model-00001-of-00001.safetensors": files["model.safetensors"]}
    folder = resolve(HANDLE)
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "model-00001-of-00001.safetensors",
        "model.safetensors.index.json",
    ]
    assert not hub.asked("-of-00020")


def test_shards_together_are_no_larger_than_the_configuration_can_need(hub, files):
    names = [f"model-{number:05}-of-00100.safetensors" for number in range(100)]
    index = {"weight_map": {name: name for name in names}}
    hub.files = {"config.json": files["config.json"], **dict.fromkeys(names, b"x" * 2**20)}
    hub.files["model.safetensors.index.json"] = json.dumps(index).encode()
    refusal("are the most that can be needed")


# === The wrong form ===


@pytest.mark.parametrize(
    "content",
    [
        [],
        "a text",
        3,
        None,
        {},
        {"sha": COMMIT, "siblings": 3},
        {"sha": COMMIT, "siblings": None},
        {"sha": COMMIT, "siblings": ["config.json"]},
        {"sha": COMMIT, "siblings": {"rfilename": "config.json"}},
        {"sha": COMMIT, "siblings": [{"rfilename": 3}]},
        {"sha": COMMIT, "siblings": [{"rfilename": "config.json", "size": "long"}]},
        {"sha": COMMIT, "siblings": [{"rfilename": "config.json", "size": -1}]},
        {"sha": COMMIT, "siblings": [{"rfilename": "config.json", "lfs": "x"}]},
        {"sha": COMMIT, "siblings": [{"rfilename": "config.json", "lfs": {"sha256": "../x"}}]},
        {"sha": {"a": 1}, "siblings": []},
    ],
)
def test_lists_of_the_wrong_form_are_said_to_be(hub, content):
    @only("/api/")
    def lie(handler, *_):
        handler.send_plainly(200, json.dumps(content).encode(), {})

    hub.lie = lie
    refusal("where its answer should have|which is none|it lists")


@pytest.mark.parametrize("body", [b"", b"<html>Log in</html>", b"[" * 10**5, b"\xff\xfe", b"{"])
def test_answers_that_are_no_json_are_said_to_be(hub, body):
    hub.lie = lambda handler, *_: handler.send_plainly(200, body, {})
    refusal("its answer is no JSON")


def test_a_server_that_speaks_no_http_is_said_to_be_broken(hub):
    hub.lie = lambda handler, *_: handler.wfile.write(b"220 ready\r\n" * 10)
    refusal("broke off|broken")


# === The cache ===


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, "GatedRepo"), (403, "GatedRepo"), (404, "RepoNotFound"), (403, ""), (401, "")],
)
@pytest.mark.parametrize("revision", ["", "@main", f"@{COMMIT}"])
def test_a_refused_model_that_lies_whole_in_the_cache_loads(hub, backbone, status, error, revision):
    Backbone.from_preset(HANDLE + revision)
    hub.status, hub.error = status, error
    with pytest.warns(UserWarning, match=rf"from the cache.*\(commit {COMMIT}\), since now it"):
        loaded = Backbone.from_preset(HANDLE + revision)
    assert all(map(np.array_equal, loaded.get_weights(), backbone.get_weights()))


def test_a_lying_hub_costs_nothing_that_lies_in_the_cache(hub, backbone):
    Backbone.from_preset(HANDLE)
    hub.commit = "../../escaped"
    with pytest.warns(UserWarning, match="since now it could not be fetched"):
        loaded = Backbone.from_preset(HANDLE)
    assert all(map(np.array_equal, loaded.get_weights(), backbone.get_weights()))


def test_a_whole_model_is_not_lost_when_its_branch_moves_and_no_weights_come(hub, monkeypatch):
    Backbone.from_preset(HANDLE)
    hub.commit = COMMIT[::-1]
    Backbone.from_preset(HANDLE, load_weights=False)
    hub.status = 503
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    assert Backbone.from_preset(HANDLE).loaded_from == f"{HANDLE}@{COMMIT}"
    hub.status = None
    assert Backbone.from_preset(HANDLE).loaded_from == f"{HANDLE}@{COMMIT[::-1]}"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert Backbone.from_preset(HANDLE).loaded_from == f"{HANDLE}@{COMMIT[::-1]}"


def _sent(change):
    """Make a lie: weights come as a function of status, body and headers says."""
    return only(WEIGHTS)(lambda handler, *answer: handler.send_plainly(*change(*answer)))


def _damaged(hub):
    hub.files[WEIGHTS] += b" "  # another file, so that it is fetched
    hub.lie = _sent(lambda status, body, headers: (status, bytes(len(body)), headers))


def _lying(hub):
    hub.files[WEIGHTS] += b" "
    etag = hashlib.sha256(b"x").hexdigest()
    hub.lie = _sent(lambda status, body, headers: (status, body, {**headers, "ETag": etag}))


def _unreadable(hub):
    hub.files[WEIGHTS] = b"not safetensors at all"


def _misshapen(hub):
    config = json.loads(hub.files["config.json"])
    hub.files["config.json"] = json.dumps({**config, "hidden_size": 64}).encode()


def _of_no_known_format(hub):
    hub.files["config.json"] = b"{}"


def _without_weights(hub):
    del hub.files[WEIGHTS]


def _withheld(hub):
    hub.files[WEIGHTS] += b" "
    hub.lie = _sent(lambda *_: (403, b"{}", {}))


@pytest.mark.parametrize(
    "spoil",
    [_damaged, _lying, _unreadable, _misshapen, _of_no_known_format, _without_weights, _withheld],
)
def test_what_a_branch_was_is_loaded_where_what_it_became_is_refused(hub, backbone, spoil):
    Backbone.from_preset(HANDLE)
    hub.commit = COMMIT[::-1]
    spoil(hub)
    for preset in (HANDLE, f"{HANDLE}@main"):
        with pytest.warns(
            UserWarning, match=f"{COMMIT} is loaded.*{COMMIT[::-1]}, which"
        ) as caught:
            loaded = Backbone.from_preset(preset)
        assert caught[-1].filename == __file__
        assert str(caught[-1].message).isprintable()
        assert loaded.loaded_from == f"{HANDLE}@{COMMIT}"
        assert all(map(np.array_equal, loaded.get_weights(), backbone.get_weights()))
    with pytest.raises((FileNotFoundError, ValueError)):
        Backbone.from_preset(f"{HANDLE}@{COMMIT[::-1]}")  # who names a commit gets no other


def test_a_task_is_of_one_commit_where_the_newest_is_refused(hub, backbone, tmp_path):
    task = FalconCausalLM(backbone, FalconCausalLMPreprocessor(make("plain")))
    task.export_to_transformers(tmp_path / "preset")
    hub.files = {path.name: path.read_bytes() for path in (tmp_path / "preset").iterdir()}
    before = FalconCausalLM.from_preset(HANDLE)
    hub.commit = COMMIT[::-1]
    tokenizer = json.loads(hub.files["tokenizer.json"])
    tokenizer["added_tokens"][-1]["content"] = "<|another|>"
    hub.files["tokenizer.json"] = json.dumps(tokenizer).encode()
    _unreadable(hub)
    with pytest.warns(UserWarning, match=f"{COMMIT} is loaded.*{COMMIT[::-1]}, which"):
        loaded = FalconCausalLM.from_preset(HANDLE)
    assert loaded.backbone.loaded_from == f"{HANDLE}@{COMMIT}"
    vocabulary = loaded.preprocessor.tokenizer.vocabulary
    assert vocabulary == before.preprocessor.tokenizer.vocabulary


def test_where_all_that_a_branch_was_is_refused_the_newest_is_complained_of(hub):
    _unreadable(hub)
    with pytest.raises(ValueError, match="its header claims"):
        Backbone.from_preset(HANDLE)
    _of_no_known_format(hub)
    hub.commit = COMMIT[::-1]
    with pytest.raises(ValueError, match="no known format"):
        Backbone.from_preset(HANDLE)


REPOSITORY = f"models--{Hub.repository.replace('/', '--')}"
SNAPSHOT = f"{REPOSITORY}/snapshots/{COMMIT}"


def put_in_the_way(path, kind):
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "file":
        path.write_text("x")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path.name if kind == "loop" else "nowhere")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("", "file"),
        ("", "dangling"),
        (REPOSITORY, "file"),
        (f"{REPOSITORY}/blobs", "file"),
        (f"{REPOSITORY}/snapshots", "file"),
        (SNAPSHOT, "file"),
        (f"{SNAPSHOT}/config.json", "folder"),
        (f"{SNAPSHOT}/{WEIGHTS}", "folder"),
        (".locks", "file"),
        (".locks", "loop"),
        (f".locks/{REPOSITORY}", "dangling"),
    ],
)
def test_a_cache_that_is_damaged_is_said_to_be(hub, place, path, kind):
    put_in_the_way(place / "cache" / path, kind)
    with pytest.raises(OSError, match=r"can't be kept in the cache: /.*HF_HUB_CACHE") as caught:
        Backbone.from_preset(HANDLE)
    assert str(caught.value).startswith(HANDLE)
    assert "[Errno" not in str(caught.value)


@pytest.mark.parametrize("path", [f"{REPOSITORY}/blobs", ".locks"])
def test_what_lies_whole_in_a_cache_that_can_not_be_written_loads(hub, backbone, place, path):
    Backbone.from_preset(HANDLE)
    hub.commit = COMMIT[::-1]
    hub.files["config.json"] += b" "
    (place / "cache" / path).rename(place / "away")
    if "blobs" in path:  # the snapshot's links lead there
        for link in (place / "cache" / SNAPSHOT).iterdir():
            content = (place / "away" / link.readlink().name).read_bytes()
            link.unlink()
            link.write_bytes(content)
    put_in_the_way(place / "cache" / path, "file")
    with pytest.warns(UserWarning, match="is taken from the cache.*no more can be written there"):
        loaded = Backbone.from_preset(HANDLE)
    assert loaded.loaded_from == f"{HANDLE}@{COMMIT}"
    assert all(map(np.array_equal, loaded.get_weights(), backbone.get_weights()))


@pytest.mark.parametrize("text", ["hf_caf\xe9", "hf_a\x1bb", "hf_\u2028x", "hf_\u0430"])
def test_a_token_that_can_be_none_is_said_to_be(hub, backbone, monkeypatch, text):
    monkeypatch.setenv("HF_TOKEN", text)
    said = refusal("the token of HF_TOKEN or `hf auth login` can't be one.*ASCII")
    assert text not in said
    assert hub.requests == []
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    Backbone.from_preset(HANDLE)
    monkeypatch.setenv("HF_TOKEN", text)
    with pytest.warns(UserWarning, match="from the cache.*the token of HF_TOKEN"):
        Backbone.from_preset(HANDLE)


def test_of_a_mirror_that_refuses_it_is_said_that_it_got_no_token(hub, monkeypatch):
    monkeypatch.setattr(hugging_face, "HUB", DEFAULT)
    hub.status, hub.error = 401, "GatedRepo"
    refusal(f"Your token goes to {DEFAULT} alone, and not to {hub.address}")
    hub.status, hub.error = 500, ""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    assert "Your token" not in refusal("is in trouble")
    hub.status, hub.error = 401, "GatedRepo"
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert "Your token" not in refusal("is gated")


def test_one_shard_of_two_is_not_whole(hub, files):
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = {"weight_map": dict(zip("ab", names, strict=True))}
    hub.files = {"config.json": files["config.json"], names[0]: b"x", names[1]: b"y"}
    hub.files["model.safetensors.index.json"] = json.dumps(index).encode()
    folder = resolve(HANDLE)
    (folder / names[1]).unlink()
    hub.status, hub.error = 403, "GatedRepo"
    resolve(HANDLE, weights=False)
    with pytest.raises(FileNotFoundError, match="is gated"):
        resolve(HANDLE)


def planted(place, path, target, kind):
    """Put a link, or a pipe, where a file or folder of the cache is to be."""
    path = place / "cache" / f"models--{Hub.repository.replace('/', '--')}" / path
    path.parent.mkdir(parents=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "second name":
        os.link(target, path)
    else:
        path.symlink_to(target)
    return path


@pytest.mark.skipif(os.name == "nt", reason="needs links and pipes")
@pytest.mark.parametrize("kind", ["link", "second name", "pipe"])
def test_nothing_is_written_into_what_somebody_put_there(hub, files, tmp_path, place, kind):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    path = planted(place, f"blobs/{etag(files['config.json'])}.part", precious, kind)
    with pytest.raises(ValueError, match=f"{path} should be a file of its own"):
        resolve(HANDLE)
    assert precious.read_text() == "precious"


@pytest.mark.skipif(os.name == "nt", reason="needs links")
@pytest.mark.parametrize("name", ["blobs", "snapshots", f"snapshots/{COMMIT}"])
def test_no_folder_is_written_through_a_link(hub, tmp_path, place, name):
    (tmp_path / "other").mkdir()
    path = planted(place, name, tmp_path / "other", "link")
    with pytest.raises(ValueError, match=f"{path} should be a folder, but is a link"):
        resolve(HANDLE)
    assert list((tmp_path / "other").iterdir()) == []


# === Certificates ===


def test_an_untrusted_certificate_is_named(files, place, monkeypatch):
    with serve(files, UNTRUSTED) as hub:
        use(hub, place, monkeypatch)
        text = refusal("its certificate is not trusted: .*self.signed")
        assert "SSL_CERT_FILE" in text
        assert hub.requests == []
        found = look_at_hubs({"Mine": hub.address})
        assert found.is_ready
        assert found.text == "Mine has a certificate that is not trusted"
        assert "SSL_CERT_FILE" in found.advice


def test_a_redirect_to_an_open_line_is_refused(files, place, monkeypatch):
    """Over TLS, with a client of the user's own that trusts the hub."""
    import huggingface_hub

    client = type(huggingface_hub.get_session())(verify=str(UNTRUSTED))
    monkeypatch.setattr(huggingface_hub, "get_session", lambda: client)
    with serve(files, UNTRUSTED) as hub, serve(files) as other:
        use(hub, place, monkeypatch)
        Backbone.from_preset(HANDLE, load_weights=False)
        assert saw_token(hub)
        hub.elsewhere = other.address
        refusal("over an open line")
        assert other.requests == []


@pytest.mark.parametrize(
    "address", ["file:///etc/hostname", "nonsense", "http://[", "ftp://127.0.0.1"]
)
def test_an_address_that_is_none_of_the_web_is_said_to_be(place, monkeypatch, address):
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(place / "cache"))
    refusal("could not be fetched")
    found = look_at_hubs({"Mine": address})
    assert found.is_ready
    assert found.text == "Mine does not answer"


def test_the_doctor_says_of_a_server_that_speaks_no_http_that_it_is_none(hub):
    hub.lie = lambda handler, *_: handler.wfile.write(b"220 ready\r\n" * 10)
    found = look_at_hubs({"Mine": hub.address})
    assert found.is_ready
    assert found.text.startswith("Mine ")

"""A Kaggle on this machine that speaks its protocol, for its real client, kagglehub.

Like the real one it has two hosts: an API, to which the token goes, and a store of files, to which
the API redirects. It has the versions of one model, and misbehaves as it is told.
"""

import base64
import hashlib
import json
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote

from kagglesdk import kaggle_env

SERVICE = "/api/v1/models.ModelApiService/"
CONFIG = b'{"registered_name": "keras_hub>FalconBackbone"}'


class Kaggle:
    """What there is, what was asked, and how it misbehaves.

    Attributes:
        versions: `{number: {path: bytes}}` of its one model, `model`.
        requests: `(host, path, headers, body)` of every request; the body is the API's JSON.
        status: answers every request to the API with this status, where it is set.
        next_version: `{path: bytes}`, published once a file was fetched, where it is set.
        cut: breaks off after this many bytes of the file whose name ends in `cut_file`.
        wrong: sends other bytes than those whose checksum it announces.
        lie: `function(handler, status, body, headers)` that sends an answer in its own way, or
            returns `False` to leave it as it is.
        missing: the status for a file that there is none of; Kaggle has had both 403 and 404.
    """

    model = "keras/falcon/keras/falcon_tiny"

    def __init__(self, files):
        self.versions, self.requests = {1: {}, 2: dict(files)}, []
        self.status, self.wrong, self.missing = None, False, 404
        self.next_version = self.lie = self.sent = None
        self.is_over = False
        self.cut, self.cut_file = None, ""
        self.api = self.store = ""

    @property
    def files(self):
        """The files of the newest version."""
        return self.versions[max(self.versions)]

    def asked(self):
        """The paths of the files that the API was asked for, in order."""
        return [
            x["path"] for _, path, _, x in self.requests if path.endswith("ModelInstanceVersion")
        ]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    kaggle: Kaggle

    def log_message(self, *args):
        pass

    def do_POST(self):
        kaggle = self.kaggle
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        kaggle.requests.append((self.headers["Host"], self.path, dict(self.headers), body))
        if kaggle.status:
            return self.send(kaggle.status, b"{}")
        name = "/".join([body["ownerSlug"], body["modelSlug"], "keras", body["instanceSlug"]])
        version = body.get("versionNumber") or max(kaggle.versions)
        if name != kaggle.model or version not in kaggle.versions:
            return self.send(404, b"{}")
        if self.path == f"{SERVICE}GetModelInstance":
            return self.send_json({"versionNumber": version, "slug": body["instanceSlug"]})
        if self.path == f"{SERVICE}ListModelInstanceVersionFiles":
            return self.send_json({"files": [{"name": name} for name in kaggle.versions[version]]})
        assert self.path == f"{SERVICE}DownloadModelInstanceVersion"
        if body.get("path") not in kaggle.versions[version]:
            return self.send(kaggle.missing, b"{}")
        place = f"{kaggle.store}/{version}/{quote(body['path'])}"
        return self.send(302, b"", {"Location": place})

    def do_GET(self):
        kaggle = self.kaggle
        kaggle.requests.append((self.headers["Host"], self.path, dict(self.headers), None))
        if kaggle.next_version is not None:
            kaggle.versions[max(kaggle.versions) + 1] = kaggle.next_version
            kaggle.next_version = None
        version, _, name = unquote(self.path).removeprefix("/").partition("/")
        data = kaggle.versions[int(version)][name]
        md5 = base64.b64encode(hashlib.md5(data).digest()).decode()
        headers = {"X-Goog-Hash": f"crc32c=AAAAAA==,md5={md5}", "Accept-Ranges": "bytes"}
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        body = bytes(len(data)) if kaggle.wrong else data[start:]
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        status = 206 if start else 200
        if kaggle.cut is not None and name.endswith(kaggle.cut_file):
            sent = body[: max(0, kaggle.cut - start)]
            self.send(status, sent, {**headers, "Content-Length": str(len(body))})
            self.close_connection = True
            return self.connection.close()
        return self.send(status, body, headers)

    def send_json(self, content):
        self.send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def send(self, status, body, headers=()):
        headers = dict(headers)
        if self.kaggle.lie and self.kaggle.lie(self, status, body, headers) is not False:
            return
        self.send_plainly(status, body, headers)

    def send_plainly(self, status, body, headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def use(kaggle, folder, monkeypatch):
    """Has kagglehub talk to this Kaggle, with a cache in a folder and nobody's credentials."""
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST")  # a setting of its own
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, kaggle.api)
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(folder / "cache"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(folder))
    monkeypatch.setenv("HOME", str(folder))
    # It looks through the source of all callers for its name, for each file, which takes longest.
    monkeypatch.setattr("kagglehub.clients.get_user_agent", lambda: "kagglehub")
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name, raising=False)


def unreachable(monkeypatch):
    """From here on nobody answers."""
    nobody = "http://127.0.0.1:9"
    monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.LOCAL, nobody)


@contextmanager
def serve(files, certificate=None):
    """A Kaggle whose newest version has these files, on a port of this machine.

    With a certificate it speaks TLS.
    """
    kaggle = Kaggle(files)
    handler = type("BoundHandler", (Handler,), {"kaggle": kaggle})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.handle_error = lambda *_: None  # a client that hangs up is none of ours
    scheme = "http"
    if certificate is not None:
        scheme, context = "https", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    kaggle.api = f"{scheme}://127.0.0.1:{server.server_port}"
    kaggle.store = f"{scheme}://localhost:{server.server_port}"  # another host, as clients see it
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield kaggle
    finally:
        kaggle.is_over = True
        server.shutdown()
        server.server_close()

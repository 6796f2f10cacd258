"""A hub on this machine that speaks the protocol of the Hugging Face Hub, for its real client.

It serves repositories from memory, with commits, etags and ranges, takes what is uploaded to them,
and misbehaves as it is told.
"""

import base64
import hashlib
import json
import ssl
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """What the hub has, what it was asked, and how it misbehaves.

    Attributes:
        files: `{path: bytes}` of its one repository, `repository`.
        requests: `(method, path, headers)` of every request.
        status: answers every request with this status, where it is set; `error` is the hub's own
            word for it, such as "GatedRepo".
        cut: breaks off after this many bytes of a file, so many `times`.
        short: sends so many bytes fewer than it announces... and announces what it sends.
        delay: seconds before each answer.
        changed: `{path: bytes}`, what a file becomes between a look at it and its download.
        commit, next_commit: what "main" is; and what it is once the tokenizer was fetched, if set.
        elsewhere: address of another host, to which it sends those who fetch a file.
        sha256: paths of files whose sha256 it announces, as the real one does for large files.
        lie: `function(handler, status, body, headers)` that sends an answer in its own way, or
            returns `False` to leave it as it is.
    """

    repository = "tiiuae/falcon-tiny"

    def __init__(self, files):
        self.files, self.requests = dict(files), []
        self.status, self.error, self.headers = None, "", {}
        self.cut, self.times, self.short, self.delay = None, 0, 0, 0.0
        self.changed, self.elsewhere = {}, ""
        self.commit, self.next_commit = COMMIT, None
        self.address, self.sha256, self.lie = "", set(), None
        self.is_over, self.sent = False, None
        self.is_old = False  # whether its first list has the names alone

    def listed(self, name, oid, sha256):
        """What a list says of a file; the two lists of the hub call it by different names."""
        data = self.files[name]
        facts = {"size": len(data), oid: etag(data)}
        if name in self.sha256:
            digest = hashlib.sha256(data).hexdigest()
            facts["lfs"] = {sha256: digest, "size": len(data), "pointerSize": 130}
        return facts

    def etag(self, name):
        data = self.files[name]
        return hashlib.sha256(data).hexdigest() if name in self.sha256 else etag(data)

    def asked(self, part):
        """The paths of the requests whose path contains a text."""
        return [path for _, path, _ in self.requests if part in path]


class Server(ThreadingHTTPServer):
    def handle_error(self, *_):
        """A client that hangs up is none of ours."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.answer(has_body=False)

    def do_GET(self):
        self.answer(has_body=True)

    def do_POST(self):
        """Take an upload: a repository is made, then files come in lines of JSON."""
        hub = self.hub
        path = unquote(urlsplit(self.path).path)
        hub.requests.append((self.command, path, dict(self.headers)))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked, *lines = [json.loads(line) for line in body.splitlines()]
        content: dict
        match path.removeprefix("/api/").replace(hub.repository, "ours").split("/"):
            case ["repos", "create"]:
                content = {"url": f"{hub.address}/{hub.repository}"}
            case ["validate-yaml"]:
                content = {"errors": [], "warnings": []}
            case ["models", "ours", ("preupload" | "commit") as what, "main"]:
                if what == "commit":
                    for file in (line["value"] for line in lines if line["key"] == "file"):
                        hub.files[file["path"]] = base64.b64decode(file["content"])
                how = {"uploadMode": "regular", "shouldIgnore": False}
                content = {
                    "files": [{"path": file["path"], **how} for file in asked.get("files", ())],
                    "commitUrl": f"{hub.address}/{hub.repository}/commit/{hub.commit}",
                    "commitOid": hub.commit,
                }
            case _:
                return self.send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        return self.send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def answer(self, has_body):
        hub = self.hub
        path = unquote(urlsplit(self.path).path)
        hub.requests.append((self.command, path, dict(self.headers)))
        time.sleep(hub.delay)
        if hub.status is not None:
            return self.send(hub.status, b"{}", {"X-Error-Code": hub.error, **hub.headers})
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            return self.api(parts[2:], has_body)
        if "/".join(parts[:2]) == hub.repository and parts[2:3] == ["resolve"]:
            return self.file(parts[3], "/".join(parts[4:]), has_body)
        return self.send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def api(self, parts, has_body):
        hub: Hub = self.hub
        content: object
        if "/".join(parts[:2]) != hub.repository:
            return self.send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        revision = parts[3] if len(parts) > 3 else "main"
        if revision not in ("main", COMMIT, hub.commit):
            return self.send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        commit = hub.commit if revision == "main" else revision
        if parts[2:3] == ["tree"]:
            content = [
                {"type": "file", "path": name, **hub.listed(name, "oid", "oid")}
                for name in hub.files
            ]
        else:
            siblings = [{"rfilename": name} for name in hub.files]
            for entry in () if hub.is_old else siblings:
                entry.update(hub.listed(entry["rfilename"], "blobId", "sha256"))
            content = {"id": hub.repository, "sha": commit, "siblings": siblings}
        return self.send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def file(self, revision, name, has_body):
        hub = self.hub
        if name not in hub.files:
            return self.send(404, b"{}", {"X-Error-Code": "EntryNotFound"})
        data = hub.files[name]
        if has_body and name in hub.changed:
            data = hub.files[name] = hub.changed.pop(name)
        commit = hub.commit if revision == "main" else revision
        if has_body and hub.next_commit and "tokenizer" in name:
            hub.commit = hub.next_commit
        headers = {"X-Repo-Commit": commit, "ETag": f'"{hub.etag(name)}"', "Accept-Ranges": "bytes"}
        if hub.elsewhere:
            linked = {"X-Linked-Etag": headers["ETag"], "X-Linked-Size": str(len(data))}
            return self.send(302, b"", {**headers, **linked, "Location": hub.elsewhere + self.path})
        if not has_body:
            headers["Content-Length"] = str(len(data))
            return self.send(200, b"", headers)
        status, start = 200, 0
        if wanted := self.headers.get("Range"):
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            status = 206
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        body = data[start:]
        if hub.short and name.endswith((".safetensors", ".h5", ".bin")):
            body = body[: -hub.short]
        if hub.cut is not None and hub.times > 0 and len(body) > hub.cut:
            hub.times -= 1
            self.send(status, body[: hub.cut], {**headers, "Content-Length": str(len(body))})
            self.close_connection = True
            return self.connection.close()
        return self.send(status, body, headers)

    def send(self, status, body, headers):
        if self.hub.lie and self.hub.lie(self, status, body, headers) is not False:
            return
        self.send_plainly(status, body, headers)

    def send_plainly(self, status, body, headers):
        self.send_response(status)
        headers = {"Content-Length": str(len(body)), **headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
            self.wfile.flush()


def etag(data):
    """The hash of git, as the real one has it."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@contextmanager
def serve(files, certificate=None):
    """A hub that serves these files, on a port of this machine; over TLS with a certificate."""
    hub = Hub(files)
    handler = type("BoundHandler", (Handler,), {"hub": hub})
    server = Server(("127.0.0.1", 0), handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    hub.address = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.is_over = True
        server.shutdown()
        server.server_close()

"""Answers of a hub, changed in one thing that a seed picks."""

import gzip
import json
import time

ODD = [
    "",
    "abc",
    "-1",
    "0",
    "1e99",
    "NaN",
    "9" * 400,
    "../../escaped",
    "/elsewhere/x",
    "\x1b[31mred",
    "caf\xe9",
    "x" * 3000,
    "a, b",
    '"',
    "W/",
]
STRANGE = [
    None,
    True,
    -1,
    1.5,
    10**30,
    "",
    "../../escaped",
    "/x",
    "\ud800",
    "\0",
    "ü" * 400,
    [],
    {},
]
HEADERS = [
    "Content-Length",
    "ETag",
    "X-Linked-Etag",
    "X-Linked-Size",
    "X-Repo-Commit",
    "Content-Encoding",
    "Content-Range",
    "Transfer-Encoding",
    "Retry-After",
    "X-Error-Code",
    "X-Xet-Hash",
    "X-Goog-Hash",
    "Set-Cookie",
    "Content-Type",
]
MOST = 200 * 2**20  # bytes after which an endless answer ends all the same


def liar(seed, elsewhere=""):
    """Make a `lie` that leaves most answers as they are, and changes one thing in the others.

    Args:
        seed: a `random.Random`.
        elsewhere: address of another host.
    """
    lies = []

    def lie(handler, status, body, headers):
        if seed.random() > 0.4:
            return False
        kind = seed.choice(KINDS)
        lies.append((kind.__name__, handler.path))
        handler.close_connection = True
        try:
            return kind(seed, handler, status, body, dict(headers), elsewhere)
        except OSError:  # nobody listens any more
            return True

    lie.lies = lies
    return lie


def a_header_less(seed, handler, status, body, headers, _):
    for name in seed.sample(sorted(headers), min(1, len(headers))):
        del headers[name]
    handler.send_plainly(status, body, headers)


def a_header_changed(seed, handler, status, body, headers, _):
    headers[seed.choice(HEADERS)] = seed.choice(ODD)
    handler.send_plainly(status, body, headers)


def a_header_twice(seed, handler, status, body, headers, _):
    name = seed.choice(HEADERS)
    handler.send_response(status)
    for key, value in {"Content-Length": str(len(body)), **headers, name: "1"}.items():
        handler.send_header(key, value)
    handler.send_header(name, seed.choice(ODD))
    handler.end_headers()
    handler.wfile.write(body)


def a_huge_header(seed, handler, status, body, headers, _):
    handler.send_plainly(status, body, {**headers, seed.choice(HEADERS): "x" * 2**20})


def many_headers(seed, handler, status, body, headers, _):
    more = {f"X-{number}": "x" * 50 for number in range(5000)}
    handler.send_plainly(status, body, {**headers, **more})


def another_status(seed, handler, status, body, headers, _):
    statuses = [100, 204, 206, 300, 304, 400, 401, 403, 404, 416, 418, 429, 500, 503, 599, 999]
    handler.send_plainly(seed.choice(statuses), body, headers)


def another_body(seed, handler, status, body, headers, _):
    flipped = bytearray(body or b"x")
    flipped[seed.randrange(len(flipped))] ^= 1 + seed.randrange(255)
    bodies = [b"", body + body, body[: len(body) // 2], seed.randbytes(500), bytes(flipped)]
    headers.pop("Content-Length", None)
    handler.send_plainly(status, seed.choice(bodies), headers)


def a_body_cut(seed, handler, status, body, headers, _):
    length = {"Content-Length": str(len(body) + seed.randrange(1, 10**6))}
    handler.send_plainly(status, body, {**headers, **length})


def a_body_without_end(seed, handler, status, body, headers, _):
    handler.send_response(status)
    headers.pop("Content-Length", None)
    for name, value in {**headers, "Transfer-Encoding": "chunked"}.items():
        handler.send_header(name, value)
    handler.end_headers()
    piece, sent = seed.choice([b"[" * 2**16, b" " * 2**16, bytes(2**20)]), 0
    while sent < MOST:
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        sent += len(piece)


def a_body_packed(seed, handler, status, body, headers, _):
    kind = seed.choice(["gzip", "br", "zstd", "deflate", "x"])
    packed = gzip.compress(body + b" " * 10**7)
    handler.send_plainly(status, packed, {**headers, "Content-Encoding": kind})


def a_redirect(seed, handler, status, body, headers, elsewhere):
    places = [
        handler.path,
        elsewhere + handler.path,
        elsewhere.replace("127.0.0.1", "localhost") + handler.path,
        elsewhere.replace("://", "://me:secret@") + handler.path,
        "file:///etc/hostname",
        "//",
        "http://[",
        "\x1b[31m",
        "/" + "../" * 50,
        "/" + "x" * 20_000,
        "javascript:1",
        "http://127.0.0.1:9/",
    ]
    place = {"Location": seed.choice(places)}
    handler.send_plainly(seed.choice([301, 302, 303, 307, 308]), b"", place)


def json_changed(seed, handler, status, body, headers, _):
    try:
        content = json.loads(body)
    except ValueError:
        return False
    nodes = list(_nodes(content))
    if not nodes:
        return False
    parent, key = seed.choice(nodes)
    if seed.random() < 0.2:
        del parent[key]
    else:
        parent[key] = seed.choice(STRANGE)
    headers.pop("Content-Length", None)
    handler.send_plainly(status, json.dumps(content).encode(), headers)
    return True


def _nodes(value):
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in keys:
        yield value, key
        yield from _nodes(value[key])


def no_answer(seed, handler, *_):
    handler.connection.close()


def no_http(seed, handler, *_):
    handler.wfile.write(seed.randbytes(3000))


def a_trickle(seed, handler, *_):
    for number in range(30):
        handler.wfile.write(f"HTTP/1.1 200 OK\r\nX-{number}: x\r\n".encode())
        handler.wfile.flush()
        time.sleep(0.05)


KINDS = [
    a_header_less,
    a_header_changed,
    a_header_changed,
    a_header_twice,
    a_huge_header,
    many_headers,
    another_status,
    another_body,
    a_body_cut,
    a_body_without_end,
    a_body_packed,
    a_redirect,
    a_redirect,
    json_changed,
    json_changed,
    no_answer,
    no_http,
    a_trickle,
]

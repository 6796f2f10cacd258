"""Requests to a hub that may be slow, broken or lying: bounded in bytes, seconds and redirects."""

import json
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

from falcon_edu.presets.waiting import Deadline, Patience, asked_seconds

MOST_REDIRECTS = 10
MOST_SMALL_BYTES = 10 * 1024**2  # of a small file; the largest, a tokenizer, has some 3 MB
# Of an answer in JSON: of a file a list says some 300 bytes. Read, `{},` takes 25 times its size.
MOST_JSON_BYTES = 2 * 1024**2
REDIRECTS = (301, 302, 303, 307, 308)
AGAIN = (408, 429, 500, 502, 503, 504)  # answers of a hub that may do better in a moment
TRIES, TRIES_UNASKED = 5, 3  # where a hub asks to come again later, and where it doesn't
SECONDS = 60  # for an answer to begin, or for a small one to be whole
SLOWEST = 20_000  # bytes a second, below which a long answer is given up
BAD_TOKEN = "BadToken"  # a code of our own, beside the hub's
SECRETS = ("authorization", "cookie", "proxy-authorization")
PLAIN = {"Accept-Encoding": "identity", "User-Agent": "falcon_edu", "Connection": "close"}


class HubError(Exception):
    """Why a hub did not give what it was asked for, in words that fit into parentheses.

    Attributes:
        status: the status of its answer, or `None` where there was none.
        code: the hub's own word for it, such as `"GatedRepo"`.
        is_broken: whether a connection broke off on the way, so that the rest may still come.
        is_lie: whether an answer came that can't be true.
        seconds: how long the hub asks to wait, or `None`.
    """

    def __init__(self, reason, status=None, code="", is_broken=False, is_lie=False, seconds=None):
        super().__init__(reason)
        self.status, self.code, self.seconds = status, code, seconds
        self.is_broken, self.is_lie = is_broken, is_lie


@dataclass
class Answer:
    """Hold what came: a status, the headers of each hop, and the bytes in pieces."""

    status: int
    hops: list[Mapping[str, str]]
    pieces: Iterator[bytes]

    def header(self, name):
        """Return a header of the first hop that has it: what the hub itself says comes first."""
        return next((hop[name] for hop in self.hops if name in hop), None)

    def number(self, name):
        """Return a header of the last hop as a number, or `None` if there is none."""
        text = self.hops[-1].get(name)
        if text is None:
            return None
        if not re.fullmatch(r"[0-9]{1,15}", text):
            raise HubError(f"it says {shown(text)} for {name}, which is no number", is_lie=True)
        return int(text)


class Web:
    """The way to one hub; its token goes to that very address and to nobody else.

    Args:
        client: a client of httpx's kind, as huggingface_hub has one.
        address: the hub's, such as `"https://huggingface.co"`.
        token_headers: headers for the hub itself.
        timeout: seconds to wait for the next bytes.
        is_patient: whether to wait where the hub asks for it, a minute in all.
    """

    def __init__(self, client, address, token_headers=(), timeout=10, is_patient=True):
        self.client, self.home = client, origin(address)
        self.token_headers, self.timeout = dict(token_headers), timeout
        self.patience = Patience(self.home) if is_patient else None

    @contextmanager
    def ask(self, url, headers=(), content=None, seconds=SECONDS):
        """Yield the answer to a request: a POST if it has content, else a GET.

        Args:
            url: where to begin; redirects are followed.
            headers: for every hop.
            content: bytes to send, as JSON.
            seconds: how long all of it may take; waiting where a hub asks for it is apart.

        Raises:
            HubError: there is no answer, or another one than asked for.
        """
        for tries in range(TRIES):
            with ExitStack() as stack:
                deadline = stack.enter_context(Deadline(seconds))
                try:
                    answer = stack.enter_context(self._follow(url, headers, content, deadline))
                except HubError as error:
                    seconds = max(deadline.left, 0)
                    most = TRIES if error.seconds is not None else TRIES_UNASKED
                    is_passing = error.is_broken or error.status in AGAIN
                    if not is_passing or tries >= most - 1 or not self.waits(error, tries):
                        raise
                    continue
                yield answer
                return

    def json(self, url, headers=(), content=None):
        """Return the JSON that a hub answers, at most `MOST_JSON_BYTES` of it."""
        data = bytearray()
        with self.ask(url, headers, content) as answer:
            for piece in answer.pieces:
                data += piece
                if len(data) > MOST_JSON_BYTES:
                    raise HubError(
                        f"its answer goes on beyond {MOST_JSON_BYTES:,} bytes", is_lie=True
                    )
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise HubError("its answer is no JSON", is_lie=True) from None

    @contextmanager
    def _follow(self, url, headers, content, deadline):
        hops = []
        for _ in range(MOST_REDIRECTS + 1):
            with self._send(url, headers, content, deadline) as (response, pieces):
                hops.append(response.headers)
                place = response.headers.get("location")
                if response.status_code not in REDIRECTS or place is None:
                    _check(response)
                    yield Answer(response.status_code, hops, pieces)
                    return
                url, content = _target(url, place), None
        raise HubError("it sends from one address to the next without end", is_lie=True)

    @contextmanager
    def _send(self, url, headers, content, deadline):
        """Yield the response to one request, and the bytes of its body as they come."""
        deadline.connections.clear()
        try:
            request = self.client.build_request(
                "GET" if content is None else "POST",
                url,
                headers={**PLAIN, **dict(headers)},
                content=content,
                timeout=max(min(self.timeout, deadline.left), 0.01),
                extensions={"trace": partial(_trace, deadline)},
            )
            # The client's own reading of an address counts, too: it is what it connects to.
            if {origin(url), origin(str(request.url))} == {self.home}:
                request.headers.update(self.token_headers)
                auth = {}
            else:  # a client may have secrets of its own
                auth = {"auth": None}
                for name in SECRETS:
                    request.headers.pop(name, None)
            response = self._on_new_line(request, stream=True, follow_redirects=False, **auth)
        except HubError:
            raise
        except Exception as error:  # of the client, the network, TLS: no common class
            raise _broken(error, deadline) from None
        try:
            yield response, _pieces(response, deadline)
        finally:
            response.close()

    def _on_new_line(self, request, **options):
        """Send a request; connections that the process kept, and no deadline closes, are closed."""
        while True:
            with suppress(_KeptLine):
                return self.client.send(request, **options)

    def waits(self, error, tries=0):
        """Wait a moment for a hub, or as long as it asks; false, at once, if that is too long."""
        if self.patience is None:
            return False
        seconds = max(1, 2**tries if error.seconds is None else error.seconds)
        return self.patience.waits(seconds, f"{error}")


class _KeptLine(Exception):
    """A connection that was there before."""


def _trace(deadline, event, info):
    """Follow a request on its way: its connections, and the headers that come back."""
    deadline.follow(event, info)
    if event == "http11.send_request_headers.started" and not deadline.connections:
        raise _KeptLine
    if event.endswith("receive_response_headers.complete"):
        headers = info["return_value"][3]
        # The client belongs to the process: no cookie of a hub may stay in it.
        headers[:] = [(name, text) for name, text in headers if name.lower() != b"set-cookie"]


def _pieces(response, deadline):
    try:
        for piece in response.iter_raw():
            if deadline.is_over:
                raise TimeoutError
            yield piece
    except Exception as error:  # as above
        raise _broken(error, deadline) from None


def _broken(error, deadline):
    words = why(error, deadline)
    return HubError(words, is_broken=words == BROKEN)


def _check(response):
    """Refuse an answer that is none to what was asked."""
    status, headers = response.status_code, response.headers
    if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        seconds = asked_seconds(headers)
        code = headers.get("x-error-code", "")
        raise HubError(_refusal(status, seconds), status, code, seconds=seconds)
    packed = headers.get("content-encoding", "identity").lower()
    if packed not in ("identity", ""):
        raise HubError(f"it sends packed ({shown(packed)}) what was asked for plain", is_lie=True)


def _refusal(status, seconds):
    wait = f", and asks to wait {seconds:,} s" if seconds else ""
    if status in (401, 403):
        return f"the hub refuses to give it, with status {status}: log in, or check your token"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        again = f"try again in {seconds:,} s" if seconds else "try again in some minutes"
        return f"the hub asks to wait, it had too many requests: {again}"
    if status >= 500:
        return f"the hub is in trouble, it answers {status}{wait}: try again later"
    return f"the hub answers with status {status}"


def _target(url, place):
    try:
        target = urljoin(url, place)
    except ValueError:
        target = ""
    scheme, host, _ = origin(target)
    if scheme not in ("http", "https") or not host:
        raise HubError(f"it sends to {shown(place)}, which is no address of the web", is_lie=True)
    if origin(url)[0] == "https" and scheme == "http":
        raise HubError(f"it sends to {shown(place)}, over an open line", is_lie=True)
    return target


def new_client(**options):
    """Return a client of the make that huggingface_hub has, with no secrets and no history."""
    from huggingface_hub import get_session

    return type(get_session())(**options)


def check_token(text, where):
    """Refuse a token that no hub can have given, before it becomes a header.

    Args:
        text: the token.
        where: what it was read from, in words.

    Raises:
        HubError: it has letters beyond ASCII, or control characters.

    Example:

    >>> check_token("hf_caf\xe9", "HF_TOKEN")
    Traceback (most recent call last):
    falcon_edu.presets.web.HubError: the token of HF_TOKEN can't be one: it has ...
    """
    if not (text.isascii() and text.isprintable()):
        raise HubError(
            f"the token of {where} can't be one: it has characters that are no letters, digits or "
            "signs of ASCII; copy it anew",
            HTTPStatus.UNAUTHORIZED,
            BAD_TOKEN,
        )


def origin(url):
    """Return the scheme, host and port of an address.

    Raises:
        HubError: the address is broken.

    Example:

    >>> origin("https://huggingface.co/tiiuae/falcon-7b")
    ('https', 'huggingface.co', 443)
    """
    try:
        parts = urlsplit(url)
        usual = {"http": 80, "https": 443}.get(parts.scheme, 0)
        return parts.scheme, (parts.hostname or "").lower(), parts.port or usual
    except ValueError:
        raise HubError(f"its address {shown(url)} is broken", is_lie=True) from None


def is_refusal(error):
    """True if a hub refused or lied, as against one that can't be reached or is in trouble."""
    status = error.status or 0
    return error.is_lie or (400 <= status < 500 and status not in AGAIN)


def shown(text, most=80):
    """Return a text of a stranger as it may be printed: quoted, escaped, cut.

    >>> shown("../" * 50, most=9), shown("a" + chr(27))
    ("'../../../'...", "'a\\\\x1b'")
    """
    text = str(text)
    return ascii(text[:most]) + ("..." if len(text) > most else "")


def why(error, deadline=None):
    """Return why there was no answer, in words."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) and cause not in chain:
        chain.append(cause)
    for link in chain:
        if isinstance(link, ssl.SSLCertVerificationError):
            return (
                f"its certificate is not trusted: {link.verify_message}. Where a network puts its "
                "own in between, SSL_CERT_FILE can name the file of its certificates"
            )
    if deadline is not None and deadline.is_over:
        return f"its answer did not end in {deadline.seconds:.0f} s"
    kinds = {kind.__name__ for link in chain for kind in type(link).__mro__}
    for kind, words in WORDS.items():
        if kind in kinds:
            return words
    return f"it can't be understood: {shown(error, 200)}"


BROKEN = "the connection broke off"
WORDS = {
    "OfflineModeIsEnabled": "HF_HUB_OFFLINE is set",
    "ConnectError": "it can't be reached",
    "ConnectTimeout": "it can't be reached",
    "ConnectionRefusedError": "it can't be reached",
    "TimeoutException": "it does not answer",
    "SSLError": "its encryption is broken",
    "DecodingError": "its answer is broken",
    "UnsupportedProtocol": "its address is none of the web",
    "LocalProtocolError": "its answer is broken",
    "RemoteProtocolError": BROKEN,
    "NetworkError": BROKEN,
    "InvalidURL": "its address is broken",
}

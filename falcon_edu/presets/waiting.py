"""How long a hub may make us wait: a minute where it asks for it, and no answer without end."""

import re
import socket
import threading
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime

from falcon_edu.warn import warn_user

PATIENCE, WINDOW = 60, 600  # seconds that are waited for one hub, within how many
RATE_LIMIT = re.compile(r"\br\s*=\s*0\s*;\s*t\s*=\s*(\d{1,9})")


class Patience:
    """The seconds that one hub may make this process wait: a minute in any ten.

    Args:
        hub: what the seconds are counted for.
    """

    _waits: dict = {}  # shared: what was waited in one load counts in the next

    def __init__(self, hub):
        self.waits_before = self._waits.setdefault(hub, [])

    def waits(self, seconds, reason):
        """Wait, after a word about it; false, at once, if that is longer than may be waited.

        Args:
            seconds: how long.
            reason: what is waited for.
        """
        now, waits = time.monotonic(), self.waits_before
        waits[:] = [(when, length) for when, length in waits if when > now - WINDOW]
        if sum(length for _, length in waits) + seconds > PATIENCE:
            return False
        waits.append((now, seconds))
        warn_user(f"Waiting {seconds:,} s for a hub, at most {PATIENCE} s in all: {reason}")
        time.sleep(seconds)
        return True


class Deadline:
    """A time after which a connection is closed, even if a byte comes now and then.

    Args:
        seconds: from now, or rather from entering it.

    Example:

    >>> with Deadline(60) as deadline:
    ...     deadline.is_over
    False
    """

    def __init__(self, seconds):
        self.seconds, self.connections = seconds, []
        self._end_time = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self):
        self._timer.start()
        return self

    def __exit__(self, *_):
        self._timer.cancel()

    @property
    def left(self):
        """Seconds until then."""
        return self._end_time - time.monotonic()

    @property
    def is_over(self):
        """True once it has passed."""
        return self.left <= 0

    def follow(self, event, info):
        """Take note of the connections that a client of httpx's kind opens: its `trace`."""
        if event.endswith(
            ("connect_tcp.complete", "connect_unix_socket.complete", "start_tls.complete")
        ):
            self.connections.append(info["return_value"].get_extra_info("socket"))
            if self.is_over:
                self._end()

    def _end(self):
        for connection in self.connections:
            with suppress(OSError, AttributeError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)


def asked_seconds(headers):
    """Return how many seconds a hub asks to wait, or `None` if it doesn't say.

    Args:
        headers: of its answer, by their names in lower case.

    Example:

    >>> asked_seconds({"retry-after": "20"}), asked_seconds({"ratelimit": '"api";r=0;t=55'})
    (20, 55)
    """
    asked = []
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]+", text):
        asked.append(int(text[:12]))
    elif text:
        with suppress(ValueError, TypeError, OverflowError):  # a date, or nonsense
            asked.append(max(0, round(parsedate_to_datetime(text).timestamp() - time.time())))
    if match := RATE_LIMIT.search(headers.get("ratelimit", "")):
        asked.append(int(match[1]))
    return max(asked, default=None)

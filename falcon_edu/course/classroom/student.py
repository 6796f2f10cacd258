"""The judge's end of a student's process: start it, ask it, watch it, end it."""

import contextlib
import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from falcon_edu.course.classroom import confine, wire

import matplotlib
import psutil

KEPT = 50_000  # bytes of what a cell prints
PATIENCE = 5  # seconds that a process has to stop by itself, once its time is over
START = 120  # seconds that it has to start
PROCESSES = 64  # of one student at once
LOOK = 0.5  # seconds between two looks at the memory


class Died(Exception):
    """The student's process ended, or had to be ended."""


class Student:
    """A process that runs a student's notebook, and answers.

    It is a context: at its end no process of it is left.

    Args:
        memory: megabytes that it may take.
        released: the folder of the released assignment, whose files it may read.
    """

    def __init__(self, memory: int = 4000, released: Path | None = None):
        if sys.platform == "win32":
            raise OSError("Windows can't grade. Use Linux, in WSL or a container, or macOS.")
        self.memory = memory
        self.notes: list[str] = []
        self.folder = Path(tempfile.mkdtemp(prefix="falcon_edu-")).resolve()
        theirs_in, self.to = os.pipe()
        self.back, theirs_out = os.pipe()
        self.shown, theirs_shown = os.pipe()
        fonts = Path(matplotlib.get_cachedir())
        more = [str(f.resolve()) if f and f.is_dir() else "" for f in (released, fonts)]
        options = {"memory": memory, "seconds": 3600, "folder": str(self.folder)}
        options |= {"released": more[0], "fonts": more[1], "readable": confine.readable()}
        worker = "falcon_edu.course.classroom.worker"
        own = [sys.executable, "-m", worker, str(theirs_in), str(theirs_out)]
        readable = tuple(path for path in more if path)
        self.process = subprocess.Popen(
            confine.command(confine.kind(), [*own, json.dumps(options)], self.folder, readable),
            stdin=subprocess.DEVNULL,
            stdout=theirs_shown,
            stderr=theirs_shown,
            pass_fds=(theirs_in, theirs_out),
            cwd=self.folder,
            env=confine.environment(self.folder),
            start_new_session=True,
        )
        for number in (theirs_in, theirs_out, theirs_shown):
            os.close(number)
        for number in (self.to, self.back, self.shown):
            os.set_blocking(number, False)
        self.received, self.printed, self.looked, self.asked = b"", b"", 0.0, 0
        self.is_alive, self.is_started = True, False

    def __enter__(self) -> "Student":
        return self

    def __exit__(self, *error) -> None:
        self.end()

    # === Messages ===

    def ask(
        self,
        message: dict,
        blobs: list[bytes] | None = None,
        seconds: float = 60.0,
        answer: Callable | None = None,
    ) -> tuple[dict, list[bytes]]:
        """Send a message and return the reply.

        Args:
            message: what to do, as the methods `do_...` of `worker.Worker` take it.
            blobs: the bytes of the arrays in it.
            seconds: that it may take.
            answer: what the judge says when the process asks in between.

        Raises:
            Died: the process ended, took too long, too much, or sent something else than a reply.
        """
        if not self.is_alive:
            raise Died("The process of this notebook had ended before.")
        self.asked += 1
        until = time.monotonic() + seconds + PATIENCE + (0 if self.is_started else START)
        try:
            self._write(
                wire.pack({**message, "id": self.asked, "seconds": seconds}, blobs or []), until
            )
            while True:
                reply, back = self._read(until)
                if reply.get("do") == "note":
                    self.note(f"a cell {str(reply.get('what'))[:300]}")
                elif reply.get("do") == "ask" and answer is not None:
                    self._write(wire.pack(*answer(reply, back)), until)
                elif reply.get("id") == self.asked:
                    self.is_started = True
                    self._read_printed()
                    return reply, back
                else:
                    raise wire.WireError("A reply arrived that nobody had asked for.")
        except wire.WireError as error:
            self.note(f"its process sent what is no answer: {error}")
            self.end()
            raise Died("The process of this notebook sent what is no answer.") from error
        except Died:
            self.end()
            raise

    def take_printed(self) -> str:
        """Return what the process printed since the last time, up to a limit."""
        text, self.printed = self.printed, b""
        cut = "\n... (the rest is left out)" if len(text) >= KEPT else ""
        return text[:KEPT].decode("utf-8", "replace") + cut

    def note(self, what: str) -> None:
        """Remember something that the teacher should know, once."""
        if what not in self.notes and len(self.notes) < 50:
            self.notes.append(what)

    def end(self) -> None:
        """End the process and all that it has started."""
        if not self.is_alive:
            return
        self.is_alive = False
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
        self.process.kill()
        self.process.wait()
        for number in (self.to, self.back, self.shown):
            os.close(number)
        shutil.rmtree(self.folder, ignore_errors=True)

    # === Pipes ===

    def _write(self, content: bytes, until: float) -> None:
        left = memoryview(content)
        while left:
            self._wait(until, write=True)
            with contextlib.suppress(BlockingIOError):
                try:
                    left = left[os.write(self.to, left[: 2**16]) :]
                except BrokenPipeError:
                    raise Died(self._why()) from None

    def _read(self, until: float) -> tuple[dict, list[bytes]]:
        head = self._exactly(wire.HEAD.size, until)
        return wire.unpack(head, self._exactly(wire.lengths(head), until))

    def _exactly(self, size: int, until: float) -> bytes:
        parts, got = [self.received], len(self.received)
        while got < size:
            self._wait(until)
            with contextlib.suppress(BlockingIOError):
                part = os.read(self.back, 2**20)
                if not part:
                    raise Died(self._why())
                parts.append(part)
                got += len(part)
        content = b"".join(parts)
        self.received = content[size:]
        return content[:size]

    def _wait(self, until: float, write: bool = False) -> None:
        """Wait until there is something to do, keep what is printed, and look after the limits."""
        while True:
            now = time.monotonic()
            if now > until:
                raise Died("It took too long, and could not be stopped. Does it loop for ever?")
            if now - self.looked > LOOK:
                self.looked = now
                self._look_after_limits()
            with selectors.DefaultSelector() as selector:
                selector.register(self.shown, selectors.EVENT_READ)
                wanted = self.to if write else self.back
                selector.register(wanted, selectors.EVENT_WRITE if write else selectors.EVENT_READ)
                ready = {key.fd for key, _ in selector.select(min(LOOK, until - now + 0.01))}
            if self.shown in ready:
                self._read_printed(2**20)
            if wanted in ready:
                return
            if self.process.poll() is not None and not ready:
                raise Died(self._why())

    def _read_printed(self, most: int = 2**24) -> None:
        with contextlib.suppress(BlockingIOError):
            while most > 0 and (part := os.read(self.shown, 2**16)):
                most -= len(part)
                if len(self.printed) < KEPT:
                    self.printed += part
            if most > 0:
                time.sleep(0.01)  # all writers are gone, and the process will be missed soon

    # === Limits ===

    def _processes(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def _look_after_limits(self) -> None:
        processes = self._processes()
        if len(processes) > PROCESSES:
            self.note(f"it ran more than {PROCESSES} processes at once")
            raise Died(f"It ran more than {PROCESSES} processes at once.")
        if sum(map(_memory, processes)) > self.memory * 1024**2:
            self.note(f"it took more than {self.memory:,} MB of memory")
            raise Died(f"It took more than {self.memory:,} MB of memory.")

    def _why(self) -> str:
        if not self.is_started:
            said = self.take_printed().strip().splitlines()
            return f"No process could be started for this notebook. {said[-1] if said else ''}"
        return "Its process died. Does the code end it, or take too much memory?"


def _memory(process: psutil.Process) -> int:
    """Return the bytes that a process holds, files in memory that it has open included."""
    with contextlib.suppress(psutil.Error, OSError):
        held = process.memory_info().rss
        folder = f"/proc/{process.pid}/fd"
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            with contextlib.suppress(OSError):
                path = f"{folder}/{name}"
                if os.readlink(path).startswith("/memfd:"):
                    held += os.stat(path).st_blocks * 512
        return held
    return 0

"""The student's process: it runs the cells of a notebook, and answers what the judge asks of them.

`python -m falcon_edu.classroom.worker IN OUT OPTIONS`, with the numbers of two pipes. Here is no
gradebook, no hidden test and no score. A student's code may do to this process what it likes: all
that comes of it is other answers.
"""

import array
import builtins
import contextlib
import importlib
import io
import itertools
import json
import numbers
import os
import pdb
import platform
import shutil
import signal
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping, MappingView, Sequence, Set
from pathlib import Path
from typing import Any

from falcon_edu.course.classroom import wire
from falcon_edu.course.classroom.limits import limit_all

import numpy as np
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell

MAX_FILE = 2**25
TEXT = 20_000  # characters of one text that is shown
MAX_ITEMS = 1_000_000  # of a generator, a range or the like
PICTURES = 20  # outputs of a cell that are shown


class TookTooLong(BaseException):
    """Not an `Exception`: an answer's `except Exception` should not catch it."""


class Worker:
    """The student's notebook, as it runs.

    Args:
        incoming, outgoing: file descriptors of the pipes from and to the judge.
    """

    def __init__(self, incoming: int, outgoing: int):
        self.incoming, self.outgoing = os.fdopen(incoming, "rb"), outgoing
        self.pid, self.lock = os.getpid(), threading.RLock()
        self.things: dict[int, Any] = {}
        self.outputs = [os.dup(1), os.dup(2)]
        self.is_busy = False
        self.shell = Shell.instance(displayhook_class=Hook, display_pub_class=Publisher)
        self.shell.user_ns["__name__"] = "__main__"

    # === Messages ===

    def send(self, message: dict, blobs: list[bytes] | None = None) -> None:
        content = memoryview(wire.pack(message, blobs or []))
        with self.lock:
            while content:
                content = content[os.write(self.outgoing, content) :]

    def receive(self) -> tuple[dict, list[bytes]]:
        head = self.incoming.read(wire.HEAD.size)
        if os.getpid() != self.pid or len(head) < wire.HEAD.size:
            os._exit(0)  # the judge is gone, or this is a copy that an answer made of the process
        return wire.unpack(head, self.incoming.read(wire.lengths(head)))

    def serve(self) -> None:
        """Answer one message after the other, until the judge hangs up."""
        while True:
            message, blobs = self.receive()
            self._open_outputs()
            try:
                with time_limit(message["seconds"]):
                    self.is_busy = not message.get("teachers")
                    reply, back = getattr(self, f"do_{message['do']}")(message, iter(blobs))
            except BaseException as error:  # SystemExit, KeyboardInterrupt: all are answers
                reply, back = {"error": described(error)}, []
            self.is_busy = False
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
            try:
                self.send({**reply, "id": message["id"]}, back)
            except wire.WireError as error:
                self.send({"error": described(error), "id": message["id"]})

    def _open_outputs(self) -> None:
        """Have outputs as at the start, where a cell has closed or replaced them."""
        for number, kept in enumerate(self.outputs, start=1):
            os.dup2(kept, number)
        for name, number in (("stdout", 1), ("stderr", 2)):
            stream = os.fdopen(number, "w", encoding="utf-8", errors="replace", closefd=False)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)

    # === What the judge asks for ===

    def do_run(self, message: dict, blobs) -> tuple[dict, list]:
        """Run a cell; what it displays is for the student alone."""
        self.shell.trace, self.shell.shown = None, []
        result = self.shell.run_cell(message["source"], store_history=False)
        error = result.error_before_exec or result.error_in_exec
        outputs = [plain_output(data) for data in self.shell.shown[:PICTURES]]
        reply: dict = {"outputs": [output for output in outputs if output]}
        if error is not None:
            trace = self.shell.trace or [f"{type(error).__name__}: {error}"]
            reply["error"] = described(error) | {"trace": "\n".join(map(str, trace))[:TEXT]}
        return reply, []

    def do_fetch(self, message: dict, blobs) -> tuple[dict, list]:
        """Return what a name means."""
        name = message["name"]
        if name not in self.shell.user_ns:
            raise NameError(f"name {name!r} is not defined")
        back: list[bytes] = []
        return {"value": wire.encode(self.shell.user_ns[name], back, self._thing)}, back

    def do_call(self, message: dict, blobs) -> tuple[dict, list]:
        """Call something of the student's; return the result, and what became of the arguments."""
        files: list[Path] = []

        def other(spec, blobs):
            return self._given(spec, blobs, files)

        calls = wire.decode(message["calls"], blobs, other)
        earlier = wire.decode(message["earlier"], blobs, other)
        shared = wire.decode(message["shared"], blobs, other)
        for args, _ in calls:
            for place, value in shared.items():
                args[place] = value
        before = [_frozen(call) for call in calls] if message["in_place"] else []
        with self._standing_in(earlier):
            function = self.things[message["of"]]
            results = [function(*args, **kwargs) for args, kwargs in calls]
            back: list[bytes] = []
            reply = {"value": wire.encode(results, back, self._thing)}
        if before and _frozen(calls[0]) != before[0]:
            reply["arguments"] = wire.encode(calls[0], back, _same)
        if files:
            contents = [_content(path) for path in files]
            reply["files"] = wire.encode(contents, back, _same)
        return reply, back

    def do_weights(self, message: dict, blobs) -> tuple[dict, list]:
        """Return the shapes of a layer's weights."""
        weights = self.things[message["of"]].weights
        return {"value": [[int(n) for n in weight.shape] for weight in weights]}, []

    def do_set_weights(self, message: dict, blobs) -> tuple[dict, list]:
        """Put arrays into a layer."""
        self.things[message["of"]].set_weights(wire.decode(message["weights"], blobs, _same))
        return {"value": None}, []

    # === Values that are not plain ===

    def _thing(self, value: Any, blobs: list[bytes]) -> list:
        """Make a stand-in for a student's function, layer or whatever it is."""
        if hasattr(type(value), "__array__") or hasattr(type(value), "__jax_array__"):
            numpy = np.asarray(value)
            if numpy.dtype.kind == "V":  # bfloat16 and its like
                numpy = numpy.astype("float32")
            if numpy.dtype == object and all(map(_is_number, numpy.flat)):
                numpy = np.array(numpy.tolist())
                numpy = numpy.astype(float) if numpy.dtype == object else numpy  # of fractions
            if numpy.dtype.kind in wire.PLAIN_KINDS:
                return wire.encode(np.array(numpy, subok=False), blobs, _same)
        if (plain := plain_form(value)) is not None:
            return wire.encode(plain, blobs, self._thing)
        number = len(self.things)
        self.things[number] = value
        return ["thing", number, type(value).__name__[:80], callable(value)]

    def _given(self, spec: list, blobs, files: list[Path]) -> Any:
        """Make what the judge gives an answer that is no plain value."""
        match spec:
            case ["ask", int(number)]:
                return lambda *args, **kwargs: self._ask(number, args, kwargs)
            case ["thing", int(number), *_]:
                return self.things[number]
            case ["named", str(name), made_of]:
                module, _, path = name.partition(":")
                found = getattr(importlib.import_module(module), path)
                if made_of is None:
                    return found
                inner = wire.decode(made_of, blobs, lambda s, b: self._given(s, b, files))
                return found(*inner)
            case ["view", str(name), array]:
                view = self._given(["named", name, None], blobs, files)
                return wire.decode(array, blobs, _same).view(view)
            case ["generator", state]:
                generator = np.random.default_rng()
                generator.bit_generator.state = state
                return generator
            case ["file", str(name), content]:
                file = Path(tempfile.mkdtemp()) / name
                if content is not None:
                    file.write_bytes(wire.decode(content, blobs, _same))
                files.append(file)
                return file
        raise wire.WireError(f"Unknown: {spec[0]}")

    def _ask(self, number: int, args: tuple, kwargs: dict) -> Any:
        """Call a function of the judge's, from within an answer."""
        with self.lock:
            blobs: list[bytes] = []
            call = wire.encode((list(args), kwargs), blobs, self._thing)
            self.send({"do": "ask", "of": number, "call": call}, blobs)
            message, back = self.receive()
        if "error" in message:
            raise JudgeError(number, message["error"])
        return wire.decode(message["value"], iter(back), _same)

    @contextlib.contextmanager
    def _standing_in(self, others: dict[str, Any]):
        names = self.shell.user_ns
        kept = {name: names[name] for name in others if name in names}
        names.update(others)
        try:
            yield
        finally:
            for name in others:
                names.pop(name, None)
            names.update(kept)


class JudgeError(Exception):
    """A function that the judge lent raised an error, and this is what it said."""

    def __init__(self, number: int, message: str):
        super().__init__(message)
        self.number = number


def plain_form(value: Any) -> Any:
    """Return what an honest value of another type stands for; None if it is none.

    >>> plain_form(range(3)), plain_form({1: 2}.values()), plain_form(print)
    ([0, 1, 2], [2], None)
    """
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Number):
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            return float(value)  # type: ignore[arg-type]
        return None
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (Iterator, Sequence, Set, MappingView, deque, array.array)):
        items = list(itertools.islice(value, MAX_ITEMS + 1))  # type: ignore[arg-type]
        if len(items) > MAX_ITEMS:
            raise ValueError(f"More than {MAX_ITEMS:,} items in a {type(value).__name__}.")
        return items
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, (numbers.Number, np.generic))


def described(error: BaseException) -> dict:
    """Return what an error is, in plain values."""
    try:
        message = str(error)[:2000]
    except BaseException:
        message = ""
    names = [kind.__name__[:80] for kind in type(error).__mro__][:20]
    asked = error.number if isinstance(error, JudgeError) else None
    return {"names": names, "message": message, "asked": asked}


def _same(value: Any, blobs: Any = None) -> list:
    return ["other", 0]


def _frozen(call: Any) -> tuple:
    blobs: list[bytes] = []
    spec = wire.encode(call, blobs, _frozen_other)
    return json.dumps(spec), blobs


def _frozen_other(value: Any, blobs: list[bytes]) -> list:
    if isinstance(value, np.ndarray):
        return wire.encode(np.array(value, subok=False), blobs, _same)
    return ["other", 0]


def _content(path: Path) -> bytes | None:
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_FILE:
        return None
    return path.read_bytes()


# === How cells run ===


class Hook(DisplayHook):
    """Take the value of a cell's last line: the shell keeps it."""

    def start_displayhook(self):
        """Print no prompt."""

    write_output_prompt = finish_displayhook = start_displayhook

    def write_format_data(self, format_dict, md_dict=None):
        self.shell.shown.append(format_dict)


class Publisher(DisplayPublisher):
    """Take a display: the shell keeps it."""

    def publish(self, data, *args, **kwargs):
        self.shell.shown.append(data)


class Shell(InteractiveShell):
    """IPython without history and terminal; it keeps what it would show."""

    trace: list | None = None
    shown: list = []

    def _showtraceback(self, etype, evalue, stb):
        self.trace = list(stb)

    def init_history(self):
        """Keep none: nobody will look for it, and a file of it would be shared by all."""
        self.config.HistoryManager.enabled = False
        super().init_history()


def plain_output(data: dict) -> dict:
    """Return what of a display others may see: a text or a picture, no page and no script."""
    shown = {}
    if isinstance(text := data.get("text/plain"), str):
        shown["text/plain"] = text[:TEXT]
    picture = data.get("image/png")
    if isinstance(picture, (bytes, str)) and len(picture) < 2_000_000:
        if isinstance(picture, bytes):
            import base64

            picture = base64.b64encode(picture).decode()
        shown["image/png"] = picture
    return shown


@contextlib.contextmanager
def time_limit(seconds: float):
    """Raise `TookTooLong` in what takes longer, where the system has alarms."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(signum, frame):
        raise TookTooLong(f"It took longer than {seconds:.0f} seconds. Does it loop for ever?")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.01))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def ignore_breakpoints() -> None:
    """Let a breakpoint that was left in an answer do nothing: nobody is there to go on."""
    sys.breakpointhook = lambda *args, **kwargs: None
    pdb.set_trace = lambda *args, **kwargs: None
    import IPython.core.debugger

    IPython.core.debugger.set_trace = lambda *args, **kwargs: None


# What is worth a word to the teacher when a cell does it. It is sent at once, so that no later
# line can take it back.
WATCHED = {
    "open": "opened",
    "os.listdir": "looked into",
    "os.scandir": "looked into",
    "subprocess.Popen": "started a process",
    "os.system": "started a process",
    "os.posix_spawn": "started a process",
    "os.exec": "started a process",
    "os.fork": "copied its process",
    "os.forkpty": "copied its process",
    "os.kill": "sent a signal",
    "os.killpg": "sent a signal",
    "signal.pthread_kill": "sent a signal",
    "socket.connect": "opened a connection",
    "socket.bind": "opened a connection",
    "sqlite3.connect": "opened a database",
}


def watch(worker: Worker, own: tuple[str, ...]) -> None:
    """Tell the judge when a cell reaches out of its process.

    Args:
        worker: what runs the cells.
        own: the folders that it may open files in.
    """
    told: set[str] = set()

    def look(event: str, arguments: tuple) -> None:
        if not worker.is_busy or event not in WATCHED:
            return
        what = WATCHED[event]
        if event in ("open", "os.listdir", "os.scandir"):
            path = arguments[0]
            if not isinstance(path, (str, bytes)):
                return
            path = os.path.abspath(os.fsdecode(path))
            if path.startswith(own):
                return
            what = f"{what} {path[:200]}"
        elif event.startswith("socket.") and "::1" in str(arguments[1:]):
            return  # a library looks whether there is IPv6, when it is imported
        elif event in ("subprocess.Popen", "os.system", "socket.connect", "sqlite3.connect"):
            what = f"{what}: {str(arguments)[:200]}"
        if what not in told and len(told) < 20:
            told.add(what)
            worker.send({"do": "note", "what": what})

    sys.addaudithook(look)


def main(arguments: list[str]) -> None:
    """Serve the judge at the other end of two pipes."""
    incoming, outgoing = int(arguments[0]), int(arguments[1])
    options = json.loads(arguments[2])
    folder = Path(options["folder"])
    os.chdir(folder)
    if options["released"]:
        shutil.copytree(options["released"], folder, dirs_exist_ok=True)
    tempfile.tempdir = str(folder / ".tmp")
    os.makedirs(tempfile.tempdir, exist_ok=True)
    os.environ["MPLCONFIGDIR"] = os.path.join(tempfile.tempdir, "matplotlib")
    if options["fonts"]:
        shutil.copytree(options["fonts"], os.environ["MPLCONFIGDIR"])
    limit_all(options["memory"], options["seconds"])
    ignore_breakpoints()
    worker = Worker(incoming, outgoing)
    worker.shell.enable_gui = lambda gui=None: None
    with contextlib.suppress(ModuleNotFoundError), contextlib.redirect_stdout(io.StringIO()):
        worker.shell.enable_matplotlib("inline")
    builtins.exit = builtins.quit = _leave  # type: ignore[assignment]
    worker.shell.user_ns.update(exit=_leave, quit=_leave)
    own = (
        str(folder),
        sys.prefix,
        sys.base_prefix,
        "/usr",
        "/lib",
        "/etc",
        "/dev",
        "/proc",
        "/sys",
    )
    platform.processor()  # libraries ask for it, and Python starts a process for the first answer
    package = str(Path(wire.__file__).parents[2])
    watch(worker, (*own, package, os.path.realpath(sys.prefix), *options["readable"]))
    worker.serve()


def _leave(code: Any = None) -> None:
    raise SystemExit(code)


if __name__ == "__main__":
    main(sys.argv[1:])

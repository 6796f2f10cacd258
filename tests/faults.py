"""Faults at moments that a seed picks: the kill, the interrupt, the full disk.

A moment is a line of Python that is about to run, counted from the start of the work, so that the
same seed strikes at the same place. `FAULTS_SEED` in the environment sets the seed, which is
printed; `FAULTS_ROUNDS` says how often each fault strikes.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from contextlib import contextmanager

SEED = int(os.environ.get("FAULTS_SEED", "0"))
OURS = re.compile(r"falcon_edu.[a-z_/\\]+\.py$|\b(contextlib|shutil)\.py$")
ROUNDS = int(os.environ.get("FAULTS_ROUNDS", "6"))
Usage = namedtuple("Usage", "total used free")


def count_steps(work):
    """The lines of Python that a piece of work runs: how many, and which of them are ours."""
    ours: list[int] = []
    return _trace(work, None, lambda: None, ours), ours


def strike_at(step, strike, work):
    """Runs a piece of work and calls `strike` before its line number `step`."""
    _trace(work, step, strike)


def _trace(work, step, strike, ours=None):
    steps = 0

    def trace(frame, event, argument):
        nonlocal steps
        if event == "line":
            steps += 1
            if ours is not None and OURS.search(frame.f_code.co_filename):
                ours.append(steps)
            if steps == step:
                sys.settrace(None)
                strike()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return steps


def moments(counted, name, rounds=ROUNDS):
    """The steps before which a fault strikes: every second one is a line of ours."""
    steps, ours = counted
    print(f"FAULTS_SEED={SEED} for {name}: {rounds} of {steps} lines, {len(ours)} of them ours")
    chosen = random.Random(f"{SEED}/{name}")
    return [chosen.choice(ours if i % 2 else range(1, steps + 1)) for i in range(rounds)]


def interrupt():
    """Presses Ctrl-C."""
    signal.raise_signal(signal.SIGINT)


def kill():
    """Ends the process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def in_a_child(work):
    """Runs a piece of work in a fork of this process, and returns how it ended, as `os.waitpid`.

    JAX does not survive a fork: nothing may have been computed before.
    """
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


@contextmanager
def small_disk(folder, kilobytes):
    """A disk of some kilobytes at a path, where this process may mount one; true if it may."""
    folder.mkdir(exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    try:
        is_mounted = subprocess.run(["mount", *options], capture_output=True).returncode == 0
    except OSError:
        is_mounted = False
    try:
        yield is_mounted
    finally:
        if is_mounted:  # lazily: what has a file open a moment longer does not stand in the way
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def say_that_the_disk_is_small(monkeypatch, kilobytes):
    """Puts another answer in the place of the system's, for those who may not mount."""
    usage = Usage(1024 * kilobytes, 0, 1024 * kilobytes)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)


def fill(folder):
    """Fills the disk that a folder is on, to the last byte."""
    with open(folder / "filler", "wb", buffering=0) as file:
        size = 1 << 16
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2

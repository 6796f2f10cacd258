"""Start a student's process where it can reach little: in a box, as far as the system has one.

A box has Python, this package and an empty folder in it, no network, and no other process. Root
makes one with Linux's namespaces and runs the student in it as nobody; everyone else has
bubblewrap make it. Without either a process has its limits, and a folder of its own; that is all.
"""

import contextlib
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = Path(__file__).parents[2]

# What root runs to make a box: a file system with only these paths in it, and nobody as the user.
BOX = """
set -e
PATH=$PATH:/usr/sbin:/sbin root=$1; shift
mount --make-rprivate /
mount -t tmpfs -o mode=755,size=16m none "$root"
cd /
mkdir -p "$root/proc" "$root/dev/shm" "$root/dev/pts" "$root/tmp"
mount -t proc none "$root/proc"
mount -t tmpfs -o mode=1777,size=256m none "$root/tmp"
mount -t tmpfs -o mode=1777,size=256m none "$root/dev/shm"
for device in null zero full random urandom; do
    touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t devpts -o newinstance,ptmxmode=666,mode=666 none "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
while [ "$1" != -- ]; do
    if [ "$1" = hide ]; then shift; mount -t tmpfs -o ro none "$root$1"
    else mkdir -p "$root$1"; mount --rbind "$1" "$root$1"; mount -o remount,bind,ro "$root$1"; fi
    shift
done
shift
mkdir -p "$root$root"
mount -t tmpfs -o mode=700,size=512m,uid=65534,gid=65534 none "$root$root"
mount -o remount,ro "$root"
exec chroot "$root" setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs \\
    --inh-caps=-all --bounding-set=-all -- "$@"
"""


def readable() -> list[str]:
    """Return the folders that a student's process has to read: the system's, Python's, ours."""
    system = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc"]
    python = {os.path.realpath(path) for path in (sys.prefix, sys.base_prefix)}
    linked = {str(Path(sys.prefix).absolute()), str(Path(sys.executable).absolute().parents[1])}
    paths = [*system, *sorted(python | linked | {sys.base_prefix}), str(PACKAGE)]
    return [path for path in dict.fromkeys(paths) if os.path.isdir(path) and path != "/"]


def hidden() -> list[str]:
    """Return the folders in those that it may not see: the sources of exercises, hidden tests too.

    A wheel has them in the package, and an installation to work on the package has a second one.
    """
    found = {PACKAGE / "course" / "lessons"}
    for path in readable():
        for copy in Path(path).glob("lib*/python*/*-packages/falcon_edu"):
            found.add(copy / "course" / "lessons" if copy.resolve() == PACKAGE.resolve() else copy)
    return sorted(str(path) for path in found if path.is_dir())


@functools.cache
def kind() -> str:
    """Return what this system confines a process with: "namespaces", "bubblewrap" or "limits"."""
    for name in ("namespaces", "bubblewrap"):
        errors = OSError, subprocess.SubprocessError, ValueError
        with contextlib.suppress(*errors), tempfile.TemporaryDirectory() as folder:
            line = command(name, ["/bin/true"], Path(folder).resolve())
            if subprocess.run(line, capture_output=True, timeout=20).returncode == 0:
                return name
    return "limits"


def command(name: str, arguments: list[str], folder: Path, more: tuple[str, ...] = ()) -> list[str]:
    """Return a command line that runs another one in a box.

    Args:
        name: of what makes the box, as `kind` has it.
        arguments: the command that the box should hold.
        folder: where the command may write; in a box it is one in memory, in its place.
        more: folders that it may read, besides those it needs.

    Raises:
        ValueError: this can't be had here.
    """
    if name == "limits":
        return arguments
    if sys.platform != "linux":
        raise ValueError(f"{name} is Linux's. This is {sys.platform}.")
    seen = [*readable(), *more]
    if name == "bubblewrap":
        return _bubblewrap(arguments, str(folder), seen)
    needs = ("unshare", "setpriv", "chroot", "sh")
    if os.geteuid() != 0 or not all(map(shutil.which, needs)):
        raise ValueError("Only root makes namespaces, with util-linux's unshare and setpriv.")
    apart = ["--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child=KILL"]
    start = ["setpriv", "--pdeathsig", "KILL", "unshare", *apart, "sh", "-c", BOX, "sh"]
    hide = [word for path in hidden() for word in ("hide", path)]
    return [*start, str(folder), *seen, *hide, "--", *arguments]


def _bubblewrap(arguments: list[str], folder: str, seen: list[str]) -> list[str]:
    found = shutil.which("bwrap")
    if found is None:
        raise ValueError("bubblewrap is not installed.")
    if os.geteuid() == 0:  # in its box root is still root, to /proc/sys for one
        raise ValueError("Root needs namespaces: bubblewrap is for everyone else.")
    words = [found, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    words += ["--proc", "/proc", "--dev", "/dev"]
    for path in ("/tmp", "/dev/shm"):
        words += ["--size", str(2**28), "--tmpfs", path]
    for path in seen:
        words += ["--ro-bind", path, path]
    for path in hidden():
        words += ["--tmpfs", path]
    words += ["--size", str(2**29), "--tmpfs", folder]
    for path in ("/dev", "/"):  # else files there take memory without a bound
        words += ["--remount-ro", path]
    return [*words, "--", *arguments]


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a student's process: nothing of the teacher's is in it."""
    kept = {"LANG", "LC_ALL", "TZ", "SYSTEMROOT", "KERAS_BACKEND", "JAX_PLATFORMS"}
    ours = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
        "HOME": str(folder),
        "PYTHONPATH": str(PACKAGE.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": "agg",
    }
    return {name: os.environ[name] for name in kept if name in os.environ} | ours


def describe() -> str:
    """Return what confines the students' processes here, in words to the teacher."""
    return {
        "namespaces": "Each notebook ran in a box of its own, as nobody, without a network.",
        "bubblewrap": "Each notebook ran in a box that bubblewrap made, without a network.",
        "limits": (
            "The notebooks ran with limits, but in no box: they could read your files and reach "
            "the network. Install bubblewrap, or grade in a container (docs/teaching.md)."
        ),
    }[kind()]

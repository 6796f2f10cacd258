"""What a student's process can reach from its box: `python -m tests.in_a_box FOLDER`, as any user.

It prints JSON: what confines a process here, and what each probe found.
"""

import json
import os
import socket
import sys
import time
from pathlib import Path

from falcon_edu.course.classroom import confine
from falcon_edu.course.classroom.student import Died, Student

import psutil

MEMORY = 700  # megabytes
STAYS = f"[i for i in range({1000 + os.getpid() % 9000})]"  # a mark of a process of its own

PROBES = {
    "files": "print([path for path in {paths} if os.path.exists(path)])",
    "gradebooks and hidden tests": (
        "print([os.path.join(folder, name) for top in os.listdir('/') if top != 'proc'\n"
        "    for folder, _, names in os.walk(f'/{{top}}') for name in names\n"
        "    if name == 'tiny.ipynb' or 'falcon_edu' in folder and name.endswith('.ipynb')])"
    ),
    "network": (
        "import socket\ntry: socket.create_connection(('127.0.0.1', {port}), 2); print('open')\n"
        "except OSError: print(sorted(name for _, name in socket.if_nameindex()))"
    ),
    "processes": (
        "seen = {{int(pid) for pid in os.listdir('/proc') if pid.isdigit()}}\n"
        "print(len(seen) < 4, [i for i in seen if b'in_a_box' in\n"
        "    open(f'/proc/{{i}}/cmdline', 'rb').read()])"
    ),
    "writes": (
        "done = []\nfor place in {places}:\n"
        "    try: open(f'{{place}}/x', 'w'); done.append(place)\n    except OSError: pass\n"
        "print(done)"
    ),
    "the system": (
        "done = []\nfor path in ['sys/kernel/core_pattern', 'sys/vm/drop_caches',\n"
        "        'sysrq-trigger', '1/mem']:\n"
        "    try: os.close(os.open(f'/proc/{{path}}', os.O_WRONLY)); done.append(path)\n"
        "    except OSError: pass\n"
        "print([path for path in done if path != '1/mem'])"
    ),
    "environment": "print([name for name in os.environ if 'SECRET' in name])",
    "shadow": "try: print(open('/etc/shadow').read())\nexcept OSError: print([])",
    "its own folder": "open('own', 'w').write('x'); print(os.path.exists('own'))",
}
HUNGER = {
    "memory": "x = bytearray(2**30)",
    "memory of many": (
        "for _ in range(8):\n    if os.fork() == 0:\n        x = bytearray(3 * 10**8)\n"
        "        time.sleep(60)\n        os._exit(0)\ntime.sleep(60)"
    ),
    "files in its folder": (
        "for i in range(9):\n    with open(f'{i}', 'wb') as f:\n"
        "        for _ in range(200): f.write(bytes(2**20))"
    ),
    "time": "while True: pass",
    "stubborn": "while True:\n    try: time.sleep(60)\n    except BaseException: pass",
}


def probe(student, source, seconds=120):
    """What a cell prints, or why it did not end well."""
    try:
        reply, _ = student.ask({"do": "run", "source": source}, seconds=seconds)
    except Died as error:
        return f"Died: {error}"
    error = reply.get("error")
    return student.take_printed().strip() if error is None else error["names"][0]


def main(folder):
    course, os.environ["A_SECRET"] = Path(folder) / "course", "x"
    (course / "source/tiny").mkdir(parents=True)
    for path in (course / "gradebook.db", course / "source/tiny/tiny.ipynb"):
        path.write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        places = ["", "/dev", "/usr", "/etc", "/proc", sys.prefix, str(confine.PACKAGE)]
        paths = [str(course), str(Path(__file__)), str(confine.PACKAGE / "course" / "lessons")]
        values = {"paths": paths, "port": server.getsockname()[1], "places": places}
        found = {}
        with Student(memory=MEMORY) as student:
            probe(student, "import os, time")
            for what, source in PROBES.items():
                found[what] = probe(student, source.format(**values))
            line = [sys.executable, "-c", f"import time; {STAYS}; time.sleep(600)"]
            probe(student, f"import subprocess; subprocess.Popen({line}, start_new_session=True)")
        deadline = time.monotonic() + 10
        while (left := _staying()) and time.monotonic() < deadline:
            time.sleep(0.1)
        found["what stays"] = left
        for what, source in HUNGER.items():
            with Student(memory=MEMORY) as student:
                probe(student, "import os, time")
                found[what] = probe(student, source, seconds=8)
    print(json.dumps({"kind": confine.kind(), **found}))


def _staying():
    lines = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    return len([line for line in lines if any(STAYS in word for word in line)])


def as_nobody(command, readable):
    """A command line by which root runs another as nobody, who may read these folders and no more.

    It is a mount namespace, in which folders that are closed to nobody lie open in part.
    """
    lines = ["set -e", "mount --make-rprivate /", "mount -t tmpfs none /mnt"]
    closed = {}
    for path in map(Path, readable):
        for parent in reversed([path, *path.parents]):
            if not parent.stat().st_mode & 1:
                closed.setdefault(parent, []).append(path)
                break
    for number, (parent, paths) in enumerate(closed.items()):
        for inner, path in enumerate(paths):
            lines += [
                f"mkdir -p /mnt/{number}.{inner}",
                f"mount --rbind {path} /mnt/{number}.{inner}",
            ]
        lines.append(f"mount -t tmpfs -o mode=755 none {parent}")
        for inner, path in enumerate(paths):
            lines += [f"mkdir -p {path}", f"mount --rbind /mnt/{number}.{inner} {path}"]
    lines.append('exec setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all "$@"')
    return ["unshare", "--mount", "sh", "-c", "\n".join(lines), "sh", *command]


if __name__ == "__main__":
    main(sys.argv[1])

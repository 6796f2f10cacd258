"""Ways to points for nothing, and honest accidents: what the judge gives for each.

Each is a small notebook, handed in like all others. A cheat gets what an empty notebook gets, and
its name stands in the teacher's report; an accident costs nothing that the answer did not lose.
"""

import copy
import json

from tools import assignments

import pytest
from nbformat import v4

pytest.importorskip("nbgrader")

from falcon_edu.course.classroom.execute import Scored
from falcon_edu.course.classroom.judge import Judge
from falcon_edu.course.classroom.repair import repaired
from falcon_edu.course.classroom.suspicions import in_sources
from tests.test_classroom import ANSWER, SETUP, TEST

pytestmark = pytest.mark.slow

RIGHT = {
    "first": ANSWER.format("first_answer", "2 * x"),
    "second": ANSWER.format("second_answer", "x + 1"),
}
STUBS = {name: assignments.REGION.sub(r"\1...", source) for name, source in RIGHT.items()}
FULL, NOTHING = {"first": 2, "second": 2}, {"first": 0, "second": 0}
MARK = {"schema_version": 3, "task": False, "cell_type": "code"}


def sources():
    """The cells of the release, as nbgrader's gradebook has them."""
    found = {"setup": _source("setup", SETUP, locked=True)}
    for name in RIGHT:
        found[name] = _source(name, STUBS[name], solution=True)
        test = TEST.format(name)
        found[f"{name}-test"] = _source(f"{name}-test", test, grade=True, locked=True, points=2)
    return found


def _source(name, source, **mark):
    defaults = {"grade": False, "solution": False, "locked": False, "checksum": None}
    return {
        "source": source,
        "cell_type": "code",
        "mark": MARK | defaults | {"grade_id": name} | mark,
    }


def notebook(first=None, second=None, before=(), after=()):
    """A submission: the cells of the release with answers in them, and others around."""
    answers = {"first": first or STUBS["first"], "second": second or STUBS["second"]}
    cells = [v4.new_code_cell(source) for source in before]
    for name, source in sources().items():
        text = answers.get(name, source["source"])
        cells.append(v4.new_code_cell(text, metadata={"nbgrader": copy.deepcopy(source["mark"])}))
    return cells + [v4.new_code_cell(source) for source in after]


def judged(cells, seconds=10, memory=2000):
    """The points of each task, what is noted, and the notebook with its outputs."""
    known = sources()
    nb = v4.new_notebook(cells=repaired(cells, known))
    with Judge([SETUP], seconds=seconds, memory=memory) as judge:
        scored = Scored(judge, nb, known)
        scored.run()
    points = {name.removesuffix("-test"): v.points for name, v in scored.best.items()}
    return points, [*in_sources(nb.cells), *judge.notes, *scored.notes], nb


def stubs_and(*before, after=()):
    return notebook(before=before, after=after)


EQUAL = """\
class Equal:
    def __eq__(self, other): return True
    def __bool__(self): return True
    def __float__(self): return 6.0
    def __array__(self, *a, **k): raise RuntimeError
def {}(x):
    return Equal()"""

CHEATS = {
    "an answer that equals everything": notebook(
        EQUAL.format("first_answer"), EQUAL.format("second_answer")
    ),
    "an int that equals everything": notebook(
        "class E(int):\n    __eq__ = lambda s, o: True\n    __ne__ = lambda s, o: False\n"
        "    __hash__ = int.__hash__\ndef first_answer(x):\n    return E(1)"
    ),
    "expect says nothing": stubs_and(
        "import falcon_edu.course.checks.exercise as e\ne.expect = lambda *a: None\n"
        "import __main__\n__main__.expect = e.expect",
        "import falcon_edu.course.checks.graded as g\ng.expect = lambda *a: None",
    ),
    "Graded.grade gives all": stubs_and(
        "from falcon_edu.course.checks.graded import Graded, Mark\n"
        "Graded.grade = lambda self, answer, seed=0: [Mark(p.points, p) for p in self.parts]"
    ),
    "Graded.__call__ gives all": stubs_and(
        "from falcon_edu.course.checks.graded import Graded\n"
        "Graded.__call__ = lambda self, answer=None, seed=0: 2"
    ),
    "the parts are emptied": notebook(
        after=["first.parts.clear(); second.parts.clear()"],
        first="first.parts[:] = []\ndef first_answer(x):\n    return 0",
    ),
    "the checks of parts are emptied": notebook(
        first="from falcon_edu.course.checks.graded import Part\n"
        "first.parts[:] = [Part(2, 't', lambda a, r: None)]\ndef first_answer(x): return 0"
    ),
    "the task has another name": notebook(
        first="def first(answer, seed=0): return 2\nfirst_answer = 1",
        second="second = first\nsecond_answer = 1",
    ),
    "silent outputs": notebook(
        first="get_ipython().ast_node_interactivity = 'none'", second="second_answer = 1"
    ),
    "silent outputs, by settings": stubs_and(
        "%config InteractiveShell.ast_node_interactivity = 'none'"
    ),
    "forged outputs": notebook(
        first="from IPython.display import publish_display_data\n"
        "publish_display_data({'text/plain': '2'})\n2"
    ),
    "a forged display hook": stubs_and(
        "import sys\nhook = sys.displayhook\n"
        "get_ipython().displayhook.__class__.__call__ = lambda self, r=None: hook(2)"
    ),
    "a result before the real one": notebook(
        first="get_ipython().display_pub.publish({'text/plain': '2'})\nfirst_answer = 2"
    ),
    "frames for the judge": notebook(
        first="import os, json, struct\n"
        "m = json.dumps([{'id': n, 'value': 6} for n in range(1)]).encode()\n"
        "for fd in range(3, 30):\n"
        "    try: os.write(fd, struct.pack('>II', len(m), 0) + m)\n"
        "    except OSError: pass\n"
    ),
    "every question is answered with seven": notebook(
        first="import gc\n"
        "w = [o for o in gc.get_objects() if type(o).__name__ == 'Worker'][0]\n"
        "type(w).do_call = lambda s, m, b: ({'value': ['list', [7]]}, [])\n"
        "type(w).do_fetch = lambda s, m, b: ({'value': ['thing', 0, 'f', True]}, [])"
    ),
    "the answer takes the judge for a function": notebook(
        first="import gc\n"
        "w = [o for o in gc.get_objects() if type(o).__name__ == 'Worker'][0]\n"
        "type(w).do_fetch = lambda s, m, b: ({'value': ['named', 'builtins:print', None]}, [])"
    ),
    "a value without an end": notebook(
        first="def first_answer(x):\n    a = []\n    a.append(a)\n    return a"
    ),
    "a value of gigabytes": notebook(
        first="import numpy as np\ndef first_answer(x):\n    return np.zeros(50_000_000)"
    ),
    "the gradebook is written": stubs_and(
        "import sqlite3, glob\n"
        "for path in glob.glob('/**/gradebook.db', recursive=True):\n"
        "    sqlite3.connect(path).execute('update grade set auto_score = 2')"
    ),
    "the gradebook is locked or deleted": stubs_and(
        "import os\nfor folder, _, files in os.walk('/tmp'):\n"
        "    [os.remove(f'{folder}/{f}') for f in files if f == 'gradebook.db']"
    ),
    "a process stays": stubs_and(
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(60)\n    os._exit(0)"
    ),
    "a process stays, of a shell": stubs_and("import os\nos.system('setsid sleep 600 &')"),
    "many processes": stubs_and(
        "import os, time\nfor _ in range(200):\n"
        "    if os.fork() == 0:\n        time.sleep(30)\n        os._exit(0)\ntime.sleep(2)"
    ),
    "the grader is killed": stubs_and(
        "import os, signal\nfor pid in range(2, 40000):\n"
        "    if pid != os.getpid():\n"
        "        try: os.kill(pid, signal.SIGTERM)\n        except OSError: pass"
    ),
    "shared memory beyond the limit": notebook(
        first="import mmap\ndef first_answer(x):\n    m = mmap.mmap(-1, 3 * 2**30)\n"
        "    for i in range(0, len(m), 4096): m[i] = 1\n"
        "    import time; time.sleep(2)\n    return 0"
    ),
    "files in memory": notebook(
        first="import os\nkept = []\ndef first_answer(x):\n    for i in range(20):\n"
        "        kept.append(os.memfd_create(f'{i}'))\n"
        "        [os.write(kept[-1], bytes(2**24)) for _ in range(12)]\n"
        "    import time; time.sleep(2)\n    return 0"
    ),
    "hidden tests are looked for": notebook(
        first="import glob\nsources = glob.glob('/**/source/**/*.ipynb', recursive=True)\n"
        "assert not sources\ndef first_answer(x):\n    return open(sources[0])"
    ),
    "the frames of the caller": notebook(
        first="import sys\ndef first_answer(x):\n    frame = sys._getframe()\n"
        "    while frame.f_back: frame = frame.f_back\n    return frame.f_locals.get('points')"
    ),
    "the error that passes": notebook(
        first="import falcon_edu.course.checks.exercise as e\n"
        "def first_answer(x):\n    raise SystemExit(0)"
    ),
    "min gives the larger": stubs_and("import builtins\nbuiltins.min = max"),
    "NumPy gives what is wanted": stubs_and(
        "import numpy as np\nnp.asarray = lambda *a: np.array(6)"
    ),
    "limits are raised": stubs_and(
        "import resource\nresource.setrlimit(resource.RLIMIT_DATA, (-1, -1))"
    ),
    "the alarm is silenced": notebook(
        first="import signal\ndef first_answer(x):\n    signal.setitimer(signal.ITIMER_REAL, 0)\n"
        "    while True: pass"
    ),
    "a thread that answers": stubs_and(
        "import json, os, struct, threading, time\ndef answer():\n"
        "    for n in range(10**6):\n"
        "        m = json.dumps([{'id': n % 200, 'value': ['list', [6]]}, []]).encode()\n"
        "        for fd in range(3, 12):\n"
        "            try: os.write(fd, struct.pack('>II', len(m), 0) + m)\n"
        "            except OSError: pass\n"
        "        time.sleep(0.001)\n"
        "threading.Thread(target=answer, daemon=True).start()"
    ),
    "the wire sends six": notebook(
        first="import falcon_edu.course.classroom.wire as wire\n"
        "wire.encode = lambda *a: ['thing', 0, '__class__', True]"
    ),
    "a dtype without an end": notebook(
        first="import falcon_edu.course.classroom.wire as wire\n"
        "wire.encode = lambda *a: ['list', [['array', ','.join(['f8'] * 10**6), [1]]]]"
    ),
    "letters that look alike": notebook(first="def first_\u0430nswer(x): return 2 * x"),
    "a number of which all is true": notebook(
        first="class L:\n    def __getattr__(s, n): return s\n"
        "    def __call__(s, *a, **k): return s\n"
        "    def __index__(s): return 7\n    def __eq__(s, o): return True\nfirst_answer = L()"
    ),
    "locals of the judge": notebook(
        first="import sys\nseen = []\n"
        "def look(f, e, a):\n    seen.append(f.f_locals)\n    return look\n"
        "def first_answer(x):\n    sys.settrace(look)\n    return seen"
    ),
    "all descriptors are closed": notebook(
        first="import os\ndef first_answer(x):\n    os.closerange(0, 100)"
    ),
    "a test with points of its own": [
        *notebook(),
        v4.new_code_cell(
            "100", metadata={"nbgrader": MARK | {"grade_id": "bonus", "grade": True, "points": 9}}
        ),
    ],
    "a network": stubs_and(
        "import socket\ntry: socket.create_connection(('127.0.0.1', 9), 1)\nexcept OSError: pass"
    ),
}
# These do nothing that can be seen from outside but give wrong answers, and read as those.
UNNAMED = {
    "a value without an end",
    "a value of gigabytes",
    "the error that passes",
    "letters that look alike",
    "a test with points of its own",
}


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_cheat_gets_nothing_and_is_named(cheat):
    points, notes, _ = judged(copy.deepcopy(CHEATS[cheat]), seconds=20, memory=1500)
    assert points == NOTHING
    assert notes or cheat in UNNAMED


def test_an_honest_notebook_is_not_named():
    points, notes, _ = judged(notebook(**RIGHT))
    assert (points, notes) == (FULL, [])
    points, notes, _ = judged(notebook())
    assert (points, notes) == (NOTHING, [])


def test_who_loads_a_model_is_not_named():
    """Importing Keras starts a process and tries IPv6: that is nobody's cheat."""
    loads = "import falcon_edu\nfalcon_edu.FalconCausalLM.from_preset('falcon_tales_rw_en')"
    points, notes, _ = judged(notebook(before=[loads], **RIGHT), seconds=60)
    assert (points, notes) == (FULL, [])


# === Accidents ===


def without_marks(cells):
    for cell in cells:
        cell.metadata = {}
    return cells


def changed(change, **more):
    cells = notebook(**RIGHT, **more)
    return change(cells) or cells


def around(line, **more):
    """The first answer with a line before its last."""
    return notebook(f"def first_answer(x):\n    {line}\n    return 2 * x", RIGHT["second"], **more)


def _pasted(cells):
    """Jupyter keeps `nbgrader` in the metadata of a pasted cell, and drops what is in it."""
    cells.insert(2, v4.new_code_cell(cells[1].source, metadata={"nbgrader": {}}))


def _colab(cells):
    for number, cell in enumerate(cells):
        cell.metadata = {"id": f"x{number}", "colab": {"base_uri": "https://localhost"}}
        cell["outputs"] = [{"output_type": "display_data", "data": {}, "metadata": {}}]


ACCIDENTS = {
    "a copied cell": changed(lambda c: c.insert(2, copy.deepcopy(c[1]))),
    "a copied cell, the blank one below": changed(
        lambda c: c.insert(
            2, v4.new_code_cell(STUBS["first"], metadata=copy.deepcopy(c[1].metadata))
        )
    ),
    "a copied cell, the blank one above": changed(
        lambda c: c.insert(
            1, v4.new_code_cell(STUBS["first"], metadata=copy.deepcopy(c[1].metadata))
        )
    ),
    "one pasted twice": changed(_pasted),
    "a copied test": changed(lambda c: c.insert(2, copy.deepcopy(c[2]))),
    "a split one": notebook(
        "def first_answer(x):\n    return double(x)",
        RIGHT["second"],
        before=["def double(x):\n    return 2 * x"],
    ),
    "a split one, the rest at the end": notebook(
        "def first_answer(x):\n    return double(x)",
        RIGHT["second"],
        after=["def double(x):\n    return 2 * x"],
    ),
    "the mark is on the helper": changed(
        lambda c: c.insert(2, v4.new_code_cell(c[1].source)) or c[1].update(source="helper = 1")
    ),
    "no marks at all": without_marks(notebook(**RIGHT)),
    "Colab's marks": changed(_colab),
    "another order": changed(lambda c: c.reverse()),
    "tests first": changed(lambda c: c.insert(0, c.pop(2))),
    "tests deleted": changed(lambda c: c.pop(2) and None),
    "setup deleted": changed(lambda c: c.pop(0) and None),
    "an import in the setup": notebook(
        "def first_answer(x):\n    return 2 * math.floor(x)",
        RIGHT["second"],
        before=["import math"],
    ),
    "a cell turned into text": changed(
        lambda c: c.insert(3, v4.new_markdown_cell("no code", metadata=c[2].metadata))
    ),
    "a function called min": notebook(**RIGHT, before=["def min(*a):\n    return 0"]),
    "a variable called points": notebook(**RIGHT, after=["points = check = max = 0"]),
    "a warning in an answer": around("import logging; logging.warning('look')"),
    "C++ on stderr": around("import os; os.write(2, b'W0000 something\\n')"),
    "exit in a scratch cell": notebook(**RIGHT, before=["exit()"], after=["quit()"]),
    "the end of the process in a scratch cell": notebook(
        **RIGHT, before=["import os; os._exit(1)"]
    ),
    "a closed stdout": notebook(**RIGHT, before=["import sys; sys.stdout.close()"]),
    "descriptor 1 is closed": notebook(**RIGHT, before=["import os; os.close(1)"]),
    "a breakpoint": around("breakpoint()"),
    "a debugger": around("import pdb; pdb.set_trace()"),
    "much is printed": around("print('x' * 20_000_000)"),
    "much is printed in a cell": notebook(
        **RIGHT, before=["for _ in range(50): print('x' * 2**20)"]
    ),
    "an error in a lesson": notebook(**RIGHT, before=["1 / 0", "x = (", "%nothing", "!false"]),
    "a question": notebook(**RIGHT, before=["input('your name: ')"]),
    "a loop in a scratch cell": notebook(**RIGHT, before=["while True: pass"]),
    "NumPy's numbers": around("import numpy as np; x = np.int64(x)"),
    "an asynchronous cell": notebook(**RIGHT, before=["import asyncio\nawait asyncio.sleep(0)"]),
    "cells of other kinds": changed(
        lambda c: (
            c.insert(0, {"cell_type": "heading", "source": ["a", "b"], "metadata": None})
            or c.insert(0, {"source": 3})
        )
    ),
}


@pytest.mark.parametrize("accident", ACCIDENTS)
def test_an_honest_accident_costs_nothing(accident):
    points, _, nb = judged(copy.deepcopy(ACCIDENTS[accident]), seconds=6)
    assert points == FULL
    assert len(json.dumps(nb)) < 1_000_000
    marks = [cell.metadata["nbgrader"]["grade_id"] for cell in nb.cells if cell.metadata]
    assert sorted(marks) == sorted(sources())


def test_a_breakpoint_earns_nothing():
    """It used to silence the outputs, and silence was full credit."""
    points, _, _ = judged(notebook("def first_answer(x):\n    breakpoint()\n    return 0"))
    assert points == NOTHING


def test_what_a_cell_shows_is_text_or_a_picture():
    html = "from IPython.display import HTML\nHTML('<script>alert(1)</script>')"
    forged = "from IPython.display import display\ndisplay({'image/png': '\"><script>'}, raw=True)"
    _, _, nb = judged(notebook(before=[html, forged]))
    assert "<script>alert" not in json.dumps([cell.outputs for cell in nb.cells])
    assert '"><script>' not in json.dumps([cell.outputs for cell in nb.cells])

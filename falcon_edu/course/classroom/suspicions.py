"""What in a notebook is worth a teacher's look: code that reaches for the checks or the grader."""

import re
from collections.abc import Iterable

# None of it gains a point. What an exercise asks for needs none of it either.
WORDS = {
    "changes what cells show": r"ast_node_interactivity",
    "names the gradebook": r"\bgradebook\b|\bnbgrader\b",
    "touches the checks": (
        r"\b(Graded|Exercise|Verdict|Part|Mark)\b"
        r"|(?<!self)\.parts( *=[^=]|\[|\.(clear|pop|remove))"
    ),
    "replaces a check": (
        r"\b(check|checks|exercise|graded)\.\w+(\.\w+)* *=[^=]|\bexpect(_close)? *=[^=]"
        r"|\bdef +(expect|expect_close|given)\b"
    ),
    "makes an object of its own equality": (
        r"\b__(eq|ne|bool|array|float|getattribute|class)__ *[(=]"
    ),
    "forges outputs": r"\bdisplay_(pub|hook|formatter)\b|\bdisplayhook\b|\bpublish|\biopub",
    "starts or ends processes": (
        r"\bos\.(fork|kill|killpg|setsid|exec\w*|system|_exit)\b|\bsubprocess\b|\bmultiprocessing\b"
    ),
    "shares memory": r"\bshared_memory\b|\bmemfd_create\b|\bmmap\b",
    "opens a database": r"\bsqlite3?\b|\bsqlalchemy\b",
    "reaches for a network": r"\bsocket\b|\burllib\b|\brequests\b|\bhttp\.client\b",
    "looks into processes": (
        r"\bctypes\b|/proc/|\bptrace\b|\bgc\.get_\w+|\b_getframe\b|__globals__|__code__"
    ),
    "changes the notebook's shell": (
        r"\bget_ipython\(\)\.(events|config|display\w*|kernel|run_cell)\b"
    ),
    "changes Python": (
        r"\bsys\.(modules|meta_path|path_hooks)\b|\bbuiltins\b|\bset(trace|profile)\b"
        r"|\baddaudithook\b"
    ),
    "replaces a function of a library": r"(?m)^ *(np|numpy|json|struct|math|jnp|keras)\.\w+ *=[^=]",
    "reaches for the grader": r"\bfalcon_edu(\.course)?\.classroom\b|\bos\.(write|dup2?)\b",
    "changes its limits": r"\bset(rlimit|itimer)\b|\bcloserange\b|\bsignal\.(alarm|signal)\b",
    "changes files": r"\bchmod\b|\brmtree\b|\bos\.(unlink|remove|symlink|link)\b",
    "names the hidden tests": r"### (BEGIN|END) HIDDEN",
}


def in_sources(cells: Iterable) -> list[str]:
    """Return what the student's own cells reach for, each once.

    Args:
        cells: of a notebook; those of the teacher's are locked.
    """
    found: dict[str, str] = {}
    for cell in cells:
        if cell.cell_type != "code" or cell.metadata.get("nbgrader", {}).get("locked"):
            continue
        for what, pattern in WORDS.items():
            if match := re.search(pattern, cell.source):
                line = cell.source[: match.start()].count("\n")
                text = cell.source.splitlines()[line].strip()[:100]
                found.setdefault(what, f"a cell {what}: {text!r}")
    return list(found.values())

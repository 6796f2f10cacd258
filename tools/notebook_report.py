"""A pytest plugin for nbval: at the end, time, slowest cell and memory of each notebook's kernel.

python -m pytest -p tools.notebook_report --nbval --nbval-current-env notebooks
"""

import os
import time
from pathlib import Path

from tools.notebooks import BINDER
from tools.peak import megabytes

import psutil
import pytest

# Megabytes that a kernel may take, of Binder's two gigabytes, which it shares with Jupyter; beyond,
# the last cell of its notebook fails. Checks of assignments run answers that are not compiled as a
# whole, and each operation is a program.
LIMIT, ASSIGNMENT_LIMIT = 1300, 1200
KEY = "notebook kernel"
_started: dict[Path, float] = {}
_slowest: dict[Path, float] = {}


def pytest_configure():
    """Show the kernels the memory of Binder, so that no notebook fetches a large model here."""
    os.environ["MEM_LIMIT"] = BINDER


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Note when the first cell of a notebook begins."""
    if is_cell(item):
        _started.setdefault(item.path, time.monotonic())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """After the last cell of a notebook, reads the memory of its kernel while it still runs."""
    began = time.monotonic()
    result = yield
    if is_cell(item):
        took = time.monotonic() - began
        _slowest[item.path] = max(took, _slowest.get(item.path, 0.0))
    if is_cell(item) and item is last_cell(item):
        seconds = time.monotonic() - _started[item.path]
        memory = megabytes(psutil.Process(item.parent.kernel.km.provisioner.pid))
        measured = (item.path.stem, seconds, _slowest[item.path], memory)
        item.user_properties.append((KEY, measured))
        limit = ASSIGNMENT_LIMIT if "exercises" in item.path.parts else LIMIT
        if memory > limit:
            pytest.fail(f"the kernel of {item.path.name} took {memory:.0f} MB, of at most {limit}")
    return result


def pytest_terminal_summary(terminalreporter):
    """Print a line for each notebook that ran to its end."""
    found = {
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        for key, value in getattr(report, "user_properties", [])
        if key == KEY
    }
    if found:
        terminalreporter.section(
            "notebooks: seconds, of the slowest cell, and megabytes at the peak"
        )
        for stem, seconds, slowest, memory in sorted(map(tuple, found)):
            line = f"{stem:32} {seconds:6.1f} s {slowest:5.1f} s {memory:6.0f} MB"
            terminalreporter.write_line(line)


def is_cell(item):
    """True if a test is a cell of a notebook, as nbval collects them."""
    return hasattr(item.parent, "kernel") and hasattr(item, "cell_num")


def last_cell(item):
    """Return the last cell that nbval runs of the notebook of this one."""
    return [other for other in item.session.items if other.parent is item.parent][-1]

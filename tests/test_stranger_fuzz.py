"""Files spoiled at random, from a seed: each is read, or refused in words, soon."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes and links to put in place")
def test_spoiled_files_are_read_or_refused_in_words():
    process = subprocess.run(
        [sys.executable, "-m", "tests.stranger_fuzz", "7", "80"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    words = [line.split()[0] for line in process.stdout.splitlines()]
    assert words == ["read", "refused"], process.stdout + process.stderr

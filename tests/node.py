"""Runs a script of these tests in Node."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest


def find_node():
    """The path of Node; without one the test is skipped, in CI it fails."""
    node = shutil.which("node")
    if node is None:
        reason = "no Node on this machine (on Debian: apt-get install nodejs)"
        (pytest.fail if "CI" in os.environ else pytest.skip)(reason)
    return node


def run(script, argument, given):
    """What a script beside this file answers; input and answer are JSON."""
    command = [find_node(), str(Path(__file__).parent / script), argument]
    process = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)

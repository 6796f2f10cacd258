"""Nothing in a notebook breaks on Colab, and each guard against it can fail."""

from pathlib import Path

from tools import colab, notebooks
from tools.pin import requirements

import nbformat
import pytest
from nbformat import v4
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
FOUND = notebooks.find([ROOT / "notebooks"])
FIRST = """\
try:
    import falcon_edu
except ImportError:  # on Colab, for instance
    %pip install -q git+https://github.com/owner/name
    import falcon_edu

import keras
import numpy as np"""


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_notebook_runs_on_colab(path):
    assert colab.problems(nbformat.read(path, as_version=4)) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import keras\nimport falcon_edu", "imports keras before falcon_edu"),
        ("from keras import ops", "imports keras before falcon_edu"),
        ("%pip install -q -U falcon_edu", "installs more"),
        ("%pip install -q 'ipywidgets>=8'", "installs more"),
        ("!pip install -q falcon_edu numpy==2.4.6", "installs more"),
        ("%pip install -q git+https://github.com/owner/name --upgrade", "installs more"),
        ("!apt-get install graphviz", "installs more"),
        ("import os\nos.environ['KERAS_BACKEND'] = 'jax'", "by hand"),
        ("import torch", "imports torch"),
        ("%matplotlib widget", "front end"),
        ("open('../docs/explorer.png')", "only the repository has"),
        ('exec(open("solutions/03_self_attention.py").read())', "only the repository has"),
    ],
)
def test_guards_go_red(source, message):
    (found,) = colab.problems(v4.new_notebook(cells=[v4.new_code_cell(source)]))
    assert message in found


def test_widget_state_goes_red():
    view = v4.new_output("display_data", data={colab.WIDGET_VIEW: {}, "text/plain": "a view"})
    made = v4.new_notebook(cells=[v4.new_code_cell("1", outputs=[view])], metadata={"widgets": {}})
    assert colab.problems(made) == ["the notebook holds widget state", "cell 0: holds a live view"]


def test_the_usual_first_cell_passes():
    cells = [
        v4.new_markdown_cell("Text may say pip install -U ipywidgets."),
        v4.new_code_cell(FIRST),
        v4.new_code_cell("%timeit -n 1 np.ones(3)\nfrom IPython.display import HTML"),
    ]
    assert colab.problems(v4.new_notebook(cells=cells)) == []


def test_colab_has_what_the_package_asks_for():
    """Installing the package there replaces none of the packages that are known."""
    asked: dict[str, Requirement] = {r.name: r for r in requirements("lab")}
    for name, version in colab.VERSIONS.items():
        assert asked[name].specifier.contains(version), name

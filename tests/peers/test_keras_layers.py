"""Keras's own tests of the layers that ours stand in front of, with ours in their place."""

import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest

pytestmark = pytest.mark.peers

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(keras.__file__).parent / "src" / "layers"
FILES = {
    "core/dense_test.py": 69,
    "core/einsum_dense_test.py": 90,
    "core/reversible_embedding_test.py": 35,
    "normalization/layer_normalization_test.py": 7,
}

# The only ones that are left out, and why.
NOT_FOR_OURS = {
    "test_dense_sparse": "needs TensorFlow",
    "test_dense_quantize_config_int8": "Keras rounds what flows through a layer unasked",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_our_layers_pass_the_tests_of_keras(tmp_path, name):
    if not (FOLDER / name).is_file():
        pytest.skip("this version of Keras comes without its tests")
    (tmp_path / "pytest.ini").touch()  # not the configuration of this project
    options = "-m pytest -q -p tests.peers.swapped_layers -p no:cacheprovider -c pytest.ini"
    left_out = " or ".join(NOT_FOR_OURS)
    run = subprocess.run(
        [sys.executable, *options.split(), "-k", f"not ({left_out})", str(FOLDER / name)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-4000:]
    assert int(re.search(r"(\d+) passed", run.stdout)[1]) >= FILES[name]

"""With JAX's 64 bits switched on, a Falcon does what it does without them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent

sys.path.insert(0, str(HERE))  # as for a file that is run
import with_x64  # noqa: E402


@pytest.fixture(scope="module")
def in_64_bits(tmp_path_factory, program_environment):
    file = tmp_path_factory.mktemp("x64") / "results.npz"
    environment = {**os.environ, **program_environment, "JAX_ENABLE_X64": "1"}
    subprocess.run([sys.executable, HERE / "with_x64.py", file], check=True, env=environment)
    return dict(np.load(file))


@pytest.mark.parametrize("case", with_x64.CASES)
def test_64_bits_change_nothing(case, in_64_bits):
    wanted = with_x64.results(case)
    got = {name: x for name, x in in_64_bits.items() if name.startswith(f"{case}/")}
    assert got.keys() == wanted.keys(), got.get(f"{case}/error")
    assert f"{case}/error" not in wanted, wanted
    for name, want in wanted.items():
        if want.dtype.kind in "iubU":  # ids, masks, texts, dtypes
            assert got[name].tolist() == want.tolist(), name
        else:  # sums in another order
            np.testing.assert_allclose(got[name], want, rtol=1e-3, atol=2e-4, err_msg=name)

"""The package is a guest in the user's process: what it finds there, it leaves as it was."""

import json
import os
import subprocess
import sys

import pytest

USE = """
import json, logging, os, signal, sys, threading, warnings

import jax
import jax.numpy as jnp
import numpy as np
from jax._src import monitoring

not_ours = {"TF_FORCE_GPU_ALLOW_GROWTH"}  # Keras sets it
if "KERAS_BACKEND" not in os.environ:
    not_ours.add("KERAS_BACKEND")  # it is Keras's way to be told, and nobody said another


def process():
    lists = {k: len(v) for k, v in vars(monitoring).items() if isinstance(v, list)}
    assert "_event_duration_secs_listeners" in lists
    return {
        "environment": {k: v for k, v in os.environ.items() if k not in not_ours},
        "jax": {k: repr(v) for k, v in jax.config.values.items()},
        "listeners": lists,
        "numpy": [repr(np.geterr()), repr(np.get_printoptions())],
        "random": np.random.get_state()[1][:3].tolist(),
        "signals": [repr(signal.getsignal(s)) for s in (signal.SIGINT, signal.SIGTERM)],
        "logging": [logging.root.level, len(logging.root.handlers)],
        "hooks": [repr(f) for f in (sys.excepthook, sys.displayhook, threading.excepthook)],
        "recursion": sys.getrecursionlimit(),
        "folder": os.getcwd(),
        # Two stay: ours, which finds the paths that our own modules had, and one of absl's, which
        # Keras imports.
        "finders": [
            repr(f)
            for f in sys.meta_path
            if type(f).__module__.split(".")[0] not in ("absl", "falcon_edu")
            and "falcon_edu" not in repr(f)
        ],
    }


def of_keras():
    import keras

    names = ("floatx", "epsilon", "image_data_format", "dtype_policy", "backend")
    return [repr(getattr(keras.config, name)()) for name in names] + [
        repr(keras.distribution.distribution())
    ]


def differences(one, other):
    return [f"{k}: {one[k]} -> {other[k]}" for k in one if one[k] != other[k]]


before = process()
import falcon_edu
after_import = process()
import tempfile, keras

keras_before = of_keras()
backbone = falcon_edu.FalconBackbone(50, 2, 4, 16, 32)
lm = falcon_edu.FalconCausalLM(backbone)
x = {"token_ids": np.ones((2, 6), "int32"), "padding_mask": np.ones((2, 6), "int32")}
lm.generate({key: value.copy() for key, value in x.items()}, stop_token_ids=None)
falcon_edu.record(backbone, x)
lm.compile("adam", weighted_metrics=[])
lm.fit(x, verbose=0)
lm.evaluate(x, verbose=0)
lm.predict(x, verbose=0)
with tempfile.TemporaryDirectory() as folder:
    backbone.save_to_preset(folder)
    falcon_edu.FalconBackbone.from_preset(folder)
    backbone.export_to_transformers(folder + "/there")
    falcon_edu.FalconBackbone.from_preset(folder + "/there", dtype="bfloat16")
backbone.quantize("int8")
lm.generate(x, stop_token_ids=None)
after = process()

# A program of the user's own, long enough to be seen under way.
long = jax.jit(lambda x: jax.lax.fori_loop(0, 400, lambda i, x: jnp.tanh(x @ x), x))
long(jnp.eye(400)).block_until_ready()
is_ready = long(jnp.eye(400) * 0.5).is_ready()

print(json.dumps({
    "import": differences(before, after_import),
    "use": differences(before, after),
    "keras": [] if keras_before == of_keras() else [keras_before, of_keras()],
    "returned at once": not is_ready,
}))
"""


def python(code, **environment):
    inherited = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, capture_output=True, text=True, env={**inherited, **environment}, check=False
    )


@pytest.mark.parametrize("environment", [{}, {"KERAS_BACKEND": "jax"}], ids=["unset", "jax"])
def test_using_everything_changes_nothing_in_the_process(environment):
    run = python(USE, **environment)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout.splitlines()[-1])
    assert found == {"import": [], "use": [], "keras": [], "returned at once": True}


def test_another_backend_in_the_environment_is_refused_before_keras_is_imported():
    code = (
        "import sys\n"
        "try:\n    import falcon_edu\n"
        "except ImportError as error:\n    print(error, 'keras' in sys.modules)"
    )
    run = python(code, KERAS_BACKEND="tensorflow")
    assert run.returncode == 0, run.stderr
    assert "the environment variable KERAS_BACKEND says 'tensorflow'. Set it to 'jax'" in run.stdout
    assert run.stdout.endswith("False\n")


def test_keras_imported_first_with_jax_is_welcome():
    run = python("import keras, falcon_edu; print(keras.config.backend())", KERAS_BACKEND="jax")
    assert run.stdout == "jax\n", run.stderr

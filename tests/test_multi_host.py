"""Two processes, with two devices each, train one Falcon together: JAX's way, through Keras."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from falcon_edu import FalconBackbone

import keras
import layouts
import numpy as np
import pytest

# What one process of two does. It has half of each batch, if the mesh splits the batch.
PROCESS = """
import json
import sys

from falcon_edu import FalconBackbone

import jax
import keras
import numpy as np
from jax.experimental import multihost_utils

process, port, folder, *mesh = sys.argv[1:]
keras.distribution.initialize(f"127.0.0.1:{port}", num_processes=2, process_id=int(process))

mesh = keras.distribution.DeviceMesh(
    [int(size) for size in mesh], ("batch", "model"), keras.distribution.list_devices()
)
distribution = keras.distribution.ModelParallel(
    layout_map=FalconBackbone.get_layout_map(mesh),
    batch_dim_name="batch",
    auto_shard_dataset=False,
)
with np.load(f"{folder}/batch.npz") as batch:
    inputs, targets = {key: batch[key] for key in ("token_ids", "padding_mask")}, batch["targets"]
if mesh.shape[0] == 2:
    mine = slice(2 * int(process), 2 * int(process) + 2)
    inputs, targets = {key: value[mine] for key, value in inputs.items()}, targets[mine]

with distribution.scope():
    falcon = FalconBackbone.from_preset(f"{folder}/falcon")
    falcon.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    falcon.fit(inputs, targets, batch_size=len(targets), epochs=2, verbose=0, shuffle=False)
    embedding = falcon.token_embedding.embeddings.value
    whole = multihost_utils.process_allgather(embedding, tiled=True)
held = sorted({shard.data.shape for shard in embedding.addressable_shards})
np.save(f"{folder}/embedding_{process}.npy", whole)
print(json.dumps({"devices": [jax.local_device_count(), jax.device_count()], "held": held}))
"""


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@pytest.mark.slow
@pytest.mark.parametrize("mesh", [(2, 2), (1, 4)])
def test_two_processes_train_as_one(tmp_path, mesh):
    falcon: FalconBackbone = layouts.build("40b", num_layers=1)
    before = keras.ops.convert_to_numpy(falcon.token_embedding.embeddings)
    falcon.save_to_preset(tmp_path / "falcon")
    both = [layouts.inputs("left", seed) for seed in (0, 1)]
    inputs = {key: np.concatenate([part[key] for part in both]) for key in both[0]}
    targets = np.random.default_rng(2).normal(size=(4, 7, falcon.hidden_dim)).astype("float32")
    np.savez(tmp_path / "batch.npz", targets=targets, **inputs)

    port = str(free_port())
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(i), port, str(tmp_path), *map(str, mesh)],
            env={**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    falcon.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    falcon.fit(inputs, targets, batch_size=4, epochs=2, verbose=0, shuffle=False)
    wanted = keras.ops.convert_to_numpy(falcon.token_embedding.embeddings)
    try:
        results = [process.communicate(timeout=500) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert np.abs(wanted - before).max() > 1e-4, "nothing was learned"
    rows, width = wanted.shape
    for i, (output, errors) in enumerate(results):
        assert processes[i].returncode == 0, errors[-3000:]
        said = json.loads(output.splitlines()[-1])
        assert said == {"devices": [2, 4], "held": [[rows // mesh[1], width // mesh[0]]]}
        trained = np.load(Path(tmp_path) / f"embedding_{i}.npy")
        np.testing.assert_allclose(trained, wanted, atol=1e-5)

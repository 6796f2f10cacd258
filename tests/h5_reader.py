"""Reads HDF5 files in a process of its own, which a broken file may crash or hang.

    python -m tests.h5_reader

A line of its input is the path of a preset's folder or of a `.lora.h5` file; a line of its output
says what became of it, and the most memory so far: `{"result": "loaded" | "refused" | "error",
"text": ..., "megabytes": ...}`.
"""

import json
import sys
from pathlib import Path

from falcon_edu import FalconBackbone
from falcon_edu.model.config import FalconConfig
from falcon_edu.presets import keras_hub, weights

import numpy as np

SIZES = {
    "vocabulary_size": 5,
    "num_layers": 1,
    "num_attention_heads": 2,
    "hidden_dim": 4,
    "intermediate_dim": 6,
}


def read_preset(folder):
    """All that loading reads, without the model that it would go into."""
    table = keras_hub.weight_table(FalconConfig(**SIZES))
    with keras_hub.open_weights(folder, FalconConfig(**SIZES)) as tensors:
        weights.check_tensors(tensors, table, f"{folder}/model.weights.h5")
        for entry in table:
            value = tensors[entry.name].read()
            assert value.shape == entry.shape, (entry.name, value.shape)
            assert value.dtype.name in weights.FLOATS, (entry.name, value.dtype)


def megabytes():
    """The most memory that this process ever had."""
    if sys.platform != "linux":
        return 0
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024


def main():
    """Answers every line."""
    backbone = FalconBackbone(**SIZES)
    backbone.enable_lora(2)
    for line in sys.stdin:
        path = Path(line.strip())
        result, text = "loaded", ""
        try:
            if path.is_dir():
                read_preset(path)
            else:
                backbone.load_lora_weights(path)
                assert all(np.isfinite(w).all() for w in backbone.trainable_weights)
        except ValueError as error:
            result, text = "refused", str(error)
        except Exception as error:
            result, text = "error", f"{type(error).__name__}: {error}"
        answer = {"result": result, "text": text, "megabytes": megabytes()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

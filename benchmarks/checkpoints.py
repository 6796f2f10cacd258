"""The checkpoints of the benchmark: random weights in real sizes, made on the spot."""

import shutil

from falcon_edu import FalconBackbone

import keras

# The largest one is Falcon-RW-1B; all have its layout, which is the only one that KerasHub has.
SIZES = {
    "tiny": {"vocabulary_size": 1280, "num_layers": 4, "hidden_dim": 128},
    "small": {"vocabulary_size": 1280, "num_layers": 6, "hidden_dim": 256},
    "125M": {"vocabulary_size": 50304, "num_layers": 12, "hidden_dim": 768},
    "1.3B": {"vocabulary_size": 50304, "num_layers": 24, "hidden_dim": 2048},
}


def arguments(size):
    """Return constructor arguments of a size: heads of 32 or 64 channels, a wide feed-forward."""
    shape = SIZES[size]
    width = shape["hidden_dim"]
    heads = width // (32 if width < 512 else 64)
    return {**shape, "num_attention_heads": heads, "intermediate_dim": 4 * width}


def make(size, folder):
    """Write the checkpoints of a size, and return their folders: `{format: folder}`.

    Args:
        size: a key of `SIZES`.
        folder: where to write; what is there already is taken as it is.
    """
    formats = {name: folder / f"{size}-{name}" for name in ("transformers", "keras_hub")}
    if not all((path / "config.json").is_file() for path in formats.values()):
        for path in formats.values():
            shutil.rmtree(path, ignore_errors=True)
        keras.utils.set_random_seed(0)
        # As they are published: transformers' in bfloat16, KerasHub's in float32.
        FalconBackbone(**arguments(size), dtype="bfloat16").export_to_transformers(
            formats["transformers"]
        )
        FalconBackbone.from_preset(formats["transformers"]).save_to_preset(formats["keras_hub"])
    return formats

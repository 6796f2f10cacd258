"""What of a repository a preset needs: the names of its files."""

import re
from fnmatch import fnmatch

from falcon_edu.presets.folders import shard_names

SMALL_FILES = (
    "config.json",
    "metadata.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
    "preprocessor.json",
    "assets/tokenizer/tokenizer.json",
    "assets/tokenizer/vocabulary.json",
    "assets/tokenizer/merges.txt",
)
# The kinds of weights, the one to take first where a repository has several: one file, or an index
# and the pattern of the shards that it names.
WEIGHT_FILES = (
    ("model.weights.h5",),
    ("model.weights.json", "model_*.weights.h5"),
    ("model.safetensors",),
    ("model.safetensors.index.json", "model-*.safetensors"),
    ("pytorch_model.bin",),
    ("pytorch_model.bin.index.json", "pytorch_model-*.bin"),
)
MOST_SHARDS = 1000  # Falcon-180B has 81
OFFLINE = "The falcon_tales presets and local folders need no network."
SHARD = re.compile(r"[\w.-]{1,200}", re.ASCII)


def shards_in(folder, first, pattern=None):
    """Return the shards that an index names, as far as their names are those of shards.

    Others are never asked for, and of a broken index none: who reads it says what is wrong.

    Args:
        folder: path of the preset.
        first: name of the index.
        pattern: of the names of shards; without one, `first` is a file of weights itself.
    """
    if pattern is None:
        return []
    try:
        names = shard_names(folder, first)
    except (FileNotFoundError, ValueError):
        return []
    return [name for name in names if fnmatch(name, pattern) and SHARD.fullmatch(name)]


def has_weights(folder, has):
    """True if one kind of weights is there whole: a file, or an index and all its shards.

    Args:
        folder: path of the preset.
        has: function of a name that tells whether that file is there.
    """
    return any(has(kind[0]) and all(map(has, shards_in(folder, *kind))) for kind in WEIGHT_FILES)


def most_weight_bytes(config):
    """Return the number of bytes that a file, or all shards, of a model's weights may have.

    That is eight for each parameter, twice what float32 takes, and room for headers and for what
    some checkpoints keep beside the parameters, such as masks.

    Args:
        config: a `FalconConfig`.
    """
    return 8 * config.num_parameters + (config.num_layers + 16) * 2**20

"""The presets that falcon_edu knows by name."""

import json
from pathlib import Path

DATA = Path(__file__).parent / "data"

# What KerasHub says of its preset, and where it lies. The tales ship with the package: their
# metadata stands beside their weights.
BUILTIN_PRESETS: dict[str, dict] = {
    "falcon_tales_rw_en": {
        "class_name": "FalconBackbone",
        "metadata": {
            "description": "Falcon-RW in small (ALiBi, multi-head, sequential), trained on tales.",
            "path": "falcon",
        },
    },
    "falcon_tales_7b_en": {
        "class_name": "FalconBackbone",
        "metadata": {
            "description": "Falcon-7B in small (RoPE, multi-query, parallel), trained on tales.",
            "path": "falcon",
        },
    },
    "falcon_tales_40b_en": {
        "class_name": "FalconBackbone",
        "metadata": {
            "description": "Falcon-40B in small (RoPE, grouped, two norms), trained on tales.",
            "path": "falcon",
        },
    },
    "falcon_refinedweb_1b_en": {
        "class_name": "FalconBackbone",
        "metadata": {
            "description": (
                "24-layer Falcon model (Falcon with 1B parameters), trained on "
                "350B tokens of RefinedWeb dataset."
            ),
            "params": 1311625216,
            "path": "falcon",
        },
        "hf_handle": "hf://keras/falcon_refinedweb_1b_en",
        "kaggle_handle": "kaggle://keras/falcon/keras/falcon_refinedweb_1b_en/2",
    },
}


def builtin_presets(class_names=("FalconBackbone",)):
    """Return the built-in presets of some classes, with all that is known of them.

    Args:
        class_names: names of backbone classes.

    Returns:
        Dictionary of id to `{"metadata": {...}, ...}`; presets that are downloaded have
        `"kaggle_handle"` and `"hf_handle"`.

    Example:

    >>> list(builtin_presets())[0], builtin_presets()["falcon_refinedweb_1b_en"]["kaggle_handle"]
    ('falcon_tales_rw_en', 'kaggle://keras/falcon/keras/falcon_refinedweb_1b_en/2')
    """
    presets = {}
    for name, known in BUILTIN_PRESETS.items():
        if known["class_name"] in class_names:
            presets[name] = {key: value for key, value in known.items() if key != "class_name"}
            presets[name]["metadata"] = {**known["metadata"], **_shipped_metadata(name)}
    return presets


def shipped_folder(name):
    """Return the folder of a preset that ships with the package, or `None`."""
    folder = DATA / name
    return folder if (folder / "config.json").is_file() else None


def _shipped_metadata(name):
    path = DATA / name / "metadata.json"
    if not path.is_file():
        return {}
    metadata = json.loads(path.read_text(encoding="utf-8"))
    return {**metadata, "params": metadata["parameter_count"]}

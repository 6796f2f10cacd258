"""Print how far Falcon is from the float64 reference after every way in and out.

    python tools/parity_routes.py [layout ...]

A tiny model of each layout, with random weights, is saved, goes the route and is loaded. A number
is the largest difference of its logits at a real token from what the reference computes with the
weights as the files hold them, relative to the root mean square of the logits. Rounding alone makes
about 1e-6. "-": there is no such layout in that format, or the library is not installed.
"""

import importlib.util
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from falcon_edu import Backbone  # noqa: E402
from falcon_edu.presets import export_to_transformers, keras_hub  # noqa: E402
from falcon_edu.presets.safetensors_files import open_safetensors, write_safetensors  # noqa: E402
from falcon_edu.presets.weights import Tensor, find_weight  # noqa: E402
from tests import layouts, loopback_hub, reference  # noqa: E402
from tests.peers import models  # noqa: E402
from tests.pytorch_writer import write_pytorch  # noqa: E402

import keras  # noqa: E402
import ml_dtypes  # noqa: E402, F401  (with it, NumPy knows bfloat16)
import numpy as np  # noqa: E402

SHARDED = 20_000 / 1024**3  # gigabytes: some files for the tiny models
INPUTS = layouts.inputs("right")
PEERS = {"to transformers": "transformers", "to keras-hub": "keras_hub"}


# === Saving: functions of a backbone and a new folder ===


def save_keras_hub(backbone, folder, **options):
    """Save in KerasHub's format."""
    backbone.save_to_preset(folder, **options)


def save_safetensors(backbone, folder, dtype=None, **options):
    """Save in transformers' format, in half precision if wanted."""
    export_to_transformers(backbone, folder, **options)
    if dtype:
        with open_safetensors(folder) as tensors:
            cast = {name: cast_tensor(tensor, dtype) for name, tensor in tensors.items()}
            (folder / "half").mkdir()
            write_safetensors(folder / "half", cast)
        shutil.move(folder / "half/model.safetensors", folder / "model.safetensors")
        (folder / "half").rmdir()


def cast_tensor(tensor, dtype):
    """Return a tensor that is cast when it is read."""
    return Tensor(tensor.shape, dtype, lambda: tensor.read().astype(np.dtype(dtype)))


def save_pytorch(backbone, folder, is_sharded=False):
    """Save in transformers' format as PyTorch does, without PyTorch."""
    export_to_transformers(backbone, folder)
    with open_safetensors(folder) as tensors:
        arrays = {name: np.array(tensor.read()) for name, tensor in tensors.items()}
    (folder / "model.safetensors").unlink()
    if not is_sharded:
        return write_pytorch(folder / "pytorch_model.bin", arrays)
    names = list(arrays)
    weight_map: dict[str, str] = {}
    for i, part in enumerate([names[::2], names[1::2]], 1):
        file = f"pytorch_model-{i:05}-of-00002.bin"
        write_pytorch(folder / file, {name: arrays[name] for name in part})
        weight_map |= dict.fromkeys(part, file)
    index = json.dumps({"weight_map": weight_map})
    (folder / "pytorch_model.bin.index.json").write_text(index)


# === Loading: functions of the folder that give a backbone ===


def load_from_hub(folder):
    """Over the protocol of the Hugging Face Hub, by its own client."""
    from huggingface_hub import constants

    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    with ExitStack() as stack:
        hub = stack.enter_context(loopback_hub.serve(files))
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, hub.address)
        for name, value in {
            "ENDPOINT": hub.address,
            "HUGGINGFACE_CO_URL_TEMPLATE": template,
            "HF_HUB_CACHE": f"{folder}.cache",
            "HF_HUB_DISABLE_XET": True,
        }.items():
            stack.enter_context(mock.patch.object(constants, name, value))
        return Backbone.from_preset(f"hf://{hub.repository}")


def load_from_kaggle(folder):
    """From a cache as kagglehub leaves it."""
    cache = Path(f"{folder}.cache")
    version = cache / "models/keras/falcon/keras/falcon_tiny/2"
    shutil.copytree(folder, version)
    version.with_name("2.complete").touch()
    with mock.patch.dict(os.environ, {"KAGGLEHUB_CACHE": str(cache)}):
        return Backbone.from_preset("kaggle://keras/falcon/keras/falcon_tiny/2")


# === Routes ===


def through(save, load=Backbone.from_preset, **options):
    """Compute with a backbone that was saved one way and loaded another."""

    def route(backbone, folder):
        save(backbone, folder, **options)
        return logits_of(load(folder))

    return route


def in_one_file(backbone, folder):
    """Save in Keras's own format for a whole model."""
    backbone.save(f"{folder}.keras")
    return logits_of(keras.saving.load_model(f"{folder}.keras"))


def to_transformers(backbone, folder):
    """Save here and load in transformers, where it computes right (design, section 3)."""
    from transformers import FalconForCausalLM

    export_to_transformers(backbone, folder)
    attention = "eager" if backbone.position_encoding == "rope" else "sdpa"
    theirs = FalconForCausalLM.from_pretrained(folder, attn_implementation=attention).eval()
    return models.read_transformers(theirs, INPUTS)["logits"]


def to_keras_hub(backbone, folder):
    """Save here and load in KerasHub."""
    import keras_hub as theirs

    backbone.save_to_preset(folder)
    loaded = theirs.models.FalconBackbone.from_preset(str(folder))
    return models.read_keras_hub(loaded, INPUTS)["logits"]


FORMATS: dict[str, tuple[Callable, dict]] = {
    "KerasHub": (save_keras_hub, {}),
    "KerasHub, shards": (save_keras_hub, {"max_shard_size": SHARDED}),
    "safetensors": (save_safetensors, {}),
    "safetensors, shards": (save_safetensors, {"max_shard_size": SHARDED}),
    "safetensors, float16": (save_safetensors, {"dtype": "float16"}),
    "safetensors, bfloat16": (save_safetensors, {"dtype": "bfloat16"}),
    "pytorch_model.bin": (save_pytorch, {}),
    "pytorch_model, shards": (save_pytorch, {"is_sharded": True}),
}
SOURCES = {"": Backbone.from_preset, "hf://, ": load_from_hub, "kaggle://, ": load_from_kaggle}
ROUTES: dict[str, Callable] = {
    **{
        source + name: through(save, load, **options)
        for source, load in SOURCES.items()
        for name, (save, options) in FORMATS.items()
    },
    ".keras": in_one_file,
    "to transformers": to_transformers,
    "to keras-hub": to_keras_hub,
}


def is_possible(route, backbone):
    """True if a format has the layout of a backbone."""
    if route == "to keras-hub":
        return backbone.config.is_keras_hub_compatible
    if "safetensors" in route or "pytorch" in route or "transformers" in route:
        return models.transformers_can_represent(backbone.config)
    return True


COMPILED: dict = {}


def logits_of(backbone):
    """Return the logits of a backbone; those of one configuration share a compiled model."""
    key = str(backbone.config)
    if key not in COMPILED:
        logits = backbone.token_embedding(backbone.output, reverse=True)
        COMPILED[key] = keras.Model(backbone.input, logits), backbone
    model, owner = COMPILED[key]
    for entry in keras_hub.weight_table(backbone.config):
        find_weight(owner, entry.weights[0]).assign(find_weight(backbone, entry.weights[0]))
    return np.asarray(model.predict_on_batch(INPUTS)).astype("float64")


def difference(route, layout, folder):
    """Return the largest relative difference of the logits, or `None` without such a route."""
    if route in PEERS and not importlib.util.find_spec(PEERS[route]):
        return None
    backbone = layouts.build(layout)
    if not is_possible(route, backbone):
        return None
    for dtype in ("bfloat16", "float16"):
        if dtype in route:  # what the file holds is what the reference computes with
            for weight in backbone.weights:
                weight.assign(np.asarray(weight).astype(np.dtype(dtype)).astype("float32"))
    logits = ROUTES[route](backbone, folder)
    is_theirs = not is_from_keras(route) and backbone.position_encoding == "alibi"
    expected = reference.falcon(
        layouts.reference_weights(backbone),
        layouts.reference_config(backbone),
        **INPUTS,
        alibi_dtype="bfloat16" if is_theirs else None,  # as transformers computes it
    )
    found = {"logits": logits}
    return layouts.difference(found, expected, INPUTS["padding_mask"], "logits")


def is_from_keras(route):
    """True if a route keeps KerasHub's exact ALiBi."""
    return "KerasHub" in route or route in (".keras", "to keras-hub")


def table(names, routes=ROUTES):
    """`{route: {layout: difference or None}}`."""
    found: dict[str, dict] = {}
    for i, route in enumerate(routes):
        found[route] = {}
        for layout in names:
            with tempfile.TemporaryDirectory() as folder:
                found[route][layout] = difference(route, layout, Path(folder) / str(i))
    return found


def main():
    """Print the table."""
    from huggingface_hub.utils import disable_progress_bars

    disable_progress_bars()
    names = sys.argv[1:] or list(layouts.LAYOUTS)
    short = [
        name.replace("grouped_alibi_sequential", "grouped").removesuffix("_sequential")
        for name in names
    ]
    print(f"{'route':<34}" + "".join(f"{name:>13}" for name in short), flush=True)
    for route in ROUTES:
        row = table(names, [route])[route]
        cells = ("-" if row[name] is None else f"{row[name]:.1e}" for name in names)
        print(f"{route:<34}" + "".join(f"{cell:>13}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()

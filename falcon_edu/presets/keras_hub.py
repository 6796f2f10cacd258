"""KerasHub's format: `config.json` as Keras serializes a layer, weights in HDF5."""

import datetime
import inspect
from contextlib import contextmanager
from importlib.metadata import version

from falcon_edu.adapt import lora
from falcon_edu.presets.folders import write_json
from falcon_edu.presets.h5_files import INDEX, SINGLE, open_h5
from falcon_edu.presets.progress import bar_of_growth
from falcon_edu.presets.weights import Entry, weight_shapes
from falcon_edu.storage.hdf5 import close_files_in
from falcon_edu.storage.strangers import listed, shown
from falcon_edu.support.configs import FAMILY_DEFAULTS
from falcon_edu.support.layer_state import KEY

import keras

PACKAGES = ("keras_hub", "keras_nlp", "falcon_edu")
OWN_KEY = "falcon_edu"

# Where each attribute of a backbone stands in Keras's files: there a layer in a list is known by
# its class and its place among layers of that class.
LAYER_NAMES = {
    "token_embedding": "reversible_embedding",
    "final_layernorm": "layer_normalization",
    "transformer_layers": "falcon_transformer_decoder",
}
VARIABLE_NUMBERS = {
    "embeddings": 0,
    "reverse_embeddings": 1,
    "kernel": 0,
    "gamma": 0,
    "bias": 1,
    "beta": 1,
}


def recognizes(config):
    """True if a `config.json` is in this format."""
    return "registered_name" in config or "class_name" in config


def read_config(config, source, classes):
    """Return the class and the arguments in a `config.json`, which is read as data and never run.

    Args:
        config: the JSON object.
        source: path of the file, for messages.
        classes: the backbone classes that there are, by name.

    Returns:
        One of the classes, and a dictionary of arguments for it; `dtype` is left out, since
        a preset is loaded in Keras's own default precision, as in KerasHub.

    Raises:
        ValueError: the file names another class, or an argument that the class does not have.
    """
    registered_name = config.get("registered_name") or config.get("class_name")
    package, _, class_name = str(registered_name).rpartition(">")
    if package not in (*PACKAGES, "") or class_name not in classes:
        raise ValueError(
            f"{source} is of a {shown(registered_name)}, which falcon_edu can't load. "
            f"It knows {', '.join(classes)}."
        )
    arguments = config.get("config")
    own = config.get(OWN_KEY, {})
    if not isinstance(arguments, dict) or not isinstance(own, dict):
        raise ValueError(f"`config` in {source} must be an object. Received: {shown(arguments)}")
    if unknown := sorted(own.keys() - FAMILY_DEFAULTS.keys()):
        raise ValueError(f"`{OWN_KEY}` in {source} has unknown fields: {listed(unknown)}")
    arguments = {**arguments, **own}
    arguments.pop("dtype", None)
    cls = classes[class_name]
    if unknown := sorted(arguments.keys() - argument_names(cls)):
        raise ValueError(f"`config` in {source} has unknown fields: {listed(unknown)}")
    return cls, arguments


def argument_names(cls):
    """Return the names of the arguments that a backbone class takes.

    Example:

    >>> from falcon_edu import FalconBackbone
    >>> sorted(argument_names(FalconBackbone))[:2]
    ['alibi_dtype', 'attention_dropout_rate']
    """
    # A subclass hands the arguments that it does not name to the class that it comes from.
    names = {"name", "trainable", "dtype"}
    for parent in inspect.getmro(cls):
        parameters = inspect.signature(parent.__init__).parameters.values()  # type: ignore[misc]
        names |= {x.name for x in parameters if x.kind not in (x.VAR_POSITIONAL, x.VAR_KEYWORD)}
        hands_on = any(x.kind == x.VAR_KEYWORD for x in parameters)
        if parent.__module__.startswith("falcon_edu.") or not hands_on:
            break
    return names - {"self"}


def weight_table(config):
    """Return the weight-name table of the format: a list of `Entry`.

    Example:

    >>> from falcon_edu import FalconConfig
    >>> table = weight_table(FalconConfig(10, 2, 2, 8, 16))
    >>> table[-1].name, table[-1].weights
    ('layers/layer_normalization/vars/1', ('final_layernorm.beta',))
    """
    return [
        Entry(_name_in_file(path), shape, (path,)) for path, shape in weight_shapes(config).items()
    ]


def _name_in_file(path):
    layer, *inner, variable = path.split(".")
    name = LAYER_NAMES[layer]
    if layer == "transformer_layers":
        index = inner.pop(0)
        name += f"_{index}" if index != "0" else ""
    return "/".join(["layers", name, *inner, "vars", str(VARIABLE_NUMBERS[variable])])


@contextmanager
def open_weights(folder, config, tie=False):
    """Return the tensors of a preset that belong to a model, while the block lasts."""
    with open_h5(folder) as tensors:
        # Not weights: the state of an optimizer, of metrics, and of dropout's random numbers.
        yield {
            name: tensor
            for name, tensor in tensors.items()
            if name.startswith("layers/") and "/seed_generator/" not in name
        }


def has_own_head(tensors):
    """True if a tied model has a head all the same: Keras's files do what their settings say."""
    return False


def holds_more(folder, cls, config):
    """True if a preset of somebody's own Falcon has weights that no other Falcon has.

    Args:
        folder: path of the preset.
        cls: the class that it is of.
        config: a `FalconConfig`.
    """
    if cls is cls.registry["FalconBackbone"]:
        return False
    with open_h5(folder) as tensors:
        others = tensors.keys() - {entry.name for entry in weight_table(config)}
        return any("/seed_generator/" not in name for name in others)


def load_weights(folder, backbone):
    """Load the weights of a preset whose table nobody knows but the backbone's class.

    Args:
        folder: path of the preset.
        backbone: a `Backbone` made from the preset's configuration.

    Raises:
        ValueError: they don't fit.
    """
    with open_h5(folder):  # no links, no shards from elsewhere
        pass
    try:
        backbone.load_weights(folder / (SINGLE if (folder / SINGLE).is_file() else INDEX))
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"The weights in {folder} do not fit the {type(backbone).__name__} that its "
            f"config.json describes: {error}"
        ) from None


def write_backbone(folder, backbone, max_shard_size=10):
    """Write `config.json`, `metadata.json` and the weights; LoRA is merged into the kernels.

    Args:
        folder: path of an empty folder.
        backbone: a `Backbone`.
        max_shard_size: largest size of one weight file in gigabytes; `None` for a single file.
    """
    write_json(folder, "config.json", _config(backbone))
    write_json(folder, "metadata.json", _metadata(backbone))
    size = sum(v.value.nbytes for v in backbone.variables)
    is_sharded = max_shard_size is not None and size / 1024**3 > max_shard_size
    try:
        with bar_of_growth(folder, size, "Saving"), lora.merged_in_files(backbone):
            if is_sharded:
                backbone.save_weights(folder / INDEX, max_shard_size=max_shard_size)
            else:
                backbone.save_weights(folder / SINGLE)
    except BaseException:
        close_files_in(folder)  # Keras does not, and open files keep their room on the disk
        raise


def _config(backbone):
    arguments, own = backbone.get_config(), {}
    arguments.pop(KEY, None)  # a preset is a model as it is made, with other weights
    module, package = type(backbone).__module__, "falcon_edu"
    # KerasHub has no `alibi_dtype`, but reads a Falcon-RW that has one if it stands outside.
    if arguments.get("alibi_dtype"):
        own = {"alibi_dtype": arguments.pop("alibi_dtype")}
    is_falcon = type(backbone) is backbone.registry["FalconBackbone"]
    if is_falcon and not arguments.keys() & FAMILY_DEFAULTS.keys():
        module, package = "keras_hub.src.models.falcon.falcon_backbone", "keras_hub"
    class_name = type(backbone).__name__
    return {
        "module": module,
        "class_name": class_name,
        "config": arguments,
        "registered_name": f"{package}>{class_name}",
        **({OWN_KEY: own} if own else {}),
    }


def _metadata(backbone):
    return {
        "keras_version": keras.version(),
        "falcon_edu_version": version("falcon_edu"),
        "parameter_count": backbone.count_params(),
        "date_saved": datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
        "tasks": ["CausalLM"],
    }

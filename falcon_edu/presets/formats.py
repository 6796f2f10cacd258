"""The formats of presets, each a module that reads and writes it."""

from falcon_edu.presets import keras_hub, transformers
from falcon_edu.storage.strangers import listed

FORMATS = {"KerasHub": keras_hub, "transformers": transformers}
TASK_WEIGHTS = "task.weights.h5"


def format_of(config, source):
    """Return the module and the name of the format of a configuration, read from `source`."""
    for name, file_format in FORMATS.items():
        if file_format.recognizes(config):
            return file_format, name
    raise ValueError(
        f"{source} is in no known format: it has neither `registered_name` (KerasHub) nor "
        f"`model_type` (transformers). Its fields: {listed(config)}"
    )

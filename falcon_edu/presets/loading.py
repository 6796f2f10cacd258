"""Read models, tokenizers and preprocessors from presets; everything is checked beforehand."""

import dataclasses
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from falcon_edu.model.config import CONFIG_FIELDS, FalconConfig
from falcon_edu.presets import info, keras_hub, tokenizer_files, transformers, weights
from falcon_edu.presets.capacity import check_size
from falcon_edu.presets.folders import file_in, read_json
from falcon_edu.presets.formats import TASK_WEIGHTS, format_of
from falcon_edu.presets.handles import find, resolve
from falcon_edu.presets.hub_files import most_weight_bytes
from falcon_edu.presets.older import or_older
from falcon_edu.presets.steady import read_steadily
from falcon_edu.storage.hdf5 import open_datasets
from falcon_edu.warn import warn_user


def load_backbone(cls, preset, load_weights=True, **overrides):
    """Make a backbone from a preset; what `Backbone.from_preset` does.

    Everything is checked before anything is allocated: configuration, names, shapes, types.

    Args:
        cls: the class it was called on.
        preset: a built-in id, a handle, or the path of a folder.
        load_weights: whether to load the weights, or leave random ones.
        **overrides: arguments that replace those of the preset.

    Raises:
        FileNotFoundError: there is no such preset, or a file of it is missing.
        ValueError: a file is broken, the preset holds another model, or an override is unknown.
    """
    return or_older(partial(_load_backbone, cls))(preset, load_weights, overrides)


def _load_backbone(cls, preset, load_weights, overrides):
    source = find(preset)
    folder = source.folder
    with naming(preset, folder), ExitStack() as files:
        if load_weights and "://" in source:  # no more than the configuration can need
            *_, config = _configure(cls, folder, overrides)
            resolve(source, most=None if config is None else most_weight_bytes(config))

        def read():
            files.close()  # of an earlier try
            file_format, found, arguments, config = _configure(cls, folder, overrides)
            if config is None:
                return lambda: _load_another(found, arguments, folder, load_weights)
            if not load_weights:
                return lambda: found(**arguments)
            if file_format is keras_hub and keras_hub.holds_more(folder, found, config):
                return lambda: _load_another(found, arguments, folder, load_weights)
            tie = bool(overrides.get("tie_word_embeddings"))
            tensors = files.enter_context(file_format.open_weights(folder, config, tie))
            if config.tie_word_embeddings and file_format.has_own_head(tensors):
                config = _untied(config, folder)
                arguments["tie_word_embeddings"] = False
                check_size(config, folder, overrides.get("dtype"))
            table = file_format.weight_table(config)
            weights.check_tensors(tensors, table, folder)
            return lambda: weights.load_backbone(lambda: found(**arguments), tensors, table, folder)

        backbone = _read(source, read)()
    backbone.loaded_from = str(source)
    return backbone


def _load_another(cls, arguments, folder, load_weights):
    """Return a backbone of somebody's own class, which alone knows what weights it has."""
    backbone = cls.from_config(arguments)
    if load_weights:
        keras_hub.load_weights(folder, backbone)
    return backbone


def load_task_weights(causal_lm, preset):
    """Load the weights that a subclass of a task has beside its backbone, if a folder has them.

    Args:
        causal_lm: a `FalconCausalLM` of the preset.
        preset: as in `load_backbone`; of hubs' presets no such weights are fetched.

    Raises:
        ValueError: they don't fit.

    Warns:
        UserWarning: there are such weights, and the model has no place for them; or it has some,
            and the preset is a hub's.
    """
    if "://" in str(preset):
        if causal_lm.has_task_weights():
            warn_user(
                f"{type(causal_lm).__name__} has weights beside its backbone, and these are new: "
                f"from hubs only a backbone's are fetched. Download {preset} and load it from its "
                "folder."
            )
        return
    if not (path := file_in(find(preset).folder, TASK_WEIGHTS)):
        return
    if not causal_lm.has_task_weights():
        warn_user(
            f"{path} holds weights beside those of the backbone, for which "
            f"{type(causal_lm).__name__} has no place: load the preset with the class that saved "
            "it."
        )
        return
    with open_datasets(path):  # no links
        try:
            causal_lm.load_task_weights(path)
        except ValueError as error:
            raise ValueError(
                f"The weights in {path} do not fit the {type(causal_lm).__name__}: {error}"
            ) from None


def describe_preset(preset):
    """Return what a preset holds, without loading its weights: `{what: text}`.

    Args:
        preset: as in `load_backbone`.

    Raises:
        FileNotFoundError: there is no such preset.
        ValueError: a file is broken, or the preset holds another model than a Falcon.

    Example:

    >>> describe_preset("falcon_tales_rw_en")["architecture"]
    'ALiBi, multi-head attention (4 heads), sequential blocks, biases'
    """
    source = find(preset)
    folder = source.folder
    with naming(preset, folder):
        content = read_json(folder, "config.json")
        file_format, name = format_of(content, f"{folder}/config.json")
        classes = {"FalconBackbone": FalconConfig}
        _, arguments = file_format.read_config(content, f"{folder}/config.json", classes)
        return info.describe(source, folder, name, file_format, _falcon_config(arguments, folder))


@contextmanager
def naming(preset, folder):
    """Have errors of the block name a preset as its user does, where it lies in a hub's cache.

    Args:
        preset: as in `load_backbone`.
        folder: path of its files.
    """
    try:
        yield
    except (FileNotFoundError, ValueError) as error:
        said = str(error)
        if Path(preset) == folder or str(folder) not in said or isinstance(error, UnicodeError):
            raise
        named = said.replace(str(folder), str(preset))
        raise type(error)(f"{named} (Its files lie in {folder}.)") from error


def load_tokenizer(cls, preset, **overrides):
    """Make the tokenizer of a preset; what `FalconTokenizer.from_preset` does."""
    return or_older(partial(_load_tokenizer, cls))(preset, overrides)


def _load_tokenizer(cls, preset, overrides):
    source = find(preset)
    with naming(preset, source.folder):
        return _read(source, lambda: tokenizer_files.read_tokenizer(cls, source.folder, overrides))


def load_preprocessor(cls, preset, **overrides):
    """Make the preprocessor of a preset; what `FalconCausalLMPreprocessor.from_preset` does."""
    return or_older(partial(_load_preprocessor, cls))(preset, overrides)


def _load_preprocessor(cls, preset, overrides):
    source = find(preset)
    folder = source.folder

    def read():
        tokenizer = tokenizer_files.read_tokenizer(cls.tokenizer_cls, folder, {})
        return tokenizer_files.read_preprocessor(cls, folder, tokenizer, overrides)

    with naming(preset, folder):
        return _read(source, read)


def _read(source, read):
    """Read from a folder that somebody may save meanwhile; a hub's only ever gets more files."""
    return read() if "://" in source else read_steadily(source.folder, read)


def _configure(cls, folder, overrides):
    """Return format, class, arguments and configuration of a preset, all of them checked.

    The configuration is `None` if the class is no Falcon.
    """
    file_format, found, arguments = _read_config(folder, cls)
    known = keras_hub.argument_names(found)
    tokenizer_files.check_overrides(overrides, known, "the backbone")
    arguments.update(overrides)
    if not issubclass(found, cls.registry["FalconBackbone"]):
        return file_format, found, arguments, None
    config = _falcon_config(arguments, folder)
    check_size(config, folder, overrides.get("dtype"))
    return file_format, found, arguments, config


def _read_config(folder, cls):
    """Return the format of a preset, the class that it holds, and the arguments for it."""
    config, source = read_json(folder, "config.json"), f"{folder}/config.json"
    file_format, _ = format_of(config, source)
    found, arguments = file_format.read_config(config, source, cls.registry)
    if file_format is transformers and issubclass(cls, found):
        found = cls  # transformers knows no classes of ours
    if not issubclass(found, cls):
        raise ValueError(
            f"{folder} holds a {found.__name__}, not a {cls.__name__}. "
            f"Use `{found.__name__}.from_preset`."
        )
    return file_format, found, arguments


def _falcon_config(arguments, folder):
    try:
        return FalconConfig(
            **{name: arguments[name] for name in CONFIG_FIELDS if name in arguments}
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"The configuration in {folder}/config.json can't be: {error}") from None


def _untied(config, folder):
    warn_user(
        f"The configuration in {folder}/config.json ties the head to the embedding, but the "
        "weights have a head of their own that differs: it is used, with "
        "`tie_word_embeddings=False`."
    )
    return dataclasses.replace(config, tie_word_embeddings=False)

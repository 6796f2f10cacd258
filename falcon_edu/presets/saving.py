"""Write models, tokenizers and preprocessors as presets, all of one or nothing."""

from falcon_edu.presets import keras_hub, tokenizer_files, transformers
from falcon_edu.presets.folders import read_json
from falcon_edu.presets.formats import FORMATS, TASK_WEIGHTS
from falcon_edu.presets.replacement import replace_folder
from falcon_edu.storage.files import check_space, real_path

# What a new backbone leaves no use for. A tokenizer, a README and so on stay where they are.
OUTDATED = {
    "KerasHub": (
        "metadata.json",
        "model.weights.h5",
        "model.weights.json",
        "model_[0-9]*.weights.h5",
        "task.json",
        TASK_WEIGHTS,
    ),
    "transformers": (
        "model.safetensors",
        "model.safetensors.index.json",
        "model-[0-9]*-of-[0-9]*.safetensors",
        "pytorch_model*.bin",
        "pytorch_model.bin.index.json",
    ),
}
OUTDATED_TOKENIZER = (f"{tokenizer_files.ASSETS}/*",)


def save_backbone(backbone, preset_dir, max_shard_size=10):
    """Save a backbone in KerasHub's format; what `Backbone.save_to_preset` does.

    Args:
        backbone: a `Backbone`. With LoRA enabled, the merged weights are saved, as Keras does.
        preset_dir: path of the folder to make or replace; a tokenizer in it stays.
        max_shard_size: largest size of one weight file in gigabytes; `None` for a single file.

    Raises:
        OSError: the disk has no room for it; nothing was written.
        ValueError: the folder holds a model of transformers, or `preset_dir` is no path for one.
    """
    _check_target(preset_dir, "KerasHub")
    _check_backbone(preset_dir, backbone)
    replace_folder(
        preset_dir,
        lambda folder: keras_hub.write_backbone(folder, backbone, max_shard_size),
        OUTDATED["KerasHub"],
    )


def save_tokenizer(tokenizer, preset_dir):
    """Save a tokenizer in KerasHub's format; the other files of the folder stay."""
    _check_target(preset_dir, "KerasHub")
    replace_folder(
        preset_dir,
        lambda folder: tokenizer_files.write_keras_hub_tokenizer(folder, tokenizer),
        OUTDATED_TOKENIZER,
    )


def save_preprocessor(preprocessor, preset_dir):
    """Save a preprocessor and its tokenizer in KerasHub's format; other files stay."""
    _check_target(preset_dir, "KerasHub")
    replace_folder(
        preset_dir,
        lambda folder: tokenizer_files.write_keras_hub_preprocessor(folder, preprocessor),
        OUTDATED_TOKENIZER,
    )


def save_causal_lm(causal_lm, preset_dir, max_shard_size=10):
    """Save backbone, preprocessor and tokenizer in KerasHub's format, all or none.

    Args:
        causal_lm: has a `backbone`, and a `preprocessor` that may be `None`.
        preset_dir, max_shard_size: as in `save_backbone`.
    """
    _check_target(preset_dir, "KerasHub")
    _check_backbone(preset_dir, causal_lm.backbone)

    def write(folder):
        keras_hub.write_backbone(folder, causal_lm.backbone, max_shard_size)
        if causal_lm.has_task_weights():
            causal_lm.save_task_weights(folder / TASK_WEIGHTS)
        if causal_lm.preprocessor is not None:
            tokenizer_files.write_keras_hub_preprocessor(folder, causal_lm.preprocessor)

    replace_folder(preset_dir, write, OUTDATED["KerasHub"] + OUTDATED_TOKENIZER)


def export_to_transformers(backbone, path, tokenizer=None, max_shard_size=5, add_start_token=False):
    """Save a backbone in transformers' format; what `Backbone.export_to_transformers` does.

    transformers computes ALiBi in bfloat16: it agrees best with an `alibi_dtype` of `"bfloat16"`.

    Args:
        backbone: a `FalconBackbone`. With LoRA enabled, the merged weights are saved.
        path: path of the folder to make or replace.
        tokenizer: a `FalconTokenizer` to save with it, or `None`.
        max_shard_size: largest size of one weight file in gigabytes.
        add_start_token: whether the tokenizer starts a text with its start token.

    Raises:
        OSError: the disk has no room for it; nothing was written.
        ValueError: transformers has no Falcon of this layout, or the folder holds a preset of
            KerasHub, or `path` is no path for one.
    """
    _check_target(path, "transformers")
    _check_backbone(path, backbone)

    def write(folder):
        transformers.write_backbone(folder, backbone, tokenizer, max_shard_size)
        if tokenizer is not None:
            tokenizer_files.write_transformers_tokenizer(folder, tokenizer, add_start_token)

    replace_folder(path, write, OUTDATED["transformers"])


def export_tokenizer(tokenizer, path, add_start_token=False):
    """Save a tokenizer in transformers' format; the other files of the folder stay."""
    _check_target(path, "transformers")
    replace_folder(
        path,
        lambda folder: tokenizer_files.write_transformers_tokenizer(
            folder, tokenizer, add_start_token
        ),
    )


def _check_backbone(path, backbone):
    """Refuse to begin with rounded weights, or where the disk has no room beside what is there."""
    modes = {layer.quantization_mode for layer in backbone._flatten_layers()} - {None}
    if "int8" in modes:
        policy = backbone.token_embedding.dtype_policy
        name = policy.name if policy.quantization_mode == "int8" else "int8"
        raise ValueError(
            "Presets hold weights as floats, and these have eight bits. Save the model as it was "
            f"before, and load it with `dtype={name!r}`: that rounds on the way."
        )
    if modes:
        raise ValueError(
            f"Presets hold weights as floats, and these are in {', '.join(sorted(modes))}. Save "
            "the model as it was before; a `.keras` file can hold this one."
        )
    small = 4096  # bytes around a tensor: HDF5 takes about 2,400
    check_space(path, sum(variable.value.nbytes + small for variable in backbone.variables))


def _check_target(path, name):
    """Refuse to turn a model of one format into a mixture of two."""
    path = real_path(path)
    if not (path / "config.json").is_file():
        return
    try:
        config = read_json(path, "config.json")
    except ValueError:
        return  # nothing that could be lost
    for other, file_format in FORMATS.items():
        if other != name and file_format.recognizes(config):
            raise ValueError(
                f"{path} holds a model in the format of {other}, which saving in the format of "
                f"{name} would destroy. Choose another folder."
            )

"""LoRA adapters of the peft library: read, checked, and added to the weights of a backbone."""

import math
import re
from pathlib import Path

from falcon_edu.presets.folders import file_in, read_json
from falcon_edu.presets.safetensors_files import open_safetensors
from falcon_edu.presets.transformers import weight_table
from falcon_edu.presets.weights import find_weight

import numpy as np

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
NAME = re.compile(r"base_model\.model\.(.+)\.lora_([AB])\.weight")
# What an adapter may also be, and this function does not do; each with the value that is none.
UNSUPPORTED: dict[str, tuple] = {
    "use_dora": (False, None),
    "bias": ("none", None),
    "modules_to_save": (None, []),
    "fan_in_fan_out": (False, None),
    "trainable_token_indices": (None, []),
    "layer_replication": (None, []),
    "lora_bias": (False, None),
}


def merge_peft_adapter(backbone, path):
    """Adds a LoRA adapter that was trained with the peft library to the weights of a backbone.

    Each update is `scaling * B @ A`, where scaling is alpha / rank (or alpha / sqrt(rank) for
    rank-stabilised LoRA). It is added in float32 to the kernels that transformers keeps fused:
    `query_key_value`, `dense`, `dense_h_to_4h` and `dense_4h_to_h`. Everything is checked first:
    either the whole adapter is merged or nothing is.

    Args:
        backbone: a `FalconBackbone`, without LoRA enabled.
        path: path of a folder with `adapter_config.json` and `adapter_model.safetensors`.

    Raises:
        FileNotFoundError: one of the two files is missing.
        ValueError: the adapter is of another kind, for another model, or does not fit.

    Example:

    >>> import falcon_edu
    >>> falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> falcon_edu.merge_peft_adapter(falcon.backbone, "my-adapter")
    Traceback (most recent call last):
    FileNotFoundError: There is no adapter_config.json in my-adapter, which a preset needs.

    Hu et al. 2021, https://arxiv.org/abs/2106.09685, section 4.1; rank stabilisation:
    Kalajdzievski 2023, https://arxiv.org/abs/2312.03732.
    """
    folder = Path(path)
    config = _read_config(folder)
    if any(variable.name.startswith("lora_") for variable in backbone.variables):
        raise ValueError("LoRA is enabled on this backbone: merge the adapter into a fresh one.")
    updates = _read_updates(folder, config, backbone.config)
    for weights, values in updates:
        for weight, value in zip(weights, values, strict=True):
            variable = _kernel(backbone, weight)
            variable.assign(np.asarray(variable.value, dtype="float32") + value)


def _read_config(folder):
    config = read_json(folder, CONFIG)
    source = f"{folder / CONFIG}"
    if config.get("peft_type") != "LORA":
        raise ValueError(
            f"`peft_type` in {source} must be 'LORA'. Received: {config.get('peft_type')!r}"
        )
    for field, none in UNSUPPORTED.items():
        if config.get(field) not in none:
            raise ValueError(
                f"`{field}` in {source} must be {none[0]!r}: such adapters can't be merged. "
                f"Received: {config[field]!r}"
            )
    for field in ("r", "lora_alpha"):
        number = config.get(field)
        is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
        if not is_number or not 0 < number < math.inf:
            raise ValueError(
                f"`{field}` in {source} must be a number above 0. Received: {number!r}"
            )
    return config


def _read_updates(folder, config, backbone_config):
    """What to add: for every adapted tensor the paths of its weights, and a value for each."""
    if file_in(folder, WEIGHTS) is None:
        raise FileNotFoundError(f"There is no {WEIGHTS} in {folder}.")
    entries = {entry.name: entry for entry in weight_table(backbone_config)}
    with open_safetensors(folder, WEIGHTS) as tensors:
        factors, problems = _pairs(tensors, entries)
        for module, pair in factors.items():
            problems += _misfits(module, pair, entries[f"{module}.weight"].shape)
        if problems or not factors:
            raise ValueError(
                f"{folder / WEIGHTS} does not fit this backbone, nothing was merged: "
                f"{'; '.join(problems) or 'it has no LoRA factors'}."
            )
        updates = []
        for module, pair in factors.items():
            entry = entries[f"{module}.weight"]
            a, b = (pair[side].read().astype("float32") for side in "AB")
            update = _scaling(module, config, a.shape[0]) * (b @ a)
            if not np.isfinite(update).all():
                raise ValueError(f"The update of {module} in {folder / WEIGHTS} is not finite.")
            updates.append((entry.weights, entry.split(update)))
    return updates


def _pairs(tensors, entries):
    """The factors by module, `{module: {"A": tensor, "B": tensor}}`, and what fits nowhere."""
    factors: dict[str, dict] = {}
    problems = []
    for name, tensor in tensors.items():
        match = NAME.fullmatch(name)
        if match is None or f"{match[1]}.weight" not in entries or "norm" in match[1]:
            problems.append(f"{name} belongs to nothing here")
        else:
            factors.setdefault(match[1], {})[match[2]] = tensor
    return factors, problems


def _misfits(module, pair, shape):
    if set(pair) != {"A", "B"}:
        return [f"{module} has only one of its two factors"]
    a, b = pair["A"].shape, pair["B"].shape
    if len(a) != 2 or len(b) != 2 or (b[0], a[1]) != shape or a[0] != b[1]:
        return [f"{module} has factors of shapes {a} and {b} for a weight of shape {shape}"]
    return []


def _scaling(module, config, rank):
    """alpha / rank; both may differ for modules whose names match a pattern."""
    alpha = config["lora_alpha"]
    for pattern, value in (config.get("alpha_pattern") or {}).items():
        if re.fullmatch(rf"(.*\.)?({re.escape(pattern)})", module):
            alpha = value
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _kernel(backbone, path):
    layer = find_weight(backbone, path.rpartition(".")[0])
    return layer._kernel if hasattr(layer, "_kernel") else find_weight(backbone, path)

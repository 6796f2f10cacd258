"""LoRA adapters of the peft library: read, checked, and added to the weights of a backbone."""

import math
import re
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from falcon_edu.presets.finite import is_finite
from falcon_edu.presets.folders import file_in, read_json
from falcon_edu.presets.pytorch_files import read_pytorch
from falcon_edu.presets.safetensors_files import open_safetensors
from falcon_edu.presets.transformers import weight_table
from falcon_edu.presets.weights import find_variable
from falcon_edu.storage.interrupts import uninterrupted
from falcon_edu.storage.strangers import listed, plain, shown

import numpy as np

CONFIG = "adapter_config.json"
WEIGHTS, OLD_WEIGHTS = "adapter_model.safetensors", "adapter_model.bin"
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
    "target_parameters": (None, []),
    **dict.fromkeys(("use_qalora", "use_bdlora"), (False, None)),
    **dict.fromkeys(("alora_invocation_tokens", "arrow_config", "kasa_config"), (None,)),
    **dict.fromkeys(("lora_ga_config", "monteclora_config", "velora_config"), (None,)),
    # Other ways to start (PiSSA, OLoRA, CorDA, LoftQ) change the weights that the adapter is for.
    "init_lora_weights": (True, False, None, "gaussian", "eva", "orthogonal"),
}
FLOATS = {"float16", "bfloat16", "float32", "float64"}
# A key of `alpha_pattern` may be a regular expression, which from a stranger can take forever.
PLAIN = re.compile(r"[\w.]+")


def merge_peft_adapter(backbone: Any, path: str | PathLike[str]) -> None:
    """Add a LoRA adapter that was trained with the peft library to the weights of a backbone.

    Each update is `scaling * B @ A`, where scaling is alpha / rank (or alpha / sqrt(rank) for
    rank-stabilised LoRA). It is added in float32 to the kernels that transformers keeps fused:
    `query_key_value`, `dense`, `dense_h_to_4h` and `dense_4h_to_h`. Everything is checked first:
    either the whole adapter is merged or nothing is.

    Args:
        backbone: a `FalconBackbone`, without LoRA enabled.
        path: path of a folder with `adapter_config.json` and `adapter_model.safetensors` (or
            `adapter_model.bin`, as peft wrote it at first).

    Raises:
        FileNotFoundError: one of the two files is missing.
        ValueError: the adapter is of another kind, for another model, or does not fit; or the
            backbone has weights of eight bits, in which small updates are lost.

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
    if any(str(variable.dtype) == "int8" for variable in backbone.variables):
        raise ValueError(
            "This backbone has weights of eight bits: merge the adapter into one in float32 or "
            'bfloat16, and call `quantize("int8")` after.'
        )
    with _open_weights(folder) as tensors:
        updates = _check_factors(folder, config, backbone, tensors)
        # One at a time: together they may be as large as the model. The first round only looks.
        for update in updates:
            update()
        with uninterrupted():  # half of an adapter would be another model
            for update in updates:
                for weight, value in update():
                    variable = find_variable(backbone, weight)
                    variable.assign(np.asarray(variable.value, dtype="float32") + value)


@contextmanager
def _open_weights(folder):
    """Return the factors by name, in either of the files that peft writes."""
    if file_in(folder, WEIGHTS):
        with open_safetensors(folder, WEIGHTS) as tensors:
            yield tensors
    elif path := file_in(folder, OLD_WEIGHTS):
        yield read_pytorch(path)
    else:
        raise FileNotFoundError(f"There is no {WEIGHTS} in {folder}, nor {OLD_WEIGHTS}.")


def _read_config(folder):
    config = read_json(folder, CONFIG)
    source = f"{folder / CONFIG}"
    if config.get("peft_type") != "LORA":
        raise ValueError(
            f"`peft_type` in {source} must be 'LORA'. Received: {shown(config.get('peft_type'))}"
        )
    for field, none in UNSUPPORTED.items():
        if config.get(field) not in none:
            raise ValueError(
                f"`{field}` in {source} must be {none[0]!r}: such adapters can't be merged. "
                f"Received: {shown(config[field])}"
            )
    for field in ("r", "lora_alpha"):
        _check_number(config.get(field), f"`{field}` in {source}")
    if config["r"] != int(config["r"]):
        raise ValueError(f"`r` in {source} must be a whole number. Received: {config['r']}")
    if not isinstance(config.get("use_rslora", False), (bool, type(None))):
        raise ValueError(
            f"`use_rslora` in {source} must be true or false. "
            f"Received: {shown(config['use_rslora'])}"
        )
    patterns = config.get("alpha_pattern") or {}
    if not isinstance(patterns, dict):
        raise ValueError(
            f"`alpha_pattern` in {source} must be an object. Received: {shown(patterns)}"
        )
    for pattern, alpha in patterns.items():
        _check_number(alpha, f"`alpha_pattern` of {shown(pattern)} in {source}")
        if not PLAIN.fullmatch(pattern):
            raise ValueError(
                f"`alpha_pattern` in {source} has {shown(pattern)}: a regular expression of a "
                "stranger is not run. Write out the names of the modules."
            )
    return config


def _check_number(number, what):
    is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
    if not is_number or not 0 < number < 1e9:
        raise ValueError(
            f"{what} must be a number above 0 and below a billion. Received: {shown(number)}"
        )


def _check_factors(folder, config, backbone, tensors):
    """Return what to add: for every adapted tensor a function that gives `[(path, value)]`.

    Raises:
        ValueError: some factors fit nowhere; all are named.
    """
    source = next(folder / name for name in (WEIGHTS, OLD_WEIGHTS) if file_in(folder, name))
    entries = {entry.name: entry for entry in weight_table(backbone.config)}
    factors, problems = _pairs(tensors, entries)
    rank = None if config.get("rank_pattern") else config["r"]
    for module, pair in factors.items():
        problems += _misfits(module, pair, entries[f"{module}.weight"].shape, rank)
    if problems or not factors:
        raise ValueError(
            f"{source} does not fit this backbone, nothing was merged: "
            f"{'; '.join(problems[:20]) or 'it has no LoRA factors'}."
        )

    def updates_of(module, pair):
        def updates():
            entry = entries[f"{module}.weight"]
            a, b = (pair[side].read().astype("float32") for side in "AB")
            update = _scaling(module, config, a.shape[0]) * (b @ a)
            dtype = find_variable(backbone, entry.weights[0]).dtype
            if not is_finite(update, dtype):
                raise ValueError(f"The update of {module} in {source} is not finite in {dtype}.")
            return zip(entry.weights, entry.split(update), strict=True)

        return updates

    return [updates_of(module, pair) for module, pair in factors.items()]


def _pairs(tensors, entries):
    """Return `{module: {"A": tensor, "B": tensor}}`, and what fits nowhere."""
    factors: dict[str, dict] = {}
    problems = []
    for name, tensor in tensors.items():
        match = NAME.fullmatch(name)
        if match is None or f"{match[1]}.weight" not in entries or "norm" in match[1]:
            problems.append(f"{plain(name)} belongs to nothing here")
        else:
            factors.setdefault(match[1], {})[match[2]] = tensor
    return factors, problems


def _misfits(module, pair, shape, rank):
    if set(pair) != {"A", "B"}:
        return [f"{module} has only one of its two factors"]
    if types := {pair[side].dtype for side in "AB"} - FLOATS:
        return [f"{module} has factors in {listed(sorted(types))}"]
    a, b = pair["A"].shape, pair["B"].shape
    if len(a) != 2 or len(b) != 2 or (b[0], a[1]) != shape or a[0] != b[1]:
        return [f"{module} has factors of shapes {shown(a)} and {shown(b)} for a weight of {shape}"]
    if not a[0] or rank not in (None, a[0]):
        return [f"{module} has factors of rank {a[0]}, but `r` is {rank}"]
    return []


def _scaling(module, config, rank):
    """alpha / rank; both may differ for modules whose names match a pattern."""
    alpha = config["lora_alpha"]
    for pattern, value in (config.get("alpha_pattern") or {}).items():
        if f".{module}".endswith(f".{pattern}"):
            alpha = value
            break  # as in peft, the first one counts
    return alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)

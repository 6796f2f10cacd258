"""LoRA on a backbone: what enabling, saving, loading and merging mean.

The factors themselves are Keras's own (`layer.enable_lora`). Here is what a model needs around
them: everything else frozen, names that must match, and files that know what they belong to.
Hu et al. 2021, https://arxiv.org/abs/2106.09685.
"""

import json
import re
from contextlib import contextmanager
from pathlib import Path

from falcon_edu.scale.distribution import adapt_layout_map
from falcon_edu.storage.files import check_space, replace_file
from falcon_edu.storage.hdf5 import BROKEN, open_datasets
from falcon_edu.storage.interrupts import uninterrupted
from falcon_edu.storage.strangers import listed, plain, shown
from falcon_edu.support.layer_state import KEY

import h5py
import keras
import ml_dtypes
import numpy as np

MOST_RANK = 1_000_000
MOST_ALPHA = 1e9  # as alpha / rank it multiplies an update, in float32 or less


@uninterrupted()
def enable(backbone, rank, target_layer_names=None):
    """Freeze every weight of a backbone and add trainable factors to the target layers.

    Args:
        backbone: a `Backbone`.
        rank: inner width of the factors, at least 1.
        target_layer_names: names of the layers to adapt; the backbone's defaults if `None`.

    Raises:
        ValueError: the rank is below one, a name matches no layer, or LoRA is enabled already.
    """
    if target_layer_names is None:
        targets = _layers_named(backbone, backbone.default_lora_layer_names(), all_must_match=False)
    else:
        targets = _layers_named(backbone, target_layer_names)
    _enable_on(backbone, rank, targets)


@uninterrupted()
def merge(backbone):
    """Add every update to the kernel it belongs to: the same outputs with factors of zero.

    Args:
        backbone: a backbone with LoRA enabled.

    Raises:
        ValueError: LoRA is not enabled, or merged already, or the weights have eight bits.
    """
    if any(layer.quantization_mode for layer in adapted_layers(backbone)):
        raise ValueError(
            "An update can't be merged into weights of eight bits, which are too coarse for it. "
            "Load the model in float32 and the adapter into that one."
        )
    if getattr(backbone, "merged_lora", None):
        raise ValueError("LoRA is merged already; `unmerge_lora()` takes it out again.")
    backbone.merged_lora = {}
    for layer in _require_adapted_layers(backbone):
        factors = [keras.ops.convert_to_numpy(factor) for factor in _factors(layer)]
        _add_update(layer, factors, sign=1)
        for factor in _factors(layer):
            factor.assign(np.zeros(factor.shape))
        backbone.merged_lora[layer.path] = factors


@uninterrupted()
def unmerge(backbone):
    """Take merged updates out of the kernels and put the factors back: `merge` undone.

    Args:
        backbone: a backbone whose LoRA was merged.

    Raises:
        ValueError: there is nothing merged.
    """
    if not getattr(backbone, "merged_lora", None):
        raise ValueError("LoRA is not merged; `merge_lora()` comes first.")
    for layer in _require_adapted_layers(backbone):
        saved = backbone.merged_lora[layer.path]
        _add_update(layer, saved, sign=-1)
        for factor, value in zip(_factors(layer), saved, strict=True):
            factor.assign(value)
    backbone.merged_lora = {}


def at_strength(backbone, strength):
    """Return the factors that make the update of a backbone weaker or stronger, for one run.

    The update is a product, so scaling one of its two factors scales the whole.

    Args:
        backbone: a backbone with LoRA enabled.
        strength: what to multiply the update with: 0 for the base, 1 for the trained model.

    Returns:
        `{variable path: array}`, the factors b times the strength, as `activations.run` takes them.

    Raises:
        ValueError: LoRA is not enabled, or merged.

    Example:

    >>> from falcon_edu import FalconBackbone
    >>> backbone = FalconBackbone(10, num_layers=1, num_attention_heads=2, hidden_dim=8,
    ...                           intermediate_dim=16)
    >>> backbone.enable_lora(rank=2)
    >>> [b.shape for b in at_strength(backbone, 0.5).values()]
    [(2, 4), (2, 4)]
    """
    adapted = _require_adapted_layers(backbone)
    if getattr(backbone, "merged_lora", None):
        raise ValueError("LoRA is merged into the weights; `unmerge_lora()` takes it out again.")
    factors = [_factors(layer)[1] for layer in adapted]
    return {b.path: strength * keras.ops.convert_to_numpy(b) for b in factors}


def save(backbone, filepath):
    """Save the factors in KerasHub's file format, with what they belong to as an attribute.

    Args:
        backbone: a backbone with LoRA enabled.
        filepath: path of the file, ending in `.lora.h5`.

    Raises:
        OSError: the disk has no room for it.
        ValueError: LoRA is not enabled, or merged, or the path has another ending.
    """
    _check_suffix(filepath)
    adapted = _require_adapted_layers(backbone)
    if getattr(backbone, "merged_lora", None):
        raise ValueError("LoRA is merged into the weights; `unmerge_lora()` before you save it.")
    layers = _layers(backbone)
    description = {
        "rank": adapted[0].lora_rank,
        "alpha": adapted[0].lora_alpha,
        "targets": sorted({layer.name for layer in adapted}),
        "base": _fingerprint(backbone),
    }
    check_space(filepath, sum(4096 + f.value.nbytes for x in adapted for f in _factors(x)))

    def write(path):
        with h5py.File(path, "w") as file:
            file.attrs["falcon_edu"] = np.bytes_(json.dumps(description))
            file["lora/vars/rank"] = adapted[0].lora_rank
            for layer in adapted:
                # KerasHub knows a layer by its index among all that have weights.
                group = file.create_group(f"lora/{_index(layers, layer)}/vars")
                for factor in _factors(layer):
                    group[factor.name] = keras.ops.convert_to_numpy(factor)

    replace_file(filepath, write)


def load(backbone, filepath):
    """Load factors from a `.lora.h5` file, enabling LoRA on the file's layers where it is not.

    Everything is compared before anything changes.

    Args:
        backbone: a backbone of the configuration that the factors were trained on.
        filepath: a file written by `save_lora_weights`, here or in KerasHub.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is none of LoRA's, or its base, rank, layers or shapes do not fit.
    """
    _check_suffix(filepath)
    if not Path(filepath).is_file():
        raise FileNotFoundError(f"There is no LoRA file {filepath}.")
    layers = _layers(backbone)
    adapted = adapted_layers(backbone)
    with open_datasets(filepath, "falcon_edu") as (datasets, text):
        rank, alpha, base = _read_description(filepath, datasets, text)
        _check_base(filepath, base, _fingerprint(backbone))
        found = _find_factors(filepath, datasets, layers)
        targets = [layers[index] for index in found]
        if adapted:
            _check_enabled(filepath, rank, targets, adapted)
        for index, (a, b) in found.items():
            _check_shapes(filepath, layers[index], rank, a, b)
        _check_all_blocks(filepath, targets, layers)
        factors = {
            index: [_read_factor(filepath, x, layers[index].variable_dtype) for x in pair]
            for index, pair in found.items()
        }
    with uninterrupted():  # all factors are read: what is left is short
        if not adapted:
            _enable_on(backbone, rank, targets)
        for index, values in factors.items():
            layers[index].lora_alpha = alpha
            for factor, value in zip(_factors(layers[index]), values, strict=True):
                factor.assign(value)
        backbone.merged_lora = {}


def adapted_layers(backbone):
    """Return the layers of a backbone that have LoRA factors, in order."""
    return [layer for layer in _layers(backbone) if getattr(layer, "lora_enabled", False)]


# === Layers and factors ===


def _layers(backbone):
    """Every layer with weights, in the order in which KerasHub counts them."""
    return [layer for layer in backbone._flatten_layers(include_self=False) if layer.weights]


def _layers_named(backbone, names, all_must_match=True):
    adaptable = [layer for layer in _layers(backbone) if hasattr(layer, "enable_lora")]
    existing = sorted({layer.name for layer in adaptable})
    if isinstance(names, str) or not names:
        raise ValueError(
            "`target_layer_names` must be a list with at least one name. "
            f"Received: {names!r}. There are: {', '.join(existing)}"
        )
    missing = [name for name in names if name not in existing]
    found = [layer for layer in adaptable if layer.name in names]
    if (missing and all_must_match) or not found:
        raise ValueError(
            f"`target_layer_names` has names that no layer has: {', '.join(map(repr, missing))}. "
            f"There are: {', '.join(existing)}"
        )
    return found


def _enable_on(backbone, rank, targets):
    if isinstance(rank, bool) or not hasattr(rank, "__index__") or rank < 1:
        raise ValueError(f"`rank` must be a whole number of at least 1. Received: {rank!r}")
    if adapted_layers(backbone):
        raise ValueError(
            "LoRA is enabled on this backbone already. For other targets or another rank, "
            "start from a fresh backbone."
        )
    if any(layer.quantization_mode == "float8" for layer in targets):
        raise ValueError("LoRA does not go with float8. Enable it on a model of floats or int8.")
    adapt_layout_map(getattr(backbone, "config", None))
    for layer in targets:
        layer.enable_lora(int(rank))
    backbone.trainable = True  # who adapts a frozen model wants the factors trained
    backbone.merged_lora = {}


def freeze_all_but_factors(backbone):
    """Freeze every weight but the factors of LoRA, if it is enabled.

    Keras freezes only the kernel of an adapted layer. Its bias would train but not be saved, and a
    reloaded adapter would differ from the trained one.
    """
    adapted = adapted_layers(backbone)
    if adapted and backbone.trainable:
        factors = {id(factor) for layer in adapted for factor in _factors(layer)}
        for variable in backbone.variables:
            variable.trainable = id(variable) in factors


@contextmanager
def merged_in_files(backbone):
    """Let files get weights with the update of LoRA, and no factors, while the block lasts."""
    adapted = adapted_layers(backbone)
    for layer in adapted:
        layer.saves_merged = True
    try:
        yield
    finally:
        for layer in adapted:
            layer.saves_merged = False


def _require_adapted_layers(backbone):
    layers = adapted_layers(backbone)
    if not layers:
        raise ValueError("LoRA is not enabled on this backbone; call `enable_lora(rank)` first.")
    return layers


def _factors(layer):
    """Return the two factor variables of an adapted layer: a, which reads, and b, which writes."""
    return sorted(
        (variable for variable in layer.variables if variable.name.startswith("lora_")),
        key=lambda variable: variable.name,
    )


def _add_update(layer, factors, sign):
    a, b = factors
    weight = layer._kernel if hasattr(layer, "_kernel") else layer._embeddings
    update = sign * (layer.lora_alpha / layer.lora_rank) * (a @ b)
    weight.assign(keras.ops.convert_to_numpy(weight).astype("float32") + update)


def _index(layers, layer):
    return next(index for index, other in enumerate(layers) if other is layer)


# === Files ===


def _fingerprint(backbone):
    """Identify what a base must have in common with the one the factors were trained on."""
    config = backbone.get_config()
    return {
        key: config[key] for key in sorted(config) if key not in ("name", "trainable", "dtype", KEY)
    }


def _check_suffix(filepath):
    if not str(filepath).endswith(".lora.h5"):
        raise ValueError(f"A LoRA file's name must end in `.lora.h5`. Received: {filepath}")


def _read_description(filepath, datasets, text):
    """Return a file's rank, alpha and base, of which KerasHub's files have the first alone."""
    try:
        rank = datasets["lora/vars/rank"]
        if rank.size != 1 or rank.dtype.kind not in "iuf":
            raise ValueError(f"its rank is {rank.size} of {rank.dtype}")
        rank = rank[()].item()
        description = json.loads(text or "{}")
        if not isinstance(description, dict):
            raise ValueError(f"it describes itself as {shown(description)}")
        alpha, base = description.get("alpha", rank), description.get("base")
    except (*BROKEN, RecursionError) as error:
        reason = plain(error, 200)
        raise ValueError(f"{filepath} is not a LoRA file that can be read: {reason}") from None
    if rank != rank or not 1 <= rank <= MOST_RANK or rank != int(rank):
        raise ValueError(f"The rank in {filepath} must be a whole number. Received: {shown(rank)}")
    is_number = isinstance(alpha, (int, float)) and not isinstance(alpha, bool)
    if not is_number or not abs(alpha) <= MOST_ALPHA:
        raise ValueError(
            f"The alpha in {filepath} must be a number of at most {MOST_ALPHA:,.0f}. "
            f"Received: {shown(alpha)}"
        )
    if not isinstance(base, (dict, type(None))):
        raise ValueError(f"The base in {filepath} must be an object. Received: {shown(base)}")
    return int(rank), alpha, base


def _find_factors(filepath, datasets, layers):
    """Return a file's factors, not read yet: `{layer index: (a, b)}`."""
    factors: dict[int, dict] = {}
    for name in sorted(datasets):
        found = re.fullmatch(r"lora/(0|[1-9][0-9]{0,5})/vars/lora_(kernel|embeddings)_[ab]", name)
        if found:
            factors.setdefault(int(found[1]), {})[name] = found[2]
    wrong = [
        index
        for index, kinds in factors.items()
        if index >= len(layers) or len(kinds) != 2 or len({*kinds.values()}) != 1
    ]
    if wrong or not factors:
        raise ValueError(
            f"{filepath} does not fit this backbone: it has factors for the layers "
            f"{listed(sorted(factors)) or 'none'}; the backbone has {len(layers)} layers with "
            "weights. It was trained on a model with more blocks, or with others."
        )
    return {index: [datasets[name] for name in factors[index]] for index in sorted(factors)}


def _read_factor(filepath, dataset, dtype):
    """Return a factor in float32, if all its numbers are finite in the dtype that will hold it."""
    name = plain(dataset.name)
    try:
        is_bfloat16 = dataset.dtype.str == "|V2"  # how HDF5 keeps one
        if not is_bfloat16 and dataset.dtype.kind != "f":
            raise ValueError(f"{name} holds no floating-point numbers but {dataset.dtype}")
        value = dataset[()]
        value = value.view(ml_dtypes.bfloat16) if is_bfloat16 else value
        with np.errstate(over="ignore"):  # what becomes infinite is refused
            value = value.astype("float32")
            is_finite = np.isfinite(value.astype(np.dtype(dtype))).all()
    except BROKEN as error:
        raise ValueError(
            f"{filepath} is no whole HDF5 file of factors: {name}: {plain(error, 200)}"
        ) from None
    if not is_finite:
        raise ValueError(
            f"{filepath} is refused: {name} has numbers that are not finite in {dtype}."
        )
    return value


def _check_base(filepath, base, own):
    if base is None:  # KerasHub's files do not say what they belong to.
        return
    names = sorted(name for name in {*base, *own} if base.get(name) != own.get(name))
    if names:
        differences = "; ".join(
            f"{plain(name)} {shown(base.get(name))} there, {shown(own.get(name))} here"
            for name in names[:20]
        )
        raise ValueError(f"{filepath} was trained on another backbone: {differences}.")


def _check_enabled(filepath, rank, targets, adapted):
    if adapted[0].lora_rank != rank:
        raise ValueError(
            f"{filepath} has rank {rank}, but LoRA is enabled with rank {adapted[0].lora_rank}. "
            "Load it into a fresh backbone, or enable LoRA with the file's rank."
        )
    if {id(layer) for layer in targets} != {id(layer) for layer in adapted}:
        raise ValueError(
            f"{filepath} adapts {sorted({layer.name for layer in targets})} "
            f"({len(targets)} layers), but LoRA is enabled on "
            f"{sorted({layer.name for layer in adapted})} "
            f"({len(adapted)} layers). Load it into a fresh backbone."
        )


def _check_all_blocks(filepath, targets, layers):
    """Refuse a file for fewer blocks, which would leave the last ones as they are."""
    names = {layer.name for layer in targets}
    there, here = len(targets), sum(layer.name in names for layer in layers)
    if there != here:
        raise ValueError(
            f"{filepath} has factors for {there} of the {here} layers named "
            f"{', '.join(sorted(names))}: it was trained on a model with another number of blocks."
        )


def _check_shapes(filepath, layer, rank, a, b):
    weight = getattr(layer, "_kernel", None)
    if weight is None:
        weight = getattr(layer, "_embeddings", None)
    if weight is None or not hasattr(layer, "enable_lora"):
        raise ValueError(
            f"{filepath} has factors for `{layer.path}`, a layer that takes none. "
            "It was trained on a model with another number of blocks, or with others."
        )
    shape = getattr(layer, "shape_of_kernel", weight.shape)
    shapes = (*shape[:-1], rank), (rank, shape[-1])
    if (a.shape, b.shape) != shapes:
        raise ValueError(
            f"{filepath} has factors of shapes {a.shape} and {b.shape} for `{layer.path}`, "
            f"which needs {shapes[0]} and {shapes[1]}."
        )

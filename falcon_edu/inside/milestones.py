"""Load what a shipped model was on the way: after one million tokens of training, two, four."""

from falcon_edu.model.causal_lm import FalconCausalLM
from falcon_edu.presets.registry import DATA, builtin_presets

import numpy as np

FILES = "milestones"  # a folder beside those of the presets


def milestones(preset="falcon_tales_rw_en"):
    """Load the milestones of a shipped model, the youngest first, and the model itself at last.

    The milestones are from the first stage of training. The model went on where that ended, with
    tales that had been changed (`docs/training.md`). The weights of milestones are rounded to eight
    bits, so that all of them together are hardly larger than one model.

    Args:
        preset: id of a model that ships with its milestones.

    Yields:
        `(tokens, causal_lm)`: the number of tokens that it had read, and a `FalconCausalLM`.

    Raises:
        ValueError: there are no milestones of this preset.

    >>> [tokens // 1_000_000 for tokens, _ in milestones()][:5]
    [1, 2, 4, 8, 16]
    """
    paths = {int(path.stem): path for path in (DATA / FILES / preset).glob("*.npz")}
    if not paths:
        kept = sorted(folder.name for folder in (DATA / FILES).glob("*"))
        raise ValueError(f"There are no milestones of {preset!r}, only of {', '.join(kept)}.")
    for tokens in sorted(paths):
        causal_lm = FalconCausalLM.from_preset(preset)
        causal_lm.backbone.set_weights(read(paths[tokens]))
        yield tokens, causal_lm
    trained = builtin_presets()[preset]["metadata"]["training"]
    yield trained["tokens"], FalconCausalLM.from_preset(preset)


def write(path, arrays):
    """Write arrays: eight bits for each number of a matrix, and a scale for each of its rows."""
    kept = {}
    for number, array in enumerate(arrays):
        if array.ndim == 1:
            kept[f"{number}"] = array
            continue
        scale = np.abs(array).max(axis=-1, keepdims=True) / 127
        kept[f"{number} scale"] = scale
        kept[f"{number}"] = np.round(array / np.maximum(scale, 1e-12)).astype("int8")
    np.savez_compressed(path, **kept)


def read(path):
    """Return what `write` wrote, a list of float32 arrays."""
    with np.load(path) as file:
        numbers = sorted(int(name) for name in file.files if name.isdecimal())
        return [file[f"{n}"] * file.get(f"{n} scale", np.float32(1)) for n in numbers]

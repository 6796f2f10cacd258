"""Saves one of two models again and again, is killed at moments of a seed, and looks what is left.

    python -m tests.save_and_die save_to_preset /tmp/folder

Nothing is computed in the process that forks, which JAX would not survive.
"""

import functools
import json
import os
import sys
from pathlib import Path

from falcon_edu import FalconBackbone
from tests.faults import count_steps, in_a_child, kill, moments, strike_at
from tests.layouts import zeros_for_random_weights

import numpy as np


def model(number, with_lora):
    with zeros_for_random_weights():
        backbone = FalconBackbone(50, 1, 2, 16, 32)
    if with_lora:
        backbone.enable_lora(2)
    backbone.set_weights([np.full(w.shape, number) for w in backbone.weights])
    return backbone


def saver(what):
    """A function that saves model 1 or 2 to a path."""
    made = functools.cache(lambda number: model(number, what == "save_lora_weights"))

    def save(number, target):
        if what == "save_lora_weights":
            target.mkdir(exist_ok=True)
            made(number).save_lora_weights(target / "a.lora.h5")
        else:
            getattr(made(number), what)(target)

    return save


def read(what, target):
    """The number of the model that lies there, from all its tensors."""
    if what == "save_lora_weights":
        backbone = FalconBackbone(50, 1, 2, 16, 32)
        backbone.load_lora_weights(target / "a.lora.h5")
        values = [w for w in backbone.weights if w.name.startswith("lora")]
    else:
        values = FalconBackbone.from_preset(target).weights
    found = {float(x) for w in values for x in np.unique(np.asarray(w))}
    assert found in ({1}, {2}), found
    return int(min(found))


def main(what, folder, scheme="in one step"):
    folder = Path(folder)
    target = folder / "preset"
    if scheme != "in one step":
        from falcon_edu.presets import replacement

        replacement._exchange_names = lambda *_: False
    report, sender = os.pipe()

    elsewhere = folder.parent / "elsewhere"

    def first():
        save = saver(what)
        save(2, elsewhere)
        save(2, elsewhere)
        save(1, target)
        counted = count_steps(lambda: save(2, elsewhere))
        (folder.parent / "counted").write_text(json.dumps(counted))

    assert in_a_child(first) == 0
    counted, seen, dirty = json.loads((folder.parent / "counted").read_text()), [], 0
    expected = sorted(path.name for path in target.iterdir())
    for moment in moments(counted, f"{what}, {scheme}"):

        def victim(moment=moment):
            save = saver(what)
            save(2, elsewhere)  # the first one imports and compiles: its lines were not counted
            strike_at(moment, kill, lambda: save(2, target))

        def heir():
            os.write(sender, str(read(what, target)).encode())
            saver(what)(1, target)

        assert in_a_child(victim) == 9, moment
        names = [path.name for place in (folder, target) for path in place.iterdir()]
        dirty += any(name.startswith(".") for name in names)
        assert in_a_child(heir) == 0
        seen.append(int(os.read(report, 20)))
        assert [path.name for path in folder.iterdir()] == ["preset"], moment
        assert sorted(path.name for path in target.iterdir()) == expected, moment
    print(f"{len(seen)} kills: {seen.count(1)} old, {seen.count(2)} new, {dirty} left a draft")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Put trained models into the package, and say in their metadata how they were trained and judged.

    python tools/ship_tales.py                   # from build/tales
    python tools/ship_tales.py --folder FOLDER   # where tools/train_tales.py has written
    python tools/ship_tales.py --start FOLDER    # training began with these presets

`docs/training.md` has the recipe, and the table of what came of it.
"""

import argparse
import json
import platform
import shutil
from pathlib import Path
from typing import Any

from falcon_edu import FalconBackbone, FalconCausalLM
from falcon_edu.corpora import tales
from falcon_edu.evaluation import evaluate_on_tales
from falcon_edu.inside import milestones
from falcon_edu.presets.registry import BUILTIN_PRESETS, DATA
from falcon_edu.presets.replacement import replace_folder
from tools import evaluate_tales, train_tales

import keras
import numpy as np

MILESTONES_OF, SHIPPED = "falcon_tales_rw_en", 5  # that many fit into six megabytes


def training(name, folder, start=None):
    """Return how a model was trained, and what it had read before if it began with weights."""
    with np.load(folder / f"{name}.npz") as file:
        _, _, tokens, seconds = file["progress"].tolist()
    before: dict[str, Any] = {"minutes": 0}
    if start:
        before = json.loads((start / name / "metadata.json").read_text())["training"]
    earlier = before.get("stages") or [before["tokens"]] if start else []
    stages = [*earlier, int(tokens)]
    return {
        "corpus": "falcon_edu.corpora.tales",
        "recipe": "docs/training.md",
        "seed": 0,
        "tokens": sum(stages),
        "stages": stages,
        "minutes": before["minutes"] + round(seconds / 60),
        "versions": {"keras": keras.__version__, "python": platform.python_version()},
    }


def ship(name, folder, start=None):
    """Copy a preset into the package, and say there what it scores.

    It takes the old one's place in one step, once all is measured; who ships it meanwhile waits.
    """
    trained = training(name, folder, start)

    def write(new):
        shutil.copytree(folder / name, new, dirs_exist_ok=True)
        causal_lm = FalconCausalLM.from_preset(str(new))
        told = evaluate_on_tales(causal_lm, tales(1_000, seed=1, split="held_out"))
        path = new / "metadata.json"
        metadata = json.loads(path.read_text())
        metadata |= {
            **BUILTIN_PRESETS[name]["metadata"],
            "params": metadata["parameter_count"],
            "training": trained,
            "evaluation": {**told, "table": evaluate_tales.evaluate(causal_lm)},
        }
        path.write_text(json.dumps(metadata, indent=2) + "\n")

    replace_folder(DATA / name, write, outdated=["**/*"])


def ship_milestones(name, folder):
    """Write the milestones of a model into the package, in eight bits."""

    def write(new):
        for milestone in train_tales.MILESTONES[:SHIPPED]:
            backbone = FalconBackbone.from_preset(str(folder / f"{name}@{milestone / 1e6:g}M"))
            milestones.write(new / f"{milestone}.npz", backbone.get_weights())

    replace_folder(DATA / milestones.FILES / name, write, outdated=["*.npz"])


def main(arguments=None):
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=train_tales.ROOT / "build" / "tales")
    parser.add_argument("--start", type=Path, help="the folder of presets that training began with")
    chosen = parser.parse_args(arguments)
    folder, start = chosen.folder, chosen.start
    names = [name for name in train_tales.PRESETS if (folder / name).is_dir()]
    if not names:
        parser.error(f"There is no trained model in {folder}: tools/train_tales.py writes them.")
    for name in names:
        if start and not (start / name).is_dir():
            parser.error(f"There is no {name} in {start}, with which its training could begin.")
    if not start:  # else the milestones are those of the first stage, which ship already
        ship_milestones(MILESTONES_OF, folder)
    for name in names:
        ship(name, folder, start)
        print(name, "shipped", flush=True)


if __name__ == "__main__":
    main()

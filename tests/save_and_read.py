"""Several processes save models and tokenizers to one folder while others load them.

    python -m tests.save_and_read /tmp/folder 3 2 100

Three savers, two readers, a hundred loads each. Weights and tokenizer of a save have one number.
"""

import subprocess
import sys
from collections import Counter
from pathlib import Path

from falcon_edu import FalconBackbone, FalconCausalLM
from falcon_edu.text.preprocessor import FalconCausalLMPreprocessor
from tests.layouts import zeros_for_random_weights
from tests.small_tokenizers import make

import numpy as np

SHARDED = 1e-5  # gigabytes: two files
STOP, NOTE = "stop", "README.md"


def task(number):
    with zeros_for_random_weights():
        backbone = FalconBackbone(300, 1, 2, 8, 16)
    backbone.set_weights([np.full(w.shape, number, "float32") for w in backbone.weights])
    return FalconCausalLM(backbone, FalconCausalLMPreprocessor(make(), sequence_length=number))


def save(folder, number):
    falcon, saves = task(number), 0
    while not (folder / STOP).exists():
        falcon.save_to_preset(folder / "preset", max_shard_size=SHARDED if number % 2 else None)
        saves += 1
    print(saves)


def read(folder, loads):
    found = Counter()
    for _ in range(loads):
        falcon = FalconCausalLM.from_preset(folder / "preset")
        values = {float(x) for w in falcon.backbone.weights for x in np.unique(np.asarray(w))}
        values.add(float(falcon.preprocessor.sequence_length))
        found["mixed" if len(values) > 1 else f"number {values.pop():.0f}"] += 1
    print(dict(found))


def main(folder, savers, readers, loads):
    task(1).save_to_preset(folder / "preset")
    (folder / "preset" / NOTE).write_text("Read me.")
    (folder / STOP).unlink(missing_ok=True)

    def start(*arguments):
        command = [sys.executable, "-m", "tests.save_and_read", str(folder), *map(str, arguments)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    writing = [start("save", number) for number in range(1, savers + 1)]
    reading = [start("read", loads) for _ in range(readers)]
    said = [reader.communicate()[0].strip() for reader in reading]
    (folder / STOP).touch()
    saves = [writer.communicate()[0].strip() for writer in writing]
    assert all(process.returncode == 0 for process in writing + reading), (said, saves)
    assert sorted(path.name for path in folder.iterdir()) == ["preset", STOP]
    assert (folder / "preset" / NOTE).read_text() == "Read me."
    print(f"saves {saves}, loads {said}")


if __name__ == "__main__":
    folder, *rest = sys.argv[1:]
    if rest[0] in ("save", "read"):
        {"save": save, "read": read}[rest[0]](Path(folder), int(rest[1]))
    else:
        main(Path(folder), *map(int, rest))

"""Print how far Falcon here is from the float64 reference and from the other libraries.

    python tools/parity.py

Tiny models of every layout with random float32 weights, without padding and with padding on either
side. A number is the largest difference at a real token, over all layers, relative to the root mean
square of the values. Rounding alone makes about 1e-6.
"""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests import layouts, reference  # noqa: E402
from tests.peers import models  # noqa: E402

NAMES = ("hidden_states", "attention_weights", "logits")
PEERS = ("transformers", "keras_hub")
ROW = "{:<26}{:<24}{:>15}{:>19}{:>10}".format


def rows(layout, peers):
    """Yield name and three differences of each reference that has the layout."""
    backbone = layouts.build(layout)
    weights, config = layouts.reference_weights(backbone), layouts.reference_config(backbone)
    yield "float64", differences(backbone, lambda x: reference.falcon(weights, config, **x))
    if "transformers" in peers and models.transformers_can_represent(backbone.config):
        rope = config["position_encoding"] == "rope"
        # Its ALiBi is in bfloat16 always; its attention maps are right with RoPE only.
        ours = backbone if rope else layouts.build(layout, alibi_dtype="bfloat16")
        theirs = models.transformers_falcon(ours)
        yield (
            f"transformers ({'eager' if rope else 'sdpa'})",
            differences(
                ours, lambda x: models.read_transformers(theirs, x, output_attentions=rope)
            ),
        )
    if "keras_hub" in peers and backbone.config.is_keras_hub_compatible:
        theirs = models.keras_hub_falcon(backbone)
        yield "keras-hub", differences(backbone, lambda x: models.read_keras_hub(theirs, x))


def differences(backbone, read_theirs):
    """Return the largest difference over all paddings, for each name that the other side shows."""
    worst: dict[str, float] = {}
    for padding in layouts.REAL_TOKENS:
        x = layouts.inputs(padding)
        ours, theirs = layouts.read(backbone, x), read_theirs(x)
        for name in set(NAMES) & set(theirs):
            found = layouts.difference(ours, theirs, x["padding_mask"], name)
            worst[name] = max(worst.get(name, 0), found)
    return worst


def main():
    """Print the table."""
    peers = [name for name in PEERS if importlib.util.find_spec(name)]
    print(ROW("layout", "reference", *(name.replace("_", " ") for name in NAMES)))
    for layout in layouts.LAYOUTS:
        for name, worst in rows(layout, peers):
            numbers = (f"{worst[x]:.1e}" if x in worst else "-" for x in NAMES)
            print(ROW(layout, name, *numbers), flush=True)
    if missing := sorted(set(PEERS) - set(peers)):
        print(
            f"\nWithout {' and '.join(missing)}: `make test-peers` makes an environment that has "
            "them,\nand `.venv-peers/bin/python tools/parity.py` prints their rows too."
        )


if __name__ == "__main__":
    main()

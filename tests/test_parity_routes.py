"""The table of `tools/parity_routes.py` can be made, and says what it should."""

from tools import parity_routes

import numpy as np
import pytest

FLOAT32 = 1e-5  # as in test_parity.py; rounding alone makes about 1e-6


@pytest.mark.parametrize("layout", ["rw", "40b"])
def test_every_route_here_gives_the_references_logits(layout):
    table = parity_routes.table([layout], parity_routes.ROUTES.keys() - parity_routes.PEERS.keys())
    assert len(table) == 3 * 8 + 1
    assert all(row[layout] < FLOAT32 for row in table.values()), table


def test_a_route_that_loses_something_shows(monkeypatch):
    """The table can tell: a weight that changes on the way, and one that is rounded."""

    def save(backbone, folder):
        backbone.save_to_preset(folder)
        gamma = backbone.transformer_layers[1].input_layernorm.gamma
        gamma.assign(np.asarray(gamma) * 1.01)

    monkeypatch.setitem(parity_routes.ROUTES, "KerasHub", parity_routes.through(save))
    monkeypatch.setitem(
        parity_routes.ROUTES,
        "half",
        parity_routes.through(parity_routes.save_safetensors, dtype="bfloat16"),
    )
    monkeypatch.setattr(parity_routes, "is_from_keras", lambda route: route == "KerasHub")
    table = parity_routes.table(["rw"], ["KerasHub", "half"])
    assert table["KerasHub"]["rw"] > 100 * FLOAT32
    assert table["half"]["rw"] > 100 * FLOAT32


def test_what_a_format_lacks_is_left_out():
    table = parity_routes.table(["grouped_alibi_sequential"], ["safetensors", "to keras-hub"])
    assert [row["grouped_alibi_sequential"] for row in table.values()] == [None, None]

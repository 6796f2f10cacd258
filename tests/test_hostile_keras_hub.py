"""Files in KerasHub's format that a stranger could have made: each is refused in words."""

from tests.spoiling import (
    CODES,
    CONFIG,
    H5,
    HUGE,
    check_refusal,
    edit,
    edit_arguments,
    link_to,
    overwrite,
    truncate,
)

import h5py
import numpy as np
import pytest


def in_h5(change):
    def spoil(folder):
        with h5py.File(folder / "model.weights.h5", "a") as file:
            change(file)

    return spoil


def external_link(file):
    file["layers/x"] = h5py.ExternalLink("/etc/hostname", "/")


def soft_link(file):
    file["layers/x"] = h5py.SoftLink("/layers")


def virtual(file):
    layout = h5py.VirtualLayout((3,), "float32")
    layout[:] = h5py.VirtualSource("other.h5", "x", (3,))
    file["layers"].create_virtual_dataset("x", layout)


def external_data(file):
    file["layers"].create_dataset("x", (3,), "float32", external=[("/etc/hostname", 0, 12)])


def loop(file):
    file["layers/x"] = file["layers"]


def replace_embeddings(**options):
    def change(file):
        del file["layers/reversible_embedding/vars/0"]
        file["layers/reversible_embedding/vars"].create_dataset("0", **options)

    return change


def both_names(file):
    """Of the first layer norm, as the first versions of Keras called it and as all others."""
    layer = "falcon_transformer_decoder/input_layernorm/vars"
    file.copy(f"layers/{layer}", f"_layer_checkpoint_dependencies/{layer}")


BOMB = {"shape": (1 << 20, 1 << 20), "dtype": "float32", "compression": "gzip", "chunks": True}
IN_KERAS_HUB = {
    "h5 with an external link": (in_h5(external_link), ValueError, [H5, "is an external link"]),
    "h5 with a soft link": (in_h5(soft_link), ValueError, [H5, "is a soft link"]),
    "h5 with a virtual dataset": (in_h5(virtual), ValueError, [H5, "no plain dataset"]),
    "h5 with data elsewhere": (in_h5(external_data), ValueError, [H5, "no plain dataset"]),
    "h5 that is a loop": (in_h5(loop), ValueError, [H5, "two names"]),
    "h5 with a compressed bomb": (
        in_h5(replace_embeddings(**BOMB)),
        ValueError,
        [H5, "vars/0 is compressed"],
    ),
    "h5 with whole numbers": (
        in_h5(replace_embeddings(data=np.zeros((40, 48), "int32"))),
        ValueError,
        ["do not fit"],
    ),
    "h5 with texts": (
        in_h5(replace_embeddings(data=["a"] * 40, dtype=h5py.string_dtype())),
        ValueError,
        ["do not fit"],
    ),
    "h5 with a shape and no numbers": (
        in_h5(replace_embeddings(shape=(1 << 20, 1 << 20), dtype="float32")),
        ValueError,
        [H5, "fewer bytes"],
    ),
    "h5 with numbers in pieces that are packed": (
        in_h5(replace_embeddings(data=np.zeros((40, 48)), chunks=(4, 48), shuffle=True)),
        ValueError,
        [H5, "compressed"],
    ),
    "h5 without a shape": (
        in_h5(replace_embeddings(data=h5py.Empty("float32"))),
        ValueError,
        [H5, "without a shape"],
    ),
    "h5 of groups in groups": (
        in_h5(lambda file: file.create_group("a/" * 1000)),
        ValueError,
        [H5, "far more groups"],
    ),
    "h5 of many groups": (
        in_h5(lambda file: [file.create_group(f"many/{n}") for n in range(8_001)]),
        ValueError,
        [H5, "far more groups"],
    ),
    "h5 with a layer under two names": (in_h5(both_names), ValueError, [H5, "under the old name"]),
    "h5 with codes for a terminal": (
        in_h5(lambda file: file.create_dataset("layers/\x1b[2J", data=1.0)),
        ValueError,
        ["unexpected", "\\x1b[2J"],
    ),
    "h5 with a link of codes": (
        in_h5(lambda file: file.update({"layers/\x1b[2J": h5py.SoftLink("/layers")})),
        ValueError,
        [H5, "\\x1b[2J is a soft link"],
    ),
    "class of codes": (edit(CONFIG, registered_name=CODES), ValueError, [CONFIG, "\\x1b[2J"]),
    "arguments of codes": (edit_arguments(**{CODES: CODES}), ValueError, [CONFIG, "\\x1b[2J"]),
    "arguments of many megabytes": (
        edit_arguments(position_encoding="a" * 500_000),
        ValueError,
        [CONFIG, "position_encoding"],
    ),
    "h5 that is empty": (truncate(H5, 0), ValueError, [H5, "no whole HDF5"]),
    "h5 that breaks off": (truncate(H5, 5000), ValueError, [H5, "no whole HDF5"]),
    "h5 that is something else": (overwrite(H5, b"PK\x03\x04" * 99), ValueError, [H5]),
    "h5 behind a link": (link_to(H5, "/etc/hostname"), ValueError, [H5, "leads out"]),
    "class of Lambda": (
        edit(CONFIG, class_name="Lambda", registered_name="Lambda"),
        ValueError,
        [CONFIG, "Lambda"],
    ),
    "class of Keras": (
        edit(CONFIG, registered_name="keras>Sequential"),
        ValueError,
        [CONFIG, "keras>Sequential"],
    ),
    "class of another package": (
        edit(CONFIG, registered_name="evil>FalconBackbone"),
        ValueError,
        [CONFIG, "evil>FalconBackbone"],
    ),
    "class that is a list": (edit(CONFIG, registered_name=[1]), ValueError, [CONFIG, "[1]"]),
    "arguments that are a list": (edit(CONFIG, config=[1]), ValueError, [CONFIG, "an object"]),
    "arguments that nobody knows": (edit_arguments(evil=1), ValueError, [CONFIG, "evil"]),
    "arguments that are huge": (edit_arguments(num_layers=HUGE), ValueError, ["num_layers"]),
    "arguments of NaN": (edit_arguments(attention_dropout_rate=float("nan")), ValueError, ["rate"]),
    "a dtype that is code": (  # what a file says of the dtype is never looked at
        edit_arguments(dtype={"module": "os", "class_name": "system"}, hidden_dim=-1),
        ValueError,
        ["hidden_dim"],
    ),
}


@pytest.mark.parametrize("name", IN_KERAS_HUB)
def test_a_spoilt_file_of_keras_hub_is_refused_in_words(good_presets, tmp_path, monkeypatch, name):
    check_refusal(good_presets / "keras_hub", IN_KERAS_HUB[name], tmp_path, monkeypatch)

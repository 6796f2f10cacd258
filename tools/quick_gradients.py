"""The gradients of a Falcon, three times as quickly: its products in bfloat16, on Intel's AMX.

`quick_gradients.cpp` computes what `jax.value_and_grad` of the mean loss would, in the three
layouts that ship. JAX keeps to float32 on a CPU, and goes over the numbers between the products
many times; here a core takes a few rows from the embedding to the loss and back while they are in
its cache. Norms, softmax, loss and sums stay in float32.
"""

import ctypes
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np

SOURCE = Path(__file__).with_suffix(".cpp")
ARCH_PRCTL, ASK_FOR_FEATURE, TILE_DATA = 158, 0x1023, 18  # of Linux on x86-64
TILES = 32  # rows and columns that are multiplied at once
COMPILE = "g++ -O3 -std=c++20 -march=native -ffast-math -fopenmp -fPIC -c".split()
# By itself: given -ffast-math here, g++ would have the whole process round small numbers to 0.
LINK = "g++ -fopenmp -shared".split()

# Of a layer, in the order of the struct `Layer`: the last parts of the variables' paths.
SLOTS: list[tuple[str, ...]] = [
    ("input_layernorm/gamma",),
    ("input_layernorm/beta",),
    ("post_attention_layernorm/gamma", "mlp_layernorm/gamma"),
    ("post_attention_layernorm/beta", "mlp_layernorm/beta"),
    *(
        (f"{layer}/{part}",)
        for layer in (
            "attention/query_dense",
            "attention/key_dense",
            "attention/value_dense",
            "attention/output_dense",
            "dense_h_to_4h",
            "dense_4h_to_h",
        )
        for part in ("kernel", "bias")
    ),
]


class Shape(ctypes.Structure):
    """The struct `Shape` of the C++ file."""

    _fields_ = [
        *((name, ctypes.c_int) for name in "layers m n g h f v rope parallel norms".split()),
        ("epsilon", ctypes.c_float),
        ("base", ctypes.c_float),
    ]


def can_run():
    """True if the processor has AMX, the kernel grants it, and there is a compiler."""
    cpu = Path("/proc/cpuinfo")
    if not cpu.is_file() or "amx_bf16" not in cpu.read_text():
        return False
    is_granted = ctypes.CDLL(None).syscall(ARCH_PRCTL, ASK_FOR_FEATURE, TILE_DATA) == 0
    return is_granted and shutil.which("g++") is not None


def fits(config):
    """True if all sizes of a `FalconConfig` are whole tiles."""
    sizes = config.vocabulary_size, config.hidden_dim, config.intermediate_dim, config.head_dim
    return all(size % TILES == 0 for size in sizes) and config.tie_word_embeddings


@cache
def library(folder):
    """Compile the C++ file into a folder, and load it."""
    path = Path(folder) / "libgradients.so"
    part, compiled = (path.with_suffix(f".{os.getpid()}.{kind}") for kind in ("part", "o"))
    subprocess.run([*COMPILE, str(SOURCE), "-o", str(compiled)], check=True)
    subprocess.run([*LINK, str(compiled), "-o", str(part)], check=True)
    compiled.unlink()
    part.replace(path)
    loaded = ctypes.CDLL(str(path))
    loaded.gradients.restype = ctypes.c_double
    return loaded


class Gradients:
    """Compute the mean cross-entropy of the next token, and its gradients.

    Args:
        backbone: a `FalconBackbone` with a tied head; all widths are multiples of 32.
        variables: what the gradients are of, all of the backbone's trainable variables.
        folder: where the compiled library goes.
        threads: how many cores compute.
        chunk: tokens that a core takes at once, in whole rows.
    """

    def __init__(self, backbone, variables, folder, threads=2, chunk=128):
        self.library = library(str(folder))
        paths = [variable.path for variable in variables]
        wanted: list[tuple[str, ...]] = [("token_embedding/embeddings",)]
        for i in range(backbone.num_layers):
            wanted += [tuple(f"transformer_layer_{i}/{name}" for name in names) for names in SLOTS]
        wanted += [("final_layernorm/gamma",), ("final_layernorm/beta",)]
        self.places = [
            next((i for i, path in enumerate(paths) if path.endswith(names)), None)
            for names in wanted
        ]
        if set(self.places) - {None} != set(range(len(paths))) or not fits(backbone.config):
            raise ValueError("These are not the variables of a tied Falcon of whole tiles.")
        c = backbone.config
        self.shape = Shape(
            c.num_layers,
            c.hidden_dim,
            c.num_attention_heads,
            c.key_value_heads,
            c.head_dim,
            c.intermediate_dim,
            c.vocabulary_size,
            c.position_encoding == "rope",
            c.parallel_attention,
            c.num_parallel_layer_norms,
            c.layer_norm_epsilon,
            c.rope_max_wavelength,
        )
        self.threads, self.chunk = threads, chunk

    def __call__(self, weights, ids, mask):
        """Return the loss and a list of gradients.

        Args:
            weights: arrays, in the order of the variables.
            ids: `(b, t + 1)` int; `t` is a multiple of 32.
            mask: `(b, t)`, which labels count: those of the first tokens of each row.
        """
        weights = [np.ascontiguousarray(weight, "float32") for weight in weights]
        gradients = [np.empty_like(weight) for weight in weights]
        ids = np.ascontiguousarray(ids, "int32")
        lengths = np.ascontiguousarray(mask.sum(axis=1), "int32")
        sizes = np.array([0 if i is None else weights[i].size for i in self.places], "int64")
        rows, length = mask.shape

        def pointers(arrays):
            places = [None if i is None else arrays[i].ctypes.data for i in self.places]
            return (ctypes.c_void_p * len(places))(*places)

        loss = self.library.gradients(
            ctypes.byref(self.shape),
            pointers(weights),
            pointers(gradients),
            sizes.ctypes.data_as(ctypes.c_void_p),
            ids.ctypes.data_as(ctypes.c_void_p),
            lengths.ctypes.data_as(ctypes.c_void_p),
            rows,
            length,
            max(1, self.chunk // length),
            self.threads,
        )
        return loss, gradients

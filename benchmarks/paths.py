"""Measure what each fast path buys: the same work with it and without, in turn, in one process.

    make benchmark PATHS=1                  # every work
    python -m benchmarks.paths --only train # the works whose name begins so
    python -m benchmarks.paths --write      # also write benchmarks/PATHS.md

What a path replaces is still there: the plain part of the model, or what Keras does. A work is
compiled in all variants first; then they take turns, so that all of them see the machine alike.
"""

import argparse
import time
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

from benchmarks.checkpoints import arguments
from benchmarks.keras_works import token_dict
from benchmarks.machine import cores
from falcon_edu import FalconBackbone, FalconCausalLM, fast
from falcon_edu.fast import causal_attention, dense, gradients, packing
from falcon_edu.generation import streaming
from falcon_edu.inside.activations import pad_to_bucket, run_compiled
from falcon_edu.int8.layers import Int8ReversibleEmbedding, QuantizedDense
from falcon_edu.model import attention, layers

import jax
import keras
import numpy as np
from keras import ops
from tqdm.auto import tqdm

HERE = Path(__file__).resolve().parent

# === The paths, and what there is without them ===


def call_of_keras(self, inputs, training=None):
    """Add the product of LoRA's factors to the kernel, where there are any."""
    if self.lora_enabled:
        return super(dense._Dense, self).call(inputs, training=training)
    return OUR_CALL(self, inputs, training=training)


def values(model):
    """Return the values of a model's variables as they are."""
    return [variable.value for variable in model.variables]


OUR_CALL = dense._Dense.call
NOT_PACKED = (packing, "should_pack", lambda: False)

EVERY = "all of them"  # in eight bits, Keras's layers compute something else

# What is put in the place of what: (where, name, instead).
PATHS = {
    "gelu": [(layers, "gelu", fast.PLAIN["gelu"])],
    "layer norm": [(layers, "LayerNormalization", fast.PLAIN["LayerNormalization"])],
    "cross-entropy": [(layers, "cross_entropy", fast.PLAIN["cross_entropy"])],
    "softmax": [(gradients, "masked_softmax", attention.masked_softmax)],
    "halves": [(causal_attention, "can_halve", lambda query, key: False)],
    "matrix product": [(dense, "matrix_product", ops.matmul)],
    "LoRA apart": [(dense._Dense, "call", call_of_keras)],
    "row product": [(dense, "is_one_row", lambda x: False)],
    "bits": [(streaming, "values_with_bits", values)],
    "packing": [NOT_PACKED],
    "packing and blocks": [
        NOT_PACKED,
        (dense._Dense, "int8_product", QuantizedDense.int8_product),
        (
            dense.ReversibleEmbedding,
            "int8_product",
            Int8ReversibleEmbedding.int8_product,
        ),
    ],
    EVERY: [(layers, name, part) for name, part in fast.PLAIN.items()]
    + [(streaming, "values_with_bits", values)],
}


@contextmanager
def without(path):
    """While it lasts, models are made, compiled and run without a path; with all, if `None`."""
    with ExitStack() as stack:
        for place, name, instead in PATHS.get(path, []):
            stack.callback(setattr, place, name, getattr(place, name))
            setattr(place, name, instead)
        yield


# === The works ===


def causal_lm(size, dtype="float32"):
    """Make a model with random weights."""
    keras.utils.set_random_seed(0)
    source = "bfloat16" if dtype == "bfloat16" else "float32"
    model = FalconCausalLM(FalconBackbone(**arguments(size), dtype=source))
    if dtype == "int8":
        model.backbone.quantize("int8")
    model.compile(sampler="greedy")
    return model


def train(size, batch=32, tokens=128, rank=None):
    """Return a function that computes the loss of a batch and its gradients."""
    model = causal_lm(size)
    if rank:
        model.backbone.enable_lora(rank)
    x = token_dict(batch, tokens, model.backbone.vocabulary_size)
    y = np.roll(x["token_ids"], -1, axis=1)
    others = [variable.value for variable in model.non_trainable_variables]

    @jax.jit
    @jax.value_and_grad
    def step(weights, others):
        logits, _ = model.stateless_call(weights, others, x, training=True)
        return ops.mean(layers.cross_entropy(logits, y))

    weights = [variable.value for variable in model.trainable_variables]
    return lambda: step(weights, others)


def lora(size):
    """Return `train` with factors of rank 8, four texts at a time."""
    return train(size, batch=4, rank=8)


def decode(size, dtype="float32", new_tokens=16):
    """Return a function that generates some tokens."""
    model = causal_lm(size, dtype)
    ids = np.zeros((1, 16 + new_tokens), "int32")
    ids[:, :16] = np.arange(2, 18)
    mask = (np.arange(16 + new_tokens) < 16).astype("int32")[None]
    return lambda: model.generate(
        {"token_ids": ids.copy(), "padding_mask": mask}, stop_token_ids=None
    )


def prefill(size, dtype="float32", tokens=512):
    """Return a function that computes the logits of a long text."""
    model = causal_lm(size, dtype)
    inputs = pad_to_bucket(token_dict(1, tokens, model.backbone.vocabulary_size))
    return lambda: run_compiled(model, inputs)


OF_GRADIENTS = ["gelu", "layer norm", "cross-entropy", "softmax", "halves", "matrix product", EVERY]

# A work, and the paths that can matter in it.
WORKS = {
    "train 4 x 128": (lambda: train("tiny"), OF_GRADIENTS),
    "train 6 x 256": (lambda: train("small"), OF_GRADIENTS),
    "LoRA 125M": (lambda: lora("125M"), [*OF_GRADIENTS, "LoRA apart"]),
    "prefill 125M": (lambda: prefill("125M"), ["gelu", "layer norm", "softmax", "halves", EVERY]),
    "decode 6 x 256": (lambda: decode("small"), ["row product", EVERY]),
    "decode 125M": (lambda: decode("125M"), ["row product", EVERY]),
    "decode bfloat16 125M": (lambda: decode("125M", "bfloat16"), ["bits", "row product", EVERY]),
    "decode int8 125M": (lambda: decode("125M", "int8"), ["packing", "packing and blocks"]),
    "prefill int8 125M": (lambda: prefill("125M", "int8"), ["packing", "packing and blocks"]),
}


def measure(make, paths, rounds, bar):
    """Let all variants of a work take turns: `{path: [seconds]}`, of all paths in under `None`."""
    paths = [None, *paths]
    works = {}
    for path in paths:
        with without(path):
            works[path] = make()
            jax.block_until_ready(works[path]())
    seconds = {path: [] for path in paths}
    for turn in range(rounds):
        first = turn % len(paths)  # what runs after the most wasteful pays for its memory
        for path in paths[first:] + paths[:first]:
            with without(path):
                started = time.perf_counter()
                jax.block_until_ready(works[path]())
                seconds[path].append(time.perf_counter() - started)
        bar.update()
    return seconds


def lines_of(name, seconds):
    """Write one work's lines of the table: a ratio is the median over the rounds."""
    with_all = np.array(seconds.pop(None))
    shown = f"{np.median(with_all) * 1e3:,.0f} ms"
    return [
        f"| {name} | {shown} | {path} | {np.median(np.array(off) / with_all):.2f} |"
        for path, off in seconds.items()
    ]


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="beginning of the names of works to measure")
    parser.add_argument("--rounds", type=int, default=15, help="turns of which the median counts")
    parser.add_argument("--write", action="store_true", help="write benchmarks/PATHS.md")
    options = parser.parse_args()
    works = {name: work for name, work in WORKS.items() if name.startswith(options.only)}
    lines = [
        "# What each fast path buys",
        "",
        f"{date.today().isoformat()}, {cores()}, keras {keras.__version__}, jax {jax.__version__}; "
        f"medians of {options.rounds} rounds, in which a work with every path and without each of "
        "some take turns. A ratio above 1 is what the work takes longer without the path. Training "
        "is loss and gradients, without an optimizer. Made by `make benchmark PATHS=1`.",
        "",
        "| work | with all | without | ratio |",
        "|---|---|---|---|",
    ]
    with tqdm(total=options.rounds * len(works), mininterval=5) as bar:
        for name, (make, paths) in works.items():
            bar.set_description(name)
            lines += lines_of(name, measure(make, paths, options.rounds, bar))
            bar.write("\n".join(lines[-len(paths) :]))
            jax.clear_caches()
    text = "\n".join(lines) + "\n"
    print(text)
    if options.write:
        (HERE / "PATHS.md").write_text(text)


if __name__ == "__main__":
    main()

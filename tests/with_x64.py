"""What a Falcon does, as arrays by name, to be compared with and without JAX's 64 bits.

The bits are set before the first array is made, so `test_x64.py` runs this file in a process of its
own, and then again in itself:

    JAX_ENABLE_X64=1 python tests/with_x64.py results.npz
"""

import sys
import tempfile
from pathlib import Path

import falcon_edu
from falcon_edu import FalconBackbone, FalconCausalLM
from falcon_edu.int8.quantization import GroupedInt8QuantizationConfig

import jax
import keras
import layouts
import numpy as np

TEXTS = ["Once upon a time", "Mia had a red kite. Mia"]
SAMPLERS = {
    "greedy": "greedy",
    "random": falcon_edu.RandomSampler(seed=1),
    "top_k": falcon_edu.TopKSampler(k=4, seed=1),
    "top_p": falcon_edu.TopPSampler(p=0.9, k=9, seed=1),
    "beam": falcon_edu.BeamSampler(num_beams=3, return_all_beams=True),
}


def falcon():
    return FalconCausalLM.from_preset("falcon_tales_rw_en")


def outputs(model):
    return model.predict(layouts.inputs("left"), verbose=0)


def dtypes(model):
    """Every weight's own, as text."""
    return np.array([str(variable.dtype) for variable in model.variables])


# === What it does: functions without arguments, to arrays ===


def generate(layout, sampler):
    causal_lm = FalconCausalLM(layouts.build(layout, num_layers=1))
    causal_lm.compile(sampler=SAMPLERS[sampler])
    prompts = {key: np.pad(x, ((0, 0), (0, 4))) for key, x in layouts.inputs("left").items()}
    return causal_lm.generate(prompts, max_length=11, stop_token_ids=[3])


def generate_after_prefill():
    causal_lm = FalconCausalLM(layouts.build("40b", num_layers=1))
    causal_lm.compile(sampler="greedy")
    loop = falcon_edu.generation.loop_of(causal_lm)
    loop.reads_by_itself = lambda *_: False
    return causal_lm.generate(layouts.inputs("left"), max_length=11, stop_token_ids=None)


def write():
    causal_lm = falcon()
    causal_lm.compile(sampler="greedy")
    texts = causal_lm.generate(TEXTS, max_length=14)
    pieces = list(causal_lm.stream(TEXTS[0], max_length=14))
    return {"texts": np.array(texts), "pieces": np.array(pieces)}


def step_by_step():
    causal_lm = FalconCausalLM(layouts.build("7b", num_layers=1))
    token_ids, logits = layouts.inputs()["token_ids"], []
    for index in (int, np.int32, np.int64, jax.numpy.asarray):
        cache = causal_lm.build_cache(2, 7)
        for i in range(3):
            step, _, cache = causal_lm.call_with_cache(token_ids[:, [i]], cache, index(i))
        logits.append(step)
    return {"logits": np.stack(logits)}


def train():
    causal_lm = falcon()
    with_texts = causal_lm.fit(TEXTS, epochs=2, verbose=0).history["loss"]
    causal_lm.train_on_batch(TEXTS)
    metrics = causal_lm.evaluate(TEXTS, verbose=0)
    logits = causal_lm.predict(TEXTS, verbose=0)
    return {"loss": with_texts, "metrics": metrics, "logits": logits, "of": dtypes(causal_lm)}


def train_backbone():
    backbone = layouts.build("40b", num_layers=1)
    backbone.compile("sgd", "mse")
    target = np.zeros((2, 7, backbone.hidden_dim), "float32")
    loss = backbone.fit(layouts.inputs("right"), target, verbose=0).history["loss"]
    return {"loss": loss, "outputs": outputs(backbone), "of": dtypes(backbone)}


def adapt():
    causal_lm = falcon()
    causal_lm.backbone.enable_lora(2)
    causal_lm.compile(keras.optimizers.Adam(1e-2))
    causal_lm.fit(TEXTS, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        causal_lm.backbone.save_lora_weights(f"{folder}/a.lora.h5")
        other = falcon()
        other.backbone.load_lora_weights(f"{folder}/a.lora.h5")
    loaded = other.predict(TEXTS, verbose=0)
    other.backbone.merge_lora()
    merged = other.predict(TEXTS, verbose=0)
    return {"loaded": loaded, "merged": merged, "of": dtypes(other.backbone)}


def round_to_eight_bits(config=None):
    causal_lm = FalconCausalLM(layouts.build("falcon2_11b", num_layers=1))
    causal_lm.quantize("int8", config=config)
    causal_lm.compile(sampler="greedy")
    logits = outputs(causal_lm)
    causal_lm.backbone.enable_lora(2)
    causal_lm.compile(sampler="greedy")
    causal_lm.fit(layouts.inputs(), verbose=0)
    written = causal_lm.generate(layouts.inputs(), max_length=9, stop_token_ids=None)
    return {"logits": logits, "written": written["token_ids"], "of": dtypes(causal_lm.backbone)}


def save_and_load():
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        for dtype in ("float32", "bfloat16", "int8"):
            backbone = layouts.build("40b", dtype="float32" if dtype == "int8" else dtype)
            if dtype == "int8":
                backbone.quantize("int8")
            else:
                backbone.save_to_preset(path / dtype)
                results[dtype] = outputs(FalconBackbone.from_preset(str(path / dtype)))
            backbone.save(path / f"{dtype}.keras")
            results[f"{dtype}.keras"] = outputs(keras.saving.load_model(path / f"{dtype}.keras"))
        layouts.build("40b", num_layers=1).export_to_transformers(path / "transformers")
        loaded = FalconBackbone.from_preset(str(path / "transformers"))
        results |= {"transformers": outputs(loaded), "of": dtypes(loaded)}
    return {key: np.asarray(x, None if key == "of" else "float32") for key, x in results.items()}


def look_inside():
    causal_lm = falcon()
    record = falcon_edu.record(causal_lm, TEXTS[1])
    other = falcon_edu.record(causal_lm, "Tom had a red kite. Tom")
    found = falcon_edu.head_outputs(causal_lm, TEXTS[1])
    return {
        "record": record.logits,
        "states": np.stack(record.hidden_states),
        "weights": np.stack(record.attention_weights),
        "ablated": falcon_edu.ablate_heads(causal_lm, TEXTS[1], [(0, 1)]).logits,
        "patched": falcon_edu.patch(causal_lm, TEXTS[1], 1, -1, other.hidden_states[1][:, -1]),
        "lens": falcon_edu.logit_lens(causal_lm, record),
        "heads": found,
        "patched_heads": falcon_edu.patch_heads(causal_lm, TEXTS[1], 2 * found, [(0, 0)]),
    }


def distributions():
    logits = np.random.default_rng(0).normal(size=(2, 9)).astype("float32")
    return {
        name: falcon_edu.samplers.get(sampler).distribution(keras.ops.convert_to_tensor(logits))
        for name, sampler in SAMPLERS.items()
        if name != "beam"
    }


CASES = {
    **{f"generate_{name}": (generate, ("rw", name)) for name in SAMPLERS},
    "generate_with_rope": (generate, ("40b", "top_p")),
    "generate_after_prefill": (generate_after_prefill, ()),
    "write": (write, ()),
    "step_by_step": (step_by_step, ()),
    "train": (train, ()),
    "train_backbone": (train_backbone, ()),
    "adapt": (adapt, ()),
    "int8": (round_to_eight_bits, ()),
    "int8_in_groups": (round_to_eight_bits, (GroupedInt8QuantizationConfig(16),)),
    "save_and_load": (save_and_load, ()),
    "look_inside": (look_inside, ()),
    "distributions": (distributions, ()),
}


def results(case):
    """`{"case/name": array}`; an error is an array of what it says."""
    function, arguments = CASES[case]
    keras.utils.set_random_seed(0)
    try:
        found = function(*arguments)
    except Exception as error:  # to be shown by the test of this case, beside the others
        found = {"error": f"{type(error).__name__}: {error}"}
    return {f"{case}/{name}": np.asarray(value) for name, value in found.items()}


if __name__ == "__main__":
    everything = {}
    for case in CASES:
        everything |= results(case)
    np.savez(sys.argv[1], **everything)

"""Solutions to notebook 14: the real Falcon."""

from fnmatch import fnmatch

import falcon_edu

import numpy as np


def best_dtype(config, memory, tokens):
    for dtype in ("float32", "bfloat16", "int8"):
        needed = falcon_edu.memory_needed(config, dtype=dtype, tokens=tokens)
        if sum(needed.values()) <= memory:
            return dtype
    return "too large"


KINDS = [
    ["model.safetensors"],
    ["model.safetensors.index.json", "model-*.safetensors"],
    ["pytorch_model.bin"],
    ["pytorch_model.bin.index.json", "pytorch_model-*.bin"],
]


def to_fetch(files):
    patterns = ["config.json", "tokenizer.json"]
    for kind in KINDS:
        if kind[0] in files:
            patterns += kind
            break
    return sorted(file for file in files if any(fnmatch(file, p) for p in patterns))


def in_new_words(old):
    switches = ("alibi", "bias", "multi_query", "parallel_attn")
    new = {**dict.fromkeys(switches, False), **old, "model_type": "falcon"}
    new["num_hidden_layers"] = new.pop("n_layer")
    new["num_attention_heads"] = new.pop("n_head")
    new["new_decoder_architecture"] = "n_head_kv" in old
    usual = 1 if new["multi_query"] else new["num_attention_heads"]
    new["num_kv_heads"] = new.pop("n_head_kv", usual)
    return new


def merged(weights, factors, config):
    rank, alpha = config["r"], config["lora_alpha"]
    scale = alpha / np.sqrt(rank) if config["use_rslora"] else alpha / rank
    result = dict(weights)
    for name, a in factors.items():
        if not name.endswith(".lora_A.weight"):
            continue
        module = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
        if f"{module}.weight" not in weights:
            raise ValueError(f"There is no {module} here.")
        b = factors[name.replace("lora_A", "lora_B")]
        result[f"{module}.weight"] = weights[f"{module}.weight"] + scale * (b @ a)
    return result

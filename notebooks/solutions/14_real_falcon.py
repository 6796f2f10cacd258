"""Solutions to notebook 14: the real Falcon."""

from fnmatch import fnmatch

import falcon_edu

import numpy as np


# 14.1: The types are tried from the most precise on, and the first in which weights *and* cache
# fit is returned; what fits exactly does fit. Counting the weights alone is right until the text
# gets long. With int8 weights the cache still has two bytes for a number, and `memory_needed`
# knows that.
def best_dtype(config, memory, tokens):
    for dtype in ("float32", "bfloat16", "int8"):
        needed = falcon_edu.memory_needed(config, dtype=dtype, tokens=tokens)
        if sum(needed.values()) <= memory:
            return dtype
    return "too large"


# 14.2: A repository may hold the same weights in several kinds, and one is enough, so the loop
# stops at the first that is there. A kind of many files is there if its index is, for without it
# nobody knows what is in which file. Taking all that ends in `.bin` or `.safetensors` fetches the
# model twice.
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


# 14.3: First all switches are false, then what the old file says is put over them, so what it
# leaves out says false and all the rest stays. This makes a new dictionary, and `pop` takes the
# old names out of that one only. `n_head_kv` says two things: that the architecture is the new
# one, and how many keys there are; where it is missing, `multi_query` decides between one and as
# many as heads.
def in_new_words(old):
    switches = ("alibi", "bias", "multi_query", "parallel_attn")
    new = {**dict.fromkeys(switches, False), **old, "model_type": "falcon"}
    new["num_hidden_layers"] = new.pop("n_layer")
    new["num_attention_heads"] = new.pop("n_head")
    new["new_decoder_architecture"] = "n_head_kv" in old
    usual = 1 if new["multi_query"] else new["num_attention_heads"]
    new["num_kv_heads"] = new.pop("n_head_kv", usual)
    return new


# 14.4: `B @ A` is `(out, in)`, as the weight is, and the factor is alpha over the rank or over
# its root, as the configuration says: with any other factor it is another update. New arrays go
# into a new dictionary, so what was given stays. A module without a weight raises an error,
# because skipping it would silently lose a part of the adapter.
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

"""What learners plausibly answer in notebook 14, and should not get away with."""

from fnmatch import fnmatch

from falcon_edu import memory_needed

import numpy as np

DTYPES = ("float32", "bfloat16", "int8")


def first_that_fits(dtypes=DTYPES, parts=sum, tokens=None, strictly=False):
    def answer(config, memory, asked):
        for dtype in dtypes:
            needed = memory_needed(config, dtype=dtype, tokens=tokens or asked)
            size = parts(needed.values())
            if size < memory or (size == memory and not strictly):
                return dtype
        return "too large"

    return answer


KINDS = [
    ["model.safetensors"],
    ["model.safetensors.index.json", "model-*.safetensors"],
    ["pytorch_model.bin"],
    ["pytorch_model.bin.index.json", "pytorch_model-*.bin"],
]
SMALL = ["config.json", "tokenizer.json"]


def matching(files, patterns):
    return sorted(file for file in files if any(fnmatch(file, p) for p in patterns))


def all_kinds(files):
    return matching(files, SMALL + [pattern for kind in KINDS for pattern in kind])


def by_ending(files):
    for ending in ("safetensors", "bin"):
        if any(file.endswith(ending) for file in files):
            return matching(files, [*SMALL, f"*.{ending}", f"*.{ending}.index.json"])
    return matching(files, SMALL)


def without_index(files):
    for kind in KINDS:
        if kind[0] in files:
            return matching(files, [*SMALL, kind[-1]])
    return matching(files, SMALL)


def other_order(files):
    for kind in KINDS[::-1]:
        if kind[0] in files:
            return matching(files, SMALL + kind)
    return matching(files, SMALL)


def weights_only(files):
    for kind in KINDS:
        if kind[0] in files:
            return matching(files, kind)
    return []


def in_order_of_the_list(files):
    for kind in KINDS:
        if kind[0] in files:
            return [file for file in files if file in matching(files, SMALL + kind)]
    return [file for file in files if file in SMALL]


SWITCHES = ("alibi", "bias", "multi_query", "parallel_attn")


def renamed(old, switches=SWITCHES, heads=None, is_new=None, keep=False, change=False):
    new = {**dict.fromkeys(switches, False), **old, "model_type": "falcon"}
    new["num_hidden_layers"] = new["n_layer"]
    new["num_attention_heads"] = new["n_head"]
    grouped = "n_head_kv" in old
    new["new_decoder_architecture"] = grouped if is_new is None else is_new
    usual = 1 if new.get("multi_query") else new["n_head"]
    new["num_kv_heads"] = new.get("n_head_kv", usual) if heads is None else new[heads]
    if not keep:
        new = {key: new[key] for key in new if not key.startswith("n_")}
    if change:
        old.pop("n_layer")
    return new


def added(
    weights, factors, config, scale=None, skip=False, change=False, adapted_only=False, rs=True
):
    rank, alpha = config["r"], config["lora_alpha"]
    usual = alpha / np.sqrt(rank) if config["use_rslora"] and rs else alpha / rank
    result = weights if change else {} if adapted_only else dict(weights)
    for name, a in factors.items():
        module = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
        if not name.endswith(".lora_A.weight") or (skip and f"{module}.weight" not in weights):
            continue
        if f"{module}.weight" not in weights:
            raise ValueError(module)
        update = factors[name.replace("lora_A", "lora_B")] @ a
        factor = usual if scale is None else scale(rank, alpha)
        result[f"{module}.weight"] = weights[f"{module}.weight"] + factor * update
    return result


WRONG = {
    "best_dtype": {
        "the weights only": first_that_fits(parts=lambda sizes: next(iter(sizes))),
        "always 2048 tokens": first_that_fits(tokens=2048),
        "the smallest first": first_that_fits(DTYPES[::-1]),
        "no int8": first_that_fits(DTYPES[:2]),
        "must be below": first_that_fits(strictly=True),
    },
    "to_fetch": {
        "everything that could be weights": all_kinds,
        "by its ending": by_ending,
        "shards without their index": without_index,
        "PyTorch's first": other_order,
        "weights only": weights_only,
        "not sorted": in_order_of_the_list,
        "all files": sorted,
    },
    "in_new_words": {
        "leaves out what is off": lambda old: renamed(old, switches=()),
        "never the new architecture": lambda old: renamed(old, is_new=False),
        "always the new architecture": lambda old: renamed(old, is_new=True),
        "as many keys as heads": lambda old: renamed(old, heads="n_head"),
        "keeps the old names": lambda old: renamed(old, keep=True),
        "changes what it was given": lambda old: renamed(old, change=True),
    },
    "merged": {
        "no scale": lambda *given: added(*given, scale=lambda rank, alpha: 1),
        "alpha times rank": lambda *given: added(*given, scale=lambda rank, alpha: rank * alpha),
        "no rank stabilisation": lambda *given: added(*given, rs=False),
        "skips what it does not know": lambda *given: added(*given, skip=True),
        "changes the weights it was given": lambda *given: added(*given, change=True),
        "only what was adapted": lambda *given: added(*given, adapted_only=True),
    },
}

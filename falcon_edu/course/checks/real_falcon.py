"""Checks of notebook 14: what fits, what to fetch, old words, and a merged adapter."""

from falcon_edu.course.checks.exercise import exercise, expect, expect_close, given
from falcon_edu.presets.transformers_config import from_transformers
from falcon_edu.scale.memory import FALCON_FAMILY, memory_needed

import numpy as np


@exercise(
    wants="a string",
    nudge="What has to fit, beside the weights? And in which order are the dtypes tried?",
    hint='For each dtype of `("float32", "bfloat16", "int8")` take '
    "`sum(memory_needed(config, dtype=dtype, tokens=tokens).values())`, and return the first that "
    "is at most `memory`.",
    praise="Now you know before you download.",
)
def best_dtype(answer):
    """Exercise 14.1."""
    rw, large = FALCON_FAMILY["falcon-rw-1b"], FALCON_FAMILY["falcon-7b"]

    def whole(dtype, tokens):
        return sum(memory_needed(rw, dtype=dtype, tokens=tokens).values())

    cases = [
        (rw, 7e9, 2048, "float32", "7 GB are enough for Falcon-1B in float32."),
        (
            rw,
            5.5e9,
            2048,
            "bfloat16",
            "the weights alone would fit in float32, but the cache of 2048 tokens does not.",
        ),
        (rw, 5.5e9, 256, "float32", "with 256 tokens the cache is smaller: use `tokens`."),
        (rw, whole("float32", 512), 512, "float32", "what fills the memory exactly still fits."),
        (large, 16e9, 2048, "bfloat16", "Falcon-7B fits into 16 GB with two bytes a weight."),
        (large, 8e9, 2048, "int8", "Falcon-7B fits into 8 GB with one byte a weight."),
        (large, 4e9, 2048, "too large", "in no dtype does Falcon-7B fit into 4 GB."),
    ]
    for config, memory, tokens, wanted, why in cases:
        got = given(answer(config, memory, tokens))
        expect(isinstance(got, str), f"a string is asked for, but yours is {got!r}.")
        expect(got == wanted, f'{why} Wanted: "{wanted}"; yours: {got!r}.')


NOISE = ["README.md", "modeling_falcon.py", "vocab.json"]
SINGLE = "model.safetensors"
SHARDS = ["model.safetensors.index.json", *(f"model-0000{i}-of-00002.safetensors" for i in (1, 2))]
PYTORCH_SHARDS = [
    "pytorch_model.bin.index.json",
    *(f"pytorch_model-0000{i}-of-00002.bin" for i in (1, 2)),
]


@exercise(
    wants="a sorted list of names",
    nudge="Decide on the kind first: which first name is there? Only then look for patterns.",
    hint="Go through the kinds in their order; the first whose first name is among the files is "
    "taken, with every file that `fnmatch(file, pattern)` finds for one of its patterns.",
    praise="One copy of the weights, no programs, and nothing that nobody reads.",
)
def to_fetch(answer):
    """Exercise 14.2."""
    small = ["config.json", "tokenizer.json"]
    others = ["coreml/model.safetensors", "adapter_model.safetensors", "rust_model.ot"]
    cases = [
        ([*NOISE, "pytorch_model.bin"], ["pytorch_model.bin"], "one file of PyTorch's"),
        ([*NOISE, *PYTORCH_SHARDS], PYTORCH_SHARDS, "an index and two shards of PyTorch's"),
        ([*PYTORCH_SHARDS, *SHARDS, *NOISE], SHARDS, "shards of both kinds"),
        (
            ["pytorch_model.bin", *SHARDS],
            SHARDS,
            "safetensors in shards, and one file of PyTorch's",
        ),
        ([*SHARDS, SINGLE], [SINGLE], "the weights twice, in one file and in shards"),
        (
            [*others, "pytorch_model.bin"],
            ["pytorch_model.bin"],
            "names that only look like weights",
        ),
        (NOISE, [], "no weights"),
    ]
    for files, weights, what in cases:
        files = [*files, *small]
        got = given(answer(list(files)))
        wanted = sorted([*small, *weights])
        expect(
            not {"modeling_falcon.py", "README.md"} & set(got),
            "programs and readme files are not needed.",
        )
        expect(set(small) <= set(got), "config.json and tokenizer.json are always needed.")
        extra, missing = sorted(set(got) - set(wanted)), sorted(set(wanted) - set(got))
        expect(not extra, f"of a repository with {what}, {extra} should not be fetched.")
        expect(not missing, f"of a repository with {what}, {missing} should be fetched too.")
        expect(list(got) == wanted, f"the names should be sorted, each once; yours: {got}.")


SIZES = {"vocab_size": 96, "hidden_size": 48, "layer_norm_epsilon": 1e-5}
OLD = {
    "Falcon-RW": {"model_type": "RefinedWebModel", "alibi": True, "bias": True},
    "Falcon-7B": {"model_type": "RefinedWebModel", "multi_query": True, "parallel_attn": True},
    "Falcon-40B": {"model_type": "RefinedWeb", "n_head_kv": 2, "parallel_attn": True},
}
NEW = {
    "Falcon-RW": {"num_kv_heads": 6, "alibi": True, "bias": True},
    "Falcon-7B": {"num_kv_heads": 1, "multi_query": True, "parallel_attn": True},
    "Falcon-40B": {"num_kv_heads": 2, "parallel_attn": True, "new_decoder_architecture": True},
}
OFF = dict.fromkeys(
    ("alibi", "bias", "multi_query", "parallel_attn", "new_decoder_architecture"), False
)


@exercise(
    wants="a dictionary",
    nudge="Begin with a copy, and go through the list of the text: three names change, switches "
    "are added, two entries are computed.",
    hint="Start with a dictionary that has all five switches off and `update` it with a copy of "
    'the old one; then `pop` each old name and write its value under the new. `"n_head_kv" in old` '
    "tells the new architecture.",
    praise="And your dictionary means the same to the loader as the old one.",
)
def in_new_words(answer):
    """Exercise 14.3."""
    for name, words in OLD.items():
        old = {**words, **SIZES, "n_layer": 2, "n_head": 6}
        before = dict(old)
        got = given(answer(old))
        expect(old == before, "the dictionary that was given should stay as it was: copy it.")
        expect(isinstance(got, dict), "a dictionary should be returned.")
        left = sorted(set(got) & {"n_layer", "n_head", "n_head_kv"})
        expect(not left, f"old names are still there: {', '.join(left)}.")
        wanted = {**OFF, **SIZES, "model_type": "falcon", **NEW[name]}
        wanted.update(num_hidden_layers=2, num_attention_heads=6)
        for key, value in wanted.items():
            expect(key in got, f"`{key}` is missing in the new words for {name}.")
            expect(
                got[key] == value,
                f"`{key}` of {name} should be {value!r}, but yours is {got[key]!r}.",
            )
        extra = sorted(set(got) - set(wanted))
        expect(not extra, f"{', '.join(extra)} should not be there.")
        expect(
            from_transformers(got, "yours") == from_transformers(old, "the old one"),
            f"the loader makes another model of your {name} than of the old file.",
        )


def _adapter(random, shapes, rank):
    factors = {}
    for module, (out, width) in shapes.items():
        name = f"base_model.model.{module}"
        factors[f"{name}.lora_A.weight"] = random.normal(size=(rank, width))
        factors[f"{name}.lora_B.weight"] = random.normal(size=(out, rank))
    return factors


@exercise(
    wants="a dictionary of arrays",
    nudge="What is the name of the weight, if you have the name of a factor?",
    hint="Copy the dictionary first. A module is what stands between `base_model.model.` and "
    '`.lora_A.weight`; its weight is `f"{module}.weight"`. Look whether it is there before you '
    "add anything.",
    praise="This is `merge_peft_adapter`, but for the checks of a stranger's file.",
)
def merged(answer):
    """Exercise 14.4."""
    random = np.random.default_rng(4)
    block = "transformer.h.0"
    fused, dense = f"{block}.self_attention.query_key_value", f"{block}.self_attention.dense"
    shapes = {fused: (24, 8), dense: (8, 8)}
    weights = {f"{module}.weight": random.normal(size=shape) for module, shape in shapes.items()}
    weights["transformer.ln_f.weight"] = np.ones(8)
    before = {name: tensor.copy() for name, tensor in weights.items()}
    factors = _adapter(random, shapes, rank=4)

    def ask(factors, **changes):
        got = answer(weights, factors, {"r": 4, "lora_alpha": 2, "use_rslora": False, **changes})
        same = weights.keys() == before.keys() and all(
            np.array_equal(weights[name], tensor) for name, tensor in before.items()
        )
        expect(same, "the weights that were given should stay as they were: copy first.")
        expect(isinstance(given(got), dict), "a dictionary should be returned.")
        return got

    def wanted(scale):
        changed = dict(before)
        for module in shapes:
            name = f"base_model.model.{module}"
            b, a = factors[f"{name}.lora_B.weight"], factors[f"{name}.lora_A.weight"]
            changed[f"{module}.weight"] = before[f"{module}.weight"] + scale * (b @ a)
        return changed

    for changes, scale, what in (
        ({}, 2 / 4, "alpha / r = 2 / 4"),
        ({"use_rslora": True}, 2 / np.sqrt(4), "alpha / sqrt(r) = 2 / sqrt(4), with use_rslora"),
    ):
        got = ask(factors, **changes)
        expect(set(got) == set(before), "all names should come back, the adapted and the others.")
        for name, tensor in wanted(scale).items():
            expect(np.shape(got[name]) == tensor.shape, f"the shape of {name} has changed.")
            expect(
                np.allclose(got[name], tensor) or not np.allclose(got[name], wanted(1)[name]),
                f"the update should be scaled by {what}.",
            )
            expect_close(got[name], tensor, f"{name}, scaled by {what},")
    strange = _adapter(random, {"model.layers.0.self_attn.q_proj": (8, 8)}, rank=4)
    try:
        ask({**factors, **strange})
    except ValueError:
        return
    expect(False, "an adapter for another model should be refused with a ValueError.")

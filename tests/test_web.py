"""The Falcon in the page, in Node: it computes what the package does with the rounded weights."""

import random
import re
from pathlib import Path

import falcon_edu
from falcon_edu import FalconCausalLM, FalconCausalLMPreprocessor
from falcon_edu.generation import samplers
from falcon_edu.presets.registry import shipped_folder
from falcon_edu.presets.weights import find_weight, weight_shapes
from falcon_edu.text.tokenizer import FalconTokenizer
from falcon_edu.web import export_to_web
from falcon_edu.web.exporting import letters_and_numbers, round_rows

import node
import numpy as np
import pytest
import small_tokenizers
from layouts import LAYOUTS, ROPE, build
from tokenizers import pre_tokenizers

WEB = Path(falcon_edu.__file__).parent / "web"
PRESETS = sorted(filter(shipped_folder, FalconCausalLM.presets))
TEXT = "Mia had a red kite. Tom saw it, and"
MOST_LINES = 600

# Beyond the published ones: every way to mix what a configuration allows.
MORE_LAYOUTS = {
    "large_epsilon": {"layer_norm_epsilon": 0.1},  # the usual one would not be missed
    "one_key_for_all": {"num_key_value_heads": 1, "use_bias": False},
    "two_norms": {"parallel_attention": True, "num_parallel_layer_norms": 2},
    "turned_with_bias": {**ROPE, "use_bias": True, "num_parallel_layer_norms": 2},
    "turned_in_sequence": {**ROPE, "parallel_attention": False, "num_key_value_heads": 1},
}


def rounded(causal_lm):
    """The model with the weights that the page has."""
    backbone = causal_lm.backbone
    for path in weight_shapes(backbone.config):
        variable = find_weight(backbone, path)
        steps, numbers = round_rows(path, np.asarray(variable))
        rows = steps[:, None] * numbers
        is_turned = path.endswith((".kernel", ".reverse_embeddings"))
        variable.assign((rows.T if is_turned else rows).reshape(variable.shape))
    return causal_lm


def ask(folder, *requests):
    """What the modules answer, in Node."""
    given = {"folder": str(folder), "requests": requests}
    return node.run("web_answers.mjs", WEB.as_uri(), given)


@pytest.fixture(scope="module", params=PRESETS)
def preset(request, tmp_path_factory):
    """A shipped model with rounded weights, and its folder for the page."""
    causal_lm = FalconCausalLM.from_preset(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    export_to_web(causal_lm, folder)
    return rounded(causal_lm), folder


def small(layout, **more):
    """A small random model of a layout, with a tokenizer."""
    tokenizer = small_tokenizers.make()
    sizes = {"vocabulary_size": tokenizer.vocabulary_size(), **more}
    backbone = build("rw", **{**(LAYOUTS | MORE_LAYOUTS)[layout], **sizes})
    return FalconCausalLM(backbone, FalconCausalLMPreprocessor(tokenizer, sequence_length=64))


def triangle(weights):
    """Attention weights of the package as the page has them: of each query, those it may see."""
    return [weights[0, :, q, : q + 1].ravel() for q in range(weights.shape[2])]


def assert_same(answer, activations, tolerance=1e-4):
    """The page computed what `record` did."""
    assert answer["token_ids"] == activations.token_ids[0].tolist()
    assert answer["tokens"] == activations.tokens[0]
    close = {"rtol": tolerance, "atol": tolerance}
    for ours, theirs in zip(answer["hidden_states"], activations.hidden_states, strict=True):
        np.testing.assert_allclose(ours, theirs[0], **close)
    for ours, theirs in zip(
        answer["attention_weights"], activations.attention_weights, strict=True
    ):
        for row, other in zip(ours, triangle(theirs), strict=True):
            np.testing.assert_allclose(row, other, **close)
    np.testing.assert_allclose(answer["logits"], activations.logits[0], **close)


# === The numbers ===


def test_a_preset_computes_what_the_package_does(preset):
    causal_lm, folder = preset
    heads = [[0, 1], [1, 0], [1, 3]]
    whole, without, lens = ask(
        folder,
        {"call": "record", "text": TEXT},
        {"call": "record", "text": TEXT, "heads": heads},
        {"call": "logit_lens", "text": TEXT},
    )
    activations = falcon_edu.record(causal_lm, TEXT)
    assert_same(whole, activations)
    assert_same(without, falcon_edu.ablate_heads(causal_lm, TEXT, heads))
    expected = falcon_edu.logit_lens(causal_lm, activations)[:, 0]  # (layers + 1, t, v)
    np.testing.assert_allclose(lens, np.swapaxes(expected, 0, 1), rtol=1e-4, atol=1e-4)


def test_a_preset_writes_what_the_package_does(preset):
    causal_lm, folder = preset
    causal_lm.compile(sampler="greedy")
    prompts = ["Once upon a time", TEXT, ""]
    length = 60 + len(falcon_edu.record(causal_lm, TEXT).tokens[0])
    answers = ask(
        folder, *[{"call": "generate", "text": text, "max_length": length} for text in prompts]
    )
    texts = [answer["text"] for answer in answers]
    assert texts == [causal_lm.generate(text, max_length=length) for text in prompts]
    assert max(len(answer["token_ids"]) for answer in answers) >= 60


@pytest.mark.parametrize("layout", [*LAYOUTS, *MORE_LAYOUTS])
def test_a_small_model_of_any_layout_computes_what_the_package_does(layout, tmp_path):
    causal_lm = small(layout)
    export_to_web(causal_lm, tmp_path)
    rounded(causal_lm)
    text, heads = "The dog gave a drum.", [[1, 2], [0, 0]]
    activations = falcon_edu.record(causal_lm, text)
    ids = activations.token_ids[0].tolist()
    before = [[1, 2, 3], [*ids[:7], 5, 5, 5], ids[:9]]
    whole, in_steps, without = ask(
        tmp_path,
        {"call": "record", "text": text},
        {"call": "record_in_steps", "token_ids": ids, "before": before},
        {"call": "record", "text": text, "heads": heads},
    )
    assert_same(whole, activations)
    assert_same(in_steps, activations)
    assert_same(without, falcon_edu.ablate_heads(causal_lm, text, heads))


def test_a_bias_in_bfloat16_is_rounded_after_each_step(tmp_path):
    """As JAX does; XLA, which compiles what `record` runs, leaves some of the rounding out."""
    export_to_web(small("rw"), tmp_path)
    (ours,) = ask(tmp_path, {"call": "alibi_bias", "arguments": [12, 40, "bfloat16"]})
    bias = falcon_edu.alibi_bias(12, np.arange(40)[None], "bfloat16")[0, :, 0]
    np.testing.assert_array_equal(ours, np.asarray(bias).astype("float32"))


def test_lora_is_merged(tmp_path):
    causal_lm = small("rw")
    causal_lm.backbone.enable_lora(2)
    for variable in causal_lm.backbone.trainable_variables:
        variable.assign(0.3 * np.random.default_rng(0).normal(size=variable.shape))
    export_to_web(causal_lm, tmp_path)
    (answer,) = ask(tmp_path, {"call": "record", "text": "The cat"})
    expected = falcon_edu.record(causal_lm, "The cat").logits[0]
    np.testing.assert_allclose(answer["logits"], expected, atol=0.02 * np.abs(expected).max())


# === Text ===

PLACES = [*range(0x20), 0x7F, 0x85, 0xA0, 0xAD, 0x180E, 0x200B, 0x200D, 0x2028, 0x3000]
PLACES += [0xFE0F, 0xFEFF, 0xFFFD, 0x2EBF0, 0xE0041]
PHRASES = [
    "<|endoftext|>",
    "<|first|>",
    "don't",
    " 'S 'll",
    "👩\u200d🚀",
    "🇩🇪",
    "é",
    "e\u0301",
    "ﬁ",
]
PHRASES += ["नमस्ते", "안녕", "漢字", "שלום", "ไทย", "١٢٣", "Ⅷ", "½", "  ", "\r\n", "\n\n "]
PHRASES += ["ﬁ", "a b", "The cat", "Once upon a time there was a little girl", "x" * 40]


def texts(count, seed=0):
    """Texts of all scripts, with what can't be seen between."""
    draw = random.Random(seed)
    letters, numbers = letters_and_numbers()

    def anything():
        kind = draw.randrange(6)
        if kind == 0:
            return draw.choice(PHRASES)
        if kind == 1:
            return chr(draw.choice(PLACES))
        if kind == 2:  # at the edge of a range of letters or numbers, or just beyond
            point = draw.choice(letters + numbers) + draw.choice([-1, 0, 1])
            return chr(point if not 0xD800 <= point < 0xE000 else 0xE000)
        if kind == 3:
            return draw.choice(" .,!?'\"-") + draw.choice(["cat", "Dog", "12", " "])
        point = draw.randrange(0x110000 if kind == 4 else 0x3000)
        return chr(point if not 0xD800 <= point < 0xE000 else point - 0x800)

    made = ["", " ", *PHRASES]
    while len(made) < count:
        made.append("".join(anything() for _ in range(draw.randrange(1, 12))))
    return made


def assert_same_ids(folder, tokenizer):
    """The page and the package have the same ids and labels for texts of all scripts."""
    samples = texts(1000)
    (answers,) = ask(folder, {"call": "tokenize", "texts": samples})
    assert_same_ids_of(samples, answers, tokenizer)


def assert_same_ids_of(samples, answers, tokenizer):
    split = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str
    for text, answer, ids in zip(samples, answers, tokenizer.tokenize(samples), strict=True):
        assert answer["ids"] == ids, repr(text)
        # Few pieces beyond English have merges that would show where they end.
        assert answer["pieces"] == [text[start:end] for _, (start, end) in split(text)], repr(text)
        assert answer["strings"] == tokenizer.token_strings(ids), repr(text)
        special = set(tokenizer.special_token_ids)
        assert answer["text"] == tokenizer.detokenize([i for i in ids if i not in special])


def test_texts_of_all_scripts_have_the_ids_of_the_package(preset):
    causal_lm, folder = preset
    assert_same_ids(folder, causal_lm.preprocessor.tokenizer)


@pytest.mark.parametrize("whole", [[], ["<|endoftext|>", "<|first|>"]])
def test_a_small_vocabulary_gives_the_ids_of_the_package(whole, tmp_path):
    causal_lm = small("rw", num_layers=1)
    tokenizer = small_tokenizers.make(unsplittable_tokens=whole)
    causal_lm.preprocessor = FalconCausalLMPreprocessor(tokenizer, sequence_length=64)
    export_to_web(causal_lm, tmp_path)
    assert_same_ids(tmp_path, tokenizer)


def test_letters_and_numbers_are_those_of_byte_level():
    """By its own splitting: a letter stays with a letter before it, a number with a number."""
    split = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str
    for before, ranges in zip("a1", letters_and_numbers(), strict=True):
        for first, last in zip(ranges[::2], ranges[1::2], strict=True):
            assert len(split(before + chr(first) + chr(last))) == 1
            for outside in (first - 1, last + 1):
                assert len(split(before + chr(outside))) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [("a\ud800", "half a surrogate"), ("kite " * 100, "has more"), ("x" * 10**7, "has more")],
)
def test_a_text_that_can_not_be_read_is_refused_in_words(text, said, tmp_path):
    export_to_web(small("rw", num_layers=1), tmp_path)
    (answer,) = ask(tmp_path, {"call": "record", "text": text})
    assert said in answer["error"]


# === Samplers ===

LOGITS = np.log([0.05, 0.3, 0.3, 0.2, 0.1, 0.05]).tolist()


@pytest.mark.parametrize(
    "options",
    [
        {"name": "greedy"},
        {"name": "random", "temperature": 0.7},
        {"name": "top_k", "k": 2},
        {"name": "top_k", "k": 9},
        {"name": "top_k", "k": 3, "temperature": 2.0},
        {"name": "top_p", "p": 0.75},
        {"name": "top_p", "p": 0.05},
        {"name": "top_p", "p": 0.9, "k": 4, "temperature": 0.5},
    ],
)
def test_a_sampler_draws_from_the_distribution_of_the_package(options, tmp_path):
    export_to_web(small("rw", num_layers=1), tmp_path)
    arguments = {key: value for key, value in options.items() if key != "name"}
    expected = samplers.SAMPLERS[options["name"]](**arguments).distribution([LOGITS])[0]
    request = {"logits": LOGITS, **options}
    distribution, draws, again, others = ask(
        tmp_path,
        {"call": "distribution", **request},
        {"call": "draws", **request, "count": 4000, "seed": 7},
        {"call": "draws", **request, "count": 4000, "seed": 7},
        {"call": "draws", **request, "count": 4000, "seed": 8},
    )
    np.testing.assert_allclose(distribution, expected, atol=1e-6)
    assert draws == again
    shares = np.bincount(draws, minlength=len(LOGITS)) / 4000
    np.testing.assert_allclose(shares, expected, atol=0.04)  # five deviations
    if np.max(expected) < 1:
        assert draws != others


def test_top_p_of_1_leaves_all_tokens_whatever_the_rounding(tmp_path):
    export_to_web(small("rw", num_layers=1), tmp_path)
    request = {"name": "top_p", "p": 1, "logits": [20, 5, 0, -5]}
    (distribution,) = ask(tmp_path, {"call": "distribution", **request})
    assert min(distribution) > 0


@pytest.mark.parametrize("wrong", [{"name": "best"}, {"temperature": 0}, {"k": 0}, {"p": 1.5}])
def test_a_sampler_that_can_not_be_is_refused_by_name(wrong, tmp_path):
    export_to_web(small("rw", num_layers=1), tmp_path)
    (answer,) = ask(tmp_path, {"call": "draws", "logits": LOGITS, "count": 1, **wrong})
    assert f"`{next(iter(wrong))}` must be" in answer["error"]


def test_a_text_ends_with_an_end_token_or_with_the_room(tmp_path):
    causal_lm = small("rw")
    export_to_web(causal_lm, tmp_path)
    rounded(causal_lm)
    for seed in range(3):
        options = {"name": "random", "seed": seed, "temperature": 3.0, "text": "The"}
        (answer,) = ask(tmp_path, {"call": "generate", **options})
        ids, ends = answer["token_ids"], causal_lm.preprocessor.tokenizer.end_token_ids
        start = len(falcon_edu.record(causal_lm, "The").tokens[0])
        assert not set(ids[:-1]) & set(ends)
        assert ids[-1] in ends or len(ids) + start == 64


# === The files ===


def test_a_preset_is_small_on_the_wire(preset):
    import gzip

    _, folder = preset
    size = sum(len(gzip.compress(file.read_bytes())) for file in folder.iterdir())
    assert size < 2_500_000


def test_a_model_that_the_page_can_not_have_is_refused(tmp_path):
    with pytest.raises(ValueError, match="needs a tokenizer"):
        export_to_web(build("rw"), tmp_path)
    causal_lm = small("rw", num_layers=1)
    other = small_tokenizers.make("falcon")
    causal_lm.preprocessor = FalconCausalLMPreprocessor(other)
    with pytest.raises(ValueError, match="other rules"):
        export_to_web(causal_lm, tmp_path)
    spaced = FalconTokenizer(other.vocabulary, other.merges, add_prefix_space=True)
    causal_lm.preprocessor = FalconCausalLMPreprocessor(spaced)
    with pytest.raises(ValueError, match="without a space"):
        export_to_web(causal_lm, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_a_weight_that_is_not_finite_is_named(value, tmp_path):
    causal_lm = small("rw", num_layers=1)
    gamma = causal_lm.backbone.final_layernorm.gamma
    gamma.assign(np.full(gamma.shape, value))
    with pytest.raises(ValueError, match=re.escape("final_layernorm.gamma")):
        export_to_web(causal_lm, tmp_path)


def test_rounding_moves_no_weight_by_more_than_half_a_step():
    random = np.random.default_rng(0)
    value = random.normal(size=(6, 4)).astype("float32") * np.logspace(-30, 30, 6)[:, None]
    value[2] = 0
    steps, numbers = round_rows("token_embedding.embeddings", value.astype("float32"))
    assert (np.abs(value).max(axis=1) <= steps * 32767 * (1 + 1e-6)).all()
    assert (np.abs(steps[:, None] * numbers - value) <= 0.501 * steps[:, None]).all()


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    export_to_web(small("rw", num_layers=1), tmp_path)
    with (tmp_path / "weights.bin").open("ab") as file:
        file.write(b"more")
    with pytest.raises(AssertionError, match=re.escape("weights.bin must have")):
        ask(tmp_path)


def test_answers_of_the_worker_are_not_kept():
    assert node.run("web_client.mjs", (WEB / "client.js").as_uri(), None) <= 1  # of five, the last


def test_nobody_s_writing_ends_because_a_neighbour_reads(tmp_path):
    """Explorers of one page share a worker."""
    causal_lm = FalconCausalLM.from_preset(PRESETS[0])
    export_to_web(causal_lm, tmp_path)
    rounded(causal_lm).compile(sampler="greedy")
    texts = [TEXT, "Once Nora and Priya met. Nora said", "One day, Wolfgang"]
    length = 40
    given = {"folder": str(tmp_path), "texts": texts, "max_length": length}
    answer = node.run("web_readers.mjs", WEB.as_uri(), given)
    assert answer["written"] == causal_lm.generate(texts[:2], max_length=length)
    assert answer["count"] > length
    assert answer["read"] == [f"<|endoftext|>{texts[2]}"]


def test_the_third_falcon_is_short():
    sources = list(WEB.glob("*.js"))
    assert sum(len(path.read_text().splitlines()) for path in sources) < MOST_LINES
    lines = [line for path in sources for line in path.read_text().splitlines()]
    assert max(map(len, lines)) <= 100

"""Cached decoding is the uncached forward; generate and stream keep what they promise."""

import functools

from falcon_edu import FalconBackbone, FalconCausalLM, FalconCausalLMPreprocessor, FalconTokenizer
from falcon_edu.generation import decoding
from falcon_edu.generation.samplers import (
    BeamSampler,
    GreedySampler,
    RandomSampler,
    Sampler,
    TopKSampler,
)
from falcon_edu.generation.streaming import Run, align, round_up
from falcon_edu.text.byte_level import byte_alphabet
from tests import layouts

import jax
import keras
import numpy as np
import pytest

END = 256  # id of the end token in the byte vocabulary
PROMPTS = [[3, 1, 4, 1, 5], [9], [2, 6, 5]]
NO_STOP = {"stop_token_ids": None}


def causal_lm(layout="rw", sampler="greedy", preprocessor=None, **overrides):
    backbone = layouts.build(layout, **overrides)
    # With a large embedding, tied to the head, a model repeats its last token for ever.
    for variable in backbone.token_embedding.variables:
        variable.assign(variable * 0.25)
    model = FalconCausalLM(backbone, preprocessor)
    model.compile(sampler=sampler)
    return model


@functools.cache
def shared(layout="rw"):
    """A model whose weights no test changes: its programs are compiled once for all of them."""
    # Two blocks show what one can't, but not anew for every layout; and one compiles faster.
    return causal_lm(layout, num_layers=2 if layout in ("rw", "40b") else 1)


def prompts(width, side="right", rows=PROMPTS):
    """Prompts of unequal lengths as a token dict; what stands on padding must not matter."""
    token_ids = np.random.default_rng(0).integers(0, 40, (len(rows), width))
    padding_mask = np.zeros_like(token_ids)
    for i, row in enumerate(rows):
        start = 0 if side == "right" else width - len(row)
        token_ids[i, start : start + len(row)] = row
        padding_mask[i, start : start + len(row)] = 1
    return {"token_ids": token_ids, "padding_mask": padding_mask}


def by_hand(model, rows=PROMPTS, length=12, sampler=None):
    """No cache: the whole forward pass again for every token."""
    rows, sampler = [list(row) for row in rows], sampler or GreedySampler()
    while min(map(len, rows)) < length:
        logits = model.predict_on_batch(prompts(max(length, 24), rows=rows))
        last = logits[range(len(rows)), [len(row) - 1 for row in rows]]
        tokens = sampler.get_next_token(sampler.compute_probabilities(last))
        for row, token in zip(rows, tokens, strict=True):
            row += [int(token)] * (len(row) < length)
    return rows


@pytest.fixture(scope="module")
def all_events():
    heard = []

    def listen(event, duration, fun_name=None, **_):
        heard.append((event.rpartition("/")[2], fun_name))

    jax.monitoring.register_event_duration_secs_listener(listen)
    return heard  # JAX 0.7 can't unregister


@pytest.fixture
def events(all_events):
    """What JAX says while it traces and compiles: a list of event and name of the function."""
    all_events.clear()
    return all_events


def programs(events):
    """Number of programs that were compiled: (prefill, decode)."""
    return tuple(
        events.count(("backend_compile_duration", f"jit({name})"))
        for name in ("_prefill", "_decode")
    )


@pytest.fixture(params=["read by the loop", "prefill"])
def reading(request, monkeypatch):
    """Both ways to read a prompt, however short it is."""
    if request.param == "prefill":
        monkeypatch.setattr(decoding, "LOOP_READS", 0)
    return request.param


def greedy():
    """A shared model with the greedy sampler: tests leave it with any."""
    model = shared()
    model.compile(sampler="greedy")
    return model


# === The cache ===


@pytest.mark.parametrize("layout", layouts.LAYOUTS)
def test_cached_decoding_equals_the_uncached_forward(layout):
    """Three tokens at once, then one by one: at each step the logits of the whole forward pass."""
    model = shared(layout)
    batches = [layouts.inputs(padding) for padding in layouts.REAL_TOKENS]
    inputs = {key: np.concatenate([batch[key] for batch in batches]) for key in batches[0]}
    step = jax.jit(model.call_with_cache)
    cache = model.build_cache(batch_size=6, max_length=9)
    assert {x.shape[2] for pair in cache for x in pair} == {model.backbone.config.key_value_heads}
    mask = np.pad(inputs["padding_mask"], ((0, 0), (0, 2)))  # the cache is longer than the text
    start, logits = 0, []
    for width in (3, 1, 1, 1, 1):
        new = inputs["token_ids"][:, start : start + width]
        new_logits, _, cache = step(new, cache, start, mask)
        logits.append(np.array(new_logits))
        start += width
    real = inputs["padding_mask"].astype(bool)
    expected = model.predict_on_batch(inputs)
    # Float32, with logits of some tens: the sums are only in another order.
    np.testing.assert_allclose(np.concatenate(logits, 1)[real], expected[real], atol=2e-4)


def test_without_a_mask_every_token_is_real():
    model = shared("7b")
    inputs = layouts.inputs("no")
    cache = model.build_cache(batch_size=2, max_length=20)
    logits, hidden_states, cache = model.call_with_cache(inputs["token_ids"], cache, 0)
    np.testing.assert_allclose(logits, model.predict_on_batch(inputs), atol=2e-4)
    np.testing.assert_allclose(hidden_states, model.backbone(inputs), atol=2e-4)
    assert not np.any(np.array(cache[0][0])[:, 7:])


# === generate ===


@pytest.mark.parametrize("layout", layouts.LAYOUTS)
@pytest.mark.usefixtures("reading")
def test_a_batch_of_unequal_prompts_as_without_a_cache(layout):
    """Drawn, not greedy: a greedy continuation of such a model soon repeats itself."""
    model = shared(layout)
    expected = by_hand(model, sampler=RandomSampler(seed=5, temperature=2.0))
    assert len({token for ids in expected for token in ids}) > 12
    for side in ("right", "left"):
        model.compile(sampler=RandomSampler(seed=5, temperature=2.0))
        outputs = model.generate(prompts(12, side), **NO_STOP)
        assert outputs["token_ids"].tolist() == expected
        assert outputs["padding_mask"].all()


def test_a_batch_equals_each_prompt_alone():
    model = greedy()
    outputs = model.generate(prompts(12), **NO_STOP)["token_ids"]
    for row, expected in zip(PROMPTS, outputs, strict=True):
        alone = model.generate(prompts(12, rows=[row]), **NO_STOP)["token_ids"]
        assert alone.tolist() == [expected.tolist()]
    assert outputs.tolist() == by_hand(model)


@pytest.mark.usefixtures("reading")
def test_prompts_longer_than_a_bucket():
    model = shared("40b")
    rows = [list(np.random.default_rng(1).integers(0, 40, n)) for n in (33, 70)]
    expected = by_hand(model, rows, 80, RandomSampler(seed=5, temperature=2.0))
    model.compile(sampler=RandomSampler(seed=5, temperature=2.0))
    outputs = model.generate(prompts(80, rows=rows), **NO_STOP)
    assert outputs["token_ids"].tolist() == expected


def test_padding_may_stand_anywhere():
    model = greedy()
    holes = {"token_ids": [[7, 3, 7, 1, 7, 7]], "padding_mask": [[0, 1, 0, 1, 0, 0]]}
    outputs = model.generate(holes, **NO_STOP)
    assert outputs["token_ids"].tolist() == by_hand(model, [[3, 1]], 6)


def test_max_length_counts_prompt_and_continuation():
    model = greedy()
    outputs = model.generate(prompts(5), max_length=7, **NO_STOP)
    assert outputs["token_ids"].tolist() == by_hand(model, length=7)


@pytest.mark.usefixtures("reading")
def test_full_prompts_come_back_as_they_are():
    model = greedy()
    outputs = model.generate(prompts(5), max_length=5, **NO_STOP)
    assert outputs["token_ids"][0].tolist() == PROMPTS[0]
    rows = [list(range(32))] * 2  # exactly a bucket: nowhere to write to
    outputs = model.generate(prompts(32, rows=rows), **NO_STOP)
    assert outputs["token_ids"].tolist() == rows


def test_strip_prompt():
    model = greedy()
    whole = model.generate(prompts(9), **NO_STOP)
    stripped = model.generate(prompts(9), strip_prompt=True, **NO_STOP)
    for i, prompt in enumerate(PROMPTS):
        new = 9 - len(prompt)
        assert stripped["token_ids"][i, :new].tolist() == whole["token_ids"][i, -new:].tolist()
        assert stripped["padding_mask"][i].tolist() == [True] * new + [False] * len(prompt)


def test_a_row_ends_with_its_stop_token():
    model = greedy()
    free = model.generate(prompts(12), **NO_STOP)["token_ids"]
    stops = {int(free[0, 7]), int(free[2, 3])}  # the third token of one row, the first of another
    outputs = model.generate(prompts(12), stop_token_ids=sorted(stops))
    for prompt, row, ids, mask in zip(PROMPTS, free, *outputs.values(), strict=True):
        new = row.tolist()[len(prompt) :]
        end = len(prompt) + next((i + 1 for i, t in enumerate(new) if t in stops), len(new))
        assert ids.tolist() == row.tolist()[:end] + [0] * (12 - end)
        assert mask.tolist() == [True] * end + [False] * (12 - end)
    assert not outputs["padding_mask"].all()


def test_stop_tokens_of_the_prompt_do_not_stop():
    model = greedy()
    expected = by_hand(model)[0]
    assert 3 not in expected[5:]
    outputs = model.generate(prompts(12), stop_token_ids=3)
    assert outputs["token_ids"][0].tolist() == expected


@pytest.mark.parametrize("dtype", ["bfloat16", "mixed_bfloat16"])
def test_low_precision(dtype):
    model = causal_lm("40b", dtype=dtype, num_layers=1)
    cache = model.build_cache(1, 4)
    assert keras.backend.standardize_dtype(cache[0][0].dtype) == "bfloat16"
    assert model.generate(prompts(9), **NO_STOP)["padding_mask"].all()


# === Compiling once ===


@pytest.mark.compiler
def test_nothing_is_compiled_twice(reading, events):
    once = (1, 1) if reading == "prefill" else (0, 1)
    model = causal_lm(sampler=RandomSampler(seed=1), num_layers=1)
    lengths = [1, 5, 17, 32]
    for length in lengths:
        outputs = model.generate(prompts(40, rows=[list(range(length))]), **NO_STOP)
    model.generate(prompts(50, rows=[[1, 2]]), **NO_STOP)  # another length in the same bucket
    assert programs(events) == once
    model.compile(sampler=RandomSampler(seed=2))
    model.generate(prompts(40, rows=[[1]]), **NO_STOP)
    assert programs(events) == once
    x = {"token_ids": outputs["token_ids"], "padding_mask": outputs["padding_mask"]}
    model.fit(x, verbose=0)
    model.generate(prompts(40, rows=[[1]]), **NO_STOP)
    assert programs(events) == once
    model.generate(prompts(40, rows=[list(range(34))]), **NO_STOP)  # the next bucket to read
    assert programs(events) == (2 * once[0], 1)


@pytest.mark.compiler
@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_nothing_is_compiled_again_in_fewer_bits(dtype, events):
    model = byte_lm("random", num_layers=1, dtype="bfloat16" if dtype == "bfloat16" else "float32")
    if dtype == "int8":
        model.quantize("int8")
    for prompt in ("ab", "abc"):
        model.generate(prompt, max_length=20)
    list(model.stream("ab", max_length=20))
    assert programs(events) == (0, 1)


def test_long_prompts_of_large_models_are_read_at_once():
    loop = decoding.DecodingLoop(shared().backbone, GreedySampler())
    weights = [variable.value for variable in shared().backbone.variables]
    token = sum(weight.nbytes for weight in weights) + decoding.OVERHEAD
    most = decoding.LOOP_READS // token
    assert loop.reads_by_itself(weights, 1, most)
    assert not loop.reads_by_itself(weights, 1, most + 1)
    assert not loop.reads_by_itself(weights, most, 2)


@pytest.mark.parametrize("sampler", ["greedy", "beam"])
def test_a_second_call_traces_nothing(sampler, events):
    """Shapes that JAX was asked for took as long as ten tokens of a shipped model."""
    model = byte_lm("random", num_layers=1)
    model.compile(sampler=sampler)
    model.generate("ab", max_length=20)
    assert programs(events) == (0, 1)
    events.clear()
    model.generate("cd", max_length=20)
    assert not events


def test_streaming_runs_the_program_of_generate(reading, events):
    model = byte_lm(num_layers=1)
    model.generate("ab", max_length=20)
    list(model.stream("abc", max_length=20))
    assert programs(events) == ((1, 1) if reading == "prefill" else (0, 1))


def test_weights_are_not_baked_into_the_program(events):
    model = causal_lm("falcon2_11b", num_layers=1)
    model.generate(prompts(9), **NO_STOP)
    layouts.randomize(model.backbone, seed=5)
    outputs = model.generate(prompts(9), **NO_STOP)
    assert outputs["token_ids"].tolist() == by_hand(model, length=9)
    assert programs(events) == (0, 1)


def test_a_step_writes_into_the_cache_of_the_one_before():
    run = Run(greedy(), prompts(12), max_length=12, stop_token_ids=[])
    run.decode(run.start + 1)
    caches = jax.tree.leaves(run.state["rows"]["cache"])
    run.decode(run.start + 2)
    assert all(cache.is_deleted() for cache in caches)


def test_lora_reaches_generation():
    model = causal_lm("7b", num_layers=1)
    before = model.generate(prompts(12), **NO_STOP)["token_ids"]
    model.backbone.enable_lora(rank=2)
    assert (model.generate(prompts(12), **NO_STOP)["token_ids"] == before).all()
    for variable in model.backbone.trainable_variables:
        variable.assign(np.random.default_rng(0).normal(size=variable.shape))
    outputs = model.generate(prompts(12), **NO_STOP)
    assert outputs["token_ids"].tolist() == by_hand(model)
    assert (outputs["token_ids"] != before).any()


def test_round_up():
    for length in range(1, 2000):
        assert length <= round_up(length) < length + max(32, length / 2)
        assert round_up(round_up(length)) == round_up(length)


def test_align_keeps_the_order_of_real_tokens():
    rows = [[5, 6, 7], [8]]
    for side in ("left", "right"):
        aligned = align(prompts(6, side, rows=rows))
        assert aligned["token_ids"][aligned["padding_mask"]].tolist() == [5, 6, 7, 8]
        assert aligned["padding_mask"].tolist() == [[True] * 3, [False, False, True]]


# === Seeds ===


@pytest.mark.parametrize("make_sampler", [RandomSampler, TopKSampler])
def test_seeds_repeat(make_sampler):
    def two_texts(model, seed):
        model.compile(sampler=make_sampler(seed=seed, temperature=1.5))
        return [model.generate("ab", max_length=40) for _ in range(2)]

    model = shared_byte_lm()
    first, second = two_texts(model, seed=3)
    assert first != second
    assert two_texts(model, seed=3) == [first, second]
    assert two_texts(byte_lm(), seed=3) == [first, second]
    assert two_texts(model, seed=4) != [first, second]


def test_without_a_seed_texts_differ():
    model = shared_byte_lm()
    texts = set()
    for _ in range(2):
        model.compile(sampler=RandomSampler(temperature=1.5))
        texts.add(model.generate("ab", max_length=40))
    assert len(texts) == 2


# === Text ===


def byte_lm(sampler="greedy", layout="rw", sequence_length=24, **overrides):
    """A model over bytes, with random weights."""
    preprocessor = byte_preprocessor(sequence_length)
    return causal_lm(layout, sampler, preprocessor, vocabulary_size=257, **overrides)


@functools.cache
def shared_byte_lm():
    return byte_lm()


def byte_preprocessor(sequence_length=24):
    vocabulary = {letter: byte for byte, letter in byte_alphabet().items()}
    tokenizer = FalconTokenizer({**vocabulary, "<|endoftext|>": END}, merges=[])
    return FalconCausalLMPreprocessor(tokenizer, sequence_length=sequence_length)


def parrot(text):
    """A model that goes on with a text, byte by byte, then ends; no byte may come twice."""
    steps = text.encode()
    assert len(set(steps)) == len(steps)
    backbone = FalconBackbone(257, 1, 4, 260, 8, tie_word_embeddings=False)
    for layer in ("output_dense", "dense_4h_to_h"):
        for variable in backbone.variables:
            if layer in variable.path:
                variable.assign(np.zeros(variable.shape))  # the residual stream is the embedding
    embedding = backbone.token_embedding
    embedding.embeddings.assign(np.eye(257, 260))
    successor = np.full(257, END)
    successor[list(steps[:-1])] = list(steps[1:])
    head = np.zeros((260, 257))
    head[np.arange(257), successor] = 1
    embedding.reverse_embeddings.assign(head)
    model = FalconCausalLM(backbone, byte_preprocessor())
    model.compile(sampler="greedy")
    return model


def test_generate_text():
    model = shared_byte_lm()
    model.compile(sampler="greedy")
    text = model.generate("ab")
    assert text.startswith("ab")
    ids = by_hand(model, [[END, *b"ab"]], 24)[0]
    kept = ids[1 : ids.index(END, 1) if END in ids[1:] else None]
    assert text == bytes(kept).decode(errors="replace")
    assert model.generate(["ab", "xyz"])[0] == text
    assert model.generate(np.array(["ab", "xyz"]))[0] == text
    assert model.generate("ab", strip_prompt=True) == text[2:]


def test_the_end_token_stops_a_text():
    model = parrot("aé€😀z")
    assert model.generate("a") == "aé€😀z"
    assert model.generate(["a", "€"], strip_prompt=True) == ["é€😀z", "😀z"]
    assert len(model.generate("a", stop_token_ids=None).encode()) <= 23


def test_an_empty_text_is_a_prompt():
    model = shared_byte_lm()
    model.compile(sampler="greedy")
    ids = by_hand(model, [[END]], 8)[0]
    text = model.generate("", max_length=8, stop_token_ids=None)
    assert text == bytes(i for i in ids if i != END).decode(errors="replace")


def test_token_dicts_work_beside_a_preprocessor():
    model = shared_byte_lm()
    outputs = model.generate(prompts(9))
    assert outputs["token_ids"].shape == (3, 9)


# === stream ===


def test_stream_never_splits_a_character():
    model = parrot("aé€😀z")
    assert list(model.stream("a")) == ["é", "€", "😀", "z"]


def test_stream_shows_at_the_end_what_never_became_a_character():
    model = parrot("a€")
    assert list(model.stream("a", max_length=4)) == ["\ufffd"]
    assert model.generate("a", max_length=4) == "a\ufffd"


@pytest.mark.parametrize("sampler", ["greedy", RandomSampler, TopKSampler])
@pytest.mark.parametrize("prompt", ["", "ab"])
def test_stream_is_generate_in_pieces(sampler, prompt):
    def compiled():
        model.compile(sampler=sampler if isinstance(sampler, str) else sampler(**random))
        return model

    random = {"seed": 7, "temperature": 1.5}
    model = shared_byte_lm()
    whole = [compiled().generate(prompt, max_length=30), model.generate(prompt, max_length=9)]
    compiled()
    pieces = list(model.stream(prompt, max_length=30))
    assert all(pieces)
    assert [prompt + "".join(pieces), model.generate(prompt, max_length=9)] == whole


def test_stream_yields_as_tokens_are_chosen():
    """Nothing is computed that was not asked for: seeds advance with the pieces."""
    model = shared_byte_lm()
    model.compile(sampler=RandomSampler(seed=1, temperature=1.5))
    state = model.sampler.seed_generator.state
    pieces = model.stream("ab", max_length=24)
    counts = [int(state.value[1])]
    for _ in range(3):
        next(pieces)
        counts.append(int(state.value[1]))
    assert counts[0] < counts[1] < counts[2] < counts[3] < 21


# === Samplers of one's own ===


def test_a_sampler_of_ones_own():
    """As KerasHub documents it, with the import changed."""

    class Forbid(Sampler):
        def __init__(self, forbidden_tokens, **kwargs):
            super().__init__(**kwargs)
            self.forbidden_tokens = forbidden_tokens

        def get_next_token(self, probs):
            batch_size, _ = keras.ops.shape(probs)
            for id in self.forbidden_tokens:
                update = keras.ops.zeros((batch_size, 1))
                probs = keras.ops.slice_update(probs, (0, id), update)
            return keras.ops.argmax(probs, axis=-1)

    model = greedy()
    favourite = by_hand(model, [[9]], 2)[0][1]
    model.compile(sampler=Forbid(forbidden_tokens=[favourite]))
    outputs = model.generate(prompts(12), **NO_STOP)
    assert favourite not in outputs["token_ids"][1, 1:]
    model.compile(sampler=Forbid(forbidden_tokens=[]))
    assert favourite in model.generate(prompts(12), **NO_STOP)["token_ids"][1, 1:]


# === Errors ===


@pytest.mark.parametrize(
    ("inputs", "arguments", "words"),
    [
        ("abcdef", {"max_length": 4}, "has 7 tokens.*max_length=4"),
        ("a" * 30, {}, "has 31 tokens.*max_length=24"),
        ("a", {"max_length": 2.5}, "whole number.*2.5"),
        ("a", {"stop_token_ids": "z"}, "stop_token_ids.*'z'"),
        ("a", {"stop_token_ids": [1.5]}, "stop_token_ids.*1.5"),
        ([], {}, "at least one text"),
        ([1, 2], {}, "text"),
        (7, {}, "text.*int"),
        (prompts(5, rows=[[], [1]]), {}, "at least one token"),
        ({"token_ids": [[1, 2]]}, {}, "padding_mask"),
        ({"token_ids": [[1, 257]], "padding_mask": [[1, 1]]}, {}, "vocabulary_size=257.*257"),
        ({"token_ids": [[1, -1]], "padding_mask": [[1, 1]]}, {}, "-1"),
        ({"token_ids": [1, 2], "padding_mask": [1, 1]}, {}, "shape"),
    ],
)
def test_what_can_not_be_continued_is_refused(inputs, arguments, words):
    with pytest.raises(ValueError, match=f"(?s){words}"):
        shared_byte_lm().generate(inputs, **arguments)


def test_text_is_refused_without_a_preprocessor():
    model = greedy()
    with pytest.raises(ValueError, match="stop_token_ids=None"):
        model.generate(prompts(9))
    with pytest.raises(ValueError, match="can't read text"):
        model.generate("ab", **NO_STOP)
    with pytest.raises(ValueError, match="can't read text"):
        model.stream("ab", **NO_STOP)


def test_what_can_not_be_streamed_is_refused_at_once():
    model = shared_byte_lm()
    with pytest.raises(ValueError, match=r"one text.*list"):
        model.stream(["a", "b"])
    with pytest.raises(ValueError, match="has 31 tokens"):
        model.stream("a" * 30)
    model.compile(sampler=BeamSampler())
    with pytest.raises(ValueError, match="Beam search"):
        model.stream("a")

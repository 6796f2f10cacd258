"""What ends a text: as the files of a preset have it, in training and in generation."""

import json
import warnings

from falcon_edu import FalconBackbone, FalconCausalLM, FalconTokenizer
from falcon_edu.presets import export_to_transformers
from falcon_edu.text.preprocessor import FalconCausalLMPreprocessor
from tests.small_tokenizers import END, train

import pytest

CHAT, STOP = "<|im_end|>", "<|stop|>"


@pytest.fixture(scope="module")
def tokenizer():
    library = train("falcon")
    library.add_special_tokens([CHAT, STOP])
    return FalconTokenizer.from_tokenizer_json(json.loads(library.to_str()))


@pytest.fixture(scope="module")
def backbone(tokenizer):
    return FalconBackbone(tokenizer.vocabulary_size(), 1, 2, 8, 16)


@pytest.fixture
def preset(tmp_path, backbone, tokenizer):
    export_to_transformers(backbone, tmp_path, tokenizer)
    return tmp_path


def write(folder, name, **fields):
    path = folder / name
    content = {**json.loads(path.read_text()), **fields} if path.exists() else fields
    path.write_text(json.dumps({key: x for key, x in content.items() if x != "nothing"}))


def ends(preset):
    return FalconTokenizer.from_preset(preset).end_tokens


@pytest.mark.parametrize("several", [False, True])
def test_the_first_file_that_names_an_end_counts(preset, tokenizer, several):
    assert ends(preset) == [END]
    chat, stop = (tokenizer.token_to_id(token) for token in (CHAT, STOP))
    write(preset, "tokenizer_config.json", eos_token={"content": CHAT, "special": True})
    assert ends(preset) == [END]
    write(preset, "generation_config.json", eos_token_id="nothing")
    assert ends(preset) == [END]
    write(preset, "config.json", eos_token_id=None)
    assert ends(preset) == [CHAT]
    write(preset, "config.json", eos_token_id=[stop, chat] if several else stop)
    assert ends(preset) == ([CHAT, STOP] if several else [STOP])  # the tokenizer's own is first
    write(preset, "generation_config.json", eos_token_id=[chat] if several else chat)
    assert ends(preset) == [CHAT]
    (preset / "generation_config.json").unlink()
    (preset / "config.json").unlink()
    (preset / "tokenizer_config.json").unlink()
    assert ends(preset) == [END]


def test_an_ordinary_word_may_be_the_end(preset, tokenizer):
    write(preset, "generation_config.json", eos_token_id=[tokenizer.token_to_id("."), 5])
    loaded = FalconTokenizer.from_preset(preset)
    assert loaded.end_tokens == [".", tokenizer.id_to_token(5)]
    assert loaded.special_tokens == [END]
    preprocessor = FalconCausalLMPreprocessor(loaded, 16)
    # The word ends texts, but is no mark that a reader should not see.
    assert preprocessor.generate_postprocess(preprocessor.generate_preprocess("a.")) == "a."


@pytest.mark.parametrize("ids", [(1, 2), (11, 11)])
def test_ids_that_nobody_has_set_are_no_end(preset, tokenizer, ids):
    start, end = ids
    for name in ("config.json", "generation_config.json"):
        write(preset, name, bos_token_id=start, eos_token_id=end)
    assert ends(preset) == [END]
    write(preset, "generation_config.json", bos_token_id=3)
    assert ends(preset) == [tokenizer.id_to_token(end)]


def test_ids_that_the_tokenizer_lacks_are_warned_of(preset, tokenizer):
    chat = tokenizer.token_to_id(CHAT)
    write(preset, "generation_config.json", eos_token_id=[10**6, chat])
    with pytest.warns(UserWarning, match=r"generation_config\.json ends texts with \[1000000"):
        assert ends(preset) == [CHAT]
    write(preset, "generation_config.json", eos_token_id=-1)
    with pytest.warns(UserWarning, match="only these count"):
        assert ends(preset) == [END]
    write(preset, "generation_config.json", eos_token_id=None)
    write(preset, "config.json", eos_token_id=None)
    write(preset, "tokenizer_config.json", eos_token="</s>")
    with pytest.warns(UserWarning, match="</s>"):
        assert ends(preset) == [END]


@pytest.mark.parametrize("value", ["2", 7.5, True, {"id": 2}, [[2]], [None]])
def test_an_end_that_is_no_id_is_refused(preset, value):
    write(preset, "generation_config.json", eos_token_id=value)
    with pytest.raises(
        ValueError, match=r"`eos_token_id` in .*generation_config\.json must be an id"
    ):
        ends(preset)


def test_a_tokenizer_without_the_usual_end_needs_another():
    vocabulary = {"<s>": 0, "</s>": 1, "a": 2}
    with pytest.raises(ValueError, match="is not in the vocabulary"):
        FalconTokenizer(vocabulary, [])
    tokenizer = FalconTokenizer(vocabulary, [], end_tokens=["</s>"])
    assert tokenizer.end_token == tokenizer.start_token == "</s>"
    assert tokenizer.end_token_ids == [1]
    with pytest.raises(ValueError, match="'<end>' is not in the vocabulary"):
        FalconTokenizer(vocabulary, [], end_tokens=["<end>"])
    with pytest.raises(ValueError, match="`end_tokens` must be a list of strings"):
        FalconTokenizer(vocabulary, [], end_tokens="</s>")


def test_the_ends_survive_every_way_of_saving(tmp_path, preset, backbone, tokenizer):
    chosen = FalconTokenizer.from_preset(preset, end_tokens=[CHAT, STOP])
    assert FalconTokenizer.from_config(chosen.get_config()).end_tokens == [CHAT, STOP]
    preprocessor = FalconCausalLMPreprocessor(chosen, 16, add_start_token=False)
    model = FalconCausalLM(backbone, preprocessor)
    model.save_to_preset(tmp_path / "keras_hub")
    model.export_to_transformers(tmp_path / "transformers")
    for folder in ("keras_hub", "transformers"):
        again = FalconCausalLMPreprocessor.from_preset(tmp_path / folder)
        assert again.tokenizer.end_tokens == [CHAT, STOP]
        assert again.tokenizer("a<|endoftext|> b").tolist() == chosen("a<|endoftext|> b").tolist()
        assert not again.add_start_token
    config = json.loads((tmp_path / "transformers/generation_config.json").read_text())
    assert config["eos_token_id"] == chosen.end_token_ids


def test_texts_to_learn_from_get_the_first_end(tokenizer):
    config = {**tokenizer.get_config(), "end_tokens": [CHAT, STOP]}
    chosen = FalconTokenizer.from_config(config)
    x, _, _ = FalconCausalLMPreprocessor(chosen, 4)("a")
    assert x["token_ids"].tolist() == [
        chosen.token_to_id(END), *chosen("a"), chosen.token_to_id(CHAT), 0
    ]  # fmt: skip


def test_generation_stops_at_each_of_the_ends(backbone, tokenizer):
    for variable in backbone.token_embedding.variables:
        variable.assign(variable * 0.25)
    model = FalconCausalLM(backbone, FalconCausalLMPreprocessor(tokenizer, 24))
    model.compile(sampler="greedy")
    prompt = model.preprocessor.generate_preprocess(["The dog"])
    row = model.generate(prompt, stop_token_ids=None)["token_ids"][0]
    chosen = int(row[prompt["padding_mask"].sum() + 2])
    first = next(i for i, x in enumerate(row) if x == chosen and i >= prompt["padding_mask"].sum())
    word = tokenizer.id_to_token(chosen)
    config = {**tokenizer.get_config(), "end_tokens": [CHAT, word]}
    model.preprocessor = FalconCausalLMPreprocessor(FalconTokenizer.from_config(config), 24)
    stopped = model.generate(prompt)
    assert stopped["padding_mask"].sum() == first + 1
    assert stopped["token_ids"][0, first] == chosen
    assert model.generate("The dog") == tokenizer.detokenize(row[1 : first + 1])


def test_a_preset_of_falcon_loads_without_a_word(preset):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ends(preset)

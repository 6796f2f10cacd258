"""The tokenizer loses nothing and says what is wrong; the preprocessor packs as KerasHub's."""

import json

from falcon_edu.text.byte_level import byte_alphabet, token_to_bytes
from falcon_edu.text.preprocessor import FalconCausalLMPreprocessor
from falcon_edu.text.tokenizer import FalconTokenizer
from tests.small_tokenizers import END, TALE, train

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, pre_tokenizers

RAW = train("falcon")
FILE = json.loads(RAW.to_str())
TOKENIZERS = {
    "files": FalconTokenizer(
        FILE["model"]["vocab"], [" ".join(m) for m in FILE["model"]["merges"]]
    ),
    "tokenizer_json": FalconTokenizer.from_tokenizer_json(FILE),
}
AWKWARD = [
    "",
    " ",
    "\x00\x01\x7f\x85\r\n\t",
    "👩‍🚀",
    "🏳️‍🌈",
    "e\u0301 \u0065\u0301\u0327",
    "\u200b\u200d\ufeff\ufffd",
    "नमस्ते 你好 שלום",
    "\U0010ffff",
    f"a{END}b",
    "Ġ Ã©",
    "  two  spaces  ",
    "'s 'll 12345 42",
]


@pytest.fixture(params=TOKENIZERS)
def tokenizer(request):
    return TOKENIZERS[request.param]


def test_alphabet_is_gpt2s():
    assert sorted(byte_alphabet().values()) == sorted(pre_tokenizers.ByteLevel.alphabet())
    assert token_to_bytes(byte_alphabet()[0x20]) == b" "
    assert all(token_to_bytes(letter) == bytes([byte]) for byte, letter in byte_alphabet().items())


@given(text=st.text())
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_lossless_on_any_text(kind, text):
    tokenizer = TOKENIZERS[kind]
    ids = tokenizer.tokenize(text)
    assert tokenizer.detokenize(ids) == text
    assert len(tokenizer.offsets(text)) == len(tokenizer.token_strings(ids)) == len(ids)


@pytest.mark.parametrize("text", AWKWARD)
def test_lossless_on_awkward_text(tokenizer, text):
    assert tokenizer.detokenize(tokenizer(text)) == text
    assert tokenizer.detokenize(tokenizer([text, "cat"])) == [text, "cat"]


@given(text=st.text())
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_offsets_are_those_of_the_bytes(kind, text):
    """From the bytes alone: a token spans the characters that its bytes touch."""
    tokenizer = TOKENIZERS[kind]
    owner = [i for i, character in enumerate(text) for _ in character.encode()]
    expected, start = [], 0
    for token_id in tokenizer(text):
        end = start + len(tokenizer.token_bytes(token_id))
        expected.append((owner[start], owner[end - 1] + 1))
        start = end
    assert tokenizer.offsets(text) == expected


def test_same_ids_as_the_library(tokenizer):
    if tokenizer is TOKENIZERS["tokenizer_json"]:
        assert tokenizer(TALE).tolist() == RAW.encode(TALE).ids
    else:
        plain = Tokenizer.from_str(RAW.to_str())
        plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        assert tokenizer(TALE).tolist() == plain.encode(TALE).ids


def test_splitting_rules_of_the_file_are_kept():
    ids = {name: tokenizer("1425").tolist() for name, tokenizer in TOKENIZERS.items()}
    assert ids["tokenizer_json"] == RAW.encode("1425").ids
    assert (
        FalconTokenizer.from_config(TOKENIZERS["tokenizer_json"].get_config())("1425").tolist()
        == (ids["tokenizer_json"])
    )


def test_special_token_only_when_told(tokenizer):
    end = tokenizer.end_token_id
    assert end == tokenizer.start_token_id == FILE["model"]["vocab"][END]
    assert end not in tokenizer(f"a{END}b")
    config = {**tokenizer.get_config(), "unsplittable_tokens": [END]}
    told = FalconTokenizer.from_config(config)
    assert told(f"a{END}b").tolist() == [*told("a"), end, *told("b")]
    assert told.detokenize(told(f"a{END}b")) == f"a{END}b"
    assert told.offsets(f"a{END}b")[1] == (1, 1 + len(END))
    again = FalconTokenizer.from_config(told.get_config())
    assert again(f"a{END}b").tolist() == told(f"a{END}b").tolist()
    assert told(">>TITLE<<").size > 1  # it was not told of this one


def test_added_words_are_kept_and_stand_for_their_own_text():
    """A file may add words that are no special tokens: transformers finds them in any text."""
    library = Tokenizer.from_str(json.dumps(FILE))
    library.add_tokens(["café"])  # in the alphabet of bytes, these letters would be bytes
    tokenizer = FalconTokenizer.from_tokenizer_json(json.loads(library.to_str()))
    ids = tokenizer("a café")
    assert ids.tolist() == library.encode("a café").ids
    assert tokenizer.id_to_token(ids[-1]) == "café"
    assert tokenizer.detokenize(ids) == "a café"


def test_token_strings_are_readable(tokenizer):
    strings = tokenizer.token_strings(tokenizer("The dog"))
    assert "".join(strings) == "The dog"
    assert " dog" in tokenizer.token_strings(tokenizer("a dog gave"))
    hedgehog = tokenizer("🦔")
    assert len(hedgehog) > 1
    assert "".join(tokenizer.token_strings(hedgehog)) == r"\xf0\x9f\xa6\x94"
    assert tokenizer.token_strings([hedgehog, hedgehog[:-1]])[1][-1].startswith(r"\x")
    assert tokenizer.detokenize(hedgehog[:-1]) == "\ufffd"


def test_vocabulary(tokenizer):
    assert (
        tokenizer.vocabulary_size() == len(tokenizer.get_vocabulary()) == len(tokenizer.vocabulary)
    )
    for token, index in tokenizer.vocabulary.items():
        assert tokenizer.token_to_id(token) == index
        assert tokenizer.id_to_token(index) == token
    assert tokenizer.special_token_ids == [tokenizer.end_token_id]


def test_paths_and_prefix_space(tmp_path):
    vocabulary, merges = tmp_path / "vocabulary.json", tmp_path / "merges.txt"
    vocabulary.write_text(json.dumps(FILE["model"]["vocab"]), "utf-8")
    lines = ["#version: 0.2", *(" ".join(merge) for merge in FILE["model"]["merges"]), ""]
    merges.write_text("\n".join(lines), "utf-8")
    tokenizer = FalconTokenizer(str(vocabulary), merges)
    assert tokenizer(TALE).tolist() == TOKENIZERS["files"](TALE).tolist()
    prefixed = FalconTokenizer(str(vocabulary), str(merges), add_prefix_space=True)
    assert prefixed.add_prefix_space
    assert not tokenizer.add_prefix_space
    assert prefixed("dog").tolist() == tokenizer(" dog").tolist()
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(FILE), "utf-8")
    assert FalconTokenizer.from_tokenizer_json(path)(TALE).tolist() == RAW.encode(TALE).ids


def test_sequence_length_and_dtype():
    vocabulary, merges = FILE["model"]["vocab"], FILE["model"]["merges"]
    tokenizer = FalconTokenizer(vocabulary, merges, sequence_length=4)
    ids = tokenizer(["cat", "the dog gave it back"])
    assert ids.shape == (2, 4)
    assert ids.dtype == "int32"
    plain = FalconTokenizer(vocabulary, merges)
    assert ids[0].tolist() == [*plain("cat"), 0, 0, 0, 0][:4]
    assert ids[1].tolist() == plain("the dog gave it back")[:4].tolist()
    assert tokenizer("").tolist() == [0, 0, 0, 0]
    assert tokenizer([]).shape == (0, 4)
    tokens = FalconTokenizer(vocabulary, merges, dtype="string")
    assert tokens("a dog") == ["a", "Ġdog"]
    assert tokens(["a dog", "a"]) == [["a", "Ġdog"], ["a"]]
    assert TOKENIZERS["files"](np.array(["cat", "dog"])) == TOKENIZERS["files"](["cat", "dog"])


VOCABULARY = {END: 0, "a": 1, "b": 2, "ab": 3}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vocabulary": VOCABULARY}, "`merges` is missing"),
        ({"merges": []}, "`vocabulary` is missing"),
        ({"vocabulary": {"a": 0}, "merges": []}, "special token '<|endoftext|>'"),
        ({"vocabulary": [END], "merges": []}, "must be a dictionary"),
        ({"vocabulary": {}, "merges": []}, "not empty"),
        ({"vocabulary": {END: "0"}, "merges": []}, "whole numbers"),
        ({"vocabulary": {END: -1}, "merges": []}, "at least 0"),
        ({"vocabulary": {END: True}, "merges": []}, "whole numbers"),
        ({"vocabulary": {END: 0, "a": 0}, "merges": []}, "0 for both"),
        ({"vocabulary": VOCABULARY, "merges": 7}, "`merges` must be a list or a path"),
        ({"vocabulary": VOCABULARY, "merges": ["ab"]}, "two tokens with a space"),
        ({"vocabulary": VOCABULARY, "merges": ["a  b"]}, "two tokens with a space"),
        ({"vocabulary": VOCABULARY, "merges": [7]}, "two tokens with a space"),
        ({"vocabulary": VOCABULARY, "merges": ["a c"]}, "Merge 'a c' needs 'c'"),
        ({"vocabulary": VOCABULARY, "merges": ["b a"]}, "Merge 'b a' needs 'ba'"),
        ({"vocabulary": VOCABULARY, "merges": [], "dtype": "float32"}, "`dtype`"),
        ({"vocabulary": VOCABULARY, "merges": [], "unsplittable_tokens": ["<s>"]}, "'<s>'"),
    ],
)
def test_impossible_arguments(arguments, message):
    with pytest.raises(ValueError) as caught:
        FalconTokenizer(**arguments)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1, 2]", "must hold a JSON object"),
        ('{"model"', "is no JSON"),
        ("{}", "no tokenizer of Falcon"),
        ('{"model": {"type": "Unigram", "vocab": []}}', "Received: type='Unigram'"),
        ('{"model": {"vocab": {"a": 0}, "merges": []}}', "must have one ByteLevel step"),
        (
            '{"model": {"vocab": {"a": 0}, "merges": ["a b"]},'
            ' "pre_tokenizer": {"type": "ByteLevel"}}',
            "Merge 'a b' needs 'b'",
        ),
        (
            json.dumps({**FILE, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False}}),
            "tokenizers library refuses",
        ),
        (json.dumps({**FILE, "added_tokens": [{"content": END}]}), "an added token without"),
        (
            json.dumps({**FILE, "added_tokens": [{"content": "xyz", "id": 0, "special": True}]}),
            "0 for both",
        ),
        (json.dumps({**FILE, "model": {**FILE["model"], "merges": [["1000", 2]]}}), "needs '1000'"),
    ],
)
def test_broken_tokenizer_json(tmp_path, content, message):
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(ValueError) as caught:
        FalconTokenizer.from_tokenizer_json(path)
    assert message in str(caught.value)


def test_missing_files_are_named(tmp_path):
    for make in (
        lambda path: FalconTokenizer(path, []),
        lambda path: FalconTokenizer(VOCABULARY, path),
        FalconTokenizer.from_tokenizer_json,
    ):
        with pytest.raises(FileNotFoundError, match=r"There is no .* file at .*nowhere\.json"):
            make(str(tmp_path / "nowhere.json"))


def test_impossible_inputs(tokenizer):
    for text in (7, None, ["a", 7], {"a"}, [["a"]], ["a", None]):
        with pytest.raises(ValueError, match="must be a string"):
            tokenizer(text)
    with pytest.raises(ValueError, match="half a surrogate pair"):
        tokenizer("\ud83d")
    for ids in ([10**6], [-1], 10**30, [1.5], ["a"]):
        with pytest.raises(ValueError, match="is not in the vocabulary"):
            tokenizer.detokenize(ids)
    with pytest.raises(ValueError, match="'nothing' is not in the vocabulary"):
        tokenizer.token_to_id("nothing")
    small = FalconTokenizer(VOCABULARY, ["a b"])
    with pytest.raises(ValueError, match="can't spell 'abc'"):
        small("abc")
    told = FalconTokenizer(VOCABULARY, ["a b"], unsplittable_tokens=[END])
    assert told(f"ab{END}").tolist() == [3, 0]


# === The preprocessor ===


def preprocessor(**kwargs):
    return FalconCausalLMPreprocessor(TOKENIZERS["files"], **kwargs)


def test_training_arrays():
    ids, end = list(TOKENIZERS["files"]("The dog")), TOKENIZERS["files"].end_token_id
    length = len(ids) + 4
    x, y, sample_weight = preprocessor(sequence_length=length)(["The dog", ""])
    padding = [0] * 4
    assert x["token_ids"][0].tolist() == [end, *ids, end, 0, 0]
    assert y[0].tolist() == [*ids, end, 0, 0, 0]
    assert sample_weight[0].tolist() == [True] * (len(ids) + 1) + [False] * 3
    assert x["padding_mask"][0].tolist() == [True] * (len(ids) + 2) + [False] * 2
    assert y[1].tolist() == [end, *padding, *[0] * (length - 5)]
    x, y, _ = preprocessor(add_start_token=False, add_end_token=False)(
        "The dog", sequence_length=length
    )
    assert x["token_ids"].tolist() == [*ids, *padding]
    assert y.tolist() == [*ids[1:], *padding, 0]


def test_long_text_is_cut_and_still_ends():
    end = TOKENIZERS["files"].end_token_id
    x, y, sample_weight = preprocessor(sequence_length=6)(TALE)
    assert x["token_ids"].shape == y.shape == (6,)
    assert y[-1] == end
    assert sample_weight.all()
    assert (x["token_ids"][1:] == y[:-1]).all()


def test_generation_arrays_and_back():
    p = preprocessor(sequence_length=32)
    texts = ["The dog", "The cat gave"]
    x = p.generate_preprocess(texts)
    assert x["token_ids"].shape == (2, 32)
    assert x["token_ids"][0, 0] == p.tokenizer.start_token_id
    assert p.tokenizer.end_token_id not in x["token_ids"][0, 1:]
    assert p.generate_postprocess(x) == texts
    one = p.generate_preprocess(texts[0], sequence_length=9)
    assert one["token_ids"].shape == (9,)
    assert p.generate_postprocess(one) == texts[0]
    # Rows of the model that no token owns stand for no text.
    x["token_ids"][0, 1], x["padding_mask"][0, -1] = 10**6, True
    p.generate_postprocess(x)
    bare = preprocessor(sequence_length=8, add_start_token=False).generate_preprocess("dog")
    assert bare["token_ids"][0] != p.tokenizer.start_token_id


def test_impossible_lengths():
    for length in (0, -1, 1.5, True, "8"):
        with pytest.raises(ValueError, match="sequence_length"):
            preprocessor(sequence_length=length)
    with pytest.raises(ValueError, match="room for 2 special tokens"):
        preprocessor(sequence_length=1)._pack("a", 1, True)


def test_config_round_trip():
    p = preprocessor(sequence_length=12, add_end_token=False)
    again = FalconCausalLMPreprocessor.from_config(p.get_config())
    assert again("The dog")[0]["token_ids"].tolist() == p("The dog")[0]["token_ids"].tolist()
    assert again.get_config() == p.get_config()

"""Files of tokenizers: the ids are those of the file, and every text comes back, or it is said."""

import json
import unicodedata

from falcon_edu.text.tokenizer import FalconTokenizer
from tests.small_tokenizers import END, train

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, pre_tokenizers

LETTERS = sorted(pre_tokenizers.ByteLevel.alphabet())
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
BYTE_LEVEL["use_regex"] = True
CHAT = [("[PAD]", 257, True), ("<|user|>", 258, True), ("<|bot|>", 259, True)]


def added(content, index, special, **flags):
    default = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": index, "content": content, **default, "special": special, **flags}


def file(tokens=(), **fields):
    """A `tokenizer.json` of 257 tokens, all bytes and the end of a text, and some added."""
    vocabulary = {END: 0, **{letter: i + 1 for i, letter in enumerate(LETTERS)}}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [token if isinstance(token, dict) else added(*token) for token in tokens],
        "normalizer": None,
        "pre_tokenizer": BYTE_LEVEL,
        "post_processor": None,
        "decoder": BYTE_LEVEL,
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
        **fields,
    }


# === Ids of added tokens ===


@pytest.mark.parametrize(
    "told", [(), ("<|user|>",), ("<|bot|>", "<|user|>"), ("[PAD]", "<|bot|>"), (END,)]
)
@pytest.mark.parametrize(
    "specials", [(True, True, True), (True, True, False), (False, True, False)]
)
def test_added_tokens_have_the_ids_of_the_file(told, specials):
    tokens = [(name, i, special) for (name, i, _), special in zip(CHAT, specials, strict=True)]
    tokenizer = FalconTokenizer.from_tokenizer_json(file(tokens), unsplittable_tokens=told)
    for name, index, special in tokens:
        ids = tokenizer(f"a{name}b").tolist()
        if name in told or not special:
            assert ids == [*tokenizer("a"), index, *tokenizer("b")]
        else:
            assert index not in ids
        assert tokenizer.detokenize(ids) == f"a{name}b"
        assert tokenizer.id_to_token(index) == name
    again = FalconTokenizer.from_config(tokenizer.get_config())
    assert again("[PAD]<|user|><|bot|>").tolist() == tokenizer("[PAD]<|user|><|bot|>").tolist()


NAMES = st.text(st.sampled_from("<|ab>é _世\u200b"), min_size=2, max_size=6)


@settings(max_examples=200)
@given(
    names=st.lists(NAMES.filter(lambda name: name != "é"), unique=True, max_size=5),
    special=st.lists(st.booleans(), min_size=5, max_size=5),
    single=st.lists(st.booleans(), min_size=5, max_size=5),
    style=st.sampled_from(["plain", "falcon", "bytes"]),
    data=st.data(),
)
def test_the_tokenizers_library_gives_the_same_ids(names, special, single, style, data):
    """The library recognises all added tokens, so ours is told of all."""
    definition = file() if style == "bytes" else json.loads(train_once(style))
    library = Tokenizer.from_str(json.dumps(definition))
    first = 1 + max(library.get_vocab().values())
    taken = library.get_vocab()
    names = [name for name in names if name not in taken]
    definition["added_tokens"] += [
        added(name, first + i, special[i], single_word=single[i]) for i, name in enumerate(names)
    ]
    library = Tokenizer.from_str(json.dumps(definition))
    told = [token["content"] for token in definition["added_tokens"] if token["special"]]
    tokenizer = FalconTokenizer.from_tokenizer_json(definition, unsplittable_tokens=told)
    text = "".join(data.draw(st.lists(st.sampled_from([*names, "ab", " ", "é", "<", "世 "]))))
    assert tokenizer(text).tolist() == library.encode(text, add_special_tokens=False).ids
    assert tokenizer.detokenize(tokenizer(text)) == text


def train_once(style, files={}):  # noqa: B006, a cache
    if style not in files:
        files[style] = train(style).to_str()
    return files[style]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_order_of_added_tokens_does_not_matter(order):
    tokenizer = FalconTokenizer.from_tokenizer_json(
        file([CHAT[i] for i in order]), unsplittable_tokens=[name for name, *_ in CHAT]
    )
    assert tokenizer("[PAD]<|user|><|bot|>").tolist() == [257, 258, 259]


def test_an_added_token_may_fill_a_hole_in_the_vocabulary():
    definition = file([("<|user|>", 5, False)])
    vocabulary = definition["model"]["vocab"]
    vocabulary[LETTERS[4]] = 257
    tokenizer = FalconTokenizer.from_tokenizer_json(definition)
    assert tokenizer("a<|user|>").tolist() == [*tokenizer("a"), 5]


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([("a", 5, True)], "contradicts itself: 'a' has the id"),
        ([("<|user|>", 5, True)], "5 for both"),
        ([("<|user|>", 257, True), ("<|bot|>", 257, True)], "257 for both"),
        ([("<|user|>", 258, True)], "beyond the vocabulary: with all added tokens, ids go to 257"),
        ([("<|user|>", 10**6, True)], "beyond the vocabulary"),
        ([("<|user|>", 2**31, True)], "at most 2,147,483,647"),
        ([("<|user|>", 2**64, True)], "at most 2,147,483,647"),
        ([("<|user|>", -1, True)], "at least 0"),
        ([("<|user|>", 257, True), ("<|user|>", 257, True)], "comes twice"),
        ([("<|user|>", 257, True), ("<|user|>", 258, False)], "comes twice"),
        ([("", 257, True)], "must not be empty"),
        ([("é", LETTERS.index("é") + 1, False)], "can't be read back"),
    ],
)
def test_ids_that_cannot_be_read_back_are_refused(tmp_path, tokens, message):
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(file(tokens)))
    with pytest.raises(ValueError) as caught:
        FalconTokenizer.from_tokenizer_json(path)
    assert message in str(caught.value)


def test_a_word_for_other_bytes_is_no_unsplittable_token():
    with pytest.raises(ValueError, match="'é' for other bytes"):
        FalconTokenizer.from_tokenizer_json(file(), unsplittable_tokens=["é"])


def test_a_type_too_narrow_for_the_ids_is_refused():
    with pytest.raises(ValueError, match="`dtype` uint8 holds ids up to 255"):
        FalconTokenizer.from_tokenizer_json(file(), dtype="uint8")
    with pytest.raises(ValueError, match="'int8', which holds no ids beyond 127"):
        FalconTokenizer.from_tokenizer_json(file(), dtype="int8")
    with pytest.raises(ValueError, match="at most 2,147,483,647"):
        FalconTokenizer({END: 0, "a": 2**31}, [])
    assert FalconTokenizer.from_tokenizer_json(file(), dtype="uint16")("a").dtype == "uint16"


def test_a_name_that_comes_twice_in_a_file_is_refused(tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(file()).replace('"b": ', '"a": 3, "b": ', 1))
    with pytest.raises(ValueError, match="'a' comes twice"):
        FalconTokenizer.from_tokenizer_json(path)


# === Steps that change a text ===

SPLIT = {"type": "Split", "pattern": {"String": "a"}, "behavior": "Isolated", "invert": False}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


@pytest.mark.parametrize(
    "normalizer",
    [
        {"type": kind}
        for kind in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "ByteLevel", "Nmt")
    ]
    + [
        {"type": "Strip", "strip_left": True, "strip_right": False},
        {"type": "Prepend", "prepend": "_"},
        {"type": "Replace", "pattern": {"String": "a"}, "content": "b"},
        {
            "type": "Sequence",
            "normalizers": [{"type": "Sequence", "normalizers": [{"type": "NFC"}]}],
        },
    ],
)
def test_a_normalizer_is_refused(normalizer):
    with pytest.raises(ValueError, match="give every text back as it was"):
        FalconTokenizer.from_tokenizer_json(file(normalizer=normalizer))


def test_an_empty_normalizer_is_none():
    empty = {"type": "Sequence", "normalizers": []}
    assert FalconTokenizer.from_tokenizer_json(file(normalizer=empty))("a").size == 1


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (None, "must have one ByteLevel step. Received: no step"),
        (SPLIT, "Received: Split"),
        (sequence(BYTE_LEVEL, BYTE_LEVEL), "Received: ByteLevel, ByteLevel"),
        ({**SPLIT, "pattern": {"String": "ByteLevel"}}, "Received: Split"),
        ({**SPLIT, "unknown": BYTE_LEVEL}, "Received: Split"),
        ({"type": "Digits", "pretokenizers": [BYTE_LEVEL]}, "Received: Digits"),
        ({"type": "Sequence", "decoders": [BYTE_LEVEL]}, "Received: no step"),
        (["ByteLevel"], "has a step ['ByteLevel']"),
        ("ByteLevel", "has a step 'ByteLevel'"),
        (sequence({"type": "Whitespace"}, BYTE_LEVEL), "has a step 'Whitespace'"),
        (sequence({"type": "WhitespaceSplit"}, BYTE_LEVEL), "has a step 'WhitespaceSplit'"),
        (sequence({"type": "Metaspace"}, BYTE_LEVEL), "has a step 'Metaspace'"),
        (sequence({**SPLIT, "behavior": "Removed"}, BYTE_LEVEL), "removes what Split finds"),
        (sequence(BYTE_LEVEL, {**SPLIT, "behavior": "removed"}), "removes what Split finds"),
        (sequence({"type": "Punctuation", "behavior": "Removed"}, BYTE_LEVEL), "removes what Pun"),
        (sequence(SPLIT, {**BYTE_LEVEL, "add_prefix_space": True}), "`add_prefix_space`"),
        (sequence(SPLIT, {"type": "ByteLevel"}), "`add_prefix_space`"),
    ],
)
def test_steps_that_lose_text_are_refused(step, message):
    with pytest.raises(ValueError) as caught:
        FalconTokenizer.from_tokenizer_json(file(pre_tokenizer=step))
    assert message in str(caught.value)


@pytest.mark.parametrize("flag", ["lstrip", "rstrip"])
def test_a_token_that_takes_white_space_is_warned_of(flag):
    definition = file([added("<|user|>", 257, False, **{flag: True})])
    with pytest.warns(UserWarning, match="'<|user|>' takes the white space beside it"):
        tokenizer = FalconTokenizer.from_tokenizer_json(definition)
    library = Tokenizer.from_str(json.dumps(definition))
    assert tokenizer("a <|user|> b").tolist() == library.encode("a <|user|> b").ids


def test_a_space_before_a_text_is_warned_of():
    with pytest.warns(UserWarning, match="puts a space before a text"):
        tokenizer = FalconTokenizer.from_tokenizer_json(
            file(pre_tokenizer={**BYTE_LEVEL, "add_prefix_space": True})
        )
    assert tokenizer.add_prefix_space


# === Every text comes back ===

SPLITS = {
    "bytes": BYTE_LEVEL,
    "no regex": {**BYTE_LEVEL, "use_regex": False},
    **{
        f"{kind} {behavior}": sequence({**step, "behavior": behavior}, BYTE_LEVEL)
        for behavior in ("Isolated", "Contiguous", "MergedWithPrevious", "MergedWithNext")
        for kind, step in {"split": SPLIT, "punctuation": {"type": "Punctuation"}}.items()
    },
    "behind": sequence(BYTE_LEVEL, {"type": "Digits", "individual_digits": True}, SPLIT),
}


@pytest.mark.parametrize("splits", SPLITS)
@given(text=st.text())
def test_splitting_loses_nothing(splits, text):
    tokenizer = FalconTokenizer.from_tokenizer_json(
        file([("<|bot|>", 257, False)], pre_tokenizer=SPLITS[splits])
    )
    for written in (text, f"{text}<|bot|> {text}"):
        assert tokenizer.detokenize(tokenizer(written)) == written


def test_characters_from_all_of_unicode_come_back():
    tokenizer = FalconTokenizer.from_tokenizer_json(json.loads(train_once("falcon")))
    characters = [chr(i) for i in range(0, 0x110000, 7) if not 0xD800 <= i < 0xE000]
    for i in range(0, len(characters), 4096):
        text = "".join(characters[i : i + 4096])
        assert tokenizer.detokenize(tokenizer(text)) == text


SCRIPTS = {
    "Arabic": "السلام عليكم", "Hebrew": "שָׁלוֹם", "Devanagari": "नमस्ते", "Thai": "สวัสดี",
    "Han": "你好，世界", "Kana": "こんにちは カタカナ", "Hangul": "안녕 한글", "Greek": "Καλημέρα",
    "Cyrillic": "Здравствуйте", "Armenian": "Բարեւ", "Georgian": "გამარჯობა", "Ethiopic": "ሰላም",
    "Tamil": "வணக்கம்", "Tibetan": "བོད་ཡིག", "Mongolian": "ᠮᠣᠩᠭᠣᠯ", "Khmer": "សួស្តី",
    "emoji": "👩‍👩‍👧‍👦🏴󠁧󠁢󠁥󠁮󠁧󠁿🇫🇷", "Vietnamese": "Tiếng Việt", "math": "∀x∈ℝ: ⌈x⌉ 𝔸𝕓",
    "hieroglyphs": "𓀀𓂀", "cuneiform": "𒀀𒀭",
}  # fmt: skip


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_comes_back_in_every_form(script, form):
    tokenizer = FalconTokenizer.from_tokenizer_json(json.loads(train_once("falcon")))
    text = unicodedata.normalize(form, SCRIPTS[script])
    assert tokenizer.detokenize(tokenizer(text)) == text
    assert tokenizer.detokenize(tokenizer([text, f" {text}\n"])) == [text, f" {text}\n"]

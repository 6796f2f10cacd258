"""Tokenizers that a stranger could have made: each is refused in words."""

import json
import os

from falcon_edu.text.tokenizer import FalconTokenizer
from tests.small_tokenizers import make
from tests.spoiling import (
    edit_arguments,
)

import pytest


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("merges.txt", "a b c\n", "'a b c'"),
        ("merges.txt", "never-seen merged\n", "never-seen"),
        ("vocabulary.json", "[1, 2]", "JSON"),
        ("vocabulary.json", '{"a": "b"}', "vocabulary"),
        ("vocabulary.json", '{"a": -1}', "vocabulary"),
        ("vocabulary.json", '{"a": ', "JSON"),
    ],
)
def test_broken_tokenizers_are_refused(tmp_path, name, content, words):
    make().save_to_preset(tmp_path / "preset")
    (tmp_path / "preset/assets/tokenizer" / name).write_text(content)
    with pytest.raises(ValueError, match=f"preset.*{words}"):
        FalconTokenizer.from_preset(tmp_path / "preset")


def split(pattern):
    return {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
TOKENIZERS = {
    "a text that grows": (
        {"normalizer": {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 10**6}},
        "'Replace'",
    ),
    "a text that grows later": (
        {"normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "a"}]}},
        "'Prepend'",
    ),
    "a decoder that grows": (
        {"decoder": {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}},
        "'Replace'",
    ),
    "a pattern that takes forever": (
        {
            "pre_tokenizer": {
                "type": "Sequence",
                "pretokenizers": [split({"Regex": "(x+x+)+y"}), BYTES],
            }
        },
        "repetition",
    ),
    "a pattern that may be there or not": (
        {
            "pre_tokenizer": {
                "type": "Sequence",
                "pretokenizers": [split({"Regex": "a?a?a"}), BYTES],
            }
        },
        "repetition",
    ),
    "a step that is a list": (
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [[BYTES]]}},
        "has a step",
    ),
    "added tokens that are a number": ({"added_tokens": 7}, "`added_tokens`"),
    "added tokens that are a text": ({"added_tokens": "abc"}, "`added_tokens`"),
    "added tokens that are numbers": ({"added_tokens": [1]}, "`added_tokens`"),
    "merges that are a path": ({"model": {"merges": "/etc/hostname"}}, "`merges` must be a list"),
    "a mark that the library chokes on": (
        {"model": {"continuing_subword_prefix": "zzzzzzzz"}},
        "`continuing_subword_prefix`",
    ),
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_definitions_that_could_run_forever_are_refused(tmp_path, name):
    changes, words = TOKENIZERS[name]
    definition = make().definition
    model = {**definition["model"], **changes.get("model", {})}
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({**definition, **changes, "model": model}))
    with pytest.raises(ValueError, match=rf"tokenizer\.json.*{words}|{words}.*tokenizer\.json"):
        FalconTokenizer.from_preset(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("unsplittable_tokens", 5),
        ("unsplittable_tokens", [["a"]]),
        ("sequence_length", "x"),
        ("sequence_length", 10**12),
        ("dtype", "int999"),
    ],
)
def test_arguments_of_tokenizers_are_checked(tmp_path, field, value):
    make().save_to_preset(tmp_path)
    edit_arguments(**{field: value})(tmp_path, "tokenizer.json")
    with pytest.raises(ValueError, match=f"`{field}`"):
        FalconTokenizer.from_preset(tmp_path)


def test_tokenizers_of_gigabytes_are_not_read(tmp_path):
    make().save_to_preset(tmp_path)
    os.truncate(tmp_path / "assets/tokenizer/merges.txt", 6 << 30)  # without taking any room
    with pytest.raises(ValueError, match=r"merges\.txt is too long"):
        FalconTokenizer.from_preset(tmp_path)

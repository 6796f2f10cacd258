"""What a byte-level BPE tokenizer is: vocabulary, merges and splitting rules, as a dictionary."""

import json
import re
from pathlib import Path

import tokenizers

MOST_BYTES = 10 * 1024**2  # Falcon's `tokenizer.json` has 3 MB


def make_definition(vocabulary, merges, add_prefix_space=False, special_tokens=()):
    """The definition of a byte-level BPE tokenizer, as `tokenizer.json` of transformers holds it.

    Args:
        vocabulary: dictionary of token to id, or path of a `vocabulary.json`.
        merges: list of `"left right"`, first merge first, or path of a `merges.txt`.
        add_prefix_space: whether a text is read as if it began with a space.
        special_tokens: tokens of the vocabulary that no text is split into.

    Returns:
        A dictionary in the format of the tokenizers library.

    Raises:
        FileNotFoundError: a path leads to no file.
        ValueError: the vocabulary or a merge is broken; the message says which.
    """
    vocabulary = check_vocabulary(_read_vocabulary(vocabulary))
    merges = [merge for merge in _read_merges(merges) if not str(merge).startswith("#version:")]
    for merge in merges:
        check_merge(merge, vocabulary)
    byte_level = {"type": "ByteLevel", "add_prefix_space": add_prefix_space}
    byte_level |= {"trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added_token(token, vocabulary) for token in special_tokens],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": dict(sorted(vocabulary.items(), key=lambda item: item[1])),
            "merges": merges,
        },
    }


def read_definition(path):
    """Reads a `tokenizer.json` of transformers; see `check_definition`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no JSON, or describes another kind of tokenizer.
    """
    return check_definition(_read_json(path, "tokenizer.json"), path)


def check_definition(definition, source="the definition"):
    """A definition whose merges are written as `"left right"`, if it is byte-level BPE.

    Args:
        definition: dictionary in the format of the tokenizers library.
        source: where it comes from, for messages.

    Raises:
        ValueError: it describes another kind of tokenizer, or is broken.
    """
    model = definition.get("model")
    model = model if isinstance(model, dict) else {}
    if model.get("type", "BPE") != "BPE" or not {"vocab", "merges"} <= set(model):
        raise ValueError(
            f"{source} is no tokenizer of Falcon: `model` must be byte-level BPE with `vocab` and "
            f"`merges`. Received: type={model.get('type')!r}, keys={sorted(definition)}"
        )
    if '"ByteLevel"' not in json.dumps(definition.get("pre_tokenizer")):
        raise ValueError(
            f"{source} is no tokenizer of Falcon: `pre_tokenizer` has no ByteLevel step."
        )
    vocabulary = check_vocabulary(model["vocab"])
    if not isinstance(model["merges"], list):  # a text would be taken for a path
        raise ValueError(f"{source} is broken: `merges` must be a list.")
    merges = _read_merges(model["merges"])
    for merge in merges:
        check_merge(merge, vocabulary)
    _check_steps(definition, source)
    added = definition.get("added_tokens") or []
    if not isinstance(added, list) or not all(isinstance(token, dict) for token in added):
        raise ValueError(f"{source} is broken: `added_tokens` must be a list of objects.")
    for token in added:
        kinds = {"content": str, "id": int, "special": bool}
        if not all(type(token.get(key)) is kind for key, kind in kinds.items()):
            raise ValueError(f"{source} has an added token without {list(kinds)}: {token}")
    return {**definition, "model": {**model, "merges": merges}}


def make_encoder(definition, unsplittable_tokens, vocabulary):
    """The encoder of the tokenizers library for a definition.

    Args:
        definition: as from `make_definition` or `check_definition`.
        unsplittable_tokens: the special tokens that it recognises in a text; no others.
        vocabulary: dictionary of token to id, added tokens included.

    Raises:
        ValueError: the library refuses the definition.
    """
    kept = [token for token in definition.get("added_tokens") or [] if not token["special"]]
    kept += [added_token(token, vocabulary) for token in unsplittable_tokens]
    # No post-processor: it would add tokens, or trim the spaces off the offsets.
    runtime = {**definition, "added_tokens": kept, "post_processor": None}
    runtime |= {"truncation": None, "padding": None}
    try:
        return tokenizers.Tokenizer.from_str(json.dumps(runtime))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of the library, which is in Rust, is no Exception
        raise ValueError(
            f"The tokenizers library refuses this definition: {error!s:.500}"
        ) from None


def added_token(token, vocabulary):
    """The entry of a special token in a definition's `added_tokens`."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": vocabulary[token], "content": token, **flags, "special": True}


def check_vocabulary(vocabulary):
    """Returns the vocabulary if it maps strings to different whole numbers from 0 on."""
    if not isinstance(vocabulary, dict) or not vocabulary:
        raise ValueError(
            "A vocabulary must be a dictionary of token to id that is not empty. "
            f"Received: {type(vocabulary).__name__}"
        )
    for token, index in vocabulary.items():
        if not isinstance(token, str) or type(index) is not int or index < 0:
            raise ValueError(
                "A vocabulary must map strings to whole numbers of at least 0. "
                f"Received: {token!r:.80}: {index!r:.80}"
            )
    owners = {index: token for token, index in vocabulary.items()}
    if len(owners) < len(vocabulary):
        twice = next(token for token, index in vocabulary.items() if owners[index] != token)
        raise ValueError(
            "Every token of a vocabulary needs an id of its own. Received: "
            f"{vocabulary[twice]} for both {twice!r} and {owners[vocabulary[twice]]!r}"
        )
    return vocabulary


def check_merge(merge, vocabulary):
    """Refuses a merge whose parts, or whose result, the vocabulary does not have."""
    parts = merge.split(" ") if isinstance(merge, str) else []
    if len(parts) != 2 or not all(parts):
        raise ValueError(
            f"A merge must be two tokens with a space between. Received: {merge!r:.80}"
        )
    for token in (*parts, "".join(parts)):
        if token not in vocabulary:
            raise ValueError(
                f"Merge {merge!r:.80} needs {token!r:.80}, which the vocabulary does not have."
            )


# What may come before and after the pieces. Not among them: steps that put other text in the place
# of what is there, of which a hundred characters can become a hundred million.
STEPS = {
    "normalizer": {"Sequence", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "StripAccents"},
    "pre_tokenizer": {"Sequence", "ByteLevel", "Punctuation", "Digits", "Split", "Whitespace"},
    "decoder": {"Sequence", "ByteLevel", "Fuse"},
}
# With one of these a regular expression can take exponential time, or call for another part of
# itself, as a backslash may. Falcon's is `[0-9][0-9][0-9]`.
REPEATS = re.compile(r"[*+?{(\\]")


def _check_steps(definition, source):
    """Refuses steps that are no part of a byte-level tokenizer, or could run forever."""
    for field, known in STEPS.items():
        steps = [definition.get(field)]
        while steps:
            step = steps.pop()
            if step is None:
                continue
            kind = step.get("type") if isinstance(step, dict) else step
            if not isinstance(kind, str) or kind not in known:
                raise ValueError(
                    f"`{field}` in {source} has a step {kind!r:.80}, which is no part of a "
                    f"tokenizer of Falcon. It may have {', '.join(sorted(known))}."
                )
            for inner in ("normalizers", "pretokenizers", "decoders"):
                more = step.get(inner) or []
                steps += more if isinstance(more, list) else [more]
            pattern = step.get("pattern")
            regex = pattern.get("Regex", "") if isinstance(pattern, dict) else pattern or ""
            if not isinstance(regex, str) or REPEATS.search(regex):
                raise ValueError(
                    f"`{field}` in {source} splits by {regex!r:.80}: only regular expressions "
                    "without repetition are run, since others can take forever."
                )
    for field in ("continuing_subword_prefix", "end_of_word_suffix"):
        if definition["model"].get(field):
            raise ValueError(f"`{field}` in {source} must be empty: bytes need no marks.")


def _read_vocabulary(vocabulary):
    if isinstance(vocabulary, (str, Path)):
        return _read_json(vocabulary, "vocabulary")
    return vocabulary


def _read_merges(merges):
    if isinstance(merges, (str, Path)):
        return [line.rstrip("\r\n") for line in _read(merges, "merges").split("\n") if line.strip()]
    if not isinstance(merges, (list, tuple)):
        raise ValueError(f"`merges` must be a list or a path. Received: {type(merges).__name__}")
    return [" ".join(map(str, m)) if isinstance(m, (list, tuple)) else m for m in merges]


def _read_json(path, what):
    text = _read(path, what)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object. Received: {type(content).__name__}")
    return content


def _read(path, what):
    try:
        if (length := Path(path).stat().st_size) > MOST_BYTES:
            raise ValueError(f"{path} is too long to be read: {length:,} bytes.")
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no {what} file at {path}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8: {error}") from None

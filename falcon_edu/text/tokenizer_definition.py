"""What a byte-level BPE tokenizer is: vocabulary, merges and splitting rules, as a dictionary."""

import json
import re
from pathlib import Path

from falcon_edu.storage.strangers import refuse_pointer
from falcon_edu.text.byte_level import token_to_bytes

import tokenizers

MOST_BYTES = 10 * 1024**2  # Falcon's `tokenizer.json` has 3 MB
LARGEST_ID = 2**31 - 1
END_OF_TEXT = "<|endoftext|>"


def make_definition(vocabulary, merges, add_prefix_space=False, special_tokens=()):
    """Return the definition of a byte-level BPE tokenizer, as in `tokenizer.json`.

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
    """Read a `tokenizer.json` of transformers; see `check_definition`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no JSON, or describes another kind of tokenizer.
    """
    return check_definition(_read_json(path, "tokenizer.json"), path)


def check_definition(definition, source="the definition"):
    """Return a definition whose merges are written as `"left right"`, if it is byte-level BPE.

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
    _check_steps(definition, source)
    vocabulary = check_vocabulary(model["vocab"])
    if not isinstance(model["merges"], list):  # a text would be taken for a path
        raise ValueError(f"{source} is broken: `merges` must be a list.")
    merges = _read_merges(model["merges"])
    for merge in merges:
        check_merge(merge, vocabulary)
    for field in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(field):
            raise ValueError(f"`{field}` in {source} must be empty: bytes need no marks.")
    _check_added_tokens(definition.get("added_tokens") or [], vocabulary, source)
    return {**definition, "model": {**model, "merges": merges}}


def make_encoder(definition, unsplittable_tokens, vocabulary):
    """Return the encoder of the tokenizers library for a definition.

    Args:
        definition: as from `make_definition` or `check_definition`.
        unsplittable_tokens: the special tokens that it recognises in a text; no others. Each has
            the id that the vocabulary gives it.
        vocabulary: dictionary of token to id, added tokens included.

    Raises:
        ValueError: the library refuses the definition.
    """
    added = definition.get("added_tokens") or []
    kept = [t for t in added if not t["special"] or t["content"] in unsplittable_tokens]
    others = dict.fromkeys(unsplittable_tokens).keys() - {token["content"] for token in added}
    kept += [added_token(token, vocabulary) for token in sorted(others)]
    # The library numbers added tokens as they come, unless the vocabulary has them: here it does.
    ids = {token["content"]: token["id"] for token in kept}
    model = {**definition["model"], "vocab": {**definition["model"]["vocab"], **ids}}
    # No post-processor: it would add tokens, or trim the spaces off the offsets.
    runtime = {**definition, "model": model, "added_tokens": kept, "post_processor": None}
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
    """Return the entry of a special token in a definition's `added_tokens`."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": vocabulary[token], "content": token, **flags, "special": True}


def check_vocabulary(vocabulary):
    """Return the vocabulary if it maps strings to different whole numbers from 0 on."""
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
        if index > LARGEST_ID:
            raise ValueError(
                f"An id must be at most {LARGEST_ID:,}, to fit into an int32. "
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
    """Refuse a merge whose parts, or whose result, the vocabulary does not have."""
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


# What may come before and after the pieces. Nothing that puts other text in the place of what is
# there: Falcon's tokenizers lose nothing, so that a text is what its ids stand for.
STEPS = {
    "normalizer": (),
    "pre_tokenizer": ("ByteLevel", "Digits", "Punctuation", "Split"),
    "decoder": ("ByteLevel", "Fuse"),
}
SEQUENCES = {
    "normalizer": "normalizers",
    "pre_tokenizer": "pretokenizers",
    "decoder": "decoders",
}
# With one of these a regular expression can take exponential time, or call for another part of
# itself, as a backslash may. Falcon's is `[0-9][0-9][0-9]`.
REPEATS = re.compile(r"[*+?{(\\]")


def _check_steps(definition, source):
    """Refuse steps that change a text, are no part of a byte-level tokenizer, or run forever."""
    for field, known in STEPS.items():
        for step in _steps(definition, field):
            kind = step.get("type") if isinstance(step, dict) else None
            if kind not in known:
                shown = step if kind is None else kind
                raise ValueError(
                    f"`{field}` in {source} has a step {shown!r:.80}. Falcon's tokenizers give "
                    f"every text back as it was, and here may have {', '.join(known) or 'no step'}."
                )
            if str(step.get("behavior")).lower() == "removed":
                raise ValueError(
                    f"`{field}` in {source} removes what {kind} finds, so that no text that has it "
                    "could come back. Falcon's tokenizers only split."
                )
            pattern = step.get("pattern")
            regex = pattern.get("Regex", "") if isinstance(pattern, dict) else pattern or ""
            if not isinstance(regex, str) or REPEATS.search(regex):
                raise ValueError(
                    f"`{field}` in {source} splits by {regex!r:.80}: only regular expressions "
                    "without repetition are run, since others can take forever."
                )
    kinds = [step["type"] for step in _steps(definition, "pre_tokenizer")]
    if kinds.count("ByteLevel") != 1:
        raise ValueError(
            f"{source} is no tokenizer of Falcon: `pre_tokenizer` must have one ByteLevel step. "
            f"Received: {', '.join(kinds) or 'no step'}"
        )
    if adds_prefix_space(definition) and kinds[0] != "ByteLevel":
        raise ValueError(
            f"`add_prefix_space` in {source} must be false where other steps come first: it would "
            "put a space before each piece of a text."
        )


def _steps(definition, field):
    """Return the steps of a field in their order, without the sequences around them."""
    steps = [definition.get(field)]
    while steps:
        step = steps.pop()
        if isinstance(step, dict) and step.get("type") == "Sequence":
            inner = step.get(SEQUENCES[field])
            steps += inner[::-1] if isinstance(inner, list) else [inner]
        elif step is not None:
            yield step


def adds_prefix_space(definition):
    """True if a text is read as if it began with a space."""
    # A step that does not say so is taken by the library for one that does.
    return any(
        step["type"] == "ByteLevel" and step.get("add_prefix_space", True)
        for step in _steps(definition, "pre_tokenizer")
    )


def _check_added_tokens(added, vocabulary, source):
    """Refuse added tokens with ids that could not be read back."""
    if not isinstance(added, list) or not all(isinstance(token, dict) for token in added):
        raise ValueError(f"{source} is broken: `added_tokens` must be a list of objects.")
    ids = {}
    for token in added:
        kinds = {"content": str, "id": int, "special": bool}
        if not all(type(token.get(key)) is kind for key, kind in kinds.items()):
            raise ValueError(f"{source} has an added token without {list(kinds)}: {token!r:.200}")
        content, index = token["content"], token["id"]
        if not content or content in ids:
            what = "comes twice" if content else "must not be empty"
            raise ValueError(f"The added token {content!r:.80} in {source} {what}.")
        ids[content] = index
        if content not in vocabulary:
            continue
        if vocabulary[content] != index:
            raise ValueError(
                f"{source} contradicts itself: {content!r:.80} has the id {vocabulary[content]} in "
                f"`vocab`, and {index} in `added_tokens`."
            )
        if token_to_bytes(content) != content.encode("utf-8", "surrogatepass"):
            raise ValueError(
                f"The added token {content!r:.80} in {source} stands for other bytes in `vocab`: "
                f"its id {index} can't be read back."
            )
    check_vocabulary({**vocabulary, **ids})
    end = max(vocabulary.values()) + len(ids.keys() - vocabulary.keys())
    for content, index in ids.items():
        if index > end:
            raise ValueError(
                f"The added token {content!r:.80} in {source} has the id {index}, beyond the "
                f"vocabulary: with all added tokens, ids go to {end}."
            )


def lossy_parts(definition):
    """Name what keeps some texts from coming back as they were; for Falcon's own, nothing.

    Args:
        definition: as from `check_definition`.

    Returns:
        A list of strings.
    """
    parts = [
        f"the added token {token['content']!r:.80} takes the white space beside it"
        for token in definition.get("added_tokens") or []
        if token.get("lstrip") or token.get("rstrip")
    ]
    if adds_prefix_space(definition):
        parts.append("`add_prefix_space` puts a space before a text")
    return parts


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
        content = json.loads(text, object_pairs_hook=_different_names)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object. Received: {type(content).__name__}")
    return content


def _different_names(pairs):
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in content if names.count(name) > 1)
        raise ValueError(f"the name {twice!r:.80} comes twice in an object")
    return content


def _read(path, what):
    try:
        if (length := Path(path).stat().st_size) > MOST_BYTES:
            raise ValueError(f"{path} is too long to be read: {length:,} bytes.")
        refuse_pointer(path)
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no {what} file at {path}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8: {error}") from None

"""Files of tokenizers and preprocessors, in both formats."""

import inspect
import json

from falcon_edu.presets.folders import file_in, read_json, write_json
from falcon_edu.storage.strangers import shown
from falcon_edu.text.tokenizer_definition import END_OF_TEXT, check_definition, make_definition
from falcon_edu.warn import warn_user

import tokenizers

MOST_LENGTH = 2**15  # tokens that a preset may ask for; Falcon2-11B has learned from 8,192
ASSETS = "assets/tokenizer"
OWN_KEY = "falcon_edu"
MODULES = "keras_hub.src.models.falcon"


def read_tokenizer(cls, folder, overrides):
    """Return the tokenizer of a preset; `tokenizer.json` itself says in which format.

    Args:
        cls: `FalconTokenizer` or a subclass.
        folder: path of the preset.
        overrides: arguments that replace those of the preset.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is broken or of another tokenizer, or an override is unknown.
    """
    known = set(inspect.signature(cls.from_tokenizer_json).parameters) - {"path"}
    check_overrides(overrides, known, "the tokenizer")
    try:
        return _read_tokenizer(cls, folder, known, overrides)
    except ValueError as error:
        source = folder / "tokenizer.json"
        raise ValueError(f"The tokenizer of {source} is refused: {error}") from None


def _read_tokenizer(cls, folder, known, overrides):
    content = read_json(folder, "tokenizer.json")
    if "model" in content:
        arguments = {"end_tokens": _end_tokens(folder, content)} | overrides
        return cls.from_tokenizer_json(file_in(folder, "tokenizer.json"), **arguments)
    arguments = _arguments(content, "FalconTokenizer", folder / "tokenizer.json")
    if isinstance(dtype := arguments.get("dtype"), dict):  # a policy, as newer Keras writes it
        policy = dtype.get("config")
        arguments["dtype"] = policy.get("name", "int32") if isinstance(policy, dict) else "int32"
    add_prefix_space = arguments.get("add_prefix_space", False)
    own = content.get(OWN_KEY)
    arguments |= own if isinstance(own, dict) else {}
    arguments = {key: value for key, value in arguments.items() if key in known} | overrides
    _check_length(arguments, overrides, folder / "tokenizer.json")
    if path := file_in(folder, f"{ASSETS}/tokenizer.json"):
        return cls.from_tokenizer_json(path, **arguments)
    paths = {
        name: file_in(folder, f"{ASSETS}/{name}") for name in ("vocabulary.json", "merges.txt")
    }
    if missing := [name for name, path in paths.items() if path is None]:
        raise FileNotFoundError(
            f"The tokenizer in {folder}/{ASSETS} lacks {' and '.join(missing)}."
        )
    return cls(*paths.values(), add_prefix_space=add_prefix_space, **arguments)


# Where transformers says what ends a text; the first that says so counts.
END_FIELDS = {
    "generation_config.json": "eos_token_id",
    "config.json": "eos_token_id",
    "tokenizer_config.json": "eos_token",
}
# The ids of start and end that the classes of configurations have by default. Where they stand for
# ordinary words, as 2 does in Falcon-RW's vocabulary, nobody has set them.
DEFAULT_IDS = ((1, 2), (11, 11))


def _end_tokens(folder, definition):
    """Return the tokens that end a text in a preset of transformers, or `None` if none is named."""
    definition = check_definition(definition, folder / "tokenizer.json")
    special = {token["content"]: token["id"] for token in definition.get("added_tokens") or []}
    vocabulary = {**definition["model"]["vocab"], **special}
    tokens = {index: token for token, index in vocabulary.items()}
    named = {}
    for name, field in END_FIELDS.items():
        content = read_json(folder, name) if file_in(folder, name) else {}
        ends = content.get(field)
        is_default = (content.get("bos_token_id"), ends) in DEFAULT_IDS
        if ends is None or (is_default and tokens.get(ends) not in (END_OF_TEXT, *special)):
            continue
        ends = ends if isinstance(ends, list) else [ends]
        if field == "eos_token_id" and all(type(end) is int for end in ends):
            known = [tokens[end] for end in ends if end in tokens]
        elif field == "eos_token":
            ends = [end.get("content") if isinstance(end, dict) else end for end in ends]
            known = [end for end in ends if isinstance(end, str) and end in vocabulary]
        else:
            raise ValueError(
                f"`{field}` in {folder / name} must be an id or a list of ids. "
                f"Received: {content[field]!r:.80}"
            )
        if len(known) < len(ends):
            warn_user(
                f"`{field}` in {folder / name} ends texts with {ends!r:.80}, of which the tokenizer"
                f" has {known!r:.80}: only these count."
            )
        named[name] = list(dict.fromkeys(known))
    found = next((ends for ends in named.values() if ends), None)
    # Of several, texts to learn from get the one that the tokenizer itself calls so.
    own = named.get("tokenizer_config.json", [])
    return found and sorted(found, key=lambda token: token not in own)


def read_preprocessor(cls, folder, tokenizer, overrides):
    """Return the preprocessor of a preset, with default arguments if it says none."""
    known = set(inspect.signature(cls.__init__).parameters) - {"self", "tokenizer", "kwargs"}
    check_overrides(overrides, known, "the preprocessor")
    arguments = {}
    if file_in(folder, "preprocessor.json"):
        content = read_json(folder, "preprocessor.json")
        arguments = _arguments(content, "FalconCausalLMPreprocessor", folder / "preprocessor.json")
    elif file_in(folder, "tokenizer_config.json"):
        starts = read_json(folder, "tokenizer_config.json").get("add_bos_token")
        arguments = {"add_start_token": starts} if isinstance(starts, bool) else {}
    arguments = {key: value for key, value in arguments.items() if key in known} | overrides
    _check_length(arguments, overrides, folder / "preprocessor.json")
    return cls(tokenizer, **arguments)


def _check_length(arguments, overrides, source):
    """Refuse a length for which `generate`, told no other, would run for hours without a word."""
    length = arguments.get("sequence_length")
    if isinstance(length, int) and length > MOST_LENGTH and "sequence_length" not in overrides:
        raise ValueError(
            f"`sequence_length` in {source} must be at most {MOST_LENGTH:,}. Received: "
            f"{shown(length)}. For more, pass `sequence_length` to `from_preset`."
        )


def check_overrides(overrides, known, what):
    """Refuse arguments of `from_preset` that nothing takes."""
    if unknown := sorted(overrides.keys() - known):
        raise ValueError(
            f"`from_preset` has no argument {', '.join(unknown)} for {what}. "
            f"It takes {', '.join(sorted(known))}."
        )


def _arguments(content, class_name, source):
    if content.get("class_name") != class_name or not isinstance(content.get("config"), dict):
        raise ValueError(
            f"{source} must hold the configuration of a {class_name}. "
            f"Received: class_name={shown(content.get('class_name'))}"
        )
    return dict(content["config"])


# === Writing ===


def write_keras_hub_tokenizer(folder, tokenizer):
    """Write `tokenizer.json` and the vocabulary as KerasHub does.

    A tokenizer that splits text by other rules than vocabulary and merges imply also leaves its
    whole definition, which KerasHub does not look at.
    """
    write_json(folder, "tokenizer.json", _serialized_tokenizer(tokenizer))
    assets = folder / ASSETS
    assets.mkdir(parents=True, exist_ok=True)
    vocabulary = json.dumps(tokenizer.vocabulary, ensure_ascii=False)
    (assets / "vocabulary.json").write_text(vocabulary, encoding="utf-8")
    merges = "".join(f"{merge}\n" for merge in tokenizer.merges)
    (assets / "merges.txt").write_text(merges, encoding="utf-8", newline="\n")
    if not _is_plain(tokenizer):
        write_json(assets, "tokenizer.json", tokenizer.definition)


def _is_plain(tokenizer):
    plain = make_definition(
        tokenizer.vocabulary,
        tokenizer.merges,
        tokenizer.add_prefix_space,
        tokenizer.special_tokens,
    )

    def canonical(definition):
        definition = {**definition, "post_processor": None, "truncation": None, "padding": None}
        return tokenizers.Tokenizer.from_str(json.dumps(definition)).to_str()

    return canonical(plain) == canonical(tokenizer.definition)


def _serialized_tokenizer(tokenizer):
    arguments = {
        "sequence_length": tokenizer.sequence_length,
        "add_prefix_space": tokenizer.add_prefix_space,
        "unsplittable_tokens": tokenizer.unsplittable_tokens,
    }
    content = _serialized(
        "falcon_tokenizer",
        "FalconTokenizer",
        "tokenizer.json",
        tokenizer,
        arguments,
        tokenizer.dtype,
    )
    if tokenizer.end_tokens == [END_OF_TEXT]:
        return content
    # KerasHub knows no other end, but reads a tokenizer that has one if it stands outside.
    return {**content, OWN_KEY: {"end_tokens": tokenizer.end_tokens}}


def write_keras_hub_preprocessor(folder, preprocessor):
    """Write `preprocessor.json` as KerasHub does, and the files of the tokenizer."""
    arguments = {
        "tokenizer": _serialized_tokenizer(preprocessor.tokenizer),
        "sequence_length": preprocessor.sequence_length,
        "add_start_token": preprocessor.add_start_token,
        "add_end_token": preprocessor.add_end_token,
    }
    content = _serialized(
        "falcon_causal_lm_preprocessor",
        "FalconCausalLMPreprocessor",
        "preprocessor.json",
        preprocessor,
        arguments,
        "float32",
    )
    write_json(folder, "preprocessor.json", content)
    write_keras_hub_tokenizer(folder, preprocessor.tokenizer)


def _serialized(module, class_name, config_file, thing, arguments, dtype):
    """Return what `keras.saving.serialize_keras_object` writes for KerasHub's own layer."""
    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": dtype}}
    layer = {"name": thing.name, "trainable": True, "dtype": {**policy, "registered_name": None}}
    return {
        "module": f"{MODULES}.{module}",
        "class_name": class_name,
        "config": {**layer, "config_file": config_file, **arguments},
        "registered_name": f"keras_hub>{class_name}",
    }


def write_transformers_tokenizer(folder, tokenizer, add_start_token=False):
    """Write `tokenizer.json` and `tokenizer_config.json` as transformers does."""
    definition = {**tokenizer.definition, "post_processor": _start(tokenizer, add_start_token)}
    write_json(folder, "tokenizer.json", definition)
    special = dict.fromkeys(("eos_token", "unk_token"), tokenizer.end_token)
    write_json(
        folder,
        "tokenizer_config.json",
        {
            **special,
            "bos_token": tokenizer.start_token,
            "add_bos_token": add_start_token,
            "add_prefix_space": tokenizer.add_prefix_space,
            "clean_up_tokenization_spaces": False,
            "tokenizer_class": "PreTrainedTokenizerFast",
        },
    )


def _start(tokenizer, add_start_token):
    """Return the post-processor of a tokenizer of transformers that starts texts as ours do."""
    if not add_start_token:
        given = tokenizer.definition.get("post_processor")
        return given if isinstance(given, dict) and given.get("type") == "ByteLevel" else None
    token = tokenizer.start_token
    start = {"SpecialToken": {"id": token, "type_id": 0}}
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    return {
        "type": "TemplateProcessing",
        "single": [start, first],
        "pair": [start, first, start, second],
        "special_tokens": {
            token: {"id": token, "ids": [tokenizer.start_token_id], "tokens": [token]}
        },
    }

"""Write a model for a web page: `falcon.json` says what it is, `weights.bin` holds its weights."""

import json
from dataclasses import asdict
from functools import cache
from os import PathLike
from pathlib import Path

from falcon_edu.model.causal_lm import FalconCausalLM
from falcon_edu.presets.weights import weight_shapes, weight_value
from falcon_edu.storage.files import replace_file
from falcon_edu.support.inputs import backbone_of, tokenizer_of
from falcon_edu.text.byte_level import token_to_bytes

import numpy as np
from tokenizers import Regex, pre_tokenizers

FILES = ("falcon.json", "weights.bin")
LARGEST = 2**15 - 1
LAST_PLANE = 0x3FFFF  # of those with letters and numbers; Unicode has given none of the others any


def export_to_web(causal_lm: FalconCausalLM, path: str | PathLike[str]) -> None:
    """Write a model as the Falcon in a web page reads it: two files, with weights of 16 bits.

    LoRA is merged, and weights of eight bits are multiplied out. Files with these names are
    replaced. For the shipped models the rounding moves attention weights and probabilities by at
    most 0.0002; `README.md` beside this file has more.

    Args:
        causal_lm: a `FalconCausalLM` with a preprocessor.
        path: path of a folder, which is made if it is not there.

    Raises:
        ValueError: the model has no tokenizer, or one with other splitting rules than Falcon-RW's;
            or a weight is not finite.

    Example:

    >>> import tempfile, falcon_edu
    >>> falcon = falcon_edu.FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> folder = Path(tempfile.mkdtemp())
    >>> export_to_web(falcon, folder)
    >>> sorted(file.name for file in folder.iterdir())
    ['falcon.json', 'weights.bin']
    """
    backbone = backbone_of(causal_lm)
    tokenizer = tokenizer_of(causal_lm)
    if tokenizer is None:
        raise ValueError(
            "A page needs a tokenizer: give `export_to_web` a `FalconCausalLM` with a preprocessor."
        )
    weights = {
        path: round_rows(path, weight_value(backbone, path))
        for path in weight_shapes(backbone.config)
    }
    header = {
        "config": asdict(backbone.config),
        "sequence_length": causal_lm.preprocessor.sequence_length,
        "tokenizer": {
            **describe_tokenizer(tokenizer),
            "add_start_token": causal_lm.preprocessor.add_start_token,
        },
        "weights": [[path, *numbers.shape] for path, (_, numbers) in weights.items()],
    }
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":"))
    steps, numbers = zip(*weights.values(), strict=True)
    binary = b"".join(array.tobytes() for array in (*steps, *numbers))
    replace_file(folder / FILES[1], lambda file: file.write_bytes(binary))
    replace_file(folder / FILES[0], lambda file: file.write_text(text, encoding="utf-8"))


def round_rows(path, value):
    """Return a weight as steps, one for each row, and whole numbers of 16 bits to multiply them by.

    Of 16 bits float16 spends five on the exponent; weights of one row need no more than a common
    one, and so come out ten times nearer.

    Args:
        path: of the weight, from the backbone on.
        value: the weight as the package has it.

    Returns:
        Steps `(rows,)` float32 and numbers `(rows, columns)` int16. An embedding has a row for each
        token, a kernel for each output, anything else is one row.

    Raises:
        ValueError: a weight is not finite.

    Example:

    >>> steps, numbers = round_rows("final_layernorm.gamma", np.array([1.0, -0.5, 0.25]))
    >>> numbers.tolist(), (steps * numbers).round(3).tolist()
    ([[32767, -16384, 8192]], [[1.0, -0.5, 0.25]])
    """
    if not np.isfinite(value).all():
        raise ValueError(f"`{path}` holds numbers that are not finite, which no page can show.")
    if path.endswith(".embeddings"):
        rows = value
    elif path.endswith((".kernel", ".reverse_embeddings")):
        rows = value.reshape(len(value), -1).T
    else:
        rows = value.reshape(1, -1)
    steps = (np.abs(rows).max(axis=1).astype("float64") / LARGEST).astype("<f4")
    steps[steps == 0] = 1
    numbers = np.round(rows / steps[:, None].astype("float64")).clip(-LARGEST, LARGEST)
    return steps, np.ascontiguousarray(numbers, "<i2")


def describe_tokenizer(tokenizer):
    """Return what the page needs of a tokenizer, as JSON has it.

    Raises:
        ValueError: the page can't do what this tokenizer does.
    """
    definition = tokenizer.definition
    model, splitting = definition["model"], definition["pre_tokenizer"]
    has_extras = any(not token["special"] for token in definition.get("added_tokens") or [])
    if (
        splitting.get("type") != "ByteLevel"
        or not splitting.get("use_regex", True)
        or tokenizer.add_prefix_space
        or model.get("ignore_merges")
        or has_extras
    ):
        raise ValueError(
            "The page splits texts as Falcon-RW does, by byte level alone, without a space in "
            f"front and without added words. This tokenizer has other rules: {splitting!r:.200}"
        )
    vocabulary = [None] * (max(tokenizer.vocabulary.values()) + 1)
    for token, index in tokenizer.vocabulary.items():
        if tokenizer.token_bytes(index) != token_to_bytes(token):
            raise ValueError(f"The page can't tell the bytes of the added token {token!r}.")
        vocabulary[index] = token
    letters, numbers = letters_and_numbers()
    return {
        "vocabulary": vocabulary,
        "merges": tokenizer.merges,
        "unsplittable_tokens": tokenizer.unsplittable_tokens,
        "start_token_id": tokenizer.start_token_id,
        "end_token_ids": tokenizer.end_token_ids,
        "special_token_ids": tokenizer.special_token_ids,
        "letters": letters,
        "numbers": numbers,
    }


@cache
def letters_and_numbers():
    """Return the characters that the tokenizers library takes for letters, and for numbers.

    The library has the Unicode of its year, and each browser that of its own.

    Returns:
        Two lists of code points, the first and last of each range.

    Example:

    >>> letters, numbers = letters_and_numbers()
    >>> letters[:4] == [ord(letter) for letter in "AZaz"], numbers[:2] == [ord("0"), ord("9")]
    (True, True)
    """
    return _ranges(r"\p{L}+"), _ranges(r"\p{N}+")


def _ranges(pattern):
    """Return the ranges of code points that a regular expression of the library matches."""
    points = [point for point in range(LAST_PLANE + 1) if not 0xD800 <= point < 0xE000]
    split = pre_tokenizers.Split(Regex(pattern), "removed", invert=True).pre_tokenize_str
    runs = split("".join(map(chr, points)))
    return [points[at] for _, (start, end) in runs for at in (start, end - 1)]

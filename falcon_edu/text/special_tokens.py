"""Give a model tokens that it has not learned: new names in the vocabulary, new rows beside it."""

from collections.abc import Iterable

from falcon_edu.adapt.lora import adapted_layers
from falcon_edu.model.causal_lm import FalconCausalLM
from falcon_edu.text.tokenizer_definition import added_token

import numpy as np


def with_special_tokens(causal_lm: FalconCausalLM, tokens: Iterable[str]) -> FalconCausalLM:
    """Return a copy of a model that knows some more special tokens.

    The tokenizer reads each of them as one token, wherever it stands in a text. Its row of the
    embedding is the mean of all rows that there were: an output that is no surprise to the model.
    Rows are added only where the embedding has none to spare.

    Args:
        causal_lm: a `FalconCausalLM` with a preprocessor.
        tokens: the new tokens, such as `["<|user|>", "<|assistant|>"]`.

    Returns:
        A `FalconCausalLM`. The old one stays as it is.

    Raises:
        ValueError: a token is in the vocabulary already, is empty or no string, or comes twice; or
            the model has no preprocessor, or has LoRA or weights of eight bits.

    >>> falcon = FalconCausalLM.from_preset("falcon_tales_rw_en")
    >>> chatty = with_special_tokens(falcon, ["<|user|>"])
    >>> chatty.backbone.vocabulary_size - falcon.backbone.vocabulary_size
    1
    >>> chatty.preprocessor.tokenizer("<|user|>").tolist()
    [2048]

    Hewitt 2021, https://www.cs.columbia.edu/~johnhew/vocab-expansion.html.
    """
    backbone, preprocessor = causal_lm.backbone, causal_lm.preprocessor
    if preprocessor is None:
        raise ValueError("A model without a preprocessor has no tokenizer to give new tokens to.")
    if backbone.token_embedding.quantization_mode or adapted_layers(backbone):
        raise ValueError(
            "Rows can't be added to an embedding of eight bits, or to a model with LoRA: add the "
            "tokens first."
        )
    tokenizer = _with_tokens(preprocessor.tokenizer, list(tokens))
    old = set(preprocessor.tokenizer.vocabulary.values())
    new = sorted(set(tokenizer.vocabulary.values()) - old)
    rows = max(backbone.vocabulary_size, *(i + 1 for i in new))
    wider = type(backbone).from_config({**backbone.get_config(), "vocabulary_size": rows})
    for weight, wide in zip(backbone.weights, wider.weights, strict=True):
        value = np.asarray(weight)
        if "embeddings" in weight.name:
            axis = 1 if weight.name.startswith("reverse") else 0
            value = _with_rows(value, axis, rows, sorted(old), new)
        wide.assign(value)
    settings = {**preprocessor.get_config(), "tokenizer": tokenizer}
    return type(causal_lm)(wider, type(preprocessor)(**settings))


def _with_tokens(tokenizer, tokens):
    """Return a tokenizer with more special tokens, which have the next ids."""
    fit = [t for t in tokens if isinstance(t, str) and t and t not in tokenizer.vocabulary]
    if not tokens or len(set(fit)) < len(tokens):
        raise ValueError(
            f"New tokens must be strings that differ, and that the vocabulary doesn't have. "
            f"Received: {tokens!r:.200}"
        )
    config = tokenizer.get_config()  # a copy
    end = max(tokenizer.vocabulary.values()) + 1
    ids = {token: end + i for i, token in enumerate(tokens)}
    added = config["definition"].get("added_tokens") or []
    added = [*added, *(added_token(token, ids) for token in tokens)]
    config["definition"]["added_tokens"] = added
    config["unsplittable_tokens"] = [*config["unsplittable_tokens"], *tokens]
    return type(tokenizer).from_config(config)


def _with_rows(value, axis, rows, old, new):
    """Return an embedding with this many rows, those of new tokens the mean of the old."""
    value = np.moveaxis(value, axis, 0)
    wide = np.zeros((rows, *value.shape[1:]), value.dtype)
    wide[: len(value)] = value
    wide[new] = value[old].astype("float32").mean(axis=0)
    return np.moveaxis(wide, 0, axis)

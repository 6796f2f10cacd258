"""What a model may be given: token ids and a padding mask, checked before anything is computed."""

import keras
import numpy as np
from keras import ops

INPUT_KEYS = ("token_ids", "padding_mask")


def check_inputs(inputs, vocabulary_size):
    """Refuses inputs that a Falcon can't read, in words.

    Values are looked at only where they are at hand (NumPy arrays and lists): inside a compiled
    function an array has a shape but no values.

    Args:
        inputs: `{"token_ids": (b, t), "padding_mask": (b, t)}`.
        vocabulary_size: number of token ids, `v`.

    Raises:
        ValueError: keys, ranks, shapes or ids are not as they must be.

    Example:

    >>> check_inputs({"token_ids": [[1, 7]], "padding_mask": [[1, 1]]}, vocabulary_size=5)
    Traceback (most recent call last):
    ValueError: `token_ids` must be at least 0 and below vocabulary_size=5. Received: 7
    """
    if not isinstance(inputs, dict) or set(inputs) != set(INPUT_KEYS):
        received = sorted(map(str, inputs)) if isinstance(inputs, dict) else type(inputs).__name__
        raise ValueError(
            'Inputs must be a dictionary with the keys "token_ids" and "padding_mask". '
            f"Received: {received}"
        )
    shapes = {key: _shape(key, inputs[key]) for key in INPUT_KEYS}
    for key in INPUT_KEYS:
        if len(shapes[key]) != 2:
            raise ValueError(f"`{key}` must have shape (batch, time). Received: {shapes[key]}")
    if shapes["token_ids"] != shapes["padding_mask"]:
        raise ValueError(f"`token_ids` and `padding_mask` must have one shape. Received: {shapes}")
    if 0 in shapes["token_ids"]:
        raise ValueError(
            f"Inputs must hold at least one token. Received shape: {shapes['token_ids']}"
        )
    if isinstance(inputs["token_ids"], (np.ndarray, list, tuple)):
        _check_token_ids(np.asarray(inputs["token_ids"]), vocabulary_size)
    if isinstance(inputs["padding_mask"], (np.ndarray, list, tuple)):
        _check_padding_mask(np.asarray(inputs["padding_mask"]))


def prepare_inputs(inputs, vocabulary_size):
    """Checks inputs and makes int32 tensors of arrays and lists; symbolic tensors stay as they are.

    Args:
        inputs: `{"token_ids": (b, t), "padding_mask": (b, t)}`.
        vocabulary_size: number of token ids, `v`.

    Raises:
        ValueError: as `check_inputs`.
    """
    check_inputs(inputs, vocabulary_size)
    return {
        key: x if isinstance(x, keras.KerasTensor) else ops.convert_to_tensor(x, "int32")
        for key, x in inputs.items()
    }


def encode(model, inputs):
    """Texts or token dicts as NumPy: `{"token_ids": (b, t) int32, "padding_mask": (b, t) int32}`.

    Args:
        model: a `FalconCausalLM`, or a `FalconBackbone` for token dicts only.
        inputs: as in `record`. Texts get the start token in front and padding behind.

    Raises:
        ValueError: as in `record`.
    """
    backbone = backbone_of(model)
    if isinstance(inputs, dict):
        inputs = {key: np.asarray(value) for key, value in inputs.items()}
    else:
        inputs = _encode_texts(model, inputs)
    check_inputs(inputs, backbone.config.vocabulary_size)
    return {key: value.astype("int32") for key, value in inputs.items()}


def _encode_texts(model, texts):
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        raise ValueError(
            "Inputs must be a text, a list of texts, or a dictionary of token_ids and "
            f"padding_mask. Received: {type(texts).__name__}"
        )
    if not texts:
        raise ValueError("Inputs must hold at least one text. Received an empty list.")
    tokenizer = tokenizer_of(model)
    if tokenizer is None:
        raise ValueError(
            "This model has no tokenizer, so it can't read text. Give a FalconCausalLM with a "
            "preprocessor, or a dictionary of token_ids and padding_mask."
        )
    start = [tokenizer.start_token_id] if model.preprocessor.add_start_token else []
    rows = [start + list(tokenizer.tokenize(text)) for text in texts]
    shape = len(rows), max(map(len, rows))
    token_ids = np.full(shape, tokenizer.pad_token_id, "int32")
    padding_mask = np.zeros(shape, "int32")
    for i, row in enumerate(rows):
        token_ids[i, : len(row)] = row
        padding_mask[i, : len(row)] = 1
    return {"token_ids": token_ids, "padding_mask": padding_mask}


def backbone_of(model):
    """The backbone of a `FalconCausalLM`, or the `FalconBackbone` itself."""
    backbone = getattr(model, "backbone", model)
    if not hasattr(backbone, "attention_weights"):
        raise ValueError(
            f"Expected a FalconCausalLM or a FalconBackbone. Received: {type(model).__name__}"
        )
    return backbone


def tokenizer_of(model):
    """The tokenizer of a `FalconCausalLM`, or `None` where there is none."""
    return getattr(getattr(model, "preprocessor", None), "tokenizer", None)


def _shape(key, x):
    if hasattr(x, "shape"):
        return tuple(x.shape)
    try:
        return np.shape(x)
    except ValueError:
        raise ValueError(f"`{key}` must have rows of one length: pad the shorter ones.") from None


def _check_token_ids(token_ids, vocabulary_size):
    if not np.issubdtype(token_ids.dtype, np.integer):
        raise ValueError(f"`token_ids` must be whole numbers. Received dtype: {token_ids.dtype}")
    outside = token_ids[(token_ids < 0) | (token_ids >= vocabulary_size)]
    if outside.size:
        raise ValueError(
            f"`token_ids` must be at least 0 and below vocabulary_size={vocabulary_size}. "
            f"Received: {', '.join(map(str, np.unique(outside)[:5]))}"
        )


def _check_padding_mask(padding_mask):
    other = padding_mask[~np.isin(padding_mask, (0, 1))]
    if other.size:
        raise ValueError(
            "`padding_mask` must be 1 (or true) at real tokens and 0 (or false) at padding. "
            f"Received: {', '.join(map(str, np.unique(other)[:5]))}"
        )

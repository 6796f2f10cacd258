"""What a model may be given: token ids and a padding mask, checked before anything is computed."""

import re

from falcon_edu.warn import warn_user

import keras
import numpy as np
from keras import ops

INPUT_KEYS = ("token_ids", "padding_mask")


def check_inputs(inputs, vocabulary_size):
    """Refuse inputs that a Falcon can't read, in words.

    Values are looked at only where they are at hand (NumPy arrays and lists): inside a compiled
    function an array has a shape but no values.

    Args:
        inputs: `{"token_ids": (b, t), "padding_mask": (b, t)}`.
        vocabulary_size: number of token ids, `v`.

    Returns:
        The inputs, without other keys.

    Raises:
        ValueError: keys, ranks, shapes or ids are not as they must be.

    Warns:
        UserWarning: there are other keys, which no Falcon reads.

    Example:

    >>> check_inputs({"token_ids": [[1, 7]], "padding_mask": [[1, 1]]}, vocabulary_size=5)
    Traceback (most recent call last):
    ValueError: `token_ids` must be at least 0 and below vocabulary_size=5. Received: 7
    """
    if not isinstance(inputs, dict) or not set(INPUT_KEYS) <= set(inputs):
        received = sorted(map(str, inputs)) if isinstance(inputs, dict) else type(inputs).__name__
        raise ValueError(
            'Inputs must be a dictionary with the keys "token_ids" and "padding_mask". '
            f"Received: {received}"
        )
    if others := sorted(map(str, set(inputs) - set(INPUT_KEYS))):
        warn_user(f"A Falcon does not read {', '.join(others)} of its inputs.")
        inputs = {key: inputs[key] for key in INPUT_KEYS}
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
    return inputs


def prepare_inputs(inputs, vocabulary_size):
    """Check inputs and make int32 tensors of arrays and lists; symbolic tensors stay.

    Args:
        inputs: `{"token_ids": (b, t), "padding_mask": (b, t)}`.
        vocabulary_size: number of token ids, `v`.

    Raises:
        ValueError: as `check_inputs`.
    """
    inputs = check_inputs(inputs, vocabulary_size)
    return {
        key: x if isinstance(x, keras.KerasTensor) else ops.convert_to_tensor(x, "int32")
        for key, x in inputs.items()
    }


def encode(model, inputs):
    """Return texts or token dicts as `{"token_ids": ..., "padding_mask": ...}`, `(b, t)` int32.

    Args:
        model: a `FalconCausalLM`, or a `FalconBackbone` for token dicts only.
        inputs: as in `record`. Texts get the start token in front and padding behind.

    Raises:
        ValueError: as in `record`.
    """
    backbone = backbone_of(model)
    texts = texts_of(inputs)
    if texts is not None:
        inputs = _encode_texts(model, texts)
    elif isinstance(inputs, dict):
        inputs = {key: np.asarray(value) for key, value in inputs.items()}
    else:
        raise ValueError(_wrong_inputs(type(inputs).__name__))
    inputs = check_inputs(inputs, backbone.config.vocabulary_size)
    return {key: value.astype("int32") for key, value in inputs.items()}


def texts_of(x):
    """Return the texts that a model is given, as a list; `None` if `x` is something else.

    Args:
        x: a text or several: strings, or bytes in UTF-8, in a list, an array, or a column of a data
            frame.

    Raises:
        ValueError: one of several is no text, there is none, or `x` is a whole data frame.

    Example:

    >>> texts_of(b"a cat"), texts_of(np.array(["a", "b"])), texts_of({"token_ids": [[1]]})
    (['a cat'], ['a', 'b'], None)
    """
    if isinstance(x, (str, bytes)):
        return [_text(x)]
    if isinstance(x, dict) or not hasattr(x, "__len__") or isinstance(x, keras.utils.PyDataset):
        return None
    names = getattr(x, "column_names", None) or getattr(x, "columns", None)
    if names is not None and not callable(names):
        raise ValueError(
            "Inputs must be texts, not a table of several columns: choose the one of the texts. "
            f"Received a {type(x).__name__} with the columns {', '.join(map(str, list(names)[:9]))}"
        )
    if NUMBERS.match(str(getattr(x, "dtype", ""))):
        return None
    if hasattr(x, "numpy"):  # a tensor of strings
        x = x.numpy()
    if isinstance(x, np.ndarray):
        x = x.reshape(-1) if x.ndim == 0 or x.shape[1:] == (1,) else x
    elements = [x] if isinstance(x, (str, bytes)) else list(x)
    if not elements:
        raise ValueError(
            f"Inputs must hold at least one text. Received an empty {type(x).__name__}."
        )
    texts = [_text(element) for element in elements]
    wrong = next((i for i, text in enumerate(texts) if text is None), None)
    if wrong is None:
        return texts
    if any(text is not None for text in texts) or elements[wrong] is None:
        raise ValueError(_wrong_inputs(f"{elements[wrong]!r:.60} as text number {wrong}"))
    return None


# The names of dtypes, of NumPy, JAX, TensorFlow, torch and data frames, that are no texts.
NUMBERS = re.compile(r"(<dtype: '|torch\.)?(u?int|b?float|bool|complex|double)\d*", re.IGNORECASE)


def _text(x):
    """Return a text as a string; `None` if `x` is none."""
    if hasattr(x, "as_py"):  # a value of a pyarrow column
        x = x.as_py()
    elif hasattr(x, "numpy"):
        x = x.numpy()
    if isinstance(x, bytes):
        try:
            return x.decode()
        except UnicodeDecodeError as error:
            raise ValueError(
                f"Texts in bytes must be UTF-8: {error}. Received: {x!r:.60}"
            ) from None
    return str(x) if isinstance(x, str) else None


def _wrong_inputs(received):
    return (
        "Inputs must be a text, a list of texts, or a dictionary of token_ids and padding_mask. "
        f"Received: {received}"
    )


def _encode_texts(model, texts):
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
    """Return the backbone of a `FalconCausalLM`, or the `FalconBackbone` itself."""
    backbone = getattr(model, "backbone", model)
    if not hasattr(backbone, "attention_weights"):
        raise ValueError(
            f"Expected a FalconCausalLM or a FalconBackbone. Received: {type(model).__name__}"
        )
    return backbone


def tokenizer_of(model):
    """Return the tokenizer of a `FalconCausalLM`, or `None` where there is none."""
    return getattr(getattr(model, "preprocessor", None), "tokenizer", None)


def row_strings(model, ids):
    """Return what rows of a model's logits stand for, as strings.

    A model may have more rows than its tokenizer has tokens; these stand for the end of a text.

    Args:
        model: a `FalconCausalLM` with a preprocessor.
        ids: whole numbers.
    """
    tokenizer = tokenizer_of(model)
    known = set(tokenizer.vocabulary.values())
    return tokenizer.token_strings([id if id in known else tokenizer.end_token_id for id in ids])


def check_labels(labels, vocabulary_size):
    """Refuse labels that are no token ids: their loss would be NaN, and so all weights after it.

    Args:
        labels: `(b, t)` int.
        vocabulary_size: number of token ids, `v`.

    Raises:
        ValueError: a label is negative, or no id of the vocabulary.
    """
    labels = np.asarray(labels)
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"`y` must be token ids. Received dtype: {labels.dtype}")
    outside = labels[(labels < 0) | (labels >= vocabulary_size)]
    if outside.size:
        raise ValueError(
            f"`y` must be at least 0 and below vocabulary_size={vocabulary_size}. Received: "
            f"{', '.join(map(str, np.unique(outside)[:5]))}. A label that does not count may be "
            "any id, with a `sample_weight` of 0."
        )


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

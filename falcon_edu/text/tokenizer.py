"""FalconTokenizer: text to token ids and back, without losing a byte."""

import copy
from collections.abc import Iterable
from os import PathLike
from typing import Any, Self

from falcon_edu.model.backbone import FalconBackbone
from falcon_edu.support.backbones import classproperty
from falcon_edu.text.byte_level import byte_alphabet, token_to_bytes
from falcon_edu.text.preprocessing_layer import (
    PreprocessingLayer,
    call_in_graph,
    check_rank,
    is_in_graph,
    make_ragged,
    read_texts,
)
from falcon_edu.text.tokenizer_definition import (
    END_OF_TEXT,
    added_token,
    adds_prefix_space,
    check_definition,
    check_vocabulary,
    lossy_parts,
    make_definition,
    make_encoder,
    read_definition,
)
from falcon_edu.warn import warn_user

import keras
import numpy as np

MOST_TOKENS = 2**20  # in a sequence; Falcon2-11B has learned from 8,192


@keras.saving.register_keras_serializable(package="falcon_edu")
class FalconTokenizer(PreprocessingLayer):
    """Byte-level BPE: every text becomes token ids, and the ids become exactly that text again.

    Text is text: `"<|endoftext|>"` in it is spelled out like any other word, so that no reader can
    end a sequence by typing. Name it in `unsplittable_tokens` and it becomes the special token.

    Args:
        vocabulary: dictionary of token to id, or path of a `vocabulary.json`.
        merges: list of `"left right"`, or path of a `merges.txt`.
        sequence_length: if given, ids are cut and padded to this length, as a dense array.
        add_prefix_space: whether a text is read as if it began with a space.
        unsplittable_tokens: special tokens that are recognised inside a text. KerasHub recognises
            `"<|endoftext|>"` unless told otherwise, and presets that it saved say so.
        dtype: an integer type for ids, or `"string"` for tokens as the vocabulary writes them.
        name: a name, as Keras layers have.
        end_tokens: tokens that end a text; `"<|endoftext|>"` unless given. Generation stops at each
            of them, and a text to learn from gets the first.

    It is a Keras layer, and `dataset.map(tokenizer)` works where TensorFlow is there.

    Raises:
        FileNotFoundError: a path leads to no file.
        ValueError: the vocabulary or a merge is broken, or `"<|endoftext|>"` is missing.

    Example:

    >>> vocabulary = {token: i for i, token in enumerate(["<|endoftext|>", *"abcĠ", "Ġa", "Ġab"])}
    >>> tokenizer = FalconTokenizer(vocabulary, merges=["Ġ a", "Ġa b"])
    >>> tokenizer("ab ab")
    array([1, 2, 6], dtype=int32)
    >>> tokenizer.detokenize([1, 2, 6]), tokenizer.token_strings([1, 2, 6])
    ('ab ab', ['a', 'b', ' ab'])

    Sennrich et al. 2016, https://arxiv.org/abs/1508.07909; on bytes as in GPT-2.
    """

    backbone_cls = FalconBackbone
    file_assets = ("vocabulary.json", "merges.txt")  # of a preset, in `assets/tokenizer`

    def __init__(
        self,
        vocabulary: Any = None,
        merges: Any = None,
        sequence_length: int | None = None,
        add_prefix_space: bool = False,
        unsplittable_tokens: Iterable[str] | None = None,
        dtype: str = "int32",
        name: str = "falcon_tokenizer",
        end_tokens: Any = None,
    ) -> None:
        if vocabulary is None or merges is None:
            missing = "vocabulary" if vocabulary is None else "merges"
            raise ValueError(
                f"`{missing}` is missing: pass `vocabulary` and `merges`, or use "
                "`FalconTokenizer.from_preset` or `FalconTokenizer.from_tokenizer_json`."
            )
        definition = make_definition(vocabulary, merges, add_prefix_space)
        if END_OF_TEXT in definition["model"]["vocab"]:
            definition["added_tokens"] = [added_token(END_OF_TEXT, definition["model"]["vocab"])]
        self._set_up(definition, sequence_length, unsplittable_tokens, dtype, name, end_tokens)

    @classmethod
    def from_tokenizer_json(
        cls,
        path: str | PathLike[str],
        sequence_length: int | None = None,
        unsplittable_tokens: Iterable[str] | None = None,
        dtype: str = "int32",
        name: str = "falcon_tokenizer",
        end_tokens: Any = None,
    ) -> Self:
        """Make a tokenizer from the `tokenizer.json` of transformers, with its splitting rules.

        Args:
            path: path of the file, or its content as a dictionary.
            sequence_length, unsplittable_tokens, dtype, name, end_tokens: as in the constructor.

        Warns:
            UserWarning: some texts won't come back as they were.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is broken, or of a tokenizer that changes texts.
        """
        definition = check_definition(path) if isinstance(path, dict) else read_definition(path)
        if lossy := lossy_parts(definition):
            warn_user(
                "With this tokenizer.json some texts don't come back as they were: "
                f"{', '.join(lossy)}."
            )
        self = cls.__new__(cls)
        self._set_up(definition, sequence_length, unsplittable_tokens, dtype, name, end_tokens)
        return self

    @classproperty
    def presets(cls):
        """Built-in presets: a dictionary of id to `{"metadata": {...}, ...}`."""
        return cls.backbone_cls.presets

    @classmethod
    def from_preset(cls, preset: str | PathLike[str], **kwargs: Any) -> Self:
        """Make the tokenizer of a preset, in KerasHub's or transformers' format.

        Args:
            preset: as in `Backbone.from_preset`.
            **kwargs: override `sequence_length`, `unsplittable_tokens`, `dtype`, `name` or
                `end_tokens`. The end tokens of a transformers preset are the `eos_token_id` of
                generation_config.json, config.json or tokenizer_config.json, the first that has it.

        Raises:
            FileNotFoundError: there is no such preset, or it has no tokenizer.
            ValueError: a file of the tokenizer is broken.
        """
        from falcon_edu.presets import load_tokenizer

        return load_tokenizer(cls, preset, **kwargs)

    def save_to_preset(self, preset_dir: str | PathLike[str]) -> None:
        """Save the tokenizer in KerasHub's format, beside what `preset_dir` holds already."""
        from falcon_edu.presets import save_tokenizer

        save_tokenizer(self, preset_dir)

    def export_to_transformers(self, path: str | PathLike[str]) -> None:
        """Save the tokenizer in transformers' format, beside what `path` holds already."""
        from falcon_edu.presets import export_tokenizer

        export_tokenizer(self, path)

    def _set_up(self, definition, sequence_length, unsplittable_tokens, dtype, name, end_tokens):
        super().__init__(name=name, dtype=_check_dtype(dtype))
        self.definition = definition
        self.sequence_length = None if sequence_length is None else check_length(sequence_length)
        self.unsplittable_tokens = _check_tokens(unsplittable_tokens, "unsplittable_tokens")
        ordinary = definition["model"]["vocab"]
        added = {token["content"]: token["id"] for token in definition.get("added_tokens") or []}
        self.vocabulary = check_vocabulary({**ordinary, **added})
        self._check_ids()
        self.merges = list(definition["model"]["merges"])
        self.end_tokens = _check_tokens(end_tokens, "end_tokens") or [END_OF_TEXT]
        self.end_token = self.end_tokens[0]
        self.start_token = END_OF_TEXT if END_OF_TEXT in self.vocabulary else self.end_token
        for token in (*self.end_tokens, *self.unsplittable_tokens):
            if token not in self.vocabulary:
                raise ValueError(f"The special token {token!r} is not in the vocabulary.")
        self.start_token_id = self.vocabulary[self.start_token]
        self.end_token_id = self.vocabulary[self.end_token]
        self.end_token_ids = [self.vocabulary[token] for token in self.end_tokens]
        self.pad_token_id = 0
        self._tokens = {index: token for token, index in self.vocabulary.items()}
        self._bytes = {
            index: token.encode("utf-8") if token in added else token_to_bytes(token)
            for index, token in self._tokens.items()
        }
        for token in self.unsplittable_tokens:
            if self._bytes[self.vocabulary[token]] != token.encode("utf-8"):
                raise ValueError(
                    f"The vocabulary has {token!r} for other bytes, so that it can't be an "
                    "unsplittable token: its id would not be read back as it was."
                )
        self._whole_tokens = set(self.unsplittable_tokens) | {
            token["content"]
            for token in definition.get("added_tokens") or []
            if not token["special"]
        }
        self._missing_bytes = {
            byte for byte, letter in byte_alphabet().items() if letter not in ordinary
        }
        self._encoder = make_encoder(definition, self.unsplittable_tokens, self.vocabulary)

    def _check_ids(self):
        """Refuse a type of ids in which not all of them fit."""
        largest = max(self.vocabulary.values())
        if self.dtype != "string" and largest > np.iinfo(self.dtype).max:
            raise ValueError(
                f"`dtype` {self.dtype} holds ids up to {np.iinfo(self.dtype).max:,}, and the "
                f"vocabulary has {largest:,}. Give a wider type, such as int32."
            )

    # === Text to ids ===

    def tokenize(self, inputs: Any) -> Any:
        """Return the ids of one text, an array `(t,)`, or of several, a list of lists.

        Args:
            inputs: a string, or several: a list, an array, a column, UTF-8 bytes as well.

        Returns:
            Ids; with `sequence_length`, an array `(sequence_length,)` or `(b, sequence_length)`.
            Where TensorFlow builds a graph, its tensors, ragged instead of a list of lists.

        Raises:
            ValueError: an input is no string, holds half a surrogate pair, or a byte that the
                vocabulary does not have.
        """
        if is_in_graph(inputs):
            return self._tokenize_in_graph(inputs)
        texts, batched = self._check_texts(inputs)
        encodings = self._encoder.encode_batch(texts)
        strings = self.dtype == "string"
        rows = [encoding.tokens if strings else encoding.ids for encoding in encodings]
        length = self.sequence_length
        if length is not None:
            padding = ["" if strings else self.pad_token_id] * length
            rows = [(row + padding)[:length] for row in rows]
            dense = np.array(rows, None if strings else self.dtype).reshape(len(rows), length)
            return dense if batched else dense[0]
        if batched:
            return rows
        return rows[0] if strings else np.array(rows[0], self.dtype)

    def call(self, inputs: Any) -> Any:
        return self.tokenize(inputs)

    def _tokenize_in_graph(self, texts):
        rank, length = check_rank(texts, (0, 1), "Texts"), self.sequence_length
        dtype = object if self.dtype == "string" else self.dtype
        if rank == 0 or length is not None:
            outputs = [(self.dtype, (*texts.shape, length))]
            return call_in_graph(lambda x: [np.array(self.tokenize(x), dtype)], [texts], outputs)[0]

        def tokenize_rows(texts):
            rows = self.tokenize(texts)
            tokens = [token for row in rows for token in row]
            return np.array(tokens, dtype), np.array([len(row) for row in rows], "int64")

        outputs = [(self.dtype, (None,)), ("int64", texts.shape)]
        return make_ragged(*call_in_graph(tokenize_rows, [texts], outputs))

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Return where each token stands in a text: pairs of character indices, `(start, end)`.

        A token that holds only some bytes of a character gets the whole character, so neighbours
        may share one.

        >>> vocabulary = {"<|endoftext|>": 0, "a": 1, "Ã": 2, "©": 3}
        >>> FalconTokenizer(vocabulary, merges=[]).offsets("aé")
        [(0, 1), (1, 2), (1, 2)]
        """
        texts, batched = self._check_texts(text)
        offsets = [encoding.offsets for encoding in self._encoder.encode_batch(texts)]
        return offsets if batched else offsets[0]

    # === Ids to text ===

    def detokenize(self, inputs: Any) -> Any:
        """Return the text of ids, exactly. Bytes that are no whole character become U+FFFD.

        Args:
            inputs: an id, a list or array `(t,)` of ids, or a batch of them.

        Returns:
            A string, or a list of strings for a batch.

        Raises:
            ValueError: an id is not in the vocabulary.
        """
        if is_in_graph(inputs):
            return self._detokenize_in_graph(inputs)
        if hasattr(inputs, "to_list"):  # ragged tensors of TensorFlow, columns of a table
            inputs = inputs.to_list()
        if _is_batch(inputs):
            return [self.detokenize(row) for row in inputs]
        ids = [inputs] if np.ndim(inputs) == 0 else _as_list(inputs)
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", errors="replace")

    def _detokenize_in_graph(self, ids):
        rank = check_rank(ids, (0, 1, 2), "Ids")
        if hasattr(ids, "row_lengths"):  # a ragged tensor is two

            def detokenize_rows(values, lengths):
                rows = np.split(values, np.cumsum(lengths)[:-1]) if len(lengths) else []
                return [np.array(self.detokenize(rows), object)]

            ids = [ids.values, ids.row_lengths()]
            return call_in_graph(detokenize_rows, ids, [("string", ids[1].shape)])[0]
        outputs = [("string", ids.shape[: max(rank - 1, 0)])]
        return call_in_graph(lambda x: [np.array(self.detokenize(x), object)], [ids], outputs)[0]

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes of one token; a character may need several tokens."""
        self.id_to_token(token_id)
        return self._bytes[int(token_id)]

    def token_strings(self, ids: Any) -> list[Any]:
        """Label each token as a reader sees it: bytes of a part of a character as `\\xf0`.

        Args:
            ids: list or array `(t,)`, or a batch.

        Returns:
            List of strings, or a list of such lists. Where no character is split, they join to
            the text.
        """
        if _is_batch(ids):
            return [self.token_strings(row) for row in ids]
        return [
            self.token_bytes(i).decode("utf-8", errors="backslashreplace") for i in _as_list(ids)
        ]

    # === Vocabulary ===

    def get_vocabulary(self) -> list[str]:
        """Return the tokens, as the vocabulary writes them."""
        return self.vocabulary.keys()

    def vocabulary_size(self) -> int:
        """Return the number of tokens. A model may have more rows, which no text reaches."""
        return len(self.vocabulary)

    def id_to_token(self, id: int) -> str:
        """Return the token of an id, as the vocabulary writes it: `Ġ` stands for a space."""
        if not hasattr(id, "__index__") or int(id) not in self._tokens:
            raise ValueError(
                f"Id {id!r} is not in the vocabulary, which has {len(self._tokens)} tokens, "
                f"{min(self._tokens)} to {max(self._tokens)}."
            )
        return self._tokens[int(id)]

    def token_to_id(self, token: str) -> int:
        """Return the id of a token, as the vocabulary writes it."""
        if token not in self.vocabulary:
            raise ValueError(f"Token {token!r} is not in the vocabulary.")
        return self.vocabulary[token]

    @property
    def special_tokens(self) -> list[str]:
        """Tokens that `generate_postprocess` leaves out: those that start and end a text.

        An ordinary word stays, though it may end a text.
        """
        added = {token["content"] for token in self.definition.get("added_tokens") or []}
        tokens = dict.fromkeys((self.start_token, *self.end_tokens))
        return [token for token in tokens if token == END_OF_TEXT or token in added]

    @property
    def special_token_ids(self) -> list[int]:
        """Ids of `special_tokens`."""
        return [self.vocabulary[token] for token in self.special_tokens]

    # === Config ===

    @property
    def add_prefix_space(self) -> bool:
        """True if a text is read as if it began with a space."""
        return adds_prefix_space(self.definition)

    def get_config(self) -> dict[str, Any]:
        """Everything that `from_config` needs, the definition included."""
        return {
            "definition": copy.deepcopy(self.definition),
            "sequence_length": self.sequence_length,
            "unsplittable_tokens": self.unsplittable_tokens,
            "dtype": self.dtype,
            "name": self.name,
            "end_tokens": self.end_tokens,
        }

    @classmethod
    def from_config(cls, config: Any) -> Self:
        config = {"end_tokens": None, **config}
        self = cls.__new__(cls)
        self._set_up(check_definition(config.pop("definition")), **config)
        return self

    def _check_texts(self, inputs):
        """Return the texts as a list, and whether they came as several."""
        texts, batched = read_texts(inputs)
        for text in texts:
            try:
                encoded = text.encode("utf-8")
            except UnicodeEncodeError as error:
                raise ValueError(f"A text holds half a surrogate pair: {error}") from None
            if self._missing_bytes:
                self._check_bytes(text, encoded)
        return texts, batched

    def _check_bytes(self, text, encoded):
        for token in self._whole_tokens:
            encoded = encoded.replace(token.encode("utf-8"), b"")
        missing = sorted(self._missing_bytes.intersection(encoded))
        if missing:
            raise ValueError(
                f"The vocabulary can't spell {text!r}: it has no token for {bytes(missing[:5])!r}."
            )


def _is_batch(ids):
    if hasattr(ids, "ndim"):
        return ids.ndim > 1
    return isinstance(ids, (list, tuple)) and len(ids) > 0 and np.ndim(ids[0]) > 0


def _as_list(ids):
    return np.asarray(ids).tolist() if hasattr(ids, "ndim") else ids


def check_length(length):
    """Return a number of tokens that a sequence can have, as it came.

    Raises:
        ValueError: it is none.
    """
    if isinstance(length, bool) or not hasattr(length, "__index__") or length < 1:
        raise ValueError(
            f"`sequence_length` must be a whole number of at least 1. Received: {length!r}"
        )
    if length > MOST_TOKENS:
        raise ValueError(
            f"`sequence_length` must be at most {MOST_TOKENS:,}. Received: {length!r:.80}"
        )
    return length


def _check_tokens(tokens, name):
    tokens = [] if tokens is None else tokens
    if not isinstance(tokens, (list, tuple)) or not all(isinstance(t, str) for t in tokens):
        raise ValueError(f"`{name}` must be a list of strings. Received: {tokens!r:.80}")
    return list(tokens)


def _check_dtype(dtype):
    dtype = str(dtype)
    known = [f"{sign}int{bits}" for sign in ("", "u") for bits in (16, 32, 64)]
    if dtype not in ("string", "uint8", *known):
        raise ValueError(
            f'`dtype` must be {", ".join(known)} or "string". Received: {dtype!r:.80}'
            f"{', which holds no ids beyond 127' if dtype == 'int8' else ''}"
        )
    return dtype

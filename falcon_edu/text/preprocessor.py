"""FalconCausalLMPreprocessor: texts to the padded arrays that a causal LM reads, and back."""

from os import PathLike
from typing import Any, Self

from falcon_edu.model.backbone import FalconBackbone
from falcon_edu.support.backbones import classproperty
from falcon_edu.text.preprocessing_layer import (
    PreprocessingLayer,
    call_in_graph,
    check_rank,
    is_in_graph,
    read_texts,
)
from falcon_edu.text.tokenizer import FalconTokenizer, check_length

import keras
import numpy as np


@keras.saving.register_keras_serializable(package="falcon_edu")
class FalconCausalLMPreprocessor(PreprocessingLayer):
    """Tokenizes texts and packs them for training: the next token is the label of each token.

    Args:
        tokenizer: a `FalconTokenizer`.
        sequence_length: number of tokens of a packed sequence, `t`.
        add_start_token: whether a sequence starts with the tokenizer's start token.
        add_end_token: whether a training sequence ends with the tokenizer's end token.
        name: a name, as Keras layers have.
        **kwargs: of `keras.layers.Layer`.

    It is a Keras layer, and `dataset.map(preprocessor)` works where TensorFlow is there.

    Call arguments:
        x: a string, or `b` strings: a list, an array, a column, UTF-8 bytes as well.
        y, sample_weight: ignored: both come from `x`.
        sequence_length: overrides the one above.

    Returns:
        `(x, y, sample_weight)`: x is `{"token_ids": (b, t) int32, "padding_mask": (b, t) bool}`,
        y is `(b, t)`, the ids one place on, sample_weight is `(b, t)`, false where y is padding.
        One string gives arrays without the batch axis.

    Raises:
        ValueError: an input is no string, or the length leaves no room for the special tokens.

    Example:

    >>> from falcon_edu import FalconTokenizer
    >>> vocabulary = {"<|endoftext|>": 3, "!": 0, "a": 1, "b": 2}
    >>> tokenizer = FalconTokenizer(vocabulary, merges=[])
    >>> preprocessor = FalconCausalLMPreprocessor(tokenizer, sequence_length=5)
    >>> x, y, sample_weight = preprocessor("ab")
    >>> x["token_ids"].tolist(), y.tolist(), sample_weight.astype(int).tolist()
    ([3, 1, 2, 3, 0], [1, 2, 3, 0, 0], [1, 1, 1, 0, 0])
    >>> preprocessor.generate_preprocess("ab", sequence_length=4)["token_ids"].tolist()
    [3, 1, 2, 0]
    """

    backbone_cls = FalconBackbone
    tokenizer_cls = FalconTokenizer

    def __init__(
        self,
        tokenizer: FalconTokenizer,
        sequence_length: int = 1024,
        add_start_token: bool = True,
        add_end_token: bool = True,
        name: str = "falcon_causal_lm_preprocessor",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.tokenizer = tokenizer
        self.sequence_length = check_length(sequence_length)
        self.add_start_token = add_start_token
        self.add_end_token = add_end_token

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # A dataset's element, as libraries other than tf.data map it: `(x, y)`, in one argument.
        if len(args) == 1 and type(args[0]) is tuple and not all(map(_is_text, args[0])):
            (args,) = args
        return super().__call__(*args, **kwargs)

    def call(
        self, x: Any, y: Any = None, sample_weight: Any = None, sequence_length: int | None = None
    ) -> Any:
        length = check_length(sequence_length or self.sequence_length)
        # One token more than asked for: the last one is only a label.
        token_ids, padding_mask = self._pack(x, length + 1, self.add_end_token)
        x = {"token_ids": token_ids[..., :-1], "padding_mask": padding_mask[..., :-1]}
        return x, token_ids[..., 1:], padding_mask[..., 1:]

    def generate_preprocess(self, x: Any, sequence_length: int | None = None) -> dict[str, Any]:
        """Pack prompts: as in training, but without an end token and without labels.

        Unlike KerasHub's, it leaves out the start token too where `add_start_token` is false.

        Args:
            x: a string, or a list of strings.
            sequence_length: number of tokens, prompt and continuation; if `None`, as in training.

        Returns:
            `{"token_ids": (b, t), "padding_mask": (b, t)}`.
        """
        length = check_length(sequence_length or self.sequence_length)
        token_ids, padding_mask = self._pack(x, length, add_end_token=False)
        return {"token_ids": token_ids, "padding_mask": padding_mask}

    def generate_postprocess(self, x: Any) -> Any:
        """Return the texts of what was generated, without padding and special tokens.

        Args:
            x: `{"token_ids": (b, t), "padding_mask": (b, t)}`, or both without the batch axis.

        Returns:
            A list of strings, or one string.
        """
        if is_in_graph(x):
            keys = ("token_ids", "padding_mask")
            rank = check_rank(x["token_ids"], (1, 2), "Ids")
            return call_in_graph(
                lambda *arrays: [
                    np.array(
                        self.generate_postprocess(dict(zip(keys, arrays, strict=True))), object
                    )
                ],
                [x[key] for key in keys],
                [("string", x["token_ids"].shape[: rank - 1])],
            )[0]
        token_ids = np.asarray(x["token_ids"])
        keep = np.asarray(x["padding_mask"], "bool")
        keep &= ~np.isin(token_ids, self.tokenizer.special_token_ids)
        # A model may have more rows than the tokenizer has tokens: they stand for no text.
        keep &= np.isin(token_ids, list(self.tokenizer.vocabulary.values()))
        if token_ids.ndim == 1:
            return self.tokenizer.detokenize(token_ids[keep])
        return [
            self.tokenizer.detokenize(row[kept]) for row, kept in zip(token_ids, keep, strict=True)
        ]

    @classproperty
    def presets(cls):
        """Built-in presets: a dictionary of id to `{"metadata": {...}, ...}`."""
        return cls.backbone_cls.presets

    @classmethod
    def from_preset(cls, preset: str | PathLike[str], **kwargs: Any) -> Self:
        """Make the preprocessor of a preset.

        Args:
            preset: as in `Backbone.from_preset`.
            **kwargs: override `sequence_length`, `add_start_token`, `add_end_token` or `name`.

        Raises:
            FileNotFoundError: there is no such preset, or it has no tokenizer.
            ValueError: a file is broken.
        """
        from falcon_edu.presets import load_preprocessor

        return load_preprocessor(cls, preset, **kwargs)

    def save_to_preset(self, preset_dir: str | PathLike[str]) -> None:
        """Save the preprocessor and its tokenizer, beside what `preset_dir` holds already."""
        from falcon_edu.presets import save_preprocessor

        save_preprocessor(self, preset_dir)

    def export_to_transformers(self, path: str | PathLike[str]) -> None:
        """Save the tokenizer in transformers' format, beside what `path` holds already.

        There it starts a text with the start token if this preprocessor does.
        """
        from falcon_edu.presets import export_tokenizer

        export_tokenizer(self.tokenizer, path, self.add_start_token)

    def get_config(self) -> dict[str, Any]:
        return {
            "tokenizer": keras.saving.serialize_keras_object(self.tokenizer),
            "sequence_length": self.sequence_length,
            "add_start_token": self.add_start_token,
            "add_end_token": self.add_end_token,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: Any) -> Self:
        tokenizer = keras.saving.deserialize_keras_object(config["tokenizer"])
        return cls(**{**config, "tokenizer": tokenizer})

    def _pack(self, texts, length, add_end_token):
        """Start token, ids cut to fit, end token, padding: `(token_ids, padding_mask)`."""
        if is_in_graph(texts):
            check_rank(texts, (0, 1), "Texts")
            shape = (*texts.shape, length)
            return call_in_graph(
                lambda x: self._pack(x, length, add_end_token),
                [texts],
                [("int32", shape), ("bool", shape)],
            )
        texts, batched = read_texts(texts)
        start = [self.tokenizer.start_token_id] if self.add_start_token else []
        end = [self.tokenizer.end_token_id] if add_end_token else []
        room = length - len(start) - len(end)
        if room < 0:
            raise ValueError(
                f"`sequence_length` must leave room for {len(start + end)} special tokens."
            )
        token_ids = np.full((len(texts), length), self.tokenizer.pad_token_id, "int32")
        padding_mask = np.zeros((len(texts), length), "bool")
        for i, row in enumerate(self.tokenizer(texts)):
            packed = start + list(row)[:room] + end
            token_ids[i, : len(packed)] = packed
            padding_mask[i, : len(packed)] = True
        if batched:
            return token_ids, padding_mask
        return token_ids[0], padding_mask[0]


def _is_text(x):
    return isinstance(x, (str, bytes))

"""What a causal LM can do besides computing: presets, training on text, writing text."""

from collections.abc import Iterator
from os import PathLike
from typing import Any, Self

from falcon_edu.generation import decoding, samplers
from falcon_edu.generation import streaming as generation
from falcon_edu.support import exporting, plain
from falcon_edu.support.backbones import Backbone, classproperty
from falcon_edu.support.datasets import is_dataset, prepared, unpack
from falcon_edu.support.inputs import check_inputs, check_labels, prepare_inputs, texts_of
from falcon_edu.support.losses import NextTokenLoss
from falcon_edu.support.steady import SteadyModel
from falcon_edu.support.task import Task

import keras
import numpy as np
from keras import ops

# Arguments of `from_preset` that are the task's own; the others go to the backbone.
TASK_ARGUMENTS = ("name", "trainable", "compile")


class CausalLM(Task, plain.CausalLM, SteadyModel):
    """The base class of `FalconCausalLM`, which documents it."""

    def __init__(
        self, backbone, outputs, preprocessor=None, compile=True, trainable=None, **kwargs
    ):
        super().__init__(backbone, outputs, preprocessor, **kwargs)
        self.dtype_policy = backbone.dtype_policy
        self.decoding_loops = {}  # the compiled loops, one for each kind of sampler
        if trainable is not None:  # not before: Keras would freeze a model that has no layers yet
            self.trainable = trainable
        self.sampler = samplers.get("top_k")
        self.generate_function = None
        if compile:
            self.compile()

    def prepare(self, backbone) -> None:
        """Refuse what is no backbone of this class."""
        if not isinstance(backbone, self.backbone_cls):
            raise ValueError(
                f"`backbone` must be a {self.backbone_cls.__name__}. "
                f"Received: {type(backbone).__name__}"
            )

    @classproperty
    def preprocessor_cls(cls):
        """Return the class of preprocessors."""
        from falcon_edu.text.preprocessor import FalconCausalLMPreprocessor

        return FalconCausalLMPreprocessor

    @property
    def preprocessor(self):
        """The `FalconCausalLMPreprocessor`, or `None`."""
        return self._preprocessor

    @preprocessor.setter
    def preprocessor(self, preprocessor):
        # Past Keras, which would take it for one of the layers between input and output.
        object.__setattr__(self, "_preprocessor", preprocessor)

    def __call__(self, inputs, *args, **kwargs):
        if texts_of(inputs) is not None:
            raise ValueError(
                "A model reads token ids, not text. Use `generate`, `predict` or `fit`, which "
                "tokenize, or call the model on `model.preprocessor.generate_preprocess(text)`."
            )
        inputs = prepare_inputs(inputs, self.backbone.config.vocabulary_size)
        return super().__call__(inputs, *args, **kwargs)

    def _run_through_graph(self, inputs, operation_fn=lambda layer: layer, call_fn=None):
        # `clone_model` copies layer by layer: the head would be another than the embedding inside.
        def of_one_backbone(layer):
            own = getattr(self, "backbone", None)
            if own is not None and layer is own.token_embedding:
                backbone = operation_fn(own)
                if isinstance(backbone, Backbone) and backbone is not own:
                    return backbone.token_embedding
            return operation_fn(layer)

        return super()._run_through_graph(inputs, of_one_backbone, call_fn)

    # === Presets and saving ===

    @classproperty
    def presets(cls):
        """Built-in presets: a dictionary of id to `{"metadata": {...}, ...}`."""
        return cls.backbone_cls.presets

    @classmethod
    def from_preset(
        cls, preset: str | PathLike[str], load_weights: bool = True, **kwargs: Any
    ) -> Self:
        """Make a causal LM from a preset: backbone, tokenizer and preprocessor.

        Args:
            preset: as in `Backbone.from_preset`.
            load_weights: whether to load the preset's weights, or leave random ones.
            **kwargs: `preprocessor` (`None` for none) or `backbone` to use instead of the preset's;
                the others override the configuration of the backbone: `dtype` and so on.

        Raises:
            FileNotFoundError: there is no such preset, or a file of it is missing.
            ValueError: a file is broken.

        Warns:
            UserWarning: a subclass with a head of its own has saved it there, and this class has
                none.

        Example:

        >>> from falcon_edu import FalconCausalLM
        >>> causal_lm = FalconCausalLM.from_preset("falcon_tales_rw_en")
        >>> causal_lm.preprocessor.tokenizer.vocabulary_size() > 256
        True
        """
        from falcon_edu.presets import of_one_save, or_older

        return or_older(of_one_save(cls._from_preset))(preset, load_weights, **kwargs)

    @classmethod
    def _from_preset(cls, preset, load_weights, **kwargs):
        from falcon_edu.presets import find, load_task_weights

        task = {name: kwargs.pop(name) for name in TASK_ARGUMENTS if name in kwargs}
        if not {"preprocessor", "backbone"} <= kwargs.keys():
            preset = find(preset)
        # The tokenizer first: it is small, and if it is missing nothing large was read in vain.
        if "preprocessor" in kwargs:
            preprocessor = kwargs.pop("preprocessor")
        else:
            preprocessor = cls.preprocessor_cls.from_preset(preset)
        backbone = kwargs.pop("backbone", None)
        if backbone is None:
            backbone = cls.backbone_cls.from_preset(preset, load_weights, **kwargs)
        model = cls(backbone, preprocessor, **task)
        if load_weights:
            load_task_weights(model, preset)
        return model

    def save_to_preset(
        self, preset_dir: str | PathLike[str], max_shard_size: float | None = 10
    ) -> None:
        """Save backbone, tokenizer and preprocessor in KerasHub's format.

        Args:
            preset_dir, max_shard_size: as in `Backbone.save_to_preset`.
        """
        from falcon_edu.presets import save_causal_lm

        save_causal_lm(self, preset_dir, max_shard_size=max_shard_size)

    def export_to_transformers(self, path: str | PathLike[str]) -> None:
        """Save backbone and tokenizer in the format of the transformers library.

        Args:
            path: path of the directory to write.
        """
        from falcon_edu.presets import export_to_transformers

        tokenizer = getattr(self.preprocessor, "tokenizer", None)
        starts = getattr(self.preprocessor, "add_start_token", False)
        export_to_transformers(self.backbone, path, tokenizer, add_start_token=starts)

    def export(self, filepath, format="tf_saved_model", **kwargs) -> Any:
        """Run Keras's own `export`, so that other runtimes know each operation: see `exporting`."""
        return exporting.export(self.backbone, super().export, filepath, format, **kwargs)

    def get_config(self) -> dict[str, Any]:
        # Not the functional model's nested config: the arguments of the constructor.
        return {
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "preprocessor": keras.saving.serialize_keras_object(self.preprocessor),
            "name": self.name,
            "compile": self.compiled,
            # Not with what it was compiled with: `clone_model` makes a model that has no sampler.
            "sampler": samplers.serialize(self.sampler),
            **({} if self.trainable else {"trainable": False}),
        }

    @classmethod
    def from_config(cls, config: Any) -> Self:
        parts = ("backbone", "preprocessor")
        loaded = {
            name: keras.saving.deserialize_keras_object(config[name])
            for name in parts
            if isinstance(config.get(name), dict)
        }
        arguments = {**config, **loaded}
        sampler = arguments.pop("sampler", "top_k")
        model = cls(**arguments)
        model.sampler = samplers.get(sampler)
        return model

    def _compile_arguments(self, config):
        return {"sampler": self.sampler, **super()._compile_arguments(config)}

    def quantize(
        self, mode: str | None = None, config: Any = None, filters: Any = None, **kwargs: Any
    ) -> None:
        """Round the weights of the backbone in place, as `Backbone.quantize`."""
        self.backbone.quantize(mode, config=config, filters=filters, **kwargs)
        self.train_function = self.test_function = self.predict_function = None

    # === Training ===

    def compile(
        self,
        optimizer="auto",
        loss="auto",
        *,
        weighted_metrics="auto",
        sampler="top_k",
        **kwargs,
    ) -> None:
        """Set how the model trains and how it chooses tokens.

        Args:
            optimizer: `"auto"` is Adam with a learning rate of 2e-5, for fine-tuning.
            loss: `"auto"` is the cross-entropy in nats per real token.
            weighted_metrics: `"auto"` is the accuracy over real tokens. Metrics in the argument
                `metrics` of Keras would count padding too.
            sampler: `"greedy"`, `"random"`, `"top_k"`, `"top_p"`, `"beam"`, or a sampler.
            **kwargs: of `keras.Model.compile`.

        Raises:
            ValueError: the sampler is unknown.
        """
        self.sampler = samplers.get(sampler)
        self.generate_function = None
        if optimizer == "auto":
            optimizer = keras.optimizers.Adam(2e-5)
        if loss == "auto":
            loss = NextTokenLoss()
        if weighted_metrics == "auto":
            weighted_metrics = [keras.metrics.SparseCategoricalAccuracy()]
        super().compile(optimizer=optimizer, loss=loss, weighted_metrics=weighted_metrics, **kwargs)

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        sample_weight=None,
        validation_data=None,
        validation_split=None,
        callbacks=None,
        **kwargs,
    ) -> Any:
        """Train with Keras's own `fit`.

        Args:
            x: texts, as a list, an array or a column of a data frame, of strings or bytes; a token
                dict; or a dataset (tf.data, `keras.utils.PyDataset`, a torch `DataLoader`, a
                generator) of texts, one by one or in batches, or of token dicts. A dataset may
                yield `(x, y)` or `(x, y, sample_weight)` too. Labels of texts come from the texts.
            y: `(b, t)` the next token of every place. Without it the labels are the token ids, one
                place on, and padding has no weight.
            sample_weight: `(b, t)`, zero where a label does not count.
            validation_data: `x`, `(x, y)` or `(x, y, sample_weight)`.
            batch_size, validation_split, callbacks, **kwargs: of `keras.Model.fit`.

        Returns:
            A `keras.callbacks.History`.

        Raises:
            ValueError: texts without a preprocessor, or with a token that the model has no row for;
                token dicts that are not as they must be; a `class_weight`; or other weights are
                trainable than those the optimizer has trained.
        """
        self._check_optimizer()
        _refuse_class_weight(kwargs)
        x, y, sample_weight = self._encode(x, y, sample_weight)
        if validation_data is not None:
            validation_data = self._encode(*unpack(validation_data))
        return super().fit(
            x,
            y,
            batch_size=batch_size,
            sample_weight=sample_weight,
            validation_data=validation_data,
            validation_split=validation_split or 0.0,
            callbacks=callbacks,
            **kwargs,
        )

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Return loss and metrics, with Keras's own `evaluate`; data as in `fit`."""
        if not kwargs.get("_use_cached_eval_dataset"):  # `fit` has prepared its validation data
            x, y, sample_weight = self._encode(x, y, sample_weight)
        return super().evaluate(x, y, batch_size, sample_weight=sample_weight, **kwargs)

    def predict(self, x: Any, batch_size: int | None = None, **kwargs: Any) -> np.ndarray:
        """Logits, with Keras's own `predict`; `x` as in `fit`.

        Texts are padded to the preprocessor's `sequence_length`, as in KerasHub, and so the logits
        have this length, whatever the texts are; token dicts keep theirs. So it is in
        `predict_on_batch` too. Training and evaluation cut the padding that no text of a batch
        needs: it has no weight there.

        Returns:
            `(b, t, v)`.
        """
        return super().predict(self._encode(x, trim=False)[0], batch_size, **kwargs)

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, **kwargs: Any
    ) -> Any:
        """One step of training; data as in `fit`."""
        self._check_optimizer()
        _refuse_class_weight(kwargs)
        return super().train_on_batch(*self._encode(x, y, sample_weight), **kwargs)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, **kwargs: Any) -> Any:
        """Return loss and metrics of one batch; data as in `fit`."""
        return super().test_on_batch(*self._encode(x, y, sample_weight), **kwargs)

    def predict_on_batch(self, x: Any) -> np.ndarray:
        """Return logits `(b, t, v)` of one batch; `x` and `t` as in `predict`."""
        return super().predict_on_batch(self._encode(x, trim=False)[0])

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        y, sample_weight = self.labels(x, y, sample_weight)
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        y, sample_weight = self.labels(x, y, sample_weight)
        return super().compute_metrics(x, y, y_pred, sample_weight)

    def _update_metrics_variables(self, variables, loss, x, y, y_pred, sample_weight):
        # Keras's mean loss of an epoch weighs batches by their rows. So it is with a loss of the
        # user's own; ours is per token, and weighs batches by their tokens.
        # It is here, the last part of a step of Keras's, that metrics are pure values.
        labels, weight = self.labels(x, y, sample_weight)
        count = ops.size(labels) if weight is None else ops.sum(weight)
        if not self._loss_is_ours:
            count = ops.shape(labels)[0]
        with keras.StatelessScope(list(zip(self.metrics_variables, variables, strict=True))) as new:
            self._loss_tracker.update_state(loss, sample_weight=count)
            logs = self.compute_metrics(x, y, y_pred, sample_weight)
        return logs, [new.get_current_value(variable) for variable in self.metrics_variables]

    @property
    def _loss_is_ours(self):
        """True if the loss is the cross-entropy per token, for which padding is nothing."""
        return isinstance(getattr(self, "loss", None), NextTokenLoss)

    def _encode(self, x, y=None, sample_weight=None, trim=True):
        """Return `(x, y, sample_weight)` for Keras, or a dataset of them, `None` and `None`."""
        if not is_dataset(x):
            return self._encode_batch(x, y, sample_weight, trim)

        def prepare(x, y, sample_weight):
            return self._encode_batch(x, y, sample_weight, trim)

        return prepared(x, prepare, y, sample_weight), None, None

    def _encode_batch(self, x, y, sample_weight, trim):
        """Return texts or a token dict as `(x, y, sample_weight)` of arrays, checked."""
        vocabulary_size = self.backbone.config.vocabulary_size
        texts = texts_of(x)
        if texts is not None:
            if self.preprocessor is None:
                raise ValueError(
                    "This model has no preprocessor, so it can't read text. Give it one, or give "
                    "dictionaries of token_ids and padding_mask."
                )
            x, y, sample_weight = self.preprocessor(texts, y=y, sample_weight=sample_weight)
            if trim and self._loss_is_ours:
                x, y, sample_weight = _trim(x, y, sample_weight)
        elif isinstance(x, dict):
            x = {key: np.asarray(value) for key, value in x.items()}
        x = check_inputs(x, vocabulary_size)
        if y is None and sample_weight is not None:  # Keras would drop weights without labels
            y, sample_weight = map(np.asarray, self.labels(x, y, sample_weight))
        if y is not None and self._loss_is_ours:
            check_labels(y, vocabulary_size)
        return x, y, sample_weight

    # === Generation ===

    def generate(
        self,
        inputs: Any,
        max_length: int | None = None,
        stop_token_ids: Any = "auto",
        strip_prompt: bool = False,
    ) -> Any:
        """Continue prompts.

        Args:
            inputs: a text, a list of texts, or a token dict of prompts, padded on either side; or
                a dataset that yields batches of them.
            max_length: number of tokens of prompt and continuation together. `None` is the
                preprocessor's `sequence_length`, or the width of a token dict.
            stop_token_ids: ids that end a continuation; `"auto"` are the end tokens of the
                tokenizer, `None` goes on to `max_length`, and so does an id that is no token's.
            strip_prompt: whether to return the continuations only.

        Returns:
            A text, a list of texts, or `{"token_ids": (b, max_length), "padding_mask": (b,
            max_length)}`, NumPy, with padding behind. Where the sampler returns all beams, a list
            of texts for every prompt, or `(b, beams, max_length)` and `"log_probs"` `(b, beams)`.

        Raises:
            ValueError: a prompt is empty or longer than `max_length`, has ids outside the
                vocabulary, or is a text where there is no preprocessor.

        Example:

        >>> from falcon_edu import FalconCausalLM
        >>> causal_lm = FalconCausalLM.from_preset("falcon_tales_rw_en")
        >>> causal_lm.compile(sampler="greedy")
        >>> causal_lm.generate("Once upon a time", max_length=12).startswith("Once upon a time")
        True
        """
        return generation.generate(self, inputs, max_length, stop_token_ids, strip_prompt)

    def generate_step(self, inputs, stop_token_ids=None) -> Any:
        """Continue one batch of prompts; `generate` uses it where a subclass has its own.

        Args:
            inputs: `{"token_ids": (b, t), "padding_mask": (b, t)}`, padded to the length to reach.
            stop_token_ids: ids that end a continuation, or `None`.

        Returns:
            A dictionary of the same arrays, grown.
        """
        return generation.generate_step(self, inputs, stop_token_ids)

    def make_generate_function(self) -> Any:
        """Return `generate_function`, which `generate` calls for one batch.

        It is `generate_step`, which compiles what it needs, or what was assigned to it since the
        last `compile`.
        """
        if self.generate_function is None:
            self.generate_function = self.generate_step
        return self.generate_function

    def own_forward(self) -> Any:
        """Return the `call_with_cache` of a subclass, which `generate` then uses, or `None`."""
        method = self.call_with_cache
        is_ours = getattr(method, "__func__", None) is CausalLM.call_with_cache
        return None if is_ours else method

    def own_step(self) -> Any:
        """Return what there is in place of our `generate_step`, or `None`."""
        function = self.make_generate_function()
        is_ours = getattr(function, "__func__", None) is CausalLM.generate_step
        return None if is_ours else function

    def stream(
        self, prompt: str, max_length: int | None = None, stop_token_ids: Any = "auto"
    ) -> Iterator[str]:
        """Continue one text piece by piece, as the tokens are chosen.

        Args:
            prompt: a text.
            max_length, stop_token_ids: as in `generate`.

        Returns:
            An iterator of strings, never with a part of a character. Joined, they are what
            `generate` returns with `strip_prompt=True` for the same seed.

        Raises:
            ValueError: as in `generate`; also for several prompts and for beam search.

        Example:

        >>> from falcon_edu import FalconCausalLM
        >>> causal_lm = FalconCausalLM.from_preset("falcon_tales_rw_en")
        >>> for piece in causal_lm.stream("Once upon a time", max_length=24):
        ...     print(piece, end="")  # doctest: +SKIP
        """
        return generation.stream(self, prompt, max_length, stop_token_ids)

    def build_cache(self, batch_size: int, max_length: int) -> Any:
        """Return an empty key/value cache for `call_with_cache`, as `decoding.build_cache`."""
        return decoding.build_cache(self.backbone, batch_size, max_length)

    def call_with_cache(
        self, token_ids: Any, cache: Any, cache_update_index: Any, padding_mask: Any = None
    ) -> Any:
        """Compute the forward pass for some new tokens, given the keys and values of earlier ones.

        Args:
            token_ids: `(b, q)`, the new tokens.
            cache: from `build_cache`, or from an earlier call.
            cache_update_index: column of the first new token.
            padding_mask: as in `decoding.call_with_cache`.

        Returns:
            logits `(b, q, v)`, hidden_states `(b, q, m)`, and the cache with the new tokens in it.

        Example:

        >>> from falcon_edu import FalconBackbone, FalconCausalLM
        >>> causal_lm = FalconCausalLM(FalconBackbone(10, 2, 2, 32, 128))
        >>> ids = np.array([[1, 2, 3]])
        >>> logits = causal_lm({"token_ids": ids, "padding_mask": np.ones_like(ids)})
        >>> cache = causal_lm.build_cache(batch_size=1, max_length=3)
        >>> for i in range(3):
        ...     step_logits, _, cache = causal_lm.call_with_cache(ids[:, i : i + 1], cache, i)
        >>> bool(abs(step_logits[0, 0] - logits[0, 2]).max() < 1e-5)
        True
        """
        token_ids = ops.convert_to_tensor(token_ids, "int32")
        if padding_mask is None:
            padding_mask = decoding.LOOP_MASK.get()
        hidden_states, cache = decoding.call_with_cache(
            self.backbone, token_ids, cache, cache_update_index, padding_mask
        )
        return self.backbone.token_embedding(hidden_states, reverse=True), hidden_states, cache


def _refuse_class_weight(arguments):
    """Refuse weights of classes: Keras takes the tokens of a text for the one label of a row."""
    if arguments.get("class_weight") is not None:
        raise ValueError(
            "`class_weight` weighs rows of one label each, and here each token has a label. Use "
            "`sample_weight`, `(b, t)`, with token dicts: `preprocessor(texts)` gives one to begin "
            "with."
        )


def _trim(x, y, sample_weight):
    """Cut the padding that the longest text does not need: it has no weight, and costs time."""
    length = generation.round_up(int(np.sum(x["padding_mask"], axis=1).max()))
    x = {key: value[:, :length] for key, value in x.items()}
    return x, y[:, :length], sample_weight[:, :length]

"""What every backbone can do besides computing: presets, LoRA, quantization, checked inputs."""

import re
from collections.abc import Iterable
from os import PathLike
from typing import Any, Self

from falcon_edu.adapt import lora
from falcon_edu.int8.quantization import float_policy, policy_of
from falcon_edu.int8.quantized import Quantized
from falcon_edu.model import layers
from falcon_edu.scale.distribution import FalconLayoutMap, adapt_layout_map
from falcon_edu.support import exporting, plain
from falcon_edu.support.datasets import is_dataset, prepared, unpack
from falcon_edu.support.inputs import check_inputs, prepare_inputs
from falcon_edu.support.layer_state import KEY, describe, mixed_policy, policy_at, restore
from falcon_edu.support.steady import SteadyModel

import keras
import numpy as np


class classproperty:
    """A property of a class itself, such as `FalconBackbone.presets`."""

    def __init__(self, function):
        self.function = function
        self.__doc__ = function.__doc__

    def __get__(self, instance, owner):
        return self.function(owner)


class Backbone(SteadyModel):
    """Base class of models that map token ids to hidden states, as `keras_hub.models.Backbone`.

    A backbone is a functional Keras model, so it can be called, extended with further outputs, or
    wrapped in a task such as `FalconCausalLM`. Every subclass registers itself under its name.

    Args:
        *args, **kwargs: of `keras.Model`: `inputs`, `outputs`, `name`, `trainable`.
        dtype: string or `keras.DTypePolicy`: precision of computations and weights.

    Example:

    >>> from falcon_edu import Backbone, FalconBackbone
    >>> backbone = Backbone.from_preset("falcon_tales_rw_en")
    >>> isinstance(backbone, FalconBackbone)
    True
    """

    registry: dict[str, type["Backbone"]] = {}

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if cls.__module__ == __name__:
            return
        # The last class of a name counts: a notebook cell that runs again brings a new one.
        Backbone.registry[cls.__name__] = cls
        keras.saving.register_keras_serializable(package="falcon_edu")(cls)

    def __init__(
        self, *args: Any, dtype: Any = None, trainable: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        if dtype is not None:
            self.dtype_policy = float_policy(policy_at(policy_of(dtype), self.name))
        # Not before: Keras would freeze the model before there are layers in it.
        if not trainable:
            self.trainable = False

    @property
    def trainable(self):
        """True if the backbone is trained; where LoRA is enabled, its factors alone are."""
        return self._trainable

    @trainable.setter
    def trainable(self, value):
        keras.Model.trainable.fset(self, value)
        lora.freeze_all_but_factors(self)

    @property
    def token_embedding(self):
        """The `keras.layers.Embedding` of token ids; called with `reverse=True` it gives logits."""
        return getattr(self, "_token_embedding", None)

    @token_embedding.setter
    def token_embedding(self, layer):
        self._token_embedding = layer

    @classproperty
    def presets(cls):
        """Built-in presets of this class: a dictionary of id to `{"metadata": {...}, ...}`.

        >>> from falcon_edu import FalconBackbone
        >>> FalconBackbone.presets["falcon_refinedweb_1b_en"]["metadata"]["params"]
        1311625216
        """
        from falcon_edu.presets import builtin_presets

        names = {cls.__name__} | {
            name for name, known in Backbone.registry.items() if issubclass(known, cls)
        }
        return builtin_presets(names)

    @classmethod
    def from_preset(
        cls, preset: str | PathLike[str], load_weights: bool = True, **kwargs: Any
    ) -> Self:
        """Make a backbone from a preset.

        Args:
            preset: a built-in id, `kaggle://owner/model/framework/variation[/version]`,
                `hf://owner/name[@revision]`, or a local directory of KerasHub or transformers.
            load_weights: whether to load the preset's weights, or leave random ones.
            **kwargs: override the preset's configuration: `dtype`, `name`, dropout rates and so on.

        Returns:
            A backbone of the class that the preset names. Its `loaded_from` is the source with the
            commit or version that was found there.

        Raises:
            FileNotFoundError: there is no such preset, or a file of it is missing.
            ValueError: a file is broken, or the preset holds another model than this class.

        Example:

        >>> from falcon_edu import FalconBackbone
        >>> backbone = FalconBackbone.from_preset("falcon_tales_rw_en", dtype="bfloat16")
        >>> backbone.dtype_policy.name
        'bfloat16'
        """
        from falcon_edu.presets import load_backbone

        return load_backbone(cls, preset, load_weights, **kwargs)

    def save_to_preset(
        self, preset_dir: str | PathLike[str], max_shard_size: float | None = 10
    ) -> None:
        """Save the backbone in KerasHub's format; what stood there before survives a failure.

        Args:
            preset_dir: path of the directory to write.
            max_shard_size: largest size of one weight file in gigabytes; `None` for a single file.
        """
        from falcon_edu.presets import save_backbone

        save_backbone(self, preset_dir, max_shard_size=max_shard_size)

    def export_to_transformers(self, path: str | PathLike[str]) -> None:
        """Save the backbone in the format of the transformers library.

        Args:
            path: path of the directory to write.
        """
        from falcon_edu.presets import export_to_transformers

        export_to_transformers(self, path)

    def quantize(
        self, mode: str | None = None, config: Any = None, filters: Any = None, **kwargs: Any
    ) -> None:
        """Round the weights of dense layers and embedding in place, with Keras's own `quantize`.

        Args:
            mode: `"int8"`: eight bits for a weight, with one scale for each output channel.
            config, filters: as in `keras.Model.quantize`, with other modes too; for steps for each
                group of inputs, a `quantization.GroupedInt8QuantizationConfig`.

        Raises:
            ValueError: a weight is not finite, groups do not fill a product, the mode is `"gptq"`
                or `"awq"`, or no layer passes the filters. Nothing is rounded then; with `filters`,
                what came before a weight that is not finite is.

        Example:

        >>> backbone = Backbone.from_preset("falcon_tales_rw_en")
        >>> backbone.quantize("int8")
        >>> backbone.token_embedding.embeddings.dtype
        'int8'
        """
        mode = mode or getattr(config, "mode", None)
        if mode in ("gptq", "awq"):
            raise ValueError(
                f"Keras's {mode!r} calls blocks with hidden states alone, and Falcon's take a "
                'padding mask too. Use "int8", also in groups, "int4" or "float8".'
            )
        if mode == "int8":
            _check_holds_bytes(isinstance(self.token_embedding, (Quantized, type(None))))
        if mode == "int8" and filters is None:
            for layer in self._flatten_layers():
                if isinstance(layer, Quantized):
                    layer.check_before_rounding(getattr(config, "group_size", None))
        _check_filters(filters, self._flatten_layers())
        # Keras would warn of every layer that has nothing to be rounded.
        super().quantize(mode, config, filters or _has_quantize, **kwargs)

    def default_lora_layer_names(self) -> list[str]:
        """Return the names of the layers that `enable_lora` adapts by default, as in KerasHub."""
        return ["query_dense", "value_dense", "query", "value"]

    def enable_lora(self, rank: int, target_layer_names: Iterable[str] | None = None) -> None:
        """Freeze every weight and add trainable low-rank factors to the target layers.

        Args:
            rank: inner width of the factors.
            target_layer_names: names of the layers to adapt; the default names if `None`.

        Raises:
            ValueError: the rank is below one, a name matches no layer, or LoRA is enabled already.

        Hu et al. 2021, https://arxiv.org/abs/2106.09685, section 4.1.
        """
        lora.enable(self, rank, target_layer_names)

    def save_lora_weights(self, filepath: str | PathLike[str]) -> None:
        """Save the factors, and what they belong to, in a file that ends in `.lora.h5`."""
        lora.save(self, filepath)

    def load_lora_weights(self, filepath: str | PathLike[str]) -> None:
        """Load factors saved here or by KerasHub, enabling LoRA first where it is not."""
        lora.load(self, filepath)

    def merge_lora(self) -> None:
        """Add the low-rank updates to the kernels, and set the factors to zero."""
        lora.merge(self)

    def unmerge_lora(self) -> None:
        """Take merged updates out again: `merge_lora` undone, to rounding."""
        lora.unmerge(self)

    def get_config(self) -> dict[str, Any]:
        # Not the functional model's nested config: the arguments of the constructor, and what was
        # done to the layers since.
        state = describe(self)
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.dtype_policies.serialize(mixed_policy(self)),
            **({KEY: state} if state else {}),
        }

    @classmethod
    def from_config(cls, config: Any) -> Self:
        config = dict(config)
        state = config.pop(KEY, {})
        if isinstance(config.get("dtype"), dict):
            config["dtype"] = keras.dtype_policies.get(config["dtype"])
        backbone = cls(**config)
        restore(backbone, state)
        return backbone


class TokenModel(plain.TokenModel, Backbone):
    """The base class of `FalconBackbone`: inputs are checked, and weights placed on devices."""

    def __init__(self, *args, **kwargs):
        if unknown := sorted(kwargs.keys() - {"inputs", "outputs", "name", "trainable", "dtype"}):
            raise ValueError(f"{type(self).__name__} has no arguments named {', '.join(unknown)}.")
        super().__init__(*args, **kwargs)

    def prepare(self, config) -> None:
        """Choose what the devices divide, before any weight is made."""
        adapt_layout_map(config)

    def part(self, kind, name, dtype, **arguments) -> Any:
        """Make a layer of the model, which may be one of eight bits."""
        policy = policy_of(dtype)
        if policy.quantization_mode == "int8" and kind is layers.ReversibleEmbedding:
            _check_holds_bytes(issubclass(kind, Quantized))
        if not issubclass(kind, layers.Block):
            policy = policy_at(policy, name)
        if issubclass(kind, keras.layers.LayerNormalization):
            policy = float_policy(policy)
        return super().part(kind, name, policy, **arguments)

    # Keras wraps lists that are attributes, and takes no wrapped ones as a model's outputs.

    @property
    def hidden_states(self):
        """The symbolic residual stream, `num_layers + 1` times `(b, t, m)`."""
        return list(self._hidden_states)

    @hidden_states.setter
    def hidden_states(self, hidden_states):
        self._hidden_states = hidden_states

    @property
    def attention_weights(self):
        """The symbolic attention weights, `num_layers` times `(b, n, t, t)`."""
        return list(self._attention_weights)

    @attention_weights.setter
    def attention_weights(self, attention_weights):
        self._attention_weights = attention_weights

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.config.to_dict()}

    def __call__(self, inputs, *args, **kwargs):
        inputs = prepare_inputs(inputs, self.config.vocabulary_size)
        return super().__call__(inputs, *args, **kwargs)

    # Keras hands these methods' data to compiled functions, which can't look at values.

    def fit(self, x=None, y=None, *args, sample_weight=None, validation_data=None, **kwargs) -> Any:
        """Run Keras's own `fit`, with inputs checked."""
        x = self._checked(x, y, sample_weight)
        if validation_data is not None:
            x_val, *rest = unpack(validation_data)
            validation_data = (self._checked(x_val, *rest), *rest)
        kwargs |= {"sample_weight": sample_weight, "validation_data": validation_data}
        kwargs = {name: value for name, value in kwargs.items() if value is not None}
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, x=None, y=None, *args, sample_weight=None, **kwargs) -> Any:
        """Run Keras's own `evaluate`, with inputs checked."""
        if not kwargs.get("_use_cached_eval_dataset"):  # `fit` has checked its validation data
            x = self._checked(x, y, sample_weight)
        return super().evaluate(x, y, *args, sample_weight=sample_weight, **kwargs)

    def predict(self, x, *args, **kwargs) -> Any:
        """Run Keras's own `predict`, with inputs checked."""
        return super().predict(self._checked(x), *args, **kwargs)

    def train_on_batch(self, x, *args, **kwargs) -> Any:
        """Run Keras's own `train_on_batch`, with inputs checked."""
        return super().train_on_batch(self._checked(x), *args, **kwargs)

    def test_on_batch(self, x, *args, **kwargs) -> Any:
        """Run Keras's own `test_on_batch`, with inputs checked."""
        return super().test_on_batch(self._checked(x), *args, **kwargs)

    def predict_on_batch(self, x) -> Any:
        """Run Keras's own `predict_on_batch`, with inputs checked."""
        return super().predict_on_batch(self._checked(x))

    def _checked(self, x, y=None, sample_weight=None):
        """Token dicts as arrays, or a dataset of them, refused if they aren't as they must be."""
        if is_dataset(x):
            return prepared(x, lambda x, *rest: (self._checked(x), *rest), y, sample_weight)
        if isinstance(x, dict):
            x = {key: np.asarray(value) for key, value in x.items()}
        return check_inputs(x, self.config.vocabulary_size)

    def export(self, filepath, format="tf_saved_model", **kwargs) -> Any:
        """Run Keras's own `export`, so that other runtimes know each operation: see `exporting`."""
        return exporting.export(self, super().export, filepath, format, **kwargs)

    @staticmethod
    def get_layout_map(
        device_mesh: Any,
        model_parallel_dim_name: str = "model",
        data_parallel_dim_name: str = "batch",
    ) -> Any:
        """Map weights to devices, for `keras.distribution.ModelParallel`.

        Heads, feed-forward units and the vocabulary are shared out evenly over the model-parallel
        devices, as in Megatron-LM; `scale/distribution.py` has the reason for each weight.
        Heads that the devices do not divide, such as the 71 of Falcon-7B, are never cut: there the
        inputs are split. What the map says of a model is final once the model is made.

        Args:
            device_mesh: a `keras.distribution.DeviceMesh` with both axes.
            model_parallel_dim_name: name of the mesh axis that splits the weights.
            data_parallel_dim_name: name of the mesh axis that splits the batch.

        Returns:
            A `keras.distribution.LayoutMap`.

        Raises:
            ValueError: the mesh lacks an axis.

        Example:

        >>> import keras
        >>> from falcon_edu import FalconBackbone
        >>> devices = keras.distribution.list_devices()
        >>> mesh = keras.distribution.DeviceMesh((1, len(devices)), ("batch", "model"), devices)
        >>> distribution = keras.distribution.ModelParallel(
        ...     layout_map=FalconBackbone.get_layout_map(mesh), batch_dim_name="batch"
        ... )
        >>> with distribution.scope():
        ...     backbone = FalconBackbone.from_preset("falcon_tales_40b_en")
        >>> tuple(backbone.token_embedding.embeddings.value.sharding.spec)
        ('model', 'batch')

        Shoeybi et al. 2019, https://arxiv.org/abs/1909.08053, section 3.
        """
        return FalconLayoutMap(device_mesh, model_parallel_dim_name, data_parallel_dim_name)


def _check_holds_bytes(holds_bytes):
    """Refuse eight bits for plain parts: Keras's layers would round what flows through them too."""
    if not holds_bytes:
        raise ValueError(
            "A model that is made in `falcon_edu.fast.plain()` can't have weights of eight bits. "
            "Make it outside."
        )


def _has_quantize(layer):
    return type(layer).quantize is not keras.layers.Layer.quantize


def _check_filters(filters, layers):
    """Refuse patterns that no layer's name has: nothing would be rounded, without a word."""
    if filters is None or callable(filters):
        return
    names = sorted({layer.name for layer in layers if _has_quantize(layer)})
    for pattern in [filters] if isinstance(filters, str) else filters:
        if not any(re.search(pattern, name) for name in names):
            raise ValueError(
                f"`filters`: {pattern!r} is found in no name of a layer that can be rounded. "
                f"There are: {', '.join(names)}"
            )

"""What Keras's layers need beside their own to hold weights of eight bits as ours do.

Keras rounds what flows through a layer as well, and knows no groups of eight bits with steps of
their own. `Quantized` stands in front of one of Keras's layers, and is how its weights are rounded,
saved and loaded: see `dense` for the layers, and `quantization` for the numbers.
"""

from typing import Any

from falcon_edu.quantization import (
    GroupedInt8DTypePolicy,
    GroupedInt8QuantizationConfig,
    float_policy,
    number_of_groups,
    quantize_in_groups,
    weights_only,
)

import keras
import numpy as np
from keras import ops


class Quantized:
    """A layer whose weights may have eight bits; in front of one of Keras's.

    With groups there is one more variable for each weight, `<name>_steps`; in files it comes last.
    A subclass says what it has: the `weight_name` of what an adapter changes, `floats_to_round`,
    `name_and_axis`, `as_laid_out` and `as_saved`.
    """

    dtype_policy: Any  # Keras's property

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.quantization_mode == "int8":
            size = self.group_size or getattr(self.dtype_policy, "group_size", None)
            self.quantization_config = _config_of(size)

    @property
    def group_size(self):
        """How many inputs share steps; `None` without groups."""
        config = self.quantization_config
        return config.group_size if isinstance(config, GroupedInt8QuantizationConfig) else None

    def quantize(self, mode=None, type_check=True, config=None):
        """Rounds the weights in place, as Keras does; with "int8", the weights alone."""
        if mode != "int8":
            # Keras leaves subclasses out unless told otherwise: they might compute something else.
            super().quantize(mode, type_check=False, config=config)
            return
        # By now Keras has put its default into `config`: what was asked for may be in the policy.
        size = getattr(config, "group_size", getattr(self.dtype_policy, "group_size", None))
        quantizer = _Quantizer(self, getattr(config, "weight_quantizer", None), size)
        before = self.quantization_config
        try:
            super().quantize(mode, type_check=False, config=_config_of(size, quantizer))
        except BaseException:
            self.quantization_config = before
            raise
        self.quantization_config = _config_of(size, quantizer.of_keras)
        for name, steps in quantizer.steps.items():
            getattr(self, f"{name}_steps").assign(steps)
        if size is not None:
            source = float_policy(self.dtype_policy).name
            self.dtype_policy = GroupedInt8DTypePolicy(f"int8/{size}", source)

    def check_before_rounding(self, group_size):
        """Raises a `ValueError` if the weights can't be rounded in groups of a size, or `None`."""
        for variable in self.floats_to_round():
            if not ops.all(ops.isfinite(variable)):
                raise ValueError(
                    f"`{variable.path}` has numbers that are not finite, which can't be quantized."
                )
            _, axis = self.name_and_axis(variable)
            if group_size is not None:
                number_of_groups(variable.shape[axis], group_size)

    def add_steps(self, name, shape, axis):
        """The variable with the steps of a weight, if there are groups."""
        if self.group_size is None:
            return
        groups = number_of_groups(shape[axis], self.group_size)
        steps = self.add_weight(
            name=f"{name}_steps",
            shape=(*shape[:axis], groups, *shape[axis + 1 :]),
            initializer="ones",
            dtype="uint8",
            trainable=False,
        )
        setattr(self, f"{name}_steps", steps)

    def steps_of(self, name):
        """The steps of a weight as its variable has them; `None` without groups."""
        steps = getattr(self, f"{name}_steps", None)
        return None if steps is None else ops.convert_to_tensor(steps)

    def round_again(self, quantized, scale, steps, update, axis):
        """Whole numbers, scale and steps, if any, of weights with an update of floats."""
        if steps is None:
            quantize = keras.quantizers.AbsMaxQuantizer(axis=axis)
            return *quantize(quantized / scale + update, to_numpy=True), None
        weights = quantized * np.repeat(steps, self.group_size, axis) / scale + update
        return quantize_in_groups(ops.convert_to_numpy(weights), self.group_size, axis)

    def as_keras_saves(self):
        """What Keras asks for: since 3.14 with a zero point, which eight bits don't have."""
        weight, scale, _ = self.as_saved()
        has_zero_point = f"{self.weight_name}_zero" in self.variable_serialization_spec["int4"]
        return (weight, scale, None) if has_zero_point else (weight, scale)

    @property
    def variable_serialization_spec(self):
        spec = super().variable_serialization_spec
        names = ("kernel_steps", "embeddings_steps", "reverse_embeddings_steps")
        added = [name for name in names if hasattr(self, name)]
        return {**spec, "int8": [*spec["int8"], *added]}

    def _names_in_file(self):
        names = self.variable_serialization_spec["int8"]
        return [name for name in names if name != "bias" or self.bias is not None]

    def place_in_file(self, name):
        """The key under which a variable of eight bits stands in a file."""
        return str(self._names_in_file().index(name))

    def save_own_variables(self, store):
        values: dict = {}  # in a file, nothing can be written twice
        super().save_own_variables(values)
        if values and self.quantization_mode == "int8" and self.group_size:
            values[self.place_in_file(f"{self.weight_name}_steps")] = self.as_saved()[2]
        for place, value in values.items():
            store[place] = value

    def load_own_variables(self, store):
        self.check_store(store)
        super().load_own_variables(store)

    def check_store(self, store):
        """Raises a `ValueError` if a file has not as many variables as there should be."""
        if not self.lora_enabled:
            self._check_load_own_variables(store)
        elif self.quantization_mode == "int8" and len(store) != len(self._names_in_file()):
            # Keras looks at nothing here, and steps that come last would not be missed.
            raise ValueError(
                f"`{self.path}` wants {self._names_in_file()} from a file, and this one has "
                f"{len(store)} variables for it. Weights with groups fit a model with groups of "
                "that size alone, and others a model without."
            )


def _config_of(group_size, weight_quantizer=None):
    """Keras's way to say how weights are rounded, with groups or without."""
    if group_size is None:
        return weights_only(weight_quantizer)
    config = GroupedInt8QuantizationConfig(group_size)
    config.weight_quantizer = weight_quantizer
    return config


class _Quantizer:
    """One of Keras's quantizers, or its default, or ours for groups: whose steps are kept here.

    After it, a kernel may be packed.
    """

    output_dtype = "int8"

    def __init__(self, layer, of_keras, group_size):
        self.layer, self.of_keras, self.group_size = layer, of_keras, group_size
        self.steps = {}

    def __call__(self, weights, **options):
        name, axis = self.layer.name_and_axis(weights)
        if self.group_size is None:
            quantize = self.of_keras or keras.quantizers.AbsMaxQuantizer(axis=axis)
            quantized, scale = quantize(weights, **options)
        else:
            weights = ops.convert_to_numpy(weights)
            quantized, scale, steps = quantize_in_groups(weights, self.group_size, axis)
            self.steps[name] = self.layer.as_laid_out(steps)
        return self.layer.as_laid_out(quantized), scale

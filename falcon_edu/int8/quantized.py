"""What Keras's layers need beside their own to hold weights of eight bits as ours do.

Keras rounds what flows through a layer as well, and knows no groups of eight bits with steps of
their own. `Quantized` stands in front of one of Keras's layers, and is how its weights are rounded,
saved and loaded: see `layers` for the layers, and `quantization` for the numbers.

Keras saves a layer with LoRA as one without, with the update in its weights. What was learned then
can't be told from the rest, and most of it is lost where weights have eight bits. So here a file
has the weights as they are, and then the factors and their alpha.
"""

from typing import Any

from falcon_edu.int8.quantization import (
    GroupedInt8DTypePolicy,
    GroupedInt8QuantizationConfig,
    float_policy,
    number_of_groups,
    quantize_in_groups,
)
from falcon_edu.support.layer_state import Remembers
from falcon_edu.warn import warn_user

import jax
import keras
import numpy as np
from keras import ops


class Quantized(Remembers):
    """A layer whose weights may have eight bits; in front of one of Keras's.

    With groups there is one more variable for each weight, `<name>_steps`; in files it comes last
    of what is not of LoRA. A subclass says what it has: the `weight_name` of what an adapter
    changes, `floats_to_round`, `name_and_axis` and `as_saved`.
    """

    dtype_policy: Any  # Keras's property
    quantization_config: Any

    # True in a class whose `call` and `int8_product` are made for each other; not inherited: a
    # subclass might compute something else.
    computes_as_it_says = False
    sums_over_last_axis = True  # of the inputs: else a layer computes and rounds as Keras's does
    saves_merged = False  # whether files get weights with the update of LoRA instead of the factors

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.quantization_mode == "int8":
            self.quantization_config = self.default_quantization_config(self.quantization_config)

    def default_quantization_config(self, given=None):
        """Return what Keras is told of how to round, where it is given no more than a policy."""
        if self.quantization_mode != "int8":
            return None
        size = getattr(given, "group_size", getattr(self.dtype_policy, "group_size", None))
        return _config_of(size, given)

    def build(self, input_shape=None):
        super().build(input_shape)
        # Weights in the order that `quantize` leaves them in: Keras makes float8's scales first.
        self._trainable_variables.sort(key=lambda variable: variable.overwrite_with_gradient)

    @property
    def trainable(self):
        """True if the layer is trained; with LoRA, the factors and not what they are added to."""
        return self._trainable

    @trainable.setter
    def trainable(self, value):
        keras.layers.Layer.trainable.fset(self, value)
        if self.lora_enabled:
            self.adapted_variable.trainable = False

    @property
    def adapted_variable(self):
        """The variable that an adapter changes, without the change."""
        return getattr(self, f"_{self.weight_name}")

    @property
    def group_size(self):
        """The number of inputs that share steps; `None` without groups."""
        config = self.quantization_config
        return config.group_size if isinstance(config, GroupedInt8QuantizationConfig) else None

    def quantize(self, mode=None, type_check=True, config=None):
        """Round the weights in place, as Keras does; with "int8", the weights alone.

        What flows through the layer is rounded too if a quantizer for it is given.
        """
        if type_check and not vars(type(self)).get("computes_as_it_says"):
            raise self._not_implemented_error(self.quantize)  # it might compute something else
        if mode == "float8" and self.lora_enabled:
            raise ValueError(f"`{self.path}` has LoRA, which float8 does not go with.")
        if mode != "int8" or not self.sums_over_last_axis:
            if mode == "int8":
                self._check_groups(getattr(config, "group_size", None))
                config = _config_of(None, config)
            super().quantize(mode, type_check=False, config=config)
            return
        # By now Keras has put its default into `config`: what was asked for may be in the policy.
        size = getattr(config, "group_size", getattr(self.dtype_policy, "group_size", None))
        wanted = _config_of(size, config)
        quantizer = _Quantizer(self, wanted.weight_quantizer, size)
        before = self.quantization_config
        try:
            rounding = _config_of(size, wanted)
            rounding.weight_quantizer = quantizer
            super().quantize(mode, type_check=False, config=rounding)
        except BaseException:
            self.quantization_config = before
            raise
        self.quantization_config = wanted
        for name, steps in quantizer.steps.items():
            getattr(self, f"{name}_steps").assign(steps)
        if size is not None:
            source = float_policy(self.dtype_policy).name
            self.dtype_policy = GroupedInt8DTypePolicy(f"int8/{size}", source)

    def as_laid_out(self, array):
        """Return whole numbers, or the steps of groups, as the variable has them: as they are."""
        return array

    def rounded(self, inputs):
        """Return the inputs, rounded where a quantizer for them was given."""
        quantizer = getattr(self.quantization_config, "activation_quantizer", None)
        if quantizer is None:
            return inputs
        quantized, scale = quantizer(inputs, axis=-1)
        nearest = ops.cast(quantized, inputs.dtype) / ops.cast(scale, inputs.dtype)
        return inputs + jax.lax.stop_gradient(nearest - inputs)  # the gradient as without

    def check_before_rounding(self, group_size):
        """Raise a `ValueError` if the weights can't be rounded in groups of a size, or `None`."""
        for variable in self.floats_to_round():
            if not ops.all(ops.isfinite(variable)):
                raise ValueError(
                    f"`{variable.path}` has numbers that are not finite, which can't be quantized."
                )
            self._check_groups(group_size)
            _, axis = self.name_and_axis(variable)
            if group_size is not None:
                number_of_groups(variable.shape[axis], group_size)

    def _check_groups(self, group_size):
        if group_size is not None and not self.sums_over_last_axis:
            raise ValueError(
                f"`{self.name}` does not sum over the last axis of its inputs alone: its weights "
                "can't be rounded in groups."
            )

    def add_steps(self, name, shape, axis):
        """Add the variable with the steps of a weight, if there are groups."""
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
        """Return the steps of a weight as its variable has them; `None` without groups."""
        steps = getattr(self, f"{name}_steps", None)
        return None if steps is None else ops.convert_to_tensor(steps)

    def round_again(self, quantized, scale, steps, update, axis):
        """Whole numbers, scale and steps, if any, of weights with an update of floats."""
        if steps is None:
            quantize = keras.quantizers.AbsMaxQuantizer(axis=axis)
            return *quantize(quantized / scale + update, to_numpy=True), None
        weights = quantized * np.repeat(steps, self.group_size, axis) / scale + update
        return quantize_in_groups(ops.convert_to_numpy(weights), self.group_size, axis)

    def merged_floats(self):
        """Return the weight with the update of LoRA, as precise as the variable is.

        Keras's own sum has the dtype of computations, which may be coarser.
        """
        weight = ops.cast(self.adapted_variable.value, "float32") + self.update_of_lora()
        return ops.cast(weight, self.variable_dtype)

    def as_keras_wants(self, weight, scale):
        """Return what Keras asks for: since 3.14 with a zero point, which eight bits don't have."""
        has_zero_point = f"{self.weight_name}_zero" in self.variable_serialization_spec["int4"]
        return (weight, scale, None) if has_zero_point else (weight, scale)

    @property
    def variable_serialization_spec(self):
        spec = super().variable_serialization_spec
        names = ("kernel_steps", "embeddings_steps", "reverse_embeddings_steps")
        added = [name for name in names if hasattr(self, name)]
        return {**spec, "int8": [*spec["int8"], *added]}

    def _names_in_file(self):
        names = self.variable_serialization_spec[self.quantization_mode]
        own = vars(self)
        return [name for name in names if own.get(f"_{name}", own.get(name)) is not None]

    def place_in_file(self, name):
        """Return the key under which a variable stands in a file."""
        return str(self._names_in_file().index(name))

    def save_own_variables(self, store):
        if not self.built:
            return
        apart = self.lora_enabled and not self.saves_merged
        self.lora_enabled = self.lora_enabled and not apart  # else Keras would merge
        try:
            values: dict = {}  # in a file, nothing can be written twice
            super().save_own_variables(values)
            if self.quantization_mode == "int8" and self.group_size:
                values[self.place_in_file(f"{self.weight_name}_steps")] = self.as_saved()[2]
        finally:
            self.lora_enabled = self.lora_enabled or apart
        if apart:
            of_lora = [*self.factors, np.float32(self.lora_alpha)]
            values.update({str(i): x for i, x in enumerate(of_lora, len(values))})
        for place, value in values.items():
            store[place] = value

    @property
    def factors(self):
        """The two factors of LoRA: a, which reads, and b, which writes."""
        return [getattr(self, f"lora_{self.weight_name}_{name}") for name in "ab"]

    @property
    def lora_scale(self):
        """The factor of LoRA's update, alpha over rank."""
        return self.lora_alpha / self.lora_rank

    def update_of_lora(self):
        """Return what LoRA adds to the weight: the product of the factors."""
        return self.lora_scale * ops.matmul(*self.factors)

    def load_own_variables(self, store):
        store = {**store}  # a file has no more of a dictionary than that
        count = len(self._names_in_file()) if self.built else 0
        of_lora = [store.pop(str(i), None) for i in range(count, count + 3)]
        if of_lora[2] is None or of_lora[2].shape != ():  # its alpha is a number
            store.update({str(i): x for i, x in enumerate(of_lora, count) if x is not None})
            of_lora = []
        if of_lora and not self.lora_enabled:
            store, of_lora = self._merged(store, of_lora), []
        self.check_store(store, count)
        a = np.array(self.factors[0]) if self.lora_enabled else None
        if of_lora:
            self._check_factors(of_lora[:2])
        super().load_own_variables(self.as_laid_out_here(store))
        if of_lora:
            for factor, value in zip(self.factors, of_lora, strict=False):
                factor.assign(np.asarray(value))
            self.lora_alpha = float(np.asarray(of_lora[2]))
        elif self.lora_enabled:
            # Keras sets both to zero, and then neither has a gradient.
            self.factors[0].assign(a)

    def as_laid_out_here(self, store):
        """Return what a file has for this layer, as its variables have it."""
        return store

    def _check_factors(self, factors):
        if [tuple(x.shape) for x in factors] != [tuple(x.shape) for x in self.factors]:
            raise ValueError(
                f"`{self.path}` has LoRA of rank {self.lora_rank}. Received: factors of rank "
                f"{factors[1].shape[0]}. Enable LoRA with that rank, or load into a model without."
            )

    def _merged(self, store, of_lora):
        """Return what a file has for this layer with LoRA, as one without LoRA loads it."""
        if self.quantization_mode:
            warn_user(
                f"`{self.path}` has no LoRA, and the file has: its update is merged into rounded "
                "weights, which are too coarse for it. Enable LoRA before loading to keep it."
            )
        twin = type(self).from_config(self.get_config())
        twin.build_from_config(self.get_build_config())
        twin.enable_lora(of_lora[1].shape[0])
        twin.load_own_variables({**store, **{str(i): x for i, x in enumerate(of_lora, len(store))}})
        twin.saves_merged = True
        values: dict = {}
        twin.save_own_variables(values)
        return {place: np.asarray(value) for place, value in values.items()}

    def check_store(self, store, count):
        """Raise a `ValueError` if a file has not as many variables as there should be."""
        if len(store) == count:
            return
        if not self.lora_enabled:
            self._check_load_own_variables(store)
        # Keras looks at nothing here, and steps that come last would not be missed.
        raise ValueError(
            f"`{self.path}` wants {self._names_in_file()} from a file, and this one has "
            f"{len(store)} variables for it. Weights with groups fit a model with groups of "
            "that size alone, and others a model without."
        )


def _config_of(group_size, given=None):
    """Return Keras's way to say how weights are rounded, with groups or without.

    Of a given configuration it has the quantizers; but where Keras's default for what flows through
    the layer stands, nobody asked for it.
    """
    if group_size is not None:
        return GroupedInt8QuantizationConfig(group_size)
    of_activations = getattr(given, "activation_quantizer", None)
    if of_activations is not None:
        default = keras.quantizers.Int8QuantizationConfig().activation_quantizer
        is_default = type(of_activations) is type(default)
        if is_default and of_activations.get_config() == default.get_config():
            of_activations = None
    return keras.quantizers.Int8QuantizationConfig(
        getattr(given, "weight_quantizer", None), of_activations
    )


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

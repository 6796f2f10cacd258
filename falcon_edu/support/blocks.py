"""What blocks do besides computing: stand by themselves, be copied and saved, be rounded."""

from dataclasses import replace
from typing import Any

from falcon_edu.int8.quantization import float_policy
from falcon_edu.model import layers
from falcon_edu.support import plain
from falcon_edu.support.layer_state import Remembers, mixed_policy, policy_at

import keras

_OF_ATTENTION = (
    "num_key_value_heads position_encoding rope_max_wavelength use_bias alibi_dtype".split()
)

# The arguments of a block by itself, in order; a class's own name for one is on the left of `=`.
ARGUMENTS = {
    "FalconAttention": ["num_heads=num_attention_heads", "attention_dropout_rate", *_OF_ATTENTION],
    "FalconTransformerDecoder": [
        *"num_attention_heads intermediate_dim layer_norm_epsilon".split(),
        *"attention_dropout_rate feedforward_dropout_rate".split(),
        *_OF_ATTENTION[:3],
        *"parallel_attention num_parallel_layer_norms use_bias alibi_dtype".split(),
    ],
}
NOT_ROUNDED = (keras.layers.LayerNormalization, keras.layers.Dropout)


class Block(Remembers, plain.Block):
    """A block whose configuration has its arguments one by one, as files have them.

    Args:
        *arguments, **kwargs: a `FalconConfig`, or arguments as in `ARGUMENTS`; and those of
            `keras.layers.Layer`. The width comes from the inputs.

    Raises:
        ValueError: an argument is impossible.
        TypeError: one is missing, or there are too many.
    """

    config: Any

    def __init__(self, *arguments, config=None, **kwargs) -> None:
        from falcon_edu.model.config import FalconConfig  # the base class is put in after this file

        if arguments and isinstance(arguments[0], FalconConfig):
            config, arguments = arguments[0], arguments[1:]
        names = _names(type(self))
        given = dict(zip(names, arguments, strict=False))
        given |= {name: kwargs.pop(name) for name in names if name in kwargs}
        if config is None:
            config = self._config_of({names[name]: value for name, value in given.items()})
        elif given:
            raise TypeError(f"A config tells of {', '.join(given)}: give the one or the other.")
        if len(arguments) > len(names):
            raise TypeError(f"There are {len(names)} arguments. Received: {len(arguments)}")
        super().__init__(config, **kwargs)

    def _config_of(self, given):
        from falcon_edu.model.config import FalconConfig

        required = {"num_attention_heads", "intermediate_dim"} & set(_names(type(self)).values())
        if missing := sorted(required - given.keys()):
            raise TypeError(f"{type(self).__name__} needs {', '.join(missing)}.")
        heads = given["num_attention_heads"]
        # What a block by itself can't know; the width comes with the inputs.
        unknown = {"vocabulary_size": 1, "num_layers": 1, "intermediate_dim": 1}
        width = 2 * heads if isinstance(heads, int) else heads
        return FalconConfig(**{**unknown, "hidden_dim": width, **given})

    def __getattr__(self, name):
        names = _names(type(self))
        if "config" not in vars(self) or name not in names:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.config, names[name])

    def build(self, inputs_shape) -> None:  # type: ignore[override]  # Keras's name and ours
        self.config = replace(self.config, hidden_dim=inputs_shape[-1])
        super().build(inputs_shape)

    def part(self, kind, name, inputs_shape, **arguments) -> Any:
        policy = self.dtype_policy
        if not issubclass(kind, layers.Block):
            policy = policy_at(policy, f"{self.path}/{name}")
        if issubclass(kind, NOT_ROUNDED):
            policy = float_policy(policy)
        return super().part(kind, name, inputs_shape, **{"dtype": policy, **arguments})

    def compute_output_spec(self, inputs, *args, **kwargs) -> Any:
        # Keras runs through all of `call` to learn the outputs' shapes. As a backbone calls a
        # block, they are known.
        mask_shape = getattr(kwargs.get("padding_mask"), "shape", ())
        is_a_backbones = mask_shape == inputs.shape[:2] and not args and len(kwargs) == 1
        if type(self).call.__module__ != "falcon_edu.model.decoder" or not is_a_backbones:
            return super().compute_output_spec(inputs, *args, **kwargs)
        b, t, _ = inputs.shape
        weights_shape = (b, self.config.num_attention_heads, t, t)
        outputs = keras.KerasTensor(inputs.shape, self.compute_dtype)
        return outputs, keras.KerasTensor(weights_shape, "float32")

    def quantized_call(self, *args, **kwargs) -> Any:
        # Keras calls this with `dtype="int8"`: the dense layers see to that, each by itself.
        return self.call(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self.config, of) for name, of in _names(type(self)).items()}
        policy = keras.dtype_policies.serialize(mixed_policy(self, f"{self.name}/"))
        config = super().get_config()
        return {**config, **own, "dtype": policy}


def _names(cls):
    """Return the arguments of a block's class: `{its name for one: the config's}`."""
    found = next((ARGUMENTS[c.__name__] for c in cls.__mro__ if c.__name__ in ARGUMENTS), [])
    return {name.partition("=")[0]: name.rpartition("=")[2] for name in found}

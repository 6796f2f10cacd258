"""What was done to layers after they were made, so that their copies have it too.

Keras's configurations say how a layer is made. That one layer inside was frozen, given LoRA or
rounded, they say of a layer that stands by itself, and not of one inside a block or a backbone: its
copy would train what was frozen. `describe` tells it, as values that fit into a configuration, and
`restore` does it again. Weights that are not as precise as those around them are no matter of state
but of making: `mixed_policy`.
"""

import re
from typing import Any

from falcon_edu.int8.quantization import float_policy

import keras

KEY = "layer_state"  # in a configuration


def describe(layer):
    """Describe what is not as when the layer was made, in it and in all inside it.

    Args:
        layer: a layer or a model.

    Returns:
        `{path: {what: value}}`, where the path of the layer itself is empty.

    Example:

    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="head")])
    >>> model.layers[0].trainable = False
    >>> describe(model)
    {'head': {'trainable': False}}
    """
    described = ((path, _own_state(inner, outer)) for path, inner, outer in _walk(layer))
    return {path: own for path, own in described if own}


def restore(layer, state):
    """Do again what `describe` found.

    Args:
        layer: a built layer, or a model, made as the one that was described.
        state: from `describe`.

    Raises:
        ValueError: a layer that the state tells of isn't there.
    """
    layers = {path: inner for path, inner, _ in _walk(layer)}
    if missing := sorted(state.keys() - layers.keys()):
        raise ValueError(
            f"`{KEY}` tells of layers that `{layer.name}` does not have: {', '.join(missing)}. "
            f"There are: {', '.join(path for path in layers if path)}"
        )
    for path, own in state.items():
        if "quantization_config" in own:
            _set_quantization(layers[path], own["quantization_config"])
        if "lora_rank" in own:
            if not layers[path].lora_enabled:
                layers[path].enable_lora(own["lora_rank"])
            layers[path].lora_alpha = own["lora_alpha"]
    if not layer.trainable:
        layer.trainable = False  # what was made inside meanwhile, too
    for path, own in state.items():  # outer layers first: they set what is inside them
        if "trainable" in own:
            layers[path].trainable = own["trainable"]
        for variable in layers[path]._trainable_variables:
            if variable.name in own.get("frozen", ()):
                variable.trainable = False


class Remembers:
    """A layer whose configuration tells what was done to it; in front of one of Keras's.

    One that builds others inside it, in a `build` of its own, ends that with `restore_state`.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._state_to_restore = {}

    def build(self, input_shape=None):
        super().build(input_shape)
        self.restore_state()

    def restore_state(self) -> None:
        """Do to the layer, now that it is built, what its configuration told of."""
        restore(self, self._state_to_restore)
        self._state_to_restore = {}

    def get_config(self):
        config = super().get_config()
        state = describe(self) if self.built else self._state_to_restore
        return {**config, **({KEY: state} if state else {})}

    @classmethod
    def from_config(cls, config) -> Any:
        config = {**config}
        state = config.pop(KEY, {})
        if "lora_rank" in state.get("", {}):  # Keras would add factors before all weights are there
            config = {key: x for key, x in config.items() if key not in ("lora_rank", "lora_alpha")}
        layer = super().from_config(config)
        layer._state_to_restore = state
        if layer.built:
            layer.restore_state()
        return layer


def mixed_policy(layer, root=""):
    """Return the policy from which a copy gets the dtypes of all layers inside.

    Args:
        layer: a layer or a model.
        root: how the paths of the layers inside begin, such as `"block/"`.

    Returns:
        One policy, where all inside can be made with one; or else Keras's map of paths to policies,
        with a line for each layer inside that differs from the floats of the layer itself.
    """
    if not layer.built:
        return layer.dtype_policy
    own = policy_at(layer.dtype_policy, layer.path)
    inner = [(path, x) for path, x, _ in _walk(layer) if path and (x._layers or x.weights)]
    policies = {path: policy_at(x.dtype_policy, x.path) for path, x in inner}
    rounded = [policies[path] for path, x in inner if _can_be_rounded(x)]
    for policy in (own, *rounded[:1]):
        if all(_policy_inside(x, policies[path]) == _policy_inside(x, policy) for path, x in inner):
            return policy
    mixed = keras.dtype_policies.DTypePolicyMap(float_policy(own))
    for path, x in inner:
        if _policy_inside(x, policies[path]) != float_policy(own):
            # A copy may be part of something larger, where paths begin with more.
            mixed[f"(.*/)?{re.escape(root + path)}"] = _policy_inside(x, policies[path])
    return mixed


def policy_at(policy, path):
    """Return the policy of one layer, from one that may be Keras's map."""
    is_map = isinstance(policy, keras.dtype_policies.DTypePolicyMap)
    return policy[path or ""] if is_map else policy


def _can_be_rounded(layer):
    return hasattr(layer, "quantization_config")


def _policy_inside(layer, policy):
    """Return what a layer makes of a policy: one that can't be rounded itself uses its floats."""
    return policy if _can_be_rounded(layer) else float_policy(policy)


def _walk(layer, path="", outer=None):
    """Every layer inside, itself first: `(path, layer, the one that it is in)`."""
    yield path, layer, outer
    for inner in dict.fromkeys(layer._layers):  # a layer of a graph may be an attribute, too
        if not isinstance(inner, keras.layers.InputLayer):
            yield from _walk(inner, f"{path}/{inner.name}" if path else inner.name, layer)


def _own_state(layer, outer):
    own = {}
    if outer is not None and layer.trainable != outer.trainable:
        own["trainable"] = layer.trainable
    frozen = [x.name for x in layer._trainable_variables if not x.trainable]
    if frozen and layer.trainable:
        own["frozen"] = frozen
    if getattr(layer, "lora_enabled", False):
        own["lora_rank"], own["lora_alpha"] = layer.lora_rank, layer.lora_alpha
    if layer.quantization_mode and hasattr(layer, "quantization_config"):
        config = keras.saving.serialize_keras_object(layer.quantization_config)
        if config != keras.saving.serialize_keras_object(_default_quantization(layer)):
            own["quantization_config"] = config
    return own


def _default_quantization(layer):
    """Return the configuration that a layer has when it is made with its policy."""
    return getattr(layer, "default_quantization_config", lambda: None)()


def _set_quantization(layer, config):
    config = keras.saving.deserialize_keras_object(config)
    layer.quantization_config = config
    layer.inputs_quantizer = getattr(config, "activation_quantizer", None)

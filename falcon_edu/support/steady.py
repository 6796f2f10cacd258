"""A model that keeps its weights, whatever happens while it trains, is evaluated or predicts.

Keras on JAX takes the values out of a model's variables, hands them from step to step, and puts
them back after the last one. An exception or an interrupt on the way leaves variables without a
value. Here each step takes its values from the variables, and puts the new ones there at once.
"""

import os
from os import PathLike
from pathlib import Path
from typing import Any

from falcon_edu.storage.files import replace_file
from falcon_edu.storage.interrupts import uninterrupted

import jax
import jax.numpy as jnp
import keras
import numpy as np

IS_BUILT = "is_built"  # a key of our own in what Keras saves of an optimizer, and doesn't read


@keras.saving.register_keras_serializable(package="falcon_edu")
class SteadyModel(keras.Model):
    """A `keras.Model` whose weights are those after some step, whatever ends `fit` and the others.

    An interrupt, or an exception from data, callbacks, layers, losses and metrics, leaves a model
    that works: weights, optimizer and metrics are as after the last step that was finished.

    `FalconBackbone` and `FalconCausalLM` are such models. `keras.Model(backbone.input, ...)` is
    not: it is Keras's own, with layers that Keras made. `SteadyModel` takes the same arguments.

    Example:

    >>> inputs = keras.Input((2,))
    >>> model = SteadyModel(inputs, keras.layers.Dense(1)(inputs))
    >>> def texts():
    ...     yield (keras.ops.ones((1, 2)),)
    ...     raise OSError("the disk is gone")
    >>> try:
    ...     model.predict(texts(), verbose=0)
    ... except OSError:
    ...     [weight.shape for weight in model.get_weights()]
    [(2, 1), (1,)]
    """

    train_function: Any
    test_function: Any
    predict_function: Any

    # Keras keeps the values here that the variables lack. Ours lack none.
    _jax_state = property(lambda self: None, lambda self, values: None)

    def _purge_model_variables(self, *args, **kwargs):
        pass

    def _symbolic_build(self, *args, **kwargs):
        # An optimizer that is interrupted while it makes its variables takes itself for complete.
        optimizer = getattr(self, "optimizer", None)
        if optimizer is not None and not optimizer.built and self.built:
            with uninterrupted():
                optimizer.build(self.trainable_variables)
        super()._symbolic_build(*args, **kwargs)

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """Train as Keras does, unless other weights are trainable than the optimizer knows."""
        self._check_optimizer()
        return super().fit(*args, **kwargs)

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Take one step of training, unless other weights are trainable than it knows."""
        self._check_optimizer()
        return super().train_on_batch(*args, **kwargs)

    def _check_optimizer(self):
        """Refuse an optimizer that was made for other weights than those to be trained."""
        optimizer = getattr(self, "optimizer", None)  # Keras says what to do where there is none
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        if optimizer is None or not optimizer.built:
            return
        if list(map(id, optimizer._trainable_variables)) != list(map(id, self.trainable_variables)):
            raise ValueError(
                "Other weights are trainable now than those that the optimizer was made for, as "
                "after `enable_lora` or a change of `trainable`. Call `compile` again, with a new "
                "optimizer."
            )

    def get_compile_config(self) -> Any:
        """Return what Keras keeps of `compile`, and whether the optimizer has variables yet."""
        config = super().get_compile_config()
        if not (config and isinstance(config.get("optimizer"), dict)):
            return config
        is_built = getattr(getattr(self, "optimizer", None), "built", False)
        return {**config, "optimizer": {**config["optimizer"], IS_BUILT: is_built}}

    def compile_from_config(self, config: Any) -> None:
        """Compile as Keras does, and give the optimizer variables only if there are some to load.

        Otherwise Keras would warn that it can't load what was never there.
        """
        optimizer = config.get("optimizer")
        is_built = optimizer.get(IS_BUILT, True) if isinstance(optimizer, dict) else True
        self.compile(**self._compile_arguments(config))
        if is_built and self.built and getattr(self, "optimizer", None) is not None:
            self.optimizer.build(self.trainable_variables)

    def _compile_arguments(self, config):
        return keras.saving.deserialize_keras_object(config)

    def save(
        self,
        filepath: str | PathLike[str],
        overwrite: bool = True,
        zipped: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """Save as Keras does, but whole or not at all: an old file stays until the new is there.

        Raises:
            ValueError: `filepath` ends in .h5, a format that can't be read back for such models.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            raise ValueError(f"Save to a file that ends in .keras. Received: {filepath}")

        def write(path):
            super(SteadyModel, self).save(path, overwrite, zipped, **kwargs)

        _replace(filepath, write, zipped is not False and overwrite)

    def save_weights(
        self,
        filepath: str | PathLike[str],
        overwrite: bool = True,
        max_shard_size: float | None = None,
    ) -> None:
        """Save weights as Keras does, but a file whole or not at all, as in `save`."""

        def write(path):
            super(SteadyModel, self).save_weights(path, overwrite, max_shard_size)

        _replace(filepath, write, max_shard_size is None and overwrite)

    def set_weights(self, weights: Any) -> None:
        """Set all weights, or none if one has another shape."""
        shapes = [tuple(variable.shape) for variable in self.weights]
        given = [np.shape(value) for value in weights]
        if given != shapes:
            wrong = [
                i for i, pair in enumerate(zip(given, shapes, strict=False)) if len(set(pair)) > 1
            ]
            said = (
                f"Number {wrong[0]} has {given[wrong[0]]}, not {shapes[wrong[0]]}" if wrong else ""
            )
            raise ValueError(
                f"`weights` must be {len(shapes)} arrays, of the shapes of `model.weights`. "
                f"Received {len(given)}. {said}".strip()
            )
        super().set_weights(weights)

    def load_weights(self, filepath: str | PathLike[str], *args: Any, **kwargs: Any) -> Any:
        """Load weights as Keras does, but all or none: while they load, the old ones are kept."""
        before = [(variable, variable.value) for variable in self.variables]
        with uninterrupted() as hold:
            try:
                with hold.let_through():
                    super().load_weights(filepath, *args, **kwargs)
            except BaseException:
                _assign(before)
                raise

    def make_train_function(self, force: bool = False) -> Any:
        if self.train_function is None or force:
            self.train_function = self._make_function(Training(self))

    def make_test_function(self, force: bool = False) -> Any:
        if self.test_function is None or force:
            self.test_function = self._make_function(Evaluation(self))

    def make_predict_function(self, force: bool = False) -> Any:
        if self.predict_function is None or force:
            self.predict_function = self._make_function(Prediction(self), concatenate_outputs=True)
        return self.predict_function


def _replace(filepath, write, is_one_file):
    """Write a file of Keras's kind beside its place, and put it there when it is whole."""
    is_path = isinstance(filepath, (str, os.PathLike)) and "://" not in str(filepath)
    if not (is_path and is_one_file and Path(filepath).parent.is_dir()):
        write(filepath)  # several files, no local ones, or Keras has something to ask or to refuse
        return
    ending = "".join(Path(filepath).suffixes[-2:])

    def write_new(new):
        # Keras goes by the ending.
        named = new.with_name(f"whole{ending}")
        write(named)
        os.replace(named, new)

    replace_file(filepath, write_new)


class State(tuple):
    """The values of some groups of variables, and in `variables` these groups."""

    variables: Any


class Step:
    """One step of Keras's, from the variables of a model to the variables.

    What a program is given to overwrite is lost when it fails. So nothing is, but what training
    changes, and that not where a program may well fail halfway: where it calls Python code, or
    where JAX looks for NaN in what comes out. Training then holds old and new values at once.
    Memory is asked for before: only if it is taken away later can a step still cost the weights.

    Args:
        model: a `SteadyModel`.
    """

    overwritten: tuple[int, ...] = ()  # of the groups of variables

    def __init__(self, model):
        self.model = model
        self.programs = {}  # compiled, by whether they overwrite
        self.calls_python = {}  # whether a program does, by the shapes of its data

    def variables(self):
        """Return the groups of variables in the order that Keras's step takes their values."""
        raise NotImplementedError

    def run(self, state, data):
        """Take Keras's step: outputs, and the new state."""
        raise NotImplementedError

    def __call__(self, state, data):
        """Return the outputs of a step for some data, and the state after it.

        The values of `state` may be outdated; the variables' are not.
        """
        groups = getattr(state, "variables", None) or self.variables()
        state = _state_of(groups)
        try:
            if self.model.run_eagerly or not self.model.jit_compile:
                outputs, new = self.run(state, data)
                with uninterrupted():
                    for variables, values in zip(groups, new, strict=False):
                        _assign(zip(variables, values, strict=False))
            else:
                outputs = self._run_compiled(groups, state, data)
        finally:
            self.model._losses_override.clear()  # of a step that failed, which were no numbers
        return outputs, _state_of(groups)

    def _run_compiled(self, groups, state, data):
        own = {i: state[i] for i in self.overwritten}
        rest = {i: values for i, values in enumerate(state) if i not in own}
        overwrites = bool(own) and not (jax.config.jax_debug_nans or jax.config.jax_debug_infs)
        shapes = str((overwrites, jax.tree.map(lambda x: (x.shape, x.dtype), data)))
        if shapes not in self.calls_python:
            # Here and not by the call below, where both are taken from a cache: so an interrupt
            # need not wait for them.
            traced = self._program(overwrites, own).trace(own, rest, data)
            calls_python = _calls_python(traced.jaxpr.jaxpr)
            if overwrites and not calls_python:
                _check_memory(traced.lower().compile().memory_analysis())
            self.calls_python[shapes] = calls_python
        overwrites = overwrites and not self.calls_python[shapes]
        program = self._program(overwrites, own)
        if overwrites:
            with uninterrupted():
                outputs, *new = program(own, rest, data)
                _put(groups, *new)
        else:
            outputs, *new = program(own, rest, data)
            if self.calls_python[shapes]:
                jax.block_until_ready(new)  # or what went wrong there would come up later
            with uninterrupted():
                _put(groups, *new)
        return outputs

    def _program(self, overwrites, own):
        if overwrites not in self.programs:

            def program(own, rest, data):
                state = tuple({**own, **rest}[i] for i in range(len(own) + len(rest)))
                outputs, new = self.run(state, data)
                changed = {}
                for i, (before, after) in enumerate(zip(state, new, strict=False)):
                    for j, (old, value) in enumerate(zip(before, after, strict=False)):
                        if value is not old:
                            changed[i, j] = value.astype(old.dtype)
                owned = {i: [changed.pop((i, j), old) for j, old in enumerate(own[i])] for i in own}
                return outputs, owned, changed

            shardings = None
            if keras.distribution.distribution() is not None:
                shardings = (None, jax.tree.map(lambda x: x.sharding, own), None)
            self.programs[overwrites] = jax.jit(
                program, donate_argnums=(0,) if overwrites else (), out_shardings=shardings
            )
        return self.programs[overwrites]


class Training(Step):
    """A step of `fit`."""

    overwritten = (0, 2, 3)  # not the weights that are frozen

    def variables(self):
        model = self.model
        return (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )

    def run(self, state, data):
        return self.model.train_step(state, data)


class Evaluation(Step):
    """A step of `evaluate`."""

    def variables(self):
        model = self.model
        return model.trainable_variables, model.non_trainable_variables, model.metrics_variables

    def run(self, state, data):
        return self.model.test_step(state, data)


class Prediction(Step):
    """A step of `predict`."""

    def variables(self):
        return self.model.trainable_variables, self.model.non_trainable_variables

    def run(self, state, data):
        outputs, non_trainable = self.model.predict_step(state, data)
        return outputs, (state[0], non_trainable)


def _state_of(groups):
    state = State([variable.value for variable in variables] for variables in groups)
    state.variables = groups
    return state


def _put(groups, owned, changed):
    """Give variables their new values: whole groups, and single ones by their places."""
    for i, values in owned.items():
        for variable, value in zip(groups[i], values, strict=True):
            variable._value = value  # `assign` would take longer than a small model's step
    _assign((groups[i][j], value) for (i, j), value in changed.items())


def _assign(pairs):
    for variable, value in pairs:
        if value is not variable.value:
            variable.assign(value)


def _check_memory(sizes):
    """Refuse a program that does not fit in memory before it has overwritten anything."""
    needed = sizes.temp_size_in_bytes if sizes else 0
    # On a CPU memory that is not written to is only promised, and that takes no time.
    empty = np.empty if jax.default_backend() == "cpu" else jnp.empty
    try:
        empty(needed, "uint8")
    except (MemoryError, jax.errors.JaxRuntimeError):
        raise MemoryError(
            f"A training step on data of this shape needs {needed / 2**30:.1f} GB beside the "
            "weights, and there is not so much memory. Give a smaller `batch_size` or shorter "
            "sequences. The model has kept its weights."
        ) from None


def _calls_python(jaxpr):
    """True if a program calls Python code while it runs, as `jax.debug.callback` has it do."""
    for equation in jaxpr.eqns:
        if "callback" in equation.primitive.name:
            return True
        for part in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_jaxpr):
            if _is_jaxpr(part) and _calls_python(getattr(part, "jaxpr", part)):
                return True
    return False


def _is_jaxpr(x):
    return hasattr(x, "eqns") or hasattr(getattr(x, "jaxpr", None), "eqns")

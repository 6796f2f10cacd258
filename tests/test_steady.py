"""Whatever ends a fit, an evaluation or a prediction: the weights are those after some step."""

import functools
import os
import random
import signal
import subprocess
import sys
import threading

import falcon_edu
from falcon_edu import FalconBackbone, FalconCausalLM, record
from falcon_edu.support.steady import SteadyModel
from tests.interrupting import Interrupt, moments
from tests.test_causal_lm import byte_preprocessor

import jax
import keras
import numpy as np
import pytest

SEED = int(os.environ.get("FALCON_EDU_SEED", random.randrange(10**6)))
LOOPS = ("fit", "evaluate", "predict", "train_on_batch", "test_on_batch", "predict_on_batch")


class Fault(Exception):
    """What is raised on purpose."""


def falcon(**arguments):
    keras.utils.set_random_seed(0)
    return FalconBackbone(257, 1, 2, 8, 16, **arguments)


def causal_lm():
    model = FalconCausalLM(falcon(), byte_preprocessor(sequence_length=8))
    model.compile(optimizer=keras.optimizers.Adam(0.1), sampler="greedy")
    return model


def head(**arguments):
    """A backbone with a head on top, and the backbone's own loops."""
    backbone = falcon()
    outputs = keras.layers.Dense(2, **arguments)(backbone.output[:, -1])
    model = SteadyModel(backbone.input, outputs)
    model.compile(optimizer=keras.optimizers.Adam(0.1), loss="mse", metrics=["mae"])
    return model


def backbone():
    model = falcon()
    model.compile(optimizer=keras.optimizers.Adam(0.1), loss="mse")
    return model


MAKERS = {"causal_lm": causal_lm, "head": head, "backbone": backbone}
ROWS = 6


@functools.cache
def shared(name):
    """One of each, whose loops are compiled once; no test leaves it broken."""
    return MAKERS[name]()


def data(model):
    """Three batches of two."""
    ids = np.random.default_rng(0).integers(0, 256, (ROWS, 8))
    x = {"token_ids": ids, "padding_mask": np.ones_like(ids)}
    if isinstance(model, FalconCausalLM):
        return x, None
    return x, np.ones((ROWS, *model.compute_output_shape({k: v.shape for k, v in x.items()})[1:]))


def run(model, loop, **arguments):
    x, y = data(model)
    parts = (x,) if loop.startswith("predict") else (x, y)
    if loop.endswith("on_batch"):
        return getattr(model, loop)(*parts)
    if loop == "fit":
        arguments["shuffle"] = False
    return getattr(model, loop)(*parts, batch_size=2, verbose=0, **arguments)


def state(model):
    """Weights and the optimizer's variables, copied."""
    return [np.array(v.value) for v in (*model.variables, *model.optimizer.variables)]


def begin_again(model, values):
    for variable, value in zip((*model.variables, *model.optimizer.variables), values, strict=True):
        variable.assign(value)


def states_of_a_fit(model, **arguments):
    """What everything is before the first step of a fit and after each of its steps."""
    states = [state(model)]
    after = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: states.append(state(model))
    )
    run(model, "fit", callbacks=[after], **arguments)
    return states


def same(left, right):
    return len(left) == len(right) and all(map(np.array_equal, left, right))


def assert_it_works(model):
    """It trains, evaluates and generates, with the optimizer that it has."""
    weights = model.get_weights()
    run(model, "fit")
    assert not all(map(np.array_equal, model.get_weights(), weights))
    assert all(np.isfinite(weight).all() for weight in state(model))
    run(model, "evaluate")


# === Interrupts ===


@pytest.mark.parametrize("name", MAKERS)
def test_a_fit_that_is_interrupted_leaves_the_weights_of_some_step(name):
    print(f"FALCON_EDU_SEED={SEED}")
    model = shared(name)
    run(model, "fit")
    states = states_of_a_fit(model, epochs=2)
    found = set()
    for lines in moments(random.Random(SEED), lambda: run(model, "fit", epochs=2), 12):
        begin_again(model, states[0])
        with pytest.raises(KeyboardInterrupt), Interrupt(lines):
            run(model, "fit", epochs=2)
        after = state(model)
        steps = [i for i, one in enumerate(states) if same(one, after)]
        assert steps, f"interrupted after {lines} lines, the weights are of no step"
        found.update(steps)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert len(found) > 1
    assert_it_works(model)


def test_a_first_fit_that_is_interrupted_leaves_the_weights_as_after_some_step():
    print(f"FALCON_EDU_SEED={SEED}")
    states = states_of_a_fit(head())
    for lines in moments(random.Random(SEED), run, 2, head(), "fit"):
        model = head()
        with pytest.raises(KeyboardInterrupt), Interrupt(lines):
            run(model, "fit")
        weights = [np.array(v.value) for v in model.variables]
        assert any(same(one[: len(weights)], weights) for one in states), lines
        assert_it_works(model)


def test_an_optimizer_is_complete_after_an_interrupt_while_it_is_made():
    model = head()
    build = model.optimizer.add_optimizer_variables

    def interrupted(*args, **kwargs):
        signal.raise_signal(signal.SIGINT)
        return build(*args, **kwargs)

    model.optimizer.add_optimizer_variables = interrupted
    with pytest.raises(KeyboardInterrupt):
        run(model, "fit")
    model.optimizer.add_optimizer_variables = build
    assert_it_works(model)


@pytest.mark.parametrize("loop", LOOPS[1:])
def test_other_loops_leave_the_weights_as_they_were(loop):
    print(f"FALCON_EDU_SEED={SEED}")
    model = shared("causal_lm")
    run(model, loop)
    for lines in moments(random.Random(SEED), lambda: run(model, loop), 5):
        before = model.get_weights()
        with pytest.raises(KeyboardInterrupt), Interrupt(lines):
            run(model, loop)
        assert loop == "train_on_batch" or same(model.get_weights(), before)
        assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert_it_works(model)


@pytest.mark.parametrize("act", ["generate", "stream", "record"])
def test_looking_and_generating_change_nothing_when_interrupted(act):
    print(f"FALCON_EDU_SEED={SEED}")

    def run(model):
        if act == "generate":
            return model.generate("the", max_length=8, stop_token_ids=None)
        if act == "stream":
            return "".join(model.stream("the", max_length=8, stop_token_ids=None))
        return record(model, "the").logits.tolist()

    model = causal_lm()
    expected, weights = run(model), model.get_weights()

    def interrupt(model, lines):
        with pytest.raises(KeyboardInterrupt), Interrupt(lines):
            run(model)
        assert same(model.get_weights(), weights)
        assert run(model) == expected

    for lines in moments(random.Random(SEED), run, 6, model):
        interrupt(model, lines)
    for lines in moments(random.Random(SEED), run, 1, causal_lm()):  # everything is compiled
        interrupt(causal_lm(), lines)


def test_an_interrupt_from_another_thread_in_the_midst_of_training():
    """A key is pressed while XLA computes, too: there it waits, and the step is whole."""
    print(f"FALCON_EDU_SEED={SEED}")
    chance = random.Random(SEED)
    model = shared("causal_lm")
    run(model, "fit")
    for _ in range(8):
        timer = threading.Timer(chance.uniform(0, 0.1), os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            run(model, "fit", epochs=10**6)
        assert all(np.isfinite(value).all() for value in state(model))
    assert_it_works(model)


# === Exceptions ===


class Batches(keras.utils.PyDataset):
    """The batches of `data`, and then a fault."""

    def __init__(self, model, good, pairs):
        super().__init__()
        self.parts, self.good, self.pairs = data(model), good, pairs

    def __len__(self):
        return 5

    def __getitem__(self, index):
        if index >= self.good:
            raise Fault
        x, y = self.parts
        rows = slice(2 * index, 2 * index + 2)
        x = {key: value[rows] for key, value in x.items()}
        return (x, y[rows]) if self.pairs and y is not None else x


@pytest.mark.parametrize("good", [0, 2])
@pytest.mark.parametrize("name", MAKERS)
def test_data_that_fail_cost_nothing(name, good):
    model = shared(name)
    for loop in ("fit", "evaluate", "predict"):
        run(model, loop)
        before = state(model)
        arguments = {"shuffle": False} if loop == "fit" else {}
        with pytest.raises(Fault):
            getattr(model, loop)(Batches(model, good, loop != "predict"), verbose=0, **arguments)
        assert same(state(model), before) == (loop != "fit" or good == 0)
    assert_it_works(model)


@pytest.mark.parametrize("moment", ["begin", "batch_begin", "batch_end", "end"])
def test_callbacks_that_fail_cost_nothing(moment):
    def fail(*args, **kwargs):
        raise Fault

    model = shared("causal_lm")
    for loop, kind in (("fit", "train"), ("evaluate", "test"), ("predict", "predict")):
        callback = keras.callbacks.Callback()
        setattr(callback, f"on_{kind}_{moment}", fail)
        with pytest.raises(Fault):
            run(model, loop, callbacks=[callback])
        assert all(np.isfinite(value).all() for value in state(model))
    assert_it_works(model)


def test_losses_metrics_and_layers_that_fail_cost_nothing():
    def fail(*args, **kwargs):
        raise Fault

    for arguments in ({"loss": fail}, {"loss": "mse", "metrics": [fail]}):
        model = head(activity_regularizer="l2")
        run(model, "fit")
        before = model.get_weights()
        model.compile(optimizer="adam", **arguments)
        for loop in ("fit", "evaluate", "train_on_batch", "test_on_batch"):
            with pytest.raises(Fault):
                run(model, loop)
            assert same(model.get_weights(), before)
        model.compile(optimizer="adam", loss="mse", metrics=["mae"])
        assert all(np.isfinite(loss) for loss in model.losses)
        assert_it_works(model)
    model = head()
    original, model.layers[-1].call = model.layers[-1].call, fail
    for loop in LOOPS:
        with pytest.raises((Fault, RuntimeError)):  # where Keras builds, it says so
            run(model, loop)
    model.layers[-1].call = original
    assert_it_works(model)


class CallsPython(keras.layers.Layer):
    """Hands values to Python code while the compiled program runs; it fails when told to."""

    how, calls_left = "debug", None

    def call(self, x):
        def look(x):
            if self.calls_left is not None:
                self.calls_left -= 1
                if self.calls_left < 0:
                    raise Fault
            return x

        if self.how == "pure":
            like = jax.ShapeDtypeStruct(x.shape, x.dtype)
            return x + jax.pure_callback(look, like, jax.lax.stop_gradient(x))
        jax.debug.callback(look, x)
        return x


@pytest.mark.parametrize("how", ["debug", "pure"])
def test_python_code_that_fails_within_a_program_costs_nothing(how):
    base = falcon()
    layer = CallsPython()
    layer.how = how
    model = SteadyModel(base.input, keras.layers.Dense(2)(layer(base.output[:, -1])))
    model.compile(optimizer=keras.optimizers.Adam(0.1), loss="mse", metrics=["mae"])
    for loop in LOOPS:
        run(model, loop)
        before = state(model)
        layer.calls_left = 0 if loop.endswith("on_batch") else 1
        with pytest.raises(Exception, match="Fault"):
            run(model, loop)
        layer.calls_left = None
        assert same(state(model), before) == (loop != "fit")
        assert_it_works(model)


def test_a_step_that_jax_stops_at_a_nan_costs_nothing():
    model = head()
    run(model, "fit")
    before = state(model)
    x, y = data(model)
    with jax.debug_nans(True), pytest.raises(FloatingPointError):
        model.fit(x, y * np.nan, batch_size=2, verbose=0)
    assert same(state(model), before)
    assert_it_works(model)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds a process's memory so")
def test_a_step_that_finds_no_memory_costs_nothing():
    """In a process of its own, whose memory is bounded: a batch that is far too large."""
    code = """
import resource
from tests.test_steady import head, np, run, same, state

model = head()
run(model, "fit")
before = state(model)
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + 2 * 2**30
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
x = {key: np.ones((64, 4096), int) for key in ("token_ids", "padding_mask")}
try:
    model.fit(x, np.ones((64, 2)), batch_size=64, verbose=0)
except MemoryError as error:
    print(error)
assert same(state(model)[: len(model.variables)], before[: len(model.variables)])
run(model, "fit")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Give a smaller `batch_size`" in done.stdout


# === What Keras's guides do ===


def test_a_training_step_of_ones_own_as_in_the_guide_of_keras():
    """Metrics change where the step updates them, and nowhere else."""

    class Own(FalconCausalLM):
        def loss_and_updates(self, trainable, non_trainable, x, y, sample_weight):
            y_pred, non_trainable = self.stateless_call(trainable, non_trainable, x, training=True)
            return self.compute_loss(x, y, y_pred, sample_weight), (y_pred, non_trainable)

        def train_step(self, state, data):
            trainable, non_trainable, optimizer, metrics = state
            x, y, sample_weight = data
            grad = jax.value_and_grad(self.loss_and_updates, has_aux=True)
            (loss, (y_pred, non_trainable)), gradients = grad(
                trainable, non_trainable, x, y, sample_weight
            )
            trainable, optimizer = self.optimizer.stateless_apply(optimizer, gradients, trainable)
            logs, new = {}, []
            for metric in self.metrics:
                own = metrics[len(new) : len(new) + len(metric.variables)]
                arguments = (loss,) if metric.name == "loss" else (y, y_pred)
                own = metric.stateless_update_state(own, *arguments)
                logs[metric.name] = metric.stateless_result(own)
                new += own
            return logs, (trainable, non_trainable, optimizer, new)

    made = shared("causal_lm")
    model = Own(falcon(), made.preprocessor)
    model.compile(optimizer=keras.optimizers.Adam(0.1))
    history = model.fit(["the cat", "a dog"], epochs=3, verbose=0).history
    assert history["loss"][2] < history["loss"][0]
    assert all(np.isfinite(value).all() for value in state(model))
    loss = model.evaluate(["the cat", "a dog"], return_dict=True, verbose=0)["loss"]
    assert loss == float(model.metrics[0].result())


def test_computing_a_loss_changes_no_metric():
    model = shared("causal_lm")
    run(model, "evaluate")
    before = [np.array(v.value) for v in model.metrics_variables]
    x, y, sample_weight = model.preprocessor(["the cat"])
    model.compute_loss(x, y, model(x), sample_weight)
    assert same([np.array(v.value) for v in model.metrics_variables], before)


@pytest.mark.parametrize("outputs", ["hidden_states", "attention_weights", "nested"])
def test_a_model_of_inner_outputs_predicts(outputs):
    base = FalconBackbone(257, 2, 2, 8, 16)
    given = {"h": base.hidden_states, "a": [base.output, base.attention_weights]}
    given = given if outputs == "nested" else getattr(base, outputs)
    x, _ = data(base)
    seen = record(base, x)
    predicted = keras.Model(base.input, given).predict(x, verbose=0)
    if outputs == "nested":
        predicted = predicted["h"]
    expected = getattr(seen, "hidden_states" if outputs == "nested" else outputs)
    for ours, theirs in zip(predicted, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert all(np.isfinite(weight).all() for weight in base.get_weights())


# === What it costs ===


def test_training_overwrites_what_it_changes_and_nothing_is_copied():
    """The memory of a step is the program's: no second set of weights, no copy of frozen ones."""
    model = causal_lm()
    model.backbone.enable_lora(2)
    model.compile(optimizer="adam")
    old = {id(v): v.value for v in (*model.trainable_variables, *model.non_trainable_variables)}
    run(model, "fit")
    assert all(old[id(v)].is_deleted() for v in model.trainable_variables)
    assert all(v.value is old[id(v)] for v in model.non_trainable_variables)
    old = [v.value for v in model.variables]
    run(model, "evaluate")
    run(model, "predict")
    kept = [v.value is value for v, value in zip(model.variables, old, strict=True)]
    assert all(kept)


def test_a_change_that_a_callback_makes_counts_from_the_next_step():
    rates = []

    class Halve(keras.callbacks.Callback):
        def __init__(self, model):
            self.model_of_its_own = model

        def on_train_batch_end(self, batch, logs=None):
            optimizer = self.model_of_its_own.optimizer
            optimizer.learning_rate = float(optimizer.learning_rate) / 2
            rates.append(float(optimizer.learning_rate))

    model = causal_lm()
    run(model, "fit", callbacks=[Halve(model)])
    assert rates == pytest.approx([0.05, 0.025, 0.0125])


@pytest.mark.parametrize("cls", [keras.Model, falcon_edu.SteadyModel])
def test_a_head_on_a_backbone_keeps_its_weights_as_a_steady_model_and_keras_loses_them(cls):
    base = falcon()
    model = cls(base.input, keras.layers.Dense(2)(base.output[:, -1]))

    def batches():
        yield from [(data(base)[0],)] * 2  # the first before the weights are taken out
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        model.predict(batches(), verbose=0)
    if cls is keras.Model:  # when this fails, the page of KerasHub's names has a note too many
        with pytest.raises(TypeError):
            base.get_weights()
    else:
        assert model.predict(data(base)[0], verbose=0).shape == (6, 2)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("trained", [False, True])
def test_an_optimizer_is_loaded_as_it_was_saved_without_a_warning(name, trained, tmp_path, recwarn):
    model = MAKERS[name]()
    if trained:
        model.fit(*data(model), batch_size=2, verbose=0)
    model.save(tmp_path / "model.keras")
    restored = keras.models.load_model(tmp_path / "model.keras")
    assert not [w for w in recwarn if "Skipping variable loading" in str(w.message)]
    assert len(restored.optimizer.variables) == len(model.optimizer.variables)
    for ours, theirs in zip(restored.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_weights_of_classes_are_refused():
    model = shared("causal_lm")
    x, *rest = data(model)
    for call in (model.fit, model.train_on_batch):
        with pytest.raises(ValueError, match="`class_weight` weighs rows of one label"):
            call(x, *rest, class_weight={0: 1.0})

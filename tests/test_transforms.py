"""JAX's transformations go through the whole model, and give the reference's derivatives.

The reference knows no derivatives. In float64 a difference of two values is one, to six digits and
more: with `e` = 1e-4 the first is off by some e**2, and the second by rounding, 1e-16 / e**2.
"""

import functools

from falcon_edu import FalconCausalLM
from falcon_edu.int8.quantization import GroupedInt8QuantizationConfig, weights_only
from falcon_edu.support.losses import NextTokenLoss
from tests import reference
from tests.layouts import LAYOUTS, build, inputs, reference_config, reference_weights, to_float64

import jax
import keras
import numpy as np
import pytest

E = 1e-4
INPUTS = inputs("left")
LABELS = np.roll(INPUTS["token_ids"], -1, axis=1)
WEIGHTS = INPUTS["padding_mask"].astype("float32")


def direction_of(variables, seed=5):
    """Somewhere for each variable to go, by about a tenth of itself."""
    rng = np.random.default_rng(seed)
    sizes = [np.std(to_float64(v)) + 0.01 for v in variables]
    pairs = zip(variables, sizes, strict=True)
    return [np.asarray(0.1 * s * rng.normal(size=v.shape), "float32") for v, s in pairs]


def functions_of(causal_lm):
    """Logits and loss as functions of the trainable weights and the inputs."""
    others = [v.value for v in causal_lm.non_trainable_variables]

    def logits(weights, inputs=INPUTS):
        return causal_lm.stateless_call(weights, others, inputs)[0].astype("float32")

    def loss(weights, inputs=INPUTS, labels=LABELS, mask=WEIGHTS):
        return NextTokenLoss()(labels, logits(weights, inputs), mask)

    return logits, loss


def dot(a, b):
    return sum((x.astype("float32") * y).sum() for x, y in zip(a, b, strict=True))


def derivatives(causal_lm, direction, in_all_ways=False):
    """Ways to the first and second derivative of logits and loss along a direction."""
    logits, loss = functions_of(causal_lm)

    def along(f, weights):
        return jax.jvp(f, (weights,), (direction,))[1]

    def texts_alone(weights):
        text_alone = lambda text: logits(weights, {k: x[None] for k, x in text.items()})[0]  # noqa: E731
        return jax.vmap(text_alone)(INPUTS)

    def over_directions(weights):
        changes = lambda direction: jax.jvp(logits, (weights,), (direction,))[1]  # noqa: E731
        return jax.vmap(changes)([np.stack([0 * d, d]) for d in direction])[1]

    ways = {
        "logits": {"jvp": lambda w: along(logits, w)},
        "loss": {"grad": lambda w: dot(jax.grad(loss)(w), direction)},
        "curvature": {"jvp of grad": lambda w: dot(along(jax.grad(loss), w), direction)},
    }
    if in_all_ways:
        ways["logits"] |= {
            "linearize": lambda w: jax.linearize(logits, w)[1](direction),
            "vmap of jvp": over_directions,
            "jvp of vmap": lambda w: along(texts_alone, w),
        }
        ways["loss"] |= {
            "jvp": lambda w: along(loss, w),
            "grad of each text": lambda w: dot(_of_each_text(loss, w), direction),
        }
        ways["curvature"] |= {
            "jvp of jvp": lambda w: along(lambda w: along(loss, w), w),
            "grad of jvp": lambda w: dot(jax.grad(lambda w: along(loss, w))(w), direction),
        }
    compute = jax.jit(lambda w: jax.tree.map(lambda way: way(w), ways))
    return compute([variable.value for variable in causal_lm.trainable_variables])


def _of_each_text(loss, weights):
    """The gradient as a mean of those of single texts, with their shares of the tokens."""

    def of_one(inputs, labels, mask):
        inputs = {key: x[None] for key, x in inputs.items()}
        return jax.grad(loss)(weights, inputs, labels[None], mask[None])

    each = jax.vmap(of_one)(INPUTS, LABELS, WEIGHTS)
    shares = WEIGHTS.sum(axis=1) / WEIGHTS.sum()
    return [jax.numpy.tensordot(shares, x, 1) for x in each]


def reference_derivatives(config, weights_at):
    """The same from values of the reference, with weights as a function of the way gone."""

    @functools.cache
    def logits(way):
        return reference.falcon(weights_at(way), config, **INPUTS)["logits"]

    def loss(way):
        x = logits(way)
        nats = np.log(np.exp(x).sum(-1)) - np.take_along_axis(x, LABELS[..., None], -1)[..., 0]
        return (nats * WEIGHTS).sum() / WEIGHTS.sum()

    return {
        "logits": (logits(E) - logits(-E)) / (2 * E),
        "loss": (loss(E) - loss(-E)) / (2 * E),
        "curvature": (loss(E) - 2 * loss(0) + loss(-E)) / E**2,
    }


def assert_close(got, want, tolerance):
    real = INPUTS["padding_mask"].astype(bool)
    for kind, ways in got.items():
        for way, value in ways.items():
            value, wanted = to_float64(value), want[kind]
            if kind == "logits":
                value, wanted = value[real], wanted[real]
            off = np.abs(value - wanted).max() / np.sqrt(np.mean(wanted**2))
            assert off < tolerance[kind], (kind, way, off)


# Float32 has seven digits, and sums of products of tens of them are made. Of bfloat16's numbers,
# with three digits, second differences leave none to look at.
FLOAT32 = {"logits": 1e-4, "loss": 1e-4, "curvature": 2e-3}
BFLOAT16 = {"logits": 0.5, "loss": 0.1, "curvature": 0.5}


@pytest.mark.parametrize(
    ("layout", "dtype", "tolerance"),
    [(layout, "float32", FLOAT32) for layout in LAYOUTS]
    + [(layout, "bfloat16", BFLOAT16) for layout in ("rw", "40b")],
)
def test_derivatives_are_the_references(layout, dtype, tolerance):
    backbone = build(layout, num_layers=1, dtype=dtype)
    causal_lm = FalconCausalLM(backbone, compile=False)
    variables = causal_lm.trainable_variables
    direction = [d.astype(dtype) for d in direction_of(variables)]
    in_all_ways = layout in ("rw", "40b") and dtype == "float32"
    got = derivatives(causal_lm, direction, in_all_ways)
    start = reference_weights(backbone)
    for variable, change in zip(variables, direction, strict=True):
        variable.assign(change)
    change = reference_weights(backbone)  # it takes the variables as they are, so this is linear
    weights_at = lambda way: {name: w + way * change[name] for name, w in start.items()}  # noqa: E731
    assert_close(got, reference_derivatives(reference_config(backbone), weights_at), tolerance)


def test_derivatives_of_adapters_are_the_references():
    backbone = build("40b", num_layers=1)
    start = reference_weights(backbone)
    keras.utils.set_random_seed(3)  # how far to go depends on the factors' first values
    backbone.enable_lora(2)
    causal_lm = FalconCausalLM(backbone, compile=False)
    variables = causal_lm.trainable_variables
    for variable, value in zip(variables, direction_of(variables, 7), strict=True):
        variable.assign(10 * value)
    attention = backbone.transformer_layers[0].attention_layer
    before = [to_float64(v) for v in variables]
    direction = direction_of(variables)
    got = derivatives(causal_lm, direction)

    def weights_at(way):
        for variable, value, change in zip(variables, before, direction, strict=True):
            factors[id(variable)] = value + way * change
        updates = {}
        for name in ("query", "value"):
            layer = getattr(attention, f"{name}_dense")
            a, b = factors[id(layer.lora_kernel_a)], factors[id(layer.lora_kernel_b)]
            updates[f"0.{name}"] = layer.lora_alpha / layer.lora_rank * (a @ b)
        return {name: w + updates.get(name, 0) for name, w in start.items()}

    factors = {}
    # The curvature along so few numbers is a small difference of large ones.
    tolerance = {**FLOAT32, "curvature": 1e-2}
    assert_close(got, reference_derivatives(reference_config(backbone), weights_at), tolerance)


@pytest.mark.parametrize("layout", ["rw", "7b"])
def test_jacobians_and_hessians_are_one_both_ways(layout):
    causal_lm = FalconCausalLM(build(layout, num_layers=1), compile=False)
    _, loss = functions_of(causal_lm)
    names = [variable.path for variable in causal_lm.trainable_variables]
    place = next(i for i, name in enumerate(names) if name.endswith("input_layernorm/gamma"))

    @jax.jit
    def compute(weights):
        def of_norm(gamma):
            return loss([*weights[:place], gamma, *weights[place + 1 :]])

        gamma = weights[place]
        forward, backward = jax.jacfwd(of_norm)(gamma), jax.jacrev(of_norm)(gamma)
        return forward, backward, jax.hessian(of_norm)(gamma), jax.jacrev(jax.grad(of_norm))(gamma)

    weights = [variable.value for variable in causal_lm.trainable_variables]
    forward, backward, hessian, other = compute(weights)
    np.testing.assert_allclose(forward, backward, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(hessian, other, rtol=1e-2, atol=1e-5)
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-2, atol=1e-5)
    assert np.abs(hessian).max() > 1e-3


@pytest.mark.parametrize("rows", [(1, 1), (1, 3), (2, 7)])  # each goes through another product
@pytest.mark.parametrize("config", [None, weights_only(), GroupedInt8QuantizationConfig(16)])
def test_both_directions_agree_through_every_product(config, rows):
    backbone = build("falcon2_11b", num_layers=1)
    if config:
        backbone.quantize("int8", config=config)
    backbone.enable_lora(2)
    causal_lm = FalconCausalLM(backbone, compile=False)
    variables = causal_lm.trainable_variables
    for variable, value in zip(variables, direction_of(variables, 7), strict=True):
        variable.assign(10 * value)
    logits, _ = functions_of(causal_lm)
    some = {key: x[: rows[0], -rows[1] :] for key, x in INPUTS.items()}
    upstream = np.random.default_rng(3).normal(size=(*rows, 40)).astype("float32")
    weights, direction = [v.value for v in variables], direction_of(variables)

    @jax.jit
    def compute(weights):
        _, change = jax.jvp(lambda w: logits(w, some), (weights,), (direction,))
        (grad,) = jax.vjp(lambda w: logits(w, some), weights)[1](upstream)
        return (change * upstream).sum(), dot(grad, direction)

    np.testing.assert_allclose(*compute(weights), rtol=1e-3)

"""Derivatives written out by hand, so that training keeps one array where it would keep several.

The backward pass needs values of the forward pass. Derived automatically, it keeps every step in
between; the functions here keep the one array from which the gradient follows. What is not kept
need not be written and read, and on a CPU that is most of what these functions cost. The matrix
product is here for another reason, which stands there. Outside a compiled model `jax.jit` makes
each of them one program: a program for every step would cost memory.

Each says how its value changes with its inputs, which is linear in that change. From this JAX makes
derivatives in both directions, and of any order: `jax.jvp` and `jax.vjp`, `jax.hessian` and so on.
Only read backwards has it to be fast. `jax.checkpoint` says what is kept for that: the arguments,
and the values whose names it is given.
"""

import math
from functools import partial

from falcon_edu.support.layer_state import Remembers

import jax
import keras
from jax.ad_checkpoint import checkpoint_name
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from keras import ops

# Numbers in a row beyond which XLA takes ten times as long for its log-sum-exp: 512 rows of 32,768
# took 4 ms, of 50,304 50, and these in 16 parts 10. Both vocabularies of Falcon's are so long: a
# LoRA step of a 125M Falcon gained a twentieth.
LONG_ROW = 2**15
PARTS_OF_ROW = 16

# === Matrix product ===


@jax.jit
def matrix_product(x, kernel):
    """Return the product of a dense layer, with a gradient in the form that is fast on a CPU.

    The gradient of the kernel is a sum over the rows of `x` and of what comes back. Derived
    automatically it is the same sum, but XLA turns what comes back around before, and then reads it
    across: 256 inputs, 1024 outputs, 4096 rows took 41 ms. As it is written here both are read as
    they lie, in 20 ms.

    Args:
        x: `(..., m)`.
        kernel: `(m, f)`.

    Returns:
        `(..., f)`.

    Example:

    >>> matrix_product(ops.array([[1.0, 2.0]]), ops.array([[3.0], [4.0]])).tolist()
    [[11.0]]
    """
    dtype = jax.numpy.result_type(x, kernel)
    return _product.bind(ops.cast(x, dtype), ops.cast(kernel, dtype))


def _to_x(upstream, x, kernel):
    return ops.matmul(upstream, ops.transpose(kernel))


def _to_kernel(upstream, x, kernel):
    rows, of_rows = (ops.reshape(array, (-1, array.shape[-1])) for array in (x, upstream))
    return ops.einsum("tm,tf->mf", rows, of_rows)


def _products(arguments, axes):
    return jax.vmap(ops.matmul, axes)(*arguments), 0


# An operation of our own: JAX asks no function for the form of a gradient that is derived in both
# directions, but every operation.
_product = Primitive("matrix_product")
_product.def_impl(ops.matmul)
_product.def_abstract_eval(lambda x, kernel: x.update(shape=(*x.shape[:-1], kernel.shape[-1])))
ad.defbilinear(_product, _to_x, _to_kernel)
batching.primitive_batchers[_product] = _products
mlir.register_lowering(_product, mlir.lower_fun(ops.matmul, multiple_results=False))

# === GELU ===


@jax.jit
@jax.checkpoint
def gelu(x):
    """Return GELU: `x` times the probability that a standard normal number is below it.

    Args:
        x: any shape.

    Returns:
        The exact GELU, as `keras.activations.gelu(x)`, in the dtype of `x`.

    Example:

    >>> [round(float(y), 3) for y in gelu(ops.array([-1.0, 0.0, 1.0]))]
    [-0.159, 0.0, 0.841]

    Hendrycks & Gimpel 2016, https://arxiv.org/abs/1606.08415, section 2.
    """
    return _gelu(x)


@keras.saving.register_keras_serializable(package="falcon_edu")
def exact_gelu(x):
    """Return `gelu`, which JAX holds as an object, from a function that Keras can save.

    Example:

    >>> keras.activations.serialize(exact_gelu)["config"]
    'falcon_edu>exact_gelu'
    """
    return gelu(x)


@jax.custom_jvp
def _gelu(x):
    wide = _widened(x)
    return ops.cast(wide * _normal_cdf(wide), x.dtype)


@_gelu.defjvp
def _(primals, tangents):
    # d/dx x P(x) = P(x) + x p(x), where p is the density, P'.
    (x,), (change,) = primals, tangents
    wide = _widened(x)
    density = ops.exp(-0.5 * wide * wide) / math.sqrt(2 * math.pi)
    slope = _normal_cdf(wide) + wide * density
    return _gelu(x), ops.cast(_widened(change) * slope, x.dtype)


def _normal_cdf(x):
    return 0.5 * (1 + ops.erf(x / math.sqrt(2)))


def _widened(x):
    """Return `x` in float32, or in float64 if it is that."""
    return ops.cast(x, jax.numpy.promote_types(x.dtype, "float32"))


# === Softmax ===


@jax.jit
def masked_softmax(scores, mask):
    """Return the softmax over the last axis, of the places where the mask is true.

    Args:
        scores: float32, any shape.
        mask: bool, broadcast to the shape of the scores.

    Returns:
        As `scores`; zero where the mask is false, and all zeros in a row without a true place.

    Example:

    >>> masked_softmax(ops.zeros((2, 3)), ops.array([[True, True, False], [False] * 3])).tolist()
    [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
    """
    return _masked_softmax(scores, mask)


@jax.custom_jvp
def _masked_softmax(scores, mask):
    # A finite number, not -inf: a row without any true place would be 0 / 0.
    scores = ops.where(mask, scores, -1e30)
    return ops.where(mask, ops.softmax(scores, axis=-1), 0.0)


@_masked_softmax.defjvp
def _(primals, tangents):
    # d weight_i / d score_j = weight_i (1[i = j] - weight_j). The mask needs no care: where it is
    # false the weights are zero, and so is this.
    weights = _masked_softmax(*primals)
    change = weights * tangents[0]
    return weights, change - weights * ops.sum(change, axis=-1, keepdims=True)


# === Layer norm ===


@partial(jax.jit, static_argnums=3)
@partial(
    jax.checkpoint,
    policy=jax.checkpoint_policies.save_only_these_names("mean", "scale"),
    static_argnums=3,
)
def layer_norm(x, gamma, beta, epsilon):
    """Return every vector shifted to mean 0, scaled to variance 1, then by `gamma` and `beta`.

    Args:
        x: `(..., m)`.
        gamma, beta: `(m,)`.
        epsilon: added to the variance.

    Returns:
        As `keras.layers.LayerNormalization`, in float32.

    Example:

    >>> layer_norm(ops.array([1.0, 3.0]), ops.ones(2), ops.zeros(2), 0.0).tolist()
    [-1.0, 1.0]

    Ba et al. 2016, https://arxiv.org/abs/1607.06450, eq. 4.
    """
    return _normed(_widened(x), epsilon) * gamma + beta


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _normed(x, epsilon):
    mean, scale = _mean_and_scale(x, epsilon)
    return (x - mean) * scale


@_normed.defjvp
def _(epsilon, primals, tangents):
    (x,), (change,) = primals, tangents
    mean, scale = _mean_and_scale(x, epsilon)
    normed = (x - mean) * scale
    # A change of x that shifts or scales the whole vector changes nothing: none of it is along ones
    # or along `normed`.
    along_ones = ops.mean(change, axis=-1, keepdims=True)
    along_normed = ops.mean(change * normed, axis=-1, keepdims=True)
    return normed, scale * (change - along_ones - normed * along_normed)


def _mean_and_scale(x, epsilon):
    """Return what shifts and what scales a vector, `(..., 1)`."""
    mean, variance = ops.moments(x, axes=-1, keepdims=True)
    return checkpoint_name(mean, "mean"), checkpoint_name(ops.rsqrt(variance + epsilon), "scale")


@keras.saving.register_keras_serializable(package="falcon_edu")
class LayerNormalization(Remembers, keras.layers.LayerNormalization):
    """`keras.layers.LayerNormalization`; over the last axis with the gradient of `layer_norm`.

    Example:

    >>> LayerNormalization(epsilon=0.0)(ops.array([[1.0, 3.0]])).tolist()
    [[-1.0, 1.0]]
    """

    def call(self, inputs):
        is_over_last_axis = list(self.axis) in ([-1], [inputs.ndim - 1])
        if self.gamma is None or self.beta is None or not is_over_last_axis:
            return super().call(inputs)
        gamma, beta = (ops.cast(weight, "float32") for weight in (self.gamma, self.beta))
        return ops.cast(layer_norm(inputs, gamma, beta, self.epsilon), self.compute_dtype)


# === Cross-entropy ===


@jax.jit
@partial(jax.checkpoint, policy=jax.checkpoint_policies.save_only_these_names("log_total"))
def cross_entropy(logits, labels):
    """Return how surprising the labels are to the model: minus the log of their probabilities.

    Args:
        logits: `(..., v)`.
        labels: `(...)` int, from 0 to `v - 1`.

    Returns:
        `(...)` float32, in nats.

    Example:

    >>> [round(float(nats), 3) for nats in cross_entropy(ops.zeros((2, 4)), ops.array([0, 3]))]
    [1.386, 1.386]
    """
    return _cross_entropy(_widened(logits), labels)


@jax.custom_jvp
def _cross_entropy(logits, labels):
    return _nats(logits, labels, _log_sum_exp(logits))


@_cross_entropy.defjvp
def _(primals, tangents):
    # d / d logit_i = probability_i - 1[i = label], in one pass over the logits.
    (logits, labels), (change, _) = primals, tangents
    log_total = checkpoint_name(_log_sum_exp(logits), "log_total")  # (...)
    probabilities = ops.exp(logits - log_total[..., None])
    is_label = ops.arange(logits.shape[-1]) == labels[..., None]
    slope = probabilities - ops.cast(is_label, logits.dtype)
    return _nats(logits, labels, log_total), ops.sum(slope * change, axis=-1)


def _nats(logits, labels, log_total):
    chosen = ops.squeeze(ops.take_along_axis(logits, labels[..., None], axis=-1), -1)
    return log_total - chosen


def _log_sum_exp(x):
    """Return `logsumexp` over the last axis, of long rows in parts."""
    v = x.shape[-1]
    if v > LONG_ROW and v % PARTS_OF_ROW == 0:
        parts = ops.reshape(x, (*x.shape[:-1], PARTS_OF_ROW, v // PARTS_OF_ROW))
        x = ops.logsumexp(parts, axis=-1)
    return ops.logsumexp(x, axis=-1)

"""Gradients written out by hand, so that training keeps one array where it would keep several.

The backward pass needs values of the forward pass. Derived automatically, it keeps every step in
between; the functions here keep the one array from which the gradient follows. What is not kept
need not be written and read, and on a CPU that is most of what these functions cost. The matrix
product is here for another reason, which stands there. Outside a compiled model `jax.jit` makes
each of them one program: a program for every step would cost memory.

JAX takes such gradients in reverse only: `jax.grad` and `jax.vjp` work, `jax.jvp` says it can't.
"""

import math
from functools import partial

import jax
import keras
from keras import ops

# Numbers in a row beyond which XLA takes ten times as long for its log-sum-exp: 512 rows of 32,768
# took 4 ms, of 50,304 50, and these in 16 parts 10. Both vocabularies of Falcon's are so long: a
# LoRA step of a 125M Falcon gained a twentieth.
LONG_ROW = 2**15
PARTS_OF_ROW = 16

# === Matrix product ===


@jax.custom_vjp
@jax.jit
def matrix_product(x, kernel):
    """The product of a dense layer, with a gradient in the form that is fast on a CPU.

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
    return ops.matmul(x, kernel)


def _product_forward(x, kernel):
    return matrix_product(x, kernel), (x, kernel)


def _product_backward(kept, upstream):
    x, kernel = kept
    to_x = ops.matmul(upstream, ops.transpose(kernel))
    rows, of_rows = (ops.reshape(array, (-1, array.shape[-1])) for array in (x, upstream))
    to_kernel = ops.einsum("tm,tf->mf", rows, of_rows)
    return ops.cast(to_x, x.dtype), ops.cast(to_kernel, kernel.dtype)


matrix_product.defvjp(_product_forward, _product_backward)

# === GELU ===


@jax.custom_vjp
@jax.jit
def gelu(x):
    """GELU: `x` times the probability that a standard normal number is below it.

    Args:
        x: any shape.

    Returns:
        The exact GELU, as `keras.activations.gelu(x)`, in the dtype of `x`.

    Example:

    >>> [round(float(y), 3) for y in gelu(ops.array([-1.0, 0.0, 1.0]))]
    [-0.159, 0.0, 0.841]

    Hendrycks & Gimpel 2016, https://arxiv.org/abs/1606.08415, section 2.
    """
    wide = ops.cast(x, "float32")
    return ops.cast(wide * _normal_cdf(wide), x.dtype)


def _gelu_forward(x):
    return gelu(x), x


def _gelu_backward(x, upstream):
    # d/dx x P(x) = P(x) + x p(x), where p is the density, P'. Behind the barrier the compiler does
    # not see that P(x) is known from the forward pass, and so does not keep it.
    wide = ops.cast(jax.lax.optimization_barrier(x), "float32")
    density = ops.exp(-0.5 * wide * wide) / math.sqrt(2 * math.pi)
    slope = _normal_cdf(wide) + wide * density
    return (ops.cast(upstream * slope, x.dtype),)


gelu.defvjp(_gelu_forward, _gelu_backward)


def _normal_cdf(x):
    return 0.5 * (1 + ops.erf(x / math.sqrt(2)))


# === Softmax ===


@jax.custom_vjp
@jax.jit
def masked_softmax(scores, mask):
    """Softmax over the last axis, of the places where the mask is true.

    Args:
        scores: float32, any shape.
        mask: bool, broadcast to the shape of the scores.

    Returns:
        As `scores`; zero where the mask is false, and all zeros in a row without a true place.

    Example:

    >>> masked_softmax(ops.zeros((2, 3)), ops.array([[True, True, False], [False] * 3])).tolist()
    [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
    """
    # A finite number, not -inf: a row without any true place would be 0 / 0.
    scores = ops.where(mask, scores, -1e30)
    return ops.where(mask, ops.softmax(scores, axis=-1), 0.0)


def _softmax_forward(scores, mask):
    weights = masked_softmax(scores, mask)
    return weights, weights


def _softmax_backward(weights, upstream):
    # d weight_i / d score_j = weight_i (1[i = j] - weight_j). The mask needs no care: where it is
    # false the weights are zero, and so is this.
    inner = ops.sum(upstream * weights, axis=-1, keepdims=True)
    return weights * (upstream - inner), None


masked_softmax.defvjp(_softmax_forward, _softmax_backward)


# === Layer norm ===


@partial(jax.custom_vjp, nondiff_argnums=(3,))
@partial(jax.jit, static_argnums=3)
def layer_norm(x, gamma, beta, epsilon):
    """Every vector shifted to mean 0 and scaled to variance 1, then by `gamma` and `beta`.

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
    return _layer_norm_forward(x, gamma, beta, epsilon)[0]


def _layer_norm_forward(x, gamma, beta, epsilon):
    wide = ops.cast(x, "float32")
    mean, variance = ops.moments(wide, axes=-1, keepdims=True)
    scale = ops.rsqrt(variance + epsilon)  # (..., 1)
    return (wide - mean) * scale * gamma + beta, (x, gamma, mean, scale)


def _layer_norm_backward(epsilon, kept, upstream):
    x, gamma, mean, scale = kept
    normed = (ops.cast(x, "float32") - mean) * scale
    # An update of x that shifts or scales the whole vector changes nothing: the gradient has no
    # part along ones and along `normed`.
    to_normed = upstream * gamma
    along_ones = ops.mean(to_normed, axis=-1, keepdims=True)
    along_normed = ops.mean(to_normed * normed, axis=-1, keepdims=True)
    to_x = scale * (to_normed - along_ones - normed * along_normed)
    others = tuple(range(x.ndim - 1))
    return ops.cast(to_x, x.dtype), ops.sum(upstream * normed, others), ops.sum(upstream, others)


layer_norm.defvjp(_layer_norm_forward, _layer_norm_backward)


class LayerNormalization(keras.layers.LayerNormalization):
    """`keras.layers.LayerNormalization` over the last axis, with the gradient of `layer_norm`.

    Example:

    >>> LayerNormalization(epsilon=0.0)(ops.array([[1.0, 3.0]])).tolist()
    [[-1.0, 1.0]]
    """

    def call(self, inputs):
        gamma, beta = (ops.cast(weight, "float32") for weight in (self.gamma, self.beta))
        return ops.cast(layer_norm(inputs, gamma, beta, self.epsilon), self.compute_dtype)


# === Cross-entropy ===


@jax.custom_vjp
@jax.jit
def cross_entropy(logits, labels):
    """How surprising the labels are to the model: the negative log of their probabilities.

    Args:
        logits: `(..., v)`.
        labels: `(...)` int, from 0 to `v - 1`.

    Returns:
        `(...)` float32, in nats.

    Example:

    >>> [round(float(nats), 3) for nats in cross_entropy(ops.zeros((2, 4)), ops.array([0, 3]))]
    [1.386, 1.386]
    """
    return _cross_entropy_forward(logits, labels)[0]


def _cross_entropy_forward(logits, labels):
    wide = ops.cast(logits, "float32")
    log_total = _log_sum_exp(wide)  # (...)
    chosen = ops.squeeze(ops.take_along_axis(wide, labels[..., None], axis=-1), -1)
    return log_total - chosen, (logits, labels, log_total)


def _log_sum_exp(x):
    """`logsumexp` over the last axis, of long rows in parts."""
    v = x.shape[-1]
    if v > LONG_ROW and v % PARTS_OF_ROW == 0:
        parts = ops.reshape(x, (*x.shape[:-1], PARTS_OF_ROW, v // PARTS_OF_ROW))
        x = ops.logsumexp(parts, axis=-1)
    return ops.logsumexp(x, axis=-1)


def _cross_entropy_backward(kept, upstream):
    # d / d logit_i = probability_i - 1[i = label], in one pass over the logits.
    logits, labels, log_total = kept
    probabilities = ops.exp(ops.cast(logits, "float32") - log_total[..., None])
    is_label = ops.arange(logits.shape[-1]) == labels[..., None]
    gradient = upstream[..., None] * (probabilities - ops.cast(is_label, "float32"))
    return ops.cast(gradient, logits.dtype), None


cross_entropy.defvjp(_cross_entropy_forward, _cross_entropy_backward)


@keras.saving.register_keras_serializable(package="falcon_edu")
class NextTokenLoss(keras.losses.Loss):
    """The mean of `cross_entropy` over the places that count: Falcon's training loss.

    The same as `keras.losses.SparseCategoricalCrossentropy(from_logits=True)` with this reduction,
    which makes three more arrays as large as the logits on its way.

    Args:
        reduction, **kwargs: of `keras.losses.Loss`. By default the mean is over the sum of the
            sample weights: with Keras's default it would be over all places, padding included, and
            the more of it in a batch, the smaller the loss and the step.

    Example:

    >>> loss = NextTokenLoss()
    >>> labels, logits = ops.array([[0, 3]]), ops.zeros((1, 2, 4))
    >>> round(float(loss(labels, logits, sample_weight=ops.array([[1.0, 0.0]]))), 3)
    1.386
    """

    def __init__(self, reduction="mean_with_sample_weight", name="next_token_loss", **kwargs):
        super().__init__(name=name, reduction=reduction, **kwargs)

    def call(self, y_true, y_pred):
        return cross_entropy(y_pred, ops.cast(y_true, "int32"))

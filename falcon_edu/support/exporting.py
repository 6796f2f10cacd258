"""Export for other runtimes, with Keras's `export`: what they need that a model here has not.

TensorFlow runs a SavedModel if it knows the operations in it. JAX writes the error function as an
operation of its own, which TensorFlow 2.20 does not know; so in an exported model GELU has it by a
formula. And Keras gives every open axis a size of its own, where ids and mask have one.
"""

import contextlib

from falcon_edu.fast.gradients import exact_gelu

import keras
from keras import ops

# Abramowitz & Stegun 1964, formula 7.1.26: the error function to 1.5e-7, as float32 has it.
P = 0.3275911
POLYNOMIAL = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592, 0.0)


def portable_gelu(x):
    """Return GELU, of operations that every runtime has.

    Args:
        x: any shape.

    Example:

    >>> [round(float(y), 3) for y in portable_gelu(ops.array([-1.0, 0.0, 1.0]))]
    [-0.159, 0.0, 0.841]
    """
    wide = ops.cast(x, "float32")
    distance = ops.abs(wide) / 2**0.5
    t = 1 / (1 + P * distance)
    tail = ops.zeros_like(t)
    for coefficient in POLYNOMIAL:
        tail = tail * t + coefficient
    tail = 0.5 * tail * ops.exp(-distance * distance)  # the normal probability beyond |x|
    return ops.cast(wide * ops.where(wide < 0, tail, 1 - tail), x.dtype)


@contextlib.contextmanager
def portable(backbone):
    """Give a backbone's blocks `portable_gelu` while this context lasts."""
    layers = [block.dense_h_to_4h for block in backbone.transformer_layers]
    replaced = [layer for layer in layers if layer.activation is exact_gelu]
    for layer in replaced:
        layer.activation = portable_gelu
    try:
        yield
    finally:
        for layer in replaced:
            layer.activation = exact_gelu


def signature_options(input_signature=None, jax2tf_kwargs=None):
    """Return arguments for Keras's `export` to a SavedModel, in which ids and mask have one shape.

    Args:
        input_signature: as Keras takes it: a list with a token dict of `keras.InputSpec`; by
            default any number of texts of any one length.
        jax2tf_kwargs: of `jax2tf.convert`; what it says of shapes is left as it is.

    Raises:
        ValueError: the signature is no token dict.

    Example:

    >>> signature_options()["jax2tf_kwargs"]["polymorphic_shapes"][0]["token_ids"]
    '(batch, t)'
    """
    names = ("token_ids", "padding_mask")
    if input_signature is None:
        spec = {name: keras.InputSpec(shape=(None, None), dtype="int32") for name in names}
        input_signature = [spec]
    specs = input_signature
    if isinstance(specs, (list, tuple)) and len(specs) == 1:
        specs = specs[0]
    if not isinstance(specs, dict) or set(specs) != set(names):
        raise ValueError(
            "`input_signature` must be a list of one dictionary, `token_ids` and `padding_mask`: "
            f"each a `keras.InputSpec`. Received: {input_signature!r}"
        )
    open_axes = ("batch", "t")

    def shape_of(spec):
        sizes = zip(open_axes, spec.shape, strict=True)
        return f"({', '.join(name if size is None else str(size) for name, size in sizes)})"

    shapes = {"polymorphic_shapes": [{name: shape_of(spec) for name, spec in specs.items()}]}
    return {"input_signature": [specs], "jax2tf_kwargs": {**shapes, **(jax2tf_kwargs or {})}}


def export(backbone, keras_export, filepath, format="tf_saved_model", **kwargs):
    """Export a backbone, or a model of it, with the `export` of Keras.

    Args:
        backbone: the `FalconBackbone` of the model.
        keras_export: the model's `export` as Keras has it.
        filepath, format, **kwargs: its arguments.
    """
    if format == "tf_saved_model":
        names = ("input_signature", "jax2tf_kwargs")
        given = {name: kwargs.pop(name) for name in names if name in kwargs}
        kwargs |= signature_options(**given)
    with portable(backbone):
        return keras_export(filepath, format=format, **kwargs)

"""A plugin of pytest for Keras's own tests: our layers stand in the place of Keras's."""

from falcon_edu import packing
from falcon_edu.dense import Dense, EinsumDense, ReversibleEmbedding
from falcon_edu.gradients import LayerNormalization

from keras.src import layers

# The tests look into kernels of eight bits where they lie; here they have to lie as Keras's do.
packing.should_pack = lambda: False

for cls in (Dense, EinsumDense, ReversibleEmbedding, LayerNormalization):
    setattr(layers, cls.__name__, cls)


def pytest_configure(config):
    """Keras's tests have markers that its own configuration explains."""
    for marker in ("multi_device", "requires_trainable_backend"):
        config.addinivalue_line("markers", marker)

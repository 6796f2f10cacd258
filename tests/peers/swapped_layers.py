"""A plugin of pytest for Keras's own tests: our layers stand in the place of Keras's.

Importing it swaps nothing: pytest imports every file here, for the examples in its docstrings.
"""


def pytest_configure(config):
    """Swap the layers, and explain the markers that Keras's own configuration does."""
    from falcon_edu.fast import packing
    from falcon_edu.fast.dense import Dense, EinsumDense, ReversibleEmbedding
    from falcon_edu.fast.gradients import LayerNormalization

    from keras.src import layers

    # The tests look into kernels of eight bits where they lie; here they have to lie as Keras's do.
    packing.should_pack = lambda: False
    for cls in (Dense, EinsumDense, ReversibleEmbedding, LayerNormalization):
        setattr(layers, cls.__name__, cls)
    for marker in ("multi_device", "requires_trainable_backend"):
        config.addinivalue_line("markers", marker)


def pytest_runtest_setup():
    """Draw the same numbers in each run: some of the tests compare rounded random weights."""
    import keras

    keras.utils.set_random_seed(0)

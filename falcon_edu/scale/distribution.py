"""Split weights over devices: the map for `keras.distribution.ModelParallel`.

Two splits of a block's matrices need no talk between them: the first by its outputs (heads, or
feed-forward units), the second by its inputs, which are the same. Each device then has whole heads
and whole units, and the sums that go back to the residual stream are added up over the devices:
once for attention and once for the MLP.
Shoeybi et al. 2019, https://arxiv.org/abs/1909.08053, section 3.
"""

import keras

# For each weight: its axes, in the letters of the axis legend (`o` is heads times head width), and
# in which order they are tried for the split over the model axis. An axis is split only where the
# devices divide it: a head is never cut, and no device gets more than another.
RULES = {
    # A device has its share of the vocabulary: it embeds the tokens that it knows (the others give
    # zeros, and the sum is right), and computes the logits of its own words.
    "token_embedding/embeddings": ("vm", "vm"),
    "token_embedding/reverse_embeddings": ("mv", "vm"),
    # Heads don't talk to each other, so each device has some. Falcon-7B has 71, which only 71
    # divides, and one key: there the inputs are split, and partial sums are added up.
    "{block}/attention/query_dense/kernel": ("mnh", "nm"),
    "{block}/attention/(key|value)_dense/kernel": ("mgh", "gm"),
    "{block}/attention/output_dense/kernel": ("om", "om"),
    # A feed-forward unit reads one column of the first matrix and writes one row of the second.
    "{block}/dense_h_to_4h/kernel": ("mf", "fm"),
    "{block}/dense_4h_to_h/kernel": ("fm", "fm"),
    # Norms and biases have no rule, nor have the scales of weights in eight bits. They are about a
    # thousandth: every device has them whole. The steps of groups are split as their kernel is, but
    # not along the inputs, of which they have one for many.
}


class FalconLayoutMap(keras.distribution.LayoutMap):
    """A layout map that knows the sizes of the Falcon it is for.

    A map is made before the model, and Keras asks it by the path of a weight alone. Whether eight
    devices divide the heads depends on the model, so a `FalconBackbone` that is made under this
    map tells it its configuration. Layouts that you set yourself stay as they are.

    Args:
        device_mesh: a `keras.distribution.DeviceMesh` with both axes.
        model_parallel_dim_name: name of the mesh axis that splits the weights.
        data_parallel_dim_name: name of the mesh axis that splits the batch.

    Raises:
        ValueError: the mesh is none, or lacks an axis.

    Example:

    >>> from falcon_edu import FalconConfig
    >>> mesh = keras.distribution.DeviceMesh((1, 1), ("batch", "model"))
    >>> layout_map = FalconLayoutMap(mesh)
    >>> layout_map.adapt(FalconConfig(50304, 24, 32, 2048, 8192))
    >>> layout_map["transformer_layer_0/attention/query_dense/kernel"].axes
    ('batch', 'model', None)
    """

    def __init__(
        self, device_mesh, model_parallel_dim_name="model", data_parallel_dim_name="batch"
    ):
        if not isinstance(device_mesh, keras.distribution.DeviceMesh):
            raise ValueError(
                "`device_mesh` must be a keras.distribution.DeviceMesh. "
                f"Received: {type(device_mesh).__name__}"
            )
        for name in (model_parallel_dim_name, data_parallel_dim_name):
            if name not in device_mesh.axis_names:
                raise ValueError(
                    f"The device mesh has no axis {name!r}. Its axes: {device_mesh.axis_names}"
                )
        super().__init__(device_mesh)
        self.mesh_axes = (model_parallel_dim_name, data_parallel_dim_name)
        self._ours: dict[str, keras.distribution.TensorLayout] = {}
        self.adapt(None)

    def adapt(self, config):
        """Chooses, for each weight of a model, axes that the devices divide.

        Args:
            config: a `FalconConfig`; `None` to take it that all axes can be divided.
        """
        for path, layout in self._layouts(config).items():
            if path in self._ours:
                if path not in list(self) or self[path] is not self._ours[path]:
                    continue  # the user took it out, or put another in its place
                del self[path]
            self[path] = layout
            self._ours[path] = self[path]

    def _layouts(self, config):
        """`{pattern of a path: one mesh axis or None for each axis of the weight}`."""
        layouts = {}
        for rule, (axes, order) in RULES.items():
            path = rule.replace("{block}", r"transformer_layer_\d+")
            layout = layouts[path] = self._split(axes, order, _sizes(config))
            # A low-rank update is a product: the left factor has the rows of its kernel, the right
            # one its columns, and the rank between them is too small to split.
            place, _, name = path.rpartition("/")
            layouts[f"{place}/lora_{name}_a"] = (*layout[:-1], None)
            layouts[f"{place}/lora_{name}_b"] = (None, layout[-1])
            inputs = axes.index("m") if name == "embeddings" else 0
            steps = (None if axis == inputs else held for axis, held in enumerate(layout))
            layouts[f"{path}_steps"] = tuple(steps)
        return layouts

    def _split(self, axes, order, sizes):
        """Over the model axis the first that can be divided, over the data axis the next.

        The batch is split over the data axis, so a weight may be split there by any axis: its
        parts are fetched when they are needed. Heads stay whole there, too.
        Rajbhandari et al. 2020, https://arxiv.org/abs/1910.02054, section 5.
        """
        held = dict.fromkeys(axes)
        orders = (order, axes.replace("h", ""))
        for mesh_axis, letters in zip(self.mesh_axes, orders, strict=True):
            devices = self.device_mesh.shape[self.device_mesh.axis_names.index(mesh_axis)]
            for letter in letters:
                if held[letter] is None and (sizes is None or sizes[letter] % devices == 0):
                    held[letter] = mesh_axis
                    break
        return tuple(held.values())


def adapt_layout_map(config):
    """Tell the layout map in force, if it is one of Falcon's, for which model it is.

    Args:
        config: the `FalconConfig` of the model whose weights are about to be made.
    """
    layout_map = getattr(keras.distribution.distribution(), "_layout_map", None)
    if isinstance(layout_map, FalconLayoutMap):
        layout_map.adapt(config)


def variable_sharding(variable):
    """Return where the distribution in force places a variable.

    Args:
        variable: a `keras.Variable`, which need not have a value yet.

    Returns:
        A `jax.sharding.Sharding`; `None` without a distribution.

    >>> variable_sharding(keras.Variable(0.0)) is None
    True
    """
    distribution = keras.distribution.distribution()
    if distribution is None:
        return None
    layout = distribution.get_variable_layout(variable)
    return getattr(layout, "backend_layout", layout)


def _sizes(config):
    if config is None:
        return None
    return {
        "v": config.vocabulary_size,
        "m": config.hidden_dim,
        "n": config.num_attention_heads,
        "g": config.key_value_heads,
        "h": config.head_dim,
        "o": config.hidden_dim,
        "f": config.intermediate_dim,
    }

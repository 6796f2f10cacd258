"""The lesson: config, positions, layers, attention, decoder, backbone, causal_lm."""

import falcon_edu.fast  # noqa: F401 (exchanges parts in `layers`)

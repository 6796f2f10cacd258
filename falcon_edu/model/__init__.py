"""The lesson: config, positions, layers, attention, decoder, backbone, causal_lm.

Axes: `b` batch, `t` time, `q` query position, `k` key position, `m` model width, `n` heads,
`g` key/value heads, `h` head width, `f` feed-forward width, `v` vocabulary.
"""

import falcon_edu.fast  # noqa: F401 (replaces attributes of `layers`)

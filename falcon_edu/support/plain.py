"""The base classes of the lesson, to be derived from: type checkers are told of the derived ones.

`model/layers.pyi` says what stands in `layers` once the package is imported. A class can't have
itself as its base, so these are told of as anything.
"""

from typing import Any

from falcon_edu.model import layers

Block: Any = layers.Block
CausalLM: Any = layers.CausalLM
Config: Any = layers.Config
TokenModel: Any = layers.TokenModel

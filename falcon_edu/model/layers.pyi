"""What stands in `layers` once the package is imported, told to type checkers."""

from typing import Any

from falcon_edu.fast.dense import Dense as Dense
from falcon_edu.fast.dense import EinsumDense as EinsumDense
from falcon_edu.fast.dense import ReversibleEmbedding as ReversibleEmbedding
from falcon_edu.fast.gradients import LayerNormalization as LayerNormalization
from falcon_edu.support.backbones import Backbone as Backbone
from falcon_edu.support.backbones import TokenModel as TokenModel
from falcon_edu.support.blocks import Block as Block
from falcon_edu.support.causal_lms import CausalLM as CausalLM
from falcon_edu.support.configs import Config as Config

Tensor = Any

def kernel_initializer() -> Any: ...
def gelu(x: Tensor) -> Tensor: ...
def attend(attention: Any, *arguments: Any, is_causal: bool = False) -> Any: ...
def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor: ...

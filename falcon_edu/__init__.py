"""falcon_edu: build Falcon, look inside it, load real checkpoints into it, adapt it with LoRA.

Everything public is here: `falcon_edu.FalconBackbone`, `falcon_edu.record` and so on.

**Axis legend**, used in every einsum, shape comment and docstring:

`b` batch · `t` time · `q` query position · `k` key position · `m` model width · `n` heads ·
`g` key/value heads · `h` head width · `f` feed-forward width · `v` vocabulary.
"""

import os
import sys
from importlib import import_module
from importlib.metadata import version

__version__ = version("falcon_edu")


_THEY_IMPORT_KERAS = ("tensorflow", "keras_hub", "keras_nlp", "keras_cv", "autokeras")


def _use_jax():
    """Have Keras run on JAX where nothing else was said, or raise an `ImportError` in words."""
    if "keras" not in sys.modules:
        backend = os.environ.setdefault("KERAS_BACKEND", "jax")
        if backend != "jax":
            raise ImportError(
                "falcon_edu runs on Keras's JAX backend, and the environment variable "
                f"KERAS_BACKEND says {backend!r}. Set it to 'jax', or unset it, and start Python "
                "again."
            )
        return
    backend = sys.modules["keras"].config.backend()
    if backend != "jax":
        others = [name for name in _THEY_IMPORT_KERAS if name in sys.modules]
        raise ImportError(
            f"falcon_edu runs on Keras's JAX backend, but {others[0] if others else 'keras'} was "
            f"imported before it, and so Keras runs on {backend!r}. Restart the kernel and import "
            f"falcon_edu before {' and '.join([*others, 'keras'])}."
        )


_use_jax()

# Where each public name lives. A name is imported when it is first used, so that a program that
# only generates text does not wait for matplotlib, ipywidgets or a hub's client.
_HOMES = {
    "config": ["FalconConfig"],
    "memory": ["FALCON_FAMILY", "memory_needed"],
    "allocator": ["keep_freed_memory"],
    "presets": ["merge_peft_adapter"],
    "positions": ["alibi_bias", "alibi_slopes", "rotary_embedding", "token_positions"],
    "attention": ["FalconAttention", "dot_product_attention", "make_attention_mask"],
    "transformer_decoder": ["FalconTransformerDecoder"],
    "backbone": ["Backbone", "FalconBackbone"],
    "tokenizer": ["FalconTokenizer"],
    "preprocessor": ["FalconCausalLMPreprocessor"],
    "causal_lm": ["FalconCausalLM"],
    "samplers": [
        "BeamSampler",
        "GreedySampler",
        "RandomSampler",
        "TopKSampler",
        "TopPSampler",
    ],
    "activations": ["Activations", "record"],
    "heads": ["head_outputs", "patch_heads"],
    "interventions": ["ablate_heads", "logit_lens", "patch", "patching_map", "tail_model"],
    "widgets": [
        "AttentionExplorer",
        "LoRAExplorer",
        "LogitLensExplorer",
        "MemoryExplorer",
        "NextTokenExplorer",
        "PatchingExplorer",
        "PositionExplorer",
    ],
}
_MODULES = [*_HOMES, "corpora", "evaluation", "generation", "lora", "patterns", "plots"]
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name):
    if name in _HOME_OF:
        value = getattr(import_module(f"falcon_edu.{_HOME_OF[name]}"), name)
    elif name in _MODULES:
        value = import_module(f"falcon_edu.{name}")
    else:
        raise AttributeError(f"module 'falcon_edu' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted([*globals(), *__all__, *_MODULES])

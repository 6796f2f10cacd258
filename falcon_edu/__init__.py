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

from falcon_edu.old_paths import MOVED, install

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
install()

# Where each public name lives. A name is imported when it is first used, so that a program that
# only generates text does not wait for matplotlib, ipywidgets or a hub's client.
_HOMES = {
    "model.config": ["FalconConfig"],
    "scale.memory": ["FALCON_FAMILY", "memory_needed"],
    "fast.allocator": ["keep_freed_memory"],
    "presets": ["merge_peft_adapter"],
    "model.positions": ["alibi_bias", "alibi_slopes", "rotary_embedding", "token_positions"],
    "model.attention": ["FalconAttention", "dot_product_attention", "make_attention_mask"],
    "model.decoder": ["FalconTransformerDecoder"],
    "model.backbone": ["Backbone", "FalconBackbone"],
    "text.tokenizer": ["FalconTokenizer"],
    "text.preprocessor": ["FalconCausalLMPreprocessor"],
    "model.causal_lm": ["FalconCausalLM"],
    "text.special_tokens": ["with_special_tokens"],
    "support.steady": ["SteadyModel"],
    "generation.samplers": [
        "BeamSampler",
        "GreedySampler",
        "RandomSampler",
        "TopKSampler",
        "TopPSampler",
    ],
    "inside.activations": ["Activations", "record"],
    "inside.heads": ["head_outputs", "patch_heads"],
    "inside.attribution": ["Attribution", "direct_logit_attribution"],
    "inside.circuits": [
        "Circuit",
        "composition_scores",
        "copying_score",
        "ov_circuit",
        "qk_circuit",
    ],
    "inside.paths": ["path_patch"],
    "inside.probes": ["Probe", "probe"],
    "inside.steering": ["steer", "steering_vector"],
    "inside.autoencoders": ["SparseAutoencoder", "train_sparse_autoencoder"],
    "inside.features": ["FeatureScores", "feature_scores"],
    "inside.interventions": ["ablate_heads", "logit_lens", "patch", "patching_map", "tail_model"],
    "course.predictions": ["predict", "reveal", "surprises"],
    "web": ["explorer_to_html", "export_to_web"],
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
_MODULES = [*_HOMES, "corpora", "evaluation", "adapt.lora", "inside.patterns", "plots"]
_ROOMS = ["generation", "plots", "presets", "widgets", "corpora", "evaluation", *MOVED]
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name):
    if name in _HOME_OF:
        value = getattr(import_module(f"falcon_edu.{_HOME_OF[name]}"), name)
    elif name in _ROOMS:
        value = import_module(f"falcon_edu.{name}")
    else:
        raise AttributeError(f"module 'falcon_edu' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted([*globals(), *__all__, *_ROOMS])

"""The public names, for type checkers: `__init__.py` imports each when it is first used."""

from falcon_edu import corpora, evaluation, generation, plots, presets, widgets
from falcon_edu.adapt import lora
from falcon_edu.course import checks, classroom, doctor, notebooks
from falcon_edu.course.predictions import predict, reveal, surprises
from falcon_edu.fast import (
    allocator,
    causal_attention,
    dense,
    fused_attention,
    gradients,
    packing,
    products,
)
from falcon_edu.fast.allocator import keep_freed_memory
from falcon_edu.generation import decoding, samplers, sampling
from falcon_edu.generation.samplers import (
    BeamSampler,
    GreedySampler,
    RandomSampler,
    TopKSampler,
    TopPSampler,
)
from falcon_edu.inside import activations, heads, interventions, patterns
from falcon_edu.inside.activations import Activations, record
from falcon_edu.inside.attribution import Attribution, direct_logit_attribution
from falcon_edu.inside.autoencoders import SparseAutoencoder, train_sparse_autoencoder
from falcon_edu.inside.circuits import (
    Circuit,
    composition_scores,
    copying_score,
    ov_circuit,
    qk_circuit,
)
from falcon_edu.inside.features import FeatureScores, feature_scores
from falcon_edu.inside.heads import head_outputs, patch_heads
from falcon_edu.inside.interventions import (
    ablate_heads,
    logit_lens,
    patch,
    patching_map,
    tail_model,
)
from falcon_edu.inside.paths import path_patch
from falcon_edu.inside.probes import Probe, probe
from falcon_edu.inside.steering import steer, steering_vector
from falcon_edu.int8 import quantization, quantized

# The paths that modules had before there were rooms.
from falcon_edu.model import attention, backbone, causal_lm, config, positions
from falcon_edu.model import decoder as transformer_decoder
from falcon_edu.model.attention import FalconAttention, dot_product_attention, make_attention_mask
from falcon_edu.model.backbone import Backbone, FalconBackbone
from falcon_edu.model.causal_lm import FalconCausalLM
from falcon_edu.model.config import FalconConfig
from falcon_edu.model.decoder import FalconTransformerDecoder
from falcon_edu.model.positions import alibi_bias, alibi_slopes, rotary_embedding, token_positions
from falcon_edu.presets import merge_peft_adapter
from falcon_edu.scale import distribution, memory
from falcon_edu.scale.memory import FALCON_FAMILY, memory_needed
from falcon_edu.storage import drafts, files, hdf5, interrupts, strangers
from falcon_edu.support import datasets, exporting, initializers, inputs, layer_state, steady, task
from falcon_edu.support.steady import SteadyModel
from falcon_edu.text import (
    byte_level,
    preprocessing_layer,
    preprocessor,
    tokenizer,
    tokenizer_definition,
)
from falcon_edu.text.preprocessor import FalconCausalLMPreprocessor
from falcon_edu.text.special_tokens import with_special_tokens
from falcon_edu.text.tokenizer import FalconTokenizer
from falcon_edu.web import explorer_to_html, export_to_web
from falcon_edu.widgets import (
    AttentionExplorer,
    LogitLensExplorer,
    LoRAExplorer,
    MemoryExplorer,
    NextTokenExplorer,
    PatchingExplorer,
    PositionExplorer,
)

__version__: str
_HOMES: dict[str, list[str]]
_MODULES: list[str]

__all__ = [
    "FALCON_FAMILY",
    "Activations",
    "AttentionExplorer",
    "Attribution",
    "Backbone",
    "BeamSampler",
    "Circuit",
    "FalconAttention",
    "FalconBackbone",
    "FalconCausalLM",
    "FalconCausalLMPreprocessor",
    "FalconConfig",
    "FalconTokenizer",
    "FalconTransformerDecoder",
    "FeatureScores",
    "GreedySampler",
    "LoRAExplorer",
    "LogitLensExplorer",
    "MemoryExplorer",
    "NextTokenExplorer",
    "PatchingExplorer",
    "PositionExplorer",
    "Probe",
    "RandomSampler",
    "SparseAutoencoder",
    "SteadyModel",
    "TopKSampler",
    "TopPSampler",
    "ablate_heads",
    "activations",
    "alibi_bias",
    "alibi_slopes",
    "allocator",
    "attention",
    "backbone",
    "byte_level",
    "causal_attention",
    "causal_lm",
    "checks",
    "classroom",
    "composition_scores",
    "config",
    "copying_score",
    "corpora",
    "datasets",
    "decoding",
    "dense",
    "direct_logit_attribution",
    "distribution",
    "doctor",
    "dot_product_attention",
    "drafts",
    "evaluation",
    "explorer_to_html",
    "export_to_web",
    "exporting",
    "feature_scores",
    "files",
    "fused_attention",
    "generation",
    "gradients",
    "hdf5",
    "head_outputs",
    "heads",
    "initializers",
    "inputs",
    "interrupts",
    "interventions",
    "keep_freed_memory",
    "layer_state",
    "logit_lens",
    "lora",
    "make_attention_mask",
    "memory",
    "memory_needed",
    "merge_peft_adapter",
    "notebooks",
    "ov_circuit",
    "packing",
    "patch",
    "patch_heads",
    "patching_map",
    "path_patch",
    "patterns",
    "plots",
    "positions",
    "predict",
    "preprocessing_layer",
    "preprocessor",
    "presets",
    "probe",
    "products",
    "qk_circuit",
    "quantization",
    "quantized",
    "record",
    "reveal",
    "rotary_embedding",
    "samplers",
    "sampling",
    "steady",
    "steer",
    "steering_vector",
    "strangers",
    "surprises",
    "tail_model",
    "task",
    "token_positions",
    "tokenizer",
    "tokenizer_definition",
    "train_sparse_autoencoder",
    "transformer_decoder",
    "widgets",
    "with_special_tokens",
]

"""Presets: folders that hold a model, read and written in KerasHub's and transformers' formats."""

from falcon_edu.presets.handles import find, resolve
from falcon_edu.presets.loading import (
    describe_preset,
    load_backbone,
    load_preprocessor,
    load_task_weights,
    load_tokenizer,
)
from falcon_edu.presets.older import or_older
from falcon_edu.presets.peft import merge_peft_adapter
from falcon_edu.presets.registry import builtin_presets
from falcon_edu.presets.saving import (
    export_to_transformers,
    export_tokenizer,
    save_backbone,
    save_causal_lm,
    save_preprocessor,
    save_tokenizer,
)
from falcon_edu.presets.steady import of_one_save

__all__ = [
    "builtin_presets",
    "describe_preset",
    "export_to_transformers",
    "export_tokenizer",
    "find",
    "load_backbone",
    "load_preprocessor",
    "load_task_weights",
    "load_tokenizer",
    "merge_peft_adapter",
    "of_one_save",
    "or_older",
    "resolve",
    "save_backbone",
    "save_causal_lm",
    "save_preprocessor",
    "save_tokenizer",
]

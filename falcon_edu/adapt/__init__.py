"""Adapting a model: LoRA."""

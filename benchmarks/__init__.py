"""Measure speed and memory beside KerasHub, transformers and peft: `make benchmark`."""

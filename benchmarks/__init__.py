"""How fast and how lean falcon_edu is, beside KerasHub, transformers and peft: `make benchmark`."""

"""Generation: samplers, the key/value cache, the compiled loop, generate and stream."""

from importlib import import_module

# `falcon_edu.generation` was the module that has these now.
_STREAMING = ["Run", "align", "generate", "generate_step", "loop_of", "round_up", "stream"]


def __getattr__(name):
    if name not in _STREAMING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("falcon_edu.generation.streaming"), name)

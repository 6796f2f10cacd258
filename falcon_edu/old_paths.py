"""Keep the paths that modules had before they moved into rooms: `falcon_edu.lora` and the like.

`falcon_edu.lora` and `falcon_edu.adapt.lora` are one module, under whichever name it is imported
first; so are the modules inside `falcon_edu.checks`. Files that Keras saved name such paths too.
"""

import sys
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.util import find_spec

# Room: the modules in it, each with its old name where that was another.
ROOMS = {
    "model": "config positions attention decoder=transformer_decoder backbone causal_lm",
    "generation": "samplers sampling decoding",
    "text": "byte_level tokenizer tokenizer_definition preprocessor preprocessing_layer",
    "inside": "activations heads interventions patterns",
    "adapt": "lora",
    "fast": "allocator causal_attention fused_attention products packing gradients dense",
    "int8": "quantization quantized",
    "scale": "distribution memory",
    "support": "inputs datasets steady exporting layer_state task initializers",
    "storage": "drafts files hdf5 interrupts strangers",
    "course": "checks classroom doctor notebooks",
}


def _moved():
    for room, modules in ROOMS.items():
        for module in modules.split():
            new, _, old = module.partition("=")
            yield old or new, f"falcon_edu.{room}.{new}"


MOVED = dict(_moved())


class OldPaths(Loader):
    """Find and load modules of this package by the paths they had; of no other."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        package, _, rest = name.partition(".")
        if package != "falcon_edu":
            return None
        old, _, inner = rest.partition(".")
        # `python -m falcon_edu.classroom` runs its file under a name of Python's own.
        if old not in MOVED or inner == "__main__":
            return None
        new = f"{MOVED[old]}.{inner}".rstrip(".")
        if (spec := find_spec(new)) is None:
            return None
        is_package = spec.submodule_search_locations is not None
        return ModuleSpec(name, OldPaths(), origin=new, is_package=is_package)

    @staticmethod
    def create_module(spec):
        module = import_module(spec.origin)
        spec.loader_state = module.__spec__  # the import system writes the old path over it
        return module

    @staticmethod
    def exec_module(module):
        module.__spec__ = sys.modules[module.__name__].__spec__ = module.__spec__.loader_state


def install():
    """Let old paths be imported, once in a process."""
    if OldPaths not in sys.meta_path:
        sys.meta_path.insert(0, OldPaths)

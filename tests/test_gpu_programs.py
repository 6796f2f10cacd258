"""What a GPU would run, read from programs that XLA compiles for one: `make gpu-check`."""

from falcon_edu import FalconConfig
from tools import gpu_compiler
from tools.gpu_compiler import Programs, attention_kernels, maps_in

import pytest

BATCH, TOKENS, LAYERS, HEADS = 2, 192, 2, 4
ROTARY = {"position_encoding": "rope", "use_bias": False, "parallel_attention": True}
LAYOUTS = {
    "rw": {},
    "7b": {**ROTARY, "num_key_value_heads": 1},
    "40b": {**ROTARY, "num_key_value_heads": 2, "num_parallel_layer_norms": 2},
    "grouped_alibi": {"num_key_value_heads": 2},
}

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module", params=LAYOUTS)
def programs(request):
    config = FalconConfig(512, LAYERS, HEADS, 256, 1024, **LAYOUTS[request.param])
    return Programs(config, gpu_compiler.described_h100())


def test_attention_is_one_kernel_and_no_map_is_written(programs):
    program = programs.prefill(BATCH, TOKENS)
    assert attention_kernels(program) == (LAYERS, 0)
    assert not maps_in(program, BATCH, TOKENS)


def test_training_writes_no_map_either(programs):
    program = programs.gradient(BATCH, TOKENS)
    assert attention_kernels(program) == (LAYERS, LAYERS)
    assert not maps_in(program, BATCH, TOKENS)


def test_maps_that_are_read_are_there(programs):
    assert (BATCH, HEADS, TOKENS, TOKENS) in maps_in(programs.maps(BATCH, TOKENS), BATCH, TOKENS)


def test_decoding_writes_into_the_cache_that_it_was_given(programs):
    memory = programs.decode(BATCH, TOKENS).memory_analysis()
    config = programs.backbone.config
    cache = 2 * LAYERS * BATCH * TOKENS * config.key_value_heads * config.head_dim * 2  # bytes
    weights = sum(shape.size * shape.dtype.itemsize for shape in programs.weights)
    assert memory.alias_size_in_bytes >= cache
    assert memory.output_size_in_bytes < memory.alias_size_in_bytes + 1000  # the seeds
    assert memory.argument_size_in_bytes < 1.05 * (weights + memory.alias_size_in_bytes)

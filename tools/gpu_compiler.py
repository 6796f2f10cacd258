"""XLA's compiler for an NVIDIA H100, on a machine that has none.

    make gpu-check                         # the tests
    python -m tools.gpu_compiler           # a table of Falcon-1B's programs and their memory
    python -m tools.gpu_compiler falcon-7b

JAX's plugin for CUDA compiles for a device that is only described, as it does for machines of a
cluster from a laptop. So one can read here what a GPU would run: which kernels attention becomes,
and how much memory a program takes. How fast it is and what comes out only a GPU can say.
"""

import contextlib
import functools
import math
import re
import sys
from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp

ROOT = Path(__file__).resolve().parents[1]
# Not where Python looks for packages: JAX would find it there, and try to run on it.
PLUGIN = ROOT / "build/gpu-compiler/jax_plugins/xla_cuda12/xla_cuda_plugin.so"

# NVIDIA's data sheet of the H100 SXM, and what its driver says of one, in XLA's names.
H100 = """
platform_name: "CUDA"
device_description_str: "NVIDIA H100 80GB HBM3"
dnn_version_info { major: 9 minor: 10 }
gpu_device_info {
  cuda_compute_capability { major: 9 }
  core_count: 132
  fpus_per_core: 128
  threads_per_warp: 32
  threads_per_block_limit: 1024
  threads_per_core_limit: 2048
  registers_per_block_limit: 65536
  registers_per_core_limit: 65536
  shared_memory_per_block: 49152
  shared_memory_per_block_optin: 232448
  shared_memory_per_core: 233472
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  clock_rate_ghz: 1.98
  memory_bandwidth: 3352320000000
  l2_cache_size: 52428800
  device_memory_size: 85520809984
}
"""


@functools.cache
def described_h100():
    """Return a device of JAX's that can be compiled for, and nothing else."""
    from jax._src.lib import xla_client
    from jax.experimental import topologies

    api = xla_client.load_pjrt_plugin_dynamically("cuda", str(PLUGIN))
    xla_client.initialize_pjrt_plugin("cuda")
    topology = xla_client.make_c_api_device_topology(api, "", target_config=H100, topology="1x1x1")
    (device,) = topologies.TopologyDescription(topology._make_compile_only_devices()).devices
    return device


@contextlib.contextmanager
def as_on_a_gpu():
    """Let JAX and Keras answer as on a machine with an H100 and cuDNN."""
    from jax._src.cudnn import fused_attention_stablehlo as cudnn

    with (
        mock.patch.object(jax, "default_backend", return_value="gpu"),
        mock.patch.object(cudnn, "check_cudnn_version", return_value=91000),
        mock.patch.object(cudnn, "check_compute_capability", return_value=True),
    ):
        yield


def compile_for(device, function, *arguments, donate=()):
    """Return a compiled program, from the shapes of its arguments alone."""
    sharding = jax.sharding.SingleDeviceSharding(device)
    jitted = jax.jit(function, in_shardings=sharding, out_shardings=sharding, donate_argnums=donate)
    with as_on_a_gpu():
        return jitted.lower(*jax.tree.map(shape_of, arguments)).compile()


def shape_of(x):
    """Return what a program needs to know of an argument."""
    return jax.ShapeDtypeStruct(x.shape, x.dtype)


def shapes_in(program):
    """Return the shapes of all arrays in a program, those within its kernels included."""
    found = set(re.findall(r"\w+\[(\d+(?:,\d+)+)\]", program.as_text()))
    return {tuple(map(int, shape.split(","))) for shape in found}


def maps_in(program, batch, tokens):
    """Those with a number for each head, query and key."""
    return {
        shape
        for shape in shapes_in(program)
        if shape.count(tokens) >= 2 and math.prod(shape) > batch * tokens**2
    }


def attention_kernels(program):
    """Count its kernels of fused attention: forward, backward."""
    names = re.findall(r'custom_call_target="__cudnn\$fmha(\w+)"', program.as_text())
    backward = sum(name.endswith("Backward") for name in names)
    return len(names) - backward, backward


class Programs:
    """Compile what a Falcon in bfloat16 would run, from its configuration; it never has weights.

    Args:
        config: a `FalconConfig`.
        device: from `described_h100`.
    """

    def __init__(self, config, device):
        import dataclasses

        from falcon_edu import FalconBackbone

        import keras

        with keras.StatelessScope():  # in which variables get no values
            self.backbone = FalconBackbone(**dataclasses.asdict(config), dtype="bfloat16")
        self.device = device
        self.weights = [shape_of(variable) for variable in self.backbone.variables]

    def inputs(self, batch, tokens):
        ids = jax.ShapeDtypeStruct((batch, tokens), "int32")
        return {"token_ids": ids, "padding_mask": ids}

    def run(self, weights, inputs, model=None):
        model = model or self.backbone
        return model.stateless_call(weights, [], inputs)[0]

    def prefill(self, batch, tokens):
        """Return the last hidden states."""
        return compile_for(self.device, self.run, self.weights, self.inputs(batch, tokens))

    def maps(self, batch, tokens):
        """Return the attention weights."""
        import keras

        reader = keras.Model(self.backbone.input, list(self.backbone.attention_weights))
        weights = [shape_of(variable) for variable in reader.variables]

        def run(weights, inputs):
            return self.run(weights, inputs, reader)

        return compile_for(self.device, run, weights, self.inputs(batch, tokens))

    def gradient(self, batch, tokens):
        """Return the gradient of the loss, for all weights."""
        from falcon_edu.fast.gradients import cross_entropy

        def loss(weights, inputs):
            hidden_states = self.run(weights, inputs)
            logits = hidden_states @ weights[0].T  # the head of all that are compiled here is tied
            labels = jnp.roll(inputs["token_ids"], -1, axis=1)
            return cross_entropy(logits, labels).mean()

        return compile_for(self.device, jax.grad(loss), self.weights, self.inputs(batch, tokens))

    def decode(self, batch, capacity):
        """Return the loop that appends token after token, with its cache."""
        from falcon_edu.generation import samplers
        from falcon_edu.generation.decoding import DecodingLoop

        import numpy as np

        sampler = samplers.GreedySampler()
        loop = DecodingLoop(self.backbone, sampler)
        prompts = {
            "token_ids": np.zeros((batch, 8), "int32"),
            "padding_mask": np.ones((batch, 8), "bool"),
        }
        state = loop.initial_state(prompts, 8, np.full(batch, capacity, "int32"), capacity)
        return compile_for(
            self.device,
            loop._decode,
            self.weights,
            [variable.value for variable in sampler.variables],
            state,
            jax.ShapeDtypeStruct((), "int32"),
            jax.ShapeDtypeStruct((0,), "int32"),
            donate=2,
        )


def main():
    """Print the table."""
    from falcon_edu import FALCON_FAMILY

    names = sys.argv[1:] or ["falcon-rw-1b"]
    print("| program | arguments | beside them | kernels of attention |\n|---|---|---|---|")
    for name in names:
        programs = Programs(FALCON_FAMILY[name], described_h100())
        for work, compile_it, tokens in (
            ("prefill 512", programs.prefill, 512),
            ("prefill 2048", programs.prefill, 2048),
            ("decoding, up to 2048", programs.decode, 2048),
            ("gradient, 2048", programs.gradient, 2048),
        ):
            program = compile_it(1, tokens)
            memory = program.memory_analysis()
            forward, backward = attention_kernels(program)
            print(
                f"| {name}, {work} | {memory.argument_size_in_bytes / 1e6:,.0f} MB "
                f"| {memory.temp_size_in_bytes / 1e6:,.0f} MB | {forward}, {backward} back |",
                flush=True,
            )


if __name__ == "__main__":
    main()

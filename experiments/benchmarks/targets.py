"""Accelerators that a program is compiled for on a machine without them.

    pip install -e '.[accelerators]'          (Linux; about 1.5 GB: the compilers alone, no driver)

TPUs: libtpu holds the real compiler and needs no TPU for it. One process at a time may use it.
NVIDIA: XLA's compiler and ptxas, for a described device. There is no autotuning without the device.
"""

import functools
import importlib.util
import os
from typing import Any, NamedTuple

import numpy as np

from mmjax.errors import UserError

_ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-8",
    "TPU_WORKER_HOSTNAMES": "localhost",
}
# Without the device nothing can be autotuned, and XLA's default tiles fail for tiny products.
_XLA_FLAGS = "--xla_gpu_autotune_level=0 --xla_gpu_enable_triton_gemm=false"


class Chip(NamedTuple):
    """What its maker states of one chip."""

    platform: str  # tpu or cuda
    peak: float  # bfloat16 operations a second, dense
    bandwidth: float  # bytes a second from and to its memory
    clock: float  # cycles a second; of TPUs peak / (operations of its matrix units in a cycle)


CHIPS = {
    "v5e": Chip("tpu", 197e12, 819e9, 1.503e9),
    "v6e": Chip("tpu", 918e12, 1640e9, 1.751e9),
    "v5p": Chip("tpu", 459e12, 2765e9, 1.751e9),
    "h100": Chip("cuda", 989e12, 3352.32e9, 1.98e9),
    "h200": Chip("cuda", 989e12, 4800e9, 1.98e9),
}
DEFAULT = {
    **{"v5e": "v5e:2x2", "v6e": "v6e:2x2", "v5p": "v5p:2x2x1"},
    **{"h100": "h100:2", "h200": "h200:2"},
}


class Target(NamedTuple):
    """Chips of one kind, joined."""

    name: str  # v5e:2x2, h200:2
    chip: Chip
    shape: tuple[int, ...]  # of the torus; of GPUs their number


def target(name: str) -> Target:
    """The target that a name such as v5e:2x2, h200:8 or v6e stands for.

    Raises:
        UserError: the name is unknown, or its compiler is not installed.
    """
    kind, _, shape = DEFAULT.get(name, name).partition(":")
    sizes = shape.split("x")
    if kind not in CHIPS or not all(size.isdecimal() and int(size) for size in sizes):
        known = ", ".join(DEFAULT.values())
        raise UserError(f"--target {name}: expected one of {known}, or another shape of one")
    needed = {"tpu": "libtpu", "cuda": "jax_plugins.xla_cuda12"}[CHIPS[kind].platform]
    if not _installed(needed):
        raise UserError(
            f"--target {name}: its compiler ({needed}) is not installed: "
            "pip install -e '.[accelerators]'"
        )
    return Target(f"{kind}:{shape}", CHIPS[kind], tuple(map(int, sizes)))


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def prepare() -> None:
    """Set what the compilers read from the environment. Call it before JAX is imported."""
    os.environ.update(_ENVIRONMENT)
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_XLA_FLAGS}".strip()


@functools.cache
def devices(target: Target) -> np.ndarray:
    """The described devices, in one row."""
    from jax.experimental import topologies

    kind = target.name.partition(":")[0]
    if target.chip.platform == "tpu":
        described: Any = topologies.get_topology_desc(platform="tpu", topology_name=target.name)
    else:
        count = int(np.prod(target.shape))
        described = topologies.get_topology_desc(
            kind, "cuda", target_config=_gpu(kind), topology=f"1x1x{count}"
        )
    return np.array(described.devices)


def _gpu(kind: str) -> str:
    """XLA's GpuTargetConfigProto of a Hopper GPU, as text."""
    name, memory = {"h100": ("H100 80GB HBM3", 84_942_979_072), "h200": ("H200", 151_397_597_184)}[
        kind
    ]
    # (type's number in XLA's PrimitiveType, units a core, operations a cycle)
    scalar = [(4, 64, 1), (8, 64, 1), (10, 128, 2), (11, 128, 1), (12, 64, 1), (16, 128, 2)]
    matrix = [(2, 1024), (6, 1024), (10, 512), (11, 256), (12, 32), (16, 512), (19, 1024)]
    rates = [
        *(("scalar_unit_description", key, 1.98, units, ops) for key, units, ops in scalar),
        *(("matrix_unit_description", key, 1.83, 4, ops) for key, ops in matrix),
    ]
    described = {"scalar_unit_description": "", "matrix_unit_description": ""}
    for unit, key, clock, units, ops in rates:
        described[unit] += (
            f"rate_infos {{ key: {key} value {{ clock_rate_ghz: {clock} units_per_core: {units} "
            f"ops_per_clock: {ops} }} }} "
        )
    units = " ".join(f"{unit} {{ {text} }}" for unit, text in described.items())
    return f"""
        gpu_device_info {{
          threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: 2048
          shared_memory_per_block: 49152 shared_memory_per_block_optin: 232448
          shared_memory_per_core: 233472 core_count: 132 fpus_per_core: 128
          block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
          thread_dim_limit_x: 1024 thread_dim_limit_y: 1024 thread_dim_limit_z: 64
          registers_per_core_limit: 65536 registers_per_block_limit: 65536
          memory_bandwidth: {CHIPS[kind].bandwidth:.0f} l2_cache_size: 52428800
          clock_rate_ghz: 1.98 device_memory_size: {memory} device_address_bits: 64
          cuda_compute_capability {{ major: 9 feature_extension: ACCELERATED_FEATURES }}
          device_vendor: "NVIDIA Corporation" platform_version: "Compute Capability 9.0a"
          name: "NVIDIA {name}" driver_version: "13.0.0" runtime_version: "12.8.0"
          compile_time_toolkit_version: "12.8.0" dnn_version: "9.10.0"
          device_interconnect_info {{ active_links: 18 }} {units}
        }}
        platform_name: "CUDA" dnn_version_info {{ major: 9 minor: 10 patch: 0 }}
        device_description_str: "NVIDIA {name}"
    """

"""Settings that only CPUs need: cores as devices, the memory allocator, compiler options."""

import ctypes
import functools
import os

import jax
import numpy as np

# glibc's mallopt(3). By default malloc returns blocks above 32 MB to the system, so that every
# call of an XLA program touches fresh pages.
_KEEP = {"M_MMAP_MAX": (-4, 0), "M_TRIM_THRESHOLD": (-1, 2**31 - 1), "M_ARENA_MAX": (-8, 1)}
_LIBRARIES = "xla_cpu_experimental_ynn_fusion_type"
# YNNPACK for products and sums, but Eigen for convolutions: with YNNPACK the gradient of a kernel
# takes 2.5 times as long (experiments/benchmarks/README.md, row 1).
_OPTIONS = {_LIBRARIES: "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"}


def cores() -> int:
    """Number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def request_host_devices(batch_size: int, wanted: int | None) -> None:
    """Use several CPU cores as devices; call it before anything touches a device.

    Requests `wanted` devices, or the largest divisor of the batch size up to min(cores, 8). Does
    nothing when XLA_FLAGS already sets the number. GPUs and TPUs are not affected.
    """
    if _is_set_by_user() or jax.distributed.is_initialized():
        return
    most = min(cores(), 8)
    count = wanted or max(n for n in range(1, most + 1) if batch_size % n == 0)
    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError:  # the backend is already running: use its devices
        return


def one_host_device() -> None:
    """Use one CPU device per process: with several, gloo's collectives deadlock."""
    if not _is_set_by_user():
        jax.config.update("jax_num_cpu_devices", 1)


def _is_set_by_user() -> bool:
    return "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")


def keep_memory() -> bool:
    """Make malloc keep freed memory, which saves page faults in every step.

    Call it at the start of a command, not in a library: the process never shrinks. Returns whether
    the C library supports it.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    return mallopt is not None and all([mallopt(*option) for option in _KEEP.values()])


def compiler_options(platform: str) -> dict[str, str] | None:
    """`compiler_options` for `jax.jit`; None for other platforms and where XLA_FLAGS sets them.

    The option is experimental: it is left out where XLA does not know it.
    """
    if platform != "cpu" or _LIBRARIES in os.environ.get("XLA_FLAGS", "") or not _is_supported():
        return None
    return dict(_OPTIONS)


@functools.cache
def _is_supported() -> bool:
    try:
        jax.jit(lambda x: x, compiler_options=_OPTIONS).lower(np.float32(0)).compile()
    except (jax.errors.JaxRuntimeError, ValueError, TypeError):
        return False
    return True

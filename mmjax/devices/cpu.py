"""A CPU's cores as devices, and its memory: what must be said before JAX begins."""

import ctypes
import os

import jax

# glibc's mallopt(3). Past 32 MB its malloc asks the system for fresh pages every time, and a
# program of XLA's takes and returns all that is between its operations in every call.
_KEEP = {"M_MMAP_MAX": (-4, 0), "M_TRIM_THRESHOLD": (-1, 2**31 - 1), "M_ARENA_MAX": (-8, 1)}


def request_host_devices(batch_size: int, wanted: int | None) -> None:
    """On a CPU, use several cores as devices: one device leaves cores idle between operations.

    Must come before anything touches a device. Asks for `wanted` devices, or else for as many as
    there are cores, at most 8, that divide the batch. Does nothing when XLA_FLAGS says already how
    many there are. It concerns the CPU alone: with a GPU or TPU those are used.
    """
    if _flagged() or jax.distributed.is_initialized():
        return
    most = min(cores(), 8)
    count = wanted or max(n for n in range(1, most + 1) if batch_size % n == 0)
    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError:  # the backend runs already: take the devices that it has
        return


def one_host_device() -> None:
    """Of several processes each has one CPU device: with more, gloo's collectives deadlock."""
    if not _flagged():
        jax.config.update("jax_num_cpu_devices", 1)


def keep_memory() -> bool:
    """Let malloc keep what is freed, instead of first touching new pages in every step.

    For the start of a command, not for a library: the process stays as large as it was at its
    largest. Returns whether this C library can be told.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    return mallopt is not None and all([mallopt(*option) for option in _KEEP.values()])


def _flagged() -> bool:
    return "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

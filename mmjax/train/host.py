"""A CPU's cores as devices: what must be said before JAX begins."""

import os

import jax


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


def _flagged() -> bool:
    return "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

"""How much memory this process may still take."""

import contextlib
import os
from pathlib import Path

_GROUP = Path("/sys/fs/cgroup")


def available_memory() -> int:
    """Bytes: what the machine has free, or the limit of the container leaves, if that is less."""
    free = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        kilobytes = next(line for line in lines if line.startswith("MemAvailable")).split()[1]
        free.append(1024 * int(kilobytes))
    with contextlib.suppress(OSError, ValueError):  # "max": no limit
        limit = int((_GROUP / "memory.max").read_text())
        free.append(limit - int((_GROUP / "memory.current").read_text()))
    return max(min(free), 0)

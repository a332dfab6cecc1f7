"""JAX's persistent compilation cache: a program compiles faster when it starts again.

Compiled programs are stored in `$XDG_CACHE_HOME/mmjax/compiled` or `~/.cache/mmjax/compiled`, at
most 512 MB; the folder may be deleted at any time. `MMJAX_COMPILATION_CACHE=off` turns it off.
Where `JAX_COMPILATION_CACHE_DIR` is set, JAX's own settings apply.
"""

import hashlib
import os
import platform
import stat
import sys
import zlib
from pathlib import Path

import jax

from mmjax.devices import cpu
from mmjax.errors import StorageError, UserError

SWITCH = "MMJAX_COMPILATION_CACHE"
LEAST_SECONDS = 0.05  # shortest compilation that is stored: reading takes a tenth of it
MOST_BYTES = 512 * 10**6
_CHECKED = "checked"  # a file; entries older than it were read and found intact


def enable() -> Path | None:
    """Turn the cache on for this process; returns its folder, or None where it is off.

    Call it at the start of a command, not in a library. Several processes may share the folder. If
    the folder cannot be used, a warning on stderr gives the reason.

    Raises:
        UserError: the environment variable is neither "on" nor "off".
    """
    switch = os.environ.get(SWITCH, "on")
    if switch not in ("on", "off"):
        raise UserError(f"{SWITCH}: expected on or off, got {switch!r}")
    folder_of_jax = getattr(jax.config, "jax_compilation_cache_dir")  # noqa: B009  # not in types
    if switch == "off" or folder_of_jax is not None:
        return None
    try:
        root = Path(os.environ.get("XDG_CACHE_HOME", ""))
        # The XDG specification: relative paths are ignored.
        root = root if root.is_absolute() else Path.home() / ".cache"
        folder = root / "mmjax" / "compiled" / _machine()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _require_own(folder)
        _remove_damaged(folder)
    except (OSError, RuntimeError) as error:  # RuntimeError: a user without a home folder
        print(f"warning: compiled programs are not kept: {error}", file=sys.stderr)
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", MOST_BYTES)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", LEAST_SECONDS)
    return folder


def _machine() -> str:
    """A hash of what JAX's cache key omits: the processor's instructions, and the cores.

    A home folder may be shared by several machines. Programs for CPUs depend on the number of
    cores: another number changes the last bits of sums, and a resumed run must not see that.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        flags = next(line for line in lines if line.lower().startswith(("flags", "features")))
    except (OSError, StopIteration):
        flags = platform.processor()
    known = f"{platform.machine()} {cpu.cores()} {flags}"
    return hashlib.sha256(known.encode()).hexdigest()[:12]


def _require_own(folder: Path) -> None:
    """StorageError if others may write to the folder: its contents are executed."""
    status = folder.stat()
    if hasattr(os, "getuid") and (
        status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    ):
        raise StorageError(f"{folder}: others may write there")
    (folder / _CHECKED).open("a").close()


def _remove_damaged(folder: Path) -> None:
    """Remove entries that a killed process left incomplete: JAX never repairs them."""
    last = (folder / _CHECKED).stat().st_mtime_ns
    for entry in folder.glob("*-cache"):
        used = entry.with_name(entry.name.removesuffix("-cache") + "-atime")
        try:
            fresh = entry.stat().st_mtime_ns >= last
            if not used.exists() or (fresh and not _is_intact(entry.read_bytes())):
                entry.unlink()
        except FileNotFoundError:
            continue  # another process removed it
    os.utime(folder / _CHECKED)


def _is_intact(content: bytes) -> bool:
    if content.startswith(b"\x28\xb5\x2f\xfd"):  # zstd, where that package is installed
        return True
    try:
        zlib.decompress(content)
    except zlib.error:
        return False
    return True

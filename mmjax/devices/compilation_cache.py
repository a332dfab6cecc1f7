"""Compiled programs that outlive the process: the second start of a program need not compile it.

JAX keeps them as files, by a hash of the program, of XLA's flags and of the versions. They lie in
`$XDG_CACHE_HOME/mmjax/compiled`, or else in `~/.cache/mmjax/compiled`, at most 512 MB of them;
deleting the folder costs nothing but the next compilation. `MMJAX_COMPILATION_CACHE=off` turns this
off, and where `JAX_COMPILATION_CACHE_DIR` is set, the folder and its bounds are JAX's affair.
"""

import hashlib
import os
import platform
import stat
import sys
import zlib
from pathlib import Path

import jax

from mmjax.devices import parallel
from mmjax.errors import StorageError, UserError

SWITCH = "MMJAX_COMPILATION_CACHE"
LEAST_SECONDS = 0.05  # of a compilation: reading one of these takes a tenth of it
MOST_BYTES = 512 * 10**6
_CHECKED = "checked"  # its time: entries that are older have been read and found whole


def enable() -> Path | None:
    """Keep what this process compiles from now on; returns where, or None where it is not kept.

    For the start of a command, not for a library. Several processes may use the folder at once. If
    it cannot be used, a line on stderr says why, and nothing else changes.

    Raises:
        UserError: the switch in the environment is neither "on" nor "off".
    """
    switch = os.environ.get(SWITCH, "on")
    if switch not in ("on", "off"):
        raise UserError(f"{SWITCH}: expected on or off, got {switch!r}")
    given = getattr(jax.config, "jax_compilation_cache_dir")  # noqa: B009  # not in its types
    if switch == "off" or given is not None:
        return None
    try:
        folder = _root() / _machine()
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


def _root() -> Path:
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The specification of the variable: a relative path is to be ignored.
    return (given if given.is_absolute() else Path.home() / ".cache") / "mmjax" / "compiled"


def _machine() -> str:
    """What XLA compiles for and JAX's key leaves out: the processor's instructions, and the cores.

    A home folder may be on many machines. Programs for a CPU are split for as many cores as there
    were, which changes the last bits of sums: a run that goes on must not get those of others.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        flags = next(line for line in lines if line.lower().startswith(("flags", "features")))
    except (OSError, StopIteration):
        flags = platform.processor()
    known = f"{platform.machine()} {parallel.cores()} {flags}"
    return hashlib.sha256(known.encode()).hexdigest()[:12]


def _require_own(folder: Path) -> None:
    """What lies in it is executed: nobody else may put anything there."""
    found = folder.stat()
    if hasattr(os, "getuid") and (
        found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    ):
        raise StorageError(f"{folder}: others may write there")
    (folder / _CHECKED).open("a").close()


def _remove_damaged(folder: Path) -> None:
    """Remove what a killed process has left: JAX would stumble over it each time, and leave it."""
    last = (folder / _CHECKED).stat().st_mtime_ns
    for entry in folder.glob("*-cache"):
        used = entry.with_name(entry.name.removesuffix("-cache") + "-atime")
        try:
            fresh = entry.stat().st_mtime_ns >= last
            if not used.exists() or (fresh and not _whole(entry.read_bytes())):
                entry.unlink()
        except FileNotFoundError:
            continue  # another process was faster
    os.utime(folder / _CHECKED)


def _whole(content: bytes) -> bool:
    if content.startswith(b"\x28\xb5\x2f\xfd"):  # zstd, where that package is installed
        return True
    try:
        zlib.decompress(content)
    except zlib.error:
        return False
    return True
